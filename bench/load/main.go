// Command load is both ends of the proxy measurements: an upstream that streams like Ollama, and clients that time it.
//
//	load upstream ADDRESS:PORT
//	load first|small|streams [-h2] [-model NAME] [-n N] [-c CLIENTS] [-tokens N] [-interval DURATION] URL
//
// The upstream answers POST /api/generate with as many lines as options.num_predict says, each with the time at which
// it was written. Clients and upstream share the machine's clock, so a line's age on arrival is the lag. A real Ollama
// can be measured with "first".
// Results are one JSON object; durations are in milliseconds, but for "seconds".
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sort"
	"strings"
	"sync"
	"time"
)

type options struct {
	NumPredict int   `json:"num_predict"`
	IntervalNs int64 `json:"interval_ns"`
}

type prompt struct {
	Model   string  `json:"model"`
	Prompt  string  `json:"prompt"`
	Options options `json:"options"`
}

type token struct {
	At       int64  `json:"at"`
	Response string `json:"response"`
	Done     bool   `json:"done"`
}

func generate(w http.ResponseWriter, r *http.Request) {
	var p prompt
	if err := json.NewDecoder(r.Body).Decode(&p); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	flusher := w.(http.Flusher)
	encoder := json.NewEncoder(w)
	next := time.Now()
	for i := 1; i <= p.Options.NumPredict; i++ {
		if encoder.Encode(token{time.Now().UnixNano(), " word", i == p.Options.NumPredict}) != nil {
			return
		}
		flusher.Flush()
		next = next.Add(time.Duration(p.Options.IntervalNs))
		time.Sleep(time.Until(next))
	}
}

func upstream(address string) error {
	mux := http.NewServeMux()
	mux.HandleFunc("/api/generate", generate)
	mux.HandleFunc("/api/version", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"version":"0.0.0"}`)
	})
	return http.ListenAndServe(address, mux)
}

// One client keeps one connection, like a browser's or an SDK's.
func client(h2 bool) *http.Client {
	transport := &http.Transport{
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true}, // self-signed, on loopback
		ForceAttemptHTTP2:   h2,
		MaxIdleConnsPerHost: 1,
		DisableCompression:  true,
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
	}
	if !h2 {
		transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	return &http.Client{Transport: transport, Timeout: 5 * time.Minute}
}

type stream struct {
	first time.Duration
	lags  []float64
	whole bool
}

func ask(c *http.Client, url, model string, tokens int, interval time.Duration) (stream, error) {
	body, _ := json.Marshal(prompt{model, "Why is the sky blue?", options{tokens, interval.Nanoseconds()}})
	begun := time.Now()
	response, err := c.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		return stream{}, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return stream{}, fmt.Errorf("%s: %s", url, response.Status)
	}
	var s stream
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		now := time.Now()
		var t token
		if err := json.Unmarshal(lines.Bytes(), &t); err != nil {
			return s, err
		}
		if s.lags == nil {
			s.first = now.Sub(begun)
		}
		s.lags = append(s.lags, float64(now.UnixNano()-t.At)/1e6)
		s.whole = t.Done
	}
	if err := lines.Err(); err != nil || s.whole {
		return s, err
	}
	return s, fmt.Errorf("%s: ended after %d lines", url, len(s.lags))
}

func summary(values []float64) map[string]float64 {
	if len(values) == 0 {
		return nil
	}
	sort.Float64s(values)
	at := func(q float64) float64 { return values[int(q*float64(len(values)-1))] }
	return map[string]float64{"n": float64(len(values)), "p50": at(0.5), "p99": at(0.99), "max": at(1)}
}

// First tokens: one prompt after the other over one connection.
func first(c *http.Client, url, model string, n int, interval time.Duration) (any, error) {
	var times []float64
	var cut int
	for i := 0; i < n; i++ {
		s, err := ask(c, url, model, 2, interval)
		if err != nil && s.lags == nil {
			return nil, err
		}
		if err != nil {
			cut++
		} else if i > 0 { // not the connection's set-up
			times = append(times, s.first.Seconds()*1e3)
		}
	}
	result := summary(times)
	if result == nil {
		return nil, fmt.Errorf("%s: all responses were cut", url)
	}
	result["cut"] = float64(cut)
	return result, nil
}

// Small calls: GET requests by some clients, each over one connection.
func small(h2 bool, url string, n, clients int) (any, error) {
	var wait sync.WaitGroup
	failures := make(chan error, clients)
	begun := time.Now()
	for i := 0; i < clients; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			c := client(h2)
			for j := 0; j < n/clients; j++ {
				response, err := c.Get(url)
				if err == nil {
					_, err = io.Copy(io.Discard, response.Body)
					response.Body.Close()
					if response.StatusCode != http.StatusOK {
						err = fmt.Errorf("%s: %s", url, response.Status)
					}
				}
				if err != nil {
					failures <- err
					return
				}
			}
		}()
	}
	wait.Wait()
	seconds := time.Since(begun).Seconds()
	select {
	case err := <-failures:
		return nil, err
	default:
		done := float64(n / clients * clients)
		return map[string]float64{"n": done, "per_second": done / seconds}, nil
	}
}

// Streams at the same time, each over a connection of its own.
func streams(h2 bool, url string, clients, tokens int, interval time.Duration) (any, error) {
	var wait sync.WaitGroup
	var lock sync.Mutex
	var lags []float64
	var cut int
	var reason string
	begun := time.Now()
	for i := 0; i < clients; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			s, err := ask(client(h2), url, "bench", tokens, interval)
			lock.Lock()
			defer lock.Unlock()
			lags = append(lags, s.lags...)
			if err != nil {
				cut++
				reason = err.Error()
			}
		}()
		time.Sleep(2 * time.Millisecond)
	}
	wait.Wait()
	return map[string]any{"lag": summary(lags), "cut": cut, "reason": reason, "seconds": time.Since(begun).Seconds()}, nil
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "upstream" {
		fmt.Fprintln(os.Stderr, upstream(os.Args[2]))
		os.Exit(1)
	}
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	h2 := flags.Bool("h2", false, "HTTP/2")
	model := flags.String("model", "bench", "name of the model")
	n := flags.Int("n", 1000, "requests")
	clients := flags.Int("c", 16, "clients")
	tokens := flags.Int("tokens", 100, "per stream")
	interval := flags.Duration("interval", 50*time.Millisecond, "between tokens")
	flags.Parse(os.Args[2:])
	url := strings.TrimSuffix(flags.Arg(0), "/")
	var result any
	var err error
	switch os.Args[1] {
	case "first":
		result, err = first(client(*h2), url, *model, *n, *interval)
	case "small":
		result, err = small(*h2, url, *n, *clients)
	case "streams":
		result, err = streams(*h2, url, *clients, *tokens, *interval)
	default:
		err = fmt.Errorf("unknown measurement %q", os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(result)
}

# The health check of the container hearth-ollama. What it can and can't detect: docs/decisions/0024.
# A stuck Ollama responds to /api/tags and to no prompt (ollama#17131). The evidence: httpd lists a request in flight (or,
# on a backend without an httpd, a gateway has a connection); and for $patience seconds no model's process computes or
# reads, and the server itself does not write or compute either. Then it exits with 1, and terminates the server if
# $HEARTH_HEAL_STUCK is 1: Docker restarts the container. It needs only bash, coreutils, getent and /proc, and uses no
# slot. The only models that it loads are those in $HEARTH_PRELOAD, once after each start (docs/decisions/0044).
set -u
export LC_ALL=C
patience=90           # s; httpd drops a client that does not read after 60, during which a healthy Ollama may wait
retry_after=600       # s; if stuck again sooner after a restart, another one would not help
small_cpu=20          # ticks (10 ms) of the models' processes that don't count as work: an idle one used none in 60 s
small_io=$((1 << 20)) # bytes read or written that don't count as work

state=/tmp/hearth-health gave_up=/tmp/hearth-gave-up # lost at a restart
healed=/root/.ollama/hearth-restarted                # kept
# A line for each attempt: the model's name and "loaded" or "failed". A deploy removes it to have them loaded again.
preload=/tmp/hearth-preload # lost at a restart

# Load $1 with the API's path $2, and keep it: sets code to the status code. A request without prompt or input only loads.
load() {
  local body="{\"model\":\"$1\",\"keep_alive\":-1}"
  code=''
  exec 3<>/dev/tcp/127.0.0.1/11434 || return
  printf 'POST %s HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' \
    "$2" "${#body}" "$body" >&3
  # It responds when the model is loaded; a load that stalls is ended by Ollama (ollama_load_timeout).
  read -r -t 3600 _ code _ <&3
  exec 3>&-
  code=${code%$'\r'}
}

# Load models one after the other. Only builtins: Ollama, as process 1, reaps no processes that it did not start.
load_all() { # models …
  local model code
  for model; do
    load "$model" /api/generate
    # An embedding model.
    [ "$code" != 400 ] || load "$model" /api/embed
    if [ "$code" = 200 ]; then
      echo "$model loaded" >>"$preload"
    else
      echo "$model failed" >>"$preload"
      echo "hearth: could not load $model (ollama_preload): ${code:+HTTP status }${code:-no response}" >/proc/1/fd/2
    fi
  done
}

# Load the models of $HEARTH_PRELOAD that exist and were not loaded yet, in the background: it may take minutes.
start_preload() { # output of `ollama list`
  local pid stat='' name _ existing=' ' model attempted failures pending=()
  if read -r pid 2>/dev/null <"$preload.pid" && read -r stat 2>/dev/null <"/proc/$pid/stat"; then
    # Still at it, unless it is a zombie, or another process got its number.
    [[ $stat == *' (bash) '[!Z]* ]] && return
  fi
  while read -r name _; do existing+="${name,,} "; done <<<"$1"
  for model in $HEARTH_PRELOAD; do
    # Ollama lists them with their tags.
    name=$model
    [[ ${name##*/} == *:* ]] || name+=:latest
    [[ $existing == *" ${name,,} "* ]] || continue # not pulled yet
    failures=0
    while read -r name attempted; do
      [ "$name" = "$model" ] || continue
      [ "$attempted" != loaded ] || continue 2
      failures=$((failures + 1))
    done 2>/dev/null <"$preload"
    ((failures >= 5)) || pending+=("$model")
  done
  [ ${#pending[@]} -gt 0 ] || return
  # Docker waits until nothing has this check's output open.
  load_all "${pending[@]}" </dev/null >/dev/null 2>&1 &
  echo $! >"$preload.pid"
}

status=0 # exit status if nothing is stuck
existing_models=$(timeout 12 ollama list) || status=1
[ -z "${HEARTH_PRELOAD:-}" ] || [ "$status" = 1 ] || start_preload "$existing_models"
# A response from Ollama's cloud needs no local process, so it would look stuck.
[ "${OLLAMA_NO_CLOUD:-}" = 1 ] || exit "$status"

log() { # to the health log, and to the container's log
  echo "$1"
  echo "hearth: $1" >/proc/1/fd/2
}

# Print httpd's ids of the requests in flight, in one line.
list_requests() {
  # shellcheck disable=SC2016  # for the other shell
  timeout 6 bash -c '
    exec 3<>/dev/tcp/httpd/80 &&
    printf "GET /hearth-requests HTTP/1.0\r\nHost: localhost\r\nUser-Agent: hearth-health\r\n\r\n" >&3 &&
    read -r _ code _ <&3 && [ "$code" = 200 ] || exit 1
    while read -r line && [ ${#line} -gt 1 ]; do :; done <&3
    read -r ids <&3 && echo "$ids"
  ' 2>/dev/null
}

# IPv4 addresses as /proc/net/tcp has them, each followed by a space.
to_hexadecimal() { # addresses …
  local address octets
  for address; do
    IFS=. read -r -a octets <<<"$address"
    printf '%02X%02X%02X%02X ' "${octets[3]}" "${octets[2]}" "${octets[1]}" "${octets[0]}"
  done
}

# Connections to port 11434 of this host's httpd if it has pools, and of $HEARTH_GATEWAYS, as ADDRESS:PORT in hexadecimal,
# each followed by a space.
list_connections() {
  local table connections=() address addresses=() ours='' _ remote here state_code queues
  for table in /proc/net/tcp /proc/net/tcp6; do
    while read -r _ here remote state_code queues _; do
      # Only if the other side has received all that was sent: it may have lost its power.
      [[ $here == *:2CAA && $state_code == 01 && $queues == 00000000:* ]] && connections+=("$remote")
    done 2>/dev/null <"$table"
  done
  [ ${#connections[@]} -gt 0 ] || return 0
  if [ -n "${HEARTH_POOLS:-}" ]; then
    # Docker's DNS server may be slow on a busy host: then use the last address.
    while read -r address _; do
      addresses+=("$address")
    done < <(RES_OPTIONS='timeout:2 attempts:2' timeout 4 getent ahostsv4 httpd)
    ours=$(to_hexadecimal ${addresses[@]+"${addresses[@]}"})
    if [ -n "$ours" ]; then echo "$ours" >"$state.httpd"; else ours=$(cat "$state.httpd" 2>/dev/null); fi
  fi
  # shellcheck disable=SC2086  # one word each
  ours=" $ours $(to_hexadecimal ${HEARTH_GATEWAYS:-})"
  for remote in "${connections[@]}"; do
    # An IPv4 address in the IPv6 table has the same last eight digits.
    address=${remote%:*}
    [[ $ours == *" ${address: -8} "* ]] && printf '%s ' "$remote"
  done
}

# The requests in flight. Without a connection to port 11434 there are none; with one, it may be idle, since httpd keeps
# them. If httpd does not respond, those of the last check. With pools, its list has also the requests to other
# backends, but it keeps no connections; nor do other gateways.
requests() {
  local table here state_code _
  if [ -n "${HEARTH_POOLS:-}${HEARTH_GATEWAYS:-}" ]; then
    list_connections
    return
  fi
  for table in /proc/net/tcp /proc/net/tcp6; do
    while read -r _ here _ state_code _; do
      if [[ $here == *:2CAA && $state_code == 01 ]]; then
        list_requests || echo "$then_requests"
        return
      fi
    done 2>/dev/null <"$table"
  done
}

# CPU ticks and bytes read and written by process $1 since its start: sets cpu, in and out.
work_of() {
  local line key value fields
  cpu=0 in=0 out=0
  read -r line 2>/dev/null <"/proc/$1/stat" || return 0
  read -r -a fields <<<"${line##*) }"
  cpu=$((fields[11] + fields[12]))
  while read -r key value; do
    case $key in
      read_bytes:) in=$value ;;
      write_bytes:) out=$value ;;
    esac
  done 2>/dev/null <"/proc/$1/io"
}

# Sets runners (pids of the models' processes, children of the server), runner_cpu, runner_in, server_cpu, server_out.
measure() {
  local path line fields
  runners='' runner_cpu=0 runner_in=0
  for path in /proc/[0-9]*; do
    read -r line 2>/dev/null <"$path/stat" || continue
    read -r -a fields <<<"${line##*) }"
    [ "${fields[1]}" = 1 ] && [ "${fields[0]}" != Z ] || continue
    # Our own, which waits for a model to be loaded.
    [[ $line != *' (bash) '* ]] || continue
    work_of "${path#/proc/}"
    runners+="${path#/proc/} " runner_cpu=$((runner_cpu + cpu)) runner_in=$((runner_in + in))
  done
  runners=${runners% }
  work_of 1
  server_cpu=$cpu server_out=$out
}

# Whether there was any activity since the counters in $state were taken, $idle seconds ago.
has_moved() {
  [ "$runners" != "$then_runners" ] || # one started or ended
    ((runner_cpu - then_runner_cpu > small_cpu || runner_in - then_runner_in > small_io)) ||
    # A pull or the creation of a model, which may send its only line at the end. A tenth of the CPU time, since the
    # server also responds to this check and the page.
    ((server_out - then_server_out > small_io || server_cpu - then_server_cpu > 10 * idle + small_cpu))
}

# Whether a request of the last check is still in flight.
still_waiting() {
  local one
  for one in $then_requests; do
    [[ " $now_requests " == *" $one "* ]] && return 0
  done
  return 1
}

read -r now _ </proc/uptime
now=${now%.*}
measure
idle=0 last=$now then_requests='' then_runners='' then_runner_cpu=0 then_runner_in=0 then_server_cpu=0 then_server_out=0
{
  read -r idle last
  read -r then_requests
  read -r then_runners
  read -r then_runner_cpu then_runner_in then_server_cpu then_server_out
} 2>/dev/null <"$state"
now_requests=$(requests)
since=$((now - last))
# Time during which the machine slept does not count.
idle=$((idle + (since > 45 ? 45 : since)))

if [ -z "$runners" ] || ! still_waiting || has_moved; then
  # Atomically: a check that takes too long is killed.
  printf '%s\n' "0 $now" "$now_requests" "$runners" "$runner_cpu $runner_in $server_cpu $server_out" >"$state.new"
  mv "$state.new" "$state"
  rm -f "$gave_up"
  [ -z "$now_requests" ] || echo "requests in flight: there is progress, or they are new"
  exit "$status"
fi
printf '%s\n' "$idle $now" "$now_requests" "$then_runners" \
  "$then_runner_cpu $then_runner_in $then_server_cpu $then_server_out" >"$state.new"
mv "$state.new" "$state"
read -r -a waiting <<<"$now_requests"
count=${#waiting[@]}
echo "$count request(s) waiting, no progress for $idle s"
# Fail earlier, too: Docker needs three failures in a row for "unhealthy".
[ "$idle" -ge "$patience" ] || exit $((status || idle >= patience / 3))

stuck="stuck: $count request(s) waiting, and no model has worked or been read for $idle s"
if [ "${HEARTH_HEAL_STUCK:-}" != 1 ]; then
  echo "$stuck; ollama_heal_stuck is off"
  exit 1
fi
if [ -e "$gave_up" ]; then
  echo "$stuck; not restarted again"
  exit 1
fi
time=$(date +%s) before=0
read -r before 2>/dev/null <"$healed"
if ((time - before >= 0 && time - before < retry_after)); then
  touch "$gave_up"
  log "$stuck, again, $((time - before)) s after a restart; not restarted again"
  exit 1
fi
# Without this record it would be restarted repeatedly.
if ! echo "$time" >"$healed"; then
  touch "$gave_up"
  log "$stuck; not restarted, since $healed can't be written"
  exit 1
fi
log "$stuck; restarted (ollama#17131)"
kill -TERM 1
# This check ends with the server. If it still runs, the server ignored TERM; QUIT ends a Go program at once.
sleep 8
log "the server did not exit within 8 s; killing it"
kill -QUIT 1
exit 1

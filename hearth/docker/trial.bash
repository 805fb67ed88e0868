# shellcheck shell=bash
# Test prompts from a host to its own httpd or Ollama. The scripts that use it set these variables, and define
# `show_model MODEL`.
: "${httpd:?}" "${ollama:?}" "${services:?}" "${prompt_patience:?}"

# One HTTP/1.0 request: no chunks, and the response ends with the connection. It goes to the proxy's published port;
# with "inside" from httpd's own container, which needs no credentials; with "ollama" from there directly to Ollama, on a
# backend from Ollama's own container.
http() { # port, method, path, body; prints the response
  local line code at=$1
  if [[ $at == inside || $at == ollama ]]; then
    local container=$httpd
    [[ $at == ollama ]] && at=ollama/11434 || at=80
    [[ $services == *httpd* ]] || container=$ollama at=127.0.0.1/11434
    docker exec "$container" bash -c "prompt_patience=$prompt_patience; $(declare -f http); http $at \"\$@\"" http "${@:2}"
    return
  fi
  [[ $at == */* ]] || at=127.0.0.1/$at
  exec 3<>"/dev/tcp/$at" || return 1
  # Without a browser's Accept, GET / returns Ollama's own text instead of the page.
  printf '%s %s HTTP/1.0\r\nHost: localhost\r\nAccept: text/html, */*\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' \
    "$2" "$3" "${#4}" "$4" >&3
  while
    IFS= read -r -t "$prompt_patience" line <&3
    code=$?
    ((code == 0)) || [[ $line ]]
  do
    printf '%s\n' "${line%$'\r'}"
    ((code == 0)) || break
  done
  exec 3>&-
  ((code <= 128)) || echo "no response for $prompt_patience s"
}

# The first model with a capability, according to Ollama. A model without any is assumed to chat.
first_with() { # "completion" or "embedding", models …
  local model response capabilities
  for model in "${@:2}"; do
    response=$(show_model "$model")
    capabilities=
    [[ $response =~ \"capabilities\":\[([^]]*)\] ]] && capabilities=${BASH_REMATCH[1]}
    if [[ $capabilities == *"\"$1\""* || (! $capabilities && $1 == completion) ]]; then
      echo "$model"
      return
    fi
  done
  return 1
}

# Whether the response to a test prompt is complete and not empty.
check_response() { # where the prompt was sent, response
  if [[ $2 != 'HTTP/1.'?' 200 '* || $2 != *'"done":true'* ]]; then
    echo "The test prompt to $1 did not complete: ${2%%$'\n'*} … ${2##*$'\n'}" >&2
    return 1
  fi
  if [[ ! $2 =~ \"(response|content|thinking)\":\"[^\"] ]]; then
    echo "The test prompt to $1 got an empty response: ${2##*$'\n'}" >&2
    return 1
  fi
}

# shellcheck shell=bash
# Runs inside the Ollama container, which has bash but no curl: creates a model through the server's API. A call is
# appended.
set -u
export LC_ALL=C # lengths are bytes

# HTTP/1.0 avoids chunked responses. A response that takes five minutes means that the server is stuck.
create() { # name, body in base64, digests of damaged files …
  local line='' status='' response='' reason store=${OLLAMA_MODELS:-/root/.ollama/models} request
  request=$(base64 -d <<<"$2") || exit
  for line in "${@:3}"; do rm -f "$store/blobs/${line/:/-}"; done
  if exec 3<>/dev/tcp/127.0.0.1/11434; then
    printf 'POST /api/create HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' \
      "${#request}" "$request" >&3
    IFS= read -r -t 300 status <&3
    while IFS= read -r -t 300 line <&3 || [[ $line ]]; do response=$line line=''; done
    exec 3>&-
  fi
  if [[ $status != *' 200 '* || $response == *'"error":'* ]]; then
    reason=${response#*'"error":"'}
    reason=${reason%\"\}*}
    echo "Could not create $1 (ollama_model_variants): ${reason:-Ollama does not respond (sudo docker logs hearth-ollama)}" >&2
    exit 1
  fi
  # The health check loads the models of ollama_preload again: this one may be among them.
  rm -f /tmp/hearth-preload
  # Ollama does not sync what it writes.
  sync -f "$store" 2>/dev/null || sync
  echo "$1: created"
}

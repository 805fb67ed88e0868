# Runs inside the Ollama container: pull a model through the server's API, telling how far it is.
# Arguments: model, name to pull it by (a registry's address may be in it), seconds without progress, retries.
set -u
model=$1 source=$2 patience=$3 retries=$4
insecure=false line=''
from="Ollama's library"
[[ $source == "$model" ]] || from=${source%/*}
[[ $source == http://* ]] && insecure=true

# One request to the server; the answer's lines go to standard output. HTTP/1.0, so that none comes in chunks.
request() {
  local method=$1 path=$2 body=$3
  exec 3<>/dev/tcp/127.0.0.1/11434 || return 1
  printf '%s %s HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' \
    "$method" "$path" "${#body}" "$body" >&3
}

field() { # of a one-line JSON object: a number or a string without quotes in it
  [[ $line =~ \"$1\":\"?([^\",}]*) ]] && printf '%s' "${BASH_REMATCH[1]}"
}

# Prints status changes and every tenth percent. Returns 0 when pulled, 1 when that may be tried again, 2 when not.
pull() {
  local line status said='' last=-1 completed moved=-1 since=$SECONDS
  request POST /api/pull "{\"model\":\"$source\",\"insecure\":$insecure,\"stream\":true}" || return 1
  while true; do
    # An error's JSON has no newline after it: then read ends with a failure and a line all the same.
    IFS= read -r -t "$patience" line <&3
    local code=$?
    if ((code > 128)) || { ((code != 0)) && [[ -z $line ]]; }; then
      echo "$model: the connection ended, or nothing came for $patience s" >&2
      return 1
    fi
    if [[ $line == *'"error":'* ]]; then
      local reason=${line#*'"error":'}
      reason=${reason#\"}
      echo "$model: ${reason%\"\}*}" >&2
      [[ $reason == *'does not exist'* || $reason == *'not found'* || $reason == *nauthorized* || $reason == *'no space left'* || $reason == *invalid* ]] && return 2
      return 1
    fi
    status=$(field status) || continue
    [[ $status == success ]] && return 0
    completed=$(field completed) || completed=0
    local total
    total=$(field total) || total=0
    if [[ $completed != "$moved" || $status != "$said" ]]; then moved=$completed since=$SECONDS; fi
    if ((SECONDS - since > patience)); then
      echo "$model: no progress for $patience s" >&2
      return 1
    fi
    if [[ $status != "$said" ]]; then
      said=$status last=-1
      [[ $total == 0 ]] && echo "$model: $status"
    fi
    if ((total > 0)); then
      local percent=$((completed * 100 / total))
      if ((percent / 10 > last / 10 || last < 0)); then
        echo "$model: $status: $percent% of $((total / 1000000)) MB"
        last=$percent
      fi
    fi
  done
}

for ((attempt = 0; attempt <= retries; attempt++)); do
  if ((attempt > 0)); then
    echo "$model: trying again ($attempt of $retries), from where it was …"
    sleep $((attempt * 3))
  fi
  pull
  result=$?
  exec 3>&-
  ((result == 0)) && break
  if ((result == 2 || attempt == retries)); then
    echo "Model $model could not be had from $from. Check its name (ollama_models) and the host's way out, then deploy again: what arrived is kept." >&2
    exit 1
  fi
done

# From a registry of one's own it came under that registry's name: give it the plain one.
if [[ $source != "$model" ]]; then
  bare=${source#*://}
  request POST /api/copy "{\"source\":\"$bare\",\"destination\":\"$model\"}" && IFS= read -r line <&3
  [[ $line == *' 200 '* ]] || { echo "Model $model came as $bare and could not be renamed: $line" >&2; exit 1; }
  exec 3>&-
  request DELETE /api/delete "{\"model\":\"$bare\"}" && IFS= read -r line <&3
fi
echo "$model: pulled"

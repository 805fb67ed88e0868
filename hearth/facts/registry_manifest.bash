# Runs on the host: ask registries for models' manifests. Arguments: model, URL of its manifest, model, URL, …
# For each prints "@@remote MODEL", then "200" and the manifest, or one line that says why there is none.
complaints=$(mktemp) && trap 'rm -f "$complaints"' EXIT || exit
accept='application/vnd.docker.distribution.manifest.v2+json'
patience=20
location=$'\nlocation: *([^\n]+)' # the header of a redirect, as a regular expression

# HTTP/1.0, so that no answer comes in chunks. A host has neither curl nor wget; openssl comes with ca-certificates.
ask() { # address, port, request, scheme
  if [[ $4 == http ]]; then
    # shellcheck disable=SC2016  # the inner bash expands these
    timeout "$patience" bash -c 'exec 3<>"/dev/tcp/$0/$1" && printf %s "$2" >&3 && cat <&3' "$1" "$2" "$3"
  else
    local check=(-servername "$1" -verify_hostname "$1")
    [[ $1 =~ ^[0-9.]+$ || $1 == *:* ]] && check=(-verify_ip "$1")
    [[ $1 == *:* ]] && set -- "[$1]" "$2" "$3"
    printf %s "$3" | timeout "$patience" openssl s_client -quiet -verify_return_error "${check[@]}" -connect "$1:$2"
  fi
}

fetch() { # url, redirects left
  local scheme=${1%%://*} rest=${1#*://} place port request answer code status head
  [[ $scheme == http ]] && port=80 || port=443
  place=${rest%%/*}
  if [[ $place =~ ^(.*):([0-9]+)$ ]]; then place=${BASH_REMATCH[1]} port=${BASH_REMATCH[2]}; fi
  place=${place#[} place=${place%]}
  request="GET /${rest#*/} HTTP/1.0"$'\r\n'"Host: ${rest%%/*}"$'\r\n'"Accept: $accept"$'\r\n'"User-Agent: hearth"$'\r\n\r\n'
  answer=$(ask "$place" "$port" "$request" "$scheme" 2>"$complaints" | tr -d '\r\0'; exit "${PIPESTATUS[0]}")
  code=$?
  if [[ ! $answer =~ ^HTTP/1\.[01]\ ([0-9]+) ]]; then
    answer=$(printf %s "$answer" | cat - "$complaints" | tr -s '\n\0' '  ')
    if ((code == 124)); then echo "no answer within $patience s"; else echo "no answer: ${answer:0:300}"; fi
    return
  fi
  status=${BASH_REMATCH[1]} head=${answer%%$'\n\n'*}
  shopt -s nocasematch
  if [[ $status == 30[1278] && $head =~ $location ]] && (($2 > 0)); then
    rest=${BASH_REMATCH[1]}
    [[ $rest == /* ]] && rest=${1%%://*}://${1#*://} && rest=${rest%%/v2/*}${BASH_REMATCH[1]}
    fetch "$rest" $(($2 - 1))
  elif [[ $status == 200 ]]; then
    echo 200
    printf '%s\n' "${answer#*$'\n\n'}"
  elif [[ $status == 404 ]]; then
    echo 'the registry does not have it (404)'
  else
    echo "the registry answered $status"
  fi
}

while (($# > 1)); do
  echo "@@remote $1"
  fetch "$2" 3
  shift 2
done

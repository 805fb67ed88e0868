# Runs on the host: ask registries for models' manifests. Arguments: model, URL of its manifest, model, URL, …
# For each prints "@@remote MODEL", then "200" and the manifest, or one line that says why there is none.
complaints=$(mktemp) && trap 'rm -f "$complaints"' EXIT || exit
accept='application/vnd.docker.distribution.manifest.v2+json'
patience=20
# Headers, as regular expressions: of a redirect, and how long to wait before the next request.
location=$'\nlocation: *([^\n]+)' later=$'\nretry-after: *([0-9]+)'

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

# Why a registry gave no answer, from what bash or openssl (by its numbers of verify errors) says of the connection.
silent() { # host, text
  case $2 in
    *verify\ error:num=9:* | *verify\ error:num=10:*)
      echo "the certificate of $1 has expired or is not yet valid: check the host's clock"
      ;;
    *verify\ error:num=62:* | *verify\ error:num=64:*)
      echo "the certificate is not valid for $1: check that address, and whether a firewall or proxy inspects TLS"
      ;;
    *verify\ error:num=18:* | *verify\ error:num=19:* | *verify\ error:num=2[01]:*)
      echo "the certificate of $1 is signed by an unknown authority: does a firewall or proxy inspect TLS?"
      ;;
    *'not known'* | *'name resolution'*) echo "the name $1 could not be resolved: check it and the host's DNS" ;;
    *onnection\ refused*) echo "no answer: $1 refused the connection" ;;
    *) echo "no answer: ${2:0:300}" ;;
  esac
}

# Why a registry refuses, from the status and the head of its answer.
refusal() { # host, status, head
  case $2 in
    401) echo "$1 requires a login (401)" ;;
    403 | 451) echo "$1 denies access ($2)" ;;
    404 | 410) echo "the registry does not have it ($2)" ;;
    412) echo 'it requires a newer version of Ollama (412): raise ollama_image' ;;
    429)
      local wait=''
      [[ $3 =~ $later ]] && wait=", try again in ${BASH_REMATCH[1]} s"
      echo "$1 limits the rate of requests (429)$wait"
      ;;
    5??) echo "$1 is temporarily unavailable ($2)" ;;
    *) echo "$1 answered with status $2" ;;
  esac
}

fetch() { # url, redirects left
  local scheme=${1%%://*} rest=${1#*://} place port request answer code status head
  [[ $scheme == http ]] && port=80 || port=443
  place=${rest%%/*}
  if [[ $place =~ ^(.*):([0-9]+)$ ]]; then place=${BASH_REMATCH[1]} port=${BASH_REMATCH[2]}; fi
  place=${place#[} place=${place%]}
  request="GET /${rest#*/} HTTP/1.0"$'\r\n'"Host: ${rest%%/*}"$'\r\n'"Accept: $accept"$'\r\n'"User-Agent: hearth"$'\r\n\r\n'
  answer=$(
    ask "$place" "$port" "$request" "$scheme" 2>"$complaints" | tr -d '\r\0'
    exit "${PIPESTATUS[0]}"
  )
  code=$?
  if [[ ! $answer =~ ^HTTP/1\.[01]\ ([0-9]+) ]]; then
    answer=$(printf %s "$answer" | cat - "$complaints" | tr -s '\n\0' '  ')
    if ((code == 124)); then echo "no answer within $patience s"; else silent "$place" "$answer"; fi
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
  else
    refusal "$place" "$status" "$head"
  fi
}

while (($# > 1)); do
  echo "@@remote $1"
  fetch "$2" 3
  shift 2
done

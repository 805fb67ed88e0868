# Runs on the host: fetches model manifests from registries. Arguments: model, URL of its manifest, model, URL, … For
# each prints "@@remote MODEL", then "200" and the manifest, or one line with the error. The file $proxy_file, if it
# exists, has HTTPS_PROXY and NO_PROXY.
errors=$(mktemp) && trap 'rm -f "$errors"' EXIT || exit
accept='application/vnd.docker.distribution.manifest.v2+json'
time_limit=20
# Regular expressions for headers: the target of a redirect, and the pause before the next request.
location=$'\nlocation: *([^\n]+)' later=$'\nretry-after: *([0-9]+)'

# Of the proxy: host:port, and options of openssl with user and password. The password is in no argument: every user of
# the host can read those.
proxy='' proxy_login=()
# shellcheck disable=SC1090  # written by Hearth
if [[ -r ${proxy_file:-} ]]; then
  . "$proxy_file"
  proxy=${HTTPS_PROXY#http://}
  if [[ $proxy == *@* ]]; then
    login=${proxy%@*} proxy=${proxy##*@}
    login=${login//%/\\x}
    printf -v user %b "${login%%:*}"
    printf -v proxy_password %b "${login#*:}"
    export proxy_password
    proxy_login=(-proxy_user "$user" -proxy_pass env:proxy_password)
  fi
fi

needs_proxy() { # host
  local one
  [[ $proxy ]] || return
  for one in ${NO_PROXY//,/ }; do [[ $1 == "$one" || $1 == *".$one" ]] && return 1; done
  return 0
}

# HTTP/1.0 avoids chunked responses. A host has neither curl nor wget; openssl comes with ca-certificates.
send_request() { # address, port, request, scheme
  if [[ $4 == http ]]; then
    # shellcheck disable=SC2016  # the inner bash expands these
    timeout "$time_limit" bash -c 'exec 3<>"/dev/tcp/$0/$1" && printf %s "$2" >&3 && cat <&3' "$1" "$2" "$3"
  else
    local check=(-servername "$1" -verify_hostname "$1")
    [[ $1 =~ ^[0-9.]+$ || $1 == *:* ]] && check=(-verify_ip "$1")
    needs_proxy "$1" && check+=(-proxy "$proxy" "${proxy_login[@]}")
    [[ $1 == *:* ]] && set -- "[$1]" "$2" "$3"
    printf %s "$3" | timeout "$time_limit" openssl s_client -quiet -verify_return_error "${check[@]}" -connect "$1:$2"
  fi
}

# Why a registry did not respond, from the output of bash or openssl (by its numbers of verify errors).
connect_error() { # host, text
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
    *Connection\ refused* | *connection\ refused*) echo "no response: $1 refused the connection" ;;
    *) echo "no response: ${2:0:300}" ;;
  esac
}

# Why a registry refuses, from the status and headers of its response.
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
    *) echo "$1 responded with status $2" ;;
  esac
}

fetch() { # url, redirects left
  local scheme=${1%%://*} rest=${1#*://} host port request response code status head
  [[ $scheme == http ]] && port=80 || port=443
  host=${rest%%/*}
  if [[ $host =~ ^(.*):([0-9]+)$ ]]; then host=${BASH_REMATCH[1]} port=${BASH_REMATCH[2]}; fi
  host=${host#[} host=${host%]}
  request="GET /${rest#*/} HTTP/1.0"$'\r\n'"Host: ${rest%%/*}"$'\r\n'"Accept: $accept"$'\r\n'"User-Agent: hearth"$'\r\n\r\n'
  response=$(
    send_request "$host" "$port" "$request" "$scheme" 2>"$errors" | tr -d '\r\0'
    exit "${PIPESTATUS[0]}"
  )
  code=$?
  if [[ ! $response =~ ^HTTP/1\.[01]\ ([0-9]+) ]]; then
    response=$(printf %s "$response" | cat - "$errors" | tr -s '\n\0' '  ')
    if ((code == 124)); then echo "no response within $time_limit s"; else connect_error "$host" "$response"; fi
    return
  fi
  status=${BASH_REMATCH[1]} head=${response%%$'\n\n'*}
  shopt -s nocasematch
  if [[ $status == 30[1278] && $head =~ $location ]] && (($2 > 0)); then
    rest=${BASH_REMATCH[1]}
    [[ $rest == /* ]] && rest=${1%%://*}://${1#*://} && rest=${rest%%/v2/*}${BASH_REMATCH[1]}
    fetch "$rest" $(($2 - 1))
  elif [[ $status == 200 ]]; then
    echo 200
    printf '%s\n' "${response#*$'\n\n'}"
  else
    refusal "$host" "$status" "$head"
  fi
}

while (($# > 1)); do
  echo "@@remote $1"
  fetch "$2" 3
  shift 2
done

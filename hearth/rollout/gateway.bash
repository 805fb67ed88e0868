# shellcheck shell=bash
# At a gateway: leave a backend out while a deploy changes it. hearth/rollout/gateway.py prepends variables, write_file.sh
# and trial.bash, and appends a call.
set -u
: "${root:?}" "${httpd:?}" "${conf:?}" "${marks:?}" "${backends:?}" "${patience:?}"
# httpd has to be able to read what is written.
umask 022

# Names of the backends that are left out.
marked() { sed -n 's/^Define DRAIN_\([^ ]*\) .*/\1/p' "$marks" 2>/dev/null; }

is_marked() { marked | grep -qxF "$1"; } # backend

# Whether httpd runs and lists this backend. It may be new, or httpd's configuration may be of an earlier Hearth.
is_listed() { # backend
  grep -qsF "\"^$backends/$1/" "$root/httpd/httpd.conf" && docker exec "$httpd" true 2>/dev/null
}

# The state of every backend in every balancer: "balancer URL state" lines, such as "0 http://192.168.1.20:11434 Init Ok".
# Drn: drained; HcFl: its health check failed; without Ok, it gets no requests.
states() {
  http inside GET "$backends?auto" '' 2>/dev/null | awk -F': ' '
    match($1, /^ProxyBalancer\[[0-9]+\]Worker\[[0-9]+\]/) {
      worker = substr($1, RSTART, RLENGTH)
      if ($1 == worker "Name") url[worker] = $2
      if ($1 == worker "Status") {
        split(worker, part, /[][]/)
        print part[2], url[worker], $2
      }
    }'
}

# Whether another backend is in use wherever this one shares a balancer.
has_others() { # URL
  states | awk -v url="$1" '
    $2 == url { mine[$1] = 1; next }
    { others[$1] = 1 }
    /Ok/ && !/Drn/ { used[$1] = 1 }
    END { for (one in mine) if (others[one]) { shared = 1; if (!used[one]) alone = 1 }; exit !(shared && !alone) }'
}

is_drained() { states | awk -v url="$1" '$2 == url && /Drn/ { found = 1 } END { exit !found }'; } # URL

is_used() { # URL
  states | awk -v url="$1" '$2 == url { found = 1; if (/Drn/ || !/Ok/) waits = 1 } END { exit !(found && !waits) }'
}

# Write the marks and reload httpd, which lets its responses finish.
mark() { # backends that are left out
  if (($#)); then
    printf 'Define DRAIN_%s +N\n' "$@" | put "$marks" || return 1
  else
    rm -f "$marks" || return 1
  fi
  docker exec "$httpd" httpd -f "$conf" -k graceful
}

# The new process answers only after the earlier one has stopped accepting connections.
wait_until() { # command …
  local end=$((SECONDS + patience))
  until "$@"; do
    if ((SECONDS >= end)); then
      echo "The state of the backends after $patience s:" >&2
      states >&2
      return 1
    fi
    sleep 0.2
  done
}

drain() { # backend, URL
  if ! is_listed "$1"; then
    echo "This gateway does not use $1 yet."
  elif ! is_marked "$1" && ! has_others "$2"; then
    echo "No other backend is in use in a pool of $1, so this gateway goes on sending requests to it."
  else
    # shellcheck disable=SC2046  # one word each
    mark $(marked | grep -vxF "$1") "$1" && wait_until is_drained "$2" || return 1
    echo "This gateway sends no new requests to $1."
  fi
}

backend='' # the one that is asked
show_model() { http inside POST "$backends/$backend/api/show" "{\"model\": \"$1\"}" 2>/dev/null; }

# Whether a backend answers a test prompt through this gateway.
try() { # backend, models …
  local model response
  backend=$1
  shift
  is_listed "$backend" || return 0
  if model=$(first_with completion "$@"); then
    response=$(http inside POST "$backends/$backend/api/generate" \
      "{\"model\": \"$model\", \"prompt\": \"Say hello.\", \"options\": {\"num_predict\": 16}, \"stream\": true}" 2>&1)
    check_response "$backend through this gateway" "$response" || return 1
    echo "A test prompt was answered by $backend through this gateway."
  elif model=$(first_with embedding "$@"); then
    response=$(http inside POST "$backends/$backend/api/embed" "{\"model\": \"$model\", \"input\": \"hello\"}" 2>&1)
    if [[ $response != 'HTTP/1.'?' 200 '* ]]; then
      echo "$model on $backend did not return an embedding through this gateway: ${response%%$'\n'*}" >&2
      return 1
    fi
  fi
}

# Use a backend again that was left out.
take_back() { # backend, URL
  local others
  is_marked "$1" || return 0
  others=$(marked | grep -vxF "$1")
  # shellcheck disable=SC2086  # one word each
  mark $others || return 1
  ! is_listed "$1" || wait_until is_used "$2" || return 1
  echo "This gateway uses $1 again."
}

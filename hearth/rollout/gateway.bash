# shellcheck shell=bash
# At a gateway: leave a backend out while a deploy changes it. hearth/rollout/gateway.py prepends variables, write_file.sh
# and trial.bash, and appends a call.
set -u
: "${root:?}" "${httpd:?}" "${conf:?}" "${marks:?}" "${backends:?}" "${patience:?}" "${pending:?}"
# httpd has to be able to read what is written.
umask 022

# Names of the backends that are left out.
marked() { sed -n 's/^Define DRAIN_\([^ ]*\) .*/\1/p' "$marks" 2>/dev/null; }

is_marked() { marked | grep -qxF "$1"; } # backend

runs() { docker exec "$httpd" true 2>/dev/null; }

# The backends in httpd.conf: "name URL" lines. It has the changes of this deploy only after the gateway's own turn.
listed() {
  sed -n "s|^ProxyPassMatch \"^$backends/\([^/]*\)/.*\" \"\(.*\)/\\\$1\".*|\1 \2|p" "$root/httpd/httpd.conf" 2>/dev/null
}

# How httpd.conf lists a backend: what has the same URL is the same backend, renamed or not; otherwise, what has the same
# name is the backend at an earlier URL. Sets `entry` and `entry_url`; fails if there is neither.
entry='' entry_url=''
locate() { # backend, URL ("" for any)
  read -r entry entry_url < <(listed | awk -v name="$1" -v url="$2" '
    $2 == url { same = $0 }
    $1 == name { named = $0 }
    END { print same ? same : named }')
  [[ $entry ]]
}

# Whether httpd.conf, which `locate` has read, lists another URL than the backend has after this deploy.
has_moved() { [[ $entry && $1 && $entry_url != "$1" ]]; } # URL

# What httpd says about itself. It is asked again and again, so not for as long as a prompt may take.
status() { prompt_patience=10 http inside GET "$backends?auto" '' 2>/dev/null; }

# The state of every backend in every balancer: "balancer URL state" lines, such as "0 http://192.168.1.20:11434 Init Ok".
# Drn: drained; HcFl: its health check failed; without Ok, it gets no requests.
states() {
  status | awk -F': ' '
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

# Whether httpd has room for the process of a reload, and of one more. The earlier ones stay until their last response ends;
# without room (ServerLimit), new requests would wait for that, too.
has_room() {
  awk '/^ServerLimit / { limit = $2 } /^Processes: / { count = $2 } END { exit limit && count + 1 >= limit }' \
    "$root/httpd/httpd.conf" - < <(status)
}

# Write the marks and reload httpd, which lets its responses finish. Sets `unread` if it refuses to read them: a deploy has
# written an httpd.conf that needs what only the next container has, such as a directory with certificates.
unread=''
mark() { # backends that are left out
  if ! has_room; then
    echo "Many reloads of httpd still let responses finish: waiting up to $patience s for some of them …"
    if ! wait_until has_room; then
      echo "They go on, and another reload would let new requests wait. Deploy again once they have finished." >&2
      return 1
    fi
  fi
  if (($#)); then
    printf 'Define DRAIN_%s +N\n' "$@" | put "$marks" || return 1
  else
    rm -f "$marks" || return 1
  fi
  # A stopped httpd reads them when it starts.
  runs && ! docker exec "$httpd" httpd -f "$conf" -k graceful || return 0
  [[ -e $pending ]] || return 1
  unread=1
  echo "httpd on this gateway keeps its earlier configuration, since a deploy has written one that needs a new" \
    "container. It reads which backends it has to leave out when it is replaced."
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
  if ! locate "$1" "$2"; then
    echo "This gateway does not use $1 yet."
  elif ! runs; then
    echo "httpd does not run on this gateway, so it sends no requests to $1."
  elif ! is_marked "$entry" && ! has_others "$entry_url"; then
    echo "No other backend is in use in a pool of $1, so this gateway goes on sending requests to it."
  else
    # shellcheck disable=SC2046  # one word each
    mark $(marked | grep -vxF "$entry") "$entry" || return 1
    if [[ $unread ]]; then
      echo "Until then, this gateway goes on sending requests to $1."
      return 0
    fi
    wait_until is_drained "$entry_url" || return 1
    echo "This gateway sends no new requests to $1."
  fi
}

show_model() { http inside POST "$backends/$entry/api/show" "{\"model\": \"$1\"}" 2>/dev/null; }

# Whether an Ollama answers at the URL in httpd.conf.
answers() { [[ $(http inside GET "$backends/$entry/api/tags" '' 2>/dev/null) == 'HTTP/1.'?' 200 '* ]]; }

# Whether a backend answers a test prompt through this gateway.
try() { # backend, URL, models …
  local name=$1 url=$2 model response present=()
  shift 2
  locate "$name" "$url" && runs || return 0
  if has_moved "$url"; then
    echo "This gateway still has $entry_url for $name; it tries $url in its own turn."
    return 0
  fi
  # A model that could not be pulled says nothing about the backend.
  for model in "$@"; do
    [[ $(show_model "$model") == 'HTTP/1.'?' 404 '* ]] || present+=("$model")
  done
  if ((! ${#present[@]})); then
    answers && return
    echo "$name does not answer through this gateway." >&2
    return 1
  elif model=$(first_with completion "${present[@]}"); then
    response=$(http inside POST "$backends/$entry/api/generate" \
      "{\"model\": \"$model\", \"prompt\": \"Say hello.\", \"options\": {\"num_predict\": 16}, \"stream\": true}" 2>&1)
    check_response "$name through this gateway" "$response" || return 1
    echo "A test prompt was answered by $name through this gateway."
  elif model=$(first_with embedding "${present[@]}"); then
    response=$(http inside POST "$backends/$entry/api/embed" "{\"model\": \"$model\", \"input\": \"hello\"}" 2>&1)
    if [[ $response != 'HTTP/1.'?' 200 '* ]]; then
      echo "$model on $name did not return an embedding through this gateway: ${response%%$'\n'*}" >&2
      return 1
    fi
  fi
}

is_left_out() { # backend, URL
  # A mark may be of a backend that is not listed any more.
  locate "$1" "$2" || entry=$1
  is_marked "$entry"
}

# Say that a backend keeps its mark.
keep_out() { # backend
  echo "This gateway does not use $1 for now. The next deploy to $1 or to this gateway tries it once more." >&2
}

# Use a backend again that was left out.
take_back() { # backend, URL
  local others
  is_left_out "$1" "$2" || return 0
  # After a rollback, it answers at its earlier URL.
  if has_moved "$2" && ! answers; then
    echo "This gateway still has $entry_url for $1; it uses $2 after its own turn, or after a deploy to it."
    return 0
  fi
  others=$(marked | grep -vxF "$entry")
  # shellcheck disable=SC2086  # one word each
  mark $others || return 1
  if [[ ! $unread && $entry_url ]] && runs && ! wait_until is_used "$entry_url"; then
    echo "$1 is not drained any more; httpd sends it requests as soon as it passes its health checks." >&2
    return 1
  fi
  echo "This gateway uses $1 again."
}

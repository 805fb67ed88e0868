# shellcheck shell=sh
# `bring_up SECONDS "OPTIONS" CONTAINER…`: Compose starts containers and waits until they are healthy. It would keep
# waiting for a container in a restart loop, during an outage, so it is stopped after three restarts.
restarts() { docker inspect --format '{{.Id}} {{.RestartCount}}' "$@" 2>/dev/null; }
bring_up() {
  seconds=$1 options=$2 polls=0
  shift 2
  before=$(restarts "$@")
  processes=$(docker inspect --format '{{.State.Pid}}' "$@" 2>/dev/null)
  # shellcheck disable=SC2086  # several fields
  docker compose --progress plain --ansi never up --detach --wait --wait-timeout "$seconds" --pull never $options &
  compose=$!
  # shellcheck disable=SC2086
  hasten $compose $processes &
  while kill -0 $compose 2>/dev/null; do
    sleep 1
    polls=$((polls + 1))
    [ $((polls % 5)) = 0 ] || continue
    # Ignore earlier restarts of a container that is not replaced.
    if restarts "$@" | awk -v before="$before" '
      BEGIN { n = split(before, word); for (i = 1; i < n; i += 2) old[word[i]] = word[i + 1] }
      $2 - old[$1] >= 3 { found = 1 }
      END { exit !found }'; then
      echo 'A container was restarted three times.' >&2
      kill $compose 2>/dev/null
      wait $compose
      return 1
    fi
  done
  wait $compose
}

# `hasten PROCESS MAIN…`, while PROCESS runs: a stopping httpd lets its workers finish their responses, but checks only
# once a second whether they have, while nothing listens on its port. It is signalled when the last one is gone. (In
# /proc, 0050 is port 80 and 0A means listening.)
hasten() {
  process=$1
  shift
  for main in "$@"; do
    while kill -0 "$process" 2>/dev/null && grep -qsx httpd "/proc/$main/comm"; do
      if ! grep -qs ':0050 [0-9A-F]*:0000 0A ' "/proc/$main/net/tcp" "/proc/$main/net/tcp6" && ! has_workers "$main"; then
        kill -s TERM "$main" 2>/dev/null
        break
      fi
      sleep 0.1
    done
  done
}
has_workers() {
  cat /proc/[0-9]*/stat 2>/dev/null |
    awk -v main="$1" '$2 == "(httpd)" && $3 != "Z" && $4 == main { found = 1 } END { exit !found }'
}

# `drain SECONDS HTTPD`: wait for at most SECONDS until no response streams through httpd, since replacing either
# container would cut it. After a reload, the responses of an earlier process are not in the list of the new one.
drain() {
  waited=0
  while [ $waited -lt "$1" ] && { [ -n "$(in_flight "$2")" ] || has_earlier_worker "$2"; }; do
    [ $waited != 0 ] || echo "A response is in flight: waiting up to $1 s for it to finish …"
    sleep 1
    waited=$((waited + 1))
  done
}
has_earlier_worker() {
  main=$(docker inspect --type container --format '{{.State.Pid}}' "$1" 2>/dev/null) && [ "${main:-0}" != 0 ] || return 1
  cat /proc/[0-9]*/stat 2>/dev/null |
    awk -v main="$main" '$2 == "(httpd)" && $3 != "Z" && $4 == main { count++ } END { exit count < 2 }'
}

# `match_mtu [MTU]`: Compose does not change an existing network, so remove those whose containers were created for another
# MTU (without an argument: the engine's default), with their containers.
match_mtu() {
  for container in hearth-ollama hearth-httpd; do
    was=$(docker inspect --type container --format '{{index .Config.Labels "hearth.mtu"}}' "$container" 2>/dev/null) || continue
    [ "$was" = "${1:-}" ] && continue
    echo "The networks' MTU changes; recreating them …"
    docker compose --progress plain --ansi never down
    return
  done
}

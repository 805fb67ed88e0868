# shellcheck shell=sh
# `bring_up SECONDS "OPTIONS" CONTAINER…`: Compose brings containers up and waits until they are healthy. It would wait on for a
# container that ends and is restarted over and over, while nothing serves: after three such restarts it is stopped.
restarts() { docker inspect --format '{{.Id}} {{.RestartCount}}' "$@" 2>/dev/null; }
bring_up() {
  seconds=$1 options=$2 looks=0
  shift 2
  before=$(restarts "$@")
  processes=$(docker inspect --format '{{.State.Pid}}' "$@" 2>/dev/null)
  # shellcheck disable=SC2086  # several words
  docker compose --progress plain --ansi never up --detach --wait --wait-timeout "$seconds" --pull never $options &
  compose=$!
  # shellcheck disable=SC2086
  hasten $compose $processes &
  while kill -0 $compose 2>/dev/null; do
    sleep 1
    looks=$((looks + 1))
    [ $((looks % 5)) = 0 ] || continue
    # Counts of earlier days, of a container that was left as it is, don't matter.
    if restarts "$@" | awk -v before="$before" '
      BEGIN { n = split(before, word); for (i = 1; i < n; i += 2) old[word[i]] = word[i + 1] }
      $2 - old[$1] >= 3 { found = 1 }
      END { exit !found }'; then
      echo 'A container ended and was restarted three times.' >&2
      kill $compose 2>/dev/null
      wait $compose
      return 1
    fi
  done
  wait $compose
}

# `hasten PROCESS MAIN…`, as long as PROCESS runs: an httpd that was asked to stop lets its workers end their answers, but
# looks only once a second whether they have, while nobody listens on its port any more. It is told when the last one is
# gone. (In /proc, 0050 is port 80 and 0A is listening.)
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

# `quiet SECONDS HTTPD`: wait until no answer streams through httpd, since replacing either container would cut it, and for
# SECONDS at most. What it shows to Ollama (port 11434 is 2CAA, an established connection 01) is seen in its network.
quiet() {
  pid=$(docker inspect --format '{{.State.Pid}}' "$2" 2>/dev/null) || return 0
  [ "${pid:-0}" != 0 ] || return 0
  waited=0
  while [ $waited -lt "$1" ] && grep -q ':2CAA 01 ' "/proc/$pid/net/tcp" 2>/dev/null; do
    [ $waited != 0 ] || echo "An answer is running: waiting up to $1 s for its end …"
    sleep 1
    waited=$((waited + 1))
  done
}

# `bring_up SECONDS CONTAINER…`: Compose brings all containers up and waits until they are healthy. It would wait on for a
# container that ends and is restarted over and over, while nothing serves: after three such restarts it is stopped.
restarts() { docker inspect --format '{{.Id}} {{.RestartCount}}' "$@" 2>/dev/null; }
bring_up() {
  seconds=$1 looks=0
  shift
  before=$(restarts "$@")
  docker compose --progress plain --ansi never up --detach --wait --wait-timeout "$seconds" --remove-orphans --pull never &
  compose=$!
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

# shellcheck shell=sh
# `wait_until_quiet SECONDS`: wait for at most SECONDS until no gateway has a connection to this host's Ollama (port 11434
# is 2CAA, 01 means established). Twice in a row: a request that waited for a slot takes it as soon as a response ends.
# Not counted: programs in its container, and the host's own httpd, which keeps idle connections and lists its requests.
# `connections` comes from docker/in_flight.sh.
is_quiet() {
  connections "$1" | awk -v own="$2" '
    $2 ~ /:2CAA$/ && $4 == "01" && index(own, substr($3, length($3) - 12, 8)) == 0 { found = 1 } END { exit found }'
}
# IPv4 addresses of a container as the kernel prints them, each followed by a space.
addresses_of() {
  docker inspect --type container --format '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}' "$1" 2>/dev/null |
    tr ' ' '\n' | awk -F . 'NF == 4 { printf "%02X%02X%02X%02X ", $4, $3, $2, $1 }'
}
wait_until_quiet() {
  pid=$(docker inspect --type container --format '{{.State.Pid}}' hearth-ollama 2>/dev/null) || return 0
  [ "${pid:-0}" != 0 ] || return 0
  own="0100007F $(addresses_of hearth-httpd)"
  waited=0 quiet=0
  while [ $quiet -lt 2 ] && [ $waited -lt "$1" ]; do
    if is_quiet "$pid" "$own"; then
      quiet=$((quiet + 1))
    else
      [ $waited != 0 ] || echo "A response is in flight: waiting up to $1 s for it to finish …"
      quiet=0
    fi
    sleep 1
    waited=$((waited + 1))
  done
}

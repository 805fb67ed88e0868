# shellcheck shell=sh
# `wait_until_quiet SECONDS`: wait for at most SECONDS until no gateway has a connection to this host's Ollama (port 11434
# is 2CAA, 01 means established). Twice in a row: a request that waited for a slot takes it as soon as a response ends.
is_quiet() {
  awk '$2 ~ /:2CAA$/ && $4 == "01" && $3 !~ /^0100007F:/ { found = 1 } END { exit found }' "/proc/$1/net/tcp" 2>/dev/null
}
wait_until_quiet() {
  pid=$(docker inspect --type container --format '{{.State.Pid}}' hearth-ollama 2>/dev/null) || return 0
  [ "${pid:-0}" != 0 ] || return 0
  waited=0 quiet=0
  while [ $quiet -lt 2 ] && [ $waited -lt "$1" ]; do
    if is_quiet "$pid"; then
      quiet=$((quiet + 1))
    else
      [ $waited != 0 ] || echo "A response is in flight: waiting up to $1 s for it to finish …"
      quiet=0
    fi
    sleep 1
    waited=$((waited + 1))
  done
}

# shellcheck shell=sh
# `in_flight HTTPD`: ids of the requests to Ollama in flight, in one line, as that container's httpd lists them, since
# its connections to Ollama may be idle (docs/decisions/0045). They are in its network namespace (port 11434 is 2CAA,
# 01 means established), and without any, nothing is in flight. An httpd configured by an earlier Hearth has no list,
# and no idle connections, so each of them is a request; likewise if httpd does not respond.
in_flight() {
  httpd_pid=$(docker inspect --type container --format '{{.State.Pid}}' "$1" 2>/dev/null) || return 0
  [ "${httpd_pid:-0}" != 0 ] || return 0
  connections=$(awk '$3 ~ /:2CAA$/ && $4 == "01" { printf "%s ", $2 }' "/proc/$httpd_pid/net/tcp" 2>/dev/null)
  [ -n "$connections" ] || return 0
  # shellcheck disable=SC2016  # for the container's shell
  docker exec "$1" timeout 5 bash -c '
    exec 3<>/dev/tcp/127.0.0.1/80 &&
    printf "GET /hearth-requests HTTP/1.0\r\nHost: localhost\r\nUser-Agent: hearth-health\r\n\r\n" >&3 &&
    read -r _ status _ <&3 && [ "$status" = 200 ] || exit 1
    while read -r line && [ ${#line} -gt 1 ]; do :; done <&3
    read -r ids <&3 && echo "$ids"
  ' 2>/dev/null || echo "$connections"
}

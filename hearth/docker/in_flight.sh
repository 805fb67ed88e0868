# shellcheck shell=sh
# `in_flight HTTPD`: ids of the requests to Ollama in flight, in one line, as that container's httpd lists them, since
# its connections to Ollama may be idle (docs/decisions/0045). Without any connection from its network namespace,
# nothing is in flight (01 means established, 0050 and 01BB are its own ports 80 and 443, and 0100007F is
# 127.0.0.1, for health checks; backends may have any port).
# An httpd configured by an earlier Hearth has no list, and no idle connections to Ollama (port 11434 is 2CAA), so each
# of them is a request; likewise if httpd does not respond. On a backend, which has no httpd, all connections to Ollama
# count: gateways keep no idle ones.
# `connections PID`: the connections in the network namespace of a process, as the kernel lists them: IPv4 ones of
# programs that listen on all addresses, such as Ollama, are in tcp6, with their addresses as the last eight digits.
connections() { cat "/proc/$1/net/tcp" "/proc/$1/net/tcp6" 2>/dev/null; }
in_flight() {
  if ! httpd_pid=$(docker inspect --type container --format '{{.State.Pid}}' "$1" 2>/dev/null); then
    backend_pid=$(docker inspect --type container --format '{{.State.Pid}}' hearth-ollama 2>/dev/null) || return 0
    connections "$backend_pid" | awk '$2 ~ /:2CAA$/ && $4 == "01" { printf "%s ", $3 }'
    return 0
  fi
  [ "${httpd_pid:-0}" != 0 ] || return 0
  outgoing=$(connections "$httpd_pid" | awk '$4 == "01" && $2 !~ /:(0050|01BB)$/ && $3 !~ /0100007F:(0050|01BB)$/')
  [ -n "$outgoing" ] || return 0
  to_ollama=$(echo "$outgoing" | awk '$3 ~ /:2CAA$/ { printf "%s ", $2 }')
  # shellcheck disable=SC2016  # for the container's shell
  docker exec "$1" timeout 5 bash -c '
    exec 3<>/dev/tcp/127.0.0.1/80 &&
    printf "GET /hearth-requests HTTP/1.0\r\nHost: localhost\r\nUser-Agent: hearth-health\r\n\r\n" >&3 &&
    read -r _ status _ <&3 && [ "$status" = 200 ] || exit 1
    while read -r line && [ ${#line} -gt 1 ]; do :; done <&3
    read -r ids <&3 && echo "$ids"
  ' 2>/dev/null || echo "$to_ollama"
}

# shellcheck shell=sh disable=SC2154
# Prints what the API of Ollama in $container says about its models, if it does. From the host, in the container's
# network: `docker exec` starts two container runtimes and a client of Ollama for that. HTTP/1.0 avoids a chunked
# response, and hosts have bash, but no curl.
pid=$(docker inspect --type container --format '{{.State.Pid}}' "$container" 2>/dev/null)
[ "${pid:-0}" = 0 ] || timeout 40 nsenter --target "$pid" --net bash -c '
  exec 3<>/dev/tcp/127.0.0.1/11434 && printf "GET /api/tags HTTP/1.0\r\nHost: localhost\r\n\r\n" >&3 && cat <&3
' 2>/dev/null | tail -n 1

# shellcheck shell=sh disable=SC2154  # $ollama is the name of its container
# Whether a GPU is required, what Ollama found at its start, and what is in memory.
echo @@gpu_use
gpu=$(docker inspect --format '{{range .Config.Env}}{{println .}}{{end}}' "$ollama" 2>/dev/null | sed -n 's/^HEARTH_GPU=//p')
if [ -n "$gpu" ]; then
  echo "wanted $gpu"
  started=$(docker inspect --format '{{.State.StartedAt}}' "$ollama")
  docker logs --since "$started" "$ollama" 2>&1 | grep -F 'msg="inference compute"' | tail -n 8 | cut -c -300 | sed 's/^/compute /'
  # shellcheck disable=SC2016  # for the container's shell
  docker exec "$ollama" timeout 10 bash -c '
    exec 3<>/dev/tcp/127.0.0.1/11434 && printf "GET /api/ps HTTP/1.0\r\n\r\n" >&3 && cat <&3
  ' 2>/dev/null | sed '1,/^\r*$/d' | tr -d '\n' | sed 's/^/ps /'
  echo
fi

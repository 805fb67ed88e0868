#!/usr/bin/env bash
# hearth-metrics.service: writes what httpd serves at /metrics, every $interval seconds. docs/metrics.md lists the
# metrics, docs/decisions/0039 has the reasons. It publishes no port, and reads httpd's access log but no prompt.
# Environment, from the unit: HEARTH_SLOTS (proxy_max_streams, or the sum of all pools), HEARTH_CERTIFICATES (a pattern for
# files, or ""), HEARTH_GATEWAY (1 on a host without an Ollama of its own).
set -uo pipefail
export LC_ALL=C
run=${HEARTH_RUN:-/run/hearth-metrics}
interval=${HEARTH_INTERVAL:-15}
here=$(dirname "$0")
releases=$here/../releases

# One metric per line: its name, type, and description.
known='
hearth_requests_total counter Requests, by route, status and caller.
hearth_request_bytes_total counter Bytes received with requests, headers included.
hearth_response_bytes_total counter Bytes sent in responses, headers included.
hearth_request_seconds_total counter Duration of all requests.
hearth_client_gone_total counter Responses whose client went away before the end.
hearth_first_byte_seconds histogram Time from a request to the first byte of its response; a prompt is read in it.
hearth_slots gauge Responses that may stream at the same time (proxy_max_streams, or the sum of all pools).
hearth_slots_in_use gauge Requests that are with Ollama now.
hearth_requests_waiting gauge Requests that wait for a slot now.
hearth_httpd_threads gauge Threads of httpd, by state.
hearth_ollama_up gauge Whether Ollama responds.
hearth_model_memory_bytes gauge Memory of each loaded model.
hearth_model_vram_bytes gauge The part of it on a graphics card.
hearth_model_disk_bytes gauge Disk space of each installed model.
hearth_container_running gauge Whether the container runs.
hearth_container_healthy gauge Whether its health check passes.
hearth_container_restarts gauge Restarts by Docker since the container was created.
hearth_container_start_time_seconds gauge When it started, in seconds since 1970.
hearth_certificate_expiry_time_seconds gauge When the certificate expires, in seconds since 1970.
hearth_disk_size_bytes gauge Size of the file system.
hearth_disk_free_bytes gauge Free space on it.
hearth_release_info gauge The release that serves, in its labels.
hearth_collect_time_seconds gauge When these figures were collected, in seconds since 1970.
hearth_collect_duration_seconds gauge How long that took.
'

# Run a program of the host in the network namespace of the process $1.
inside() {
  local pid=$1
  shift
  nsenter --net="/proc/$pid/ns/net" "$@"
}

containers() {
  local name pid running health restarts started
  local format='{{.Name}} {{.State.Pid}} {{.State.Running}} {{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}'
  format+=' {{.RestartCount}} {{.State.StartedAt}}'
  httpd_pid=0 ollama_pid=0
  while read -r name pid running health restarts started; do
    case $name in
      /hearth-httpd) httpd_pid=$pid ;;
      /hearth-ollama) ollama_pid=$pid ;;
    esac
    name=${name#/hearth-}
    echo "hearth_container_running{container=\"$name\"} $([ "$running" = true ] && echo 1 || echo 0)"
    echo "hearth_container_healthy{container=\"$name\"} $([ "$health" = healthy ] && echo 1 || echo 0)"
    echo "hearth_container_restarts{container=\"$name\"} $restarts"
    echo "hearth_container_start_time_seconds{container=\"$name\"} $(date -d "$started" +%s)"
  done < <(timeout 10 docker inspect --type container --format "$format" hearth-httpd hearth-ollama 2>/dev/null)
}

# Slots: httpd lists the requests in flight, which have one or wait for one. Uploads of model files need none.
slots() {
  local status ids total
  echo "hearth_slots ${HEARTH_SLOTS:?}"
  [ "$httpd_pid" != 0 ] || return 0
  # Not logged, like the health check.
  status=$(inside "$httpd_pid" curl -sf -m 5 -A hearth-health "http://127.0.0.1/hearth-status?auto") || return 0
  ids=$(inside "$httpd_pid" curl -sf -m 5 -A hearth-health http://127.0.0.1/hearth-requests) || return 0
  total=$(tr ' ' '\n' <<<"$ids" | grep -c '^[0-9]')
  echo "hearth_slots_in_use $((total < HEARTH_SLOTS ? total : HEARTH_SLOTS))"
  echo "hearth_requests_waiting $((total > HEARTH_SLOTS ? total - HEARTH_SLOTS : 0))"
  awk '$1 == "BusyWorkers:" { print "hearth_httpd_threads{state=\"busy\"} " $2 }
    $1 == "IdleWorkers:" { print "hearth_httpd_threads{state=\"idle\"} " $2 }' <<<"$status"
}

ollama() {
  local url=http://127.0.0.1:11434 loaded installed
  [ -z "${HEARTH_GATEWAY:-}" ] || return 0
  if [ "$ollama_pid" != 0 ] && loaded=$(inside "$ollama_pid" curl -sf -m 5 "$url/api/ps") &&
    installed=$(inside "$ollama_pid" curl -sf -m 5 "$url/api/tags"); then
    echo "hearth_ollama_up 1"
    jq -r '.models[]? | (.name | tojson) as $name | "hearth_model_memory_bytes{model=\($name)} \(.size)",
      "hearth_model_vram_bytes{model=\($name)} \(.size_vram)"' <<<"$loaded"
    jq -r '.models[]? | "hearth_model_disk_bytes{model=\(.name | tojson)} \(.size)"' <<<"$installed"
  else
    echo "hearth_ollama_up 0"
  fi
}

disks() {
  local disk path size free
  for disk in docker models; do
    [ "$disk" = docker ] && path=$docker_root || path=$models_root
    [ -n "$path" ] || continue
    read -r size free < <(df -B1 --output=size,avail "$path" 2>/dev/null | tail -n 1) || continue
    echo "hearth_disk_size_bytes{disk=\"$disk\"} $size"
    echo "hearth_disk_free_bytes{disk=\"$disk\"} $free"
  done
}

certificates() {
  local file end
  # shellcheck disable=SC2086 # a pattern
  for file in ${HEARTH_CERTIFICATES:-}; do
    end=$(openssl x509 -enddate -noout -in "$file" 2>/dev/null) || continue
    echo "hearth_certificate_expiry_time_seconds{file=\"$(basename "$file")\"} $(date -d "${end#*=}" +%s)"
  done
}

release() {
  local id
  id=$(cat "$releases/accepted" 2>/dev/null) || return 0
  jq -r '"hearth_release_info{id=\(.id | tojson),commit=\(.commit | tojson),created=\(.created | tojson)} 1"' \
    "$releases/$id/release.json" 2>/dev/null
}

collect() {
  local begin=$EPOCHREALTIME
  containers >"$run/containers" # not in a subshell: it sets variables
  cat "$run/containers"
  slots
  # Each of these is a line in Ollama's log, so once a minute.
  if ((passes % 4 == 0)); then ollama >"$run/ollama"; fi
  cat "$run/ollama"
  disks
  certificates
  release
  curl -s -m 5 --unix-socket "$run/mtail/socket" http://mtail/metrics | grep '^hearth_'
  echo "hearth_collect_time_seconds $(date +%s)"
  awk -v begin="$begin" -v end="$EPOCHREALTIME" 'BEGIN { printf "hearth_collect_duration_seconds %.3f\n", end - begin }'
}

# Each metric's lines together, after its type and description, as Prometheus' text format requires.
format() {
  awk -v known="$known" '
    BEGIN {
      count = split(known, lines, "\n")
      for (i = 1; i <= count; i++) if (split(lines[i], word, " ") > 2) {
        about = lines[i]; sub(/^[^ ]+ [^ ]+ /, "", about)
        names[++total] = word[1]
        head[word[1]] = "# HELP " word[1] " " about "\n# TYPE " word[1] " " word[2]
      }
    }
    {
      name = $0; sub(/[{ ].*/, "", name)
      if (!(name in head)) sub(/_(bucket|sum|count)$/, "", name)
      if (name in head) text[name] = text[name] "\n" $0
    }
    END { for (i = 1; i <= total; i++) if (names[i] in text) print head[names[i]] text[names[i]] }'
}

# httpd's access log, for mtail: also that of a new container, and without reading anything twice.
follow() {
  local since
  since=$(date +%s)
  while :; do
    docker logs --follow --since "$since" hearth-httpd 2>/dev/null
    since=$(date +%s)
    sleep 1
  done
}

trap 'kill $(jobs -p) 2>/dev/null' EXIT
trap 'exit 0' TERM INT
install -d -m 0755 "$run" "$run/public" || exit 1
install -d -m 0700 -o nobody -g nogroup "$run/mtail" || exit 1
rm -f "$run/mtail/socket" "$run/mtail/log"
mkfifo -m 0600 "$run/mtail/log" && chown nobody:nogroup "$run/mtail/log" || exit 1
# Open for reading, too: otherwise this would wait for mtail, and mtail would end with the first container.
exec 9<>"$run/mtail/log"
setpriv --reuid=nobody --regid=nogroup --clear-groups --no-new-privs mtail --progs "$here/requests.mtail" \
  --logs "$run/mtail/log" --unix_socket "$run/mtail/socket" --emit_prog_label=false --logtostderr --stderrthreshold=ERROR 9>&- &
mtail=$!
follow >&9 &
exec 9>&-

source_of_models='{{range .Mounts}}{{if eq .Destination "/root/.ollama"}}{{.Source}}{{end}}{{end}}'
docker_root='' models_root='' passes=0
while kill -0 "$mtail" 2>/dev/null; do
  # Once a minute: starting docker's command line is what costs most here.
  if ((passes % 4 == 0)); then
    docker_root=$(timeout 10 docker info --format '{{.DockerRootDir}}' 2>/dev/null)
    models_root=$(timeout 10 docker inspect --format "$source_of_models" hearth-ollama 2>/dev/null)
  fi
  collect | format >"$run/public/hearth.prom.new" && mv -f "$run/public/hearth.prom.new" "$run/public/hearth.prom"
  passes=$((passes + 1))
  sleep "$interval" &
  wait $!
done
echo "mtail has ended" >&2
exit 1

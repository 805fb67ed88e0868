# shellcheck shell=sh disable=SC2154  # the variables below are set by health_facts.py, and in_flight comes from docker/
# What Ollama does for the requests in flight, how often it ran out of memory, and whether httpd can reach it. $ollama
# and $httpd: container names; $conf: httpd.conf on the host; $backends: path of a gateway's backends; $killed: pattern of
# log lines about killed runners; $groups: mount point of the control groups; $providers: see below. Runs as root.
main_of() { docker inspect --type container --format '{{.State.Pid}}' "$1" 2>/dev/null; }
ollama_main=$(main_of "$ollama") httpd_main=$(main_of "$httpd")
has_pools=$(docker inspect --type container --format '{{json .Config.Env}}' "$ollama" 2>/dev/null | grep -F '"HEARTH_POOLS=')

# Each in a line. With pools, httpd's list has also the requests to other backends; each of its connections to this
# Ollama is a request then, in both namespaces (port 11434 is 2CAA, 01 means established).
# `connections` comes from docker/in_flight.sh.
requests() {
  if [ -n "$has_pools" ]; then
    for main in "$ollama_main" "$httpd_main"; do
      connections "$main"
      echo
    done | awk 'function last_digits(end) { return substr(end, length(end) - 12) }
      NF == 0 { tables++ }
      $4 != "01" { next }
      !tables { if ($2 ~ /:2CAA$/) here[last_digits($2) " " last_digits($3)]; next }
      last_digits($3) " " last_digits($2) in here { print last_digits($2) }'
    return
  fi
  in_flight "$httpd" | tr ' ' '\n' | grep .
}

# The models' processes (children of Ollama's): their pids, CPU ticks, and bytes read from disk.
work() {
  cat /proc/[0-9]*/stat 2>/dev/null | awk -v main="$ollama_main" '
    { process = $1; sub(/^.*\) /, "") }
    $2 == main && $1 != "Z" { print process, $12 + $13 }' | {
    processes='' ticks=0 bytes=0
    while read -r process its; do
      processes=$processes,$process ticks=$((ticks + its))
      bytes=$((bytes + $(awk '/^read_bytes/ { print $2; found = 1 } END { if (!found) print 0 }' "/proc/$process/io" 2>/dev/null || echo 0)))
    done
    echo "${processes:-,} $ticks $bytes"
  }
}

echo @@work
if [ "${ollama_main:-0}" != 0 ] && [ "${httpd_main:-0}" != 0 ]; then
  first=$(requests)
  if [ -n "$first" ]; then
    # shellcheck disable=SC2046  # three fields
    set -- $(work)
    started=$(cut -d . -f 1 /proc/uptime)
    while :; do
      sleep 2
      lasting=$(requests | grep -cxF "$first")
      now=$(work) seconds=$(($(cut -d . -f 1 /proc/uptime) - started))
      ticks=$(($(echo "$now" | cut -d ' ' -f 2) - $2)) bytes=$(($(echo "$now" | cut -d ' ' -f 3) - $3))
      # Done once a request has ended, or there is activity; an idle model's process shows none in a minute.
      [ "$lasting" != 0 ] || break
      [ "${now%% *}" = "$1" ] && [ $ticks -le 20 ] && [ $bytes -le 1048576 ] && [ $seconds -lt 30 ] || break
    done
    models=$(echo "${now%% *}" | tr -cd , | wc -c)
    [ "${now%% *}" != , ] || models=0
    # The counters of an ended process are lost.
    [ "${now%% *}" = "$1" ] || { ticks=100 bytes=0; }
    [ "$lasting" = 0 ] || echo "$lasting $models $seconds $ticks $bytes"
  fi
fi

echo @@kills
if [ "${ollama_main:-0}" != 0 ]; then
  # cgroup v2, and v1.
  group=$(sed -n 's/^0:://p' "/proc/$ollama_main/cgroup") first_kind=$(sed -n 's/^[0-9]*:memory://p' "/proc/$ollama_main/cgroup")
  cat "$groups$group/memory.events" "$groups/memory$first_kind/memory.oom_control" 2>/dev/null |
    awk '$1 == "oom_kill" { print "kernel", $2; exit }'
fi
echo "log $(docker logs --since 1h --tail 1000 "$ollama" 2>&1 | grep -cE "$killed")"

echo @@way
if [ "${ollama_main:-0}" != 0 ] && [ "${httpd_main:-0}" != 0 ]; then
  # shellcheck disable=SC2016  # for the container's shell
  said=$(docker exec "$httpd" timeout 10 bash -c '
    exec 3<>/dev/tcp/ollama/11434 && printf "GET /api/version HTTP/1.0\r\n\r\n" >&3 && read -r _ status _ <&3 && echo "$status"
  ' 2>&1)
  case $? in
    0) [ "$said" = 200 ] && echo ok || echo "status $said" ;;
    124) echo 'no response for 10 s' ;;
    *) echo "$said" | head -n 1 | sed 's/^bash: [a-z]* *[0-9]*: //' ;;
  esac
fi

# On a gateway: "POOL BACKEND" lines, and "BACKEND: STATUS MODEL …" lines, the status 000 without a response.
echo @@pools
awk '/^<Proxy "balancer:/ { pool = $2; gsub(/^"balancer:\/\/|">$/, "", pool) }
  pool !~ /-quick$/ && match($0, / route=[^ ]+/) { print pool, substr($0, RSTART + 7, RLENGTH - 7) }' "$conf" 2>/dev/null
echo @@backends
if [ "${httpd_main:-0}" != 0 ]; then
  sed -n "s,^ProxyPassMatch \"^$backends/\\([^/]*\\)/.*,\\1,p" "$conf" 2>/dev/null | while read -r backend; do
    # shellcheck disable=SC2016  # for the container's shell
    said=$(docker exec "$httpd" timeout 10 bash -c '
      exec 3<>/dev/tcp/127.0.0.1/80 &&
      printf "GET %s HTTP/1.0\r\nHost: localhost\r\nUser-Agent: hearth-health\r\n\r\n" "$0" >&3 && cat <&3
    ' "$backends/$backend/api/tags" 2>/dev/null)
    status=$(echo "$said" | sed -n '1s/^HTTP[^ ]* \([0-9]*\).*/\1/p')
    models=$(echo "$said" | grep -o '"name":"[^"]*"' | cut -d '"' -f 4 | tr '\n' ' ')
    echo "$backend: ${status:-000} $models"
  done
fi

# What the providers in the internet say to a request that costs nothing; $providers: their names. A line for each: name,
# status (0: no answer), and the error.
echo @@providers
if [ "${httpd_main:-0}" != 0 ]; then
  for provider in $providers; do
    # shellcheck disable=SC2016  # for the container's shell
    said=$(docker exec "$httpd" timeout 15 bash -c '
      exec 3<>/dev/tcp/127.0.0.1/80 &&
      printf "GET /%s/v1/models HTTP/1.0\r\nHost: localhost\r\nUser-Agent: hearth-health\r\n\r\n" "$0" >&3 &&
      read -r _ status _ <&3 || exit 1
      [ "$status" -ge 400 ] || exec echo "$status"
      while read -r line && [ ${#line} -gt 1 ]; do :; done <&3
      echo "$status $(head -c 400 <&3 | tr -d "\n\r")"
    ' "$provider" 2>/dev/null)
    echo "$provider ${said:-0}"
  done
fi

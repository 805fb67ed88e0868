# shellcheck shell=sh disable=SC2154  # the variables below are set in the line before it, see symptoms.py
# What Ollama does with the questions that are in flight, how often memory ran out for it, and whether httpd reaches it.
# $ollama and $httpd are the containers' names, $killed what the log says of a model's process that was killed, $groups
# where the kernel shows its control groups. As root.
main_of() { docker inspect --type container --format '{{.State.Pid}}' "$1" 2>/dev/null; }
ollama_main=$(main_of "$ollama") httpd_main=$(main_of "$httpd")

# Connections that httpd has to port 11434 (2CAA), by its own ports. It keeps none, so each is a request.
questions() { awk '$3 ~ /:2CAA$/ && $4 == "01" { print $2 }' "/proc/$httpd_main/net/tcp" 2>/dev/null; }

# The models' processes, which are children of Ollama's: their numbers, ticks of processor time, and bytes from disks.
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
  first=$(questions)
  if [ -n "$first" ]; then
    # shellcheck disable=SC2046  # three words
    set -- $(work)
    begun=$(cut -d . -f 1 /proc/uptime)
    while :; do
      sleep 2
      lasting=$(questions | grep -cxF "$first")
      now=$(work) seconds=$(($(cut -d . -f 1 /proc/uptime) - begun))
      ticks=$(($(echo "$now" | cut -d ' ' -f 2) - $2)) bytes=$(($(echo "$now" | cut -d ' ' -f 3) - $3))
      # It is over once a question ended, or something was done; an idle model's process uses none of it in a minute.
      [ "$lasting" != 0 ] || break
      [ "${now%% *}" = "$1" ] && [ $ticks -le 20 ] && [ $bytes -le 1048576 ] && [ $seconds -lt 30 ] || break
    done
    models=$(echo "${now%% *}" | tr -cd , | wc -c)
    [ "${now%% *}" != , ] || models=0
    # One that ended took its numbers with it.
    [ "${now%% *}" = "$1" ] || { ticks=100 bytes=0; }
    [ "$lasting" = 0 ] || echo "$lasting $models $seconds $ticks $bytes"
  fi
fi

echo @@kills
if [ "${ollama_main:-0}" != 0 ]; then
  # Of cgroups of the second kind, and of the first.
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
    124) echo 'no answer for 10 s' ;;
    *) echo "$said" | head -n 1 | sed 's/^bash: [a-z]* *[0-9]*: //' ;;
  esac
fi

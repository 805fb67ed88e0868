# The health check of the container hearth-ollama. What it can and can't detect: docs/decisions/0024.
# A stuck Ollama responds to /api/tags and to no prompt (ollama#17131). The evidence: a connection from httpd to Ollama,
# which is a request in flight, since httpd keeps no idle ones; and for $patience seconds no model's process computes or
# reads, and the server itself does not write or compute either. Then it exits with 1, and terminates the server if
# $HEARTH_HEAL_STUCK is 1: Docker restarts the container. It needs only bash, coreutils, getent and /proc, uses no slot
# and loads no model.
set -u
export LC_ALL=C
patience=90           # s; httpd drops a client that does not read after 60, during which a healthy Ollama may wait
retry_after=600       # s; if stuck again sooner after a restart, another one would not help
small_cpu=20          # ticks (10 ms) of the models' processes that don't count as work: an idle one used none in 60 s
small_io=$((1 << 20)) # bytes read or written that don't count as work

state=/tmp/hearth-health gave_up=/tmp/hearth-gave-up # lost at a restart
healed=/root/.ollama/hearth-restarted                # kept

status=0 # exit status if nothing is stuck
timeout 12 ollama list >/dev/null || status=1
# A response from Ollama's cloud needs no local process, so it would look stuck.
[ "${OLLAMA_NO_CLOUD:-}" = 1 ] || exit "$status"

log() { # to the health log, and to the container's log
  echo "$1"
  echo "hearth: $1" >/proc/1/fd/2
}

# httpd's connections to port 11434, as ADDRESS:PORT in hexadecimal, each followed by a space.
requests() {
  local table connections=() address ours='' _ remote here state_code
  for table in /proc/net/tcp /proc/net/tcp6; do
    while read -r _ here remote state_code _; do
      [[ $here == *:2CAA && $state_code == 01 ]] && connections+=("$remote")
    done 2>/dev/null <"$table"
  done
  [ ${#connections[@]} -gt 0 ] || return 0
  # Docker's DNS server forwards queries for missing names, and may be slow on a busy host: then use the last address.
  while read -r address _; do
    IFS=. read -r -a octets <<<"$address"
    printf -v ours '%s %02X%02X%02X%02X ' "$ours" "${octets[3]}" "${octets[2]}" "${octets[1]}" "${octets[0]}"
  done < <(RES_OPTIONS='timeout:2 attempts:2' timeout 4 getent ahostsv4 httpd)
  if [ -n "$ours" ]; then echo "$ours" >"$state.httpd"; else ours=$(cat "$state.httpd" 2>/dev/null); fi
  for remote in "${connections[@]}"; do
    # An IPv4 address in the IPv6 table has the same last eight digits.
    address=${remote%:*}
    [[ $ours == *" ${address: -8} "* ]] && printf '%s ' "$remote"
  done
}

# CPU ticks and bytes read and written by process $1 since its start: sets cpu, in and out.
work_of() {
  local line key value fields
  cpu=0 in=0 out=0
  read -r line 2>/dev/null <"/proc/$1/stat" || return 0
  read -r -a fields <<<"${line##*) }"
  cpu=$((fields[11] + fields[12]))
  while read -r key value; do
    case $key in
      read_bytes:) in=$value ;;
      write_bytes:) out=$value ;;
    esac
  done 2>/dev/null <"/proc/$1/io"
}

# Sets runners (pids of the models' processes, children of the server), runner_cpu, runner_in, server_cpu, server_out.
measure() {
  local path line fields
  runners='' runner_cpu=0 runner_in=0
  for path in /proc/[0-9]*; do
    read -r line 2>/dev/null <"$path/stat" || continue
    read -r -a fields <<<"${line##*) }"
    [ "${fields[1]}" = 1 ] && [ "${fields[0]}" != Z ] || continue
    work_of "${path#/proc/}"
    runners+="${path#/proc/} " runner_cpu=$((runner_cpu + cpu)) runner_in=$((runner_in + in))
  done
  runners=${runners% }
  work_of 1
  server_cpu=$cpu server_out=$out
}

# Whether there was any activity since the counters in $state were taken, $idle seconds ago.
has_moved() {
  [ "$runners" != "$then_runners" ] || # one started or ended
    ((runner_cpu - then_runner_cpu > small_cpu || runner_in - then_runner_in > small_io)) ||
    # A pull or the creation of a model, which may send its only line at the end. A tenth of the CPU time, since the
    # server also responds to this check and the page.
    ((server_out - then_server_out > small_io || server_cpu - then_server_cpu > 10 * idle + small_cpu))
}

# Whether a request of the last check is still in flight.
still_waiting() {
  local one
  for one in $then_requests; do
    [[ " $now_requests" == *" $one "* ]] && return 0
  done
  return 1
}

read -r now _ </proc/uptime
now=${now%.*}
now_requests=$(requests)
measure
idle=0 last=$now then_requests='' then_runners='' then_runner_cpu=0 then_runner_in=0 then_server_cpu=0 then_server_out=0
{
  read -r idle last
  read -r then_requests
  read -r then_runners
  read -r then_runner_cpu then_runner_in then_server_cpu then_server_out
} 2>/dev/null <"$state"
since=$((now - last))
# Time during which the machine slept does not count.
idle=$((idle + (since > 45 ? 45 : since)))

if [ -z "$runners" ] || ! still_waiting || has_moved; then
  # Atomically: a check that takes too long is killed.
  printf '%s\n' "0 $now" "$now_requests" "$runners" "$runner_cpu $runner_in $server_cpu $server_out" >"$state.new"
  mv "$state.new" "$state"
  rm -f "$gave_up"
  [ -z "$now_requests" ] || echo "requests in flight: there is progress, or they are new"
  exit "$status"
fi
printf '%s\n' "$idle $now" "$now_requests" "$then_runners" \
  "$then_runner_cpu $then_runner_in $then_server_cpu $then_server_out" >"$state.new"
mv "$state.new" "$state"
read -r -a waiting <<<"$now_requests"
count=${#waiting[@]}
echo "$count request(s) waiting, no progress for $idle s"
# Fail earlier, too: Docker needs three failures in a row for "unhealthy".
[ "$idle" -ge "$patience" ] || exit $((status || idle >= patience / 3))

stuck="stuck: $count request(s) waiting, and no model has worked or been read for $idle s"
if [ "${HEARTH_HEAL_STUCK:-}" != 1 ]; then
  echo "$stuck; ollama_heal_stuck is off"
  exit 1
fi
if [ -e "$gave_up" ]; then
  echo "$stuck; not restarted again"
  exit 1
fi
time=$(date +%s) before=0
read -r before 2>/dev/null <"$healed"
if ((time - before >= 0 && time - before < retry_after)); then
  touch "$gave_up"
  log "$stuck, again, $((time - before)) s after a restart; not restarted again"
  exit 1
fi
# Without this record it would be restarted repeatedly.
if ! echo "$time" >"$healed"; then
  touch "$gave_up"
  log "$stuck; not restarted, since $healed can't be written"
  exit 1
fi
log "$stuck; restarted (ollama#17131)"
kill -TERM 1
# This check ends with the server. If it still runs, the server ignored TERM; QUIT ends a Go program at once.
sleep 8
log "the server did not exit within 8 s; killing it"
kill -QUIT 1
exit 1

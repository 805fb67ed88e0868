# Health check of the container hearth-ollama; nothing else runs it. What it detects and what not: docs/decisions/0024.
#
# A stuck Ollama responds to /api/tags but to no prompt (ollama#17131). The evidence: a connection from httpd to Ollama,
# which is an in-flight request, since httpd reuses none; and for $patience seconds, no model's process computes or reads,
# and the server does not write or compute either. Then it exits 1, and ends the server if $HEARTH_HEAL_STUCK is 1: Docker
# restarts the container. Needs only bash, coreutils, getent and /proc; uses no slot and loads no model.
set -u
export LC_ALL=C
patience=90           # s; httpd drops a client that does not read after 60, and until then a healthy Ollama may wait
at_once=600           # s; if it is stuck again this soon after a restart, another one would not help
small_cpu=20          # ticks (10 ms) of the models' processes that count as idle: an idle one used none in 60 s
small_io=$((1 << 20)) # bytes read or written that count as idle

state=/tmp/hearth-health gave_up=/tmp/hearth-gave-up # deleted by a restart
healed=/root/.ollama/hearth-restarted                # survives a restart

answers=0 # exit code if nothing is stuck
timeout 12 ollama list >/dev/null || answers=1
# A response from Ollama's cloud needs no process here, so it can't be distinguished from a stuck one.
[ "${OLLAMA_NO_CLOUD:-}" = 1 ] || exit "$answers"

say() { # to the health log and the container's log
  echo "$1"
  echo "hearth: $1" >/proc/1/fd/2
}

# httpd's connections to port 11434, as ADDRESS:PORT in hexadecimal, each followed by a space.
questions() {
  local table connections=() address ours='' _ there here status
  for table in /proc/net/tcp /proc/net/tcp6; do
    while read -r _ here there status _; do
      [[ $here == *:2CAA && $status == 01 ]] && connections+=("$there")
    done 2>/dev/null <"$table"
  done
  [ ${#connections[@]} -gt 0 ] || return 0
  # Docker's DNS server forwards unknown names, and may be slow on a busy host: then the last address counts.
  while read -r address _; do
    IFS=. read -r -a octets <<<"$address"
    printf -v ours '%s %02X%02X%02X%02X ' "$ours" "${octets[3]}" "${octets[2]}" "${octets[1]}" "${octets[0]}"
  done < <(RES_OPTIONS='timeout:2 attempts:2' timeout 4 getent ahostsv4 httpd)
  if [ -n "$ours" ]; then echo "$ours" >"$state.httpd"; else ours=$(cat "$state.httpd" 2>/dev/null); fi
  for there in "${connections[@]}"; do
    # IPv4 addresses in the IPv6 table have the same last eight digits.
    address=${there%:*}
    [[ $ours == *" ${address: -8} "* ]] && printf '%s ' "$there"
  done
}

# The work of process $1 since its start: sets cpu (ticks), in and out (bytes read from and written to disks).
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

# Sets runners (the models' processes: children of the server), runner_cpu, runner_in, server_cpu and server_out.
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

# Whether there was any progress since the counters in $state were recorded, $idle seconds ago.
has_moved() {
  [ "$runners" != "$then_runners" ] || # one started or exited
    ((runner_cpu - then_runner_cpu > small_cpu || runner_in - then_runner_in > small_io)) ||
    # Pulling or creating a model may respond with a single line when it completes. Only a tenth of the processor time
    # counts: the server also responds to this check and the page.
    ((server_out - then_server_out > small_io || server_cpu - then_server_cpu > 10 * idle + small_cpu))
}

# Whether a request from the previous check is still in flight.
one_waits() {
  local one
  for one in $then_questions; do
    [[ " $now_questions" == *" $one "* ]] && return 0
  done
  return 1
}

read -r now _ </proc/uptime
now=${now%.*}
now_questions=$(questions)
measure
idle=0 last=$now then_questions='' then_runners='' then_runner_cpu=0 then_runner_in=0 then_server_cpu=0 then_server_out=0
{
  read -r idle last
  read -r then_questions
  read -r then_runners
  read -r then_runner_cpu then_runner_in then_server_cpu then_server_out
} 2>/dev/null <"$state"
since=$((now - last))
# A suspended machine made no progress meanwhile.
idle=$((idle + (since > 45 ? 45 : since)))

if [ -z "$runners" ] || ! one_waits || has_moved; then
  # Replaced atomically: a check that takes too long is killed.
  printf '%s\n' "0 $now" "$now_questions" "$runners" "$runner_cpu $runner_in $server_cpu $server_out" >"$state.new"
  mv "$state.new" "$state"
  rm -f "$gave_up"
  [ -z "$now_questions" ] || echo "questions in flight, which is fine: something is done, or they are new"
  exit "$answers"
fi
printf '%s\n' "$idle $now" "$now_questions" "$then_runners" \
  "$then_runner_cpu $then_runner_in $then_server_cpu $then_server_out" >"$state.new"
mv "$state.new" "$state"
read -r -a waiting <<<"$now_questions"
count=${#waiting[@]}
echo "$count question(s) wait, and nothing was done for $idle s"
# Also earlier, so Docker has its three consecutive failures at the same time.
[ "$idle" -ge "$patience" ] || exit $((answers || idle >= patience / 3))

stuck="stuck: $count question(s) wait, and no model has worked or was read for $idle s"
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
if ((time - before >= 0 && time - before < at_once)); then
  touch "$gave_up"
  say "$stuck, again, $((time - before)) s after a restart for it; no more of them"
  exit 1
fi
# Without this record, it would be restarted endlessly.
if ! echo "$time" >"$healed"; then
  touch "$gave_up"
  say "$stuck; not restarted, since $healed can't be written"
  exit 1
fi
say "$stuck; restarted (ollama#17131)"
kill -TERM 1
# This check ends with the server. If it still runs, the server ignores TERM; on QUIT, Go exits immediately.
sleep 8
say "the server did not end within 8 s; it is killed"
kill -QUIT 1
exit 1

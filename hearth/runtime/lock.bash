# shellcheck shell=bash
# Runs on the host, as root, for as long as a deploy does: holds the lock while its standard input stays open.
# Arguments: lock file, who holds it, seconds without a sign of life of the other side.
# Says `taken`, or `held` and by whom.
lock=$1 who=$2 patience=$3

exec 9<>"$lock" || exit
if ! flock --nonblock 9; then
  echo "held $(head -n 1 "$lock")"
  exit
fi
echo "$who" >"$lock"

# The session that brought us: the nearest sshd above this process, and the connection that it serves.
session='' connection=''
for ((pid = $$; pid > 1; pid = parent)); do
  parent=$(sed -n 's/^PPid:\t//p' "/proc/$pid/status") && [[ $parent ]] || break
  if [[ $parent != 0 && $(<"/proc/$parent/comm") == sshd* ]]; then
    session=$parent
    connection=$(tr '\0' '\n' <"/proc/$pid/environ" | sed -n 's/^SSH_CONNECTION=//p')
    break
  fi
done
read -r _ client _ server <<<"$connection"

# Milliseconds since the other side's kernel last acknowledged anything; nothing where that can't be known.
silence() {
  [[ $connection ]] &&
    ss -Htni "( sport = :$server and dport = :$client )" 2>/dev/null | sed -n 's/.*lastack:\([0-9]*\).*/\1/p'
}

echo taken
while true; do
  read -r -t 20 && continue
  (($? > 128)) || break # the end of the connection
  # A byte to acknowledge. pyinfra itself could not send any: it stands still while it asks whether to begin.
  echo || break
  age=$(silence)
  if ((${age:-0} > patience * 1000)); then
    # A control machine that lost its power, or sleeps. Its session ends with its hold: were it to wake up and go on,
    # it would get in the way of the next.
    : >"$lock"
    kill "$session"
    break
  fi
done
: >"$lock"

# shellcheck shell=bash
# Runs on the host, as root, during a deploy: holds the lock while its standard input stays open.
# Arguments: lock file, who holds it, seconds without a response from the control machine, files to remove in the end.
# Prints `taken`, or `held` and the holder.
lock=$1 who=$2 timeout=$3
shift 3

exec 9<>"$lock" || exit
if ! flock --nonblock 9; then
  echo "held $(head -n 1 "$lock")"
  exit
fi
echo "$who" >"$lock"

# Our own ssh session: the nearest sshd among this process's ancestors, and its connection.
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

# Milliseconds since the other side's kernel last acknowledged a packet; empty if unknown.
silence() {
  [[ $connection ]] &&
    ss -Htni "( sport = :$server and dport = :$client )" 2>/dev/null | sed -n 's/.*lastack:\([0-9]*\).*/\1/p'
}

# What an interrupted run leaves behind.
trap 'rm -f -- "$@"' EXIT
echo taken
while true; do
  read -r -t 20 && continue
  (($? > 128)) || break # the end of the connection
  # A byte to acknowledge. pyinfra itself can't send one: it is blocked while it prompts for confirmation.
  echo || break
  age=$(silence)
  if ((${age:-0} > timeout * 1000)); then
    # The control machine lost power or is asleep. End its session along with its lock: if it woke up and continued, it
    # would interfere with the next deploy.
    : >"$lock"
    kill "$session"
    break
  fi
done
: >"$lock"

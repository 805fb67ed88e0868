# shellcheck shell=dash  # or bash: Debian's sh
# Functions for scripts that use apt, on a host that has only Debian's essential packages.
# $apt_timeout: total seconds to wait for other users of apt (docker_apt_timeout).
export DEBIAN_FRONTEND=noninteractive
apt_report=$(mktemp)
trap 'rm -f "$apt_report"' EXIT

apt_seconds() { cut -d . -f 1 /proc/uptime; } # monotonic, unlike the clock
apt_deadline=$(($(apt_seconds) + ${apt_timeout:?}))

# The holder of one of apt's locks, as "unattended-upgr (process 812)"; nothing if they are free. The kernel's table has
# only inode numbers, which are not unique across file systems, so also check that the process has that file open.
apt_holder() {
  for lock in /var/lib/apt/lists/lock /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/cache/apt/archives/lock; do
    inode=$(stat -c %i "$lock" 2>/dev/null) || continue
    holders=$(awk -v "inode=$inode" '$2 == "POSIX" && split($6, at, ":") && at[3] == inode {print $5}' /proc/locks)
    for holder in $holders; do
      for file in "/proc/$holder/fd/"*; do
        if [ "$file" -ef "$lock" ]; then
          echo "$(cat "/proc/$holder/comm") (process $holder)"
          return
        fi
      done
    done
  done
}

# Wait until nobody else uses apt. Its own DPkg::Lock::Timeout does not apply to `apt-get update`, and waits silently.
apt_wait() {
  next=0
  while holder=$(apt_holder) && [ -n "$holder" ]; do
    now=$(apt_seconds)
    left=$((apt_deadline - now))
    if [ "$left" -le 0 ]; then
      echo "apt is still in use by $holder after $apt_timeout s (docker_apt_timeout). Wait for it to finish, or stop it," \
        "then deploy again." >&2
      exit 1
    fi
    if [ "$now" -ge "$next" ]; then
      echo "Waiting for apt, which $holder is using; up to $left s …"
      next=$((now + 30))
    fi
    sleep 2
  done
}

# apt-get, with live output and a copy in $apt_report. Returns its exit code through a separate pipe: on a full disk the
# report may be incomplete.
apt_get() {
  apt_wait
  # apt handles others that start after apt_wait.
  left=$((apt_deadline - $(apt_seconds)))
  exec 3>&1
  code=$(
    {
      {
        code=0
        apt-get -qq -o DPkg::Lock::Timeout=$((left > 0 ? left : 0)) -o Acquire::Retries=3 \
          -o Acquire::http::Timeout=60 -o Acquire::https::Timeout=60 -o Dpkg::Use-Pty=0 \
          -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@" 2>&1 </dev/null 3>&- 4>&- || code=$?
        echo $code >&4
      } | tee "$apt_report" >&3
    } 4>&1
  )
  exec 3>&-
  return "${code:-1}"
}

# Exit after a failed apt-get, and explain errors about dates.
apt_fail() {
  if grep -qE 'not valid yet|expired|EXPKEYSIG|not yet activated' "$apt_report"; then
    echo "apt rejects the downloaded data because of its date (see above); the host's clock says $(date -u '+%F %H:%M')" \
      "UTC. If that is wrong, run \`sudo timedatectl set-ntp true\` there, wait a minute, then deploy again. If it is" \
      "correct, the package source is out of date." >&2
  fi
  exit 1
}

apt_get_or_fail() { apt_get "$@" || apt_fail; }

# Whether a package is half installed or dpkg was interrupted, for example by a power failure.
apt_interrupted() {
  for update in /var/lib/dpkg/updates/[0-9]*; do
    [ ! -e "$update" ] || return 0
  done
  dpkg-query -W -f '${db:Status-Status} ${db:Status-Eflag}\n' 2>/dev/null |
    grep -qvE '^(installed|config-files|not-installed) ok$'
}

# Finish an interrupted installation; apt-get refuses everything else until then.
apt_finish() {
  apt_interrupted || return 0
  echo 'Finishing an interrupted installation …'
  apt_wait
  # What dpkg can't configure (for example because a package is missing) is repaired by apt, or reported.
  dpkg --configure -a --force-confdef --force-confold </dev/null || true
}

apt_update() {
  echo 'Reading the package lists …'
  # Without translations, which are a third of the data; existing ones are kept.
  apt_get_or_fail -o Acquire::Languages=none -o APT::Get::List-Cleanup=0 update
}

# Install packages. Archives damaged by a power failure are downloaded again: apt only checks their size.
apt_install() {
  if apt_interrupted; then apt_get_or_fail -y -f install; fi
  names=$(printf ', %s' "$@")
  echo "Installing ${names#, } …"
  if ! apt_get -y --no-install-recommends install "$@"; then
    grep -qE 'not a Debian format archive|unexpected end of file|corrupted|lzma error|decompress' "$apt_report" ||
      apt_fail
    echo 'A package file is damaged; downloading it again …'
    apt_get_or_fail clean
    apt_get_or_fail -y -f install
    apt_get_or_fail -y --no-install-recommends install "$@"
  fi
}

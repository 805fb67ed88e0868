# shellcheck shell=dash  # or bash: Debian's sh
# Functions for scripts that use apt, on a host that has nothing but Debian's essential packages.
# $apt_timeout: seconds to wait, in all, for others to be done with apt (docker_apt_timeout).
export DEBIAN_FRONTEND=noninteractive
apt_report=$(mktemp)
trap 'rm -f "$apt_report"' EXIT

apt_seconds() { cut -d . -f 1 /proc/uptime; } # the clock may be set while we wait
apt_deadline=$(($(apt_seconds) + ${apt_timeout:?}))

# "unattended-upgr (process 812)", which holds one of apt's locks; nothing if nobody does. The kernel's table tells by
# inode number alone, which other file systems use too: so the process must have that very file open.
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

# Wait until nobody else uses apt. Its own DPkg::Lock::Timeout does not hold for `apt-get update`, and waits in silence.
apt_wait() {
  next=0
  while holder=$(apt_holder) && [ -n "$holder" ]; do
    now=$(apt_seconds)
    left=$((apt_deadline - now))
    if [ "$left" -le 0 ]; then
      echo "apt is still in use by $holder after $apt_timeout s (docker_apt_timeout). Let that end, or stop it," \
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

# apt-get, with its output live, and once more in $apt_report. Fails as it does. Its exit code comes by a way of its own:
# the report may be cut short by the very disk that is full.
apt_get() {
  apt_wait
  # Races with others that come after apt_wait are left to apt.
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

# The end of a script whose apt-get failed, after saying what apt's words mean where they concern the date.
apt_give_up() {
  if grep -qE 'not valid yet|expired|EXPKEYSIG|not yet activated' "$apt_report"; then
    echo "apt refuses what it fetched because of its date (see above); the host's clock says $(date -u '+%F %H:%M')" \
      "UTC. If that is wrong, run \`sudo timedatectl set-ntp true\` there, wait a minute, then deploy again. If it is" \
      "right, the package source itself is out of date." >&2
  fi
  exit 1
}

apt_must() { apt_get "$@" || apt_give_up; }

# Whether a package was left half there, or dpkg was interrupted: by a power cut, say.
apt_interrupted() {
  for update in /var/lib/dpkg/updates/[0-9]*; do
    [ ! -e "$update" ] || return 0
  done
  dpkg-query -W -f '${db:Status-Status} ${db:Status-Eflag}\n' 2>/dev/null |
    grep -qvE '^(installed|config-files|not-installed) ok$'
}

# Finish what an interrupted apt began; apt-get refuses everything else until that is done.
apt_finish() {
  apt_interrupted || return 0
  echo 'Finishing an installation that was interrupted …'
  apt_wait
  # What it can't configure (for want of another package, say) is apt's to repair, which says what is wrong if it can't.
  dpkg --configure -a --force-confdef --force-confold </dev/null || true
}

apt_update() {
  echo 'Reading the package lists …'
  # Without the descriptions' translations, a third of what is fetched and read; those that are there stay.
  apt_must -o Acquire::Languages=none -o APT::Get::List-Cleanup=0 update
}

# Install packages. Archives that a power cut left broken are fetched anew: apt looks at their size alone.
apt_install() {
  if apt_interrupted; then apt_must -y -f install; fi
  names=$(printf ', %s' "$@")
  echo "Installing ${names#, } …"
  if ! apt_get -y --no-install-recommends install "$@"; then
    grep -qE 'not a Debian format archive|unexpected end of file|corrupted|lzma error|decompress' "$apt_report" ||
      apt_give_up
    echo 'A package file is broken; fetching it again …'
    apt_must clean
    apt_must -y -f install
    apt_must -y --no-install-recommends install "$@"
  fi
}

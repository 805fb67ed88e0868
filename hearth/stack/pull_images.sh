# shellcheck shell=sh
# Functions for scripts that pull images. Settings of theirs: $attempt_seconds (for one attempt at one image),
# $stall_seconds (without progress), $retries.
lock=/opt/hearth/images.lock
# "boot reference" lines: pulls that were begun and are not safely on the disk.
mark=/opt/hearth/.pulling
boot=$(cat /proc/sys/kernel/random/boot_id)

seconds() { cut -d . -f 1 /proc/uptime; } # the clock may be set while we wait

# Lines of a file about other images than $2, which is the field number $3. Garbage goes.
others() {
  cat "$1" 2>/dev/null | reference=$2 field=$3 awk 'NF == 2 && $ENVIRON["field"] != ENVIRON["reference"]'
}

# Write down in a table which image a reference leads to.
record() { # table, reference, id
  {
    others "$1" "$2" 1
    echo "$2 $3"
  } | put "$1"
}

# Before a pull. Where the host went down during one, layers may be on the disk without their content, since the engine
# does not wait for the disk: so a mark of another boot says that an image can't be trusted. It stays as it is until then.
begin() {
  for reference; do
    suspect "$reference" || {
      others "$mark" "$reference" 2
      echo "$boot $reference"
    } | put "$mark"
  done
}

suspect() { # a mark of another boot?
  cat "$mark" 2>/dev/null | reference=$1 boot=$boot awk '
    $2 == ENVIRON["reference"] && $1 != ENVIRON["boot"] { found = 1 } END { exit !found }'
}

forget() {
  others "$mark" "$1" 2 | put "$mark"
  [ -s "$mark" ] || rm -f "$mark"
}

# What Docker's client drew on a terminal, as lines of text.
drawn() { tr '\r' '\n' <"$1" | sed 's/\x1b\[[0-9;?]*[A-Za-z]//g; s/[[:cntrl:]]//g'; }

# Of a pull that goes on: bytes that arrived, bytes in all, layers of unknown size, layers unpacked, layers.
far() {
  drawn "$1" | awk '
    function bytes(text) {
      unit = text; sub(/^[0-9.]+/, "", unit)
      return text * (unit == "GB" ? 1e9 : unit == "MB" ? 1e6 : unit == "kB" ? 1e3 : 1)
    }
    { id = $1; sub(/:$/, "", id); if (id == $1 || length(id) != 12 || id ~ /[^0-9a-f]/) next }
    $2 == "Already" { delete state[id]; next }
    { state[id] = $2 " " $3 }
    $2 == "Downloading" {
      for (i = 3; i <= NF; i++) if ($i ~ /^[0-9.]+[kMG]?B\/[0-9.]+[kMG]?B$/) {
        split($i, part, "/"); got[id] = bytes(part[1]); all[id] = bytes(part[2])
      }
    }
    END {
      for (id in state) {
        layers++
        if (state[id] == "Pull complete") unpacked++
        if (state[id] ~ /^(Downloading|Pulling|Waiting)/) { if (!all[id]) unknown++ } else got[id] = all[id]
        here += got[id]; whole += all[id]
      }
      printf "%.0f %.0f %d %d %d\n", here, whole, unknown, unpacked, layers
    }'
}

amount() {
  if [ "$1" -ge 1000000000 ]; then echo "$(($1 / 1000000000)).$(($1 / 100000000 % 10)) GB"; else
    echo "$((($1 + 500000) / 1000000)) MB"
  fi
}

duration() { if [ "$1" -ge 60 ]; then echo "$(($1 / 60)) min $(($1 % 60)) s"; else echo "$1 s"; fi; }

# One line of progress, if there is any since the last: how much of how much, how fast, how long it still takes.
# $here_before and $then are the bytes of the last time ("" at first), and when that was.
tell() { # log
  # shellcheck disable=SC2046  # five words
  set -- $(far "$1")
  [ "${5:-0}" != 0 ] || return 0
  if [ "$2" = 0 ]; then line=''; elif [ "$1" -lt "$2" ] || [ "$3" != 0 ]; then
    line="$(amount "$1") of $([ "$3" = 0 ] || echo 'at least ')$(amount "$2") ($(($1 * 100 / $2))%)"
    rate=0 # of the first time nobody knows what was there before
    [ -z "$here_before" ] || rate=$((($1 - here_before) / (now > then ? now - then : 1)))
    [ $rate -lt 100000 ] || line="$line, $((rate / 1000000)).$((rate / 100000 % 10)) MB/s"
    [ $rate -lt 100000 ] || [ "$3" != 0 ] || line="$line, $(duration $((($2 - $1) / rate))) left"
    [ "$4" = 0 ] || line="$line; $4 of $5 layers unpacked"
  elif [ "$4" -lt "$5" ]; then line="all $(amount "$2") are there; $4 of $5 layers unpacked"; else line=''; fi
  here_before=$1 then=$now
  [ -z "$line" ] || [ "$line" = "$line_before" ] || echo "$line"
  line_before=$line
}

# The last line of progress, of a pull that went well.
tell_end() { # log
  # shellcheck disable=SC2046
  set -- $(far "$1")
  [ "${2:-0}" = 0 ] || echo "all $(amount "$2") are there; $4 of $5 layers unpacked"
}

# End a pull that does not get on: $1 is its process, which may have one below it, $2 what it draws. The engine tells its
# client of every step of downloading and unpacking, whether the client shows it or not; so what the client has read grows
# as long as it gets on. (Seen with Docker 26. An engine with containerd's image store repeats itself even when nothing
# happens, and a kernel may not count: there, only $attempt_seconds end an attempt.)
watch_over() {
  : "${attempt_seconds:?}" "${stall_seconds:?}"
  begun=$(seconds) since=$begun before='' looks=0 here_before='' then=$begun line_before='' done_before=0
  while sleep 2 >/dev/null 2>&1; do
    now=$(seconds) looks=$((looks + 1))
    done=$(grep -ao 'Pull complete' "$2" | wc -l)
    if [ $((looks % 5)) = 2 ] || [ "$done" != "$done_before" ]; then tell "$2"; fi
    done_before=$done
    all="$1 $(cat "/proc/$1/task/$1/children" 2>/dev/null)"
    # shellcheck disable=SC2086  # several words
    heard=$(for one in $all; do sed -n 's/^rchar: //p' "/proc/$one/io" 2>/dev/null; done)
    if [ "$heard" != "$before" ]; then before=$heard since=$now; fi
    if [ -n "$heard" ] && [ $((now - since)) -ge "$stall_seconds" ]; then
      echo "no progress for $stall_seconds s (docker_pull_stall_timeout)"
    elif [ $((now - begun)) -ge "$attempt_seconds" ]; then
      echo "not there after $attempt_seconds s (docker_pull_timeout)"
    else
      continue
    fi
    # shellcheck disable=SC2086
    kill -9 $all 2>/dev/null
    return
  done
}

# One image, with retries, drawn into $log: layers that arrived are kept between them.
pull() {
  attempt=0
  while true; do
    : >"$log"
    # On a terminal Docker's client says how far it is, which it does to nobody else. What it draws goes into a file.
    if command -v script >/dev/null; then
      # shellcheck disable=SC2016  # for the shell that `script` starts, to which the reference is a value, not text
      reference=$1 SHELL=/bin/sh script -qefc 'exec docker pull "$reference"' "$log" </dev/null >/dev/null 2>&1 &
    else
      docker pull "$1" >"$log" 2>&1 &
    fi
    puller=$!
    watch_over $puller "$log" &
    watcher=$!
    # A shell would say "Killed" of one that was.
    if { wait $puller; } 2>/dev/null; then code=0; else code=1; fi
    kill $watcher 2>/dev/null || true
    wait $watcher 2>/dev/null || true
    [ $code != 0 ] || tell_end "$log"
    # Its other words: not what it says of single layers, nor what `script` says of itself.
    drawn "$log" | grep -vE '^(Script (started|done)|[0-9a-f]{12}: |[[:space:]]*$)' || true
    [ $code = 0 ] && return
    attempt=$((attempt + 1))
    [ $attempt -gt "${retries:?}" ] && return 1
    echo "trying again ($attempt of $retries) …"
    sleep $((attempt * 5))
  done
}

# The first half of fetching anew what can't be trusted: only what is complete can be removed with all its layers.
complete() {
  suspect "$1" || return 0
  echo 'the host went down while this was being pulled; fetching it anew …'
  pull "$1"
}

# A function for each image that has not failed yet, all at the same time: while one downloads, the other unpacks.
# $work/N is there for each that failed.
each() { # function, references
  todo=$1 number=0
  shift
  for reference; do
    number=$((number + 1))
    [ ! -e "$work/$number" ] || continue
    {
      log=$work/$number.log
      "$todo" "$reference" || : >"$work/$number"
    } 2>&1 |
      while IFS= read -r line; do printf '%s: %s\n' "$reference" "$line"; done &
  done
  wait
}

# All at once, when all are complete: they may share layers, and a layer goes with the last image that has it.
remove_untrusted() {
  number=0
  for reference; do
    shift
    number=$((number + 1))
    if suspect "$reference" && [ ! -e "$work/$number" ]; then set -- "$@" "$reference"; fi
  done
  [ $# = 0 ] || docker rmi --force "$@" || true
}

# Whether a disk had no room since $began. The client says so of Docker Hub alone: behind a mirror, it goes on to the
# next registry, and its last words are about that one.
ran_full() {
  grep -qs 'no space left on device' "$work"/*.log ||
    journalctl --quiet --no-pager --unit docker --since "@$began" 2>/dev/null | grep -q 'no space left on device'
}

# Pull images.
pull_all() {
  work=$(mktemp -d)
  began=$(date +%s)
  trap 'rm -rf "$work"' EXIT
  begin "$@"
  each complete "$@"
  remove_untrusted "$@"
  each pull "$@"
  sync
  number=0 failed=0
  for reference; do
    number=$((number + 1))
    # The mark of a failure is a file, which a full disk may have no room for: the engine must have the image, too.
    if [ ! -e "$work/$number" ] && id=$(docker image inspect --format '{{.Id}}' "$reference"); then
      record "$lock" "$reference" "$id"
      forget "$reference"
      continue
    fi
    failed=1
    # What of it is on the disk now is whole.
    suspect "$reference" || forget "$reference"
    if ran_full; then
      echo "Image $reference could not be pulled: the host's disk ran full meanwhile. Make room there" \
        "(\`df -h\` and \`sudo docker system df\` show where it went), then deploy again." >&2
    else
      echo "Image $reference could not be pulled (see above). Check its name, the host's network and" \
        "docker_registry_mirrors, then deploy again: what arrived is kept." >&2
    fi
  done
  return $failed
}

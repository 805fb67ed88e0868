# Functions for scripts that pull images. Settings of theirs: $attempt_seconds (for one attempt at one image),
# $stall_seconds (without progress), $retries.
lock=/opt/hearth/images.lock
# "boot reference" lines: pulls that were begun and are not safely on the disk.
mark=/opt/hearth/.pulling
boot=$(cat /proc/sys/kernel/random/boot_id)

seconds() { cut -d . -f 1 /proc/uptime; } # the clock may be set while we wait

# Put standard input into a file, whole or not at all, also where the power goes away.
put() {
  mkdir -p "${1%/*}"
  cat >"$1.new"
  sync "$1.new"
  mv "$1.new" "$1"
  sync "${1%/*}"
}

# Lines of a file about other images than $2, which is the field number $3. Garbage goes.
others() {
  cat "$1" 2>/dev/null | reference=$2 field=$3 awk 'NF == 2 && $ENVIRON["field"] != ENVIRON["reference"]'
}

# Write down in a table which image a reference leads to.
record() { # table, reference, id
  { others "$1" "$2" 1; echo "$2 $3"; } | put "$1"
}

# Before a pull. Where the host went down during one, layers may be on the disk without their content, since the engine
# does not wait for the disk: so a mark of another boot says that an image can't be trusted. It stays as it is until then.
begin() {
  for reference; do
    suspect "$reference" || { others "$mark" "$reference" 2; echo "$boot $reference"; } | put "$mark"
  done
}

suspect() { # a mark of another boot?
  cat "$mark" 2>/dev/null | reference=$1 boot=$boot awk '
    $2 == ENVIRON["reference"] && $1 != ENVIRON["boot"] { found = 1 } END { exit !found }'
}

forget() { others "$mark" "$1" 2 | put "$mark"; [ -s "$mark" ] || rm "$mark"; }

# End a pull that does not get on: $1 is its process, $2 what to say it of. The engine tells its client of every step of
# downloading and unpacking, whether the client shows it or not; so what the client has read grows as long as it gets on.
# (Seen with Docker 26. An engine with containerd's image store repeats itself even when nothing happens, and a kernel may
# not count: there, only $attempt_seconds end an attempt.)
watch_over() {
  begun=$(seconds) since=$begun before=''
  while sleep 2 >/dev/null 2>&1; do
    now=$(seconds)
    heard=$(sed -n 's/^rchar: //p' "/proc/$1/io" 2>/dev/null)
    if [ "$heard" != "$before" ]; then before=$heard since=$now; fi
    if [ -n "$heard" ] && [ $((now - since)) -ge "$stall_seconds" ]; then
      echo "no progress for $stall_seconds s (docker_pull_stall)"
    elif [ $((now - begun)) -ge "$attempt_seconds" ]; then
      echo "not there after $attempt_seconds s (docker_pull_timeout)"
    else
      continue
    fi
    kill -9 "$1"
    return
  done
}

# One image, with retries: layers that arrived are kept between them.
pull() {
  attempt=0
  while true; do
    docker pull "$1" &
    puller=$!
    watch_over $puller &
    watcher=$!
    # A shell would say "Killed" of one that was.
    if { wait $puller; } 2>/dev/null; then code=0; else code=1; fi
    kill $watcher 2>/dev/null || true
    wait $watcher 2>/dev/null || true
    [ $code = 0 ] && return
    attempt=$((attempt + 1))
    [ $attempt -gt "$retries" ] && return 1
    echo "trying again ($attempt of $retries) …"
    sleep $((attempt * 5))
  done
}

fetch() {
  if suspect "$1"; then
    echo 'the host went down while this was being pulled; fetching it anew …'
    # Only what is complete can be removed with all its layers, and only then are they fetched again.
    pull "$1" || return
    docker rmi --force "$1" || true
  fi
  pull "$1"
}

# Pull images, all at the same time: while one downloads, the other unpacks.
pull_all() {
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  begin "$@"
  number=0
  for reference; do
    number=$((number + 1))
    { fetch "$reference" || : >"$work/$number"; } 2>&1 |
      while IFS= read -r line; do printf '%s: %s\n' "$reference" "$line"; done &
  done
  wait
  sync
  number=0 failed=0
  for reference; do
    number=$((number + 1))
    if [ ! -e "$work/$number" ]; then
      record "$lock" "$reference" "$(docker image inspect --format '{{.Id}}' "$reference")"
      forget "$reference"
      continue
    fi
    failed=1
    # What of it is on the disk now is whole.
    suspect "$reference" || forget "$reference"
    echo "Image $reference could not be pulled (see above). Check its name, the host's network and" \
      "docker_registry_mirrors, then deploy again: what arrived is kept." >&2
  done
  return $failed
}

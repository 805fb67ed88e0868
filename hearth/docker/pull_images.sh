# shellcheck shell=sh
# Functions for scripts that pull images. Parameters: $attempt_seconds (limit for one attempt at one image),
# $stall_seconds (without progress), $retries.
lock=/opt/hearth/images.lock
# Lines "boot reference": pulls that were started and may not be on disk completely.
mark=/opt/hearth/.pulling
boot=$(cat /proc/sys/kernel/random/boot_id)

seconds() { cut -d . -f 1 /proc/uptime; } # monotonic, unlike the clock

# Lines of file $1 except those about image $2, which is in field number $3. Drops invalid lines.
other_lines() {
  cat "$1" 2>/dev/null | reference=$2 field=$3 awk 'NF == 2 && $ENVIRON["field"] != ENVIRON["reference"]'
}

# Record the image of a reference in a table.
record() { # table, reference, id
  {
    other_lines "$1" "$2" 1
    echo "$2 $3"
  } | put "$1"
}

# Before a pull. If the host goes down during one, layers may be on disk without their content, since the engine does
# not sync. So a mark with another boot id means that the image can't be trusted, and it is kept until the image was
# replaced.
mark_pulls() {
  for reference; do
    is_untrusted "$reference" || {
      other_lines "$mark" "$reference" 2
      echo "$boot $reference"
    } | put "$mark"
  done
}

is_untrusted() { # has a mark of another boot
  cat "$mark" 2>/dev/null | reference=$1 boot=$boot awk '
    $2 == ENVIRON["reference"] && $1 != ENVIRON["boot"] { found = 1 } END { exit !found }'
}

clear_mark() {
  other_lines "$mark" "$1" 2 | put "$mark"
  [ -s "$mark" ] || rm -f "$mark"
}

# The terminal output of Docker's client, as lines of text.
terminal_lines() { tr '\r' '\n' <"$1" | sed 's/\x1b\[[0-9;?]*[A-Za-z]//g; s/[[:cntrl:]]//g'; }

# State of a pull: bytes downloaded, total bytes, layers of unknown size, layers unpacked, layers.
progress_of() {
  terminal_lines "$1" | awk '
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

# Print one line if there was progress since the last: downloaded and total size, rate, time left. $here_before and
# $then: downloaded bytes at the last line ("" at first), and its time.
print_progress() { # log
  # shellcheck disable=SC2046  # five fields
  set -- $(progress_of "$1")
  [ "${5:-0}" != 0 ] || return 0
  if [ "$2" = 0 ]; then line=''; elif [ "$1" -lt "$2" ] || [ "$3" != 0 ]; then
    line="$(amount "$1") of $([ "$3" = 0 ] || echo 'at least ')$(amount "$2") ($(($1 * 100 / $2))%)"
    rate=0 # unknown at first
    [ -z "$here_before" ] || rate=$((($1 - here_before) / (now > then ? now - then : 1)))
    [ $rate -lt 100000 ] || line="$line, $((rate / 1000000)).$((rate / 100000 % 10)) MB/s"
    [ $rate -lt 100000 ] || [ "$3" != 0 ] || line="$line, $(duration $((($2 - $1) / rate))) left"
    [ "$4" = 0 ] || line="$line; $4 of $5 layers unpacked"
  elif [ "$4" -lt "$5" ]; then line="all $(amount "$2") downloaded; $4 of $5 layers unpacked"; else line=''; fi
  here_before=$1 then=$now
  [ -z "$line" ] || [ "$line" = "$line_before" ] || echo "$line"
  line_before=$line
}

# The last line of progress, after a successful pull.
print_result() { # log
  # shellcheck disable=SC2046
  set -- $(progress_of "$1")
  [ "${2:-0}" = 0 ] || echo "all $(amount "$2") downloaded; $4 of $5 layers unpacked"
}

# Kill a pull without progress: $1 is its process, which may have a child, $2 its terminal output. The engine reports
# every step of downloading and unpacking to its client, even if the client does not show it, so the client keeps
# reading as long as there is progress. (Observed with Docker 26. An engine with containerd's image store repeats its
# reports without progress, and some kernels don't count reads: there, only $attempt_seconds ends an attempt.)
kill_if_stalled() {
  : "${attempt_seconds:?}" "${stall_seconds:?}"
  started=$(seconds) since=$started before='' polls=0 here_before='' then=$started line_before='' done_before=0
  while sleep 2 >/dev/null 2>&1; do
    now=$(seconds) polls=$((polls + 1))
    done=$(grep -ao 'Pull complete' "$2" | wc -l)
    if [ $((polls % 5)) = 2 ] || [ "$done" != "$done_before" ]; then print_progress "$2"; fi
    done_before=$done
    all="$1 $(cat "/proc/$1/task/$1/children" 2>/dev/null)"
    # shellcheck disable=SC2086  # several fields
    bytes_read=$(for one in $all; do sed -n 's/^rchar: //p' "/proc/$one/io" 2>/dev/null; done)
    if [ "$bytes_read" != "$before" ]; then before=$bytes_read since=$now; fi
    if [ -n "$bytes_read" ] && [ $((now - since)) -ge "$stall_seconds" ]; then
      echo "no progress for $stall_seconds s (docker_pull_stall_timeout)"
    elif [ $((now - started)) -ge "$attempt_seconds" ]; then
      echo "timed out after $attempt_seconds s (docker_pull_timeout)"
    else
      continue
    fi
    # shellcheck disable=SC2086
    kill -9 $all 2>/dev/null
    return
  done
}

# Why no retry can succeed, and what to do, from the errors of a failed pull; nothing if one may.
refusal_of() { # log
  errors=$(terminal_lines "$1" | tail -n 5)
  host=$(printf '%s\n' "$errors" | sed -n 's/.*\(Get\|Head\) "https\{0,1\}:\/\/\([^/"]*\).*/\2/p' | tail -n 1)
  host=${host:-the registry}
  case $errors in
    *'x509: '*'unknown authority'*)
      echo "the certificate of $host is signed by an unknown authority (x509), so a firewall or proxy probably inspects" \
        "TLS. Exempt $host from that, or set host_trusted_ca to a file with its CA, or docker_registry_mirrors"
      ;;
    *'x509: certificate has expired'*)
      echo "the certificate of $host has expired or is not yet valid (x509). Check the host's clock with timedatectl; if" \
        "it is correct, the certificate has to be renewed"
      ;;
    *'x509: '*)
      echo "the certificate is not valid for $host (x509). Check that address (ollama_image, proxy_image), and whether a" \
        "firewall or proxy inspects TLS"
      ;;
    *'server gave HTTP response to HTTPS client'* | *'does not look like a TLS handshake'*)
      echo "$host uses http, not https. For a mirror of Docker Hub, use docker_registry_mirrors"
      ;;
    *toomanyrequests* | *'429 Too Many Requests'*)
      echo "the registry limits the rate of pulls. Deploy again in some hours, run \`sudo docker login\` on the host, or set" \
        "docker_registry_mirrors; downloaded layers are kept"
      ;;
    *'no matching manifest for '* | *'no match for platform in manifest'*)
      echo "the registry does not have it for this host's processor. Choose another image (ollama_image, proxy_image)"
      ;;
    *'manifest unknown'* | *': not found'* | *'name unknown'*)
      echo "the registry does not have it. Check the name and the version (ollama_image, proxy_image)"
      ;;
    *'pull access denied'* | *unauthorized* | *': denied: '* | *'no basic auth credentials'*)
      echo "the registry denies access. The name is wrong (ollama_image, proxy_image), or the image is private: then run" \
        "\`sudo docker login\` for its registry on the host"
      ;;
  esac
}

# Pull one image with retries, logging to $log. Downloaded layers are kept between attempts. If no retry can succeed, the
# reason is in a file next to the log.
pull() {
  attempt=0
  while true; do
    : >"$log"
    # Docker's client reports progress only on a terminal; `script` provides one and records the output.
    if command -v script >/dev/null; then
      # shellcheck disable=SC2016  # expanded by the shell that `script` starts
      reference=$1 SHELL=/bin/sh script -qefc 'exec docker pull "$reference"' "$log" </dev/null >/dev/null 2>&1 &
    else
      docker pull "$1" >"$log" 2>&1 &
    fi
    puller=$!
    kill_if_stalled $puller "$log" &
    watcher=$!
    # Without 2>/dev/null, the shell would print "Killed".
    if { wait $puller; } 2>/dev/null; then code=0; else code=1; fi
    kill $watcher 2>/dev/null || true
    wait $watcher 2>/dev/null || true
    [ $code != 0 ] || print_result "$log"
    # Its other output, without the lines about layers and those of `script`.
    terminal_lines "$log" | grep -vE '^(Script (started|done)|[0-9a-f]{12}: |[[:space:]]*$)' || true
    [ $code = 0 ] && return
    refusal_of "$log" >"${log%.log}.why"
    [ ! -s "${log%.log}.why" ] || return 1
    attempt=$((attempt + 1))
    [ $attempt -gt "${retries:?}" ] && return 1
    echo "retrying ($attempt of $retries) …"
    sleep $((attempt * 5))
  done
}

# First half of replacing an untrusted image: only a complete image can be removed with all its layers.
complete_untrusted() {
  is_untrusted "$1" || return 0
  echo 'the host went down during this pull; pulling again …'
  pull "$1"
}

# Run a function for each image that has not failed yet, in parallel: while one downloads, the other unpacks. $work/N
# exists for each failed one.
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

# All at once, when all are complete: they may share layers, and a layer is removed with its last image.
remove_untrusted() {
  number=0
  for reference; do
    shift
    number=$((number + 1))
    if is_untrusted "$reference" && [ ! -e "$work/$number" ]; then set -- "$@" "$reference"; fi
  done
  [ $# = 0 ] || docker rmi --force "$@" || true
}

# Whether the disk has been full since $began. The client reports that only for Docker Hub: with a mirror, it continues
# with the next registry, and reports that one's error.
is_disk_full() {
  grep -qs 'no space left on device' "$work"/*.log ||
    journalctl --quiet --no-pager --unit docker --since "@$began" 2>/dev/null | grep -q 'no space left on device'
}

# Pull images.
pull_all() {
  work=$(mktemp -d)
  began=$(date +%s)
  trap 'rm -rf "$work"' EXIT
  mark_pulls "$@"
  each complete_untrusted "$@"
  remove_untrusted "$@"
  each pull "$@"
  sync
  number=0 failed=0
  for reference; do
    number=$((number + 1))
    # A full disk may prevent the failure mark, so also check that the engine has the image.
    if [ ! -e "$work/$number" ] && id=$(docker image inspect --format '{{.Id}}' "$reference"); then
      record "$lock" "$reference" "$id"
      clear_mark "$reference"
      continue
    fi
    failed=1
    # The parts on disk are now intact.
    is_untrusted "$reference" || clear_mark "$reference"
    if is_disk_full; then
      echo "Could not pull image $reference: the host's disk is full. Free some space" \
        "(\`df -h\` and \`sudo docker system df\` show where it went), then deploy again." >&2
    elif [ -s "$work/$number.why" ]; then
      echo "Could not pull image $reference: $(cat "$work/$number.why")." >&2
    else
      echo "Could not pull image $reference (see above). Check its name, the host's network and" \
        "docker_registry_mirrors, then deploy again; downloaded layers are kept." >&2
    fi
  done
  return $failed
}

# shellcheck shell=sh
# `put FILE`: writes standard input to a file atomically and durably, so a power failure leaves the old or the new
# one. Under a lock: if the network fails during a run, its script may still be writing when the next run starts.
put() {
  mkdir -p "${1%/*}" && (
    exec 9<"${1%/*}" && flock 9 && cat >"$1.new" && sync "$1.new" && mv -f "$1.new" "$1" && sync "${1%/*}"
  )
}

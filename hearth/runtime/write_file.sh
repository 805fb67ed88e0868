# shellcheck shell=sh
# `put FILE`: standard input becomes a file, whole or not at all, also where the power goes away. One at a time: where the
# network went away during a run, its script may still end what it was at when the next run has begun.
put() {
  mkdir -p "${1%/*}" && (
    exec 9<"${1%/*}" && flock 9 && cat >"$1.new" && sync "$1.new" && mv -f "$1.new" "$1" && sync "${1%/*}"
  )
}

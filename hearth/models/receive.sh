# shellcheck shell=sh
# Writes standard input to a file in a model store, if its SHA-256 matches. Arguments: the store, or "" for the one of
# the container in which this runs; the path in it; the SHA-256 in hex.
# It is written once, on its final disk, and renamed into place, so no partial model appears.
set -e
umask 022
store=${1:-${OLLAMA_MODELS:-/root/.ollama/models}} target=$2
incoming=$store/.hearth-incoming
[ -d "$store" ] || mkdir "$store"
trap 'rm -f "$incoming"' EXIT
cat >"$incoming"
digest=$(sha256sum <"$incoming")
if [ "${digest%% *}" != "$3" ]; then
  echo 'its content changed in transit' >&2
  exit 1
fi
mkdir -p "$store/${target%/*}"
sync "$incoming"
mv -f "$incoming" "$store/$target"

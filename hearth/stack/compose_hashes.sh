# shellcheck shell=sh disable=SC2154,SC2086
# Prints the hash of each service's configuration, in the directory of compose.yaml. Compose takes longer for that than
# all else that a deploy with nothing to do runs, so it is asked only when what the hashes depend on has changed: the
# project's files, and the plugin itself. The file $hashes, in /run, has what it said
# last; $plugins are where the plugin may be.
inputs=$({
  cat compose.yaml compose.override.* .env
  stat -L -c '%n %s %Y' $plugins
} 2>/dev/null | sha256sum)
if { read -r was <"$hashes" && [ "$was" = "$inputs" ]; } 2>/dev/null; then
  sed 1d "$hashes"
elif said=$(docker compose config --hash '*' 2>/dev/null) && [ -n "$said" ]; then
  # A broken file, or a missing plugin, yields no hashes: then `up` runs and shows Compose's error.
  printf '%s\n' "$said"
  { printf '%s\n%s\n' "$inputs" "$said" >"$hashes.$$" && mv -f "$hashes.$$" "$hashes"; } 2>/dev/null || rm -f "$hashes.$$"
fi

# shellcheck shell=bash
# What a host does with its releases. hearth/releases/operations.py puts variables, write_file.sh and compose_up.sh before this, and a
# call after it.
set -u
: "${root:?}" "${httpd:?}" "${ollama:?}" "${conf:?}" "${patience:?}" "${prompt_patience:?}" "${keep:?}" "${by?}"
releases=$root/releases
compose() { (cd "$root" && docker compose --progress plain --ansi never "$@"); }
accepted() { cat "$releases/accepted" 2>/dev/null; }
event() { # what, release
  printf '{"time": "%s", "event": "%s", "release": "%s", "by": "%s"}\n' "$(date -u +%FT%TZ)" "$1" "$2" "$by" >>"$releases/log.jsonl"
}

last_words() {
  echo "The containers' last words:" >&2
  compose ps --all >&2
  compose logs --no-color --tail 25 >&2
}

files_of() { (cd "$1" && find . -type f); } # directory

image_id() { docker image inspect --format '{{.Id}}' "$1" 2>/dev/null; }

# Whether the files are those of a release, byte for byte, and the tags lead to its images.
is_in_place() { # release
  local tree=$releases/$1/tree files path reference image
  [[ -d $tree ]] && files=$(files_of "$tree") || return 1
  while read -r path; do cmp -s "$tree/$path" "$root/$path" || return 1; done <<<"$files"
  while read -r reference image; do [[ $(image_id "$reference") == "$image" ]] || return 1; done <"$releases/$1/images"
}

# Images of a release: there under their names, pulled again if somebody removed them.
bring_images() { # release
  local reference image
  while read -r reference image; do
    if [[ ! $(image_id "$image") ]]; then
      echo "Image $reference is not on the host any more: pulling it …"
      docker pull "$reference" || return 1
      if [[ $(image_id "$reference") != "$image" ]]; then
        echo "$reference leads to another image today than in release $1, and that one is gone." >&2
        return 1
      fi
    fi
    [[ $reference == *@* ]] || docker tag "$image" "$reference" || return 1
    {
      awk -v reference="$reference" '$1 != reference' "$root/images.lock" 2>/dev/null
      echo "$reference $image"
    } | put "$root/images.lock"
  done <"$releases/$1/images"
}

# The release to go back to may publish another port than the one that serves; over IPv6, a firewall's rules go by port. What is
# added here is gone with the next deploy, which knows what it needs. A port that can't be guarded is not opened.
guard() {
  local port
  nft list chain inet hearth ask >/dev/null 2>&1 || return 0
  while read -r port; do
    nft list chain inet hearth input | grep -q " dport $port " ||
      nft add rule inet hearth input tcp dport "$port" goto ask || return 1
  done < <(sed -nE 's/^ +- "([0-9.]+:)?([0-9]+):[0-9]+"$/\2/p' "$root/compose.yaml")
}

# Put a release in place of what is there, and bring its containers up. Files that only `paths` has are taken away.
go_back() { # release
  local tree=$releases/$1/tree files path
  if [[ ! -d $tree ]] || ! files=$(files_of "$tree"); then
    echo "The files of release $1 are gone from $tree." >&2
    return 1
  fi
  bring_images "$1" || return 1
  while read -r path; do [[ -e $tree/$path ]] || rm -f "$root/$path"; done <<<"$paths"
  while read -r path; do
    cmp -s "$tree/$path" "$root/$path" && continue
    [[ $path != ./httpd/httpd.conf ]] || touch "$root/.reload-httpd" || return 1
    # Not `put`: the copy has the mode of what it is a copy of.
    mkdir -p "$(dirname "$root/$path")" && cp "$tree/$path" "$root/$path.new" && sync "$root/$path.new" &&
      mv -f "$root/$path.new" "$root/$path" || return 1
  done <<<"$files"
  guard || return 1
  # Ollama first, as in operations/project.py. In a shell of its own, for the variables of bring_up are not local.
  (cd "$root" && bring_up "$patience" '--no-deps ollama' "$ollama" &&
    bring_up "$patience" --remove-orphans "$ollama" "$httpd") || return 1
  reload
}

reload() {
  [[ -e $root/.reload-httpd ]] || return 0
  docker exec "$httpd" httpd -f "$conf" -k graceful && rm -f "$root/.reload-httpd"
}

# One HTTP/1.0 request: no chunks, and the end of the answer is the end of the connection. It goes to the proxy's published
# port; with "inside" from httpd's own container, which needs no password nor key; with "ollama" from there straight to Ollama.
ask() { # port, method, path, body; the answer's lines go to standard output
  local line code at=$1
  if [[ $at == inside || $at == ollama ]]; then
    [[ $at == ollama ]] && at=ollama/11434 || at=80
    docker exec "$httpd" bash -c "prompt_patience=$prompt_patience; $(declare -f ask); ask $at \"\$@\"" ask "${@:2}"
    return
  fi
  [[ $at == */* ]] || at=127.0.0.1/$at
  exec 3<>"/dev/tcp/$at" || return 1
  printf '%s %s HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' \
    "$2" "$3" "${#4}" "$4" >&3
  while
    IFS= read -r -t "$prompt_patience" line <&3
    code=$?
    ((code == 0)) || [[ $line ]]
  do
    printf '%s\n' "${line%$'\r'}"
    ((code == 0)) || break
  done
  exec 3>&-
  ((code <= 128)) || echo "no answer for $prompt_patience s"
}

# The first model that can do something, as Ollama says it. One of which it says nothing is taken for one that talks.
first_with() { # "completion" or "embedding", models …
  local model answer known
  for model in "${@:2}"; do
    answer=$(ask ollama POST /api/show "{\"model\": \"$model\"}" 2>/dev/null)
    known=
    [[ $answer =~ \"capabilities\":\[([^]]*)\] ]] && known=${BASH_REMATCH[1]}
    if [[ $known == *"\"$1\""* || (! $known && $1 == completion) ]]; then
      echo "$model"
      return
    fi
  done
  return 1
}

# Whether a model says at least one word through the proxy, and comes to its end.
speaks() { # port, path, body
  local answer
  answer=$(ask "$1" POST "$2" "$3" 2>&1)
  if [[ $answer != 'HTTP/1.'?' 200 '* || $answer != *'"done":true'* ]]; then
    echo "A prompt to $2 did not stream to its end: ${answer%%$'\n'*} … ${answer##*$'\n'}" >&2
    return 1
  fi
  if [[ ! $answer =~ \"(response|content|thinking)\":\"[^\"] ]]; then
    echo "A prompt to $2 was answered without a word: ${answer##*$'\n'}" >&2
    return 1
  fi
  echo 'The page comes, and a prompt streams through the proxy.'
}

# Whether a model makes an embedding. Asked of Ollama itself, since /api/embed need not be a route.
embeds() { # model
  local answer
  answer=$(ask ollama POST /api/embed "{\"model\": \"$1\", \"input\": \"hello\"}" 2>&1)
  if [[ $answer != 'HTTP/1.'?' 200 '* || ! $answer =~ \"embeddings\":\[\[-?[0-9] ]]; then
    echo "$1 did not make an embedding: ${answer%%$'\n'*} … ${answer##*$'\n'}" >&2
    return 1
  fi
  echo "The page comes, and $1 makes embeddings. No model in ollama_models answers questions, so none was asked one."
}

# Whether a release works, asked as a browser would: the page, and a few words of a model through the proxy. Releases that
# were recorded before models were chosen here have none, and a body that names one.
works() { # port, path of a route over which models talk ("" if there is none), its body for the first model, models
  local answer model models first chosen
  answer=$(ask "$1" GET / '' 2>&1)
  if [[ $answer != 'HTTP/1.'?' 200 '* ]]; then
    echo "The chat page does not come: ${answer%%$'\n'*}" >&2
    return 1
  fi
  read -ra models <<<"$4"
  if [[ ! $2 && ! $4 ]]; then
    echo 'The page comes. No prompt was tried: there is no model, or only the page was changed.'
  elif [[ ! $4 ]]; then
    speaks "$1" "$2" "$3"
  elif model=$(first_with completion "${models[@]}"); then
    first="\"model\": \"${models[0]}\"" chosen="\"model\": \"$model\""
    if [[ $2 ]]; then
      speaks "$1" "$2" "${3/"$first"/$chosen}"
    else
      echo 'The page comes. No prompt was tried: there is no route for one.'
    fi
  elif model=$(first_with embedding "${models[@]}"); then
    embeds "$model"
  else
    echo "The page comes. No prompt was tried: none of ${models[*]} answers questions or makes embeddings."
  fi
}

# After a release that did not come up or does not work: the one that served before is put back. Always ends in failure.
refuse() {
  local before
  last_words
  before=$(accepted)
  if [[ ! $before ]]; then
    echo 'No release was accepted on this host yet, so there is none to go back to.' >&2
  elif is_in_place "$before"; then
    echo "This is release $before, which worked when it was accepted: something else on the host has changed." >&2
  else
    event refused "$before"
    echo "Going back to release $before …" >&2
    if go_back "$before"; then
      echo "Release $before serves again; the new one was not accepted (its last words are above)." >&2
    else
      echo "Release $before did not come up either (see above). Deploy again when the cause is put right." >&2
    fi
  fi
  exit 1
}

# Write down what serves now as a release. Nothing names it before it is whole, and it is accepted when it has its name.
record() { # id, release.json, images, probe
  local new=$releases/.new path before
  before=$(accepted)
  rm -rf "$new"
  while read -r path; do
    mkdir -p "$(dirname "$new/tree/$path")" && cp "$root/$path" "$new/tree/$path" || return 1
  done <<<"$paths"
  printf '%s' "$2" >"$new/release.json" && printf '%s\n' "$3" >"$new/images" && printf '%s\n' "$4" >"$new/probe" &&
    printf '%s' "${before:+$before$'\n'}" >"$new/previous" && sync -f "$new" && mv "$new" "$releases/$1" &&
    echo "$1" | put "$releases/accepted" || return 1
  event accepted "$1"
  forget
}

# Remove releases that nobody can go back to any more, and their images unless something else uses them.
forget() {
  local id one kept=() image count
  id=$(accepted)
  for ((count = 0; count < keep; count++)); do
    [[ $id && -d $releases/$id ]] || break
    kept+=("$id")
    id=$(cat "$releases/$id/previous" 2>/dev/null)
  done
  for id in "$releases"/*/; do
    id=$(basename "$id")
    [[ " ${kept[*]} " == *" $id "* ]] && continue
    while read -r _ image; do
      # Without force: an image that has another name, or a container, stays.
      for one in "${kept[@]}"; do grep -qF "$image" "$releases/$one/images" && continue 2; done
      # One that was here before Hearth is not Hearth's to remove.
      grep -qF "$image" "$root/images.found" 2>/dev/null && continue
      docker rmi "$image" >/dev/null 2>&1 && awk -v image="$image" '$2 != image' "$root/images.lock" | put "$root/images.lock"
    done <"$releases/$id/images"
    rm -rf "${releases:?}/$id"
  done
  # Passwords and keys stay until no release that is kept asks for any.
  if [[ -d $root/secrets/httpd ]] && ! grep -qsF ./secrets/httpd "$root/compose.yaml" "$releases"/*/tree/compose.yaml; then
    rm -rf "$root/secrets/httpd"
    rmdir "$root/secrets" 2>/dev/null || true
  fi
}

# Back to the release before the one that serves.
rollback() {
  local current target port path body models
  current=$(accepted)
  target=$(cat "$releases/$current/previous" 2>/dev/null)
  if [[ ! $current || ! $target || ! -d $releases/$target ]]; then
    echo "There is no release to go back to on this host: ${current:-none} is the only one that was kept." >&2
    exit 1
  fi
  paths=$(files_of "$releases/$current/tree") || exit 1
  echo "Going back from release $current to $target …"
  {
    read -r port
    read -r path
    read -r body
    read -r models
  } <"$releases/$target/probe"
  if go_back "$target" && works "$port" "$path" "$body" "$models"; then
    echo "$target" | put "$releases/accepted" || {
      echo "Release $target serves, but $releases/accepted could not be written and still names $current." >&2
      exit 1
    }
    event 'rolled back to' "$target"
    echo "Release $target serves. Put your settings back as well: the next deploy makes what they say."
    return
  fi
  last_words
  echo "Release $target does not work (see above); going forward to $current again …" >&2
  paths=$(files_of "$releases/$target/tree")
  go_back "$current" && echo "Release $current serves again." >&2
  exit 1
}

# shellcheck shell=bash
# Releases on a host. hearth/releases/operations.py prepends variables, write_file.sh, compose_up.sh, use.bash and
# trial.bash, and appends a call.
set -u
: "${root:?}" "${httpd:?}" "${ollama:?}" "${conf:?}" "${patience:?}" "${prompt_patience:?}" "${keep:?}" "${by?}"
# httpd, and the check of a virtual address, have to be able to read what is written.
umask 022
services=${services:-ollama httpd} # that this host runs
preload=${preload:-}               # models that stay in memory, if any
releases=$root/releases
compose() { (cd "$root" && docker compose --progress plain --ansi never "$@"); }
accepted() { cat "$releases/accepted" 2>/dev/null; }
event() { # what, release
  printf '{"time": "%s", "event": "%s", "release": "%s", "by": "%s"}\n' "$(date -u +%FT%TZ)" "$1" "$2" "$by" >>"$releases/log.jsonl"
}

print_logs() {
  echo "Last container logs:" >&2
  compose ps --all >&2
  compose logs --no-color --tail 25 >&2
}

list_files() { (cd "$1" && find . -type f); } # directory

image_id() { docker image inspect --format '{{.Id}}' "$1" 2>/dev/null; }

# Whether the files are identical to those of a release, and the tags refer to its images.
is_in_place() { # release
  local tree=$releases/$1/tree files path reference image
  [[ -d $tree ]] && files=$(list_files "$tree") || return 1
  while read -r path; do cmp -s "$tree/$path" "$root/$path" || return 1; done <<<"$files"
  while read -r reference image; do [[ $(image_id "$reference") == "$image" ]] || return 1; done <"$releases/$1/images"
}

# Restore the images of a release under their names, and pull those that were removed.
restore_images() { # release
  local reference image
  while read -r reference image; do
    if [[ ! $(image_id "$image") ]]; then
      echo "Image $reference is missing on the host; pulling it …"
      pull_image "$reference" || return 1
      if [[ $(image_id "$reference") != "$image" ]]; then
        echo "$reference now refers to a different image than in release $1, whose image is no longer available." >&2
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

# A release may publish other ports than the settings: let the firewall know which are the page's and which Ollama's. The
# next deploy replaces what is added here. A port that can't be protected is not opened.
protect_ports() { # release
  local published known address port inside match to pages='' ollama='' rules='flush chain inet hearth rollback'
  published=$(sed -nE 's/^ +- "([0-9]+:[0-9]+)"$/ - "0.0.0.0:\1"/; s/^ +- "([0-9.]+):([0-9]+):([0-9]+)"$/\1 \2 \3/p' \
    "$releases/$1/tree/compose.yaml")
  known=$(nft list chain inet hearth input 2>/dev/null)
  # A backend's httpd, which has Ollama's port, has none without TLS.
  grep -q ' 80$' <<<"$published" && pages='80 443'
  while read -r address port inside; do
    [[ $port ]] || continue
    match="tcp dport $port" to=ask_ollama
    [[ $address == 0.0.0.0 ]] || match="ip daddr $address $match"
    if [[ " $pages " == *" $inside "* ]]; then
      to=ask rules+="; add element inet hearth pages { $port }"
    elif [[ $address == 127.* ]]; then
      to=refuse
    else
      ollama=$port
    fi
    grep -qxE "\s*$match goto $to" <<<"$known" || rules+="; add rule inet hearth rollback $match goto $to"
  done <<<"$published"
  if nft list chain inet hearth rollback >/dev/null 2>&1; then
    nft "$rules"
  elif nft list chain inet hearth ask >/dev/null 2>&1; then
    # The rules of an earlier Hearth, which have neither the chain nor the set.
    while read -r _ port _; do
      [[ ! $port ]] || grep -q " dport $port " <<<"$known" ||
        nft add rule inet hearth input tcp dport "$port" goto ask || return 1
    done <<<"$published"
  elif [[ $ollama ]] && grep -qE '"(firewall|ollama)_allowed_networks": \[$' "$releases/$1/release.json"; then
    echo "Release $1 publishes Ollama's port $ollama for some machines only, and the firewall that keeps others out is not" \
      "active, so this release was not started. If it was stopped on the host: \`sudo systemctl start hearth-firewall\`." \
      "If the settings no longer need one, restore the earlier settings and deploy, instead of a rollback." >&2
    return 1
  fi
}

# Install a release and start its containers. Files that are only in `paths` are removed.
install_release() { # release, seconds to let in-flight responses finish (none by default)
  local tree=$releases/$1/tree files path
  if [[ ! -d $tree ]] || ! files=$(list_files "$tree"); then
    echo "The files of release $1 are missing in $tree." >&2
    return 1
  fi
  protect_ports "$1" || return 1
  restore_images "$1" || return 1
  drain "${2:-0}" "$httpd"
  while read -r path; do [[ -e $tree/$path ]] || rm -f "$root/$path"; done <<<"$paths"
  while read -r path; do
    cmp -s "$tree/$path" "$root/$path" && continue
    [[ $path != ./httpd/* ]] || touch "$root/.reload-httpd" || return 1
    # Not `put`: the copy keeps the mode.
    # An earlier Hearth recorded files with root's umask; httpd has to be able to read them.
    mkdir -p "$(dirname "$root/$path")" && cp "$tree/$path" "$root/$path.new" && chmod a+r "$root/$path.new" &&
      sync "$root/$path.new" && mv -f "$root/$path.new" "$root/$path" || return 1
  done <<<"$files"
  # Ollama first, as in hearth/stack/container_operations.py. In a subshell, since the variables of bring_up are global.
  (cd "$root" && { is_gateway_only || bring_up "$patience" '--no-deps ollama' "$ollama"; } &&
    bring_up "$patience" --remove-orphans "$ollama" "$httpd") || return 1
  reload
}

# The release in place may be of another role than the settings.
is_gateway_only() { grep -qx '  httpd:' "$root/compose.yaml" && ! grep -qx '  ollama:' "$root/compose.yaml"; }

reload() {
  [[ -e $root/.reload-httpd ]] || return 0
  docker exec "$httpd" httpd -f "$conf" -k graceful && rm -f "$root/.reload-httpd"
}

# What Ollama itself reports about a model, as JSON.
show_model() { http ollama POST /api/show "{\"model\": \"$1\"}" 2>/dev/null; }

# Have Ollama's health check load the models of ollama_preload again, since a test may have replaced one in memory.
forget_preload() { [[ ! $preload ]] || docker exec "$ollama" rm -f /tmp/hearth-preload; }

# Whether a test prompt through the proxy gets a complete response that is not empty.
answers_prompt() { # port, path, body
  local response
  # The proxy might choose another backend.
  [[ $2 != ollama:* ]] || set -- ollama "${2#ollama:}" "$3"
  response=$(http "$1" POST "$2" "$3" 2>&1)
  check_response "$2" "$response" || return 1
  forget_preload
  [[ $1 == ollama ]] && echo 'A test prompt was answered by Ollama on this host.' && return
  echo 'The page loads, and a test prompt was answered through the proxy.'
}

# Whether a model returns an embedding. Sent to Ollama directly, since /api/embed may not be a route.
returns_embedding() { # model
  local response
  response=$(http ollama POST /api/embed "{\"model\": \"$1\", \"input\": \"hello\"}" 2>&1)
  if [[ $response != 'HTTP/1.'?' 200 '* || ! $response =~ \"embeddings\":\[\[-?[0-9] ]]; then
    echo "$1 did not return an embedding: ${response%%$'\n'*} … ${response##*$'\n'}" >&2
    return 1
  fi
  forget_preload
  echo "The page loads, and $1 returns embeddings. No model in ollama_models can chat, so there was no test prompt."
}

# Whether the model that answered the test is in GPU memory, if it has to be. A rollback only reports it: the previous
# release may be needed because the GPU is gone.
uses_gpu() { # model
  check_gpu "$1" || [[ ${gpu_optional:-} ]] || return 1
  forget_preload
}

# Fails if Docker publishes the page for programs on this host only. A network keeps the default of daemon.json under which
# it was created.
check_published() {
  local addresses
  addresses=$(docker port "$httpd" 80/tcp 2>/dev/null)
  if [[ $addresses ]] && ! grep -qvE '^(127\.|\[::1\])' <<<"$addresses"; then
    echo "Docker publishes the page on ${addresses//$'\n'/ and } only, so no other machine can open it. The network" \
      "hearth-front was created with that default (default-network-opts in daemon.json). Run \`cd $root && sudo docker" \
      "compose down\` on the host, and deploy again." >&2
    return 1
  fi
}

# Whether a release works, tested like a browser: the page, and a test prompt through the proxy. Older releases were
# recorded without models; their body names one.
works() { # port, path of a route for prompts ("" if there is none), its body for the first model, models
  local response model models first chosen
  [[ $services != *httpd* ]] || response=$(http "$1" GET / '' 2>&1)
  if [[ $services == *httpd* && $response != 'HTTP/1.'?' 200 '* ]]; then
    echo "The chat page did not load: ${response%%$'\n'*}" >&2
    return 1
  fi
  [[ $services != *httpd* ]] || check_published || return 1
  read -ra models <<<"$4"
  if [[ ! $2 && ! $4 ]]; then
    echo 'The page loads. No test prompt: there is no model, or only the page has changed.'
  elif [[ ! $4 ]]; then
    answers_prompt "$1" "$2" "$3"
  elif model=$(first_with completion "${models[@]}"); then
    first="\"model\": \"${models[0]}\"" chosen="\"model\": \"$model\""
    if [[ $2 ]]; then
      answers_prompt "$1" "$2" "${3/"$first"/$chosen}" && uses_gpu "$model"
    else
      echo 'The page loads. No test prompt: there is no route for one.'
    fi
  elif model=$(first_with embedding "${models[@]}"); then
    returns_embedding "$model" && uses_gpu "$model"
  else
    echo "The page loads. No test prompt: none of ${models[*]} can chat or create embeddings."
  fi
}

# Roll back from a release that did not start or does not work. Always fails.
refuse() {
  local before
  print_logs
  before=$(accepted)
  if [[ ! $before ]]; then
    echo 'No release was accepted on this host yet, so there is none to roll back to.' >&2
  elif is_in_place "$before"; then
    echo "This is release $before, which worked when it was accepted: something else on the host has changed." >&2
  else
    event refused "$before"
    # Without a drain: it does not work, so nobody should wait longer for one that does.
    echo "Rolling back to release $before …" >&2
    if install_release "$before"; then
      echo "Release $before is running again; the new one was not accepted (its logs are above)." >&2
    else
      echo "Release $before did not start either (see above). Fix the cause, then deploy again." >&2
    fi
  fi
  exit 1
}

# Record the running stack as a release. It gets its name only when complete, and is accepted after that.
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
  remove_old_releases
}

# Remove releases beyond those to keep, and their images unless something else uses them.
remove_old_releases() {
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
      # Without force: an image with another name, or with a container, stays.
      for one in "${kept[@]}"; do grep -qF "$image" "$releases/$one/images" && continue 2; done
      # Images that existed before Hearth are kept.
      grep -qF "$image" "$root/images.found" 2>/dev/null && continue
      docker rmi "$image" >/dev/null 2>&1 && awk -v image="$image" '$2 != image' "$root/images.lock" | put "$root/images.lock"
    done <"$releases/$id/images"
    rm -rf "${releases:?}/$id"
  done
  # Credentials stay until no kept release needs them.
  if [[ -d $root/secrets/httpd ]] && ! grep -qsF ./secrets/httpd "$root/compose.yaml" "$releases"/*/tree/compose.yaml; then
    rm -rf "$root/secrets/httpd"
    rmdir "$root/secrets" 2>/dev/null || true
  fi
}

# Roll back to the previous release.
rollback() { # seconds to let in-flight responses finish
  local current target port path body models
  current=$(accepted)
  target=$(cat "$releases/$current/previous" 2>/dev/null)
  if [[ ! $current || ! $target || ! -d $releases/$target ]]; then
    echo "There is no release to roll back to on this host: ${current:-none} is the only one kept." >&2
    exit 1
  fi
  paths=$(list_files "$releases/$current/tree") || exit 1
  echo "Rolling back from release $current to $target …"
  {
    read -r port
    read -r path
    read -r body
    read -r models
  } <"$releases/$target/probe"
  gpu_optional=1
  if install_release "$target" "$1" && works "$port" "$path" "$body" "$models"; then
    echo "$target" | put "$releases/accepted" || {
      echo "Release $target is running, but $releases/accepted could not be written and still names $current." >&2
      exit 1
    }
    event 'rolled back to' "$target"
    echo "Release $target is running. Revert your settings, too: the next deploy applies them."
    return
  fi
  print_logs
  echo "Release $target does not work (see above); returning to $current …" >&2
  paths=$(list_files "$releases/$target/tree")
  install_release "$current" && echo "Release $current is running again." >&2
  exit 1
}

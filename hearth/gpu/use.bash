# shellcheck shell=bash
# Whether Ollama computes on the GPU that HEARTH_GPU in its environment asks for (the setting ollama_gpu; a release keeps
# its own). $ollama is the name of its container.
: "${ollama:?}"

gpu_wanted() { docker exec "$ollama" printenv HEARTH_GPU 2>/dev/null; }

gigabytes() { awk -v bytes="$1" 'BEGIN { printf "%.1f GB", bytes / 1e9 }'; }

# One request to Ollama, from inside its container; prints the body of the response.
ollama_api() { # method, path, body
  # shellcheck disable=SC2016  # for the container's shell
  docker exec "$ollama" timeout 900 bash -c '
    exec 3<>/dev/tcp/127.0.0.1/11434 || exit 1
    printf "%s %s HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" "$1" "$2" "${#3}" "$3" >&3
    cat <&3' bash "$@" 2>/dev/null | sed '1,/^\r*$/d'
}

# Bytes of a model in memory, and how many of them are in GPU memory; fails if it is not in memory.
model_memory() { # model
  local entry wanted=${1,,} size=0 vram=0
  [[ ${wanted##*/} == *:* ]] || wanted+=:latest
  while IFS= read -r entry; do
    [[ $entry =~ ^\"([^\"]*)\" && ${BASH_REMATCH[1],,} == "$wanted" ]] || continue
    [[ $entry =~ \"size\":([0-9]+) ]] && size=${BASH_REMATCH[1]}
    [[ $entry =~ \"size_vram\":([0-9]+) ]] && vram=${BASH_REMATCH[1]}
    echo "$size $vram"
    return
  done <<<"$(ollama_api GET /api/ps '' | sed 's/{"name":/\n/g')"
  return 1
}

# Ollama's own lines about GPUs since its start. Its first line lists variables, most of which are named after GPUs.
print_gpu_log() {
  local started
  started=$(docker inspect --format '{{.State.StartedAt}}' "$ollama")
  docker logs --since "$started" "$ollama" 2>&1 | grep -vE 'msg="server config"|^\[GIN' |
    grep -iE 'inference compute|gpu|cuda|nvml|nvidia|rocm|amdgpu|vulkan|offload|vram' | cut -c -300 | tail -n 15
}

# Whether a model is in GPU memory, as far as a GPU is required. It is loaded if it is not in memory.
check_gpu() { # model
  local wanted memory size vram path
  wanted=$(gpu_wanted) && [[ $wanted ]] || return 0
  # ollama_keep_alive = "0" unloads a model after each response; a request without prompt or input only loads it.
  for path in /api/generate /api/embed; do
    memory=$(model_memory "$1") && break
    ollama_api POST "$path" "{\"model\": \"$1\", \"keep_alive\": \"1m\"}" >/dev/null
  done
  if ! memory=$(model_memory "$1"); then
    echo "ollama_gpu = \"$wanted\": could not determine whether $1 is in GPU memory, since Ollama did not load it." >&2
    return 1
  fi
  read -r size vram <<<"$memory"
  if ((vram == 0)); then
    echo "ollama_gpu = \"$wanted\", but Ollama computes on the processor: nothing of $1 ($(gigabytes "$size")) is in GPU memory." \
      "docs/gpu.md lists causes. What Ollama logged about GPUs:" >&2
    print_gpu_log >&2
    return 1
  fi
  if ((vram < size)); then
    echo "Warning: only $(gigabytes "$vram") of $1 are in GPU memory, and $(gigabytes $((size - vram))) are computed by the" \
      "processor ($((vram * 100 / size)) % of $(gigabytes "$size")), which is much slower. Use a smaller model, or a shorter" \
      "ollama_context_length."
  else
    echo "$1 is in GPU memory as a whole ($(gigabytes "$size"))."
  fi
}

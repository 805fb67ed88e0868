# Runs inside the Ollama container: pulls models through the server's API, with progress.
# Arguments: stall timeout in seconds, retries; then for each model its name, the name to pull it by (which may contain
# a registry's address), and the task: "pull", "update" an existing one, "repair" one whose pull was interrupted, only
# "check" such a one, or "remove" it. Exits with 0, or with 1 if a task failed; downloaded data is safely on disk in
# both cases.
set -u
patience=$1 retries=$2
shift 2
store=${OLLAMA_MODELS:-/root/.ollama/models}
longest_pause=120 # seconds between two attempts, even if a registry requests more

# Send a request to the server; the response can be read from descriptor 3. HTTP/1.0 avoids chunked responses.
request() {
  local method=$1 path=$2 body=$3
  exec 3<>/dev/tcp/127.0.0.1/11434 || return 1
  printf '%s %s HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' \
    "$method" "$path" "${#body}" "$body" >&3
}

# A request for which only the response status matters.
call() {
  response=''
  request "$@" && IFS= read -r response <&3
  exec 3>&-
  [[ $response == *' 200 '* ]]
}

# Read a number, or a string without quotes, from a one-line JSON object into the variable of that name. No subshell:
# progress arrives some sixteen times a second.
field() {
  [[ $line =~ \"$1\":\"?([^\",}]*) ]] && printf -v "$1" %s "${BASH_REMATCH[1]}"
}

# Format a number of bytes or seconds into the variable $1.
amount() {
  if (($2 >= 1000000000)); then
    printf -v "$1" '%d.%d GB' $(($2 / 1000000000)) $(($2 / 100000000 % 10))
  elif (($2 >= 1000000)); then
    printf -v "$1" '%d MB' $((($2 + 500000) / 1000000))
  else
    printf -v "$1" '%d kB' $((($2 + 999) / 1000))
  fi
}
duration() {
  if (($2 >= 60)); then printf -v "$1" '%d min %d s' $(($2 / 60)) $(($2 % 60)); else printf -v "$1" '%d s' "$2"; fi
}

# Print one line of progress: downloaded and total size, rate, time left.
print_progress() {
  local here whole text rate speed left
  amount here "$completed"
  amount whole "$total"
  text="$model: $status: $here of $whole ($percent%)"
  # Data from before this pull does not count.
  if ((SECONDS - started >= 2 && completed > start && completed < total)); then
    rate=$(((completed - start) / (SECONDS - started)))
    amount speed "$rate"
    duration left $(((total - completed) / (rate > 0 ? rate : 1)))
    text+=", $speed/s, $left left"
  fi
  echo "$text"
}

# Classify the error message of a failed pull: sets `why`, `pause` (seconds before a retry, if longer than usual) and
# `server` (the host, if the message names one). Returns 2 if no retry can help, else 1. Ollama passes on a registry's
# status as "pull model manifest: 412: …" (for a file: "403: "), but turns a 404 into "file does not exist". The status
# takes precedence over the text: a page with status 502 may contain "not found".
classify_error() {
  local text=${1,,} code='' of=file
  why='' pause=0
  [[ $text == 'pull model manifest: '* ]] && of=manifest
  [[ $text =~ ^(pull model manifest: |max retries exceeded: )?(unexpected status code |status )?([345][0-9][0-9])(:|$) ]] &&
    code=${BASH_REMATCH[3]}
  # A failed connection: Get "https://HOST/…": … Files often come from another host than the registry's.
  [[ -z $code && $text =~ (get|head)\ \"https?://([^/\"]+) ]] && server=${BASH_REMATCH[2]}
  case $code in
    401) why=login ;;
    403 | 451) why=denied ;;
    404 | 410) [[ $of == manifest ]] && why=missing || why=incomplete ;;
    412) why=old ;;
    429)
      why=limited pause=-1
      # Ollama does not pass on the header Retry-After; some registries also have it in their text.
      [[ $text =~ retry[-_\ ]?after[^0-9]{0,5}([0-9]{1,6}) ]] && pause=$((10#${BASH_REMATCH[1]}))
      ((pause > longest_pause)) && pause=$longest_pause
      ;;
    408 | 425) ;;
    5??) why=down ;;
    3?? | 4??) why=refused ;;
    '')
      # Ignore addresses: a model may be called "unauthorized".
      while [[ $text =~ \"[^\"]*\" ]]; do text=${text/"${BASH_REMATCH[0]}"/}; done
      case $text in
        *'x509: '*'unknown authority'*) why=authority ;;
        *'x509: certificate has expired'*) why=expired ;;
        *'x509: '* | *'failed to verify certificate'*) why=certificate ;;
        *'http response to https client'* | *'does not look like a tls handshake'*) why=plain ;;
        *'no space left'* | *'quota exceeded'*) why=full ;;
        *': permission denied' | *': read-only file system' | *': input/output error')
          # Only of a file, with its path; a connection may be denied as well.
          [[ $text =~ [a-z]\ /[^:]*:\ [^:]*$ ]] && why=store
          ;;
        *'lookup '*': no such host' | *'lookup '*': server misbehaving') why=dns ;;
        *'tls handshake timeout') why=handshake ;;
        *'dial tcp'* | *'max retries exceeded'*) ;;
        *'digest mismatch'* | *'size mismatch'*) why=damaged ;;
        *'requires a newer version of ollama'*) why=old ;;
        *'requires mlx'*) why=mlx ;;
        *'no location header'*) why=location ;;
        *'invalid model name'*) why=name ;;
        *'invalid character'* | *'cannot unmarshal'*) why=page ;;
        *unauthorized* | *'realm host'*) why=login ;;
        *'does not exist'*) [[ $of == manifest ]] && why=missing || why=incomplete ;;
        *redirects*) why=refused ;;
      esac
      ;;
  esac
  case $why in
    '' | limited | down | dns | handshake | damaged) return 1 ;;
    *) return 2 ;;
  esac
}

# The last line about a model that was not pulled: what to do next.
advise() {
  local what kept='downloaded data is kept'
  case $why in
    old) what=": it requires a newer version of Ollama. Set ollama_image to a newer version and deploy again; if that version does not work, Hearth rolls back." ;;
    mlx) what=": this variant runs on Apple's MLX only. Choose another tag (ollama_models)." ;;
    login) what=": it requires a login. The model is private or gated, or its name is wrong. Check the name, or choose a public model (ollama_models)." ;;
    denied) what=": access is denied. The model is private or gated, or a firewall or proxy blocks the request. Choose a public model (ollama_models), or allow $server in that firewall or proxy." ;;
    missing) what=": the registry does not have it. Check the name (ollama_models)." ;;
    incomplete) what=": the registry lacks one of its files. Choose another tag (ollama_models), or push the model to the registry again." ;;
    name) what=": Ollama does not accept this name. Correct it (ollama_models)." ;;
    authority) what=": the certificate of $server is signed by an unknown authority (x509), so a firewall or proxy probably inspects TLS. Exempt $server from that, or set host_trusted_ca to a file with its CA; so too for a registry of your own, unless ollama_model_registry has http://." ;;
    expired) what=": the certificate of $server has expired or is not yet valid (x509). Check the host's clock with timedatectl; if it is correct, the certificate has to be renewed." ;;
    certificate) what=": the certificate is not valid for $server (x509). Check that address (ollama_models, ollama_model_registry), and whether a firewall or proxy inspects TLS." ;;
    plain) what=": $server uses http, not https. Set ollama_model_registry to its address with http://." ;;
    location) what=": its responses lack the Location header that Ollama needs. Add the header \"Location: ?\" to them in the registry's configuration (docs/decisions/0003)." ;;
    page) what=": the response is not a model but, for example, the sign-in page of a network. Check the host's internet access and the name (ollama_models)." ;;
    empty) what=": what it serves under that name has no files, so it is not a model. Check the name (ollama_models), or push the model to the registry again." ;;
    full) what=": the disk is full. Free up space, or set ollama_models_dir to a directory on a larger disk, then deploy again; $kept." ;;
    store) what=": Ollama can't use its models directory. Check that disk and its mount (ollama_models_dir), then deploy again." ;;
    refused) what=": the registry refused the request, and a retry won't change that. Check the name and tag (ollama_models), and that this registry serves models." ;;
    limited) what=": the registry limits the rate of pulls. Deploy again later; $kept." ;;
    down) what=": the registry is temporarily unavailable. Deploy again later; $kept." ;;
    dns) what=": the name $server could not be resolved. Check that name and the host's DNS, then deploy again; $kept." ;;
    handshake) what=": the TLS handshake with $server timed out. Large packets may get lost on the way (VPN, PPPoE): if the host's interface to the internet has an MTU below 1500, set docker_mtu to it, else try docker_mtu = 1400; $kept." ;;
    damaged) what=": the download does not match its checksum. Deploy again later; if that does not help, something on the way changes it, or the registry's copy is damaged." ;;
    ollama) what=": Ollama does not respond. See its log (sudo docker logs hearth-ollama), then deploy again; $kept." ;;
    *) what=". Check the name (ollama_models) and the host's internet access, then deploy again; $kept." ;;
  esac
  echo "Could not pull $model from $from$what" >&2
}

# Sets `from`, a readable name of the registry that a model is pulled from, and `server`, its host. Only a name of three
# parts starts with a registry's address.
registry_of() {
  local rest=${1#*://}
  from="Ollama's library" server=registry.ollama.ai
  if [[ $1 == *://* ]]; then
    from=${1%"$rest"}${rest%%/*} server=${rest%%/*}
  elif [[ $1 == */*/* && $1 != registry.ollama.ai/* ]]; then
    from=${1%%/*} server=${1%%/*}
  fi
}

# Prints status changes, every tenth percent, and a line every ten seconds while data arrives. Returns 0 if pulled, 1 if
# a retry may help, 2 if not; then `why` and `pause` are set by classify_error.
pull() {
  local line status said='' last=-1 completed total percent moved=-1 since=$SECONDS start=0 started=0 told=0 shown=0
  why='' pause=0
  request POST /api/pull "{\"model\":\"$source\",\"insecure\":$insecure,\"stream\":true}" || { why=ollama && return 1; }
  while true; do
    # An error's JSON has no trailing newline: then read fails, but still returns the line.
    IFS= read -r -t "$patience" line <&3
    local code=$?
    if ((code > 128)) || { ((code != 0)) && [[ -z $line ]]; }; then
      echo "$model: the connection was closed, or no data arrived for $patience s" >&2
      return 1
    fi
    if [[ $line == *'"error":'* ]]; then
      local reason=${line#*'"error":'}
      reason=${reason#\"}
      reason=${reason%\"\}*}
      # For display: join a registry's lines and unescape quotes. Everything else stays JSON, above all control
      # characters.
      reason=${reason//\\[nt]/ }
      while [[ $reason == *'  '* ]]; do reason=${reason//'  '/ }; done
      reason=${reason//\\\"/\"}
      echo "$model: ${reason:0:500}" >&2
      classify_error "$reason"
      return
    fi
    field status || continue
    [[ $status == success ]] && return 0
    completed=0 total=0
    field completed
    field total
    if [[ $completed != "$moved" || $status != "$said" ]]; then moved=$completed since=$SECONDS; fi
    if ((SECONDS - since > patience)); then
      echo "$model: no progress for $patience s" >&2
      return 1
    fi
    if [[ $status != "$said" ]]; then
      said=$status last=-1 start=$completed started=$SECONDS
      [[ $total == 0 ]] && echo "$model: $status"
    fi
    if ((total > 0)); then
      percent=$((completed * 100 / total))
      if ((percent / 10 > last / 10 || last < 0 || (SECONDS - told >= 10 && completed != shown))); then
        print_progress
        last=$percent told=$SECONDS shown=$completed
      fi
    fi
  done
}

# Pull one model with retries, and give it its plain name.
pull_with_retries() {
  local attempt result from server why='' pause=0 insecure=false bare previous response
  registry_of "$source"
  [[ $source == http://* ]] && insecure=true
  for ((attempt = 0; attempt <= retries; attempt++)); do
    if ((attempt > 0)); then
      # A registry that limits pulls also counts those that come too early.
      ((pause >= 0)) || pause=$((attempt * 30 > longest_pause ? longest_pause : attempt * 30))
      ((pause > attempt * 3)) || pause=$((attempt * 3))
      echo "$model: retrying ($attempt of $retries) in $pause s, resuming …"
      sleep "$pause"
    fi
    pull
    result=$?
    exec 3>&-
    if ((result == 0)) && is_empty "$source"; then
      # Ollama would list it, but answer each prompt with an error.
      call DELETE /api/delete "{\"model\":\"${source#*://}\"}"
      result=2 why=empty
    fi
    ((result == 0)) && break
    if ((result == 2 || attempt == retries)); then
      advise
      return 1
    fi
  done
  # From a private registry it has that registry's name: rename it.
  if [[ $source != "$model" ]]; then
    bare=${source#*://}
    previous=${bare%/*}/hearth-previous
    # Ollama removes unused files only together with a model, so keep the old one under a temporary name first.
    [[ $task == pull ]] || call POST /api/copy "{\"source\":\"$model\",\"destination\":\"$previous\"}"
    if ! call POST /api/copy "{\"source\":\"$bare\",\"destination\":\"$model\"}"; then
      echo "Could not rename $bare to $model: $response" >&2
      return 1
    fi
    call DELETE /api/delete "{\"model\":\"$bare\"}"
    [[ $task == pull ]] || call DELETE /api/delete "{\"model\":\"$previous\"}"
  fi
  echo "$model: pulled"
}

# Also unload it: it may stay in memory forever (ollama_keep_alive). `ollama rm` would do the same with a spinner.
remove() {
  call POST /api/generate "{\"model\":\"$model\",\"keep_alive\":0,\"stream\":false}"
  if ! call DELETE /api/delete "{\"model\":\"$model\"}"; then
    echo "Could not remove model $model: $response" >&2
    return 1
  fi
  echo "$model: removed"
}

# --- After an interruption: Ollama does not sync what it writes, and never verifies it. ------------------------------

# Whether the content of a file in the store matches the digest in its name.
is_intact() {
  local sum
  sum=$(sha256sum "$1" 2>/dev/null) && [[ ${sum%% *} == "${1##*/sha256-}" ]]
}

# Digests of the files in a manifest, one per line.
digests_in() {
  grep -Eo '"digest": ?"sha256:[0-9a-f]{64}"' "$1" | grep -Eo '[0-9a-f]{64}'
}

# Set `manifest` to the path of a model's manifest; the name may start with a registry's address.
manifest_of() {
  local name=${1#*://} tag=latest
  [[ ${name##*/} == *:* ]] && tag=${name##*:} name=${name%:*}
  case $name in
    */*/*) ;;
    */*) name=registry.ollama.ai/$name ;;
    *) name=registry.ollama.ai/library/$name ;;
  esac
  manifest=$store/manifests/$name/$tag
}

# Whether the pulled model has no files: Ollama accepts any JSON object as a manifest.
is_empty() {
  local manifest
  manifest_of "$1"
  [[ -f $manifest ]] && ! tr -d '[:space:]' <"$manifest" | grep -q '"layers":\[{'
}

# Remove damaged files that belong to no model. Files of completely pulled models are not read.
clear_damage() {
  local file part used
  for file in "$store"/manifests/*/*/*/*; do
    # An empty one prevents Ollama from cleaning up its store at startup.
    if [[ -f $file && -z $(digests_in "$file") ]]; then
      echo "removing the damaged manifest of ${file##*manifests/}"
      rm -f "$file"
    fi
  done
  for part in "$store"/blobs/*-partial-*; do
    # The progress record of a file. An unreadable one would make every further pull fail.
    if [[ -f $part ]] && ! grep -q '}' "$part"; then rm -f "${part%-partial-*}"-partial*; fi
  done
  used=$(cat "$store"/manifests/*/*/*/* 2>/dev/null)
  for file in "$store"/blobs/sha256-*; do
    [[ -f $file && $file != *-partial* && $used != *"${file##*/sha256-}"* ]] || continue
    is_intact "$file" && continue
    echo "removing a damaged file of $(($(stat -c %s "$file") / 1000000)) MB"
    rm -f "$file"
  done
}

# Whether a model is present and intact. A damaged one is removed, so that Ollama no longer lists it.
verify() {
  local name manifest digest damaged=0
  for name in "$model" "$source"; do
    manifest_of "$name"
    if [[ ! -f $manifest ]]; then
      [[ $name == "$model" ]] && damaged=1
      continue
    fi
    for digest in $(digests_in "$manifest"); do
      is_intact "$store/blobs/sha256-$digest" && continue
      echo "$model: was damaged by an interrupted pull"
      rm -f "$store/blobs/sha256-$digest" "$manifest"
      damaged=1
    done
  done
  return $damaged
}

failed=() cleared=''
while (($# > 2)); do
  model=$1 source=$2 task=$3
  shift 3
  if [[ $task == repair || $task == check ]]; then
    echo "$model: its pull was interrupted; verifying its files …"
    [[ $cleared ]] || clear_damage
    cleared=yes
    if verify; then
      echo "$model: intact"
      [[ $source == "$model" ]] || call DELETE /api/delete "{\"model\":\"${source#*://}\"}"
      continue
    fi
    [[ $task == check ]] && continue
  fi
  if [[ $task == remove ]]; then
    remove || failed+=("$model")
    continue
  fi
  pull_with_retries || failed+=("$model")
done
# The health check loads the models of ollama_preload again: this one may be among them.
rm -f /tmp/hearth-preload
# The pull must be on disk before it counts as done.
sync -f "$store" 2>/dev/null || sync
if ((${#failed[@]} > 0)); then
  ((${#failed[@]} == 1)) || echo "Failed models: ${failed[*]}." >&2
  exit 1
fi

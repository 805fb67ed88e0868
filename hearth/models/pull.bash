# Runs inside the Ollama container: pull models through the server's API, telling how far each is.
# Arguments: seconds without progress, retries; then for each model its name, the name to pull it by (a registry's
# address may be in it), and what is to be done: "pull", "update" one that is there, "repair" one whose pull was cut
# off, only "check" such a one, or "remove" it.
# Ends with 0, or with 1 when not all could be done; what arrived is safe on the disk in both cases.
set -u
patience=$1 retries=$2
shift 2
store=${OLLAMA_MODELS:-/root/.ollama/models}
longest_pause=120 # seconds between two attempts, whatever a registry asks for

# One request to the server; the answer can be read from 3. HTTP/1.0, so that none comes in chunks.
request() {
  local method=$1 path=$2 body=$3
  exec 3<>/dev/tcp/127.0.0.1/11434 || return 1
  printf '%s %s HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' \
    "$method" "$path" "${#body}" "$body" >&3
}

# A request of which only the answer's status matters.
order() {
  answer=''
  request "$@" && IFS= read -r answer <&3
  exec 3>&-
  [[ $answer == *' 200 '* ]]
}

# Of a one-line JSON object: a number, or a string without quotes in it, into the variable of that name. No subshell:
# progress comes some sixteen times a second, and the processor has other things to do.
field() {
  [[ $line =~ \"$1\":\"?([^\",}]*) ]] && printf -v "$1" %s "${BASH_REMATCH[1]}"
}

# Into the variable $1: a number of bytes, seconds, as people write them.
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

# One line of progress: how much of how much is there, how fast it comes, how long it still takes.
tell() {
  local here whole text rate speed left
  amount here "$completed"
  amount whole "$total"
  text="$model: $status: $here of $whole ($percent%)"
  # What was there before does not count.
  if ((SECONDS - begun >= 2 && completed > start && completed < total)); then
    rate=$(((completed - start) / (SECONDS - begun)))
    amount speed "$rate"
    duration left $(((total - completed) / (rate > 0 ? rate : 1)))
    text+=", $speed/s, $left left"
  fi
  echo "$text"
}

# Why a pull failed, into `why`, from the text of an error; `pause` is how long to wait before trying again, if longer
# than usual, and `server` is set to the host that was asked, where the text names one. Returns 2 when no retry can cure
# it, else 1. Ollama hands on a registry's status as "pull model manifest: 412: …" (of a file: "403: "), but turns a 404
# into "file does not exist". A status comes before words: a page of 502 may well have "not found" in it.
sort_error() {
  local text=${1,,} code='' of=file
  why='' pause=0
  [[ $text == 'pull model manifest: '* ]] && of=manifest
  [[ $text =~ ^(pull model manifest: |max retries exceeded: )?(unexpected status code |status )?([345][0-9][0-9])(:|$) ]] &&
    code=${BASH_REMATCH[3]}
  # A connection that failed: Get "https://HOST/…": … Files often come from another host than the registry's.
  [[ -z $code && $text =~ (get|head)\ \"https?://([^/\"]+) ]] && server=${BASH_REMATCH[2]}
  case $code in
    401) why=login ;;
    403 | 451) why=denied ;;
    404 | 410) [[ $of == manifest ]] && why=missing || why=incomplete ;;
    412) why=old ;;
    429)
      why=limited pause=-1
      # Ollama does not hand on the header Retry-After; some registries say it in their text, too.
      [[ $text =~ retry[-_\ ]?after[^0-9]{0,5}([0-9]{1,6}) ]] && pause=$((10#${BASH_REMATCH[1]}))
      ((pause > longest_pause)) && pause=$longest_pause
      ;;
    408 | 425) ;;
    5??) why=down ;;
    3?? | 4??) why=refused ;;
    '')
      # An address says nothing about the error: a model may be called "unauthorized".
      while [[ $text =~ \"[^\"]*\" ]]; do text=${text/"${BASH_REMATCH[0]}"/}; done
      case $text in
        *'x509: '*'unknown authority'*) why=authority ;;
        *'x509: certificate has expired'*) why=expired ;;
        *'x509: '* | *'failed to verify certificate'*) why=certificate ;;
        *'http response to https client'* | *'does not look like a tls handshake'*) why=plain ;;
        *'no space left'* | *'quota exceeded'*) why=full ;;
        *': permission denied' | *': read-only file system' | *': input/output error')
          # Of a file, whose path is told; a connection may be denied as well.
          [[ $text =~ [a-z]\ /[^:]*:\ [^:]*$ ]] && why=store
          ;;
        *'lookup '*': no such host' | *'lookup '*': server misbehaving') why=dns ;;
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
    '' | limited | down | dns | damaged) return 1 ;;
    *) return 2 ;;
  esac
}

# The last sentence about a model that was not pulled: what to do next.
advise() {
  local what kept='what arrived is kept'
  case $why in
    old) what=": it requires a newer version of Ollama. Set ollama_image to a newer version and deploy again; if that version does not work, Hearth rolls back." ;;
    mlx) what=": this variant runs on Apple's MLX only. Choose another tag (ollama_models)." ;;
    login) what=": it requires a login. The model is private or gated, or its name is wrong. Check the name, or choose a public model (ollama_models)." ;;
    denied) what=": access is denied. The model is private or gated, or a firewall or proxy blocks the request. Choose a public model (ollama_models), or allow $server in that firewall or proxy." ;;
    missing) what=": the registry does not have it. Check the name (ollama_models)." ;;
    incomplete) what=": the registry lacks one of its files. Choose another tag (ollama_models), or push the model to the registry again." ;;
    name) what=": Ollama does not accept this name. Correct it (ollama_models)." ;;
    authority) what=": the certificate of $server is signed by an unknown authority (x509), so a firewall or proxy probably inspects TLS. Exempt $server from that. A registry of your own needs a certificate from a public authority, or http:// (ollama_model_registry)." ;;
    expired) what=": the certificate of $server has expired or is not yet valid (x509). Check the host's clock with timedatectl; if it is correct, the certificate has to be renewed." ;;
    certificate) what=": the certificate is not valid for $server (x509). Check that address (ollama_models, ollama_model_registry), and whether a firewall or proxy inspects TLS." ;;
    plain) what=": $server uses http, not https. Set ollama_model_registry to its address with http://." ;;
    location) what=": its responses lack the Location header that Ollama needs. Add the header \"Location: ?\" to them in the registry's configuration (docs/decisions/0003)." ;;
    page) what=": the response is not a model but, for example, the sign-in page of a network. Check the host's internet access and the name (ollama_models)." ;;
    empty) what=": what it serves under that name has no files, so it is not a model. Check the name (ollama_models), or push the model to the registry again." ;;
    full) what=": the disk is full. Free up space, or set ollama_models_dir to a directory on a larger disk, then deploy again: $kept." ;;
    store) what=": Ollama can't use its models directory. Check that disk and its mount (ollama_models_dir), then deploy again." ;;
    refused) what=": the registry refused the request, and a retry won't change that. Check the name and tag (ollama_models), and that this registry serves models." ;;
    limited) what=": the registry limits the rate of pulls. Deploy again later: $kept." ;;
    down) what=": the registry is temporarily unavailable. Deploy again later: $kept." ;;
    dns) what=": the name $server could not be resolved. Check that name and the host's DNS, then deploy again: $kept." ;;
    damaged) what=": the download does not match its checksum. Deploy again later; if that does not help, something on the way changes it, or the registry's copy is damaged." ;;
    ollama) what=": Ollama does not respond. See its log (sudo docker logs hearth-ollama), then deploy again: $kept." ;;
    *) what=". Check the name (ollama_models) and the host's internet access, then deploy again: $kept." ;;
  esac
  echo "Could not pull $model from $from$what" >&2
}

# Into `from`: whose registry a model is pulled from, for people; into `server`, its host. Only a name of three parts
# begins with a registry's address.
registry_of() {
  local rest=${1#*://}
  from="Ollama's library" server=registry.ollama.ai
  if [[ $1 == *://* ]]; then
    from=${1%"$rest"}${rest%%/*} server=${rest%%/*}
  elif [[ $1 == */*/* && $1 != registry.ollama.ai/* ]]; then
    from=${1%%/*} server=${1%%/*}
  fi
}

# Prints status changes, every tenth percent, and a line every ten seconds as long as something comes. Returns 0 when
# pulled, 1 when that may be tried again, 2 when not; then `why` and `pause` are as sort_error leaves them.
pull() {
  local line status said='' last=-1 completed total percent moved=-1 since=$SECONDS start=0 begun=0 told=0 shown=0
  why='' pause=0
  request POST /api/pull "{\"model\":\"$source\",\"insecure\":$insecure,\"stream\":true}" || { why=ollama && return 1; }
  while true; do
    # An error's JSON has no newline after it: then read ends with a failure and a line all the same.
    IFS= read -r -t "$patience" line <&3
    local code=$?
    if ((code > 128)) || { ((code != 0)) && [[ -z $line ]]; }; then
      echo "$model: the connection ended, or nothing came for $patience s" >&2
      return 1
    fi
    if [[ $line == *'"error":'* ]]; then
      local reason=${line#*'"error":'}
      reason=${reason#\"}
      reason=${reason%\"\}*}
      # For people: a registry's lines in one, its quotes as quotes. All else stays JSON, control characters above all.
      reason=${reason//\\[nt]/ }
      while [[ $reason == *'  '* ]]; do reason=${reason//'  '/ }; done
      reason=${reason//\\\"/\"}
      echo "$model: ${reason:0:500}" >&2
      sort_error "$reason"
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
      said=$status last=-1 start=$completed begun=$SECONDS
      [[ $total == 0 ]] && echo "$model: $status"
    fi
    if ((total > 0)); then
      percent=$((completed * 100 / total))
      if ((percent / 10 > last / 10 || last < 0 || (SECONDS - told >= 10 && completed != shown))); then
        tell
        last=$percent told=$SECONDS shown=$completed
      fi
    fi
  done
}

# The whole of it for one model: attempts, and its plain name.
get() {
  local attempt result from server why='' pause=0 insecure=false bare previous answer
  registry_of "$source"
  [[ $source == http://* ]] && insecure=true
  for ((attempt = 0; attempt <= retries; attempt++)); do
    if ((attempt > 0)); then
      # A registry that limits pulls counts those that come too early, too.
      ((pause >= 0)) || pause=$((attempt * 30 > longest_pause ? longest_pause : attempt * 30))
      ((pause > attempt * 3)) || pause=$((attempt * 3))
      echo "$model: trying again ($attempt of $retries) in $pause s, from where it was …"
      sleep "$pause"
    fi
    pull
    result=$?
    exec 3>&-
    if ((result == 0)) && is_empty "$source"; then
      # Whatever else it is, Ollama would list it, and answer each question to it with an error.
      order DELETE /api/delete "{\"model\":\"${source#*://}\"}"
      result=2 why=empty
    fi
    ((result == 0)) && break
    if ((result == 2 || attempt == retries)); then
      advise
      return 1
    fi
  done
  # From a registry of one's own it came under that registry's name: give it the plain one.
  if [[ $source != "$model" ]]; then
    bare=${source#*://}
    previous=${bare%/*}/hearth-previous
    # Ollama removes files that no model needs any more only together with a model: so the old one gets a name first.
    [[ $task == pull ]] || order POST /api/copy "{\"source\":\"$model\",\"destination\":\"$previous\"}"
    if ! order POST /api/copy "{\"source\":\"$bare\",\"destination\":\"$model\"}"; then
      echo "Model $model came as $bare and could not be renamed: $answer" >&2
      return 1
    fi
    order DELETE /api/delete "{\"model\":\"$bare\"}"
    [[ $task == pull ]] || order DELETE /api/delete "{\"model\":\"$previous\"}"
  fi
  echo "$model: pulled"
}

# Out of memory, too: a model may stay there for ever (ollama_keep_alive). `ollama rm` would do the same with a spinner.
remove() {
  order POST /api/generate "{\"model\":\"$model\",\"keep_alive\":0,\"stream\":false}"
  if ! order DELETE /api/delete "{\"model\":\"$model\"}"; then
    echo "Model $model could not be removed: $answer" >&2
    return 1
  fi
  echo "$model: removed"
}

# --- After an interruption: Ollama does not flush what it writes, and never looks at it again. ------------------------

# Whether a file of the store has the content that its name says.
is_whole() {
  local sum
  sum=$(sha256sum "$1" 2>/dev/null) && [[ ${sum%% *} == "${1##*/sha256-}" ]]
}

# Digests of the files that a manifest needs, one a line.
files_of() {
  grep -Eo '"digest": ?"sha256:[0-9a-f]{64}"' "$1" | grep -Eo '[0-9a-f]{64}'
}

# Set `manifest` to where the manifest of a model is, whose name may begin with a registry's address.
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

# Whether what was pulled has no files: Ollama takes any JSON object for a manifest.
is_empty() {
  local manifest
  manifest_of "$1"
  [[ -f $manifest ]] && ! tr -d '[:space:]' <"$manifest" | grep -q '"layers":\[{'
}

# Remove what is damaged and belongs to no model. Files of models whose pull was finished long ago are not read.
clear_damage() {
  local file part used
  for file in "$store"/manifests/*/*/*/*; do
    # An empty one keeps Ollama from clearing its store when it starts.
    if [[ -f $file && -z $(files_of "$file") ]]; then
      echo "removing the list of files of ${file##*manifests/}, which is damaged"
      rm -f "$file"
    fi
  done
  for part in "$store"/blobs/*-partial-*; do
    # How much of a file is there. Every further pull of it would fail on an unreadable one.
    if [[ -f $part ]] && ! grep -q '}' "$part"; then rm -f "${part%-partial-*}"-partial*; fi
  done
  used=$(cat "$store"/manifests/*/*/*/* 2>/dev/null)
  for file in "$store"/blobs/sha256-*; do
    [[ -f $file && $file != *-partial* && $used != *"${file##*/sha256-}"* ]] || continue
    is_whole "$file" && continue
    echo "removing a file of $(($(stat -c %s "$file") / 1000000)) MB, which is damaged"
    rm -f "$file"
  done
}

# Whether a model is there and whole. One that is there and not whole is removed, so that Ollama lists it no more.
verify() {
  local name manifest digest whole=0
  for name in "$model" "$source"; do
    manifest_of "$name"
    if [[ ! -f $manifest ]]; then
      [[ $name == "$model" ]] && whole=1
      continue
    fi
    for digest in $(files_of "$manifest"); do
      is_whole "$store/blobs/sha256-$digest" && continue
      echo "$model: was damaged when its pull was cut off"
      rm -f "$store/blobs/sha256-$digest" "$manifest"
      whole=1
    done
  done
  return $whole
}

failed=() cleared=''
while (($# > 2)); do
  model=$1 source=$2 task=$3
  shift 3
  if [[ $task == repair || $task == check ]]; then
    echo "$model: its pull was cut off; looking at what is there …"
    [[ $cleared ]] || clear_damage
    cleared=yes
    if verify; then
      echo "$model: is whole"
      [[ $source == "$model" ]] || order DELETE /api/delete "{\"model\":\"${source#*://}\"}"
      continue
    fi
    [[ $task == check ]] && continue
  fi
  if [[ $task == remove ]]; then
    remove || failed+=("$model")
    continue
  fi
  get || failed+=("$model")
done
# Before anybody takes the pull for done, it must be on the disk.
sync -f "$store" 2>/dev/null || sync
if ((${#failed[@]} > 0)); then
  ((${#failed[@]} == 1)) || echo "These models need a look: ${failed[*]}." >&2
  exit 1
fi

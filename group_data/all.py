"""Every setting of Hearth with its default.

Change nothing here: put what differs for your hosts into the inventory file, or into
group_data/<group>.py (a file that has the name of one of the inventory's groups). A value given
there replaces the one here as a whole; lists and tables are not merged.

`hearth/settings/model.py` checks every value before anything on a host is changed, and says what would
be right. Sizes are "256m" or "2g", times are in seconds, or Go durations ("5m") where Ollama wants them.
"""

# --- Images -----------------------------------------------------------------------------------
# What runs. A version or a digest (name@sha256:…) is required: "latest" would change under you. docs/versions.md says
# what was run and what was read of these two.
ollama_image = "ollama/ollama:0.32.15"
proxy_image = "httpd:2.4.71"

# --- The page and the proxy ---------------------------------------------------------------------
# Port of the chat page and its API on the host, on all of the host's addresses.
proxy_port = 85
# Title of the chat page.
chat_title = "Hearth"
# Web pages on OTHER origins that may call the API from a browser: "http://192.168.1.20:8080".
# The chat page itself needs no entry. Exactly as the browser writes it: scheme, host, port.
allowed_origins = []
# Names, beyond IP addresses, single words ("pi") and *.local, under which browsers may call this host.
# Any other name is answered 421, so that a foreign name pointed at your host (DNS rebinding) gets nothing.
proxy_host_names = []
# Who may open the page and call the routes: "anyone" who reaches the port, callers from "networks"
# (proxy_allowed_networks), "users" who sign in (proxy_users), programs with one of the "api_keys" (proxy_api_keys).
# Joined as "users or api_keys", "networks or users", "networks and users", "networks and (users or api_keys)" and so
# on: docs/access.md.
proxy_access = "anyone"
# Networks and addresses that "networks" means: ["192.168.1.0/24", "192.168.7.20"]. IPv4, since Docker hides others.
proxy_allowed_networks = []
# Names of people, and where the password of each comes from when you deploy; the password itself never stands here:
# {"anna": {"command": ["pass", "show", "hearth/anna"]}, "ben": {"file": "~/.hearth/ben"}, "eve": {"env": "HEARTH_EVE"}}
proxy_users = {}
# The same for programs and their API keys, at least 20 random characters (`openssl rand -hex 20`).
proxy_api_keys = {}
# Paths that exist, and what they lead to in Ollama. Everything else Ollama has is refused.
# "access" in one says who may call it, where that is not proxy_access: {"path": …, "access": "users"}
proxy_routes = [
    {"path": "/api/ollama", "to": "/api/generate", "methods": ["POST"]},
    {"path": "/api/chat", "to": "/api/chat", "methods": ["POST"]},
    {"path": "/api/tags", "to": "/api/tags", "methods": ["GET", "HEAD"]},
    {"path": "/api/show", "to": "/api/show", "methods": ["POST"]},
    {"path": "/api/version", "to": "/api/version", "methods": ["GET", "HEAD"]},
    {"path": "/v1/chat/completions", "to": "/v1/chat/completions", "methods": ["POST"]},
    {"path": "/v1/models", "to": "/v1/models", "methods": ["GET"]},
]
# Routes of your own, for instance to a Flask backend on this host. A path that ends in "/" takes all below it:
# {"path": "/flask/", "to": "http://host.docker.internal:5001/", "methods": ["GET", "HEAD", "POST"]}
proxy_extra_routes = []
# Seconds without a byte from Ollama before the proxy gives up. Must outlast loading a model on a slow card.
proxy_timeout = 900
# Answers generated at the same time; more wait `proxy_queue_timeout` seconds for a place, then get a quick 503.
proxy_max_streams = 4
# Seconds that a question waits for one of these places before it gets a 503.
proxy_queue_timeout = 5
# Largest request body (a prompt with pictures in it, say).
proxy_max_body = "32m"
# Memory the httpd container may use.
proxy_memory_limit = "256m"

# --- TLS (docs/tls.md) ----------------------------------------------------------------------------
# "off": http:// only. "files": a certificate of your own. "local-ca": one that Hearth makes, which your devices trust
# when you tell them once. "acme": one from a public authority (Let's Encrypt), for a name that the internet knows.
# Unless "off", http:// answers 308 to https:// (localhost excepted), and the plain port stays open for that.
proxy_tls = "off"
# Port of https:// on the host, on all of its addresses.
proxy_tls_port = 443
# Names and addresses under which you open the page, for the certificate: ["pi.local", "192.168.1.189"]. With "files",
# the certificate is checked for them. Names here need no entry in proxy_host_names.
proxy_tls_names = []
# "files": a PEM file on THIS computer with the certificate and its chain.
proxy_tls_certificate = ""
# "files": where the certificate's key is read from when you deploy:
# {"file": "~/certificates/pi.key"}, {"env": "PI_KEY"} or {"command": ["pass", "show", "pi.key"]}.
proxy_tls_key = ""
# "local-ca": the directory on THIS computer that keeps the authority and its key. Keep a copy: a new one means telling
# every device anew.
proxy_tls_ca = "~/.config/hearth/ca"
# Days for which browsers that saw the page refuse http:// to this host's name, on ANY port of it; 0 for not at all.
proxy_tls_hsts_days = 0
# "acme": where the authority is asked; this is Let's Encrypt.
proxy_acme_directory = "https://acme-v02.api.letsencrypt.org/directory"
# "acme": an address for the authority's mails.
proxy_acme_contact = ""
# "acme": write "accepted" to accept the authority's terms of service (https://letsencrypt.org/repository/).
proxy_acme_terms = ""
# How the authority may check that the name is yours: by calling the name's port 443 ("tls-alpn-01") or 80 ("http-01").
proxy_acme_challenges = ["tls-alpn-01", "http-01"]
# A PEM file on THIS computer with the certificate that an authority of your own (step-ca, say) is reached with, or "".
proxy_acme_trust = ""

# --- Ollama -------------------------------------------------------------------------------------
# Models that the host must have, by their names in Ollama's library. The default fits into 2 GB of memory.
ollama_models = ["llama3.2:1b"]
# True removes the models that Ollama has and ollama_models does not list, each time after the listed ones are there.
ollama_prune_models = False
# True asks the registry each time whether a listed model was changed under its name, and pulls it again if so.
ollama_update_models = False
# Where models live: "" for the Docker volume hearth-models, or a directory that exists on the host ("/mnt/ssd/ollama").
ollama_models_dir = ""
# A registry to pull models from instead of Ollama's library ("http://192.168.1.10:5000"), or "".
ollama_model_registry = ""
# Where Ollama itself is reachable, beside the proxy: "127.0.0.1:11434" for the host alone, "" for nowhere.
# It has no authentication: any address but 127.0.0.1 (the host's on your network, or 0.0.0.0) opens it to all there.
ollama_publish = "127.0.0.1:11434"
# How long a model stays in memory after the last question: "5m", "-1" for ever, "0" not at all.
ollama_keep_alive = "5m"
# How long loading a model may stall before Ollama gives up.
ollama_load_timeout = "10m"
# Questions answered at the same time by one model; memory grows with it.
ollama_num_parallel = 1
# Models in memory at the same time.
ollama_max_loaded_models = 1
# Questions that may wait before Ollama answers 503.
ollama_max_queue = 64
# Tokens of context a model is loaded with; memory grows with it.
ollama_context_length = 4096
# Memory the Ollama container may use ("" for no limit; "3g" on a Pi with 4 GB leaves room for the rest).
ollama_memory_limit = ""
# Restart Ollama when it is stuck: questions wait, and nothing at all is done for 90 seconds. False only reports it.
# Not seen with ollama_cloud = True.
ollama_heal_stuck = True
# Let Ollama's server offer models that run in its maker's cloud (a private host does not want that).
ollama_cloud = False
# Seconds without progress before a model pull counts as stuck.
ollama_pull_stall_timeout = 300
# How often a model pull that failed or got stuck is taken up again where it was.
ollama_pull_retries = 5

# --- Firewall -----------------------------------------------------------------------------------
# Networks and single machines that may reach the ports that Hearth publishes: ["192.168.1.0/24", "fd12::/16"].
# [] for no firewall: whoever reaches the host may. Other ports, ssh among them, are left alone.
firewall_allowed_networks = []

# --- Disk space asked for before anything is changed ---------------------------------------------
# Room that the images take while they are fetched and unpacked, in GB.
docker_images_gb = 6.0
# Sizes of models in GB, where the guess from the name ("1b" → about 1 GB) is wrong: {"mymodel": 4.1}
ollama_model_sizes_gb = {}

# --- Docker -------------------------------------------------------------------------------------
# Where Docker comes from: "distribution" (Debian's packages), "docker" (Docker's own apt repository),
# or "auto": a Docker that is there already, else the distribution where it is new enough, else Docker's own.
docker_source = "auto"
# Docker's own apt repository, if a mirror of it should be used.
docker_apt_url = "https://download.docker.com/linux"
# Mirrors of Docker Hub: ["http://192.168.1.10:5000"].
docker_registry_mirrors = []
# Containers go on while the Docker engine restarts or is upgraded.
docker_live_restore = True
# Size of one log file of a container.
docker_log_max_size = "10m"
# Log files kept of each container.
docker_log_max_files = 3
# Seconds that fetching one image may take in all.
docker_pull_timeout = 3600
# Seconds without progress before fetching an image counts as stuck.
docker_pull_stall_timeout = 300
# How often fetching an image that failed or got stuck is tried again.
docker_pull_retries = 3
# Seconds to wait for another apt on the host to finish (Debian's own nightly upgrades, say).
docker_apt_timeout = 1800
# Seconds for the containers to become healthy.
docker_health_timeout = 300
# Seconds to wait for running answers to end before a container is replaced, which would cut them.
docker_drain_timeout = 30

# --- The host itself ------------------------------------------------------------------------------
# True lets a deploy restart the host where something has to be put in force that takes a restart (at present: memory
# limits on a Raspberry Pi, once), and goes on afterwards. False says what waits for a restart, and goes on without.
host_allow_reboot = False

# --- Releases -------------------------------------------------------------------------------------
# Releases kept on the host, the one that serves included: what `hearth rollback` can go back to. Images that only
# older ones used are removed; each Ollama image takes some GB of disk.
releases_kept = 2

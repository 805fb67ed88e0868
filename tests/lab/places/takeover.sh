# shellcheck shell=sh
# On the lab's guest, by root: your own chat page, in /home/pi/chatbot.
# takeover.sh MIRROR MODEL_REGISTRY HTTPD OLLAMA (images; see test_takeover.py)
set -eu
exec 2>&1
mirror=$1 registry=$2 httpd=$3 ollama=$4
export DEBIAN_FRONTEND=noninteractive
mkdir -p /etc/docker /home/pi/chatbot/htdocs
echo "{\"registry-mirrors\": [\"$mirror\"]}" >/etc/docker/daemon.json
apt-get -qq -o Acquire::Languages=none update
apt-get -qq -y --no-install-recommends install docker.io docker-cli docker-compose iptables ca-certificates \
  </dev/null >/dev/null
cd /home/pi/chatbot
echo '<title>chatBot</title>' >htdocs/index.html
cat >httpd.conf <<'CONF'
ServerRoot "/usr/local/apache2"
Listen 80
ServerName localhost
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule unixd_module modules/mod_unixd.so
LoadModule authz_core_module modules/mod_authz_core.so
LoadModule dir_module modules/mod_dir.so
LoadModule mime_module modules/mod_mime.so
LoadModule proxy_module modules/mod_proxy.so
LoadModule proxy_http_module modules/mod_proxy_http.so
User www-data
Group www-data
DocumentRoot "/usr/local/apache2/htdocs"
DirectoryIndex index.html
ErrorLog /proc/self/fd/2
ProxyPass /api/ollama http://ollama:11434/api/generate
ProxyPassReverse /api/ollama http://ollama:11434/api/generate
CONF
cat >compose.yaml <<YAML
services:
  chatBot:
    image: $httpd
    container_name: chatBot
    restart: always
    ports: ["85:80"]
    volumes:
      - ./httpd.conf:/usr/local/apache2/conf/httpd.conf:ro
      - ./htdocs:/usr/local/apache2/htdocs:ro
  ollama:
    image: $ollama
    container_name: ollama
    restart: always
    ports: ["11434:11434"]
    volumes:
      - ollama:/root/.ollama
volumes:
  ollama:
YAML
docker compose --progress quiet up --detach
tries=0
until docker exec ollama ollama list >/dev/null 2>&1; do
  tries=$((tries + 1))
  [ $tries -lt 60 ]
  sleep 1
done
docker exec ollama ollama pull --insecure "$registry/library/tinyllama" >/dev/null
docker exec ollama ollama cp "$registry/library/tinyllama" tinyllama
docker exec ollama ollama rm "$registry/library/tinyllama"

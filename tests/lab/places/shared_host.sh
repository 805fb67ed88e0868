# shellcheck shell=sh
# On the lab's guest, by root: sets up a shared host. shared_host.sh MIRROR MODEL_REGISTRY HTTPD OLLAMA (images; see test_shared_host.py)
set -eu
exec 2>&1
mirror=$1 registry=$2 httpd=$3 ollama=$4
export DEBIAN_FRONTEND=noninteractive
# A user's engine configuration, without conflicts with Hearth's.
mkdir -p /etc/docker
cat >/etc/docker/daemon.json <<JSON
{
    "registry-mirrors": ["$mirror"],
    "default-address-pools": [{"base": "172.30.0.0/16", "size": 24}],
    "labels": ["room=cellar"]
}
JSON
apt-get -qq -o Acquire::Languages=none update
apt-get -qq -y --no-install-recommends install docker.io docker-cli docker-compose iptables ca-certificates \
  apache2 ufw libstdc++6 </dev/null >/dev/null
echo 'The page that was here before.' >/var/www/html/index.html

# A container that would not restart by itself if the engine stopped it.
docker network create blog >/dev/null
docker run --detach --name old-blog --network blog --restart no "$httpd" >/dev/null

ufw allow 22/tcp >/dev/null
ufw allow 80/tcp >/dev/null
ufw allow 5001/tcp >/dev/null
ufw --force enable

# Ollama as installed by its installer: a program, a user, a service.
docker create --name program "$ollama" >/dev/null
docker cp --follow-link program:/bin/ollama /usr/local/bin/ollama
docker rm program >/dev/null
docker rmi "$ollama" >/dev/null
useradd --system --shell /bin/false --user-group --create-home --home-dir /usr/share/ollama ollama
cat >/etc/systemd/system/ollama.service <<'UNIT'
[Unit]
Description=Ollama Service
After=network-online.target

[Service]
ExecStart=/usr/local/bin/ollama serve
User=ollama
Group=ollama
Restart=always
RestartSec=3

[Install]
WantedBy=default.target
UNIT
systemctl daemon-reload
systemctl enable --quiet --now ollama.service
tries=0
until ollama list >/dev/null 2>&1; do
  tries=$((tries + 1))
  [ $tries -lt 60 ]
  sleep 1
done
ollama pull --insecure "$registry/library/tinyllama" >/dev/null
ollama cp "$registry/library/tinyllama" tinyllama
ollama rm "$registry/library/tinyllama"

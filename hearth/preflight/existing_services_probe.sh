# shellcheck shell=sh
# Services on a host before Hearth's first deploy. Containers and listeners are collected elsewhere.
echo @@existing_services
grep -qs '^ENABLED=yes' /etc/ufw/ufw.conf && echo ufw
# shellcheck disable=SC2154  # $root is Docker's data-root, set by the script that includes this one
[ -s "$root/swarm/docker-state.json" ] && echo swarm
[ -e /snap/bin/docker ] && echo snap
for place in /usr/libexec/docker /usr/lib/docker /usr/local/lib/docker /usr/local/libexec/docker; do
  [ -e "$place/cli-plugins/docker-compose" ] && echo compose
done
dpkg-query -W -f '${db:Status-Status} ${Package}\n' docker.io docker-ce podman-docker 2>/dev/null |
  sed -n 's/^installed /package /p'
command -v docker >/dev/null && timeout 40 docker version --format 'engine {{.Server.Version}}' 2>/dev/null | grep '^engine [0-9]'
systemctl is-active --quiet ollama.service 2>/dev/null && echo service
echo @@stores
for store in /usr/share/ollama/.ollama /root/.ollama /home/*/.ollama; do
  (cd "$store/models/manifests" 2>/dev/null && find . -mindepth 4 -maxdepth 4 -type f ! -name '.*' ! -name '* *' -printf '%P\n') |
    while read -r manifest; do printf "%s\n" "$manifest $store"; done
done
echo @@daemon
# Not after an interrupted first run: it would include Hearth's own settings.
[ -e /opt/hearth/engine.json ] || cat /etc/docker/daemon.json 2>/dev/null

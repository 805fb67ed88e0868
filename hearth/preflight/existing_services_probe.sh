# shellcheck shell=sh
# Services on a host before Hearth's first deploy. Containers and listeners are collected elsewhere.
echo @@existing_services
grep -qs '^ENABLED=yes' /etc/ufw/ufw.conf && echo ufw
[ -e /snap/bin/docker ] && echo snap
for place in /usr/libexec/docker /usr/lib/docker /usr/local/lib/docker /usr/local/libexec/docker; do
  [ -e "$place/cli-plugins/docker-compose" ] && echo compose
done
dpkg-query -W -f '${db:Status-Status} ${Package}\n' docker.io docker-ce podman-docker 2>/dev/null |
  sed -n 's/^installed /package /p'
command -v docker >/dev/null && timeout 40 docker version --format 'engine {{.Server.Version}}' 2>/dev/null | grep '^engine [0-9]'
systemctl is-active --quiet ollama.service 2>/dev/null && echo service
# Containers with an Ollama: name, state, and the directory of its models on the host, which is often a volume's.
ollamas=
if command -v docker >/dev/null; then
  # shellcheck disable=SC2016,SC2046
  ollamas=$(timeout 40 docker inspect --format '{{$c := .}}{{range .Mounts}}{{if eq .Destination "/root/.ollama"}}container {{$c.Name}} {{$c.State.Status}} {{.Source}}{{"\n"}}{{end}}{{end}}' \
    $(timeout 40 docker ps --all --quiet --filter volume=/root/.ollama 2>/dev/null) 2>/dev/null |
    sed -n '/^container \/hearth-ollama /d; s/^container \//container /p')
fi
[ -z "$ollamas" ] || printf '%s\n' "$ollamas"
echo @@stores
{
  printf '%s\n' /usr/share/ollama/.ollama /root/.ollama /home/*/.ollama
  printf '%s\n' "$ollamas" | cut -d ' ' -f 4-
} | while read -r store; do
  (cd "$store/models/manifests" 2>/dev/null && find . -mindepth 4 -maxdepth 4 -type f ! -name '.*' ! -name '* *' -printf '%P\n') |
    while read -r manifest; do printf "%s\n" "$manifest $store"; done
done
echo @@daemon
# Not after an interrupted first run: it would include Hearth's own settings.
[ -e /opt/hearth/engine.json ] || cat /etc/docker/daemon.json 2>/dev/null

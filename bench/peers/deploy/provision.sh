#!/bin/sh
# The same as playbook.yml, as somebody would write it who needs it once: provision.sh TREE DAEMON_JSON MODELS SSH…
# TREE has the stack's files; SSH… is the command that logs in (`ssh pi@host`). One connection, one command in it.
set -eu
tree=$1 daemon=$2 models=$3
shift 3
tar -c -C "$tree" --owner=root --group=root . | "$@" "sudo sh -c '$(
  cat <<'END'
set -eu
incoming=$(mktemp -d)
trap "rm -rf $incoming" EXIT
tar -x -C "$incoming"
dpkg -s docker.io docker-cli docker-compose iptables ca-certificates >/dev/null 2>&1 ||
  apt-get install -y docker.io docker-cli docker-compose iptables ca-certificates
mkdir -p /etc/docker /opt/hearth
printf "%s" "$1" >"$incoming.json"
cmp -s "$incoming.json" /etc/docker/daemon.json || {
  cp "$incoming.json" /etc/docker/daemon.json
  systemctl restart docker
}
rm "$incoming.json"
changed=$(cd "$incoming" && find . -type f | while read -r file; do
  cmp -s "$file" "/opt/hearth/$file" || echo "$file"
done)
[ -z "$changed" ] || cp -r --no-preserve=mode "$incoming/." /opt/hearth/
cd /opt/hearth
docker compose up --detach --wait --wait-timeout 300 --remove-orphans
present=$(docker exec hearth-ollama ollama list)
for model in $2; do
  case $present in *"$model"*) ;; *) docker exec hearth-ollama ollama pull "$model" ;; esac
done
case $changed in *httpd/*) docker exec hearth-httpd httpd -f conf/hearth/httpd.conf -k graceful ;; esac
END
)' sh '$daemon' '$models'"

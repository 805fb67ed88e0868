#!/bin/sh
# The same as the playbook, as somebody would write it who needs it once: provision.sh TREE MODELS SSH…
# TREE has the files (etc/docker, opt/hearth), rendered beforehand; MODELS are words NAME=SOURCE; SSH… is the command
# that logs in (`ssh pi@host`). One connection, and one command in it.
set -eu
tree=$1 models=$2
shift 2
tar -c -C "$tree" --owner=root --group=root . | "$@" "sudo sh -c '$(
  cat <<'END'
set -eu
incoming=$(mktemp -d)
trap "rm -rf $incoming" EXIT
tar -x -C "$incoming"
changed=$(cd "$incoming" && find . -type f | while read -r file; do cmp -s "$file" "/$file" || echo "$file"; done)
[ -z "$changed" ] || (cd "$incoming" && echo "$changed" | tar -c --files-from=- | tar -x -C /)
dpkg -s docker.io docker-cli docker-compose iptables ca-certificates >/dev/null 2>&1 || {
  apt-get install -qq --no-install-recommends docker.io docker-cli docker-compose iptables ca-certificates
  changed=
}
case $changed in *etc/docker/*) systemctl restart docker ;; esac
cd /opt/hearth
docker compose up --quiet-pull --detach --wait --wait-timeout 300 --remove-orphans
present=$(docker exec hearth-ollama ollama list)
for model in $1; do
  name=${model%%=*} from=${model#*=}
  case $present in
    *"$name"*) ;;
    *) docker exec hearth-ollama sh -c "ollama pull --insecure $from && ollama cp $from $name && ollama rm $from" ;;
  esac
done
case $changed in *opt/hearth/httpd/*) docker exec hearth-httpd httpd -f conf/hearth/httpd.conf -k graceful ;; esac
END
)' sh '$models'"

# Whether httpd responds at ADDRESS, for keepalived: exit code 0. A connection proves nothing, since docker-proxy also
# accepts those for a container that hangs. Any status is enough: httpd may ask for a password, or redirect to https://.
# The port is that in compose.yaml, which a rollback or a restore may change. Between the file and the container, httpd is
# still at that of the last accepted release.
set -uo pipefail
cd "${BASH_SOURCE%/*}/.." || exit 1
responds() ( # port
  exec 3<>"/dev/tcp/$address/$1" &&
    printf 'HEAD / HTTP/1.1\r\nHost: %s\r\nUser-Agent: hearth-health\r\nConnection: close\r\n\r\n' "$address" >&3 &&
    IFS= read -r -t 2 line <&3 && [[ $line == HTTP/* ]]
)
address=$1 accepted=releases/$(cat releases/accepted)/tree/compose.yaml
ports=$(sed -nE 's/^ +- "([0-9.]+:)?([0-9]+):80"$/\2/p' compose.yaml "$accepted")
for port in $ports; do
  responds "$port" && exit 0
done
exit 1

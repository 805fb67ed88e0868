# Whether httpd responds at ADDRESS PORT, for keepalived: exit code 0. A connection proves nothing, since docker-proxy
# also accepts those for a container that hangs. Any status is enough: httpd may ask for a password, or redirect to https://.
set -euo pipefail
exec 3<>"/dev/tcp/$1/$2"
printf 'HEAD / HTTP/1.1\r\nHost: %s\r\nUser-Agent: hearth-health\r\nConnection: close\r\n\r\n' "$1" >&3
IFS= read -r -t 2 line <&3
[[ $line == HTTP/* ]]

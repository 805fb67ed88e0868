# Runs on the host. Standard input has the proxy's host, its port, a target (host:port), and the value of the header
# Proxy-Authorization or nothing, a line each. Prints the first line of the response to a CONNECT, or the error.
IFS= read -r address
IFS= read -r port
IFS= read -r target
IFS= read -r login
export address port target login
# shellcheck disable=SC2016  # the inner bash expands these
timeout 15 bash -c '
exec 3<>"/dev/tcp/$address/$port" || exit 0
printf "CONNECT %s HTTP/1.1\r\nHost: %s\r\n" "$target" "$target" >&3
[ -z "$login" ] || printf "Proxy-Authorization: %s\r\n" "$login" >&3
printf "\r\n" >&3
IFS= read -r line <&3
printf "%s\n" "${line%$(printf "\r")}"
' 2>&1
(($? == 124)) && echo 'no response within 15 s'
exit 0

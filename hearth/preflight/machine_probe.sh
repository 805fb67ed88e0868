# shellcheck shell=sh
# What a machine may lack: systemd, a disk that keeps what is written to it, fast instructions, packets of full size.
echo @@machine
[ -d /run/systemd/system ] && echo systemd
echo "init $(cat /proc/1/comm 2>/dev/null)"
# shellcheck disable=SC2154  # $root is Docker's data-root, set by the script that includes this one
for place in /etc /usr /opt "$root"; do
  at=$place
  while [ ! -e "$at" ]; do at=$(dirname "$at"); done
  [ -w "$at" ] || echo "read-only $at"
done
# The last mount on / is the visible one. After the dash: type, source, options.
mount=$(awk '$5 == "/" { line = $0 } END { sub(/^.* - /, "", line); print line }' /proc/self/mountinfo)
echo "root ${mount%% *}"
# Where an overlay stores changes; not visible if that is hidden, as by the initramfs of a Raspberry Pi.
upper=${mount##*,upperdir=}
echo "changes $(stat -f -c %T "${upper%%,*}" 2>/dev/null)"
flags=" $(sed -n '/^flags[[:space:]]*:/ { s/^[^:]*://p; q; }' /proc/cpuinfo) "
for flag in fpu avx hypervisor; do
  case $flags in *" $flag "*) echo "flag $flag" ;; esac
done
for device in /sys/class/net/*; do
  { read -r mtu <"$device/mtu" && echo "mtu $mtu ${device##*/}"; } 2>/dev/null
done
# A lookup only; no packet is sent.
echo "route $(ip -j -4 route get 1.1.1.1 2>/dev/null || ip -j -6 route get 2606:4700:4700::1111 2>/dev/null)"

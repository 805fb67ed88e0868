# shellcheck shell=sh
# On the lab's guest, by root: creates an LXC container from the guest's root, as Proxmox does (a Debian root without an engine).
# It is not started. Used by tests/lab/places/lxc.py.
set -eu
exec 2>&1
# Before anything is installed: the container is as fresh as the guest. Without the kernel and its files.
tar --create --file /var/tmp/root.tar --directory / --one-file-system --numeric-owner \
  --exclude=./boot --exclude=./usr/lib/modules --exclude=./var/cache/apt --exclude=./var/tmp/root.tar --exclude='./dev/*' .
export DEBIAN_FRONTEND=noninteractive
apt-get -qq -o Acquire::Languages=none update
apt-get -qq -y --no-install-recommends install lxc uidmap lxcfs apparmor dnsmasq-base nftables </dev/null >/dev/null

# The ids of an unprivileged container, as in Proxmox.
for file in /etc/subuid /etc/subgid; do
  grep -qs '^root:100000:' $file || echo root:100000:65536 >>$file
done
root=/var/lib/lxc/hearth/rootfs
mkdir -p $root
chmod 0755 /var/lib/lxc /var/lib/lxc/hearth
chown 100000:100000 $root
lxc-usernsexec -m b:0:100000:65536 -- tar --extract --preserve-permissions --numeric-owner --directory $root </var/tmp/root.tar
rm /var/tmp/root.tar

# What `pct create` sets: names, network, the key for root.
echo hearth-lxc >$root/etc/hostname
printf '127.0.0.1 localhost\n127.0.1.1 hearth-lxc\n' >$root/etc/hosts
: >$root/etc/fstab
: >$root/etc/machine-id
# LXC sets the address.
for unit in systemd-networkd.service systemd-networkd.socket systemd-networkd-wait-online.service systemd-resolved.service; do
  systemctl --quiet --root=$root disable $unit 2>/dev/null || true
done
rm -f $root/etc/resolv.conf
echo 'nameserver 10.0.2.3' >$root/etc/resolv.conf
install -d -m 0700 -o 100000 -g 100000 $root/root/.ssh
install -m 0600 -o 100000 -g 100000 /home/pi/.ssh/authorized_keys $root/root/.ssh/authorized_keys
chown -h 100000:100000 $root/etc/hostname $root/etc/hosts $root/etc/fstab $root/etc/machine-id $root/etc/resolv.conf

echo 'USE_LXC_BRIDGE="true"' >/etc/default/lxc-net
systemctl restart lxc-net.service
# Forward the lab's ports from the guest to the container.
sysctl -qw net.ipv4.ip_forward=1
nft -f - <<'RULES'
table ip to_lxc {
  chain prerouting {
    type nat hook prerouting priority dstnat
    iifname != "lxcbr0" fib daddr type local tcp dport { 80, 85, 443, 5001, 11434 } dnat to 10.0.3.10
  }
}
RULES

#!/usr/bin/env bash
# The root directory of the house's hosts: house.sh OUT SOURCES APTCONF ROOTFILES. As the guest's, without kernel and disk.
# ROOTFILES is a directory that is copied over the root as it is.
set -euo pipefail
out=$1 sources=$2 aptconf=$3 files=$4
root=$out/root
mkdir "$root"
mmdebstrap --mode=root --variant=minbase \
  --include=systemd-sysv,dbus,openssh-server,systemd-resolved,ca-certificates,iproute2,sudo,libpam-systemd,kmod \
  --aptopt="$aptconf" \
  --essential-hook="cp -rT --no-preserve=ownership '$files' \"\$1\"" \
  trixie "$root" "$sources"

cat >"$root/etc/apt/apt.conf.d/99hearth-lab" <"$aptconf"
echo 'LANG=C.UTF-8' >"$root/etc/default/locale"
: >"$root/etc/machine-id"
rm -f "$root/var/lib/dbus/machine-id" "$root"/etc/ssh/ssh_host_*
ln -sf ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
# TLS authorities of this machine's network, when it has any of its own.
if [ -n "$(ls /usr/local/share/ca-certificates/*.crt 2>/dev/null)" ]; then
  cp -L /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/"
  chroot "$root" update-ca-certificates
fi
chroot "$root" useradd --create-home --shell /bin/bash --groups sudo,adm pi
install -d -m 0700 -o 1000 -g 1000 "$root/home/pi/.ssh"
chmod 0440 "$root/etc/sudoers.d/pi"
systemctl --quiet --root="$root" disable apt-daily.timer apt-daily-upgrade.timer
systemctl --quiet --root="$root" enable systemd-networkd systemd-resolved ssh hearth-lab-hostkey
chmod a+r "$out"/*

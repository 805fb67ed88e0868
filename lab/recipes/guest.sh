#!/usr/bin/env bash
# The guest: disk.qcow2, vmlinuz and initrd in OUT. guest.sh OUT SOURCES APTCONF ROOTFILES DISK_SIZE
# ROOTFILES is a directory that is copied over the root as it is.
set -euo pipefail
out=$1 sources=$2 aptconf=$3 files=$4 size=$5
root=$out/root
mkdir "$root"
# What a freshly flashed Pi has and the lab needs: an init, a network, sshd, sudo. No Python, no curl, no Docker, no chrony.
# The initrd lists its modules (see ROOTFILES), so those files must be there before the kernel's scripts run.
mmdebstrap --mode=root --variant=minbase \
  --include=systemd-sysv,udev,dbus,openssh-server,linux-image-cloud-amd64,initramfs-tools,zstd \
  --include=systemd-resolved,ca-certificates,iproute2,sudo,libpam-systemd \
  --aptopt="$aptconf" \
  --essential-hook="cp -rT --no-preserve=ownership '$files' \"\$1\"" \
  trixie "$root" "$sources"

cat >"$root/etc/apt/apt.conf.d/99hearth-lab" <"$aptconf"
echo hearth-lab >"$root/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 hearth-lab\n::1 localhost\n' >"$root/etc/hosts"
echo '/dev/vda / ext4 errors=remount-ro 0 1' >"$root/etc/fstab"
echo 'LANG=C.UTF-8' >"$root/etc/default/locale"
# An empty file: the identity is made at the first boot of each overlay, without systemd's first-boot questions.
: >"$root/etc/machine-id"
rm -f "$root/var/lib/dbus/machine-id" "$root"/etc/ssh/ssh_host_*
ln -sf ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
# TLS authorities of this machine's network, when it has any of its own.
if [ -n "$(ls /usr/local/share/ca-certificates/*.crt 2>/dev/null)" ]; then
  cp -L /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/"
  chroot "$root" update-ca-certificates
fi
chroot "$root" useradd --create-home --shell /bin/bash --groups sudo,adm pi
chmod 0440 "$root/etc/sudoers.d/pi"
# A Pi has these timers too, but here they would go off after every restore, when the clock jumps from the snapshot's time to
# today's, and hold apt's lock against the deploy that is being tested.
chroot "$root" systemctl disable apt-daily.timer apt-daily-upgrade.timer
chroot "$root" systemctl enable systemd-networkd systemd-resolved ssh hearth-lab-hostkey

kernel=$(find "$root/boot" -name 'vmlinuz-*' -printf '%f')
debian=$(cat "$root/etc/debian_version")
echo "guest: Debian $debian with ${kernel/vmlinuz-/Linux } (the newest that Debian serves)" >"$out/origin"
cp "$root"/boot/vmlinuz-* "$out/vmlinuz"
cp "$root"/boot/initrd.img-* "$out/initrd"

# Sparse, so only what is used takes room; inode tables need no zeroing in a file that starts as a hole.
truncate -s "$size" "$out/disk.raw"
mke2fs -q -t ext4 -L hearth-lab -E assume_storage_prezeroed=1,root_owner=0:0 -d "$root" "$out/disk.raw"
qemu-img convert -f raw -O qcow2 "$out/disk.raw" "$out/disk.qcow2"
rm -rf --one-file-system "$root" "$out/disk.raw"
chmod a+r "$out"/*

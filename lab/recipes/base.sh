#!/usr/bin/env bash
# The layer that the lab's images share, as OUT/base.tar: base.sh OUT SOURCES APTCONF CERTIFICATES
# Packages are unpacked without their scripts. Small matters: the guest gunzips layers under emulation.
set -euo pipefail
out=$1 sources=$2 aptconf=$3 certificates=$4
root=$out/root
mmdebstrap --mode=root --variant=extract --aptopt="$aptconf" \
  --include=base-files,base-passwd,libc-bin,bash,dash,coreutils,sed,grep,libstdc++6 \
  trixie "$root" "$sources"
cd "$root"
cp usr/share/base-passwd/passwd.master etc/passwd
cp usr/share/base-passwd/group.master etc/group
sed -i 's!\*!x!' etc/passwd etc/group
ln -sf bash usr/bin/sh
mkdir -p etc/ssl/certs
cp "$certificates" etc/ssl/certs/ca-certificates.crt
chmod 1777 tmp
rm -rf usr/share/doc usr/share/man usr/share/locale usr/share/info usr/share/lintian usr/share/bug usr/share/zoneinfo \
  usr/lib/x86_64-linux-gnu/gconv usr/lib/locale/*/ var/lib/apt var/cache/apt var/lib/dpkg/info etc/apt usr/share/perl* \
  usr/lib/x86_64-linux-gnu/perl* usr/lib/x86_64-linux-gnu/audit usr/share/gcc usr/share/gdb \
  usr/share/debconf usr/share/pixmaps usr/share/common-licenses usr/share/base-passwd
ldconfig -r .
du -x -d 4 . | sort -n | tail -n 40
tar --numeric-owner --sort=name --mtime=@0 -cf "$out/base.tar" .
cd "$out"
rm -rf --one-file-system "$root"
chmod a+r base.tar

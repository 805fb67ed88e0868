#!/usr/bin/env bash
# The trixie root that everything is built in: builder.sh OUT SOURCES APTCONF PACKAGES (comma separated)
set -euo pipefail
out=$1 sources=$2 aptconf=$3 packages=$4
mkdir "$out/root"
# force-unsafe-io is mmdebstrap's own default; documentation is not for reading here.
mmdebstrap --mode=root --variant=apt --include="$packages" --aptopt="$aptconf" \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  trixie "$out/root" "$sources"
mkdir -p "$out/root/work"
touch "$out/root/etc/resolv.conf" "$out/root/etc/hosts" # what enter.sh mounts the machine's own over
rm -f "$out/root/etc/ssl/certs/ca-certificates.crt.orig"

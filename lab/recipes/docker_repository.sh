#!/usr/bin/env bash
# An apt repository in the shape of Docker's for one Debian release, in /work/out: docker_repository.sh SUITE
# Runs in the builder. /work has suite.sources (the release's own packages) and control/ (what makes Debian's packages
# into Docker's). Engine, containerd and Compose are the builder's release's, in packages of Docker's names and contents.
set -euo pipefail
suite=$1
cd /work
# shellcheck source=apt.sh
source ./apt.sh
mkdir -p out parts suite
: >suite/status

new_apt /work/new
apt get update
download docker.io docker-cli docker-compose containerd tini gosop
# The same for the release that the packages are for, of which nothing is installed here.
new_apt /work/suite -o Dir::State::status=/work/suite/status -o Dir::Etc::sourcelist=/work/suite.sources \
  -o Dir::Etc::sourceparts=/work/none
apt get update
# The only one that is linked to a newer C library than the release has.
download runc
for package in *.deb; do
  dpkg-deb -x "$package" parts
done

architecture=$(dpkg --print-architecture)
version_of() { dpkg-deb -f "$1"_*.deb Version | sed 's/[+~-].*//'; }
put() { install -D -m 0755 "parts/$1" "build/$2"; }
put_unit() {
  mkdir -p "build/$2/lib/systemd/system"
  sed 's!/usr/sbin/!/usr/bin/!' "parts/usr/lib/systemd/system/$1" >"build/$2/lib/systemd/system/$1"
}

put usr/sbin/dockerd docker-ce/usr/bin/dockerd
put usr/sbin/docker-proxy docker-ce/usr/bin/docker-proxy
put usr/bin/tini-static docker-ce/usr/libexec/docker/docker-init
put_unit docker.service docker-ce
put_unit docker.socket docker-ce
put usr/bin/docker docker-ce-cli/usr/bin/docker
for program in containerd containerd-shim-runc-v2 ctr; do
  put usr/bin/$program containerd.io/usr/bin/$program
done
put usr/sbin/runc containerd.io/usr/bin/runc
put_unit containerd.service containerd.io
put usr/libexec/docker/cli-plugins/docker-compose \
  docker-compose-plugin/usr/libexec/docker/cli-plugins/docker-compose

# Whatever the release's C library lacks would only be found out by a container that does not start.
has=$(apt cache show libc6 | sed -n 's/^Version: \([0-9.]*\)-.*/\1/p' | sort -V | tail -n 1)
find build -type f -perm -100 | while read -r program; do
  # Scripts among them have no symbols.
  wants=$({ objdump -T "$program" 2>/dev/null || true; } | sed -n 's/.*GLIBC_\([0-9.]*\).*/\1/p' | sort -uV | tail -n 1)
  newest=$(printf '%s\n' "$wants" "$has" | sort -V | tail -n 1)
  [[ $newest == "$has" ]] || {
    echo "$program wants C library $wants, and $suite has $has: take it from $suite, or from its source."
    exit 1
  }
done

pool=out/debian/pool/stable/$architecture
dists=out/debian/dists/$suite
mkdir -p "$pool" "$dists/stable/binary-$architecture"
pack() { # NAME VERSION
  mkdir "build/$1/DEBIAN"
  cp "control/$1.control" "build/$1/DEBIAN/control"
  printf 'Version: %s\nArchitecture: %s\nMaintainer: Hearth lab <lab@hearth.invalid>\nInstalled-Size: %s\n' \
    "$2" "$architecture" "$(du -sk "build/$1" | cut -f 1)" >>"build/$1/DEBIAN/control"
  for script in postinst prerm; do
    [ ! -e "control/$1.$script" ] || install -m 0755 "control/$1.$script" "build/$1/DEBIAN/$script"
  done
  file=$1_${2#*:}_$architecture.deb
  # Zstandard: the guest unpacks it under emulation.
  dpkg-deb --root-owner-group -Zzstd -z3 -b "build/$1" "$pool/$file"
  {
    dpkg-deb -f "$pool/$file"
    echo "Filename: pool/stable/$architecture/$file"
    echo "Size: $(stat -c %s "$pool/$file")"
    echo "SHA256: $(sha256sum "$pool/$file" | cut -d ' ' -f 1)"
    echo
  } >>"$dists/stable/binary-$architecture/Packages"
}
containerd=$(version_of containerd) cli=$(version_of docker-cli) docker=$(version_of docker.io)
compose=$(version_of docker-compose)
pack containerd.io "$containerd-1~hearth~$suite"
pack docker-ce-cli "5:$cli-1~hearth~$suite"
pack docker-ce "5:$docker-1~hearth~$suite"
pack docker-compose-plugin "$compose-1~hearth~$suite"
echo "Docker's stand-in repository: Docker $docker, Compose $compose, containerd $containerd (the newest that Debian serves)" >out/origin

(
  cd "$dists"
  list=stable/binary-$architecture/Packages
  cat <<RELEASE
Origin: Hearth lab
Label: Hearth lab's stand-in for Docker
Suite: $suite
Codename: $suite
Date: $(date -Ru)
Architectures: $architecture
Components: stable
SHA256:
 $(sha256sum "$list" | cut -d ' ' -f 1) $(stat -c %s "$list") $list
RELEASE
) >Release
# A key for these very packages: it signs once and is thrown away.
gosop=/work/parts/usr/bin/gosop
$gosop generate-key 'Hearth lab <lab@hearth.invalid>' >key
$gosop extract-cert <key >out/debian/gpg
$gosop inline-sign --as=clearsigned key <Release >"$dists/InRelease"
$gosop sign key <Release >"$dists/Release.gpg"
mv Release "$dists/Release"
rm key
find out -type f -exec ls -l {} +

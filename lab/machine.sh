#!/usr/bin/env bash
# Installs with apt what the lab and the tests need: lab/machine.sh [--browser] [--arm64] [--bench] [--without-build]
# Prints what it does, and nothing if everything is installed. --browser adds Chromium, for the tests of the chat page;
# --arm64 adds what the arm64 guest needs: QEMU for the machine, and user-mode QEMU to build its root; --bench the other
# proxies, and what Ansible and the load generator need.
# --without-build leaves out what is only needed to build images.
set -euo pipefail

packages=(qemu-system-x86 qemu-utils mmdebstrap buildah openssh-client e2fsprogs iproute2 nftables ca-certificates python3-venv curl)
packages+=(dropbear-bin openssh-sftp-server) # an ssh server for tests
qemu=(qemu-system-x86 qemu-utils)
arm64=
build=yes
for word in "$@"; do
  case $word in
    --browser) packages+=(chromium) ;;
    --bench)
      packages+=(nginx-light caddy rsync)
      command -v go >/dev/null || packages+=(golang-go)
      ;;
    --without-build) build= ;;
    --arm64)
      arm64=yes
      qemu+=(qemu-system-arm)
      packages+=(qemu-system-arm qemu-user-static binfmt-support arch-test)
      ;;
  esac
done
if [[ -z $build ]]; then
  for i in "${!packages[@]}"; do [[ ${packages[i]} != buildah ]] || unset "packages[i]"; done
fi

sudo=()
[[ $EUID == 0 ]] || sudo=(sudo)
# shellcheck source=/dev/null
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
sources=/etc/apt/sources.list.d/hearth-lab-backports.sources
refreshed=

say() { echo "machine: $*"; }

installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

refresh() {
  [[ -z $refreshed ]] || return 0
  say "refreshing the package lists"
  "${sudo[@]}" apt-get -qq update
  refreshed=yes
}

install() { # [-t SUITE] PACKAGES…
  refresh
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=2 install -y --no-install-recommends "$@" >/dev/null
}

# An archive may list a package that it does not serve, usually one that was just updated; then use the release's version.
install_any() { # PACKAGES…
  install "$@" && return
  say "that failed; retrying with $codename's versions, without updates"
  install -t "$codename" "$@"
}

# Guests panic under the emulation of bookworm's QEMU 7.2, but not under that of backports.
backports() {
  if ! grep -rqsE '^(deb|Suites:).*bookworm-backports' /etc/apt/sources.list /etc/apt/sources.list.d --include='*.list' \
    --include='*.sources'; then
    # The machine's own mirror, from its apt configuration.
    text=$(cd "$(dirname "$0")/.." && python3 -c '
from lab.mirrors import of_this_machine
entry = of_this_machine().main
print("Types: deb", "URIs: " + entry.uri, "Suites: bookworm-backports", "Components: main", sep="\n")
print("Signed-By: " + entry.signed_by if entry.signed_by else "", end="")')
    say "adding $sources"
    "${sudo[@]}" tee "$sources" <<<"$text" >/dev/null
  fi
}

missing=()
for package in "${packages[@]}"; do
  installed "$package" || missing+=("$package")
done

if [[ $codename == bookworm ]]; then
  old=
  for package in "${qemu[@]}"; do
    version=$(dpkg-query -W -f '${Version}' "$package" 2>/dev/null || true)
    [[ -n $version ]] && dpkg --compare-versions "$version" ge 1:8 || old=yes
  done
  if [[ -n $old ]]; then
    backports
    say "installing QEMU from bookworm-backports"
    if install -t bookworm-backports "${qemu[@]}"; then
      for i in "${!missing[@]}"; do
        [[ " ${qemu[*]} " != *" ${missing[i]} "* ]] || unset "missing[i]"
      done
    else
      say "bookworm-backports is not available; bookworm's QEMU is enough if KVM works, which the lab checks"
    fi
  fi
fi

if ((${#missing[@]})); then
  say "installing ${missing[*]}"
  install_any "${missing[@]}"
  # Measured as programs of the benchmark; as services they would answer on port 80.
  for service in nginx caddy; do
    [[ " ${missing[*]} " != *" $service"* || ! -d /run/systemd/system ]] || "${sudo[@]}" systemctl --quiet disable --now "$service"
  done
fi
# docker-registry is extracted from its package, never installed; apt must list it.
[[ -z $build ]] || apt-cache show docker-registry >/dev/null 2>&1 || refresh

# Without systemd, the packages do not register QEMU with the kernel.
if [[ -n $arm64 ]] && ! arch-test arm64 >/dev/null 2>&1; then
  say "registering QEMU with this machine's kernel for arm64 programs"
  mountpoint -q /proc/sys/fs/binfmt_misc || "${sudo[@]}" mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
  "${sudo[@]}" update-binfmts --enable qemu-aarch64 || true
  if ! arch-test arm64 >/dev/null; then
    echo "machine: this kernel does not run arm64 programs through QEMU (binfmt_misc); the arm64 guest can't be built here" >&2
    exit 1
  fi
fi

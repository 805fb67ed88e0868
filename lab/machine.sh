#!/usr/bin/env bash
# Installs on this machine what the lab and the tests need, with apt: lab/machine.sh [--browser] [--arm64] [--without-build]
# Says what it does, and nothing when all is there. --browser adds Chromium, for the tests of the chat page; --arm64 adds
# what the arm64 guest takes: its QEMU, and QEMU's way to run single arm64 programs, which its root is made with.
# --without-build leaves out what only building images takes: the guest alone is made without.
set -euo pipefail

packages=(qemu-system-x86 qemu-utils mmdebstrap buildah openssh-client e2fsprogs iproute2 nftables ca-certificates python3-venv curl)
qemu=(qemu-system-x86 qemu-utils)
arm64=
build=yes
for word in "$@"; do
  case $word in
    --browser) packages+=(chromium) ;;
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

# An archive may list a package that it does not serve, mostly one that was just updated; then the release's own will do.
install_any() { # PACKAGES…
  install "$@" && return
  say "that failed; trying $codename's own versions, without its updates"
  install -t "$codename" "$@"
}

# bookworm's own QEMU 7.2 panics guests under emulation; backports has one that does not.
backports() {
  if ! grep -rqsE '^(deb|Suites:).*bookworm-backports' /etc/apt/sources.list /etc/apt/sources.list.d --include='*.list' \
    --include='*.sources'; then
    # The machine's own mirror, as its own configuration gives it.
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
      say "bookworm-backports can't be had; bookworm's own QEMU will do where KVM works, and the lab says whether it does"
    fi
  fi
fi

if ((${#missing[@]})); then
  say "installing ${missing[*]}"
  install_any "${missing[@]}"
fi
# docker-registry is taken out of its package, never installed; apt must know where it is.
[[ -z $build ]] || apt-cache show docker-registry >/dev/null 2>&1 || refresh

# Where no systemd is, the packages don't tell the kernel themselves.
if [[ -n $arm64 ]] && ! arch-test arm64 >/dev/null 2>&1; then
  say "telling this machine's kernel that QEMU runs arm64's programs"
  mountpoint -q /proc/sys/fs/binfmt_misc || "${sudo[@]}" mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
  "${sudo[@]}" update-binfmts --enable qemu-aarch64 || true
  if ! arch-test arm64 >/dev/null; then
    echo "machine: this kernel does not run arm64's programs through QEMU (binfmt_misc); the arm64 guest can't be made here" >&2
    exit 1
  fi
fi

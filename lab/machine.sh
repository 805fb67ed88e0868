#!/usr/bin/env bash
# Installs on this machine what the lab and the tests need, with apt: lab/machine.sh [--browser]
# Says what it does, and nothing when all is there. --browser adds Chromium, for the tests of the chat page.
set -euo pipefail

packages=(qemu-system-x86 qemu-utils mmdebstrap buildah openssh-client e2fsprogs iproute2 nftables ca-certificates python3-venv curl)
[[ ${1:-} != --browser ]] || packages+=(chromium)

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
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >/dev/null
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
  version=$(dpkg-query -W -f '${Version}' qemu-system-x86 2>/dev/null || true)
  if [[ -z $version ]] || dpkg --compare-versions "$version" lt 1:8; then
    backports
    say "installing QEMU from bookworm-backports"
    install -t bookworm-backports qemu-system-x86 qemu-utils
    for i in "${!missing[@]}"; do
      [[ ${missing[i]} != qemu-* ]] || unset "missing[i]"
    done
  fi
fi

if ((${#missing[@]})); then
  say "installing ${missing[*]}"
  install "${missing[@]}"
fi
# docker-registry is taken out of its package, never installed; apt must know where it is.
apt-cache show docker-registry >/dev/null 2>&1 || refresh

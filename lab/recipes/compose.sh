#!/usr/bin/env bash
# Docker Compose as Debian's docker-compose has it, in /work/out/docker-compose: compose.sh. Runs in the builder.
set -euo pipefail
cd /work
# shellcheck source=apt.sh
source ./apt.sh
mkdir -p out
new_apt /work/apt
apt get update
download docker-compose
dpkg-deb -x docker-compose_*.deb package
cp package/usr/libexec/docker/cli-plugins/docker-compose out/
version=$(dpkg-deb -f docker-compose_*.deb Version)
echo "Docker Compose: $version (the newest that Debian serves)" >out/origin

#!/bin/sh
# Docker Compose as Debian's docker-compose has it, in /work/out/docker-compose: compose.sh. Runs in the builder.
set -eu
cd /work
mkdir -p apt/lists/partial apt/cache/archives/partial out
apt="-o Dir::State::Lists=/work/apt/lists -o Dir::Cache=/work/apt/cache -o APT::Sandbox::User=root"
apt-get $apt -q update
apt-get $apt -q download docker-compose
dpkg-deb -x docker-compose_*.deb package
cp package/usr/libexec/docker/cli-plugins/docker-compose out/

#!/usr/bin/env bash
# Pebble, Let's Encrypt's ACME server for tests, in /work/out/pebble: pebble.sh VERSION. Runs in the builder.
set -euo pipefail
version=$1
cd /work
mkdir -p out tmp
# Without C it resolves names by /etc/hosts alone, in whatever root it runs.
CGO_ENABLED=0 GOPATH=/work/go GOCACHE=/work/gocache GOTMPDIR=/work/tmp GOBIN=/work/out GOTOOLCHAIN=auto GOFLAGS='' \
  go install -trimpath -ldflags "-s -w" "github.com/letsencrypt/pebble/v2/cmd/pebble@v$version"

#!/usr/bin/env bash
# A Go program without C, in /work/out under its own name: go_program.sh PACKAGE VERSION. Runs in the builder.
set -euo pipefail
package=$1 version=$2
cd /work
mkdir -p out tmp
# Without C, a program resolves names from /etc/hosts only, in whatever root it runs; Pebble needs that.
CGO_ENABLED=0 GOPATH=/work/go GOCACHE=/work/gocache GOTMPDIR=/work/tmp GOBIN=/work/out GOTOOLCHAIN=auto GOFLAGS='' \
  go install -trimpath -ldflags "-s -w" "$package@v$version"

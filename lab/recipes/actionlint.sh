#!/usr/bin/env bash
# actionlint, which checks GitHub's workflows, in /work/out/actionlint: actionlint.sh VERSION. Runs in the builder.
set -euo pipefail
version=$1
cd /work
mkdir -p out tmp
CGO_ENABLED=0 GOPATH=/work/go GOCACHE=/work/gocache GOTMPDIR=/work/tmp GOBIN=/work/out GOTOOLCHAIN=auto GOFLAGS='' \
  go install -trimpath -ldflags "-s -w" "github.com/rhysd/actionlint/cmd/actionlint@v$version"

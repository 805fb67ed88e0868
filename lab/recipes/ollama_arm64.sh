#!/usr/bin/env bash
# The real Ollama server as ollama.sh builds it, for arm64 by cross compilers, in /work/out/ollama: ollama_arm64.sh VERSION
# Runs in the builder for arm64.
set -euo pipefail
version=$1
cd /work
mkdir -p out tmp
# Go refuses GOBIN for another processor than its own, and puts what it builds into a directory of that name.
CGO_ENABLED=1 GOARCH=arm64 CC=aarch64-linux-gnu-gcc CXX=aarch64-linux-gnu-g++ \
  CGO_CFLAGS="-O2 -I/work/include" CGO_CXXFLAGS="-O2 -I/work/include" \
  GOPATH=/work/go GOCACHE=/work/gocache GOTMPDIR=/work/tmp GOTOOLCHAIN=auto GOFLAGS='' \
  go install -trimpath -ldflags "-s -w -X github.com/ollama/ollama/version.Version=$version" \
  "github.com/ollama/ollama@v$version"
mv go/bin/linux_arm64/ollama out/ollama

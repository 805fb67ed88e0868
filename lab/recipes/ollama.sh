#!/usr/bin/env bash
# The real Ollama server with its CPU backend, in /work/out/ollama: ollama.sh VERSION. Runs in the builder.
set -euo pipefail
version=$1
cd /work
mkdir -p out tmp
# The Go module leaves out the vendored headers: nlohmann-json and stb come from Debian, miniaudio.h lies in /work/include.
CGO_CFLAGS="-O2 -I/work/include" CGO_CXXFLAGS="-O2 -I/work/include" \
  GOPATH=/work/go GOCACHE=/work/gocache GOTMPDIR=/work/tmp GOBIN=/work/out GOTOOLCHAIN=auto GOFLAGS='' \
  go install -trimpath -ldflags "-s -w -X github.com/ollama/ollama/version.Version=$version" \
  "github.com/ollama/ollama@v$version"

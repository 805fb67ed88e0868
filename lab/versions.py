"""What the lab builds, pinned. Changing a value rebuilds what depends on it."""

from __future__ import annotations

HTTPD = "2.4.68"
# of the upstream tarball as Debian carries it (.orig.tar.gz)
HTTPD_SHA256 = "ed9a9d4500fb48bb28eaffb3ba71d06ccf86d498fa13ab9f781da010cc488498"
OLLAMA = "0.17.4"  # later releases fetch llama.cpp while building and can't be had through the Go proxy
PEBBLE = "2.10.1"  # the ACME server that tests of TLS ask
MINIAUDIO = "1.61"  # the Python sdist whose miniaudio.h Ollama 0.17.4 compiles with
MINIAUDIO_SHA256 = "e88e97837d031f0fb6982394218b6487de02eaa382ad273b8fca37791a2b4b15"  # of that sdist

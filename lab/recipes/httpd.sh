#!/usr/bin/env bash
# Apache httpd as the official image builds it, in /work/out: httpd.sh. Runs in the builder.
# /work has httpd.tar.gz (upstream's source) and finish_httpd.sh.
set -euo pipefail
cd /work
mkdir src
tar -xf httpd.tar.gz -C src --strip-components=1
cd src
# The official image's options (docker-library/httpd). Debug information would only be stripped again.
CFLAGS="-O2 -pipe" CXXFLAGS="-O2 -pipe" LDFLAGS="-Wl,--as-needed" ./configure --quiet \
  --build=x86_64-linux-gnu --prefix=/usr/local/apache2 \
  --enable-mods-shared=reallyall --enable-mpms-shared=all --enable-pie
make -s -j"$(nproc)"
make -s install DESTDIR=/work/stage

cd /work
bash finish_httpd.sh strip
# The shared libraries that the base image lacks are found later; here is what is needed, by the linker's own account.
# ldd fails for scripts and for files that are not programs.
{ find stage/usr/local/apache2/bin stage/usr/local/apache2/modules -type f -exec ldd {} + 2>/dev/null || true; } |
  sed -n 's/.* => \(\/[^ ]*\) .*/\1/p' | sort -u >libraries
[[ -s libraries ]] # httpd links to a dozen
while read -r library; do
  mkdir -p "libs$(dirname "$library")"
  cp -L "$library" "libs$library"
done <libraries
mkdir out
mv stage/usr out/usr
mv libs out/libs

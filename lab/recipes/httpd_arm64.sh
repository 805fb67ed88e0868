#!/usr/bin/env bash
# Apache httpd as httpd.sh builds it, for arm64 by a cross compiler, in /work/out: httpd_arm64.sh
# Runs in the builder for arm64, whose libraries and headers are arm64's. /work has httpd.tar.gz and finish_httpd.sh.
set -euo pipefail
triplet=aarch64-linux-gnu
cd /work
mkdir src
tar -xf httpd.tar.gz -C src --strip-components=1
cd src
# What configure would find out by running a program is answered: a pointer is no longer than a long.
export PKG_CONFIG_LIBDIR=/usr/lib/$triplet/pkgconfig:/usr/share/pkgconfig
ap_cv_void_ptr_lt_long=no PCRE_CONFIG=/usr/bin/pcre2-config CC=$triplet-gcc \
  CFLAGS="-O2 -pipe" CXXFLAGS="-O2 -pipe" LDFLAGS="-Wl,--as-needed" ./configure --quiet \
  --build=x86_64-linux-gnu --host=$triplet --prefix=/usr/local/apache2 \
  --enable-mods-shared=reallyall --enable-mpms-shared=all --enable-pie
# One program of the source makes a table while it builds, so it must run here.
gcc -DCROSS_COMPILE -o server/native_test_char server/gen_test_char.c
sed -i 's!\./gen_test_char!./native_test_char!' server/Makefile
make -s -j"$(nproc)"
make -s install DESTDIR=/work/stage

cd /work
bash finish_httpd.sh $triplet-strip
# ldd can't run what is for another processor: each library is asked for those that it names, until there are no more.
mkdir -p libs
find stage/usr/local/apache2/bin stage/usr/local/apache2/modules -type f >todo
while [[ -s todo ]]; do
  while read -r file; do
    # Scripts have no such section.
    { $triplet-readelf -d "$file" 2>/dev/null || true; } | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'
  done <todo | sort -u >names
  while read -r name; do
    library=/usr/lib/$triplet/$name
    [[ -e $library ]] || library=/usr/$triplet/lib/$name
    if [[ -e $library && ! -e libs/usr/lib/$triplet/$name ]]; then
      install -D "$library" "libs/usr/lib/$triplet/$name"
      echo "libs/usr/lib/$triplet/$name"
    fi
  done <names >todo
done
mkdir out
mv stage/usr out/usr
mv libs out/libs

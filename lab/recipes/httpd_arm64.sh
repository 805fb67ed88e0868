#!/bin/sh
# Apache httpd as httpd.sh builds it, for arm64 by a cross compiler, in /work/out: httpd_arm64.sh VERSION SHA256
# Runs in the builder for arm64, whose libraries and headers are arm64's.
set -eu
version=$1 sha256=$2 triplet=aarch64-linux-gnu
cd /work
mkdir -p apt/lists/partial apt/cache/archives/partial
apt="-o Dir::State::Lists=/work/apt/lists -o Dir::Cache=/work/apt/cache -o APT::Sandbox::User=root"
apt-get $apt -q update
wanted=$(apt-cache $apt showsrc apache2 | sed -n 's/^Version: //p' | sort -uV | grep "^$version-" | tail -n 1)
apt-get $apt -q source --download-only "apache2=$wanted"
tarball=apache2_$version.orig.tar.gz
echo "$sha256  $tarball" | sha256sum -c
mkdir src
tar -xf "$tarball" -C src --strip-components=1
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
prefix=stage/usr/local/apache2
rm -rf "${prefix:?}"/man* "${prefix:?}"/build "${prefix:?}"/include "${prefix:?}"/bin/apxs
find $prefix/bin $prefix/modules -type f | while read -r file; do
  $triplet-strip --strip-unneeded "$file" 2>/dev/null || true # scripts are not for stripping
done
# As in the official image: logs go to the container's own output.
sed -ri -e 's!^(\s*CustomLog)\s+\S+!\1 /proc/self/fd/1!g' -e 's!^(\s*ErrorLog)\s+\S+!\1 /proc/self/fd/2!g' \
  -e 's!^(\s*TransferLog)\s+\S+!\1 /proc/self/fd/1!g' -e 's!^User .*!User www-data!' -e 's!^Group .*!Group www-data!' \
  $prefix/conf/httpd.conf $prefix/conf/extra/httpd-ssl.conf
# ldd can't run what is for another processor: each library is asked for those that it names, until there are no more.
mkdir -p libs
find $prefix/bin $prefix/modules -type f >todo
while [ -s todo ]; do
  while read -r file; do
    $triplet-readelf -d "$file" 2>/dev/null | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'
  done <todo | sort -u | while read -r name; do
    library=/usr/lib/$triplet/$name
    [ -e "$library" ] || library=/usr/$triplet/lib/$name
    [ -e "$library" ] && [ ! -e "libs/usr/lib/$triplet/$name" ] || continue
    install -D "$library" "libs/usr/lib/$triplet/$name"
    echo "libs/usr/lib/$triplet/$name"
  done >next
  mv next todo
done
mkdir out
mv stage/usr out/usr
mv libs out/libs

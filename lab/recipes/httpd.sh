#!/bin/sh
# Apache httpd as the official image builds it, in /work/out: httpd.sh VERSION SHA256. Runs in the builder.
set -eu
version=$1 sha256=$2
cd /work
mkdir -p apt/lists/partial apt/cache/archives/partial
apt="-o Dir::State::Lists=/work/apt/lists -o Dir::Cache=/work/apt/cache -o APT::Sandbox::User=root"
apt-get $apt -q update
available=$(apt-cache $apt showsrc apache2 | sed -n 's/^Version: //p' | sort -uV)
wanted=$(echo "$available" | grep "^$version-" | tail -n 1) || {
  echo "The archive has no source of httpd $version any more; it has:" $available
  echo "Change the version in lab/versions.py (and the image tag in the settings) to one of these."
  exit 1
}
apt-get $apt -q source --download-only "apache2=$wanted"
tarball=apache2_$version.orig.tar.gz
echo "$sha256  $tarball" | sha256sum -c # upstream's own release, not something of the same name
mkdir src
tar -xf "$tarball" -C src --strip-components=1
cd src
# The official image's options (docker-library/httpd). Debug information would only be stripped again.
CFLAGS="-O2 -pipe" CXXFLAGS="-O2 -pipe" LDFLAGS="-Wl,--as-needed" ./configure --quiet \
  --build=x86_64-linux-gnu --prefix=/usr/local/apache2 \
  --enable-mods-shared=reallyall --enable-mpms-shared=all --enable-pie
make -s -j"$(nproc)"
make -s install DESTDIR=/work/stage

cd /work
prefix=stage/usr/local/apache2
rm -rf "${prefix:?}"/man* "${prefix:?}"/build "${prefix:?}"/include "${prefix:?}"/bin/apxs
find $prefix/bin $prefix/modules -type f | while read -r file; do
  strip --strip-unneeded "$file" 2>/dev/null || true # scripts are not for stripping
done
# As in the official image: logs go to the container's own output.
sed -ri -e 's!^(\s*CustomLog)\s+\S+!\1 /proc/self/fd/1!g' -e 's!^(\s*ErrorLog)\s+\S+!\1 /proc/self/fd/2!g' \
  -e 's!^(\s*TransferLog)\s+\S+!\1 /proc/self/fd/1!g' -e 's!^User .*!User www-data!' -e 's!^Group .*!Group www-data!' \
  $prefix/conf/httpd.conf $prefix/conf/extra/httpd-ssl.conf
# The shared libraries that the base image lacks are found later; here is what is needed, by the linker's own account.
find $prefix/bin $prefix/modules -type f -exec ldd {} + 2>/dev/null |
  sed -n 's/.* => \(\/[^ ]*\) .*/\1/p' | sort -u | while read -r library; do
    mkdir -p "libs$(dirname "$library")"
    cp -L "$library" "libs$library"
  done
mkdir out
mv stage/usr out/usr
mv libs out/libs

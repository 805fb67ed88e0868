#!/usr/bin/env bash
# Apache httpd out of Debian's binary package, laid out like the official image, in /work/out: httpd_package.sh
# Runs in the builder. The last way, for days on which no source can be had: the programs and modules are Debian's.
set -euo pipefail
cd /work
# shellcheck source=apt.sh
source ./apt.sh
new_apt /work/apt
apt get update
mkdir debs parts
cd debs
# The builder has apache2's build dependencies, but perhaps not in the versions that the package was linked with.
download apache2-bin apache2 media-types
apt cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
  apache2-bin | sed -n 's/^\(lib[a-z0-9.+-]*\)$/\1/p' | sort -u >../needed
mapfile -t needed <../needed
download "${needed[@]}"
cd ..
for package in debs/*.deb; do dpkg-deb -x "$package" parts; done
version=$(dpkg-deb -f debs/apache2-bin_*.deb Version)
version=${version%-*}

prefix=/work/out/usr/local/apache2
mkdir -p $prefix/{bin,libexec,conf/extra,logs,htdocs,cgi-bin,icons,error} libs
cp -a parts/usr/lib/apache2/modules $prefix/modules
cp parts/etc/apache2/magic $prefix/conf/magic
sed '/^#/d' parts/etc/mime.types >$prefix/conf/mime.types
cp parts/usr/sbin/apache2 $prefix/libexec/httpd
# Debian's own paths are compiled in; a later -f wins over this one. exec keeps process 1.
cat >$prefix/bin/httpd <<'SCRIPT'
#!/bin/sh
exec /usr/local/apache2/libexec/httpd -d /usr/local/apache2 -f conf/httpd.conf \
  -C 'DefaultRuntimeDir logs' -C 'PidFile logs/httpd.pid' "$@"
SCRIPT
chmod 0755 $prefix/bin/httpd
for program in ab htpasswd htdigest htdbm rotatelogs logresolve htcacheclean httxt2dbm fcgistarter; do
  found=$(find parts/usr/bin parts/usr/sbin -name $program -type f -print -quit)
  [[ -z $found ]] || cp "$found" $prefix/bin/
done
# unixd, log_config, logio and watchdog are modules of the official image and built into the program here; files/httpd
# loads them where they are not built in.
echo "<h1>It works!</h1>" >$prefix/htdocs/index.html
cat >$prefix/conf/httpd.conf <<'CONF'
ServerRoot "/usr/local/apache2"
Listen 80
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule authz_core_module modules/mod_authz_core.so
LoadModule dir_module modules/mod_dir.so
LoadModule mime_module modules/mod_mime.so
User www-data
Group www-data
DocumentRoot "/usr/local/apache2/htdocs"
<Directory "/usr/local/apache2/htdocs">
  Require all granted
</Directory>
DirectoryIndex index.html
ErrorLog /proc/self/fd/2
CustomLog /proc/self/fd/1 "%h %l %u %t \"%r\" %>s %b"
CONF

export LD_LIBRARY_PATH=/work/parts/usr/lib/x86_64-linux-gnu
{ find $prefix/libexec $prefix/bin $prefix/modules -type f -exec ldd {} + 2>/dev/null || true; } |
  sed -n 's/.* => \(\/[^ ]*\) .*/\1/p' | sort -u >libraries
[[ -s libraries ]]
while read -r library; do
  target=libs/${library#/work/parts/}
  mkdir -p "$(dirname "$target")"
  cp -L "$library" "$target"
done <libraries
mv libs out/libs
echo "$version" >out/version

#!/usr/bin/env bash
# What is left of an httpd that `make install` put into stage/: finish_httpd.sh STRIP, where STRIP is the strip program.
set -euo pipefail
strip=$1 prefix=stage/usr/local/apache2
rm -rf "${prefix:?}"/man* "${prefix:?}"/build "${prefix:?}"/include "${prefix:?}"/bin/apxs
find $prefix/bin $prefix/modules -type f | while read -r file; do
  "$strip" --strip-unneeded "$file" 2>/dev/null || true # scripts are not for stripping
done
# As in the official image: logs go to the container's own output.
sed -ri -e 's!^(\s*CustomLog)\s+\S+!\1 /proc/self/fd/1!g' -e 's!^(\s*ErrorLog)\s+\S+!\1 /proc/self/fd/2!g' \
  -e 's!^(\s*TransferLog)\s+\S+!\1 /proc/self/fd/1!g' -e 's!^User .*!User www-data!' -e 's!^Group .*!Group www-data!' \
  $prefix/conf/httpd.conf $prefix/conf/extra/httpd-ssl.conf

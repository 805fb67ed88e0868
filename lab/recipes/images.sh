#!/usr/bin/env bash
# Builds the images with buildah, no engine running, and pushes them:
# images.sh CONTAINERFILES WORK BASE_TAR HTTPD_DIR OLLAMA HTTPD_TARGET HTTPD_VERSION OLLAMA_TARGET OLLAMA_VERSION
set -euo pipefail
images=$1 work=$2 base_tar=$3 httpd=$4 ollama=$5 httpd_target=$6 httpd_version=$7 ollama_target=$8 ollama_version=$9
# Storage of our own: nothing of this shows up in the user's own containers.
buildah=(buildah --storage-driver vfs --root "$work/root" --runroot "$work/run")
# No signature policy is installed on a bare machine; these images come from this very script.
echo '{"default": [{"type": "insecureAcceptAnything"}]}' >"$work/policy.json"

build() { # NAME CONTEXT ARGUMENTS…
  name=$1 context=$2
  shift 2
  "${buildah[@]}" bud --isolation chroot --format docker --signature-policy "$work/policy.json" \
    -f "$images/$name/Containerfile" -t "localhost/hearth-lab-$name" "$@" "$context"
}
push() { # NAME TARGET
  "${buildah[@]}" push --tls-verify=false --signature-policy "$work/policy.json" "localhost/hearth-lab-$1" "docker://$2"
}

mkdir "$work/base" "$work/httpd" "$work/ollama"
ln "$base_tar" "$work/base/base.tar" 2>/dev/null || cp "$base_tar" "$work/base/base.tar"
build base "$work/base"

# Of the libraries that httpd links to, those that the base has not.
mkdir "$work/httpd/root"
cp -a "$httpd/usr" "$work/httpd/root/usr"
tar -tf "$base_tar" | sed 's!^\.!!' | grep '\.so' | sed 's!.*/!!' | sort >"$work/base.libraries"
(cd "$httpd/libs" && find . -type f) | while read -r library; do
  if grep -qxF "$(basename "$library")" "$work/base.libraries"; then continue; fi
  mkdir -p "$work/httpd/root/usr/lib/x86_64-linux-gnu"
  cp "$httpd/libs/$library" "$work/httpd/root/usr/lib/x86_64-linux-gnu/"
done

install -D -m 0755 "$images/httpd/httpd-foreground" "$work/httpd/root/usr/local/bin/httpd-foreground"
chown -R 0:0 "$work/httpd/root"
mkdir -p "$work/httpd/root/usr/local/apache2/logs"
du -sh "$work/httpd/root" "$work/httpd/root/usr/lib"
build httpd "$work/httpd" --build-arg BASE=localhost/hearth-lab-base --build-arg "VERSION=$httpd_version"
push httpd "$httpd_target"

cp "$ollama" "$work/ollama/ollama"
build ollama "$work/ollama" --build-arg BASE=localhost/hearth-lab-base --build-arg "VERSION=$ollama_version"
push ollama "$ollama_target"

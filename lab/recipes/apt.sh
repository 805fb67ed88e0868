# shellcheck shell=bash
# Sourced by recipes that run in the builder: apt with its state in the directory $1, further options in the rest.
# new_apt DIRECTORY [OPTION…]: prints nothing; then `apt get …` and `apt cache …` use it.
new_apt() {
  mkdir -p "$1/lists/partial" "$1/cache/archives/partial"
  apt_options=(-q -o Acquire::Languages=none -o "Dir::State::Lists=$1/lists" -o "Dir::Cache=$1/cache"
    -o APT::Sandbox::User=root -o Acquire::Retries=2 "${@:2}")
}

apt() {
  "apt-$1" "${apt_options[@]}" "${@:2}"
}

# Download packages into the current directory, each in the newest version that is served: an archive may list one that
# it does not serve (any more, or yet), and then the version of a neighbouring suite will do.
download() {
  local package version
  for package in "$@"; do
    while read -r version; do
      if apt get download "$package=$version"; then continue 2; fi
      echo "$package $version is listed and not served" | tee -a /work/not-served >&2
    done < <(apt cache madison "$package" | sed -n 's/^[^|]*| *\([^ |]*\).*/\1/p')
    echo "The archive serves no version of $package." >&2
    return 1
  done
}

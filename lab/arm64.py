"""The arm64 guest's parts, built on this machine by cross compilers: builder, programs, base and images.

They do not replace the usual parts. The recipes are written for amd64; `SUBSTITUTIONS` lists what differs for arm64.
What is compiled has separate recipes.
"""

from __future__ import annotations

from pathlib import Path

from lab import builder, httpd_source, images, programs, versions
from lab.artefact import Artefact, Paths

_LIBRARIES = (
    *("libapr1-dev", "libaprutil1-dev", "libcurl4-openssl-dev", "liblua5.3-dev", "libnghttp2-dev", "libpcre2-dev"),
    *("libssl-dev", "libxml2-dev", "zlib1g-dev", "libbrotli-dev", "libjansson-dev"),
)
PACKAGES = (
    *("ca-certificates", "gcc", "libc6-dev", "gcc-aarch64-linux-gnu", "g++-aarch64-linux-gnu"),
    *("make", "pkgconf", "golang-go", "nlohmann-json3-dev", "libstb-dev", "libldap2-dev"),
    *(f"{name}:arm64" for name in _LIBRARIES),
)
_TRIPLET = ("x86_64-linux-gnu", "aarch64-linux-gnu")
SUBSTITUTIONS = {
    "builder.sh": (("--variant=apt ", "--variant=apt --architectures=amd64,arm64 "),),
    "base.sh": (("--variant=extract ", "--variant=extract --architectures=arm64 "),),
    "images.sh": (('"${buildah[@]}" bud ', '"${buildah[@]}" bud --arch arm64 '),),
}


def recipe(name: str) -> str:
    """The text of a usual part's recipe, adapted to arm64."""
    return builder.adapted(name, SUBSTITUTIONS[name], () if name == "builder.sh" else (_TRIPLET,))


def _builder(_: Paths, out: Path, log: Path) -> None:
    builder.build(out, log, recipe("builder.sh"), PACKAGES)


def _ollama(paths: Paths, out: Path, log: Path) -> None:
    programs.build_ollama(paths["builder-arm64"] / "root", out, log, "ollama_arm64.sh")


def _httpd(paths: Paths, out: Path, log: Path) -> None:
    programs.build_httpd(paths["builder-arm64"] / "root", out, log, "httpd_arm64.sh")


def _base(paths: Paths, out: Path, log: Path) -> None:
    images.build_base(out, log, paths["builder"] / "root/etc/ssl/certs/ca-certificates.crt", recipe("base.sh"))


def _images(paths: Paths, out: Path, log: Path) -> None:
    base, httpd, ollama = (paths[f"{name}-arm64"] for name in ("base", "httpd", "ollama"))
    images.build(base, httpd, ollama, paths["tools"], out, log, recipe("images.sh"))


PARTS = (
    Artefact(
        "builder-arm64",
        "Build the builder for arm64",
        lambda: [recipe("builder.sh"), *PACKAGES],
        _builder,
    ),
    Artefact(
        "ollama-arm64",
        f"Build Ollama {versions.OLLAMA} for arm64",
        lambda: [builder.recipe("ollama_arm64.sh"), versions.OLLAMA, versions.MINIAUDIO_SHA256],
        _ollama,
        ("builder-arm64",),
    ),
    Artefact(
        "httpd-arm64",
        "Build Apache httpd for arm64",
        lambda: [builder.recipe("httpd_arm64.sh"), builder.recipe("finish_httpd.sh"), *httpd_source.inputs()],
        _httpd,
        ("builder-arm64",),
    ),
    Artefact("base-arm64", "Build the images' base for arm64", lambda: [recipe("base.sh")], _base, ("builder",)),
    Artefact(
        "images-arm64",
        "Build the images for arm64",
        lambda: [recipe("images.sh"), *images.inputs()],
        _images,
        ("base-arm64", "httpd-arm64", "ollama-arm64", "tools"),
    ),
)

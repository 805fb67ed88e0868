"""The container images, and the registry storage that the guest's Docker pulls them from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from lab import builder, mirrors, origin, ports, programs, registry, shell, versions

DIRECTORY = Path(__file__).parent / "images"
# Repositories of Docker Hub's "httpd" and "ollama/ollama" in a registry.
HTTPD = "library/httpd"
OLLAMA = "ollama/ollama"


def tags(artefact: Path) -> dict[str, str]:
    """The artefact's images as in settings, by the program in them: {"httpd": "httpd:2.4.71", "ollama": …}."""
    found: dict[str, str] = json.loads((artefact / "tags.json").read_text())
    return found


def inputs() -> list[str]:
    """The texts that the images are built from, in addition to the artefacts they contain."""
    return [
        builder.recipe("images.sh"),
        *(p.read_text() for p in sorted(DIRECTORY.rglob("*")) if p.is_file()),
    ]


def build_base(out: Path, log: Path, certificates: Path, text: str = "") -> None:
    """Fill `out` with base.tar, the userland that both images share. `text`: another recipe to use."""
    script = out / "base.sh"
    script.write_text(text or builder.recipe("base.sh"))
    builder.debian(mirrors.SUITE, out, script, [certificates], log, timeout=600)


def build(base: Path, httpd: Path, ollama: Path, tools: Path, out: Path, log: Path, text: str = "") -> None:
    """Fill `out` with `storage/`, a docker-registry's directory with both images. `text`: another recipe to use."""
    work = out / "work"
    work.mkdir()
    storage = out / "storage"
    storage.mkdir()
    script = work / "images.sh"
    script.write_text(text or builder.recipe("images.sh"))
    version = programs.version_of(httpd)
    with registry.serving(tools / "docker-registry", storage, work) as port:
        target = f"{ports.LOOPBACK}:{port}"
        shell.run(
            [
                *(
                    "bash",
                    script,
                    DIRECTORY,
                    work,
                    base / "base.tar",
                    httpd,
                    ollama / "ollama",
                ),
                *(f"{target}/{HTTPD}:{version}", version),
                *(f"{target}/{OLLAMA}:{versions.OLLAMA}", versions.OLLAMA),
            ],
            log,
            timeout=600,
            root=True,
        )
    shell.read(["rm", "-rf", "--one-file-system", "--", work], 60, root=True)
    names = {"httpd": f"httpd:{version}", "ollama": f"{OLLAMA}:{versions.OLLAMA}"}
    (out / "tags.json").write_text(json.dumps(names))
    for line in origin.lines(httpd):
        origin.add(out, line)
    shutil.rmtree(storage / "docker/registry/v2/repositories/_uploads", ignore_errors=True)

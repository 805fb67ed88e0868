"""The container images, and the registry storage that the guest's Docker pulls them from."""

from __future__ import annotations

import shutil
from pathlib import Path

from lab import builder, mirrors, ports, registry, shell, versions

DIRECTORY = Path(__file__).parent / "images"
HTTPD = f"library/httpd:{versions.HTTPD}"  # Docker Hub's "httpd"
OLLAMA = f"ollama/ollama:{versions.OLLAMA}"


def inputs() -> list[str]:
    """The texts that the images are made from, beside the artefacts they contain."""
    return [
        builder.recipe("images.sh"),
        *(p.read_text() for p in sorted(DIRECTORY.rglob("*")) if p.is_file()),
    ]


def build_base(out: Path, log: Path, certificates: Path, text: str = "") -> None:
    """Fill `out` with base.tar, the userland that both images share. `text`: another recipe's."""
    sources, aptconf = out / "debian.sources", out / "apt.conf"
    sources.write_text(mirrors.of_this_machine().sources())
    aptconf.write_text(mirrors.apt_options())
    script = out / "base.sh"
    script.write_text(text or builder.recipe("base.sh"))
    shell.run(["sh", script, out, sources, aptconf, certificates], log, 600, root=True)


def build(base: Path, httpd: Path, ollama: Path, tools: Path, out: Path, log: Path, text: str = "") -> None:
    """Fill `out` with `storage/`, a docker-registry's directory that holds both images. `text`: another recipe's."""
    work = out / "work"
    work.mkdir()
    storage = out / "storage"
    storage.mkdir()
    script = work / "images.sh"
    script.write_text(text or builder.recipe("images.sh"))
    with registry.serving(tools / "docker-registry", storage, work) as port:
        target = f"{ports.LOOPBACK}:{port}"
        shell.run(
            [
                *(
                    "sh",
                    script,
                    DIRECTORY,
                    work,
                    base / "base.tar",
                    httpd,
                    ollama / "ollama",
                ),
                *(f"{target}/{HTTPD}", versions.HTTPD, f"{target}/{OLLAMA}", versions.OLLAMA),
            ],
            log,
            timeout=600,
            root=True,
        )
    shell.read(["rm", "-rf", "--one-file-system", "--", work], 60, root=True)
    shutil.rmtree(storage / "docker/registry/v2/repositories/_uploads", ignore_errors=True)

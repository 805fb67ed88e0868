"""The lab's registries over TLS, with a CA that no host knows."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

from hearth.tls.certificate import today
from hearth.tls.local_ca import create_authority
from lab import artefacts, ports, process, registry
from lab.house import House


def serve_over_tls(
    house: House, parts: artefacts.Paths, directory: Path, stack: ExitStack
) -> tuple[Path, tuple[str, str]]:
    """Serve images and models to a house until the stack is closed: the CA's certificate, and both URLs."""
    gateway = house.registry_mirror.removeprefix("http://").partition(":")[0]
    authority = create_authority(directory / "ca", [gateway], today())
    ca, pair = directory / "company-ca.pem", directory / "server.pem"
    ca.write_bytes(authority.pem)
    pair.write_bytes(authority.issue([gateway], today()))

    def serve(name: str, port: int) -> str:
        config = registry.configuration(parts[name] / "storage", port, read_only=True)
        tls = {"certificate": str(pair), "key": str(pair)}
        config["http"] = {"headers": {"Location": ["?"]}, "addr": f"{gateway}:{port}", "tls": tls}
        path = directory / f"{name}.yml"
        path.write_text(json.dumps(config))
        pid = process.start([parts["tools"] / "docker-registry", "serve", path], directory / f"{name}.log", directory)
        stack.callback(process.end, pid, str(directory))
        return f"https://{gateway}:{port}"

    images, models = ports.free(2)
    return ca, (serve("images", images), serve("models", models))

"""Install from a bundle: packages, images. Data is streamed over ssh; a host is never told to fetch anything.

Models are sent as by a restore (`hearth.backup.restore_operations`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from functools import partial
from io import BytesIO
from typing import IO, Any, cast

from pyinfra import host, logger
from pyinfra.api import FunctionCommand, StringCommand, operation
from pyinfra.api.exceptions import FactPreconditionError
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.facts.files import Directory

from hearth.bundle.manifest import INDEX, Bundle, BundledImage
from hearth.docker.facts import Engine
from hearth.docker.image_pull import PULL_FUNCTIONS
from hearth.docker.reachability import find_reachability
from hearth.paths import BUNDLE_PACKAGES
from hearth.runtime.byte_stream import ChannelError, write_to
from hearth.runtime.commands import connection_arguments, refused_command, report_failure
from hearth.runtime.explain import explain
from hearth.runtime.shell import quote
from hearth.runtime.tar import Entry, TarStream
from hearth.runtime.text import are_missing, join_words
from hearth.stack.image_facts import Images

DIRECTORY = BUNDLE_PACKAGES
APT_CONFIG = f"{DIRECTORY}/apt.conf"
_CONFIG = f"""Dir::Etc::sourcelist "{DIRECTORY}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "{DIRECTORY}/lists/";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
"""
# apt verified the signatures when the bundle was made; since then, the bundle's own checksums count.
_SOURCE = f"deb [trusted=yes] file:{DIRECTORY}/repository ./\n"
_REPORT = 10.0  # seconds between two lines of progress


@operation()
def send_packages(
    bundle: Bundle, engine: tuple[str, ...], others: tuple[str, ...], keep_existing: bool
) -> Generator[FunctionCommand, None, None]:
    """Copy the bundle's packages to the host if some are missing there. The operations that follow install them.

    Args:
        engine: packages of the Docker engine.
        others: that the settings need.
        keep_existing: a Docker from another source will do.
    """
    state = host.get_fact(Engine, packages=(*engine, *others))
    has_engine = keep_existing and state.has_engine and state.has_compose and not state.half_installed
    missing = [name for name in (*(() if has_engine else engine), *others) if name not in state.packages]
    if not missing:
        host.noop("all packages are installed")
        return
    explain(are_missing(missing, "copying the bundle's packages to the host, to install"))
    entries = [
        Entry(name.removeprefix("packages/"), bundle.manifest.members[name].size, partial(bundle.open, name))
        for name in (INDEX, *(name for name in bundle.names("packages/") if name != INDEX))
    ]
    script = "\n".join(
        [
            "set -e",
            "umask 022",
            f"rm -rf {DIRECTORY}",
            f"mkdir -p {DIRECTORY}/repository {DIRECTORY}/lists/partial",
            f"tar --extract --file=- --no-same-owner -C {DIRECTORY}/repository",
            f"printf %s {quote(_SOURCE)} > {DIRECTORY}/sources.list",
            f"printf %s {quote(_CONFIG)} > {APT_CONFIG}",
        ]
    )
    yield FunctionCommand(_stream, ("packages", script, entries, connection_arguments()), {})


@operation()
def remove_packages() -> Generator[StringCommand, None, None]:
    """Remove what `send_packages` has copied."""
    if host.get_fact(Directory, path=DIRECTORY):
        yield StringCommand(f"rm -rf {DIRECTORY}")
    else:
        host.noop("no copies of packages")


@operation()
def load_images(bundle: Bundle, references: tuple[str, ...]) -> Generator[FunctionCommand, None, None]:
    """Load the images that are missing, whose tag was moved on the host, or whose pull was interrupted.

    Args:
        references: `name:tag`, all of them in the bundle.
    """
    try:
        state = host.get_fact(Images, references=references)
    except FactPreconditionError as error:
        yield refused_command(str(error))
        return
    missing = state.missing(references)
    if not missing:
        host.noop("images up to date")
        return
    # Of an engine that does not respond, the images are unknown; the operation that pulls images says so.
    if state.present or find_reachability().engine != "silent":
        explain(f"{join_words(missing)}: not on the host as in the bundle; loading")
    for reference in missing:
        arguments = (bundle, reference, connection_arguments())
        if reference in state.unfinished:
            # Its layers may be damaged: complete it, so that it can be removed with all of them.
            yield FunctionCommand(_load, (*arguments, remove_script(reference)), {})
        yield FunctionCommand(_load, (*arguments, load_script(reference)), {})


def load_script(reference: str) -> str:
    """Shell script that loads an image from standard input and records its id."""
    name = quote(reference)
    return f"""set -e
{PULL_FUNCTIONS}
mark_pulls {name}
docker load --quiet
sync
id=$(docker image inspect --format '{{{{.Id}}}}' {name})
record "$lock" {name} "$id"
clear_mark {name}"""


def remove_script(reference: str) -> str:
    """Shell script that loads an image from standard input, removes it, and the mark of its interrupted pull."""
    name = quote(reference)
    return f"set -e\n{PULL_FUNCTIONS}docker load --quiet\ndocker rmi --force {name}\nclear_mark {name}"


def image_entries(bundle: Bundle, reference: str) -> list[Entry]:
    """The files of an archive for `docker load`: an OCI image layout, with Docker's own list.

    Docker's own image store reads `manifest.json`, containerd's reads `index.json`.
    """
    image = bundle.manifest.images[reference]
    blobs = {digest: f"blobs/{digest.replace(':', '/')}" for digest in (image.manifest, image.config, *image.layers)}
    texts = {
        "oci-layout": {"imageLayoutVersion": "1.0.0"},
        "index.json": _index(bundle, reference, image),
        "manifest.json": [
            {"Config": blobs[image.config], "RepoTags": [reference], "Layers": [blobs[one] for one in image.layers]}
        ],
    }
    contents = {name: json.dumps(text).encode() for name, text in texts.items()}
    entries = [Entry(name, len(text), partial(BytesIO, text)) for name, text in contents.items()]
    for digest, name in blobs.items():
        member = f"images/{digest.replace(':', '-')}"
        entries.append(Entry(name, bundle.manifest.members[member].size, partial(bundle.open, member)))
    return entries


def _index(bundle: Bundle, reference: str, image: BundledImage) -> dict[str, Any]:
    first, _, rest = reference.partition("/")
    if not rest:
        name = f"docker.io/library/{reference}"
    else:
        name = reference if "." in first or ":" in first or first == "localhost" else f"docker.io/{reference}"
    size = bundle.manifest.members[f"images/{image.manifest.replace(':', '-')}"].size
    annotations = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rpartition(":")[2]}
    descriptor = {"mediaType": image.media_type, "digest": image.manifest, "size": size, "annotations": annotations}
    return {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [descriptor]}


def _load(state: State, host: Host, bundle: Bundle, reference: str, root: dict[str, Any], script: str) -> bool:
    return _stream(state, host, reference, script, image_entries(bundle, reference), root)


def _stream(state: State, host: Host, title: str, script: str, entries: list[Entry], root: dict[str, Any]) -> bool:
    """Run a script on the host, with a tar archive as its input."""
    total = sum(entry.size for entry in entries)
    began = last = time.monotonic()
    logger.info(f"{host.print_prefix}sending {title} ({total / 1e6:.0f} MB)")

    def report(count: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _REPORT:
            last = now
            share, rate = min(100, count * 100 // total), count / (now - began) / 1e6
            logger.info(f"{host.print_prefix}{title}: {count / 1e6:.0f} MB sent ({share}%), {rate:.1f} MB/s")

    try:
        write_to(state, host, script, root, cast("IO[bytes]", TarStream(entries, report)))
    except (ChannelError, OSError) as error:
        return report_failure(host, f"could not send {title}: {error}. Run the same command again")
    return True

"""Backups: one file per host on the control machine. Nothing on the host is changed."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

from pyinfra import host, logger
from pyinfra.api import FunctionCommand, operation
from pyinfra.api.exceptions import FactPreconditionError
from pyinfra.api.host import Host
from pyinfra.api.state import State

from hearth.backup.manifest import SETTINGS, BackupError, Manifest
from hearth.backup.model_store import list_models, missing_blobs
from hearth.backup.selection import Plan, member_name, plan_backup
from hearth.backup.writer import Writer
from hearth.footprint.facts import Footprint
from hearth.paths import ROOT
from hearth.runtime.byte_stream import CHUNK, ChannelError, read_from
from hearth.runtime.commands import connection_arguments, refused_command
from hearth.runtime.shell import quote
from hearth.settings.model import Settings


@operation(is_idempotent=False)
def write_backup(
    settings: Settings, files: frozenset[str], into: Path, about: dict[str, str], with_models: bool
) -> Generator[FunctionCommand, None, None]:
    """Write a backup of the host.

    Args:
        files: paths below `/opt/hearth` that this version of Hearth writes, in addition to its records.
        into: the file, which appears only when complete.
        about: `created` and `commit`, for its manifest.
        with_models: include the models' data, which may be gigabytes; their names and digests are always included.
    """
    try:
        state = host.get_fact(Footprint, models_dir=settings.ollama_models_dir)
        plan = plan_backup(state, files, with_models)
    except (FactPreconditionError, BackupError) as error:
        yield refused_command(f"{error}; no backup was written")
        return
    yield FunctionCommand(_save, (settings, plan, into, about, connection_arguments()), {})


def _save(
    state: State, host: Host, settings: Settings, plan: Plan, into: Path, about: dict[str, str], root: dict[str, Any]
) -> bool:
    try:
        manifest = build_archive(state, host, settings, plan, into, about, root)
    except (BackupError, ChannelError, OSError, tarfile.TarError) as error:
        logger.error(f"{host.print_prefix}no backup was written: {error}")
        return False
    models = ", ".join(model.name for model in manifest.models) or "none"
    size = sum(member.size for member in manifest.members.values())
    logger.info(f"{host.print_prefix}{into}: {len(manifest.members)} members, {size / 1e6:.1f} MB")
    logger.info(
        f"{host.print_prefix}models {'with their data' if manifest.has_blobs else 'by name and digest only'}: {models}"
    )
    logger.info(f"{host.print_prefix}secrets: {manifest.secrets}")
    return True


def stream_script(plan: Plan) -> str:
    """Shell script that writes the files of the plan to standard output, as one tar archive."""
    words = ["tar", "--create", "--file=-", "--format=gnu", "--no-recursion", "-C", ROOT, *plan.files]
    if plan.stored:
        words += ["-C", plan.store, *plan.stored]
    return quote(*words)


def build_archive(
    state: State, host: Host, settings: Settings, plan: Plan, into: Path, about: dict[str, str], root: dict[str, Any]
) -> Manifest:
    """Stream the files of the plan from the host into a backup.

    Raises:
        BackupError: the host sent unexpected data, or a model on the host is damaged.
        ChannelError: the host could not read its files.
    """
    expected = {*plan.files, *plan.stored}
    manifests: dict[str, bytes] = {}
    blobs: dict[str, int] = {}
    with Writer(into) as writer:
        settings_text = json.dumps(settings.model_dump(mode="json"), indent=2) + "\n"
        writer.add_bytes(SETTINGS, settings_text.encode())
        with read_from(state, host, stream_script(plan), root) as reader:
            with tarfile.open(fileobj=cast("Any", reader), mode="r|", bufsize=CHUNK) as stream:
                for entry in stream:
                    content = stream.extractfile(entry) if entry.isreg() and entry.name in expected else None
                    if content is None:
                        raise BackupError(f"{entry.name} on the host is not a regular file, so it is not Hearth's")
                    expected.remove(entry.name)
                    kind, _, rest = entry.name.partition("/")
                    if kind == "manifests":
                        manifests[rest] = content.read()
                        writer.add_bytes(member_name(entry.name), manifests[rest])
                        continue
                    member = writer.add(member_name(entry.name), entry.size, content)
                    if kind == "blobs":
                        _check_blob(rest, member.sha256)
                        blobs[rest] = member.size
            while reader.read(CHUNK):
                pass
        if expected:
            raise BackupError(f"{', '.join(sorted(expected)[:5])} were not sent by the host")
        lacking = missing_blobs(manifests, blobs) if plan.has_blobs else {}
        if lacking:
            raise BackupError(f"data of {', '.join(lacking)} is missing on the host; deploy again to pull it")
        return writer.finish(
            host=host.name,
            images=plan.images,
            models=list_models(manifests),
            has_blobs=plan.has_blobs,
            secrets=plan.secrets,
            **about,
        )


def _check_blob(name: str, sha256: str) -> None:
    if name != f"sha256-{sha256}":
        raise BackupError(
            f"{name} in the host's model store is damaged: its content does not match its digest. Remove its model "
            "with `ollama rm`, and deploy again to pull it"
        )

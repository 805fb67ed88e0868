"""Restore a backup: images by digest, models with their data; then verify everything."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from pyinfra import host, logger
from pyinfra.api import FunctionCommand, operation
from pyinfra.api.exceptions import FactPreconditionError
from pyinfra.api.host import Host
from pyinfra.api.state import State

from hearth.backup.reader import Archive, ArchiveFile
from hearth.backup.restore_plan import find_differences, find_surprises, models_to_send
from hearth.docker.image_pull import PULL_FUNCTIONS
from hearth.footprint.facts import Footprint
from hearth.footprint.image import Image
from hearth.models.local_files import receive_words
from hearth.runtime.byte_stream import ChannelError, write_to
from hearth.runtime.commands import connection_arguments, refused_command, streamed_command
from hearth.runtime.explain import explain
from hearth.runtime.shell import quote
from hearth.runtime.text import join_words
from hearth.settings.model_names import name_from_manifest
from hearth.stack.file_facts import Tree
from hearth.stack.image_facts import Images


@operation()
def pull_saved_images(images: Mapping[str, Image], timeout: int) -> Generator[FunctionCommand, None, None]:
    """Pull the exact images of the backup by digest, if a registry still has them.

    Others are left to the regular pull by name.

    Args:
        images: reference → image in the backup.
        timeout: seconds for one attempt.
    """
    try:
        state = host.get_fact(Images, references=tuple(images))
    except FactPreconditionError as error:
        yield refused_command(str(error))
        return
    wanted = {reference: image for reference, image in images.items() if image.digests and "@" not in reference}
    missing = [reference for reference in wanted if reference in state.missing(wanted)]
    if not missing:
        host.noop("images up to date")
    for reference in missing:
        yield streamed_command(pull_script(reference, wanted[reference], timeout))


def pull_script(reference: str, image: Image, timeout: int) -> str:
    """Shell script that pulls an image by its digests, tried in order, and tags it.

    If none is available it prints that and succeeds: the regular pull follows, which also repairs an image whose pull
    was interrupted by a power failure.
    """
    name = quote(reference)
    gone = f"The backed-up image of {reference} is no longer in any registry; pulling the current one of that name."
    return f"""set -e
{PULL_FUNCTIONS}
if is_untrusted {name}; then exit 0; fi
mark_pulls {name}
for digest in {quote(*image.digests)}; do
  for attempt in 1 2 3; do
    if timeout {timeout} docker pull "$digest" && docker tag "$digest" {name}; then
      sync
      id=$(docker image inspect --format '{{{{.Id}}}}' {name})
      record "$lock" {name} "$id"
      clear_mark {name}
      exit 0
    fi
    sleep $attempt
  done
done
clear_mark {name}
echo {quote(gone)}"""


@operation()
def send_models(
    archive: ArchiveFile, models_dir: str, only: frozenset[str] | None = None
) -> Generator[FunctionCommand, None, None]:
    """Send the models that are in the backup or bundle and not on the host; each file is checked by SHA-256.

    Args:
        archive: without the models' data nothing is sent; they are pulled later.
        models_dir: the setting: "" for the volume.
        only: members to choose from; None for all.
    """
    try:
        state = host.get_fact(Footprint, models_dir=models_dir)
    except FactPreconditionError as error:
        yield refused_command(str(error))
        return
    kind = archive.manifest.kind
    names = [name for name in models_to_send(archive.manifest, state) if only is None or name in only]
    if not names:
        host.noop(
            f"all models of the {kind} present" if archive.manifest.has_blobs else f"the {kind} has no models' data"
        )
        return
    models = [name_from_manifest(name.removeprefix("models/manifests/")) for name in names if "/manifests/" in name]
    if models:
        explain(f"{join_words(models)}: not on the host, or different from the {kind}; sending the missing files")
    for name in names:
        yield FunctionCommand(_send, (archive, name, state.store, connection_arguments()), {})


def _send(state: State, host: Host, archive: ArchiveFile, name: str, store: str, root: dict[str, Any]) -> bool:
    member = archive.manifest.members[name]
    if member.size > 10_000_000:
        logger.info(f"{host.print_prefix}sending {name.rpartition('/')[2][:19]}… ({member.size / 1e6:.0f} MB)")
    try:
        with archive.open(name) as source:
            write_to(state, host, receive_script(store, name.removeprefix("models/"), member.sha256), root, source)
    except (ChannelError, OSError) as error:
        logger.error(
            f"{host.print_prefix}could not send {name} of {archive.path}: {error}; run the same command again; what "
            "was sent so far is kept"
        )
        return False
    return True


def receive_script(store: str, path: str, sha256: str) -> str:
    """Shell script that writes standard input to a file in the model store, if its SHA-256 matches."""
    return quote(*receive_words(store, path, sha256))


@operation()
def verify_restore(archive: Archive, models_dir: str) -> Generator[FunctionCommand, None, None]:
    """Compare every restored file on the host with the backup by SHA-256, and report other differences.

    Args:
        archive: what was restored.
        models_dir: the setting: "" for the volume.
    """
    files = {name.removeprefix("files/"): archive.manifest.members[name].sha256 for name in archive.names("files/")}
    try:
        tree = host.get_fact(Tree, paths=tuple(sorted(files)))
        state = host.get_fact(Footprint, models_dir=models_dir)
    except FactPreconditionError as error:
        yield refused_command(str(error))
        return
    if differences := find_differences(archive.manifest, files, tree.digests, state):
        yield refused_command("differs from the backup: " + "; ".join(differences))
        return
    for line in find_surprises(archive.manifest, state):
        logger.warning(f"{host.print_prefix}{line}")
    blobs = len(archive.names("models/"))
    also = f" and {blobs} model files" if archive.manifest.has_blobs else ""
    host.noop(f"{len(files)} files{also} match the backup")

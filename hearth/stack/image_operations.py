"""Container images."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from pyinfra import host
from pyinfra.api import FunctionCommand, StringCommand, operation
from pyinfra.api.exceptions import FactPreconditionError

from hearth.docker.image_pull import PULL_FUNCTIONS, pull_setup
from hearth.paths import IMAGES_FOUND, IMAGES_LOCK
from hearth.runtime.commands import refused_command, streamed_command
from hearth.runtime.fact_snapshot import current_fact
from hearth.runtime.shell import quote
from hearth.stack.image_facts import Images
from hearth.stack.messages import explain_images


@operation()
def pull_images(
    references: tuple[str, ...], timeout: int, stall: int, retries: int
) -> Generator[FunctionCommand | StringCommand, None, None]:
    """Pull the images that are missing, whose tag was moved on the host, or whose pull was interrupted.

    Args:
        references: `name:tag` or `name@sha256:…`.
        timeout: seconds for one attempt at one image.
        stall: seconds without progress after which an attempt is aborted.
        retries: additional attempts; downloaded layers are kept between them.
    """
    try:
        state = current_fact(Images, references=references)
    except FactPreconditionError as error:
        yield refused_command(str(error))
        return
    missing = state.missing(references)
    unrecorded = state.unrecorded(references)
    if not missing and not unrecorded:
        host.noop("images up to date")
    explain_images(state, missing, unrecorded)
    for reference, image_id in unrecorded.items():
        yield StringCommand(record_script(reference, quote(image_id), IMAGES_FOUND, IMAGES_LOCK))
    if missing:
        yield streamed_command(pull_script(missing, timeout, stall, retries))


def record_script(reference: str, image_id: str, *tables: str) -> str:
    """Shell script that records the image of a reference.

    Args:
        image_id: a shell word.
        tables: files to record it in; by default IMAGES_LOCK.
    """
    records = [f"record {table} {quote(reference)} {image_id}" for table in tables or (IMAGES_LOCK,)]
    return "\n".join(["set -e", PULL_FUNCTIONS, *records])


def pull_script(references: Sequence[str], timeout: int, stall: int, retries: int) -> str:
    """Shell script that pulls images in parallel and records their ids; fails if one of them does."""
    return f"set -e\n{pull_setup(timeout, stall, retries)}pull_all {quote(*references)}"

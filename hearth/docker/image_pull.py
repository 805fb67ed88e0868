"""Shell functions that pull images, with progress and time limits."""

from __future__ import annotations

from pathlib import Path

from hearth.runtime.write_file import WRITE_FILE

PULL_FUNCTIONS = WRITE_FILE + Path(__file__).with_name("pull_images.sh").read_text()


def pull_setup(timeout: int, stall: int, retries: int) -> str:
    """Shell that precedes a call of `pull_all`.

    Args:
        timeout: seconds for one attempt at one image.
        stall: seconds without progress after which an attempt is aborted.
        retries: additional attempts; downloaded layers are kept between them.
    """
    return f"attempt_seconds={timeout} stall_seconds={stall} retries={retries}\n{PULL_FUNCTIONS}"

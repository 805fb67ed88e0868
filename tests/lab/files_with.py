"""Search all files of the guest."""

from __future__ import annotations

import base64

from tests.lab.machine import on_guest

# Including files in memory. The words are encoded, since sudo and the guest log command lines.
_SEARCH = (
    "echo {words} | base64 -d >/dev/shm/words; "
    "sudo grep -rlaFf /dev/shm/words / --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev 2>/dev/null; "
    "rm /dev/shm/words"
)


def files_with(*words: str) -> list[str]:
    """Sorted paths of all files on the guest that contain one of these words."""
    encoded = base64.b64encode("\n".join(words).encode()).decode()
    return sorted(on_guest(_SEARCH.format(words=encoded), timeout=1800).split())

"""A part that the lab builds and caches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Paths = dict[str, Path]


@dataclass(frozen=True)
class Artefact:
    """A cached directory. Its key is made of `inputs` and the keys of `needs`; `build(paths, out, log)` fills it."""

    name: str
    what: str
    inputs: Callable[[], list[str]]
    build: Callable[[Paths, Path, Path], None]
    needs: tuple[str, ...] = ()

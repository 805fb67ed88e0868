"""An image that Hearth brought."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Image(BaseModel):
    """An image as the host had it: its id, and the digests under which its registry has it (`name@sha256:…`)."""

    model_config = ConfigDict(frozen=True)
    id: str
    digests: tuple[str, ...]

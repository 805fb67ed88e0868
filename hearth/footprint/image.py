"""An image that Hearth pulled."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Image(BaseModel):
    """An image on a host: its id, and its digests in a registry (`name@sha256:…`)."""

    model_config = ConfigDict(frozen=True)
    id: str
    digests: tuple[str, ...]

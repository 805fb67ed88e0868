"""The one exception that the lab raises for what a person can act on."""

from __future__ import annotations


class LabError(Exception):
    """Something the lab needs is missing or failed; the message is for reading, no traceback needed."""


class Unavailable(LabError):
    """Something that the lab can do without could not be fetched."""

"""The lab's exceptions for errors that the user can fix."""

from __future__ import annotations


class LabError(Exception):
    """Something the lab needs is missing or failed; the message is shown without a traceback."""


class Unavailable(LabError):
    """An optional part could not be fetched."""

"""Hearth's lab: a throwaway virtual machine that stands in for a freshly flashed Raspberry Pi.

`python -m lab --help` is how a person uses it; `lab.status()` is how scripts, inventory and tests do.
"""

from __future__ import annotations

from lab.errors import LabError
from lab.report import Status, status

__all__ = ["LabError", "Status", "status"]

"""Hearth's lab: a throwaway virtual machine that stands in for a freshly flashed Raspberry Pi.

People use `python -m lab --help`; scripts, the inventory and tests use `lab.status()`.
"""

from __future__ import annotations

from lab.errors import LabError
from lab.report import Status, status

__all__ = ["LabError", "Status", "status"]

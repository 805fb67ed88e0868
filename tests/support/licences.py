"""The table of docs/licences.md: `python -m tests.support.licences` prints it, from the metadata of installed packages.

It lists the packages in the requirements files; those for other systems are not installed and left out.
"""

from __future__ import annotations

import re
from email.message import Message
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import cast

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "deploy": "requirements.txt",
    "verify": "requirements-verify.txt",
    "watch": "requirements-watch.txt",
    "development": "requirements-dev.txt",
}
_LOCKED = re.compile(r"^([A-Za-z0-9._-]+)==", re.MULTILINE)


def locked(name: str) -> list[str]:
    """Names of the packages in a file of locked requirements."""
    return _LOCKED.findall((ROOT / name).read_text())


def licence(package: str) -> str:
    """The licence in a package's metadata: the SPDX expression, else the classifiers, else the licence line.

    Raises:
        PackageNotFoundError: it is not installed.
    """
    about = cast(Message, metadata(package))
    if expression := about.get("License-Expression"):
        return str(expression)
    classifiers = [str(one) for one in about.get_all("Classifier", [])]
    named = [one.rpartition(" :: ")[2] for one in classifiers if one.startswith("License :: ")]
    return ", ".join(named) or str(about.get("License", "")).partition("\n")[0] or "none stated"


def rows() -> list[str]:
    """A line of the table for each package."""
    # Each file includes the previous one; the first with a package shows what needs it.
    needs: dict[str, str] = {}
    for need, name in FILES.items():
        needs = dict.fromkeys(locked(name), need) | needs
    lines = []
    for package in sorted(needs):
        try:
            lines.append(f"| {package} | {licence(package)} | {needs[package]} |")
        except PackageNotFoundError:
            continue  # for another system
    return lines


if __name__ == "__main__":
    print("\n".join(rows()))

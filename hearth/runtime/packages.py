"""State of a Debian package: the section of a fact's command, and how it is read."""

from __future__ import annotations

from hearth.runtime.sections import Sections


def package_section(package: str) -> str:
    """Shell that prints the section `@@package`."""
    return f"echo @@package; dpkg-query -W -f '${{db:Status-Status}}\\n' {package} 2>/dev/null"


def parse_package(sections: Sections) -> str:
    """dpkg's status from the section `@@package`: "installed", "not-installed", "unpacked", …"""
    return next(iter(sections.get("package", [])), "not-installed")

"""docs/licences.md lists every locked Python package, with the licence in its metadata."""

from __future__ import annotations

import tomllib

from tests.support import licences
from tests.support.shipped import PROJECT

PAGE = (PROJECT / "docs/licences.md").read_text()


def test_table_matches_the_package_metadata() -> None:
    rows = licences.rows()
    assert len(rows) > 40
    assert PAGE.partition("## Python packages")[2].rstrip().endswith("\n".join(rows)), (
        "run: python -m tests.support.licences, and put it at the end of docs/licences.md"
    )


def test_locked_packages_that_are_not_installed_are_listed() -> None:
    names = {package for file in licences.FILES.values() for package in licences.locked(file)}
    assert {name for name in names if f"| {name} |" not in PAGE and name not in PAGE} == set()


def test_licence_of_hearth() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert (project["license"], project["license-files"]) == ("MIT", ["LICENSE"])
    assert (PROJECT / "LICENSE").read_text().startswith("MIT License\n\nCopyright (c) 2026 The Hearth developers\n")


def test_deploy_needs_no_packages_of_the_acceptance_tests() -> None:
    deploys, verifies, watches, develops = ({*licences.locked(file)} for file in licences.FILES.values())
    assert deploys < verifies < develops
    assert deploys < watches < develops
    assert {"docker", "pytest", "pytest-testinfra"} <= verifies - deploys

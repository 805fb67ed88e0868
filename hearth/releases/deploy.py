"""The end of a deploy: what serves now is tried and written down, or the release before it is put back."""

from __future__ import annotations

from datetime import UTC, datetime

from pyinfra.api import deploy

from hearth.releases import operations as releases
from hearth.releases.release import new_release
from hearth.render.stack_files import render_tree
from hearth.runtime.checkout import commit, deployer
from hearth.settings.model import Settings


@deploy("Release")
def release(settings: Settings) -> None:
    releases.accepted(
        name="Try and accept it",
        settings=settings,
        paths=tuple(sorted(render_tree(settings))),
        release=new_release(datetime.now(UTC), commit(), deployer()),
    )


@deploy("Rollback")
def rollback(settings: Settings) -> None:
    releases.rolled_back(name="Go back to the release before", settings=settings, by=deployer())

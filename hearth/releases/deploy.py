"""The end of a deploy: what serves now is tried and written down, or the release before it is put back."""

from __future__ import annotations

from datetime import UTC, datetime

from pyinfra.api import deploy

from hearth.releases.operations import accept_release, roll_back
from hearth.releases.release import new_release
from hearth.render.stack_files import render_tree
from hearth.runtime.checkout import current_commit, deployer
from hearth.settings.model import Settings


@deploy("Release")
def release(settings: Settings) -> None:
    accept_release(
        name="Try and accept it",
        settings=settings,
        paths=tuple(sorted(render_tree(settings))),
        release=new_release(datetime.now(UTC), current_commit(), deployer()),
    )


@deploy("Rollback")
def rollback(settings: Settings) -> None:
    roll_back(name="Go back to the release before", settings=settings, by=deployer())

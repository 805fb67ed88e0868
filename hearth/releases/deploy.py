"""The end of a deploy: test and accept the new release, or roll back to the previous one."""

from __future__ import annotations

from datetime import UTC, datetime

from pyinfra.api import deploy

from hearth.releases.facts import Releases
from hearth.releases.operations import accept_release, roll_back
from hearth.releases.release import new_release
from hearth.render.stack_files import render_tree
from hearth.rollout.deploy import begin_turn
from hearth.runtime.checkout import current_commit, deployer
from hearth.runtime.fact_snapshot import Query
from hearth.settings.model import Settings


@deploy("Release")
def release(settings: Settings) -> None:
    accept_release(
        name="Accept the release",
        settings=settings,
        paths=tuple(sorted(render_tree(settings))),
        release=new_release(datetime.now(UTC), current_commit(), deployer()),
    )


def release_queries(settings: Settings) -> list[Query]:
    """The facts that the operation of `release` asks for."""
    return [(Releases, {"paths": tuple(sorted(render_tree(settings)))})]


@deploy("Rollback")
def rollback(settings: Settings) -> None:
    begin_turn()
    roll_back(name="Roll back to the previous release", settings=settings, by=deployer())

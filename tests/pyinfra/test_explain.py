"""Operations explain what they find and do before their first command, once, and otherwise print nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import Config, Inventory, State
from pyinfra.context import ctx_host, ctx_state

from hearth.docker.daemon_json import wanted_config
from hearth.docker.facts import Engine, EngineState
from hearth.docker.operations import configure_engine, install_engine
from hearth.docker.packages import DockerSource
from hearth.docker.reachability import Reachability, ReachabilityState
from hearth.models import operations as models
from hearth.models.facts import ModelFiles, ModelFilesState, Models, ModelsState
from hearth.releases.release import Release
from hearth.render.stack_files import render_tree
from hearth.runtime.commands import refused_command
from hearth.runtime.explain import EXPLAIN_LOG, explain, will_write
from hearth.settings.model import Settings
from hearth.settings.variant import Variant
from hearth.stack.container_facts import Project, ProjectState
from hearth.stack.container_operations import compose_up
from hearth.stack.containers import Drift
from hearth.stack.file_facts import Tree, TreeState
from hearth.stack.file_operations import sync_files
from hearth.stack.image_facts import Images, ImagesState
from hearth.stack.image_operations import pull_images
from hearth.stack.messages import explain_containers
from hearth.stack.setting_changes import digests
from tests.pyinfra.conftest import Listener, Run
from tests.pyinfra.test_stack import HASHES, HTTPD, IDS, OLLAMA, RUNNING, container

SILENT = {Reachability: ReachabilityState("silent")}
STOPPED = {Reachability: ReachabilityState("answers", "exited")}
SOURCE = DockerSource(packages=("docker.io", "docker-compose"), repository="")
UNKNOWN = "the Docker engine does not respond, so the state of its images and containers is unknown"


def pull(run: Run, state: ImagesState, **others: Any) -> list[str]:
    facts = {Images: state, **others.get("facts", {})}
    return run(pull_images, facts, references=(OLLAMA, HTTPD), timeout=60, stall=30, retries=2).said


def test_images_are_explained(run: Run) -> None:
    assert pull(run, ImagesState(IDS, IDS)) == []
    assert pull(run, ImagesState({}, {})) == [f"{OLLAMA} and {HTTPD} are missing; pulling them"]
    assert pull(run, ImagesState({OLLAMA: "sha256:1", HTTPD: "sha256:9"}, IDS)) == [
        f"{HTTPD} is not the image that was pulled; pulling it again"
    ]
    assert pull(run, ImagesState(IDS, {OLLAMA: "sha256:1"})) == [
        f"{HTTPD}: already on the host; recording it as Hearth's"
    ]
    assert pull(run, ImagesState(IDS, {})) == [f"{OLLAMA} and {HTTPD}: already on the host; recording them as Hearth's"]


def test_images_of_an_unresponsive_engine_are_not_missing(run: Run) -> None:
    """While preparing, pyinfra returns the fact's default, which looks like a host without images."""
    assert pull(run, ImagesState(), facts=SILENT) == [UNKNOWN]


def up(run: Run, state: ProjectState, **others: Any) -> list[str]:
    facts = {Project: replace(state, images=IDS), **others.get("facts", {})}
    references = {"ollama": OLLAMA, "httpd": HTTPD}
    return run(compose_up, facts, images=references, timeout=60, on_failure="exit 1").said


def test_containers_are_explained_with_the_remedy(run: Run) -> None:
    assert up(run, ProjectState(HASHES, RUNNING)) == []
    stopped = container("hearth-httpd", "httpd", "b2", "sha256:2", status="exited")
    assert up(run, ProjectState(HASHES, (RUNNING[0], stopped))) == ["hearth-httpd has exited; starting it"]
    assert up(run, ProjectState(HASHES, RUNNING, reload_pending=True)) == [
        "httpd has not loaded its new configuration yet; it reloads gracefully, nothing is cut"
    ]
    both = "hearth-httpd and hearth-ollama are missing; creating and starting them"
    assert up(run, ProjectState()) == up(run, ProjectState(HASHES)) == [both]


def test_containers_of_an_unresponsive_engine_or_broken_compose_file_are_not_missing(run: Run) -> None:
    assert up(run, ProjectState(), facts=SILENT) == [UNKNOWN]
    (sentence,) = up(run, ProjectState(), facts=STOPPED)
    assert sentence.startswith("compose.yaml is missing or broken")


def pull_models(run: Run, present: set[str], **others: Any) -> list[str]:
    facts = {Models: ModelsState(present=frozenset(present)), **others.get("facts", {})}
    return run(models.pull_models, facts, models=("tinyllama",), registry="", timeout=60, retries=1).said


def test_models_are_explained(run: Run) -> None:
    assert pull_models(run, {"tinyllama:latest"}) == []
    assert pull_models(run, {"other:latest"}) == ["tinyllama is missing; pulling it"]
    assert pull_models(run, set()) == ["tinyllama is missing; pulling it"]
    assert pull_models(run, set(), facts=STOPPED) == [
        "Ollama does not respond, so it is unknown whether it has tinyllama"
    ]
    assert pull_models(run, set(), facts=SILENT) == [
        "the Docker engine does not respond, so it is unknown whether Ollama has tinyllama"
    ]


def test_variants_of_a_silent_ollama_are_unknown(run: Run) -> None:
    variants = {"tutor": Variant(base="tinyllama")}
    facts = {ModelFiles: ModelFilesState()}
    assert run(models.create_variants, facts, variants=variants, files={}).said == ["tutor is missing; creating it"]
    assert run(models.create_variants, facts | STOPPED, variants=variants, files={}).said == [
        "Ollama does not respond, so it is unknown whether it has tutor"
    ]


def test_setting_changes_and_edits_are_explained_from_the_record(run: Run, make_settings: Any) -> None:
    then, now = make_settings(), make_settings(proxy_timeout=1000)
    accepted = Release(files=digests(render_tree(then)), settings=then.model_dump(mode="json"))
    state = TreeState(accepted.files | {"compose.yaml": ""}, accepted)
    effect = "httpd reloads gracefully, nothing is cut"
    assert run(sync_files, {Tree: state}, files=render_tree(now), settings=now).said == [
        f"proxy_timeout 900 → 1000: httpd/httpd.conf; {effect}",
        "compose.yaml has an owner or mode other than root and 0644; rewriting it; containers that differ from it are "
        "recreated, in-flight responses are cut",
    ]
    assert run(sync_files, {Tree: TreeState(accepted.files)}, files=render_tree(then), settings=then).said == []


def configure(run: Run, settings: Settings, state: EngineState) -> list[str]:
    return run(configure_engine, {Engine: state}, settings=settings, source=SOURCE).said


def test_engine_changes_are_explained(run: Run, settings: Settings) -> None:
    config = wanted_config(settings, {})
    text = json.dumps(config)
    there = EngineState(has_engine=True, has_compose=True, config=text, record=text, active=True, enabled=True)
    assert configure(run, settings, there) == []
    assert configure(run, settings, replace(there, active=False)) == ["the Docker engine is not running; starting it"]
    assert configure(run, settings, replace(there, record="{}", config='{"debug": true}')) == [
        "/etc/docker/daemon.json: live-restore none → true (docker_live_restore), log-driver none → json-file, "
        "log-opts.max-size none → 10m (docker_log_max_size) and log-opts.max-file none → 3 (docker_log_max_files); "
        "the engine restarts, containers keep running"
    ]
    assert configure(run, settings, EngineState()) == [
        "/etc/docker/daemon.json gets live-restore, log-driver and log-opts"
    ]
    assert configure(run, settings, replace(there, config="{ broken"))[0].startswith(
        "/etc/docker/daemon.json on the host is not JSON"
    )


def test_missing_packages_are_explained(run: Run) -> None:
    facts = {Engine: EngineState(packages=frozenset({"docker.io"}))}
    result = run(install_engine, facts, source=SOURCE, codename="trixie", keep_existing=True, timeout=60)
    assert result.said == ["docker-compose is missing; installing it from the distribution"]


# --- explain() itself -----------------------------------------------------------------------------


@pytest.fixture(name="state")
def _state() -> State:
    inventory = Inventory((["@fake/pi", "@fake/pi2"], {}))  # type: ignore[no-untyped-call]
    return State(inventory=inventory, config=Config())  # type: ignore[no-untyped-call]


def test_explanation_appears_once_per_host_even_if_the_body_runs_again(state: State) -> None:
    pi, pi2 = state.inventory
    listener = Listener()
    with listener, ctx_state.use(state):
        for executing in (False, True):
            state.is_executing = executing
            for one in (pi, pi2):
                with ctx_host.use(one):
                    explain("a is missing", "b is missing")
    assert [line.split(maxsplit=1) for line in listener.said] == [
        [f"[{name}]", f"{what} is missing"] for name in ("@fake/pi", "@fake/pi2") for what in "ab"
    ]


def test_explanations_and_refusals_go_into_the_report(
    state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = tmp_path / "report"
    monkeypatch.setenv(EXPLAIN_LOG, str(report))
    with ctx_state.use(state), ctx_host.use(next(iter(state.inventory))):
        explain("compose.yaml → new")
        refused_command("daemon.json is broken")
    assert [json.loads(line) for line in report.read_text().splitlines()] == [
        {"host": "@fake/pi", "kind": "differs", "text": "compose.yaml → new"},
        {"host": "@fake/pi", "kind": "unknown", "text": "daemon.json is broken"},
    ]


MADE = "was created from a different configuration"


def test_containers_are_not_compared_with_a_file_that_is_being_replaced(state: State) -> None:
    """An edited compose.yaml: the containers differ from it, but not after it is restored."""
    pi, pi2 = state.inventory
    drift = [
        Drift("hearth-httpd", MADE, "up"),
        Drift("hearth-ollama", MADE, "up"),
        Drift("hearth-ollama", "is paused", "recreate"),
    ]
    httpd, both, paused = (
        f"hearth-httpd {MADE}; recreating it",
        f"hearth-ollama {MADE} and is paused; recreating it",
        "hearth-ollama is paused; recreating it",
    )
    listener = Listener()
    with listener, ctx_state.use(state):
        with ctx_host.use(pi):
            will_write("compose.yaml")
        for one in (pi, pi2):
            with ctx_host.use(one):
                explain_containers(ProjectState(HASHES, RUNNING), drift)
        state.is_executing = True
        with ctx_host.use(pi):
            explain_containers(ProjectState(HASHES, RUNNING), drift)
    assert [line.split(maxsplit=1) for line in listener.said] == [
        ["[@fake/pi]", paused],
        ["[@fake/pi2]", httpd],
        ["[@fake/pi2]", both],
        ["[@fake/pi]", httpd],
        ["[@fake/pi]", both],
    ]

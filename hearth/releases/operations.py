"""Releases: accept a working one, roll back from a broken one."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from pathlib import Path

from pyinfra import host
from pyinfra.api import FunctionCommand, operation

from hearth.docker.compose_up import COMPOSE_UP
from hearth.docker.image_pull import pull_setup
from hearth.docker.trial import TRIAL
from hearth.gpu.use import CHECK_GPU
from hearth.paths import CONTAINERS, HTTPD_CONF, ROOT
from hearth.releases.facts import Releases
from hearth.releases.release import Release, content_digest, dump_release, needs_trial_prompt, trial_prompt
from hearth.rollout.operations import has_gateways, leave_out, try_through_gateways
from hearth.runtime.commands import streamed_command
from hearth.runtime.fact_snapshot import current_fact
from hearth.runtime.shell import quote
from hearth.runtime.write_file import WRITE_FILE
from hearth.settings.model import Settings

SCRIPT = Path(__file__).with_name("release.bash")


@operation()
def accept_release(
    settings: Settings, paths: tuple[str, ...], release: Release
) -> Generator[FunctionCommand, None, None]:
    """Accept the running stack as a release if the page and a test prompt work through the proxy (or an embedding, if
    no model can chat); otherwise roll back.

    Does nothing if files and images are those of the last accepted release.

    Args:
        paths: files of the release, relative to `/opt/hearth`.
        release: when, by whom and from which commit; files, images and settings are filled in here.
    """
    state = current_fact(Releases, paths=paths)
    images = {reference: state.images.get(reference, "") for reference in settings.images.values()}
    if state.accepted and state.accepted.digest == content_digest(state.files, images):
        host.noop(f"release {state.accepted.id} is already accepted")
        return
    now = Release(
        id=release.id,
        created=release.created,
        commit=release.commit,
        by=release.by,
        images=images,
        files=state.files,
        settings=settings.model_dump(mode="json"),
    )
    prompt = needs_trial_prompt(state.accepted, now)
    if prompt and settings.runs_ollama:
        yield from try_through_gateways(refuse_script(settings, paths, release.by))
    yield streamed_command(accept_script(settings, now, prompt))


def accept_script(settings: Settings, release: Release, prompt: bool) -> str:
    """Shell script that tests and records the running stack, or rolls back.

    Args:
        prompt: send a test prompt, in addition to loading the page.
    """
    trial = trial_prompt(settings)
    models = " ".join(trial.models)
    images = "\n".join(f"{reference} {image}" for reference, image in release.images.items())
    # From inside if access requires credentials, which the test does not have, or TLS, which bash does not support.
    is_open = settings.proxy_tls == "off" and all(access.anyone for access in settings.accesses)
    port = str(settings.proxy_port) if is_open else "inside"
    arguments = (port, trial.path, trial.body, models) if prompt else (port, "", "", "")
    probe = "\n".join((port, trial.path, trial.body, models))
    calls = (
        f"works {quote(*arguments)} || refuse\n"
        f"record {quote(release.id, dump_release(release), images, probe)} || exit 1\n"
        f"echo {quote(f'Release {release.id} is accepted.')}"
    )
    return _script(calls, settings, tuple(release.files), release.by)


def refuse_script(settings: Settings, paths: tuple[str, ...], by: str) -> str:
    """Shell script that prints the container logs, rolls back to the last accepted release, and fails."""
    return _script("refuse", settings, paths, by)


@operation(is_idempotent=False)
def roll_back(settings: Settings, by: str) -> Generator[FunctionCommand, None, None]:
    """Roll back to the previous release: files, images, containers. Models don't change.

    In-flight responses may finish first. A backend's gateways leave it out meanwhile.
    """
    drain_timeout = settings.docker_drain_timeout
    if has_gateways():
        yield from leave_out(drain_timeout)
        if not settings.runs_httpd:
            drain_timeout = 0  # that was the wait
    yield streamed_command(_script(f"rollback {drain_timeout}", settings, (), by))


def _pull_image(settings: Settings) -> str:
    """A shell function of that name, in a subshell: what it calls has names that the release's script uses, too."""
    setup = pull_setup(settings.docker_pull_timeout, settings.docker_pull_stall_timeout, settings.docker_pull_retries)
    return f'pull_image() (\n{setup}pull_all "$@"\n)\n'


def _script(calls: str, settings: Settings, paths: tuple[str, ...], by: str) -> str:
    variables: Mapping[str, str] = {
        "root": ROOT,
        "httpd": CONTAINERS["httpd"],
        "ollama": CONTAINERS["ollama"],
        "conf": HTTPD_CONF,
        "patience": str(settings.docker_health_timeout),
        "prompt_patience": str(settings.proxy_timeout + 30),
        "keep": str(settings.releases_kept),
        "services": " ".join(settings.images),
        "preload": " ".join(settings.ollama_preload),
        "by": json.dumps(by)[1:-1],
        "paths": "\n".join(f"./{path}" for path in paths),
    }
    header = "\n".join(f"{name}={quote(value)}" for name, value in variables.items())
    programs = WRITE_FILE + COMPOSE_UP + CHECK_GPU + _pull_image(settings) + TRIAL + SCRIPT.read_text()
    # With bash, regardless of the login shell: the scripts use /dev/tcp. No command may read standard input, which is
    # the script itself.
    return f"bash -s <<'HEARTH'\n{header}\n{programs}\nmain() {{\n{calls}\n}}\nmain </dev/null\nHEARTH"

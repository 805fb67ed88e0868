"""Releases: accept what works, put back what worked before."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from pathlib import Path

from pyinfra import host
from pyinfra.api import FunctionCommand, operation

from hearth.docker.compose_up import COMPOSE_UP
from hearth.paths import CONTAINERS, HTTPD_CONF, ROOT
from hearth.releases.facts import Releases
from hearth.releases.release import Release, content_digest, dump_release, needs_trial_prompt, trial_prompt
from hearth.runtime.commands import streamed_command
from hearth.runtime.shell import quote
from hearth.runtime.write_file import WRITE_FILE
from hearth.settings.model import Settings

SCRIPT = Path(__file__).with_name("release.bash")


@operation()
def accept_release(
    settings: Settings, paths: tuple[str, ...], release: Release
) -> Generator[FunctionCommand, None, None]:
    """Accept what serves now as a release, once the page and a prompt came through the proxy (or a
    model for embeddings made one, where none talks); else put the last back.

    Nothing is asked or written where files and images are those of the release that was accepted last.

    Args:
        paths: files of the release, relative to `/opt/hearth`.
        release: when, by whom and from which commit; files, images and settings are filled in here.
    """
    state = host.get_fact(Releases, paths=paths)
    images = {reference: state.images.get(reference, "") for reference in (settings.ollama_image, settings.proxy_image)}
    if state.accepted and state.accepted.digest == content_digest(state.files, images):
        host.noop(f"release {state.accepted.id} serves")
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
    yield streamed_command(accept_script(settings, now, needs_trial_prompt(state.accepted, now)))


def accept_script(settings: Settings, release: Release, prompt: bool) -> str:
    """Shell script that tries what serves now and records it, or puts the release before it back.

    Args:
        prompt: ask a model, beside the page.
    """
    tried = trial_prompt(settings)
    models = " ".join(tried.models)
    images = "\n".join(f"{reference} {image}" for reference, image in release.images.items())
    # From inside where callers have to show who they are, since a trial can not, or to speak TLS, since bash does not.
    is_open = settings.proxy_tls == "off" and all(access.anyone for access in settings.accesses)
    port = str(settings.proxy_port) if is_open else "inside"
    trial = (port, tried.path, tried.body, models) if prompt else (port, "", "", "")
    lasting = "\n".join((port, tried.path, tried.body, models))
    calls = (
        f"works {quote(*trial)} || refuse\n"
        f"record {quote(release.id, dump_release(release), images, lasting)} || exit 1\n"
        f"echo {quote(f'Release {release.id} is accepted.')}"
    )
    return _script(calls, settings, tuple(release.files), release.by)


def refuse_script(settings: Settings, paths: tuple[str, ...], by: str) -> str:
    """Shell script that shows the containers' last words, puts the last accepted release back, and fails."""
    return _script("refuse", settings, paths, by)


@operation(is_idempotent=False)
def roll_back(settings: Settings, by: str) -> Generator[FunctionCommand, None, None]:
    """Go back to the release before the one that serves: files, images, containers. Models stay as they are."""
    yield streamed_command(_script("rollback", settings, (), by))


def _script(calls: str, settings: Settings, paths: tuple[str, ...], by: str) -> str:
    variables: Mapping[str, str] = {
        "root": ROOT,
        "httpd": CONTAINERS["httpd"],
        "ollama": CONTAINERS["ollama"],
        "conf": HTTPD_CONF,
        "patience": str(settings.docker_health_timeout),
        "prompt_patience": str(settings.proxy_timeout + 30),
        "keep": str(settings.releases_kept),
        "by": json.dumps(by)[1:-1],
        "paths": "\n".join(f"./{path}" for path in paths),
    }
    header = "\n".join(f"{name}={quote(value)}" for name, value in variables.items())
    programs = WRITE_FILE + COMPOSE_UP + SCRIPT.read_text()
    # For bash, whatever the login shell is: the scripts talk to the proxy through /dev/tcp. Nothing that runs may read
    # from standard input, which is the script itself.
    return f"bash -s <<'HEARTH'\n{header}\n{programs}\nmain() {{\n{calls}\n}}\nmain </dev/null\nHEARTH"

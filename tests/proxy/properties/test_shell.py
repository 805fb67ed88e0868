"""Texts reach a shell as single unchanged words, whatever the settings."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from hypothesis import HealthCheck, example, given, reject
from hypothesis import settings as profile
from hypothesis import strategies as st

from hearth.docker.daemon_json import dump_config, wanted_config
from hearth.docker.operations import install_script
from hearth.docker.packages import DockerSource
from hearth.firewall.operations import apply_script
from hearth.firewall.rules import Restrictions, render_rules
from hearth.models.operations import pull_script as pull_models_script
from hearth.models.plan import Task
from hearth.releases.operations import refuse_script
from hearth.render.stack_files import render_tree
from hearth.runtime.shell import quote
from hearth.settings.load import SettingsError, load_settings
from hearth.settings.model import Settings
from hearth.stack.container_operations import converge_script
from hearth.stack.file_operations import swap_script
from hearth.stack.image_operations import pull_script as pull_images_script
from hearth.stack.image_operations import record_script
from tests.proxy.properties.shape import tame, unlike
from tests.proxy.properties.values import HOSTILE, PHASES, changed
from tests.pyinfra.shell import check_syntax
from tests.support.shipped import defaults

QUICK = profile(
    max_examples=150,
    derandomize=True,
    deadline=None,
    database=None,
    phases=PHASES,
    suppress_health_check=list(HealthCheck),
)
WORD = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
PASSABLE = [word for word in HOSTILE if "\0" not in word and "\ud800" not in word]


@QUICK
@given(st.lists(st.one_of(WORD, st.sampled_from(PASSABLE)), min_size=1, max_size=5))
@example(PASSABLE)
def test_arguments_reach_the_shell_unchanged(words: list[str]) -> None:
    for shell in ("sh", "bash"):
        # As in pyinfra: the command is itself a word of a shell's command line.
        command = quote(shell, "-c", f"printf '%s\\0' {quote(*words)}")
        done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=20, check=True)
        assert done.stdout.decode().split("\0")[:-1] == words


def scripts(settings: Settings) -> dict[str, str]:
    """Every script that contains texts from the settings, by purpose."""
    paths = sorted(render_tree(settings))
    tasks = [Task(model, "pull") for model in settings.ollama_models]
    refused = refuse_script(settings, tuple(paths), "somebody")
    directories = (settings.ollama_models_dir,) if settings.ollama_models_dir else ()
    return {
        "docker": install_script(DockerSource(("docker-ce",), settings.docker_apt_url), "trixie", 60),
        "images": pull_images_script((settings.ollama_image, settings.proxy_image), 60, 60, 1),
        "record": record_script(settings.ollama_image, "id"),
        "models": pull_models_script(tasks, settings.ollama_model_registry, 60, 1),
        "files": swap_script(paths, "/tmp/upload", settings.proxy_image),
        "containers": converge_script([], settings.docker_health_timeout, refused, 0, directories),
        "firewall": apply_script(
            render_rules(Restrictions(settings.firewall_allowed_networks, settings.page_ports)), False, 60
        ),
    }


def assumed_valid(data: dict[str, Any]) -> Settings:
    """The shipped settings with these changes; hypothesis tries others where they are refused."""
    try:
        return load_settings(defaults() | data)
    except SettingsError:
        reject()


@QUICK
@given(changed())
def test_scripts(data: dict[str, Any]) -> None:
    settings = assumed_valid(data)
    plain = scripts(tame(settings))
    for what, script in scripts(settings).items():
        check_syntax(script)
        assert unlike(script, plain[what]) == []


@QUICK
@given(changed())
def test_engine_configuration(data: dict[str, Any]) -> None:
    settings = assumed_valid(data)
    read = json.loads(dump_config(wanted_config(settings, {})))
    assert read.get("registry-mirrors", []) == list(settings.docker_registry_mirrors)
    assert read["log-opts"] == {
        "max-size": settings.docker_log_max_size,
        "max-file": str(settings.docker_log_max_files),
    }

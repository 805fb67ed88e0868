"""What a deploy says at its end, on a real host: what serves, what was changed; or what failed, and what is so now."""

from __future__ import annotations

import pytest

from tests.lab.machine import HTTPD_IMAGE, OLLAMA_IMAGE, deploy, url

pytestmark = [pytest.mark.scenario, pytest.mark.usefixtures("deployed")]


def test_summary_of_successful_runs() -> None:
    for data, changed in (((), "changed: nothing"), (('chat_title="Kitchen"',), "changed: Stack | Put the files")):
        run = deploy(*data)
        assert run.code == 0, run.output
        last = run.output[run.output.rindex("Disconnecting from hosts") :]
        assert f"the chat page: {url()}/" in last, last
        assert "models: tinyllama (" in last, last
        assert f"Ollama {OLLAMA_IMAGE.partition(':')[2]}" in last, last
        assert HTTPD_IMAGE.replace(":", " ") in last, last
        assert "Docker 2" in last, last
        assert changed in last, last
        assert "Done in " in last, last


def test_summary_of_a_failed_model_pull() -> None:
    run = deploy('ollama_models=["tinyllama","nosuchmodel:1b"]', "ollama_pull_retries=0")
    assert run.code != 0
    last = run.output[run.output.rindex("Disconnecting from hosts") :]
    assert "failed at “Models | Pull the models”" in last, last
    assert "Could not pull nosuchmodel:1b from" in last, last
    assert "the models that the host has can be used" in last, last
    assert "run the same command again" in last, last

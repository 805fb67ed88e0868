"""The summary at the end of a deploy on a real host: the services and changes, or the failure and the current state."""

from __future__ import annotations

import pytest

from tests.lab.machine import HTTPD_IMAGE, OLLAMA_IMAGE, deploy, url

pytestmark = [pytest.mark.scenario, pytest.mark.usefixtures("deployed")]


def test_summary_of_successful_runs() -> None:
    for data, changed in (((), "changed: nothing"), (('chat_title="Kitchen"',), "changed: Stack | Write the files")):
        run = deploy(*data)
        assert run.code == 0, run.output
        summary = run.output[run.output.rindex("Disconnecting from hosts") :]
        assert f"the chat page: {url()}/" in summary, summary
        assert "models: tinyllama (" in summary, summary
        assert f"Ollama {OLLAMA_IMAGE.partition(':')[2]}" in summary, summary
        assert HTTPD_IMAGE.replace(":", " ") in summary, summary
        assert "Docker 2" in summary, summary
        assert changed in summary, summary
        assert "Done in " in summary, summary


def test_summary_of_a_failed_model_pull() -> None:
    run = deploy('ollama_models=["tinyllama","nosuchmodel:1b"]', "ollama_pull_retries=0")
    assert run.code != 0
    summary = run.output[run.output.rindex("Disconnecting from hosts") :]
    assert "failed at “Models | Pull the models”" in summary, summary
    assert "Could not pull nosuchmodel:1b from" in summary, summary
    assert "the models on the host work" in summary, summary
    assert "run the same command again" in summary, summary

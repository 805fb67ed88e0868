"""An Ollama that takes questions and answers none (ollama#17131): healed without a deploy, or repaired by one."""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
from urllib.parse import urlsplit

import pytest

from tests.lab.clients import ask
from tests.lab.machine import deploy, deployed_with, on_guest, url, wait_until
from tests.lab.test_doctor_inside import doctor
from tests.lab.test_drift_command import drift

pytestmark = [pytest.mark.scenario, pytest.mark.unproven, pytest.mark.usefixtures("deployed")]

STOPS = 600
SILENT = 20  # s without a word; an answer that comes has its first one after a second, under emulation five
# 90 s without work, and the three checks in a row that Docker wants to see, 30 s apart; then the restart.
SEEN = 240
INSPECT = "sudo docker inspect --format '{{%s}}' hearth-ollama"


def stopped(words: int) -> bool:
    """Read a few words of a long answer and leave, as with the page's Stop; whether there were any within `SILENT`."""
    parts = urlsplit(url())
    question = {"model": "tinystory", "prompt": "go", "options": {"num_predict": 400, "num_thread": 1}}
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=SILENT)
    try:
        connection.request("POST", "/api/ollama", json.dumps(question), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        if answer.status == 503:  # others that were stopped hold the places for a moment
            time.sleep(1)
            return True
        return all(answer.readline() for _ in range(words))
    except TimeoutError:
        return False
    finally:
        connection.close()


def get_stuck() -> None:
    """Stop one answer after the other, until nobody is answered any more."""
    begun = time.monotonic()
    for stops in range(STOPS):
        if not stopped(2 + stops % 5):
            print(f"\nstuck after {stops} stops, {time.monotonic() - begun - SILENT:.0f} s")
            return
    raise AssertionError(f"it answers still, after {STOPS} stopped answers")


def test_it_is_healed_without_a_deploy_and_the_doctor_says_so() -> None:
    get_stuck()
    begun = time.monotonic()
    # Its own question is what waits, and what the restart drops.
    told = doctor("--model", "tinystory", "--patience", str(SEEN))
    print(f"\nthe doctor was answered after {time.monotonic() - begun:.0f} s: {told}")
    assert told.code == 0
    assert "model-server-restarted" in told.findings
    assert ask(5).whole
    log = on_guest("sudo docker logs hearth-ollama 2>&1 | grep ^hearth:")
    assert re.fullmatch(r"hearth: stuck: \d+ question\(s\) wait, .* for \d+ s; restarted \(ollama#17131\)", log), log
    assert on_guest(INSPECT % ".RestartCount") == "1"
    wait_until(lambda: on_guest(INSPECT % ".State.Health.Status") == "healthy", 120, "it is healthy")
    done = drift()
    assert done.returncode == 0, done.stdout


@pytest.mark.long
def test_with_the_healing_off_drift_and_doctor_say_it_and_a_deploy_repairs_it() -> None:
    off = "ollama_heal_stuck=False"
    deployed_with(off)
    get_stuck()
    waiting = threading.Thread(target=ask, args=(5, 1200), daemon=True)
    waiting.start()
    begun = time.monotonic()
    wait_until(lambda: on_guest(INSPECT % ".State.Health.Status") == "unhealthy", SEEN, "the health check says so")
    print(f"\nunhealthy after {time.monotonic() - begun:.0f} s")
    assert on_guest(INSPECT % ".RestartCount") == "0"
    done = drift("--json", "--data", off)
    assert done.returncode == 1
    ((_, verdict),) = json.loads(done.stdout).items()
    assert verdict["state"] == "differs"
    (reason,) = verdict["reasons"]
    sentence = (
        r'hearth-ollama is unhealthy \("stuck: \d+ question\(s\) wait, .*; ollama_heal_stuck is off"\); it is recreated'
    )
    assert re.fullmatch(sentence, reason), reason
    told = doctor("--model", "tinystory", "--patience", str(SILENT))
    assert told.code == 1
    assert "model-server-stuck" in told.of_the_host()
    assert told.findings["model-server-stuck"]["seen"].startswith('the health check of hearth-ollama says "stuck: ')
    assert not {"model-does-not-answer", "first-token-never", "container-wrong"} & set(told.findings), told
    repair = deploy(off)
    assert (repair.code, repair.changed) == (0, ("Stack | Bring the containers up",)), repair.output
    assert re.search(sentence, repair.output), repair.output
    assert "An answer is running: waiting" not in repair.output, "it would never end"
    assert ask(5).whole
    quiet = deploy(off)
    assert (quiet.code, quiet.changed) == (0, ()), quiet.output
    print(f"\nrepaired in {repair.seconds:.1f} s")


@pytest.mark.long
def test_from_outside_the_doctor_names_both_that_it_can_be_and_the_cure() -> None:
    deployed_with("ollama_heal_stuck=False")
    get_stuck()
    told = doctor("--model", "tinystory", "--patience", str(SILENT), "--inventory", "nowhere.py")
    assert told.code == 1
    finding = told.findings["model-does-not-answer"]
    assert "that it is in memory" in finding["seen"]
    assert "docker restart hearth-ollama" in finding["cure"]

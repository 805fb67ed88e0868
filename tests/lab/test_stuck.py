"""An Ollama that takes questions and answers none (ollama#17131): healed without a deploy, or repaired by one."""

from __future__ import annotations

import http.client
import json
import re
import time
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from hearth.runtime.shell import quote
from tests.browser.conftest import OpenChat
from tests.lab.machine import deploy, deployed_with, on_guest, url, wait_until
from tests.lab.test_doctor_inside import doctor
from tests.lab.test_drift_command import drift
from tests.lab.test_page_errors import RESTARTED, said

pytestmark = [pytest.mark.scenario, pytest.mark.usefixtures("deployed")]

MODEL = "tinystory"  # it never ends by itself
STOPS = 50
SILENT = 20  # s without a word; an answer that comes has its first one after a second, under emulation five
# What the page says meanwhile.
BUSY = "The model server answers; the model may be busy with other questions"
STUCK = (
    "Nothing for two minutes. If the model server is stuck, Hearth restarts it about now, unless “ollama_heal_stuck” "
    "is off; this page then says so. If nothing comes after three minutes, deploy again. You can also stop, and ask a "
    "smaller model."
)
# 90 s without work, and the three checks in a row that Docker wants to see, 30 s apart; then the restart.
SEEN = 240
INSPECT = "sudo docker inspect --format '{{%s}}' hearth-ollama"
ADDRESS = INSPECT % '(index .NetworkSettings.Networks "hearth-back").IPAddress'
# Ollama's handler has to be busy with a piece of the answer when the client leaves. A client that reads nothing makes
# it wait as soon as the kernel's buffers are full, for which twenty probabilities make long lines of the words. It
# closes its sending half first: an Ollama that learns of it by a reset connection may get away. In the guest, past
# httpd and the virtual network, which have buffers of their own; in Perl, since the guest has no Python.
LONG_LINES = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "go"}],
    "options": {"num_predict": 30000},
    "logprobs": True,
    "top_logprobs": 20,
}
LEAVE_IN_MID_WORD = r"""
use Socket;
my ($address, $seconds, $body) = @ARGV;
socket(my $client, PF_INET, SOCK_STREAM, 0) or die $!;
setsockopt($client, SOL_SOCKET, SO_RCVBUF, 2048) or die $!;
connect($client, sockaddr_in(11434, inet_aton($address))) or die $!;
my $head = "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json";
syswrite($client, "$head\r\nContent-Length: " . length($body) . "\r\n\r\n$body") or die $!;
sysread($client, my $answer, 1000) or die "no answer";
sleep $seconds;
shutdown($client, 1);
select(undef, undef, undef, 0.5);
"""


def lines(count: int, words: int, timeout: float) -> bool:
    """Read so many lines of an answer of so many words, and leave; whether there were any within so many seconds.

    With the page's options: for a client that has others, `num_thread`, say, Ollama loads the model anew, and that ends
    the fault.
    """
    parts = urlsplit(url())
    message = {"role": "user", "content": "go"}
    question = {"model": MODEL, "messages": [message], "options": {"num_predict": words}}
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request("POST", "/api/chat", json.dumps(question), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 200, (answer.status, answer.read())
        return all(answer.readline() for _ in range(count))
    except TimeoutError:
        return False
    finally:
        connection.close()


def not_answered(count: int) -> bool:
    """Whether nothing came; where those that left hold all places for a moment, it is asked again."""
    for _ in range(10):
        with suppress(AssertionError):
            return not lines(count, 400, SILENT)
        time.sleep(1)
    raise AssertionError("no place became free")


def get_stuck(stops: int = 0) -> None:
    """Make Ollama stuck: by so many answers that are stopped, as with the page's Stop, or else for certain.

    A stopped answer does it only if a word is on its way in just that moment (decision 0041).
    """
    begun = time.monotonic()
    for stop in range(stops):
        if not_answered(2 + stop % 5):
            print(f"\nstuck by {stop} stopped answers through httpd, {time.monotonic() - begun - SILENT:.0f} s")
            return
    address = on_guest(ADDRESS)
    for seconds in (10, 20, 40):
        on_guest(quote("perl", "-e", LEAVE_IN_MID_WORD, address, str(seconds), json.dumps(LONG_LINES)))
        if not_answered(1):
            took = time.monotonic() - begun - SILENT
            print(f"\nstuck by a client that did not read, after {stops} stopped answers through httpd, {took:.0f} s")
            return
    raise AssertionError("it answers still")


def test_stuck_ollama_is_restarted_without_a_deploy() -> None:
    get_stuck(STOPS)
    begun = time.monotonic()
    # Its own question is what waits, and what the restart drops.
    told = doctor("--model", MODEL, "--patience", str(SEEN))
    print(f"\nthe doctor was answered after {time.monotonic() - begun:.0f} s: {told}")
    assert told.code == 0
    assert "model-server-restarted" in told.findings
    assert lines(3, 5, 120)
    log = on_guest("sudo docker logs hearth-ollama 2>&1 | grep ^hearth:")
    assert re.fullmatch(r"hearth: stuck: \d+ question\(s\) wait, .* for \d+ s; restarted \(ollama#17131\)", log), log
    assert on_guest(INSPECT % ".RestartCount") == "1"
    wait_until(lambda: on_guest(INSPECT % ".State.Health.Status") == "healthy", 120, "it is healthy")
    done = drift()
    assert done.returncode == 0, done.stdout


@pytest.mark.long
def test_stuck_ollama_without_self_healing_is_reported_and_repaired(open_chat: OpenChat) -> None:
    off = "ollama_heal_stuck=false"
    deployed_with(off)
    get_stuck()
    chat = open_chat(url())
    chat.pick(MODEL)
    chat.ask("Is anybody there?")
    begun = time.monotonic()
    expect(chat.status).to_contain_text(BUSY, timeout=60_000)
    wait_until(lambda: on_guest(INSPECT % ".State.Health.Status") == "unhealthy", SEEN, "the health check says so")
    print(f"\nunhealthy after {time.monotonic() - begun:.0f} s")
    assert on_guest(INSPECT % ".RestartCount") == "0"
    expect(chat.status).to_contain_text(STUCK, timeout=120_000)
    print(f"the page says it after {time.monotonic() - begun:.0f} s")
    assert chat.watched("announced")[-1] == STUCK
    done = drift("--json", "--data", off)
    assert done.returncode == 1
    ((_, verdict),) = json.loads(done.stdout).items()
    assert verdict["state"] == "differs"
    (reason,) = verdict["reasons"]
    sentence = (
        r'hearth-ollama is unhealthy \("stuck: \d+ question\(s\) wait, .*; ollama_heal_stuck is off"\); it is recreated'
    )
    assert re.fullmatch(sentence, reason), reason
    told = doctor("--model", MODEL, "--patience", str(SILENT))
    assert told.code == 1
    assert "model-server-stuck" in told.of_the_host()
    assert told.findings["model-server-stuck"]["seen"].startswith('the health check of hearth-ollama says "stuck: ')
    assert not {"model-does-not-answer", "first-token-never", "container-wrong"} & set(told.findings), told
    repair = deploy(off)
    assert (repair.code, repair.changed) == (0, ("Stack | Bring the containers up",)), repair.output
    assert re.search(sentence, repair.output), repair.output
    assert "An answer is running: waiting" not in repair.output, "it would never end"
    assert said(chat) == RESTARTED
    chat.press("Ask again")
    chat.wait_for_words(3)
    chat.press("Stop")
    quiet = deploy(off)
    assert (quiet.code, quiet.changed) == (0, ()), quiet.output
    print(f"\nrepaired in {repair.seconds:.1f} s")


@pytest.mark.long
def test_doctor_from_outside_names_both_possible_causes() -> None:
    deployed_with("ollama_heal_stuck=false")
    get_stuck()
    told = doctor("--model", MODEL, "--patience", str(SILENT), "--inventory", "nowhere.py")
    assert told.code == 1
    finding = told.findings["model-does-not-answer"]
    assert "that it is in memory" in finding["seen"]
    assert "docker restart hearth-ollama" in finding["cure"]

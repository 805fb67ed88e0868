"""An Ollama that accepts prompts and answers none (ollama#17131): restarted without a deploy, or repaired by one."""

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
from tests.lab.test_page_errors import RESTARTED, error_message

pytestmark = [pytest.mark.scenario, pytest.mark.usefixtures("deployed")]

MODEL = "tinystory"  # it never ends by itself
STOPS = 50
SILENT = 20  # s without a token; a working Ollama sends the first one after one second, under emulation after five
# The page's messages meanwhile.
BUSY = "The model server responds; the model may be busy with other prompts"
STUCK = (
    "No output for two minutes. If the model server is stuck, Hearth restarts it about now and this page reports that, "
    "unless “ollama_heal_stuck” is off. If there is still no output after three minutes, deploy again. You can also "
    "stop and try a smaller model."
)
# 90 s without work and three consecutive failed checks, 30 s apart; then the restart.
DETECTED = 240
INSPECT = "sudo docker inspect --format '{{%s}}' hearth-ollama"
ADDRESS = INSPECT % '(index .NetworkSettings.Networks "hearth-back").IPAddress'
# Ollama's handler must be busy with a part of the response when the client disconnects. A client that reads nothing
# blocks it as soon as the kernel's buffers are full; twenty probabilities per token make long lines for that. It closes
# its sending half first: a reset connection may not trigger the fault. Inside the guest, since httpd and the virtual
# network have additional buffers; in Perl, since the guest has no Python.
LONG_LINES = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "go"}],
    "options": {"num_predict": 30000},
    "logprobs": True,
    "top_logprobs": 20,
}
DISCONNECT_MID_TOKEN = r"""
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
    """Read `count` lines of a response of `words` tokens, and disconnect; whether they arrived in `timeout` seconds.

    Uses the page's options: with others, such as `num_thread`, Ollama reloads the model, which ends the fault.
    """
    parts = urlsplit(url())
    message = {"role": "user", "content": "go"}
    body = {"model": MODEL, "messages": [message], "options": {"num_predict": words}}
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request("POST", "/api/chat", json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 200, (answer.status, answer.read())
        return all(answer.readline() for _ in range(count))
    except TimeoutError:
        return False
    finally:
        connection.close()


def not_answered(count: int) -> bool:
    """Whether there is no response; repeated while disconnected clients still occupy all slots."""
    for _ in range(10):
        with suppress(AssertionError):
            return not lines(count, 400, SILENT)
        time.sleep(1)
    raise AssertionError("no slot was freed")


def get_stuck(stops: int = 0) -> None:
    """Make Ollama stuck: with up to `stops` stopped responses, as with the page's Stop, else reliably.

    A stopped response only does it if a token is being sent at that moment (decision 0025).
    """
    begun = time.monotonic()
    for stop in range(stops):
        if not_answered(2 + stop % 5):
            print(f"\nstuck after {stop} stopped responses through httpd, {time.monotonic() - begun - SILENT:.0f} s")
            return
    address = on_guest(ADDRESS)
    for seconds in (10, 20, 40):
        on_guest(quote("perl", "-e", DISCONNECT_MID_TOKEN, address, str(seconds), json.dumps(LONG_LINES)))
        if not_answered(1):
            duration = time.monotonic() - begun - SILENT
            print(f"\nstuck by a client that did not read, after {stops} stopped responses by httpd, {duration:.0f} s")
            return
    raise AssertionError("it still responds")


def test_stuck_ollama_is_restarted_without_a_deploy() -> None:
    get_stuck(STOPS)
    begun = time.monotonic()
    # The doctor's own prompt waits, and is dropped by the restart.
    report = doctor("--model", MODEL, "--patience", str(DETECTED))
    print(f"\nthe doctor got a response after {time.monotonic() - begun:.0f} s: {report}")
    assert report.code == 0
    assert "model-server-restarted" in report.findings
    assert lines(3, 5, 120)
    log = on_guest("sudo docker logs hearth-ollama 2>&1 | grep ^hearth:")
    assert re.fullmatch(r"hearth: stuck: \d+ request\(s\) waiting, .* for \d+ s; restarted \(ollama#17131\)", log), log
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
    chat.send("Is anybody there?")
    begun = time.monotonic()
    expect(chat.status).to_contain_text(BUSY, timeout=60_000)
    wait_until(lambda: on_guest(INSPECT % ".State.Health.Status") == "unhealthy", DETECTED, "the health check fails")
    print(f"\nunhealthy after {time.monotonic() - begun:.0f} s")
    assert on_guest(INSPECT % ".RestartCount") == "0"
    expect(chat.status).to_contain_text(STUCK, timeout=120_000)
    print(f"the page reports it after {time.monotonic() - begun:.0f} s")
    assert chat.recorded("announced")[-1] == STUCK
    done = drift("--json", "--data", off)
    assert done.returncode == 1
    ((_, verdict),) = json.loads(done.stdout).items()
    assert verdict["state"] == "differs"
    (reason,) = verdict["reasons"]
    sentence = (
        r'hearth-ollama is unhealthy \("stuck: \d+ request\(s\) waiting, .*; ollama_heal_stuck is off"\); recreating it'
    )
    assert re.fullmatch(sentence, reason), reason
    report = doctor("--model", MODEL, "--patience", str(SILENT))
    assert report.code == 1
    assert "model-server-stuck" in report.of_the_host()
    assert report.findings["model-server-stuck"]["seen"].startswith(
        'the health check of hearth-ollama reports "stuck: '
    )
    assert not {"model-does-not-answer", "first-token-never", "container-wrong"} & set(report.findings), report
    repair = deploy(off)
    assert (repair.code, repair.changed) == (0, ("Stack | Start the containers",)), repair.output
    assert re.search(sentence, repair.output), repair.output
    assert "A response is in flight: waiting" not in repair.output, "waiting would never end"
    assert error_message(chat) == RESTARTED
    chat.press("Retry")
    chat.wait_for_words(3)
    chat.press("Stop")
    quiet = deploy(off)
    assert (quiet.code, quiet.changed) == (0, ()), quiet.output
    print(f"\nrepaired in {repair.seconds:.1f} s")


@pytest.mark.long
def test_doctor_from_outside_names_both_possible_causes() -> None:
    deployed_with("ollama_heal_stuck=false")
    get_stuck()
    report = doctor("--model", MODEL, "--patience", str(SILENT), "--inventory", "nowhere.py")
    assert report.code == 1
    finding = report.findings["model-does-not-answer"]
    assert "that it is in memory" in finding["seen"]
    assert "docker restart hearth-ollama" in finding["cure"]

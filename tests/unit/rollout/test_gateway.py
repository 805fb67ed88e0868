"""How a gateway reads the state of its backends, and its marks."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hearth.rollout.gateway import (
    drain_script,
    drained_backends,
    take_back_script,
    try_and_take_back_script,
    try_script,
)
from hearth.settings.model import Settings

A, B, C = "http://192.168.1.20:11434", "http://ollama:11434", "http://192.168.1.30:11434"


def status(*balancers: list[tuple[str, str]]) -> str:
    """What the real httpd 2.4.68 prints: balancer → (URL, status) of each backend."""
    lines = ["HTTP/1.1 200 OK", "Content-Type: text/plain; charset=ISO-8859-1", "", "BusyWorkers: 1"]
    for number, members in enumerate(balancers):
        lines.append(f"ProxyBalancer[{number}]Name: balancer://pool{number}")
        for place, (url, state) in enumerate(members):
            worker = f"ProxyBalancer[{number}]Worker[{place}]"
            lines += [
                f"{worker}Name: {url}",
                f"{worker}Status: Init {state}",
                f"{worker}Elected: 3",
                f"{worker}Busy: 0",
            ]
    return "\n".join(lines)


def holds(settings: Settings, shown: str, condition: str) -> bool:
    """Whether a function of the script is true, with this answer of httpd."""
    text = drain_script(settings, "a", A).partition("\n")[2].partition("\nmain() {")[0]
    script = f"{text}\nhttp() {{ cat <<'SHOWN'\n{shown}\nSHOWN\n}}\n{condition}"
    done = subprocess.run(["bash"], input=script, capture_output=True, text=True, timeout=20, check=False)
    assert not done.stderr, done.stderr
    return done.returncode == 0


@pytest.mark.parametrize(
    ("shown", "others", "drained", "used"),
    [
        (status([(A, "Ok "), (B, "Ok ")]), True, False, True),
        (status([(A, "Drn Ok "), (B, "Ok ")]), True, True, False),
        # The other one is off, in error, or drained.
        (status([(A, "Ok "), (B, "HcFl ")]), False, False, True),
        (status([(A, "Ok "), (B, "Ign Drn Ok ")]), False, False, True),
        # Back, and its health check has not noticed yet in one of two balancers.
        (status([(A, "Ok "), (B, "Ok ")], [(A, "HcFl "), (B, "Ok ")]), True, False, False),
        # Alone in one pool, and not in the other: only the other one has the mark.
        (status([(A, "Ok "), (B, "Ok ")], [(A, "Ok ")]), True, False, True),
        (status([(A, "Ok ")]), False, False, True),
        (status([(B, "Ok "), (C, "Ok ")]), False, False, False),
    ],
)
def test_the_state_of_a_backend(settings: Settings, shown: str, others: bool, drained: bool, used: bool) -> None:
    assert holds(settings, shown, f"has_others {A}") is others
    assert holds(settings, shown, f"is_drained {A}") is drained
    assert holds(settings, shown, f"is_used {A}") is used


def test_marks_are_definitions_for_httpd() -> None:
    assert drained_backends([]) == ()
    assert drained_backends(["Define DRAIN_192.168.1.20 +N", "Define DRAIN_pc +N"]) == (
        "192.168.1.20",
        "pc",
    )


def test_the_scripts_are_bash(settings: Settings) -> None:
    for script in (
        drain_script(settings, "a", A),
        try_script(settings, "a", A, ["tinyllama"]),
        take_back_script(settings, "a", A),
        try_and_take_back_script(settings, "a", A, ["tinyllama"], must_answer=True),
    ):
        inner = script.partition("\n")[2].rpartition("\n")[0]
        done = subprocess.run(["bash", "-n"], input=inner, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


NEW = "http://192.168.1.20:11435"
OK = "HTTP/1.1 200 OK"
GENERATED = f'{OK}\n\n{{"response":"Hello","done":true}}'
CHATS = f'{OK}\n\n{{"capabilities":["completion"]}}'


@dataclass
class Gateway:
    """A gateway whose httpd is a stand-in.

    Attributes:
        entries: name → URL in its httpd.conf.
        marked: the backends that are left out.
        runs: whether httpd does.
        answers: path below /hearth-backends → response; 503 for all others.
        used: a backend is in use as soon as it has no mark.
        refuses: its httpd does not read httpd.conf, and so no marks.
        processes: of its httpd, of which all but one finish responses.
    """

    settings: Settings
    root: Path
    entries: dict[str, str]
    marked: list[str] = field(default_factory=list)
    runs: bool = True
    answers: dict[str, str] = field(default_factory=dict)
    used: bool = True
    refuses: bool = False
    processes: int = 1

    def run(self, script: str) -> tuple[int, str]:
        """Run a script: the exit code, and all output."""
        (self.root / "httpd").mkdir(exist_ok=True)
        marks = self.root / "drained.conf"
        marks.write_text("".join(f"Define DRAIN_{name} +N\n" for name in self.marked))
        lines = [
            f'ProxyPassMatch "^/hearth-backends/{name}/(api/(?:generate|embed|show|tags))$" "{url}/$1" timeout=600'
            for name, url in self.entries.items()
        ]
        (self.root / "httpd" / "httpd.conf").write_text("\n".join(["ServerLimit 16", *lines]) + "\n")
        # A backend is drained while there are marks, since these tests have no other one with a mark.
        free = "Ok " if self.used else "HcFl "
        shown = [f"Processes: {self.processes}"] + [
            f"ProxyBalancer[0]Worker[{place}]Name: {url}\nProxyBalancer[0]Worker[{place}]Status: Init {{{name}}}"
            for place, (name, url) in enumerate(self.entries.items())
        ]
        for name in self.entries:
            shown = [line.replace(f"{{{name}}}", f"$(state {name})") for line in shown]
        cases = [f"*'/{path}') cat <<'SHOWN'\n{answer}\nSHOWN\n;;" for path, answer in self.answers.items()]
        status_text = "\n".join(shown)
        stand_ins = f"""
root={self.root} marks={marks} patience=1 pending={self.root}/.reload-httpd
docker() {{
  {"" if self.runs else "return 1"}
  case "$*" in *'-k graceful') {"return 1" if self.refuses else "return 0"} ;; esac
}}
state() {{ {"false" if self.refuses else 'is_marked "$1"'} && echo 'Drn Ok ' || echo '{free}'; }}
http() {{
  case $3 in
  *'?auto') cat <<SHOWN
{status_text}
SHOWN
;;
  {chr(10).join(cases)}
  *) echo 'HTTP/1.1 503 Service Unavailable' ;;
  esac
}}
"""
        before, _, after = script.partition("\n")[2].rpartition("\nHEARTH")[0].partition("\nmain() {")
        done = subprocess.run(
            ["bash"],
            input=f"{before}\n{stand_ins}\nmain() {{{after}",
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        self.marked = list(drained_backends(marks.read_text().splitlines() if marks.exists() else []))
        return done.returncode, done.stdout + done.stderr

    def drain(self, name: str, url: str) -> tuple[int, str]:
        return self.run(drain_script(self.settings, name, url))

    def try_backend(self, name: str, url: str, *models: str) -> tuple[int, str]:
        return self.run(try_script(self.settings, name, url, models))

    def take_back(self, name: str, url: str) -> tuple[int, str]:
        return self.run(take_back_script(self.settings, name, url))


@pytest.fixture
def gateway(settings: Settings, tmp_path: Path) -> Gateway:
    return Gateway(settings, tmp_path, {"a": A, "b": B})


def test_a_backend_with_another_url_is_drained_and_waits_for_the_gateways_own_turn(gateway: Gateway) -> None:
    code, output = gateway.drain("a", NEW)
    assert (code, gateway.marked) == (0, ["a"]), output
    # Its earlier port does not answer any more.
    code, output = gateway.try_backend("a", NEW, "tinyllama")
    assert code == 0
    assert f"still has {A} for a" in output
    code, output = gateway.take_back("a", NEW)
    assert (code, gateway.marked) == (0, ["a"])
    assert f"still has {A} for a; it uses {NEW} after its own turn" in output
    gateway.entries["a"] = NEW
    gateway.answers = {"a/api/show": CHATS, "a/api/generate": GENERATED}
    code, output = gateway.run(try_and_take_back_script(gateway.settings, "a", NEW, ["tinyllama"], must_answer=False))
    assert (code, gateway.marked) == (0, []), output
    assert "A test prompt was answered by a through this gateway." in output


def test_a_backend_that_returned_to_its_earlier_url_is_used_again(gateway: Gateway) -> None:
    gateway.marked = ["a"]
    gateway.answers = {"a/api/tags": OK}
    assert gateway.take_back("a", NEW)[0] == 0
    assert gateway.marked == []


def test_clients_do_not_get_the_400_of_a_port_that_now_has_tls(gateway: Gateway) -> None:
    gateway.marked = ["a"]
    gateway.answers = {"a/api/tags": "HTTP/1.1 400 Bad Request"}
    assert gateway.take_back("a", "https://192.168.1.20.backend.internal:11434")[0] == 0
    assert gateway.marked == ["a"]


def test_a_backend_with_another_name_is_drained_and_used_again_under_the_earlier_one(gateway: Gateway) -> None:
    code, output = gateway.drain("renamed", A)
    assert (code, gateway.marked) == (0, ["a"]), output
    gateway.answers = {"a/api/show": CHATS, "a/api/generate": GENERATED}
    code, output = gateway.try_backend("renamed", A, "tinyllama")
    assert "A test prompt was answered by renamed" in output
    assert gateway.take_back("renamed", A)[0] == 0
    assert gateway.marked == []


def test_a_new_backend_is_not_drained(gateway: Gateway) -> None:
    code, output = gateway.drain("c", C)
    assert (code, gateway.marked) == (0, [])
    assert "does not use c yet" in output


def test_the_mark_of_a_backend_that_is_not_listed_any_more_is_removed(gateway: Gateway) -> None:
    gateway.marked = ["gone"]
    script = try_and_take_back_script(gateway.settings, "gone", "", [], must_answer=False)
    assert gateway.run(script)[0] == 0
    assert gateway.marked == []


@pytest.mark.parametrize("models", [["tinyllama"], []])
def test_a_dead_backend_fails_its_own_turn_and_not_its_gateways(gateway: Gateway, models: list[str]) -> None:
    for must_answer in (True, False):
        gateway.marked = ["a"]
        script = try_and_take_back_script(gateway.settings, "a", A, models, must_answer=must_answer)
        code, output = gateway.run(script)
        assert (code, gateway.marked) == (int(must_answer), ["a"])
        assert "The next deploy to a or to this gateway tries it once more." in output


def test_a_model_that_is_not_there_says_nothing_about_the_backend(gateway: Gateway) -> None:
    missing = "HTTP/1.1 404 Not Found"
    gateway.answers = {"a/api/show": missing, "a/api/generate": missing, "a/api/tags": OK}
    assert gateway.try_backend("a", A, "missing") == (0, "")


@pytest.mark.parametrize("state", ["drain", "take_back"])
def test_a_gateway_whose_httpd_is_stopped_fails_no_backend(gateway: Gateway, state: str) -> None:
    gateway.runs = False
    if state == "drain":
        code, output = gateway.drain("a", A)
        assert "httpd does not run on this gateway" in output
    else:
        gateway.marked = ["a"]
        code, output = gateway.take_back("a", A)
    assert (code, gateway.marked) == (0, []), output


def test_without_a_mark_nothing_claims_that_the_next_deploy_tries_again(gateway: Gateway) -> None:
    gateway.marked, gateway.used = ["a"], False
    code, output = gateway.take_back("a", A)
    assert (code, gateway.marked) == (1, [])
    assert "a is not drained any more; httpd sends it requests as soon as it passes its health checks." in output
    assert "tries it once more" not in output


def test_a_gateway_with_many_earlier_processes_is_not_reloaded(gateway: Gateway) -> None:
    """A further one would get no slot, and clients no answers."""
    gateway.processes = 14
    assert (gateway.drain("a", A)[0], gateway.marked) == (0, ["a"])
    gateway.processes, gateway.marked = 15, []
    code, output = gateway.drain("a", A)
    assert (code, gateway.marked) == (1, [])
    assert "waiting up to 1 s for some of them" in output
    assert "Deploy again once they have finished." in output
    gateway.marked = ["a"]
    assert (gateway.take_back("a", A)[0], gateway.marked) == (1, ["a"])


def test_an_httpd_that_is_about_to_be_replaced_need_not_read_the_marks(gateway: Gateway) -> None:
    """A deploy has written an httpd.conf for the next container, with certificates that this one does not have."""
    gateway.refuses = True
    assert gateway.drain("a", A)[0] == 1, "somebody has broken httpd.conf"
    gateway.marked = []
    (gateway.root / ".reload-httpd").touch()
    code, output = gateway.drain("a", A)
    assert (code, gateway.marked) == (0, ["a"]), output
    assert "Until then, this gateway goes on sending requests to a." in output
    assert "sends no new requests" not in output
    code, output = gateway.take_back("a", A)
    assert (code, gateway.marked) == (0, []), output

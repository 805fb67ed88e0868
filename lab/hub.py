"""Where images and models come from: Docker Hub and Ollama's library where they answer, else what the lab builds.

Nothing but Python's own library is imported: the choice comes before anything is installed.
"""

from __future__ import annotations

import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

HUB, BUILT = "hub", "built"
AUTO = "auto"
MODES = (HUB, BUILT)
PATIENCE = 5.0  # seconds for all questions together
KVM = Path("/dev/kvm")

# Some services refuse the name of Python's own client.
_HEADERS = {"User-Agent": "hearth-lab", "Accept": "application/vnd.docker.distribution.manifest.v2+json, */*"}


@dataclass(frozen=True)
class Question:
    """A GET request that shows whether a service can be used.

    Attributes:
        url: what is asked.
        status: that of the right answer.
        fits: whether body and headers are the service's; a captive portal answers as well.
    """

    url: str
    status: int
    fits: Callable[[bytes, Mapping[str, str]], bool]


def _challenges(_: bytes, headers: Mapping[str, str]) -> bool:
    return "auth.docker.io/token" in headers.get("www-authenticate", "")


def _object_with(key: str) -> Callable[[bytes, Mapping[str, str]], bool]:
    def fits(body: bytes, _: Mapping[str, str]) -> bool:
        try:
            return key in json.loads(body)
        except ValueError:
            return False

    return fits


# The requests with which a pull of the official images, and of the lab's model, begins.
QUESTIONS = {
    "registry-1.docker.io": Question("https://registry-1.docker.io/v2/", 401, _challenges),
    "auth.docker.io": Question(
        "https://auth.docker.io/token?service=registry.docker.io&scope=repository:library/httpd:pull",
        200,
        _object_with("token"),
    ),
    "registry.ollama.ai": Question(
        "https://registry.ollama.ai/v2/library/smollm2/manifests/135m", 200, _object_with("layers")
    ),
}


@dataclass(frozen=True)
class Choice:
    """A mode, and a sentence that says why."""

    mode: str
    why: str


def choose(
    asked: str = AUTO,
    look: Callable[[], dict[str, str]] | None = None,
    kvm: Callable[[], bool] = lambda: os.access(KVM, os.R_OK | os.W_OK),
) -> Choice:
    """The mode that was asked for, or with "auto" the one that fits this machine.

    Args:
        asked: "auto" or one of MODES.
        look: as `problems`, for tests.
        kvm: whether this machine offers KVM.
    """
    if asked != AUTO:
        return Choice(asked, "as asked for")
    wrong = (look or problems)()
    if wrong:
        names = {what: [name for name in wrong if wrong[name] == what] for what in wrong.values()}
        return Choice(BUILT, "; ".join(f"{', '.join(of)}: {what}" for what, of in names.items()))
    if not kvm():
        return Choice(
            BUILT, f"Docker Hub answers, but {KVM} can't be used, and an emulated guest unpacks images slowly"
        )
    return Choice(HUB, "Docker Hub and Ollama's library answer")


def problems(questions: Mapping[str, Question] | None = None, patience: float = PATIENCE) -> dict[str, str]:
    """Which services don't answer and why, by name, after at most `patience` seconds; empty when all do.

    Asked directly, without this machine's HTTP proxy: the guest has none.
    """
    questions = QUESTIONS if questions is None else questions
    found = dict.fromkeys(questions, f"no answer within {patience:.0f} s")

    def ask(name: str) -> None:
        found[name] = _problem(questions[name], patience)

    # Daemons, since a name look-up has no deadline of its own and must not keep the program from ending.
    threads = [threading.Thread(target=ask, args=[name], daemon=True) for name in questions]
    until = time.monotonic() + patience
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return {name: what for name, what in list(found.items()) if what}


def _problem(question: Question, patience: float) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(question.url, headers=_HEADERS), timeout=patience) as answer:
            status, headers, body = answer.status, answer.headers, answer.read(1 << 20)
    except urllib.error.HTTPError as error:
        status, headers, body = error.code, error.headers, b""
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return str(getattr(reason, "strerror", "") or reason) or type(error).__name__
    if status != question.status:
        return f"answered {status}"
    seen = {name.lower(): value for name, value in headers.items()}
    return "" if question.fits(body, seen) else "somebody else answered in its place"

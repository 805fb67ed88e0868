"""How a run ended on a host, in words: what serves and what was changed, or what failed and what to do. Pure rules."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hearth.runtime.text import join_words
from hearth.settings.model import Settings

Result = Literal["changed", "same", "failed", "not done"]
# How far the host came: connecting, looking at it before anything is changed, and changing it.
Stage = Literal["connect", "prepare", "execute"]

# pyinfra puts the name of a fact of ours before the sentence that the fact ended with.
_PYINFRAS_OWN = re.compile(r"^Fact precondition not satisfied \(\w+\): ")
# What a host is like after an operation failed, by the beginning of its name.
_STATES = (
    ("Docker", "Hearth's containers were not touched, and what ran goes on"),
    ("Firewall", "what serves was not touched; the firewall's rules may be in place in part"),
    ("Stack | Pull the images", "what served before serves on; images and parts of them that arrived are kept"),
    ("Stack | Bring", "the release before was put back where there is one; what is above says whether that worked"),
    ("Stack", "what served before serves on; new files may be in place already and are not in force yet"),
    ("Models", "the page is there, and the models that the host has can be used; what arrived of the others is kept"),
    (
        "Access",
        "callers are let in as before; new passwords and keys may be there already and are not in force yet",
    ),
    ("Boot", "Hearth's containers were not touched, but for a restart of the host where there was one"),
    ("Rollback", "what is above says which release serves"),
    ("Backup", "the host was not changed"),
    ("Restore", "what was put back already stays"),
    ("Uninstall", "what was removed is gone, and the rest is as it was"),
    ("Release", "the release before was put back where there is one; what is above says whether that worked"),
)
_LONG = 400


@dataclass(frozen=True)
class Step:
    """An operation on a host, by its name, and what became of it. In a dry run, `changed` is what would be."""

    name: str
    result: Result


@dataclass(frozen=True)
class HostSummary:
    """What is known of a host when a run ends.

    Attributes:
        stage: how far it came.
        prepared: the deploy file was read to its end for this host.
        steps: operations in their order.
        reason: what was said by what failed; "" if nothing was.
        places: addresses of the page; none for runs that are not deploys.
        models: names to sizes as Ollama writes them ("1.3 GB"), "" where that is not known.
        versions: of what serves: `Ollama 0.17.4`.
    """

    name: str
    stage: Stage
    prepared: bool = True
    steps: Sequence[Step] = ()
    reason: str = ""
    places: Sequence[str] = ()
    models: Mapping[str, str] = field(default_factory=dict)
    versions: Sequence[str] = ()

    @property
    def failed(self) -> bool:
        return self.stage == "connect" or not self.prepared or any(step.result == "failed" for step in self.steps)


def format_summary(end: HostSummary, looked: bool) -> list[str]:
    """Lines about a host, without its name.

    Args:
        looked: nothing was to be changed, or nobody agreed to it.
    """
    if end.stage == "connect" and end.reason:
        told = f"there was no connection to it, and nothing was changed there: {end.reason}"
        return [f"{told} Then run the same command again"]
    if end.stage == "connect":
        return [
            "there was no connection to it, and nothing was changed there. Is it on, and do its address, user and key "
            "in the inventory agree with an `ssh` that works? Then run the same command again"
        ]
    if not end.prepared:
        return ["nothing was changed. Put right what is said above, then run the same command again"]
    changed = [step.name for step in end.steps if step.result == "changed"]
    failed = next((step.name for step in end.steps if step.result == "failed"), "")
    undone = [step.name for step in end.steps if step.result == "not done"]
    if not looked and (failed or undone):
        return _tell_failure(end, failed, changed, undone)
    lines = []
    if end.places:
        lines.append(f"the chat page: {join_words(end.places)}")
    if end.models:
        shown = [f"{name} ({size})" if size else name for name, size in end.models.items()]
        lines.append(f"models: {', '.join(shown)}")
    if end.versions:
        lines.append(f"versions: {', '.join(end.versions)}")
    lines.append(f"{'would be changed' if looked else 'changed'}: {', '.join(changed) or 'nothing'}")
    return lines


def _tell_failure(end: HostSummary, failed: str, changed: Sequence[str], undone: Sequence[str]) -> list[str]:
    reason = _PYINFRAS_OWN.sub("", end.reason)
    reason = reason if len(reason) <= _LONG else f"… {reason[-_LONG:]}"
    if failed:
        lines = [f"failed at “{failed}”" + (f": {reason}" if reason else "; what is above says why")]
    else:
        lines = [f"the run ended before “{undone[0]}”" + (f": {reason}" if reason else "")]
    state = next((text for begin, text in _STATES if (failed or undone[0]).startswith(begin)), "")
    done = f"done before it: {', '.join(changed) or 'nothing'}"
    lines.append(f"now: {done}" + (f"; {state}" if state else ""))
    lines.append("next: put right what it names, then run the same command again: it goes on from there")
    return lines


def page_addresses(settings: Settings, address: str, forwards: Mapping[str, Any]) -> list[str]:
    """Where the chat page is opened.

    Args:
        address: of the host.
        forwards: port on the host → port on this computer that leads there, for a host behind one (the lab).
    """
    tls = settings.proxy_tls != "off"
    port = settings.proxy_tls_port if tls else settings.proxy_port
    names = [*(settings.proxy_tls_names if tls else ()), *settings.proxy_host_names]
    if here := forwards.get(str(port)):
        address, port, names = "127.0.0.1", int(here), []
    elif not names or not tls:
        names.insert(0, address)  # a certificate has names; without one the address always works
    usual = 443 if tls else 80
    scheme = "https" if tls else "http"
    places = [f"[{name}]" if ":" in name else name for name in names or [address]]
    return [f"{scheme}://{place}{'' if port == usual else f':{port}'}/" for place in dict.fromkeys(places)]


def image_version(reference: str) -> str:
    """`0.17.4` of `ollama/ollama:0.17.4@sha256:…`; of a digest alone, its beginning."""
    name, _, digest = reference.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return tag or digest[: len("sha256:") + 12]


def format_duration(seconds: float) -> str:
    """`9.3 s`, `3 min 47 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"

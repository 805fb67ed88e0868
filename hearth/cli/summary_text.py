"""The text of a summary: what runs and what was changed, or what failed and how to fix it. Pure rules."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hearth.runtime.text import join_words
from hearth.settings.model import Settings

Result = Literal["changed", "same", "failed", "not done"]
# How far the run got on the host: connecting, inspecting it, changing it.
Stage = Literal["connect", "prepare", "execute"]

# pyinfra puts the name of the fact before the fact's own message.
_PYINFRA_PREFIX = re.compile(r"^Fact precondition not satisfied \(\w+\): ")
# The state of a host after a failed operation, by the start of the operation's name.
_STATES = (
    ("Bundle", "what was copied and loaded so far is kept; the previous release, if any, is still serving"),
    ("Network", "Hearth's containers were not replaced; the proxy and the CAs may be configured in part"),
    ("Docker", "Hearth's containers were not changed"),
    ("Local name", "Hearth's containers were not changed; the name may not be announced"),
    ("Virtual address", "the page and the models work; this host may not share the virtual address"),
    ("GPU", "Hearth's containers were not changed"),
    ("Use of the GPU", "the page and the models work, but the processor computes; see the output above"),
    ("Firewall | Restrict", "the containers were not touched; the firewall rules may be incomplete"),
    ("Firewall", "the page and the models work; the firewall may still have the rules from before"),
    ("Stack | Pull the images", "the previous release is still serving; images downloaded so far are kept"),
    ("Stack | Start", "Hearth rolled back to the previous release, if any; see the output above for the result"),
    ("Stack", "the previous release is still serving; new files may be on the host but are not active yet"),
    ("Models", "the page is up and the models on the host work; partial downloads of the others are kept"),
    ("Pools", "the page and the models work; a backend may still get no requests"),
    ("Metrics", "the page and the models work; the metrics may be missing"),
    (
        "Access",
        "access is unchanged; new credentials may be on the host but are not active yet",
    ),
    ("Boot", "Hearth's containers were not touched; the host may have been rebooted"),
    ("Rollback", "see the output above for the release that is running"),
    ("Backup", "the host was not changed"),
    ("Restore", "what was restored so far stays"),
    ("Uninstall", "what was removed so far is gone, the rest is unchanged"),
    ("Release", "Hearth rolled back to the previous release, if any; see the output above for the result"),
)
_LONG = 400


@dataclass(frozen=True)
class Step:
    """An operation on a host and its result. In a dry run, `changed` means that it would change something."""

    name: str
    result: Result


@dataclass(frozen=True)
class HostSummary:
    """What is known about a host when a run ends.

    Attributes:
        stage: how far the run got.
        prepared: the deploy file ran completely for this host.
        steps: operations in order.
        reason: the error message of the failure; "" if there was none.
        addresses: of the page; none for runs that are not deploys.
        models: name → size as Ollama prints it ("1.3 GB"), "" if unknown.
        versions: of the running stack: `Ollama 0.17.4`.
    """

    name: str
    stage: Stage
    prepared: bool = True
    steps: Sequence[Step] = ()
    reason: str = ""
    addresses: Sequence[str] = ()
    models: Mapping[str, str] = field(default_factory=dict)
    versions: Sequence[str] = ()

    @property
    def failed(self) -> bool:
        return self.stage == "connect" or not self.prepared or any(step.result == "failed" for step in self.steps)


def format_summary(summary: HostSummary, is_dry: bool) -> list[str]:
    """Lines about a host, without its name.

    Args:
        is_dry: a dry run, or the user declined.
    """
    if summary.stage == "connect" and summary.reason:
        message = f"could not connect, nothing was changed: {summary.reason}"
        return [f"{message} Then run the same command again"]
    if summary.stage == "connect":
        return [
            "could not connect, nothing was changed. Is the host on, and does `ssh` work with the address, user and "
            "key in the inventory? Then run the same command again"
        ]
    if not summary.prepared:
        return ["nothing was changed. Fix the problem above, then run the same command again"]
    changed = [step.name for step in summary.steps if step.result == "changed"]
    failed = next((step.name for step in summary.steps if step.result == "failed"), "")
    undone = [step.name for step in summary.steps if step.result == "not done"]
    if not is_dry and (failed or undone):
        return _format_failure(summary, failed, changed, undone)
    lines = []
    if summary.addresses:
        lines.append(f"the chat page: {join_words(summary.addresses)}")
    if summary.models:
        shown = [f"{name} ({size})" if size else name for name, size in summary.models.items()]
        lines.append(f"models: {', '.join(shown)}")
    if summary.versions:
        lines.append(f"versions: {', '.join(summary.versions)}")
    lines.append(f"{'would be changed' if is_dry else 'changed'}: {', '.join(changed) or 'nothing'}")
    return lines


def _format_failure(summary: HostSummary, failed: str, changed: Sequence[str], undone: Sequence[str]) -> list[str]:
    reason = _PYINFRA_PREFIX.sub("", summary.reason)
    reason = reason if len(reason) <= _LONG else f"… {reason[-_LONG:]}"
    if failed:
        lines = [f"failed at “{failed}”" + (f": {reason}" if reason else "; see the output above")]
    else:
        lines = [f"the run ended before “{undone[0]}”" + (f": {reason}" if reason else "")]
    state = next((text for prefix, text in _STATES if (failed or undone[0]).startswith(prefix)), "")
    done = f"completed: {', '.join(changed)}" if changed else "nothing completed"
    lines.append(f"state: {done}" + (f"; {state}" if state else ""))
    lines.append("next: fix the problem above and run the same command again; it resumes there")
    return lines


def page_addresses(settings: Settings, address: str, forwards: Mapping[str, Any], local_name: str = "") -> list[str]:
    """Addresses of the chat page.

    Args:
        address: of the host.
        forwards: port on the host → forwarded port on this computer (the lab).
        local_name: by which the host is announced on its network; "" for none.
    """
    tls = settings.proxy_tls != "off"
    port = settings.proxy_tls_port if tls else settings.proxy_port
    names = [*(settings.proxy_tls_names if tls else ()), *settings.proxy_host_names]
    if local_name and not tls:  # a certificate may not cover it
        names.append(local_name)
    if here := forwards.get(str(port)):
        address, port, names = "127.0.0.1", int(here), []
    elif not names or not tls:
        names.insert(0, address)  # a certificate is valid for names; plain HTTP works with the address
        if settings.host_virtual_address and not tls:
            names.insert(0, settings.host_virtual_address)
    usual = 443 if tls else 80
    scheme = "https" if tls else "http"
    hosts = [f"[{name}]" if ":" in name else name for name in names or [address]]
    return [f"{scheme}://{host}{'' if port == usual else f':{port}'}/" for host in dict.fromkeys(hosts)]


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

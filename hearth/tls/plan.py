"""What is to be done about a host's certificates, and why. Pure rules."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography import x509

from hearth.paths import ACME, ACME_STORE, TLS, TLS_LIVE
from hearth.runtime.text import join_words
from hearth.settings.model import Settings
from hearth.tls.certificate import WARN_DAYS, CertificateError, days_left, is_local, parse_chain, replacement_reason
from hearth.tls.facts import CertificatesState
from hearth.tls.local_files import TlsInputs

_RELOAD = "httpd reloads gracefully, nothing is cut"


@dataclass(frozen=True)
class Plan:
    """What to do.

    Attributes:
        put: files are to be put.
        issue: among them a certificate that the local authority is to sign.
        make: directories to make, or to set right.
        reasons: sentences about that.
        doubts: sentences about what a deploy can't put right.
        refusal: why nothing can be done, "" if it can.
    """

    put: bool = False
    issue: bool = False
    make: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    refusal: str = ""


def plan_certificates(settings: Settings, tls_inputs: TlsInputs, state: CertificatesState, now: datetime) -> Plan:
    """What a host needs, for the way to a certificate that its settings name."""
    needed = [TLS, TLS_LIVE] if settings.has_tls_files else []
    match settings.proxy_tls:
        case "files":
            plan = _own(settings, tls_inputs, state, now)
        case "local-ca":
            plan = _local(settings, tls_inputs, state, now)
        case _:
            needed += [ACME, ACME_STORE]
            plan = _acme(tls_inputs, state, now)
    make = tuple(path for path in needed if path not in state.directories)
    if not make or plan.refusal:
        return plan
    reasons = (
        plan.reasons if plan.put else (*plan.reasons, f"{join_words(make)}: not there, or open to others; put right")
    )
    return replace(plan, make=make, reasons=reasons)


def _own(settings: Settings, tls_inputs: TlsInputs, state: CertificatesState, now: datetime) -> Plan:
    name = settings.proxy_tls_certificate
    left = days_left(parse_chain(tls_inputs.pair, name)[0], now)
    doubts = (f"the certificate in {name} ends in {left} days; it needs a newer one",) if left < WARN_DAYS else ()
    here = state.digests.get("server.pem")
    if here == hashlib.sha256(tls_inputs.pair).hexdigest():
        return Plan(doubts=doubts)
    why = {
        None: "the host has no certificate yet",
        "": f"{TLS_LIVE}/server.pem has another owner or mode",
    }
    reason = why.get(here, "the host has another certificate or key")
    return Plan(put=True, reasons=(f"{reason}: the one in {name} is put; {_RELOAD}",), doubts=doubts)


def _local(settings: Settings, tls_inputs: TlsInputs, state: CertificatesState, now: datetime) -> Plan:
    names, authority = settings.proxy_tls_names, tls_inputs.authority
    chain = _chain(state)
    why = replacement_reason(chain, names, authority.certificate if authority else None, now)
    if authority is None and chain and not is_local(chain[0]):
        why = "the host's certificate is from another authority"
    elif authority is None and chain:
        if not why:
            return Plan()
        return Plan(
            refusal=f"{why}, and the local authority that issued it is not on this computer: put the directory "
            f"{tls_inputs.directory} of the computer that made it there. Or, to begin anew with an authority that "
            f"every device must be told of, remove {TLS} on the host and deploy again"
        )
    if why:
        made = "" if authority else "a local authority is made, and "
        return Plan(put=True, issue=True, reasons=(f"{why}: {made}one for {', '.join(names)} is issued; {_RELOAD}",))
    assert authority is not None, "without one, a certificate is issued"
    if state.digests.get("ca.crt") != hashlib.sha256(authority.pem).hexdigest():
        return Plan(
            put=True, reasons=(f"{TLS_LIVE}/ca.crt is not the local authority's certificate; it is put; {_RELOAD}",)
        )
    return Plan()


def _chain(state: CertificatesState) -> Sequence[x509.Certificate]:
    """What httpd uses; nothing where the file is not as a deploy put it."""
    if not state.digests.get("server.pem") or state.digests["server.pem"] != state.recorded:
        return []
    try:
        return parse_chain(state.chain.encode(), "server.pem")
    except CertificateError:
        return []


def _acme(tls_inputs: TlsInputs, state: CertificatesState, now: datetime) -> Plan:
    trust = hashlib.sha256(tls_inputs.trust).hexdigest() if tls_inputs.trust else state.digests.get("acme-trust.pem")
    put = state.digests.get("acme-trust.pem") != trust
    reason = f"{TLS_LIVE}/acme-trust.pem is not what proxy_acme_trust says; it is put; {_RELOAD}"
    return Plan(put=put, reasons=(reason,) if put else (), doubts=_acme_doubts(state, now))


def _acme_doubts(state: CertificatesState, now: datetime) -> tuple[str, ...]:
    """What is wrong between httpd and the authority; httpd asks again by itself."""
    trouble = f"the authority refuses or can't be reached ({state.acme_errors} times in a row): {state.acme_trouble}"
    try:
        leaf = parse_chain(state.acme_chain.encode(), "the authority's certificate")[0]
    except CertificateError:
        return (f"there is no certificate yet; {trouble}",) if state.acme_errors else ()
    lifetime = (leaf.not_valid_after_utc - leaf.not_valid_before_utc).days
    left = days_left(leaf, now)
    # httpd renews when a third is left.
    if left >= min(WARN_DAYS, lifetime // 5):
        return ()
    return (f"the certificate ends in {left} days; {trouble if state.acme_errors else 'httpd has not renewed it'}",)

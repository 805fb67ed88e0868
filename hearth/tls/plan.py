"""Plan the changes of a host's certificates. Pure rules."""

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
from hearth.tls.local_ca import GATEWAY_NAME, Authority
from hearth.tls.local_files import TlsInputs

_RELOAD = "httpd reloads gracefully, nothing is cut"


@dataclass(frozen=True)
class Plan:
    """The changes.

    Attributes:
        install: files must be installed.
        issue: the local CA must issue a certificate for the host's names.
        issue_for_gateway: it must issue the one with which the gateway authenticates at backends.
        directories: directories to create or correct.
        reasons: sentences that explain the changes.
        warnings: sentences about problems that a deploy can't fix.
        refusal: why nothing can be done; "" if it can.
    """

    install: bool = False
    issue: bool = False
    issue_for_gateway: bool = False
    directories: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    refusal: str = ""


def plan_certificates(settings: Settings, tls_inputs: TlsInputs, state: CertificatesState, now: datetime) -> Plan:
    """What a host needs, depending on `proxy_tls`, and as a gateway with TLS to backends."""
    needed = [TLS, TLS_LIVE] if settings.has_tls_files else []
    match settings.proxy_tls:
        case "off":
            plan = Plan()
        case "files":
            plan = _own(settings, tls_inputs, state, now)
        case "local-ca":
            plan = _local(settings, tls_inputs, state, now)
        case _:
            needed += [ACME, ACME_STORE]
            plan = _acme(tls_inputs, state, now)
    if settings.tls_backends and not plan.refusal:
        plan = _with_gateway(plan, tls_inputs, state, now)
    directories = tuple(path for path in needed if path not in state.directories)
    if not directories or plan.refusal:
        return plan
    reasons = (
        plan.reasons
        if plan.install
        else (*plan.reasons, f"{join_words(directories)}: missing, or open to others; correcting that")
    )
    return replace(plan, directories=directories, reasons=reasons)


def _own(settings: Settings, tls_inputs: TlsInputs, state: CertificatesState, now: datetime) -> Plan:
    name = settings.proxy_tls_certificate
    left = days_left(parse_chain(tls_inputs.pair, name)[0], now)
    warnings = (
        (f"the certificate in {name} expires in {left} days; replace it by a newer one",) if left < WARN_DAYS else ()
    )
    here = state.digests.get("server.pem")
    if here == hashlib.sha256(tls_inputs.pair).hexdigest():
        return Plan(warnings=warnings)
    why = {
        None: "the host has no certificate yet",
        "": f"{TLS_LIVE}/server.pem has the wrong owner or mode",
    }
    reason = why.get(here, "the host has another certificate or key")
    return Plan(install=True, reasons=(f"{reason}; installing the one in {name}; {_RELOAD}",), warnings=warnings)


def _local(settings: Settings, tls_inputs: TlsInputs, state: CertificatesState, now: datetime) -> Plan:
    names, authority = settings.proxy_tls_names, tls_inputs.authority
    chain = _chain(state, "server.pem")
    why = replacement_reason(chain, names, authority.certificate if authority else None, now)
    if authority is None and chain and not is_local(chain[0]):
        why = "the host's certificate is from another CA"
    elif authority is None and chain:
        if not why:
            return Plan()
        return Plan(
            refusal=f"{why}, and the local CA that issued it is not on this computer: copy the directory "
            f"{tls_inputs.directory} from the computer that created it. Or, to start over with a new CA, which must be "
            f"installed on every device, remove {TLS} on the host and deploy again"
        )
    if why:
        created = "" if authority else "creating a local CA, and "
        return Plan(
            install=True, issue=True, reasons=(f"{why}; {created}issuing one for {', '.join(names)}; {_RELOAD}",)
        )
    assert authority is not None, "without one, a certificate is issued"
    return _authority_of(authority, state)


def _authority_of(authority: Authority, state: CertificatesState) -> Plan:
    if state.digests.get("ca.crt") != hashlib.sha256(authority.pem).hexdigest():
        return Plan(
            install=True, reasons=(f"{TLS_LIVE}/ca.crt is not the local CA's certificate; replacing it; {_RELOAD}",)
        )
    return Plan()


def _with_gateway(plan: Plan, tls_inputs: TlsInputs, state: CertificatesState, now: datetime) -> Plan:
    """The plan, and what the gateway needs to reach backends over TLS: the local CA's certificate, and its own."""
    authority = tls_inputs.authority
    chain = _chain(state, "gateway.pem")
    why = replacement_reason(chain, [GATEWAY_NAME], authority.certificate if authority else None, now)
    why = why.replace("the host's certificate", "the gateway's certificate").replace("the host has", "the gateway has")
    if not why:
        more = _authority_of(authority, state) if authority and not plan.install else Plan()
        return replace(plan, install=plan.install or more.install, reasons=(*plan.reasons, *more.reasons))
    if authority is None and chain:
        return replace(
            plan,
            refusal=f"{why}, and the local CA that issued it is not on this computer: copy the directory "
            f"{tls_inputs.directory} from the computer that created it",
        )
    created = "" if authority or plan.issue else "creating a local CA, and "
    reason = f"{why} for its backends; {created}issuing one; {_RELOAD}"
    return replace(plan, install=True, issue_for_gateway=True, reasons=(*plan.reasons, reason))


def _chain(state: CertificatesState, file: str) -> Sequence[x509.Certificate]:
    """httpd's certificates in a file; none if it has changed since a deploy wrote it."""
    recorded, chain = {
        "server.pem": (state.recorded, state.chain),
        "gateway.pem": (state.gateway_recorded, state.gateway_chain),
    }[file]
    if not state.digests.get(file) or state.digests[file] != recorded:
        return []
    try:
        return parse_chain(chain.encode(), file)
    except CertificateError:
        return []


def _acme(tls_inputs: TlsInputs, state: CertificatesState, now: datetime) -> Plan:
    trust = hashlib.sha256(tls_inputs.trust).hexdigest() if tls_inputs.trust else state.digests.get("acme-trust.pem")
    install = state.digests.get("acme-trust.pem") != trust
    reason = f"{TLS_LIVE}/acme-trust.pem differs from proxy_acme_trust; replacing it; {_RELOAD}"
    return Plan(install=install, reasons=(reason,) if install else (), warnings=_acme_warnings(state, now))


def _acme_warnings(state: CertificatesState, now: datetime) -> tuple[str, ...]:
    """Problems between httpd and the CA; httpd retries by itself."""
    trouble = f"the CA refuses or can't be reached ({state.acme_errors} times in a row): {state.acme_trouble}"
    try:
        leaf = parse_chain(state.acme_chain.encode(), "the CA's certificate")[0]
    except CertificateError:
        return (f"there is no certificate yet; {trouble}",) if state.acme_errors else ()
    lifetime = (leaf.not_valid_after_utc - leaf.not_valid_before_utc).days
    left = days_left(leaf, now)
    # httpd renews it when a third of its lifetime is left.
    if left >= min(WARN_DAYS, lifetime // 5):
        return ()
    return (f"the certificate expires in {left} days; {trouble if state.acme_errors else 'httpd has not renewed it'}",)

"""Which files below `/opt/hearth` are Hearth's, and which somebody else put there. Pure rules."""

from __future__ import annotations

import re
from collections.abc import Set

from hearth.paths import (
    ACME,
    DAEMON_RECORD,
    FIREWALL_RULES,
    HTTPD_SECRET_FILES,
    HTTPD_SECRETS,
    IMAGES_FOUND,
    IMAGES_LOCK,
    MODELS_DISK,
    PULLING,
    PULLING_MODELS,
    RELEASES,
    RELOAD_PENDING,
    ROOT,
    SECRETS,
    TLS,
    TLS_FILES,
    TLS_LIVE,
)

# Files with these names in /opt/hearth are Hearth's, whatever is in them: a deploy would write over them.
_OURS = frozenset(
    {
        "compose.yaml",
        "httpd/httpd.conf",
        ".incoming.tar",
        *(f"{HTTPD_SECRETS.removeprefix(f'{ROOT}/')}/{name}" for name in HTTPD_SECRET_FILES),
        *(f"{TLS_LIVE.removeprefix(f'{ROOT}/')}/{name}" for name in TLS_FILES),
        *(
            path.removeprefix(f"{ROOT}/") + ending
            for path in (
                *(IMAGES_LOCK, IMAGES_FOUND, DAEMON_RECORD, RELOAD_PENDING, PULLING, PULLING_MODELS, MODELS_DISK),
                FIREWALL_RULES,
            )
            for ending in ("", ".new")
        ),
    }
)
# True of this host alone: its disk, on another host, would refuse a deploy; rules that no service loads are none.
_OF_THIS_HOST = frozenset(path.removeprefix(f"{ROOT}/") for path in (MODELS_DISK, FIREWALL_RULES))
_SECRETS = f"{SECRETS.removeprefix(f'{ROOT}/')}/"
_TLS, _ACME = (path.removeprefix(f"{ROOT}/") for path in (TLS, ACME))
# Where everything is ours, whatever its name: what is half unpacked, and what httpd keeps of ACME.
OWN_DIRECTORIES = (".incoming", f"{_SECRETS}.incoming", f"{_TLS}/.incoming", _ACME)
_WITHIN = tuple(f"{path}/" for path in OWN_DIRECTORIES)
_RELEASES = RELEASES.removeprefix(f"{ROOT}/")
# Of releases: the two files beside them, and what is in one. (A name that begins with a dot is one half written.)
_RELEASE_FILE = re.compile(
    rf"{_RELEASES}/(?:(?:accepted|log\.jsonl)(?:\.new)?"
    r"|(?:\d{8}T\d{6}Z[^/]*|\.[^/]+)/(?:tree/.+|[^/]+))"
)
_IN_TREE = re.compile(rf"{_RELEASES}/[^/]+/tree/(.+)")


def own_names(present: Set[str], rendered: Set[str]) -> frozenset[str]:
    """Names that are Hearth's own, whatever is in the files: a deploy would write over them.

    Args:
        present: paths that are there, relative to `/opt/hearth`; the releases among them tell what older versions put.
        rendered: paths that this version puts, beside its records.
    """
    once = {match[1] for path in present if (match := _IN_TREE.fullmatch(path))}
    return _OURS | rendered | once | {f"{path}.new" for path in rendered | once}


def our_files(present: Set[str], rendered: Set[str]) -> frozenset[str]:
    """Those of the paths that are Hearth's."""
    ours = own_names(present, rendered)
    return frozenset(
        path for path in present if path in ours or path.startswith(_WITHIN) or _RELEASE_FILE.fullmatch(path)
    )


def lasting_files(present: Set[str], rendered: Set[str]) -> frozenset[str]:
    """Those of them that are worth keeping: no marks, nothing half written, of this hardware or secret."""
    return frozenset(
        path
        for path in our_files(present, rendered)
        if path not in _OF_THIS_HOST
        and not is_secret(path)
        and not path.endswith(".new")
        and not any(part.startswith(".") for part in path.split("/"))
    )


def is_secret(path: str) -> bool:
    """Whether a path is where keys are, which no backup has."""
    return path.startswith((_SECRETS, f"{_TLS}/", f"{_ACME}/"))

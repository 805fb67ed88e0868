"""Which files below `/opt/hearth` are Hearth's, and which are not. Pure rules."""

from __future__ import annotations

import re
from collections.abc import Set

from hearth.paths import (
    ACME,
    DAEMON_RECORD,
    DRAINED_MARKS,
    FIREWALL_RULES,
    GPU_TOOLKIT_RECORD,
    HTTPD_PROVIDERS_FILE,
    HTTPD_SECRET_FILES,
    HTTPD_SECRETS,
    IMAGES_FOUND,
    IMAGES_LOCK,
    KEEPALIVED_RECORD,
    LOCAL_NAME_RECORD,
    METRICS_PROGRAM,
    METRICS_SCRIPT,
    MODELS_DISK,
    OUTBOUND_DOCKER,
    OUTBOUND_HTTPD,
    OUTBOUND_OLLAMA,
    OUTBOUND_PENDING,
    PULLING,
    PULLING_MODELS,
    RELEASES,
    RELOAD_PENDING,
    SECRETS,
    TLS,
    TLS_FILES,
    TLS_LIVE,
    TRUSTED_CA_PENDING,
    VIRTUAL_ADDRESS_CHECK,
    VIRTUAL_ADDRESS_CONF,
    below_root,
)

# Specific to this host: on another host, the record of its disk would block a deploy, and no service uses the others.
_OF_THIS_HOST = frozenset(
    below_root(path)
    for path in (
        *(MODELS_DISK, FIREWALL_RULES, METRICS_PROGRAM, METRICS_SCRIPT, LOCAL_NAME_RECORD, GPU_TOOLKIT_RECORD),
        *(DRAINED_MARKS, KEEPALIVED_RECORD, VIRTUAL_ADDRESS_CONF, VIRTUAL_ADDRESS_CHECK),
    )
)
# Files with these names in /opt/hearth are Hearth's, regardless of content: a deploy would overwrite them.
_OURS = frozenset(
    {
        "compose.yaml",
        "httpd/httpd.conf",
        ".incoming.tar",
        *(f"{below_root(HTTPD_SECRETS)}/{name}" for name in (*HTTPD_SECRET_FILES, HTTPD_PROVIDERS_FILE)),
        *(f"{below_root(TLS_LIVE)}/{name}" for name in TLS_FILES),
        *(
            below_root(path) + ending
            for path in (OUTBOUND_DOCKER, OUTBOUND_OLLAMA, OUTBOUND_HTTPD, OUTBOUND_PENDING, TRUSTED_CA_PENDING)
            for ending in ("", ".hearth-new")
        ),
        *(
            name + ending
            for name in (
                *map(below_root, (IMAGES_LOCK, IMAGES_FOUND, DAEMON_RECORD, RELOAD_PENDING, PULLING, PULLING_MODELS)),
                *_OF_THIS_HOST,
            )
            for ending in ("", ".new")
        ),
    }
)
_SECRETS = f"{below_root(SECRETS)}/"
_TLS, _ACME = map(below_root, (TLS, ACME))
# Everything in these directories is ours: incomplete uploads, and httpd's ACME state.
OWN_DIRECTORIES = (".incoming", f"{_SECRETS}.incoming", f"{_TLS}/.incoming", _ACME)
_WITHIN = tuple(f"{path}/" for path in OWN_DIRECTORIES)
_RELEASES = below_root(RELEASES)
# Of releases: the two files next to them, and their content. (A name with a leading dot is incomplete.)
_RELEASE_FILE = re.compile(
    rf"{_RELEASES}/(?:(?:accepted|log\.jsonl)(?:\.new)?"
    r"|(?:\d{8}T\d{6}Z[^/]*|\.[^/]+)/(?:tree/.+|[^/]+))"
)
_IN_TREE = re.compile(rf"{_RELEASES}/[^/]+/tree/(.+)")


def own_names(present: Set[str], rendered: Set[str]) -> frozenset[str]:
    """Names of Hearth's own files, regardless of content: a deploy would overwrite them.

    Args:
        present: existing paths, relative to `/opt/hearth`; the releases among them list files of older versions.
        rendered: paths that this version writes, in addition to its records.
    """
    former = {match[1] for path in present if (match := _IN_TREE.fullmatch(path))}
    return _OURS | rendered | former | {f"{path}.new" for path in rendered | former}


def our_files(present: Set[str], rendered: Set[str]) -> frozenset[str]:
    """The paths that are Hearth's."""
    ours = own_names(present, rendered)
    return frozenset(
        path for path in present if path in ours or path.startswith(_WITHIN) or _RELEASE_FILE.fullmatch(path)
    )


def lasting_files(present: Set[str], rendered: Set[str]) -> frozenset[str]:
    """Those worth keeping: no marks, incomplete or host-specific files, and no secrets."""
    return frozenset(
        path
        for path in our_files(present, rendered)
        if path not in _OF_THIS_HOST
        and not is_secret(path)
        and not path.endswith(".new")
        and not any(part.startswith(".") for part in path.split("/"))
    )


def is_secret(path: str) -> bool:
    """Whether a path holds secrets, which are never backed up."""
    return path.startswith((_SECRETS, f"{_TLS}/", f"{_ACME}/"))

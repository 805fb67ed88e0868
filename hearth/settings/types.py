"""Types of single setting values: images, sizes, durations, addresses and directories.

Each rejects what would fail later on a host or corrupt a generated file, and names what to write instead.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator

from hearth.settings.host_names import check_served_name

_IMAGE = re.compile(
    r"^(?P<name>(?:[a-z0-9.-]+(?::[0-9]+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?$"
)
_SIZE = re.compile(r"^([0-9]+)([kmg])$")
_MAX_SIZE = 2**46
_MIN_MEMORY = 2**26
_UNITS = {"k": 2**10, "m": 2**20, "g": 2**30}
_DURATION = re.compile(r"^(?:-1|0|(?:[0-9]{1,6}(?:h|m|s)){1,3})$")
# Maximum of Go's time.Duration in seconds: about 292 years.
_MAX_DURATION = 2**63 / 10**9
# A part may begin with a dot: a natively installed Ollama has its models in /usr/share/ollama/.ollama.
_DIRECTORY = re.compile(r"^(?:/\.?[A-Za-z0-9_-][A-Za-z0-9._-]*)+$")
# Ollama's rules (types/model/name.go): up to 80 characters in each part, 350 in a registry's; an owner has no dots.
_MODEL = re.compile(
    r"^(?:(?:[A-Za-z0-9][A-Za-z0-9._-]{0,349}/)?[A-Za-z0-9][A-Za-z0-9_-]{0,79}/)?"
    r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}(?::[A-Za-z0-9][A-Za-z0-9._-]{0,79})?$"
)
# `192.168.1.10:5000/library/llama3.2:1b`, as Docker names images.
_FROM_REGISTRY = re.compile(r"(?P<scheme>https?://)?(?P<server>[a-z0-9.-]+:[0-9]{1,5})/(?:library/)?(?P<model>.+)")
_URL = re.compile(
    r"^https?://(?P<host>[a-z0-9.-]+|\[[0-9a-f:]+\])(?::(?P<port>[0-9]{1,5}))?(?P<path>/[A-Za-z0-9._~/-]*)?$"
)
_PUBLISH = re.compile(r"(?P<address>[0-9.]+):(?P<port>[0-9]{1,5})")
_CREDENTIAL_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")
_E_MAIL = re.compile(r"^[A-Za-z0-9._+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+$")
_GPU_DEVICE = re.compile(r"[0-9]{1,2}|(?:GPU|MIG)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|renderD[0-9]{3}")
HOST_NAME = re.compile(r"^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$")


def _image(value: str) -> str:
    match = _IMAGE.fullmatch(value)
    if match is None:
        raise ValueError('an image is name:version or name@sha256:digest, such as "httpd:2.4.71"')
    if match["tag"] == "latest" and not match["digest"]:
        raise ValueError('"latest" changes without notice; use a version, such as "httpd:2.4.71"')
    if not match["tag"] and not match["digest"]:
        raise ValueError(f'without a version, it means "latest"; add one, as in "{value}:1.2.3"')
    return value


def _size(value: str) -> str:
    # Sizes of more than 15 digits overflow in the programs that read them.
    if not _SIZE.fullmatch(value) or len(value) > 16 or not 0 < size_in_bytes(value) <= _MAX_SIZE:
        raise ValueError('a size is a number and k, m or g, at most "65536g", such as "256m"')
    return value


def _memory(value: str) -> str:
    if value and size_in_bytes(_size(value)) < _MIN_MEMORY:
        raise ValueError('the containers need more than this; use at least "64m", such as "256m", or "" for no limit')
    return value


def size_in_bytes(value: str) -> int:
    """Bytes of a size such as `"32m"` (binary units)."""
    match = _SIZE.fullmatch(value)
    if match is None:
        raise ValueError(f"{value!r} is not a size")
    return int(match[1]) * _UNITS[match[2]]


def _duration(value: str) -> str:
    if not _DURATION.fullmatch(value) or _MAX_DURATION < duration_in_seconds(value) < float("inf"):
        raise ValueError('a duration is "90s", "5m", "1h30m", "0", or "-1" (forever)')
    return value


def duration_in_seconds(value: str) -> float:
    """Seconds of a Go duration such as `"1h30m"`; infinity for `"-1"`."""
    if value.startswith("-"):
        return float("inf")
    factors = {"h": 3600, "m": 60, "s": 1}
    return float(sum(int(number) * factors[unit] for number, unit in re.findall(r"([0-9]+)([hms])", value)))


def _directory(value: str) -> str:
    if value and (not _DIRECTORY.fullmatch(value) or ".." in value):
        raise ValueError(
            'a directory is a full path with letters, digits and . _ - only, such as "/mnt/ssd/ollama", or ""'
        )
    return value


def _model(value: str) -> str:
    if value.startswith("library/"):
        raise ValueError(f'Ollama lists it without "library/"; use "{value.removeprefix("library/")}"')
    if (match := _FROM_REGISTRY.fullmatch(value)) and _MODEL.fullmatch(match["model"]):
        raise ValueError(
            f'the registry is a separate setting, for all models; use "{match["model"]}" here, and '
            f'ollama_model_registry = "{match["scheme"] or "http://"}{match["server"]}"'
        )
    owner, _, rest = value.partition("/")
    if "." in owner and rest and "/" not in rest:
        raise ValueError(
            f'Ollama reads "{owner}" as an owner, which has no dots; a model of another registry has three parts, as '
            'in "hf.co/someone/model-GGUF:Q4_K_M"'
        )
    if not _MODEL.fullmatch(value):
        raise ValueError('a model is name or name:tag as in Ollama\'s library, such as "llama3.2:1b"')
    return value


def _url(value: str) -> str:
    match = _URL.fullmatch(value)
    if match is None or value.endswith("/") or not is_port(match["port"] or "80"):
        raise ValueError(
            "an address is http:// or https:// and a host, with a port or path if needed, without a trailing slash: "
            '"http://192.168.1.10:5000"'
        )
    return value


def _registry(value: str) -> str:
    match = _URL.fullmatch(_url(value)) if value else None
    # Ollama's rules for the first part of a model's name, of which the address becomes a part.
    if match and (match["path"] or not match["host"][0].isalnum()):
        raise ValueError(
            "Ollama accepts a registry's host name or IPv4 address only, and a port if needed, without a path: "
            '"http://192.168.1.10:5000"'
        )
    return value


def check_host_name(value: str) -> str:
    """Return a host name or IPv4 address unchanged.

    Raises:
        ValueError: it is neither.
    """
    if not HOST_NAME.fullmatch(value):
        raise ValueError('a host name is lower case, without scheme, port or slash, such as "chat.example.org"')
    return value


def _credential_name(value: str) -> str:
    if not _CREDENTIAL_NAME.fullmatch(value):
        raise ValueError('a name has up to 64 letters, digits and . _ @ -, such as "anna"')
    return value


def _publish(value: str) -> str:
    match = _PUBLISH.fullmatch(value)
    try:
        if value and (match is None or not is_port(match["port"])):
            raise ValueError
        if match is not None:
            ipaddress.IPv4Address(match["address"])
    except ValueError:
        raise ValueError('use "address:port", such as "127.0.0.1:11434", or "" for none') from None
    return value


def _network(value: str) -> str:
    try:
        if "%" in value:  # Python accepts any text after it, as the name of an interface
            raise ValueError
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError(
            'a network is "192.168.1.0/24" or "fd12:3456:789a::/48", or a single address "192.168.1.20"'
        ) from None
    if isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped:
        raise ValueError('write an IPv4 network in IPv4 notation, such as "192.168.1.0/24"')
    if network.prefixlen == 0:
        raise ValueError("this includes every address; use an empty list, which means the same")
    canonical = str(network) if "/" in value else str(network.network_address)
    if value != canonical:
        raise ValueError(f'use "{canonical}"')
    return value


def _e_mail(value: str) -> str:
    if value and not _E_MAIL.fullmatch(value):
        raise ValueError('use an e-mail address, such as "anna@example.org", or ""')
    return value


def _file(value: str) -> str:
    if value != value.strip() or not (value == "" or value.isprintable()):
        raise ValueError('use the path of a file on this computer, such as "~/certificates/pi.pem"')
    return value


def _gpu_device(value: str) -> str:
    if not _GPU_DEVICE.fullmatch(value):
        raise ValueError('a GPU is its index or UUID in `nvidia-smi -L`, such as "0", or its device, "renderD128"')
    return value


def is_loopback(host: str) -> bool:
    """Whether a numeric host is the machine itself. Resolvers also accept short forms such as "0" and "127.1"."""
    try:
        address = ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        return False
    return address.is_loopback or address.is_unspecified


def is_text(value: object) -> bool:
    """Whether all strings in the value, however deep, are valid UTF-8: Python may keep undecodable bytes in them."""
    if isinstance(value, str):
        return not any("\ud800" <= char <= "\udfff" for char in value)
    if isinstance(value, Mapping):
        return all(is_text(part) for pair in value.items() for part in pair)
    return not isinstance(value, list | tuple) or all(is_text(part) for part in value)


def is_port(text: str) -> bool:
    """Whether the text is a TCP port, 1 to 65535, without sign or leading zero."""
    return text.isascii() and text.isdigit() and text[0] != "0" and int(text) < 65536


Image = Annotated[str, AfterValidator(_image)]
Size = Annotated[str, AfterValidator(_size)]
Memory = Annotated[str, AfterValidator(_memory)]
Duration = Annotated[str, AfterValidator(_duration)]
Directory = Annotated[str, AfterValidator(_directory)]
ModelName = Annotated[str, AfterValidator(_model)]
Url = Annotated[str, AfterValidator(_url)]
OptionalRegistry = Annotated[str, AfterValidator(_registry)]
CredentialName = Annotated[str, AfterValidator(_credential_name)]
EMail = Annotated[str, AfterValidator(_e_mail)]
# On the computer that deploys, not on the host: it never reaches a shell or a template.
OptionalFile = Annotated[str, AfterValidator(_file)]
GpuDevice = Annotated[str, AfterValidator(_gpu_device)]
HostName = Annotated[str, AfterValidator(check_served_name)]
Network = Annotated[str, AfterValidator(_network)]
Publish = Annotated[str, AfterValidator(_publish)]

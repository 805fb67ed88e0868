"""Reference of all settings, their values and defaults: `python -m hearth.settings.reference_page` prints the page.

The output is in `docs/settings.md`, below the mark; a test compares them. The descriptions come from
`group_data/all.py`, the limits from `hearth/settings/model.py`.
"""

from __future__ import annotations

import ast
import re
import typing
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Literal

from annotated_types import Ge, Gt, Le, MaxLen
from pydantic.fields import FieldInfo

from hearth.paths import CHECKOUT
from hearth.settings import model as settings
from hearth.settings import tls
from hearth.settings import types as values
from hearth.settings.model import Settings
from hearth.settings.pools import Member
from hearth.settings.providers import Provider
from hearth.settings.routes import Route
from hearth.settings.secret_source import Source
from hearth.settings.variant import Variant

DEFAULTS_FILE = CHECKOUT / "group_data" / "all.py"
MARK = "<!-- made by python -m hearth.settings.reference_page -->\n"

# Descriptions of types whose limits are in a function and can't be derived.
_DESCRIPTIONS: list[tuple[Any, str]] = [
    (values.Image, 'an image with its version or digest, such as `"httpd:2.4.71"`'),
    (values.Size, 'a size, such as `"256m"` or `"2g"`'),
    (values.Memory, 'a size of at least `"64m"`, such as `"3g"`, or `""`'),
    (values.Duration, 'a time, such as `"90s"`, `"5m"`, `"1h30m"`, or `"-1"` (forever)'),
    (values.Directory, 'a full path, such as `"/mnt/ssd/ollama"`, or `""`'),
    (values.ModelName, 'a model as in Ollama\'s library, such as `"llama3.2:1b"`'),
    (values.Url, 'an address, such as `"http://192.168.1.10:5000"`'),
    (values.OptionalRegistry, 'an address, such as `"http://192.168.1.10:5000"`, or `""`'),
    (values.CredentialName, "a name"),
    (values.EMail, 'an e-mail address, or `""`'),
    (values.OptionalFile, 'a path on your own computer, or `""`'),
    (values.GpuDevice, 'a GPU, such as `"0"`, `"GPU-…"` (its UUID) or `"renderD128"`'),
    (values.HostName, 'a host name, such as `"pi.fritz.box"`'),
    (values.Network, 'a network, such as `"192.168.1.0/24"` or `"fd12::/16"`, or an address'),
    (values.Publish, 'an address with a port, such as `"127.0.0.1:11434"`, or `""`'),
    (settings.Origin, 'an origin, such as `"http://192.168.1.20:8080"`'),
    (settings.OptionalSource, 'a source to read it from, or `""`'),
    (tls.TlsName, 'a host name or an address, such as `"pi.local"`'),
    (tls.AcmeDirectory, "an `https://` address"),
    (Source, "a source to read it from"),
    (Route, "a route"),
    (Member, "a backend"),
    (Provider, "a provider"),
    (Variant, "a base model and what differs from it"),
    (str, "text"),
    (bool, "`True` or `False`"),
    (int, "a whole number"),
    (float, "a number"),
    (NoneType, "`None`"),
]
# Fields with a validation function of their own.
_FIELD_DESCRIPTIONS = {
    "proxy_access": '`"anyone"`, `"networks"`, `"users"`, `"api_keys"`, or a combination with `or` and `and`',
    "metrics_access": '`""`, or an access policy as in `proxy_access`',
    "proxy_allowed_networks": 'a list; each: an IPv4 network, such as `"192.168.1.0/24"`, or an address',
    "proxy_trusted_proxies": 'a list; each: an address, such as `"192.168.1.189"`, or a network',
    "ollama_load_timeout": 'a time, such as `"90s"` or `"10m"`, not longer than `proxy_timeout`',
    "host_address": 'an IPv4 address, such as `"192.168.1.20"`, or `""`',
    "host_virtual_address": 'an IPv4 address, such as `"192.168.1.5"`, or `""`',
    "chat_title": "one line of up to 80 characters",
}


@dataclass(frozen=True)
class Entry:
    """A setting in `group_data/all.py`: its section's heading, name, default as written, and comment."""

    section: str
    name: str
    default: str
    comment: str


def read_entries(text: str) -> list[Entry]:
    """The settings in the order of the file. One without a comment shares that of the previous one."""
    lines = text.splitlines()
    entries: list[Entry] = []
    section, last = "", 0
    for node in ast.parse(text).body:
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            last = node.end_lineno or last
            continue
        comment: list[str] = []
        for line in lines[last : node.lineno - 1]:
            if heading := re.fullmatch(r"# --- (.+?) -+", line):
                section, comment = heading[1], []
            elif line.startswith("#"):
                comment.append(line.removeprefix("#").strip())
        default = "\n".join(lines[node.value.lineno - 1 : node.end_lineno])[node.value.col_offset :]
        own = " ".join(comment) or entries[-1].comment
        entries.append(Entry(section, node.targets[0].id, default, own))
        last = node.end_lineno or last
    return entries


def describe_values(name: str) -> str:
    """Describe the values that a setting accepts.

    Raises:
        LookupError: its type has no description.
    """
    if name in _FIELD_DESCRIPTIONS:
        return _FIELD_DESCRIPTIONS[name]
    hint = typing.get_type_hints(Settings, include_extras=True)[name]
    return _describe(hint, Settings.model_fields[name])


def _describe(hint: Any, field: FieldInfo | None = None) -> str:
    for known, words in _DESCRIPTIONS:
        if hint == known and hint not in (int, float, str):
            return words
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return _either([f"`{_quoted(part)}`" for part in parts])
    if origin is tuple:
        return f"a list; each: {_describe(parts[0])}"
    if origin is dict:
        return f"a table: {_describe(parts[0])} → {_describe(parts[1])}"
    if origin in (typing.Union, UnionType):
        return _either([_describe(part) for part in parts])
    if origin is typing.Annotated:
        found: list[Any] = []
        for one in parts[1:]:
            found += one.metadata if isinstance(one, FieldInfo) else [one]
        return _limited(_describe(parts[0]), found)
    words = next((words for known, words in _DESCRIPTIONS if hint == known), "")
    if not words:
        raise LookupError(f"{hint}: no description in {__name__}")
    return _limited(words, field.metadata if field else [])


def _limited(words: str, limits: list[Any]) -> str:
    least = next((limit.ge for limit in limits if isinstance(limit, Ge)), None)
    most = next((limit.le for limit in limits if isinstance(limit, Le)), None)
    above = next((limit.gt for limit in limits if isinstance(limit, Gt)), None)
    longest = next((limit.max_length for limit in limits if isinstance(limit, MaxLen)), None)
    if longest is not None:
        return f"{words} of up to {longest} characters"
    if above is not None:
        return f"{words} above {above}"
    return words if least is None or most is None else f"{words} from {least} to {most}"


def _quoted(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def markdown() -> str:
    """The page: the file's sections, with a heading for each setting."""
    lines: list[str] = []
    section = ""
    for entry in read_entries(DEFAULTS_FILE.read_text(encoding="utf-8")):
        if entry.section != section:
            section = entry.section
            lines += ["", f"## {re.sub(r' [(]docs/[^)]*[)]', '', section)}"]
        lines += ["", f"### `{entry.name}`", "", _linked(entry.comment), ""]
        if "\n" in entry.default:
            lines += [f"*Values:* {describe_values(entry.name)}. *Default:*", "", "```python", entry.default, "```"]
        else:
            lines += [f"*Values:* {describe_values(entry.name)}. *Default:* `{entry.default}`"]
    return "\n".join(lines).lstrip("\n") + "\n"


def _linked(text: str) -> str:
    """Convert a comment to Markdown: links to pages, and lists and tables as code."""
    text = re.sub(r"\bdocs/([a-z-]+)\.md", r"[\1.md](\1.md)", text)
    text = text.replace("*", "\\*")
    # A table, also a nested one, or a list of strings.
    return re.sub(r'(?<!`)(\{(?:[^{}]|\{[^{}]*\})*\}|\["[^]]*"\])(?!`)', r"`\1`", text)


if __name__ == "__main__":
    print(markdown(), end="")

"""GGUF files of the deploying computer, named in `ollama_model_variants`: checked, hashed, and sent to a host."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

import gevent
from pyinfra import logger
from pyinfra.api import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

from hearth.models.gguf import GgufError, read_kind
from hearth.models.sizes import GB
from hearth.paths import CONTAINERS
from hearth.runtime.byte_stream import ChannelError, write_to
from hearth.runtime.commands import connection_arguments, report_failure
from hearth.runtime.shell import quote
from hearth.settings.model import Settings
from hearth.settings.variant import Variant

_RECEIVE = Path(__file__).with_name("receive.sh")
_PART = re.compile(r"-\d{5}-of-\d{5}\.gguf", re.IGNORECASE)
_CHUNK = 1 << 20
# Files from this size on show progress while they are sent.
_LARGE = 10_000_000


class ModelFileError(ValueError):
    """A file that can't be used; the message names the setting."""


@dataclass(frozen=True)
class LocalFile:
    """A GGUF file: its size in bytes, and its digest as Ollama names it ("sha256:…")."""

    path: Path
    size: int
    digest: str


def load_model_files(settings: Settings, *, missing_ok: bool = False) -> dict[str, LocalFile]:
    """The GGUF files that a host's settings name, by their paths as in the settings.

    Args:
        missing_ok: leave out files that do not exist: after a restore they may not be needed.

    Raises:
        ModelFileError: one can't be read, or is not what the setting is for.
    """
    files = {}
    for setting, value, kind in _named(settings):
        path = Path(value).expanduser()
        where = f"{setting} = {value!r}"
        if missing_ok and not path.exists():
            continue
        try:
            with path.open("rb") as file:
                found = read_kind(file)
            status = path.stat()
            digest = _digest(path, status.st_size, status.st_mtime_ns)
        except OSError as error:
            raise ModelFileError(f"{where}: could not read {path} on this computer: {error.strerror}") from None
        except GgufError as error:
            raise ModelFileError(f"{where}: {path} {error}; use a file that ends in .gguf") from None
        if _PART.search(path.name):
            raise ModelFileError(
                f"{where}: this is one part of a model; merge the parts first: llama-gguf-split --merge FIRST-PART NEW"
            )
        if found != kind:
            raise ModelFileError(f"{where}: {path} is of the type {found!r}; use a file of the type {kind!r}")
        files[value] = LocalFile(path, status.st_size, digest)
    return files


def files_of(variant: Variant, files: Mapping[str, LocalFile]) -> list[LocalFile]:
    """The loaded files of a variant.

    Raises:
        KeyError: one does not exist on this computer; with its path.
    """
    return [files[path] for path in (variant.base_file, variant.adapter_file) if path]


def with_file_sizes(settings: Settings, files: Mapping[str, LocalFile]) -> Settings:
    """The settings with the sizes of these files, from which preflight estimates memory and disk space."""
    sizes = {
        variant.base_model(name): files[variant.base_file].size / GB
        for name, variant in settings.ollama_model_variants.items()
        if variant.base_file in files
    }
    return settings.model_copy(update={"ollama_model_sizes_gb": sizes | settings.ollama_model_sizes_gb})


def _named(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """(name of the setting, its value, type of file that it is for) for each file in the settings."""
    for name, variant in settings.ollama_model_variants.items():
        if variant.base_file:
            yield f"ollama_model_variants[{name!r}]['base_file']", variant.base_file, "model"
        if variant.adapter_file:
            yield f"ollama_model_variants[{name!r}]['adapter_file']", variant.adapter_file, "adapter"


@cache
def _digest(path: Path, size: int, changed: int) -> str:  # noqa: ARG001
    """The digest of a file with this size and time of change (ns): once per run, for all hosts."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(_CHUNK):
            digest.update(data)
            gevent.sleep(0)  # so that the keepalives of other hosts don't time out
    return f"sha256:{digest.hexdigest()}"


def send_command(file: LocalFile) -> FunctionCommand:
    """Send a file into the store of the running Ollama, with the connection arguments of the current operation."""
    return FunctionCommand(_send, (file, connection_arguments()), {})


class _Progress:
    """A file that logs how much of it has been read, at every tenth."""

    def __init__(self, file: IO[bytes], size: int, what: str) -> None:
        self._file, self._size, self._what = file, size, what
        self._read = self._tenths = 0

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._read += len(data)
        tenths = self._read * 10 // max(self._size, 1)
        if self._size > _LARGE and tenths > self._tenths:
            self._tenths = tenths
            logger.info(f"{self._what}: {tenths * 10} % of {self._size / 1e9:.2f} GB")
        return data


def _send(state: State, host: Host, file: LocalFile, root: dict[str, Any]) -> bool:
    try:
        with file.path.open("rb") as source:
            progress: Any = _Progress(source, file.size, f"{host.print_prefix}sending {file.path.name}")
            write_to(state, host, receive_script(file.digest), root, progress)
    except (ChannelError, OSError) as error:
        return report_failure(host, f"could not send {file.path}: {error}; deploy again")
    return True


def receive_script(digest: str) -> str:
    """Shell script that writes its standard input to the blob with this digest in the running Ollama's store."""
    receive = receive_words("", f"blobs/{digest.replace(':', '-')}", digest.removeprefix("sha256:"))
    return quote("docker", "exec", "-i", CONTAINERS["ollama"], *receive)


def receive_words(store: str, path: str, sha256: str) -> tuple[str, ...]:
    """The command that writes standard input to a file in a model store, if its SHA-256 (hex) matches.

    Args:
        store: "" in Ollama's container.
        path: below the store.
    """
    return ("sh", "-c", _RECEIVE.read_text(), "sh", store, path, sha256)

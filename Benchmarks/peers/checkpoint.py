"""Makes a random Llama-shaped bf16 checkpoint, once as a Hugging Face folder and once as GGUF, from the same numbers.

Runs in the environment `llama` (numpy and gguf):  checkpoint.py FOLDER [--hidden 2048 --layers 4 ...]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import gguf
import numpy as np


def bf16(values: np.ndarray) -> np.ndarray:
    """Nearest bf16, ties to even, as its 16 bits."""
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def shapes(options: argparse.Namespace) -> dict[str, tuple[int, ...]]:
    """Tensors of the checkpoint under their Hugging Face names."""
    hidden, inner = options.hidden, options.intermediate
    q, kv = options.heads * options.head_dim, options.kv_heads * options.head_dim
    tensors: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (options.vocabulary, hidden)}
    for layer in range(options.layers):
        tensors |= {
            f"model.layers.{layer}.{name}.weight": shape
            for name, shape in {
                "input_layernorm": (hidden,),
                "self_attn.q_proj": (q, hidden),
                "self_attn.k_proj": (kv, hidden),
                "self_attn.v_proj": (kv, hidden),
                "self_attn.o_proj": (hidden, q),
                "post_attention_layernorm": (hidden,),
                "mlp.gate_proj": (inner, hidden),
                "mlp.up_proj": (inner, hidden),
                "mlp.down_proj": (hidden, inner),
            }.items()
        }
    return tensors | {"model.norm.weight": (hidden,), "lm_head.weight": (options.vocabulary, hidden)}


def make(options: argparse.Namespace) -> dict[str, np.ndarray]:
    """The numbers: normals of a spread that keeps every activation near one, and ones where a norm scales."""
    generator = np.random.default_rng(options.seed)
    tensors = {}
    for name, shape in shapes(options).items():
        if len(shape) == 1:
            tensors[name] = bf16(np.ones(shape, np.float32))
        else:
            spread = 1.0 if "embed" in name else shape[1] ** -0.5
            tensors[name] = bf16(generator.standard_normal(shape, dtype=np.float32) * np.float32(spread))
    return tensors


def write_folder(folder: Path, tensors: dict[str, np.ndarray], options: argparse.Namespace) -> None:
    header, offset = {}, 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": "BF16", "shape": list(tensor.shape), "data_offsets": [offset, offset + tensor.nbytes]}
        offset += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors.values():
            tensor.tofile(file)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": options.vocabulary,
        "hidden_size": options.hidden,
        "intermediate_size": options.intermediate,
        "num_hidden_layers": options.layers,
        "num_attention_heads": options.heads,
        "num_key_value_heads": options.kv_heads,
        "head_dim": options.head_dim,
        "hidden_act": "silu",
        "max_position_embeddings": 1 << 20,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0,
        "rope_scaling": None,
        "tie_word_embeddings": False,
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "torch_dtype": "bfloat16",
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


GGUF_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def gguf_name(name: str) -> str:
    stem = name.removesuffix(".weight")
    if not stem.startswith("model.layers."):
        return GGUF_NAMES[stem] + ".weight"
    layer, part = stem.removeprefix("model.layers.").split(".", 1)
    return f"blk.{layer}.{GGUF_NAMES[part]}.weight"


def interleave(tensor: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a projection as llama.cpp wants them: it rotates neighbours, Hugging Face rotates halves."""
    rows, columns = tensor.shape
    return np.ascontiguousarray(tensor.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns))


def write_gguf(path: Path, tensors: dict[str, np.ndarray], options: argparse.Namespace) -> None:
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_vocab_size(options.vocabulary)
    writer.add_context_length(1 << 20)
    writer.add_embedding_length(options.hidden)
    writer.add_block_count(options.layers)
    writer.add_feed_forward_length(options.intermediate)
    writer.add_head_count(options.heads)
    writer.add_head_count_kv(options.kv_heads)
    writer.add_key_length(options.head_dim)
    writer.add_value_length(options.head_dim)
    writer.add_rope_dimension_count(options.head_dim)
    writer.add_rope_freq_base(500000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    writer.add_tokenizer_model("no_vocab")
    for name, tensor in tensors.items():
        if tensor.ndim == 1:
            writer.add_tensor(gguf_name(name), (tensor.astype(np.uint32) << 16).view(np.float32))
            continue
        if "q_proj" in name or "k_proj" in name:
            tensor = interleave(tensor, options.heads if "q_proj" in name else options.kv_heads)
        writer.add_tensor(gguf_name(name), tensor.view(np.uint8), raw_dtype=gguf.GGMLQuantizationType.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    defaults = {
        "hidden": 2048,
        "layers": 4,
        "heads": 16,
        "kv-heads": 4,
        "head-dim": 128,
        "intermediate": 8192,
        "vocabulary": 1024,
        "seed": 0,
    }
    for name, value in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    tensors = make(options)
    write_folder(options.folder, tensors, options)
    write_gguf(options.folder / "model.gguf", tensors, options)
    # Written last: who finds it knows that the rest is whole.
    (options.folder / "complete").write_text(json.dumps(vars(options), default=str) + "\n")


if __name__ == "__main__":
    main()

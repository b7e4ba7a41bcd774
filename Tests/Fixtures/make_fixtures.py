#!/usr/bin/env python3
"""Writes the fixtures beside this file: token ids, rotary frequencies and tiny checkpoints with reference logits,
as Hugging Face's libraries compute them.

    python3 -m venv venv && venv/bin/pip install -r requirements.txt
    venv/bin/python make_fixtures.py            # everything, under a minute on one core
    venv/bin/python make_fixtures.py --only tokenizers|rope|models

Random numbers are SplitMix64 and exact arithmetic only, so weights, tokenizers and prompts are the same bytes on
every machine; logits agree to float32 rounding. See README.md for the layout.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from pathlib import Path

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import fixture_text as ft

HERE = Path(__file__).resolve().parent


def write_json(path: Path, value, indent=None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    separators = (",", ":") if indent is None else None
    path.write_text(json.dumps(value, indent=indent, separators=separators) + "\n", encoding="utf-8")


# --------------------------------------------------------------------------- tokenizers

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
SPECIALS = ["<|begin|>", "<|end|>", "<|pad|>", "<|user|>", "<|assistant|>"]
VOCAB = 512


def train(style: str, added):
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tok = Tokenizer(models.BPE(ignore_merges=(style == "llama3")))
    if style == "gpt2":
        tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        tok.post_processor = processors.ByteLevel(trim_offsets=False)
    elif style == "flags":
        tok.normalizer = normalizers.Sequence([normalizers.NFC()])
        tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=True)
    else:
        if style == "qwen":
            tok.normalizer = normalizers.NFC()
        pattern = Regex(QWEN if style == "qwen" else LLAMA3)
        tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(pattern, "isolated", invert=False), byte_level])
    tok.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCAB - len(added), min_frequency=2, show_progress=False, special_tokens=[],
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    text = ft.make_text(ft.seed_of("tokenizer", style), 120_000)
    tok.train_from_iterator([text[i:i + 4000] for i in range(0, len(text), 4000)], trainer)
    for token in added:
        (tok.add_special_tokens if token.special else tok.add_tokens)([token])
    assert tok.get_vocab_size() == VOCAB, tok.get_vocab_size()
    if style == "llama3":
        bos = SPECIALS[0]
        tok.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(
            single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, tok.token_to_id(bos))])])
    return tok


def added_tokens(style: str):
    from tokenizers import AddedToken

    tokens = [AddedToken(s, special=True, normalized=False) for s in SPECIALS]
    if style == "flags":
        tokens += [
            AddedToken("<left>", special=True, normalized=False, lstrip=True),
            AddedToken("<right>", special=True, normalized=False, rstrip=True),
            AddedToken("<both>", special=False, normalized=False, lstrip=True, rstrip=True),
            AddedToken("<bot", special=False, normalized=False),
            AddedToken("    ", special=False, normalized=False),
            AddedToken("single", special=False, normalized=False, single_word=True),
            AddedToken("\u1100\u1161x", special=False, normalized=True),
            AddedToken("\u2126hm", special=False, normalized=True, rstrip=True),
            AddedToken("\u4e2d\u6587", special=False, normalized=False),
            AddedToken("<\u0439>", special=True, normalized=True),
        ]
    return tokens


def tokenizer_fixture(style: str):
    from tokenizers import Tokenizer

    folder = HERE / "tokenizers" / style
    folder.mkdir(parents=True, exist_ok=True)
    tok = train(style, added_tokens(style))
    path = folder / "tokenizer.json"
    path.write_text(tok.to_str(pretty=False) + "\n", encoding="utf-8")
    tok = Tokenizer.from_file(str(path))
    texts = []
    for raw in ft.cases(style):
        text = raw if isinstance(raw, str) else raw.decode("utf-8", errors="replace")
        plain = tok.encode(text, add_special_tokens=False).ids
        case = {"text": text} if isinstance(raw, str) else {"hex": raw.hex()}
        case["ids"] = plain
        full = tok.encode(text).ids
        if full != plain:
            case["with_special"] = full
        decoded = tok.decode(plain, skip_special_tokens=False)
        if decoded != text:
            case["decoded"] = decoded
        skipped = tok.decode(plain, skip_special_tokens=True)
        if skipped != decoded:
            case["skipped"] = skipped
        texts.append(case)
    long_runs = []
    for name, text in ft.long_runs():
        ids = tok.encode(text, add_special_tokens=False).ids
        long_runs.append({"unit": name[0], "count": name[1], "tail": name[2], "length": len(ids), "digest": ft.ids_digest(ids)})
    decodes = []
    for ids in ft.id_sequences(style, VOCAB):
        decodes.append({"ids": ids, "text": tok.decode(ids, skip_special_tokens=False)})
    write_json(folder / "cases.json", {"encode": texts, "runs": long_runs, "decode": decodes})
    return tok


# --------------------------------------------------------------------------- rotary frequencies

def rope_cases():
    base = {"hidden_size": 256, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 4096}
    llama3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
              "original_max_position_embeddings": 8192}
    yarn = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
    yield "default", {**base, "rope_theta": 10000.0}
    yield "default-million", {**base, "rope_theta": 1000000.0, "head_dim": 128}
    yield "default-integer-theta", {**base, "rope_theta": 500000}
    yield "default-no-theta", {**base}
    yield "default-1e20", {**base, "rope_theta": 1e20, "head_dim": 96}
    yield "new-style", {**base, "rope_parameters": {"rope_type": "default", "rope_theta": 150000.0}}
    yield "linear", {**base, "rope_theta": 10000.0, "rope_scaling": {"type": "linear", "factor": 2.5}}
    yield "linear-new", {**base, "rope_parameters": {"rope_type": "linear", "factor": 3, "rope_theta": 7e5}}
    yield "llama3", {**base, "head_dim": 128, "rope_theta": 500000.0, "max_position_embeddings": 131072, "rope_scaling": llama3}
    yield "llama3-32", {**base, "rope_theta": 500000.0, "max_position_embeddings": 131072,
                        "rope_scaling": {**llama3, "factor": 32.0}}
    yield "llama3-small", {**base, "head_dim": 32, "rope_theta": 10000.0, "rope_scaling": {
        **llama3, "original_max_position_embeddings": 128, "factor": 7.3, "low_freq_factor": 1.5, "high_freq_factor": 9}}
    yield "yarn", {**base, "head_dim": 128, "rope_theta": 1000000.0, "max_position_embeddings": 40960, "rope_scaling": yarn}
    yield "yarn-new", {**base, "head_dim": 128, "max_position_embeddings": 131072, "rope_parameters": {
        "rope_type": "yarn", "rope_theta": 1000000.0, "factor": 4.0, "original_max_position_embeddings": 32768}}
    yield "yarn-no-original", {**base, "rope_theta": 10000.0, "rope_scaling": {"rope_type": "yarn", "factor": 8.0}}
    yield "yarn-attention-factor", {**base, "rope_theta": 10000.0, "rope_scaling": {**yarn, "attention_factor": 1.25}}
    yield "yarn-mscale", {**base, "rope_theta": 10000.0, "rope_scaling": {
        **yarn, "factor": 40, "original_max_position_embeddings": 4096, "mscale": 0.707, "mscale_all_dim": 1.0}}
    yield "yarn-betas", {**base, "rope_theta": 50000.0, "rope_scaling": {**yarn, "beta_fast": 1.0, "beta_slow": 1.0}}
    yield "yarn-no-truncate", {**base, "rope_theta": 150000.0, "rope_scaling": {
        **yarn, "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0, "original_max_position_embeddings": 4096, "truncate": False}}
    yield "yarn-tiny", {**base, "head_dim": 16, "rope_theta": 10000.0, "rope_scaling": {
        **yarn, "original_max_position_embeddings": 128}}


def rope_fixture() -> None:
    import numpy as np
    from transformers import Qwen3Config
    from transformers.models.qwen3.modeling_qwen3 import Qwen3RotaryEmbedding

    out = []
    for name, settings in rope_cases():
        settings = {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "vocab_size": 512, "intermediate_size": 512,
                    "num_hidden_layers": 2, "head_dim": 64, **settings}
        written = json.loads(json.dumps(settings))          # the library changes what it is given
        rotary = Qwen3RotaryEmbedding(Qwen3Config(**settings))
        bits = rotary.inv_freq.numpy().astype(np.float32).view(np.uint32)
        out.append({"name": name, "config": written, "inverse_frequency_bits": [int(b) for b in bits],
                    "attention_factor": float(rotary.attention_scaling)})
    write_json(HERE / "rope.json", out)


# --------------------------------------------------------------------------- checkpoints

BOS, END, PAD = VOCAB - 5, VOCAB - 4, VOCAB - 3
IDS = {"bos_token_id": BOS, "eos_token_id": END, "pad_token_id": PAD, "vocab_size": VOCAB, "hidden_act": "silu"}

MODELS = {
    "llama": {"style": "llama3", "dtype": "bfloat16", "shards": 1, "config": {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", **IDS, "hidden_size": 72, "intermediate_size": 144,
        "num_hidden_layers": 3, "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 32, "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0, "max_position_embeddings": 2048, "tie_word_embeddings": True, "attention_bias": False,
        "mlp_bias": False, "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                                            "high_freq_factor": 4.0, "original_max_position_embeddings": 128}}},
    "qwen2": {"style": "qwen", "dtype": "float16", "shards": 1, "config": {
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", **IDS, "hidden_size": 64, "intermediate_size": 160,
        "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0, "max_position_embeddings": 2048, "tie_word_embeddings": False, "use_sliding_window": False,
        "sliding_window": 2048, "max_window_layers": 3}},
    "qwen3": {"style": "qwen", "dtype": "bfloat16", "shards": 3, "config": {
        "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", **IDS, "hidden_size": 64, "intermediate_size": 160,
        "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32, "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_type": "yarn", "rope_theta": 1000000.0, "factor": 4.0,
                            "original_max_position_embeddings": 128},
        "max_position_embeddings": 512, "tie_word_embeddings": False, "attention_bias": False, "use_sliding_window": False,
        "sliding_window": None, "max_window_layers": 3}},
}


def initial_value(name: str, shape, tied: bool):
    """Random, but lively: peaked attention, norms and biases away from trivial."""
    x = ft.bell(ft.seed_of("weight", name), shape)
    if "norm" in name:
        return 1.0 + 0.2 * x
    if name.endswith("bias"):
        return 0.1 * x
    if "embed_tokens" in name:
        return 0.25 * x if tied else x
    gain = 1.6 if "q_proj" in name or "k_proj" in name else 2.0 if "lm_head" in name else 1.0
    return gain * shape[-1] ** -0.5 * x


def save_weights(folder: Path, tensors, shards: int) -> None:
    from safetensors.torch import save_file

    names = sorted(tensors)
    if shards == 1:
        save_file({n: tensors[n] for n in names}, str(folder / "model.safetensors"), metadata={"format": "pt"})
        return
    weight_map = {}
    for part in range(shards):
        mine = names[part * len(names) // shards:(part + 1) * len(names) // shards]
        file = f"model-{part + 1:05d}-of-{shards:05d}.safetensors"
        save_file({n: tensors[n] for n in mine}, str(folder / file), metadata={"format": "pt"})
        weight_map.update({n: file for n in mine})
    total = sum(t.numel() * t.element_size() for t in tensors.values())
    write_json(folder / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": weight_map}, indent=2)


def build_checkpoint(name: str, spec: dict, folder: Path) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(**json.loads(json.dumps(spec["config"])))
    model = AutoModelForCausalLM.from_config(config)
    dtype = getattr(torch, spec["dtype"])
    tied = spec["config"]["tie_word_embeddings"]
    tensors = {}
    for parameter_name, parameter in model.named_parameters():
        if not (tied and parameter_name == "lm_head.weight"):
            value = initial_value(f"{name}.{parameter_name}", tuple(parameter.shape), tied)
            tensors[parameter_name] = torch.from_numpy(value).to(dtype).contiguous()
    save_weights(folder, tensors, spec["shards"])
    write_json(folder / "config.json", {**spec["config"], "torch_dtype": spec["dtype"]}, indent=2)
    write_json(folder / "generation_config.json", {"bos_token_id": BOS, "eos_token_id": [END, PAD], "pad_token_id": PAD,
                                                   "do_sample": True, "temperature": 0.6, "top_k": 20, "top_p": 0.95}, indent=2)


def probe_positions(count: int) -> list[int]:
    if count <= 12:
        return list(range(count))
    return sorted({round(k * (count - 1) / 11) for k in range(12)})


def greedy(model, ids: list[int], steps: int):
    import torch

    ids, smallest = list(ids), float("inf")
    for _ in range(steps):
        top = model(torch.tensor([ids])).logits[0, -1].topk(2)
        smallest = min(smallest, float(top.values[0] - top.values[1]))
        ids.append(int(top.indices[0]))
    return ids[-steps:], smallest


def model_fixture(name: str, spec: dict, tok) -> None:
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM

    folder = HERE / "models" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    build_checkpoint(name, spec, folder)
    shutil.copy(HERE / "tokenizers" / spec["style"] / "tokenizer.json", folder / "tokenizer.json")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    prompts, logits = [], {}
    with torch.no_grad():
        for label, length in (("tiny", 5), ("short", 64), ("medium", 497)):
            for attempt in range(50):   # a continuation whose every choice is clear
                text = ft.make_text(ft.seed_of("prompt", name, label, attempt), 6 * length)
                ids = [BOS] + tok.encode(text, add_special_tokens=False).ids[:length - 1]
                assert len(ids) == length
                tokens, margin = greedy(model, ids, 12)
                if margin > 0.1:
                    break
            all_logits = model(torch.tensor([ids])).logits[0]
            probes = probe_positions(length)
            top = all_logits[probes].topk(2, dim=-1)
            prompts.append({"name": label, "text": text, "ids": ids, "probes": probes,
                            "argmax": top.indices[:, 0].tolist(), "top1_margin": (top.values[:, 0] - top.values[:, 1]).tolist(),
                            "logit_range": float(all_logits.max() - all_logits.min()),
                            "greedy": tokens, "greedy_smallest_margin": margin})
            logits[label + ".logits"] = all_logits[probes].float().contiguous()
            print(f"{name} {label}: range {prompts[-1]['logit_range']:.2f}, smallest margin {margin:.4f}")
    save_file(logits, str(folder / "reference.safetensors"))
    write_json(folder / "reference.json", {"prompts": prompts})
    for file in folder.iterdir():
        file.chmod(0o644)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["tokenizers", "rope", "models"])
    only = parser.parse_args().only
    toks = {}
    if only in (None, "tokenizers", "models"):
        toks = {style: tokenizer_fixture(style) for style in ("gpt2", "llama3", "qwen", "flags")}
    if only in (None, "rope"):
        rope_fixture()
    if only in (None, "models"):
        for name, spec in MODELS.items():
            model_fixture(name, spec, toks[spec["style"]])


if __name__ == "__main__":
    main()

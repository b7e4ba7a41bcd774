#!/usr/bin/env python3
"""Runs a needle model through transformers and compares its answers with what the haystacks promise.

    RINGMASTER_NEEDLE_CASES=DIR swift test -c release --filter NeedleReferenceTests
    python3 check_needle.py DIR/needle-f32 DIR/needle-bf16

Each folder holds a model and cases.json (text, token_ids, expected_text, expected_token_ids). Checked for every case: the
library's tokenizer gives the same ids for the text, greedy decoding in float32 gives the expected ids, and they decode to the
expected text. Needs torch and transformers; exit code 1 when anything differs.
"""

import argparse
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


@torch.no_grad()
def greedy(model, ids, end, most):
    """Greedy continuation up to `end`, and the smallest gap between the two best logits."""
    out = model(input_ids=torch.tensor([ids]), use_cache=True, logits_to_keep=1)
    answer, gap = [], float("inf")
    while True:
        best = out.logits[0, -1].float().topk(2)
        answer.append(int(best.indices[0]))
        gap = min(gap, float(best.values[0] - best.values[1]))
        if answer[-1] == end or len(answer) == most:
            return answer, gap
        out = model(input_ids=torch.tensor([[answer[-1]]]), past_key_values=out.past_key_values, use_cache=True)


def check(folder: Path, dtype: torch.dtype) -> int:
    """Number of cases that differ."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="sdpa").eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if tokenizer.eos_token_id != model.generation_config.eos_token_id:
        print(f"{folder}: the tokenizer ends at {tokenizer.eos_token_id}, generation at {model.generation_config.eos_token_id}")
        return 1
    wrong = 0
    for case in json.loads((folder / "cases.json").read_text()):
        answer, gap = greedy(model, case["token_ids"], tokenizer.eos_token_id, len(case["expected_token_ids"]))
        problems = []
        if tokenizer(case["text"])["input_ids"] != case["token_ids"]:
            problems.append("the text encodes to other ids")
        if answer != case["expected_token_ids"]:
            problems.append(f"answered {tokenizer.decode(answer)}, expected {case['expected_text']}")
        if tokenizer.decode(case["expected_token_ids"], skip_special_tokens=True) != case["expected_text"]:
            problems.append("the expected ids decode to another text")
        wrong += bool(problems)
        print(f"{folder.name}: {case['name']}: {'; '.join(problems) or 'right'} (logit gap {gap:.3f})", flush=True)
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    options = parser.parse_args()
    torch.set_num_threads(1)
    wrong = sum(check(folder, getattr(torch, options.dtype)) for folder in options.folders)
    print("all right" if wrong == 0 else f"{wrong} cases are wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""The comparisons: kernel, ring, workers, prefill. Each returns its result and what it had to skip. Standard library only."""

from __future__ import annotations

import json
import random
import subprocess
from contextlib import ExitStack
from pathlib import Path

from contest import Contest, Plan, Runner, attention_operations
from environments import FOLDER, ROOT, Skipped, prepare
from ours import Ringmaster, shown
from peer import Peer

K = 1024


def enlist(contest: Contest, stack: ExitStack, name: str, *peer: str, **options) -> Peer | None:
    """Starts a peer, or says why it cannot be."""
    try:
        return stack.enter_context(Peer(*peer, **options))
    except Skipped as reason:
        contest.skip(name, str(reason))
        return None


def kernel(ours: Ringmaster, plan: Plan) -> tuple[dict, list[dict], dict]:
    """One head's attention on one machine: no ring, no wire."""
    tokens = 2 * K if plan.quick else 8 * K
    cases = [
        {"tokens": tokens, "head_dim": d, "dtype": dtype, "causal": causal, "threads": threads}
        for dtype in ("f32", "bf16")
        for d in (64, 128)
        for causal in (False, True)
        for threads in (1, 2)
    ]

    def mine(case: dict, check: bool) -> dict:
        answer = ours.kernel(case)
        if check and case["threads"] == 1:
            shape = case | {"heads": 1, "kv_heads": 1}
            answer["max_abs_error"] = ours.attend(shape, workers=1, threads=2, check=True)["max_abs_error"]
        return answer

    contest = Contest("kernel", "Attention kernels, one head", cases, {"ringmaster": mine}, attention_operations)
    with ExitStack() as stack:
        torch = enlist(contest, stack, "torch", "torch", "torch_kernel.py")
        if torch:
            contest.contenders["torch flash operator"] = lambda case, check: torch.ask(
                kernel="flash", warm=check, check=check and case["threads"] == 1, **case
            )
            contest.contenders["torch SDPA"] = lambda case, check: torch.ask(kernel="sdpa", warm=check, **case)
        return contest.run(plan), contest.skipped, torch.about if torch else {}


def ring(ours: Ringmaster, plan: Plan) -> tuple[dict, list[dict], dict]:
    """Causal attention over two processes with a thread each, over loopback."""
    shapes = [(4 * K, 1, 1), (16 * K, 1, 1)] if plan.quick else [(4 * K, 1, 1), (16 * K, 1, 1), (64 * K, 1, 1), (16 * K, 8, 1)]
    cases = [
        {"tokens": tokens, "heads": heads, "kv_heads": kv_heads, "head_dim": 128, "dtype": dtype, "causal": True}
        for dtype in ("f32", "bf16")
        for tokens, heads, kv_heads in shapes
    ]

    def mine(case: dict, check: bool) -> dict:
        return ours.attend(case, workers=2, threads=1, check=check)

    contest = Contest("ring", "Causal rings of two processes over loopback", cases, {"ringmaster": mine}, attention_operations)
    about: dict = {}
    with ExitStack() as stack:
        torch = enlist(contest, stack, "torch zigzag over gloo", "torch", "torch_ring.py")
        jax = enlist(contest, stack, "JAX ringattention", "jax", "jax_ring.py")
        for name, peer in (("torch zigzag over gloo", torch), ("JAX ringattention", jax)):
            if peer:
                about |= peer.about
                contest.contenders[name] = attend_by(peer, most=16 * K if peer is jax else None)
        return contest.run(plan), contest.skipped, about


def attend_by(peer: Peer, most: int | None) -> Runner:
    """A peer's ring, up to a length beyond which a case would take minutes."""

    def run(case: dict, check: bool) -> dict:
        if most and case["tokens"] > most:
            raise Skipped(f"not asked beyond {most:,} tokens, where a case takes minutes")
        return peer.ask(check=check, **case)

    return run


def workers(ours: Ringmaster, plan: Plan) -> tuple[dict, list[dict], dict]:
    """What the ring costs: the same problem, with as many threads in all, on one worker and on several."""
    tokens = 16 * K if plan.quick else 64 * K
    cases = [{"tokens": tokens, "heads": 1, "kv_heads": 1, "head_dim": 128, "dtype": dtype, "causal": True} for dtype in ("f32", "bf16")]
    # On two cores four workers share them, so their efficiency is a lower bound.
    ways = {"ringmaster, 1 worker": (1, 2), "ringmaster, 2 workers": (2, 1), "ringmaster, 4 workers": (4, 1)}
    contenders = {name: attend_on(ours, *way) for name, way in ways.items()}
    contest = Contest("workers", "One problem on one worker of two threads, and on rings", cases, contenders, attention_operations)
    result = contest.run(plan)
    for row in result["rows"]:
        alone = row["contenders"].get("ringmaster, 1 worker")
        for name, (count, _) in ways.items():
            if alone and name in row["contenders"]:
                answer = row["contenders"][name]
                answer["workers"], answer["efficiency"] = count, alone["seconds"] / answer["seconds"]
    return result, contest.skipped, {}


def attend_on(ours: Ringmaster, workers: int, threads: int) -> Runner:
    return lambda case, check: ours.attend(case, workers, threads)


def prefill(ours: Ringmaster, plan: Plan) -> tuple[dict, list[dict], dict]:
    """A whole model's prefill: the same random bf16 weights for both."""
    cases = [{"tokens": tokens} for tokens in ([512] if plan.quick else [4 * K, 16 * K])]
    shape = "2 layers, hidden size 512, 4:1 heads of 128" if plan.quick else "4 layers, hidden size 2048, 16:4 heads of 128"
    contest = Contest("prefill", f"Prefill of a Llama of {shape}", cases, {})
    try:
        python = prepare("llama")
        model = checkpoint(python, plan.quick)
        prompts = {case["tokens"]: prompt(model, case["tokens"]) for case in cases}
    except Skipped as reason:
        contest.skip("llama.cpp", str(reason))
        return contest.run(plan), contest.skipped, {}
    for name, way in {"ringmaster, 1 worker of 2 threads": (1, 2), "ringmaster, 2 workers of 1": (2, 1)}.items():
        contest.contenders[name] = prefill_on(ours, model, prompts, *way)
    about: dict = {}
    with ExitStack() as stack:
        longest = max(case["tokens"] for case in cases)
        llama = enlist(contest, stack, "llama.cpp", "llama", "llama_prefill.py", str(model / "model.gguf"), "--context", str(longest))
        if llama:
            ids = {tokens: json.loads(path.read_text()) for tokens, path in prompts.items()}
            try:
                about = llama.about | {"logits_difference": same_model(ours, llama, model)}
                contest.contenders["llama.cpp, 2 threads"] = lambda case, check: llama.ask(tokens=ids[case["tokens"]])
            except Skipped as reason:
                contest.skip("llama.cpp", str(reason))
        return contest.run(plan), contest.skipped, about


def prefill_on(ours: Ringmaster, model: Path, prompts: dict[int, Path], workers: int, threads: int) -> Runner:
    return lambda case, check: ours.prefill(model, prompts[case["tokens"]], workers, threads)


def checkpoint(python: Path, quick: bool) -> Path:
    """The folder of the random checkpoint, made where it is not there yet."""
    folder = FOLDER / ("llama-small" if quick else "llama-2048x4")
    if not (folder / "complete").exists():
        small = ["--hidden", "512", "--heads", "4", "--kv-heads", "1", "--intermediate", "2048", "--layers", "2"] if quick else []
        made = subprocess.run(
            [str(python), str(ROOT / "Benchmarks/peers/checkpoint.py"), str(folder), *small], capture_output=True, text=True
        )
        if made.returncode != 0:
            raise Skipped(f"checkpoint.py: {made.stderr.strip().splitlines()[-1]}")
    return folder


def prompt(model: Path, tokens: int) -> Path:
    """A file of random token ids."""
    path = model / f"prompt-{tokens}.json"
    generator = random.Random(tokens)
    path.write_text(json.dumps([generator.randrange(2, 1024) for _ in range(tokens)]))
    return path


def same_model(ours: Ringmaster, llama: Peer, model: Path) -> float:
    """Largest difference of the last logits of 64 tokens, over their range: that both read the weights alike. llama.cpp keeps f16 keys."""
    short, out = prompt(model, 64), model / "logits.safetensors"
    inputs = ["--model", shown(model), "--prompt-tokens-file", shown(short), "--max-tokens", "0", "--workers", "2"]
    ours.run("run", *inputs, "--logits", shown(out), "--logits-rows", "63")
    theirs = llama.ask(tokens=json.loads(short.read_text()), logits=True)["logits"]
    data = out.read_bytes()
    header = 8 + int.from_bytes(data[:8], "little")
    begin, end = json.loads(data[8:header])["logits"]["data_offsets"]
    mine = memoryview(data[header + begin : header + end]).cast("f").tolist()
    return max(abs(a - b) for a, b in zip(mine, theirs, strict=True)) / (max(mine) - min(mine))


COMPARISONS = {"kernel": kernel, "ring": ring, "workers": workers, "prefill": prefill}

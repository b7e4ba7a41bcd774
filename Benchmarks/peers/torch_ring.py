"""A zigzag ring of two processes over gloo with torch's CPU kernel, timed on request (see peer.py). Runs in the environment `torch`.

This is what the open ring attentions for torch do on a CPU, without their flaws: exchange posted before the compute, half blocks where
the other half is masked, partials merged in f32 by their log-sum-exp, and empty partials and large gaps merged right.
"""

from __future__ import annotations

import os
import socket
import time
from multiprocessing.connection import Connection

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from peer import serve
from torch_kernel import flash

WORLD = 2


class State:
    """Partials of a rank: out [1, heads, tokens, d] and lse [1, heads, tokens], f32, natural logarithm."""

    def __init__(self, heads: int, tokens: int, d: int):
        self.out = torch.zeros(1, heads, tokens, d)
        self.lse = torch.full((1, heads, tokens), float("-inf"))

    def merge(self, rows: slice, out: torch.Tensor, lse: torch.Tensor) -> None:
        """Merges another partial into some rows. logaddexp gives -inf for two empty partials, and their weight is 0, not NaN."""
        mine = self.lse[:, :, rows]
        both = torch.logaddexp(mine, lse)
        weight = torch.where(both == float("-inf"), 0.0, torch.exp(lse - both))
        self.out[:, :, rows] += weight[..., None] * (out.float() - self.out[:, :, rows])
        self.lse[:, :, rows] = both


def chunks(rank: int, tokens: int) -> list[slice]:
    """The low and the high chunk of a rank."""
    width = tokens // (2 * WORLD)
    low, high = rank, 2 * WORLD - 1 - rank
    return [slice(low * width, (low + 1) * width), slice(high * width, (high + 1) * width)]


def ring(rank: int, q: torch.Tensor, kv: torch.Tensor, spare: torch.Tensor) -> State:
    """Causal attention of this rank's queries [1, H, s, d] over all keys and values; kv [2, 1, K, s, d] is this rank's block."""
    _, heads, tokens, d = q.shape
    half = tokens // 2
    everything, low, high = slice(0, tokens), slice(0, half), slice(half, tokens)
    state = State(heads, tokens, d)
    for step in range(WORLD):
        owner = (rank - step) % WORLD
        works = []
        if step + 1 < WORLD:
            works = [dist.isend(kv, (rank + 1) % WORLD), dist.irecv(spare, (rank - 1) % WORLD)]
        if owner == rank:
            state.merge(everything, *flash(q, kv[0], kv[1], 0.0, True))
        elif owner < rank:
            state.merge(everything, *flash(q, kv[0][:, :, low], kv[1][:, :, low], 0.0, False))
        else:
            state.merge(high, *flash(q[:, :, high], kv[0], kv[1], 0.0, False))
        for work in works:
            work.wait()
        kv, spare = spare, kv
    return state


def tensors(request: dict) -> tuple[torch.Tensor, torch.Tensor]:
    """The whole problem, the same on each rank: q [1, H, S, d] and kv [2, 1, K, S, d]."""
    generator = torch.Generator().manual_seed(0)
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[request["dtype"]]
    tokens, d = request["tokens"], request["head_dim"]
    q = torch.randn(1, request["heads"], tokens, d, generator=generator).to(dtype)
    return q, torch.randn(2, 1, request["kv_heads"], tokens, d, generator=generator).to(dtype)


def error(state: State, q: torch.Tensor, kv: torch.Tensor, mine: list[slice]) -> float:
    """Largest difference from double precision over 16 rows of this rank, first and last among them, all heads."""
    positions = torch.cat([torch.arange(part.start, part.stop) for part in mine])
    picked = torch.linspace(0, len(positions) - 1, 16).long()
    worst = 0.0
    for head in range(q.shape[1]):
        group = head // (q.shape[1] // kv.shape[2])
        keys, values = kv[0, 0, group].double(), kv[1, 0, group].double()
        scores = q[0, head, positions[picked]].double() @ keys.T / q.shape[-1] ** 0.5
        scores.masked_fill_(torch.arange(keys.shape[0])[None, :] > positions[picked][:, None], float("-inf"))
        worst = max(worst, (state.out[0, head, picked].double() - scores.softmax(-1) @ values).abs().max().item())
    return worst


def rank_main(rank: int, port: int, pipe: Connection) -> None:
    """One process of the ring: a core and a thread of its own, as each worker of ours has."""
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[rank]})
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=WORLD)
    shape: dict | None = None
    while (request := pipe.recv()) is not None:
        wanted = {key: request[key] for key in ("tokens", "heads", "kv_heads", "head_dim", "dtype")}
        with torch.inference_mode():
            if wanted != shape:
                q, kv = tensors(wanted)
                mine = chunks(rank, wanted["tokens"])
                own_q = torch.cat([q[:, :, part] for part in mine], 2)
                own_kv = torch.cat([kv[:, :, :, part] for part in mine], 3)
                spare = torch.empty_like(own_kv)
                shape = wanted
            # The exchange overwrites the block, so each run starts from a copy, made before the clock.
            block = own_kv.clone()
            dist.barrier()
            start = time.perf_counter()
            state = ring(rank, own_q, block, spare)
            seconds = time.perf_counter() - start
            pipe.send((seconds, error(state, q, kv, mine) if request.get("check") else 0.0))
    dist.destroy_process_group()


def main() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = mp.get_context("spawn")
    pipes, processes = [], []
    for rank in range(WORLD):
        ours, theirs = context.Pipe()
        processes.append(context.Process(target=rank_main, args=(rank, port, theirs), daemon=True))
        pipes.append(ours)
        processes[-1].start()

    def answer(request: dict) -> dict:
        if request["tokens"] % (2 * WORLD):
            raise ValueError(f"{request['tokens']} tokens do not divide by {2 * WORLD}")
        for pipe in pipes:
            pipe.send(request)
        results = [pipe.recv() for pipe in pipes]
        return {"seconds": max(seconds for seconds, _ in results), "max_abs_error": max(worst for _, worst in results)}

    serve({"torch": torch.__version__}, answer)
    for pipe in pipes:
        pipe.send(None)
    for process in processes:
        process.join(timeout=10)


if __name__ == "__main__":
    main()

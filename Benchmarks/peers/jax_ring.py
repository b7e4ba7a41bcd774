"""The original ring attention (ringattention 0.1.2 on JAX) over two host devices, timed on request (see peer.py). Environment `jax`.

As published: contiguous shards, so that causal work is not balanced, as many key heads as query heads, one process with a device a rank.
"""

from __future__ import annotations

import os

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
os.environ["JAX_PLATFORMS"] = "cpu"

import time
from functools import partial
from importlib.metadata import version

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.shard_map import shard_map
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from ringattention import ringattention

from peer import serve

CHUNK = 512


def build(causal: bool):
    """The compiled ring over arrays [1, S, H, d], and how they lie."""
    mesh = Mesh(np.array(jax.devices()), ("sp",))
    spec = PartitionSpec(None, "sp", None, None)
    settings = dict(
        causal_block_size=1 if causal else None,
        deterministic=True,
        dropout_rng=None,
        attn_pdrop=0.0,
        query_chunk_size=CHUNK,
        key_chunk_size=CHUNK,
        dtype=jnp.float32,
        policy=jax.checkpoint_policies.nothing_saveable,
        precision=None,
        prevent_cse=False,
    )
    body = partial(ringattention, axis_name="sp", float32_logits=True, blockwise_kwargs=settings)
    ring = shard_map(lambda q, k, v: body(q, k, v, None, None, None), mesh=mesh, in_specs=(spec,) * 3, out_specs=spec, check_rep=False)
    return jax.jit(ring), NamedSharding(mesh, spec)


def error(out: np.ndarray, q: np.ndarray, k: np.ndarray, v: np.ndarray) -> float:
    """Largest difference from double precision over 32 rows, causal."""
    rows = np.linspace(0, q.shape[1] - 1, 32).astype(int)
    worst = 0.0
    for head in range(q.shape[2]):
        scores = q[0, rows, head].astype(np.float64) @ k[0, :, head].astype(np.float64).T / q.shape[-1] ** 0.5
        scores[np.arange(k.shape[1])[None, :] > rows[:, None]] = -np.inf
        weights = np.exp(scores - scores.max(1, keepdims=True))
        expected = weights / weights.sum(1, keepdims=True) @ v[0, :, head].astype(np.float64)
        worst = max(worst, float(np.abs(out[0, rows, head].astype(np.float64) - expected).max()))
    return worst


class Problem:
    def __init__(self):
        self.shape: tuple | None = None
        self.ring, self.sharding = build(causal=True)

    def answer(self, request: dict) -> dict:
        if request["heads"] != request["kv_heads"]:
            raise ValueError("it has no grouped heads")
        shape = (1, request["tokens"], request["heads"], request["head_dim"])
        if (shape, request["dtype"]) != self.shape:
            generator = np.random.default_rng(0)
            dtype = {"f32": jnp.float32, "bf16": jnp.bfloat16}[request["dtype"]]
            self.inputs = [
                jax.device_put(jnp.asarray(generator.standard_normal(shape, dtype=np.float32)).astype(dtype), self.sharding)
                for _ in range(3)
            ]
            self.shape = (shape, request["dtype"])
            self.ring(*self.inputs).block_until_ready()  # compiles
        start = time.perf_counter()
        out = self.ring(*self.inputs).block_until_ready()
        result = {"seconds": time.perf_counter() - start}
        if request.get("check"):
            result["max_abs_error"] = error(np.asarray(out), *(np.asarray(array.astype(jnp.float32)) for array in self.inputs))
        return result


if __name__ == "__main__":
    serve({"jax": jax.__version__, "ringattention": version("ringattention")}, Problem().answer)

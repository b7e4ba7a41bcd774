"""Ringmaster as a contender: finds the binary, runs a command of it, reads its JSON. Standard library only."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from environments import ROOT, Skipped


def find_binary() -> Path:
    """The binary to measure: RINGMASTER_BINARY, else the shipped one, else the developers' one."""
    named = os.environ.get("RINGMASTER_BINARY")
    for path in [Path(named)] if named else [ROOT / ".build/static/release/ringmaster", ROOT / ".build/release/ringmaster"]:
        if os.access(path, os.X_OK):
            return path.resolve()
    raise SystemExit(f"error: there is no {named or 'ringmaster binary'}: run `Scripts/build shipped`, or set RINGMASTER_BINARY to one")


class Ringmaster:
    def __init__(self, binary: Path):
        self.binary = binary
        self.commands: dict[str, None] = {}  # in the order of their first use

    def run(self, *arguments: str, secret: tuple[str, ...] = ()) -> dict:
        """The JSON that a command printed. `secret` arguments do not matter to a reader and are left out of the list of commands."""
        self.commands["ringmaster " + " ".join(arguments)] = None
        done = subprocess.run(
            [str(self.binary), *arguments, *secret, "--json"], cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        if done.returncode != 0:
            words = done.stderr.strip().splitlines()
            raise Skipped(f"ringmaster {' '.join(arguments)}: exit code {done.returncode}: {words[-1] if words else 'no message'}")
        return json.loads(done.stdout)

    def kernel(self, case: dict) -> dict:
        """One `bench attention`: the median of five passes, taken by the command itself. Keys and values are packed before the clock."""
        arguments = ["--tokens", case["tokens"], "--head-dim", case["head_dim"], "--dtype", case["dtype"], "--threads", case["threads"]]
        result = self.run("bench", "attention", *map(str, arguments), *(["--causal"] if case["causal"] else []))
        return {"seconds": result["seconds"], "peak_gflops": result["peak_gflops"], "isa": result["isa"]}

    def attend(self, case: dict, workers: int, threads: int, check: bool = False) -> dict:
        """One `attend` on worker processes over loopback: seconds of the ring, of the rank that took longest."""
        names = {"tokens": "--tokens", "heads": "--heads", "kv_heads": "--kv-heads", "head_dim": "--head-dim", "dtype": "--dtype"}
        arguments = [word for key, name in names.items() for word in (name, str(case[key]))]
        arguments += ["--causal" if case.get("causal", True) else "--no-causal", "--workers", str(workers), "--threads", str(threads)]
        result = self.run("attend", *arguments, secret=("--verify-rows", "32") if check else ())
        answer = {"seconds": result["seconds"], "exposed": result["exposed_communication_fraction"]}
        return answer | ({"max_abs_error": result["max_abs_error"]} if check else {})

    def prefill(self, model: Path, prompt: Path, workers: int, threads: int) -> dict:
        """One `run` that only prefills."""
        return {
            "seconds": self.run(
                "run",
                "--model",
                shown(model),
                "--prompt-tokens-file",
                shown(prompt),
                "--max-tokens",
                "0",
                "--kv-dtype",
                "bf16",
                "--workers",
                str(workers),
                "--threads",
                str(threads),
            )["timings"]["prefill_seconds"]
        }


def shown(path: Path) -> str:
    """A path from the top of the tree, where our commands run."""
    return os.path.relpath(path, ROOT)

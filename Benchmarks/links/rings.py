"""Rings of worker daemons over links of a chosen rate, against one process with as many threads. Standard library only.

Called by Scripts/bench-links, which says how.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Benchmarks" / "peers"))

import command  # noqa: E402
import machine  # noqa: E402
from cluster import Cluster, Failed  # noqa: E402
from namespaces import Network, require  # noqa: E402
from ours import find_binary  # noqa: E402


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="Scripts/bench-links", description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 4], metavar="N", help="rings of so many workers (default 2 4)")
    parser.add_argument("--rate", type=float, default=1.0, metavar="G", help="Gbit/s of each link, each way; 0 is unshaped (default 1)")
    parser.add_argument("--delay", type=float, default=0.0, metavar="MS", help="milliseconds from one machine to another (default 0)")
    parser.add_argument("--tokens", default="64k", nargs="+", metavar="N", help="lengths, like 8k or 262144 (default 64k)")
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--kv-heads", type=int, default=1)
    parser.add_argument("--head-dim", type=int, default=128)
    parser.add_argument("--dtype", choices=("f32", "bf16"), default="bf16")
    parser.add_argument("--pairs", type=int, default=3, metavar="N", help="runs of ring and single process, by turns (default 3)")
    parser.add_argument("--around", default="", metavar="CMD", help="run each job under this command, like 'flock FILE'")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the result as JSON, too")
    options = parser.parse_args()
    if options.pairs < 1 or min(options.workers) < 2 or max(options.workers) > 64:
        parser.error("--pairs is at least 1, --workers 2 to 64")
    if options.rate < 0 or options.delay < 0:
        parser.error("--rate and --delay are not negative")
    options.tokens = [options.tokens] if isinstance(options.tokens, str) else options.tokens
    return options


def figures(answer: dict) -> dict:
    """What of a job's report is compared."""
    ranks = answer["worker_figures"]
    steps = [step for rank in ranks for step in rank["ring_steps"]]
    # A hop's message is on its way from the later of its two posts; the shorter of the two waits holds it.
    return {
        "seconds": answer["seconds"],
        "gflops": answer["gflops"],
        "exposed": answer["exposed_communication_fraction"],
        "bytes_sent": sum(step["bytes_sent"] for step in steps),
        "bytes_sent_by_rank_max": max(sum(step["bytes_sent"] for step in rank["ring_steps"]) for rank in ranks),
    }


def middle(runs: list[dict], name: str) -> float:
    return statistics.median(run[name] for run in runs)


def predict(binary: Path, shape: list[str], workers: int, threads: int, rate: float) -> dict | None:
    """What the planner says of the same ring over the same links on machines that share these cores; `None` where it cannot say."""
    if rate <= 0:
        return None
    words = ["attend", *shape, "--workers", str(workers), "--threads", str(threads), "--plan", "--link-gbits", f"{rate:g}", "--json"]
    done = subprocess.run([str(binary), *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Failed(f"ringmaster {' '.join(words)}: {done.stderr.strip()}")
    return next(one for one in json.loads(done.stdout)["candidates"] if one["schedule"] == "pass-kv")


def compare(binary: Path, cluster: Cluster, shape: list[str], workers: int, options: argparse.Namespace) -> dict:
    """A ring and a single process by turns; which of them is first changes with every pair, so that a drift hits both."""
    cores = len(os.sched_getaffinity(0))
    each = max(1, cores // workers)
    ways = {"ring": (workers, each), "single": (1, min(cores, workers * each))}
    told, runs = [], {name: [] for name in ways}
    for turn in range(options.pairs):
        for name in list(ways)[:: 1 if turn % 2 == 0 else -1]:
            print(f"{' '.join(shape[:2])}, {workers} workers: pair {turn + 1} of {options.pairs}, {name}", file=sys.stderr)
            runs[name].append(figures(cluster.attend(shape, *ways[name])))
        if predicted := predict(binary, shape, workers, each, options.rate):
            told.append(predicted)
    ring, single = runs["ring"], runs["single"]
    sent = ring[0]["bytes_sent_by_rank_max"]
    return {
        "efficiency": statistics.median(s["seconds"] / r["seconds"] for r, s in zip(ring, single, strict=True)),
        "exposed": middle(ring, "exposed"),
        "tokens": shape[1],
        "workers": workers,
        "threads_each": each,
        "threads_single": ways["single"][1],
        "ring_seconds": middle(ring, "seconds"),
        "single_seconds": middle(single, "seconds"),
        "predicted_seconds": statistics.median(one["seconds"] for one in told) if told else None,
        "bytes_sent_by_rank": sent,
        # Were nothing computed meanwhile.
        "wire_seconds": sent * 8 / (options.rate * 1e9) if options.rate > 0 else None,
        "gflops": middle(ring, "gflops"),
        "runs": runs,
    }


def table(rows: list[dict]) -> str:
    head = ["efficiency", "exposed", "tokens", "workers", "ring s", "one process s", "predicted s", "sent by a rank", "wire alone s"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        optional = [f"{row[name]:.3f}" if row[name] is not None else "-" for name in ("predicted_seconds", "wire_seconds")]
        cells = [f"{100 * row['efficiency']:.1f}%", f"{100 * row['exposed']:.2f}%", row["tokens"], str(row["workers"])]
        cells += [f"{row['ring_seconds']:.3f}", f"{row['single_seconds']:.3f}", optional[0]]
        cells += [f"{row['bytes_sent_by_rank'] / 1e6:.1f} MB", optional[1]]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def measure(options: argparse.Namespace) -> dict:
    require()
    binary, rows, links = find_binary(), [], {}
    report = {
        "kind": "links",
        "date": machine.now(),
        "command": shlex.join(["Scripts/bench-links", *sys.argv[1:]]),
        "commit": machine.commit(),
        "machine": machine.describe(),
        "rate_gbits": options.rate,
        "delay_ms": options.delay,
        "tcp": {name: Path(f"/proc/sys/net/{name}").read_text().split() for name in ("ipv4/tcp_congestion_control", "core/wmem_max")},
    }
    for workers in options.workers:
        with tempfile.TemporaryDirectory(prefix="bench-links-") as folder, Network(workers, options.rate, options.delay) as network:
            links[str(workers)] = network.probe()
            print(f"{workers} machines; a plain TCP connection carries {links[str(workers)]:.3f} Gbit/s", file=sys.stderr)
            cluster = Cluster(binary, network, Path(folder), shlex.split(options.around))
            try:
                for tokens in options.tokens:
                    shape = ["--tokens", tokens, "--heads", str(options.heads), "--kv-heads", str(options.kv_heads)]
                    shape += ["--head-dim", str(options.head_dim), "--dtype", options.dtype]
                    rows.append(compare(binary, cluster, shape, workers, options))
            finally:
                cluster.close()
    return report | {"probed_gbits": links, "rows": rows}


def main() -> int:
    return command.run(arguments(), measure, table)


if __name__ == "__main__":
    sys.exit(main())

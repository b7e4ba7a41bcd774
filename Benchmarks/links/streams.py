"""The data plane beside iperf3: one connection each, over loopback and over a virtual link. Standard library only.

Called by Scripts/bench-iperf, which says how.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Benchmarks" / "peers"))

import command  # noqa: E402
import machine  # noqa: E402
from cluster import Failed  # noqa: E402
from namespaces import Missing, Namespace, Network, end, require  # noqa: E402
from ours import find_binary  # noqa: E402


class Place:
    """Where both ends run: two machines of a network, or this one."""

    def __init__(self, name: str, address: str, ends: tuple[Namespace, Namespace] | None):
        self.name, self.address, self.ends = name, address, ends

    def start(self, end: int, command: list[str]) -> subprocess.Popen:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        if self.ends:
            return self.ends[end].start(command, **pipes)
        return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], stdin=subprocess.DEVNULL, start_new_session=True, **pipes)

    def ask(self, command: list[str]) -> dict:
        """A command of the measuring end that prints JSON."""
        process = self.start(0, command)
        try:
            out, said = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            raise Failed(f"{shlex.join(command)} does not end") from None
        finally:
            end(process)
        if process.returncode != 0:
            raise Failed(f"{shlex.join(command)}: exit code {process.returncode}: {(said or out).strip()[-300:]}")
        return json.loads(out)


def iperf(place: Place, seconds: float, length: str) -> float:
    """Bytes per second of one stream."""
    server = place.start(1, ["iperf3", "--server", "--one-off", "--bind", place.address, "--port", "5201", "--forceflush"])
    try:
        assert server.stdout
        while "listening" not in (line := server.stdout.readline()):
            if not line:
                raise Failed(f"iperf3 does not listen: {server.stderr.read().strip()}")
        words = ["--client", place.address, "--port", "5201", "--time", f"{seconds:g}", "--length", length, "--json"]
        return place.ask(["iperf3", *words])["end"]["sum_received"]["bits_per_second"] / 8
    finally:
        end(server)


def ours(place: Place, binary: Path, secret: Path, mebibytes: int) -> dict[int, float]:
    """Bytes per second by message size."""
    words = [str(binary), "bench", "transport", "--mebibytes", str(mebibytes), "--secret-file", str(secret)]
    answering = place.start(1, [*words, "--answer", f"{place.address}:0"])
    try:
        assert answering.stderr
        line = answering.stderr.readline()
        if "answering at" not in line:
            raise Failed(f"ringmaster bench transport --answer: {line.strip()}")
        report = place.ask([*words, "--to", line.split()[-1], "--json"])
        return {row["message_bytes"]: row["bytes_per_second"] for row in report["messages"]}
    finally:
        end(answering)


def compare(place: Place, binary: Path, secret: Path, options: argparse.Namespace) -> dict:
    """Rounds, each contender once a round and first by turns, so that a busy neighbour strikes all alike."""
    runs: dict[str, list] = {"ringmaster": [], **{f"iperf3 -l {length}": [] for length in options.length}}
    for turn in range(options.rounds):
        for name in list(runs)[:: 1 if turn % 2 == 0 else -1]:
            print(f"{place.name}: round {turn + 1} of {options.rounds}, {name}", file=sys.stderr)
            if name == "ringmaster":
                runs[name].append(ours(place, binary, secret, options.mebibytes))
            else:
                runs[name].append(iperf(place, options.seconds, name.split()[-1]))
            time.sleep(0.1)
    theirs = {name: statistics.median(values) for name, values in runs.items() if name != "ringmaster"}
    best = max(theirs, key=theirs.get)
    mine = {size: statistics.median(run[size] for run in runs["ringmaster"]) for size in runs["ringmaster"][0]}
    return {
        "place": place.name,
        "iperf3": theirs,
        "best": best,
        "messages": [{"bytes": size, "bytes_per_second": speed, "ratio": speed / theirs[best]} for size, speed in mine.items()],
        "runs": runs,
    }


def table(rows: list[dict]) -> str:
    lines = ["| ratio | place | message | ringmaster GB/s | iperf3 GB/s |", "|---|---|---|---|---|"]
    for row in rows:
        for one in row["messages"]:
            speeds = f"{one['bytes_per_second'] / 1e9:.3f} | {row['iperf3'][row['best']] / 1e9:.3f} ({row['best'][7:]})"
            lines.append(f"| {100 * one['ratio']:.1f}% | {row['place']} | {one['bytes']} | {speeds} |")
    return "\n".join(lines)


def measure(options: argparse.Namespace) -> dict:
    if not shutil.which("iperf3"):
        raise Missing("iperf3 (Debian package iperf3)")
    binary = find_binary()
    report = {
        "kind": "streams",
        "date": machine.now(),
        "command": shlex.join(["Scripts/bench-iperf", *sys.argv[1:]]),
        "commit": machine.commit(),
        "machine": machine.describe(),
        "iperf3": subprocess.run(["iperf3", "--version"], capture_output=True, text=True).stdout.splitlines()[0],
        "rows": [],
    }
    with tempfile.TemporaryDirectory(prefix="bench-iperf-") as folder:
        secret = Path(folder) / "secret"
        with open(os.open(secret, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
            file.write(secrets.token_hex(32) + "\n")
        if "loopback" in options.places:
            report["rows"].append(compare(Place("loopback", "127.0.0.1", None), binary, secret, options))
        if "veth" in options.places:
            require()
            with Network(2, options.rate, 0) as network:
                name = f"veth, {options.rate:g} Gbit/s" if options.rate > 0 else "veth"
                place = Place(name, network.address(1), (network.nodes[0], network.nodes[1]))
                report["rows"].append(compare(place, binary, secret, options))
    return report


def main() -> int:
    parser = argparse.ArgumentParser(prog="Scripts/bench-iperf", description=__doc__)
    parser.add_argument("--places", nargs="+", choices=("loopback", "veth"), default=["loopback", "veth"])
    parser.add_argument("--rate", type=float, default=0.0, metavar="G", help="shape the virtual link to G Gbit/s (default: it is not)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds; medians count (default 5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each iperf3 (default 2)")
    parser.add_argument("--mebibytes", type=int, default=1024, help="that we move for each message size (default 1024)")
    parser.add_argument("--length", nargs="+", default=["128K", "1M"], help="of iperf3's writes; the faster counts (default 128K 1M)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the result as JSON, too")
    return command.run(parser.parse_args(), measure, table)


if __name__ == "__main__":
    sys.exit(main())

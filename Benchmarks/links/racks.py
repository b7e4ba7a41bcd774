"""Racks of machines with a slow link between them: what crosses it, beside the least that must. Standard library only.

Called by Scripts/bench-racks, which says how.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Benchmarks" / "peers"))

import command  # noqa: E402
import machine  # noqa: E402
from cluster import Cluster  # noqa: E402
from namespaces import Namespace, Network, require  # noqa: E402
from ours import find_binary  # noqa: E402


class Racks(Network):
    """Racks of equally many machines, each with a switch; the switches hang on that of the first, by links of one rate. The coordinator's
    machine is the first rack's switch."""

    def __init__(self, racks: int, machines: int, gigabits: float, labelled: bool):
        self.count, self.size, self.labelled = racks, machines, labelled
        self.switches: list[Namespace] = []
        self.between = gigabits
        super().__init__(racks * machines, 0, 0)

    def rack(self, index: int) -> str | None:
        return f"rack-{index // self.size + 1}" if self.labelled else None

    def join(self, index: int) -> Namespace:
        if not self.switches:
            self.switches = [self.hub]
            for number in range(1, self.count):
                self.switches.append(self.switch(number))
        hub, self.hub = self.hub, self.switches[index // self.size]
        try:
            return super().join(index)
        finally:
            self.hub = hub

    def switch(self, number: int) -> Namespace:
        space = self.add(f"switch {number + 1}")
        space.attempt(["ip", "link", "add", "bridge", "type", "bridge"], "bridges (CONFIG_BRIDGE)")
        space.attempt(["ip", "link", "set", "bridge", "up"], "bridges (CONFIG_BRIDGE)")
        down = f"rack{number + 1}"
        veth = ["ip", "link", "add", down, "type", "veth", "peer", "name", "uplink", "netns", str(space.holder.pid)]
        self.hub.attempt(veth, "virtual links (CONFIG_VETH)")
        self.hub.attempt(["ip", "link", "set", down, "master", "bridge", "up"], "bridges (CONFIG_BRIDGE)")
        space.attempt(["ip", "link", "set", "uplink", "master", "bridge", "up"], "bridges (CONFIG_BRIDGE)")
        self.gigabits = self.between
        self.shape(self.hub, down)
        self.shape(space, "uplink")
        self.gigabits = 0
        return space

    def crossed(self) -> tuple[int, int]:
        """Bytes that have left the last rack and come into it, all protocols and headers included."""
        read = "cat /sys/class/net/uplink/statistics/tx_bytes /sys/class/net/uplink/statistics/rx_bytes"
        # The file system of this machine shows the first namespace's devices; a mount of its own shows the right ones.
        words = ["unshare", "--mount", "sh", "-c", f"mount -t sysfs none /sys && {read}"]
        out, into = self.switches[-1].attempt(words, "counters of a virtual link").split()
        return int(out), int(into)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="Scripts/bench-racks", description=__doc__)
    parser.add_argument("--machines", type=int, default=4, metavar="N", help="machines of each of the two racks (default 4)")
    parser.add_argument("--rate", type=float, default=0.1, metavar="G", help="Gbit/s between the racks, each way (default 0.1)")
    parser.add_argument("--tokens", default="32k", metavar="N")
    parser.add_argument("--heads", type=int, default=2)
    parser.add_argument("--kv-heads", type=int, default=2)
    parser.add_argument("--head-dim", type=int, default=128)
    parser.add_argument("--dtype", choices=("f32", "bf16"), default="bf16")
    parser.add_argument("--full", action="store_true", help="no causal mask")
    parser.add_argument("--runs", type=int, default=3, metavar="N")
    parser.add_argument("--around", default="", metavar="CMD", help="run each job under this command, like 'flock FILE'")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the result as JSON, too")
    options = parser.parse_args()
    if not 2 <= options.machines <= 16 or options.runs < 1 or options.rate <= 0:
        parser.error("--machines is 2 to 16, --runs at least 1, --rate above 0")
    return options


def tokens(text: str) -> int:
    return int(text[:-1]) * {"k": 1024, "M": 1024 * 1024}[text[-1]] if text[-1] in "kM" else int(text)


def least(options: argparse.Namespace) -> tuple[int, int]:
    """Payload that must come into the second rack and leave it. Under the causal mask with zigzag shards a rank's low half is seen by all,
    its high half by those of a lower rank: the second rack's high halves by the first, the first's by nobody there."""
    whole = tokens(options.tokens) * options.kv_heads * 2 * options.head_dim * (2 if options.dtype == "bf16" else 4)
    return (whole // 2, whole // 2) if options.full else (whole // 4, whole // 2)


def measure(binary: Path, options: argparse.Namespace, labelled: bool) -> dict:
    shape = ["--tokens", options.tokens, "--heads", str(options.heads), "--kv-heads", str(options.kv_heads)]
    shape += ["--head-dim", str(options.head_dim), "--dtype", options.dtype]
    shape += ["--no-causal"] if options.full else []
    runs = []
    with tempfile.TemporaryDirectory(prefix="ringmaster-racks-") as folder:
        with Racks(2, options.machines, options.rate, labelled) as network:
            cluster = Cluster(binary, network, Path(folder), options.around.split())
            try:
                for number in range(options.runs):
                    print(f"{'groups' if labelled else 'one ring'}: run {number + 1} of {options.runs}", file=sys.stderr)
                    before = network.crossed()
                    answer = cluster.attend(shape, 2 * options.machines, 1)
                    after = network.crossed()
                    runs.append({
                        "seconds": answer["seconds"],
                        "compute_seconds": max(rank["compute_seconds"] for rank in answer["worker_figures"]),
                        "out": after[0] - before[0],
                        "into": after[1] - before[1],
                    })
            finally:
                cluster.close()
    into, out = least(options)
    middle = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    wire = max(middle["into"], middle["out"]) * 8 / (options.rate * 1e9)
    return middle | {
        "groups": labelled,
        "least_into": into,
        "least_out": out,
        "into_of_least": middle["into"] / into,
        "out_of_least": middle["out"] / out,
        "wire_seconds": wire,
        "least_seconds": max(into, out) * 8 / (options.rate * 1e9),
        "runs": runs,
    }


def report(rows: list[dict]) -> str:
    head = ["", "into rack 2", "of the least", "out of rack 2", "of the least", "seconds", "compute s", "least / rate s", "seconds of that"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        cells = ["groups" if row["groups"] else "one ring"]
        for way in ("into", "out"):
            cells += [f"{row[way] / 1e6:.1f} MB", f"{row[f'{way}_of_least']:.3f}"]
        cells += [f"{row['seconds']:.2f}", f"{row['compute_seconds']:.2f}", f"{row['least_seconds']:.2f}"]
        cells += [f"{row['seconds'] / row['least_seconds']:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def both(options: argparse.Namespace) -> dict:
    require()
    binary = find_binary()
    return {
        "kind": "racks",
        "date": machine.now(),
        "commit": machine.commit(),
        "machine": machine.describe(),
        "rate_gbits": options.rate,
        "rows": [measure(binary, options, labelled) for labelled in (True, False)],
    }


def main() -> int:
    return command.run(arguments(), both, report)


if __name__ == "__main__":
    sys.exit(main())

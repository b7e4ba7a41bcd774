"""Machines that this one plays: network namespaces, a bridge between them, and links of a chosen rate. Standard library only.

A namespace lives as long as a process in it. Each is held by a process that ends with its standard input, and all that runs in one is
killed when this process dies (setpriv --pdeathsig), so that nothing stays behind, however it ends.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

TRY_AGAIN = 75
# Where the machines' addresses lie; their network is cut off from everything else.
NETWORK = "10.213.77"


class Missing(Exception):
    """What this machine lacks, in words."""


def require() -> None:
    """Says what is missing before anything is made."""
    for program, package in (("ip", "iproute2"), ("tc", "iproute2"), ("nsenter", "util-linux"), ("setpriv", "util-linux")):
        if not shutil.which(program):
            raise Missing(f"the program {program} (Debian package {package})")
    if os.geteuid() != 0:
        raise Missing("root: network namespaces and traffic shaping are for root")


def attempt(command: list[str], what: str) -> str:
    """Runs a command of the system; what it refuses is what is missing."""
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        words = done.stderr.strip().splitlines()
        raise Missing(f"{what}: {' '.join(command)}: {words[-1] if words else f'exit code {done.returncode}'}")
    return done.stdout


class Namespace:
    """A network namespace of its own, with loopback."""

    def __init__(self, name: str):
        self.name = name
        self.holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert self.holder.stdout and self.holder.stderr
        if not self.holder.stdout.readline():
            raise Missing(f"network namespaces: {self.holder.stderr.read().decode().strip()}")
        self.attempt(["ip", "link", "set", "lo", "up"], "network namespaces")

    def inside(self, command: list[str]) -> list[str]:
        """The command that runs `command` in here."""
        return ["setpriv", "--pdeathsig", "KILL", "nsenter", f"--net=/proc/{self.holder.pid}/ns/net", "--", *command]

    def attempt(self, command: list[str], what: str) -> str:
        return attempt(self.inside(command), what)

    def start(self, command: list[str], **options) -> subprocess.Popen:
        # A group of its own: Ctrl-C reaches this process only, which then ends them in order.
        return subprocess.Popen(self.inside(command), stdin=subprocess.DEVNULL, start_new_session=True, **options)

    def close(self) -> None:
        if self.holder.stdin and not self.holder.stdin.closed:
            self.holder.stdin.close()
        self.holder.wait()


class Network:
    """Some machines on one bridge, each by a link of the same rate and delay in both directions; the bridge has an address, too."""

    def __init__(self, machines: int, gigabits: float, delay_ms: float):
        self.spaces: list[Namespace] = []
        self.gigabits, self.delay_ms = gigabits, delay_ms
        try:
            self.hub = self.add("hub")
            self.hub.attempt(["ip", "link", "add", "bridge", "type", "bridge"], "bridges (CONFIG_BRIDGE)")
            self.hub.attempt(["ip", "address", "add", f"{NETWORK}.254/24", "dev", "bridge"], "an address")
            self.hub.attempt(["ip", "link", "set", "bridge", "up"], "bridges (CONFIG_BRIDGE)")
            self.nodes = [self.join(index) for index in range(machines)]
        except BaseException:
            self.close()
            raise

    @staticmethod
    def address(index: int) -> str:
        return f"{NETWORK}.{index + 1}"

    hub_address = f"{NETWORK}.254"

    def rack(self, index: int) -> str | None:
        """The name of the rack that a machine says it is in."""
        return None

    def add(self, name: str) -> Namespace:
        space = Namespace(name)
        self.spaces.append(space)
        return space

    def join(self, index: int) -> Namespace:
        space, port = self.add(f"node {index + 1}"), f"port{index + 1}"
        veth = ["ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", str(space.holder.pid)]
        self.hub.attempt(veth, "virtual links (CONFIG_VETH)")
        self.hub.attempt(["ip", "link", "set", port, "master", "bridge", "up"], "bridges (CONFIG_BRIDGE)")
        space.attempt(["ip", "address", "add", f"{self.address(index)}/24", "dev", "eth0"], "an address")
        space.attempt(["ip", "link", "set", "eth0", "up"], "virtual links (CONFIG_VETH)")
        # Out of the machine, and into it: each end of the pair shapes what it sends.
        for end, device in ((space, "eth0"), (self.hub, port)):
            self.shape(end, device)
        return space

    def shape(self, space: Namespace, device: str) -> None:
        """What leaves by `device` leaves at the rate. The bucket holds a millisecond, the queue before it 50: a switch's buffer."""
        parent = ["root"]
        if self.delay_ms > 0:
            # A message passes two shaped devices, its sender's and the bridge's: half of the delay at each.
            held = ["netem", "delay", f"{self.delay_ms / 2}ms", "limit", "100000"]
            space.attempt(["tc", "qdisc", "add", "dev", device, "root", "handle", "1:", *held], "the queue netem (CONFIG_NET_SCH_NETEM)")
            parent = ["parent", "1:1"]
        if self.gigabits > 0:
            burst = max(int(self.gigabits * 1e9 / 8 / 1000), 65536 * 2)
            rate = ["tbf", "rate", f"{int(self.gigabits * 1e9)}bit", "burst", str(burst), "latency", "50ms"]
            space.attempt(["tc", "qdisc", "add", "dev", device, *parent, *rate], "the queue tbf (CONFIG_NET_SCH_TBF)")

    def probe(self, seconds: float = 1.0) -> float:
        """Gbit/s of payload that one plain TCP connection from the first machine to the second carries."""
        here = str(Path(__file__).resolve())
        sink = self.nodes[1].start([sys.executable, here, "sink", self.address(1)], stdout=subprocess.PIPE, text=True)
        assert sink.stdout
        port = sink.stdout.readline().strip()
        self.nodes[0].attempt([sys.executable, here, "source", self.address(1), port, str(seconds)], "a TCP connection between machines")
        answer = float(sink.stdout.readline())
        sink.wait()
        return answer * 8 / 1e9

    def close(self) -> None:
        for space in reversed(self.spaces):
            space.close()

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *_) -> None:
        self.close()


def end(process: subprocess.Popen, patience: float = 10) -> None:
    """Asks a process to end, and then does not ask."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main() -> None:
    """The two ends of a probe."""
    import socket

    if sys.argv[1] == "sink":
        with socket.create_server((sys.argv[2], 0)) as server:
            print(server.getsockname()[1], flush=True)
            connection, _ = server.accept()
            room, count, start = bytearray(1 << 20), 0, time.monotonic()
            while got := connection.recv_into(room):
                count += got
            print(count / (time.monotonic() - start), flush=True)
    else:
        with socket.create_connection((sys.argv[2], int(sys.argv[3])), timeout=10) as connection:
            piece, until = bytes(1 << 20), time.monotonic() + float(sys.argv[4])
            while time.monotonic() < until:
                connection.sendall(piece)


if __name__ == "__main__":
    main()

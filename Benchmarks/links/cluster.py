"""A cluster of real daemons on the machines of a network: coordinator with certificates, a worker a machine, jobs. Standard library only."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

from namespaces import Network, end

PATIENCE = 60  # seconds for daemons to come up


class Failed(Exception):
    """A daemon or a command that did not do what it must."""


class Cluster:
    """As Docs/SECURITY.md sets one up: nothing listens beyond loopback without certificates."""

    def __init__(self, binary: Path, network: Network, folder: Path, around: list[str]):
        self.binary, self.network, self.folder, self.around = binary, network, folder, around
        self.state = ["--state", str(folder / "state")]
        self.processes: list[subprocess.Popen] = []
        self.job: subprocess.Popen | None = None
        made = self.run("cluster", "init", *self.state, "--json", "--name", network.hub_address)
        self.fingerprint = json.loads(made)["fingerprint"]
        key = self.run("key", "create", *self.state, "--name", "bench", "--role", "submit")
        self.write("key", key)
        try:
            self.address = self.coordinator()
            self.environment = os.environ | {
                "RINGMASTER_COORDINATOR": self.address,
                "RINGMASTER_KEY_FILE": str(folder / "key"),
                "RINGMASTER_AUTHORITY": str(folder / "state" / "authority.pem"),
            }
            for index in range(len(network.nodes)):
                self.worker(index)
            self.wait_for_workers(len(network.nodes))
        except BaseException:
            self.close()
            raise

    def run(self, *arguments: str) -> str:
        done = subprocess.run([str(self.binary), *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise Failed(f"ringmaster {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def write(self, name: str, text: str) -> None:
        with open(os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)

    def coordinator(self) -> str:
        host, log = self.network.hub_address, self.folder / "coordinator.log"
        command = [str(self.binary), "coordinator", "--listen", f"{host}:0", *self.state, "--log-format", "json"]
        with log.open("w") as said:
            process = self.network.hub.start(command, stdout=said, stderr=said)
        self.processes.append(process)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and process.poll() is None:
            for line in log.read_text().splitlines():
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                if entry.get("msg") == "ready":
                    return entry["address"]
            time.sleep(0.05)
        raise Failed(f"the coordinator does not come up: {log.read_text().strip()[-500:]}")

    def worker(self, index: int) -> None:
        name = f"node-{index + 1}"
        token = json.loads(self.run("token", "create", *self.state, "--json"))["token"]
        self.write(f"{name}.token", token + "\n")
        # The machines share this one's cores, so none is faster than another, whatever it would measure beside them.
        command = [str(self.binary), "worker", "--coordinator", self.address, "--name", name, "--speed", "1"]
        command += ["--state", str(self.folder / name), "--data", str(self.folder), "--models", str(self.folder)]
        command += ["--join-token-file", str(self.folder / f"{name}.token"), "--authority-fingerprint", self.fingerprint]
        command += ["--data-listen", f"{self.network.address(index)}:0"]
        # These machines are one host, whose workers would share memory: it is the links that are measured.
        command += ["--transport", "tcp"]
        if rack := self.network.rack(index):
            command += ["--rack", rack]
        with (self.folder / f"{name}.log").open("w") as said:
            self.processes.append(self.network.nodes[index].start(command, stdout=said, stderr=said))

    def wait_for_workers(self, wanted: int) -> None:
        until, count = time.monotonic() + PATIENCE, 0
        while time.monotonic() < until:
            count = len(json.loads(self.client("status", "--json"))["workers"])
            if count == wanted:
                return
            time.sleep(0.1)
        logs = "\n".join(path.read_text().strip()[-300:] for path in sorted(self.folder.glob("node-*.log")))
        raise Failed(f"{count} of {wanted} workers come up: {logs}")

    def client(self, *arguments: str, around: list[str] | None = None) -> str:
        """A command of a user on the bridge's machine."""
        command = [*(around or []), *self.network.hub.inside([str(self.binary), *arguments])]
        self.job = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment
        )
        out, said = self.job.communicate()
        if self.job.returncode != 0:
            raise Failed(f"ringmaster {' '.join(arguments)}: exit code {self.job.returncode}: {said.strip()[-500:]}")
        return out

    def attend(self, shape: list[str], workers: int, threads: int) -> dict:
        """One job to its end. `around` is a command that it runs under."""
        where = ["--workers", str(workers), "--threads", str(threads), "--follow", "--json"]
        return json.loads(self.client("submit", "attend", *shape, *where, around=self.around))

    def close(self) -> None:
        if self.job:
            end(self.job)
        # Workers first, all at once: each looks after its drain for some seconds.
        for process in self.processes[1:]:
            process.terminate()
        for process in reversed(self.processes):
            end(process)

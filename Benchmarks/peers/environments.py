"""Virtual environments of the peers, one a peer, with pinned versions. Standard library only.

What cannot be had is not an error: the peer is skipped, with the reason, and the other comparisons go on.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".build" / "peers"

# CPU builds of torch are small (200 MB); the default wheel of PyPI brings several GB of CUDA along, so it is taken only when asked for
# by PEERS_TORCH=2.15.0. The first that can be had is taken.
TORCH = [os.environ["PEERS_TORCH"]] if os.environ.get("PEERS_TORCH") else ["2.15.0+cpu", "2.13.0+cpu"]


@dataclass(frozen=True)
class Environment:
    """A virtual environment: its name and the ways to fill it, tried in order."""

    name: str
    ways: list[list[str]]
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def python(self) -> Path:
        return FOLDER / self.name / "bin" / "python"

    @property
    def log(self) -> Path:
        return FOLDER / f"{self.name}.log"


ENVIRONMENTS = {
    "torch": Environment("torch", [[f"torch=={version}", "numpy"] for version in TORCH]),
    # The original ring attention breaks on newer versions of what it stands on.
    "jax": Environment("jax", [["ringattention==0.1.2", "jax==0.4.35", "jaxlib==0.4.35", "flax==0.10.2", "numpy<2.3", "scipy<1.16"]]),
    # llama.cpp is built from the source archive, for this machine's CPU: a ready-made wheel would be built for a lesser one.
    "llama": Environment(
        "llama",
        [["--no-binary", "llama-cpp-python", "llama-cpp-python==0.3.36", "gguf==0.19.0", "numpy"]],
        {"CMAKE_ARGS": "-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF"},
    ),
}


class Skipped(Exception):
    """A peer that cannot be compared, and why."""


def prepare(name: str) -> Path:
    """Makes the environment where it is not there yet, and returns its Python."""
    environment = ENVIRONMENTS[name]
    wanted = repr((environment.ways, environment.variables))
    stamp = FOLDER / name / "complete"
    if stamp.exists() and stamp.read_text() == wanted:
        return environment.python
    FOLDER.mkdir(parents=True, exist_ok=True)
    print(f"{name}: installing into {environment.python.parents[1]}; its log is {environment.log}", file=sys.stderr)
    with environment.log.open("w") as log:
        made = run([sys.executable, "-m", "venv", "--clear", str(FOLDER / name)], log)
        pip = [str(environment.python), "-m", "pip", "install", "--disable-pip-version-check"]
        if not made or not any(run(pip + way, log, environment.variables) for way in environment.ways):
            log.flush()
            raise Skipped(f"{' or '.join(' '.join(way) for way in environment.ways)} cannot be installed: {last_error(environment.log)}")
    stamp.write_text(wanted)
    return environment.python


def run(command: list[str], log, variables: dict[str, str] | None = None) -> bool:
    """Whether the command succeeded; all that it says goes to the log."""
    return subprocess.run(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=os.environ | (variables or {})).returncode == 0


def last_error(path: Path) -> str:
    """The last line of a log that says what was wrong."""
    lines = [line.strip() for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return next((line for line in reversed(lines) if "error" in line.lower()), lines[-1] if lines else "it said nothing")

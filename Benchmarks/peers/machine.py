"""What a result says about where and when it was measured. Standard library only."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from pathlib import Path

from environments import ROOT

TELLING = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_tile", "amx_bf16")


def describe() -> dict:
    """CPU, cores, features that matter to these kernels, kernel, load before the run."""
    cpu, flags = platform.processor() or platform.machine(), set()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        match name.strip():
            case "model name":
                cpu = value.strip()
            case "flags":
                flags = set(value.split())
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "features": [name for name in TELLING if name in flags],
        "linux": platform.release(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def commit() -> str:
    """The commit of the tree, marked when files differ from it."""
    done = subprocess.run(["git", "describe", "--always", "--dirty", "--exclude=*"], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")

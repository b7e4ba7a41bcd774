"""Draws the recorded results as SVG. Standard library only. Called by Scripts/plots, which says how."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import charts
from timeline import hops

ROOT = Path(__file__).resolve().parents[2]
CHARTS = {
    "ring": ("tokens", charts.tokens),
    "workers": ("workers", charts.workers),
    "kernel": ("kernels", charts.kernels),
    "prefill": ("prefill", charts.prefill),
}


def comparisons(folder: Path) -> dict[str, dict]:
    """The newest comparison of each name among the recorded files, with the head of its file, by the date recorded in it."""
    reports: list[dict] = []
    for path in sorted(folder.glob("*.json")):
        try:
            report = json.loads(path.read_text())
        except ValueError as error:
            raise SystemExit(f"error: {path}: {error}") from None
        if not isinstance(report, dict) or report.get("kind") != "peers" or report.get("quick"):
            continue
        reports.append(report)
    found: dict[str, dict] = {}
    for report in sorted(reports, key=lambda report: report["date"]):
        for comparison in report["comparisons"]:
            if comparison["rows"]:
                found[comparison["name"]] = report | comparison
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="Scripts/plots", description=__doc__)
    parser.add_argument("--results", type=Path, default=ROOT / "Benchmarks/results", help="folder of recorded results")
    parser.add_argument("--output", type=Path, default=ROOT / "Docs/plots", help="folder of the drawings")
    parser.add_argument("--trace", type=Path, help="a trace (`ringmaster attend --trace FILE`), drawn as hops.svg")
    parser.add_argument("--note", action="append", default=[], help="a line below the trace: date, CPU, command")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a drawing differs from its results")
    options = parser.parse_args()
    drawings = {}
    for name, comparison in comparisons(options.results).items():
        if name in CHARTS:
            file, draw = CHARTS[name]
            drawings[f"{file}.svg"] = draw(comparison, comparison["rows"])
    if options.trace:
        drawings["hops.svg"] = hops(options.trace, options.note or [options.trace.name])
    if not drawings:
        raise SystemExit(f"error: {options.results} has nothing to draw: run Scripts/bench-peers --json FILE there first")
    options.output.mkdir(parents=True, exist_ok=True)
    stale = []
    for name, text in drawings.items():
        path = options.output / name
        if options.check:
            if not path.exists() or path.read_text() != text:
                stale.append(path)
        else:
            path.write_text(text)
            print(path)
    for path in stale:
        print(f"error: {path} is not what the results say: run Scripts/plots", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())

"""Ringmaster beside its peers on this machine, in one run: prints a table a comparison, writes all as JSON. Standard library only.

Called by Scripts/bench-peers, which says how.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import machine
from comparisons import COMPARISONS
from contest import Plan, table
from environments import Skipped
from ours import Ringmaster, find_binary


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="Scripts/bench-peers", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to this file")
    parser.add_argument("--quick", action="store_true", help="small sizes: minutes instead of half an hour, and no figures to quote")
    parser.add_argument("--only", nargs="+", choices=COMPARISONS, default=list(COMPARISONS), help="these comparisons only")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each case; the median counts (default 3)")
    parser.add_argument("--most-tokens", type=int, default=1 << 40, metavar="N", help="leave out longer cases")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds is at least 1")
    return options


def main() -> int:
    options = arguments()
    ours = Ringmaster(find_binary())
    plan = Plan(options.quick, options.rounds, options.most_tokens)
    report: dict = {
        "kind": "peers",
        "date": machine.now(),
        "command": " ".join(["Scripts/bench-peers", *sys.argv[1:]]),
        "commit": machine.commit(),
        "machine": machine.describe(),
        "versions": {"ringmaster": ours.run("version")["version"]},
        "checks": {},
        "quick": options.quick,
        "comparisons": [],
        "skipped": [],
    }
    here = report["machine"]
    print(f"{report['date']}, {here['cpu']}, {here['cores']} cores ({', '.join(here['features'])}), commit {report['commit']}\n")
    for name in options.only:
        try:
            result, skipped, about = COMPARISONS[name](ours, plan)
        except Skipped as reason:
            print(f"SKIPPED {name}: {reason}", file=sys.stderr)
            report["skipped"].append({"comparison": name, "what": name, "reason": str(reason)})
            continue
        report["comparisons"].append(result)
        report["skipped"] += skipped
        for key, value in about.items():
            report["checks" if isinstance(value, float) else "versions"][key] = value
        print(table(result), flush=True)
    report["commands"] = list(ours.commands)
    print("Versions: " + ", ".join(f"{name} {value}" for name, value in report["versions"].items()))
    for check, value in report["checks"].items():
        print(f"{check}: {value:.2e}")
    print("Our commands, one of each kind (the file of --json has all):")
    for command in {" ".join(command.split()[:2]): command for command in report["commands"]}.values():
        print(f"  {command}")
    for entry in report["skipped"]:
        print(f"Skipped: {entry['comparison']}, {entry['what']}: {entry['reason']}")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=1) + "\n")
        print(f"wrote {options.json}", file=sys.stderr)
    compared = any(len(row["contenders"]) > 1 for result in report["comparisons"] for row in result["rows"])
    if not compared:
        print("error: nothing could be compared", file=sys.stderr)
    return 0 if compared else 1


if __name__ == "__main__":
    sys.exit(main())

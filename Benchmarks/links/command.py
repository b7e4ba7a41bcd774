"""What the commands of this folder do alike: signals, exit codes, JSON or a table. Standard library only."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable

from cluster import Failed
from namespaces import TRY_AGAIN, Missing


def run(options: argparse.Namespace, measure: Callable[[argparse.Namespace], dict], table: Callable[[list[dict]], str]) -> int:
    """Measures, prints, and gives the exit code: 75 for what the machine lacks, 1 for what failed, 130 for Ctrl-C."""
    # A terminated run cleans up as an interrupted one does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        report = measure(options)
    except Missing as what:
        print(f"error: this machine lacks {what}", file=sys.stderr)
        return TRY_AGAIN
    except Failed as what:
        print(f"error: {what}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(json.dumps(report, indent=1) if options.json else table(report["rows"]))
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0

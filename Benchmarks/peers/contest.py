"""Cases and contenders: who is asked what, in turn, and the medians of the answers. Standard library only."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from environments import Skipped

Runner = Callable[[dict, bool], dict]  # a case, and whether to check the result too -> at least "seconds"


@dataclass(frozen=True)
class Plan:
    """How much is to be measured: small sizes, rounds of each case, the longest case."""

    quick: bool
    rounds: int
    most_tokens: int


@dataclass
class Contest:
    """One comparison: what it is, its cases, its contenders (the first is ours), what one case costs."""

    name: str
    title: str
    cases: list[dict]
    contenders: dict[str, Runner]
    operations: Callable[[dict], float] | None = None  # floating-point operations; else a case counts tokens
    skipped: list[dict] = field(default_factory=list)

    def run(self, plan: Plan) -> dict:
        """Round after round, each contender once a round, so that a busy neighbour strikes all alike."""
        rows = []
        cases = [case for case in self.cases if case["tokens"] <= plan.most_tokens]
        for place, case in enumerate(cases):
            print(f"{self.name}: case {place + 1} of {len(cases)}: {words(case)}", file=sys.stderr)
            runs: dict[str, list[dict]] = {}
            out: set[str] = set()
            for turn in range(plan.rounds):
                for name, runner in self.contenders.items():
                    if name in out:
                        continue
                    try:
                        runs.setdefault(name, []).append(runner(case, turn == 0))
                    except Skipped as reason:
                        out.add(name)
                        self.skip(name, f"{words(case)}: {reason}")
            rows.append({"case": case, "contenders": {name: self.sum_up(case, answers) for name, answers in runs.items() if answers}})
        return {"name": self.name, "title": self.title, "rounds": plan.rounds, "rows": rows}

    def skip(self, what: str, reason: str) -> None:
        print(f"SKIPPED {self.name}, {what}: {reason}", file=sys.stderr)
        self.skipped.append({"comparison": self.name, "what": what, "reason": reason})

    def sum_up(self, case: dict, answers: list[dict]) -> dict:
        """Medians; the error is that of the first round."""
        seconds = [answer["seconds"] for answer in answers]
        median = statistics.median(seconds)
        result: dict = {"seconds": median, "runs": seconds}
        if self.operations:
            result["gflops"] = self.operations(case) / median / 1e9
        else:
            result["tokens_per_second"] = case["tokens"] / median
        for key in ("peak_gflops", "exposed"):
            values = [answer[key] for answer in answers if key in answer]
            if values:
                result[key] = statistics.median(values)
        for key in ("max_abs_error", "isa"):
            if key in answers[0]:
                result[key] = answers[0][key]
        return result


def attention_operations(case: dict) -> float:
    """4 d for each visible pair of query and key."""
    tokens, heads = case["tokens"], case.get("heads", 1)
    pairs = tokens * (tokens + 1) / 2 if case.get("causal", True) else tokens * tokens
    return 4.0 * case["head_dim"] * heads * pairs


def words(case: dict) -> str:
    """A case in a few words."""
    parts = [f"{case['tokens']:,} tokens"]
    if "heads" in case:
        parts.append(f"{case['heads']}:{case['kv_heads']} heads of {case['head_dim']}")
    elif "head_dim" in case:
        parts.append(f"d = {case['head_dim']}")
    if "dtype" in case:
        parts.append(case["dtype"])
    if "causal" in case:
        parts.append("causal" if case["causal"] else "full")
    if "threads" in case:
        parts.append(f"{case['threads']} thread{'s' if case['threads'] > 1 else ''}")
    return ", ".join(parts)


def table(result: dict) -> str:
    """A comparison as a Markdown table: rate of each contender, ours over the best of the others, errors."""
    names = list(dict.fromkeys(name for row in result["rows"] for name in row["contenders"]))
    if not names:
        return f"{result['title']}: nothing could be run\n"
    unit = "GFLOP/s" if any("gflops" in answer for row in result["rows"] for answer in row["contenders"].values()) else "tokens/s"
    checked = [n for n in names if any("max_abs_error" in row["contenders"].get(n, {}) for row in result["rows"])]
    head = ["case", *(f"{name}, {unit}" for name in names), "ours / best peer", *(f"error, {name}" for name in checked)]
    lines = [f"{result['title']} (medians of {result['rounds']})", "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in result["rows"]:
        rates = {name: answer.get("gflops", answer.get("tokens_per_second")) for name, answer in row["contenders"].items()}
        peers = [rate for name, rate in rates.items() if not name.startswith("ringmaster")]
        ours = [rate for name, rate in rates.items() if name.startswith("ringmaster")]
        cells = [words(row["case"]), *(f"{rates[name]:,.1f}" if name in rates else "-" for name in names)]
        cells.append(f"**{max(ours) / max(peers):.2f}**" if ours and peers else "-")
        errors = [row["contenders"].get(name, {}).get("max_abs_error") for name in checked]
        cells += ["-" if error is None else f"{error:.1e}" for error in errors]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"

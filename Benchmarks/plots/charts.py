"""The charts that compare: seconds against tokens, efficiency against workers, kernels as bars. Standard library only."""

from __future__ import annotations

from svg import Canvas, Scale

Rows = list[dict]


def caption(result: dict, more: str = "") -> list[str]:
    """When, on what and by what command it was measured."""
    machine = result["machine"]
    first = f"{result['date']} · {machine['cpu']}, {machine['cores']} cores ({', '.join(machine['features'])}) · commit {result['commit']}"
    return [line for line in (more, first, result["command"]) if line]


def seconds_text(value: float) -> str:
    if value == 0:
        return "0"
    return f"{value:g} s" if value >= 1 else f"{value * 1e3:g} ms" if value >= 1e-3 else f"{value * 1e6:g} µs"


def count_text(value: int) -> str:
    for size, name in ((1 << 20, "M"), (1 << 10, "K")):
        if value >= size and value % size == 0:
            return f"{value // size}{name}"
    return f"{value:,}"


def decades(low: float, high: float) -> list[float]:
    """1, 10, 100 ... between two values, with 2 and 5 between where that leaves few."""
    ticks = [10.0**power for power in range(-7, 8) if low <= 10.0**power <= high]
    if len(ticks) < 3:
        ticks = [step * 10.0**power for power in range(-7, 8) for step in (1, 2, 5) if low <= step * 10.0**power <= high]
    return ticks


def tokens(result: dict, rows: Rows) -> str:
    """Seconds of a causal ring against tokens, both logarithmic: a panel for each type."""
    rows = [row for row in rows if row["case"]["heads"] == 1]
    kinds = list(dict.fromkeys(row["case"]["dtype"] for row in rows))
    names = list(dict.fromkeys(name for row in rows for name in row["contenders"]))
    lengths = sorted({row["case"]["tokens"] for row in rows})
    times = [answer["seconds"] for row in rows for answer in row["contenders"].values()]
    low, high = min(times) / 1.6, max(times) * 1.6
    canvas = Canvas(
        860,
        490,
        "A causal ring of two processes",
        "Seconds for exact attention, one head of 128, over loopback on one machine; lower is better",
        caption(result, f"Medians of {result['rounds']} interleaved rounds; one thread a process."),
    )
    canvas.legend(28, 84, [(place, name) for place, name in enumerate(names)])
    width = (860 - 90 - 24 - 50 * (len(kinds) - 1)) / len(kinds)
    for panel, kind in enumerate(kinds):
        left = 90 + panel * (width + 50)
        x = Scale(lengths[0] / 1.25, lengths[-1] * 1.25, left, left + width, True)
        y = Scale(low, high, 375, 124, True)
        canvas.text(left, 114, f"{kind} keys and values", "ink", size=13, weight=600)
        for tick in decades(low, high):
            canvas.line(left, y(tick), left + width, y(tick), "grid")
            canvas.text(left - 8, y(tick) + 4, seconds_text(tick), "soft", anchor="end")
        for tick in lengths:
            canvas.line(x(tick), 375, x(tick), 380, "axis")
            canvas.text(x(tick), 394, count_text(tick), "soft", anchor="middle")
        canvas.line(left, 375, left + width, 375, "axis")
        canvas.text(left + width / 2, 413, "tokens", "soft", anchor="middle")
        for place, name in reversed(list(enumerate(names))):
            here = sorted(
                (row["case"]["tokens"], row["contenders"][name]["seconds"])
                for row in rows
                if row["case"]["dtype"] == kind and name in row["contenders"]
            )
            if here:
                canvas.curve([(x(count), y(value)) for count, value in here], place)
    canvas.text(26, 250, "seconds", "soft", anchor="middle", turned=True)
    return canvas.write()


def workers(result: dict, rows: Rows) -> str:
    """Efficiency of rings against one worker with as many threads."""
    counts = sorted({answer["workers"] for row in rows for answer in row["contenders"].values() if "workers" in answer})
    values = [answer["efficiency"] for row in rows for answer in row["contenders"].values() if "efficiency" in answer]
    floor = min(0.5, int(min(values) * 10) / 10)
    case = rows[0]["case"]
    notes = "Several workers on fewer cores share them, so that their figure is a lower bound: a ring is made for machines of its own."
    canvas = Canvas(
        860,
        435,
        "What the ring itself costs",
        f"Time of one worker over time of a ring with as many cores, {count_text(case['tokens'])} tokens, causal",
        caption(result, notes if max(counts) > result["machine"]["cores"] else ""),
    )
    x = Scale(-0.35, len(counts) - 0.65, 90, 836)
    high = max(1.1, (int(max(values) * 10) + 1) / 10)
    y = Scale(floor, high, 325, 100)
    for tick in range(round(floor * 10), round(high * 10) + 1):
        canvas.line(90, y(tick / 10), 836, y(tick / 10), "axis" if tick == 10 else "grid", dash="5 4" if tick == 10 else "")
        canvas.text(82, y(tick / 10) + 4, f"{tick * 10}%", "soft", anchor="end")
    for place, count in enumerate(counts):
        cores = result["machine"]["cores"]
        canvas.text(x(place), 343, f"{count}" + (f" (on {cores} cores)" if count > cores else ""), "soft", anchor="middle")
    canvas.line(90, 325, 836, 325, "axis")
    canvas.text(463, 361, "workers", "soft", anchor="middle")
    canvas.text(30, 212, "efficiency", "soft", anchor="middle", turned=True)
    for series, row in reversed(list(enumerate(rows))):
        answers = sorted((answer["workers"], answer["efficiency"]) for answer in row["contenders"].values() if "efficiency" in answer)
        canvas.curve([(x(counts.index(count)), y(value)) for count, value in answers], series)
        for count, value in answers:
            if count > 1:
                canvas.text(x(counts.index(count)), y(value) + (-11 if series == 0 else 20), f"{value:.0%}", f"f{series}", anchor="middle")
    canvas.legend(96, 86, [(series, row["case"]["dtype"]) for series, row in enumerate(rows)])
    return canvas.write()


THICK, GAP = 15, 16  # of a bar; between groups


def bars(title: str, unit: str, rows: Rows, names: list[str], labels: list[str], rate: str, caption: list[str]) -> str:
    """A group of bars a case, a bar a contender; where the peak is known, a pale bar up to it."""
    answers = [answer for row in rows for name, answer in row["contenders"].items() if name in names]
    high = 1.05 * max(answer.get(key, 0) for answer in answers for key in (rate, "peak_gflops"))
    group = len(names) * (THICK + 3)
    bottom = 112 + len(rows) * (group + GAP)
    canvas = Canvas(860, bottom + 118, title, f"{unit}; higher is better", caption)
    canvas.legend(28, 84, list(enumerate(names)), bars=True)
    left, right = 176, 748
    x = Scale(0, high, left, right)
    step = next(base * 10**power for power in range(7) for base in (1, 2, 5) if high / (base * 10**power) <= 9)
    for tick in range(0, int(high) + 1, step):
        canvas.line(x(tick), 100, x(tick), bottom, "grid")
        canvas.text(x(tick), bottom + 15, f"{tick:,}", "soft", anchor="middle")
    canvas.text((left + right) / 2, bottom + 31, unit.split(",")[0], "soft", anchor="middle")
    for place, (row, label) in enumerate(zip(rows, labels, strict=True)):
        top = 110 + place * (group + GAP)
        canvas.text(left - 10, top + group / 2 + 3, label, anchor="end")
        for series, name in enumerate(names):
            if name in row["contenders"]:
                bar(canvas, x, top + series * (THICK + 3), series, name, row["contenders"][name], rate)
    canvas.line(left, 100, left, bottom, "axis")
    return canvas.write()


def bar(canvas: Canvas, x: Scale, top: float, series: int, name: str, answer: dict, rate: str) -> None:
    """One contender's bar and its figure."""
    value, peak = answer[rate], answer.get("peak_gflops")
    words = f"{value:,.0f}" + (f" · {value / peak:.0%} of peak" if peak else "")
    if peak:
        canvas.bar(x.start, top, x(peak) - x.start, THICK, f"f{series}", f"peak: {peak:,.0f}", opacity=0.25)
    canvas.bar(x.start, top, x(value) - x.start, THICK, f"f{series}", f"{name}: {words}")
    canvas.text(max(x(value), x(peak) if peak else 0) + 7, top + THICK - 3, words, size=11)


def kernels(result: dict, rows: Rows) -> str:
    """GFLOP/s of attention kernels on one thread, with the peak of the instructions that ours uses."""
    rows = [row for row in rows if row["case"]["threads"] == 1]
    names = [name for name in dict.fromkeys(name for row in rows for name in row["contenders"]) if "SDPA" not in name]
    cases = [row["case"] for row in rows]
    labels = [f"{case['dtype']}, d = {case['head_dim']}, {'causal' if case['causal'] else 'full'}" for case in cases]
    note = (
        "Pale: the peak of multiply-adds in registers, measured between the pieces of our own kernel with the instructions that it uses. "
        "Our output is f32, torch's has the type of the input."
    )
    unit = f"GFLOP/s, one head, {count_text(cases[0]['tokens'])} tokens"
    return bars("Attention kernels on one core", unit, rows, names, labels, "gflops", caption(result, note))


def prefill(result: dict, rows: Rows) -> str:
    """Tokens a second of a whole model's prefill."""
    names = list(dict.fromkeys(name for row in rows for name in row["contenders"]))
    labels = [f"{count_text(row['case']['tokens'])} tokens" for row in rows]
    unit = "tokens/s, 4 layers, hidden size 2048, 16 query and 4 key heads of 128, bf16 weights"
    return bars("Prefill of a Llama-shaped model", unit, rows, names, labels, "tokens_per_second", caption(result))

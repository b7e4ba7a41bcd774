"""A timeline of ring hops from a trace in Chrome's trace-event format, as `--trace` writes it. Standard library only."""

from __future__ import annotations

import json
from pathlib import Path

from charts import seconds_text
from svg import Canvas, Scale

KINDS = ["compute", "send", "receive", "wait", "merge", "other"]
WORDS = {"attend": "compute", "recv": "receive", "exposed": "wait", "linear": "compute"}


def kind(event: dict) -> str:
    """What a slice is, by its category or the first word of its name."""
    for words in (event.get("cat", ""), event.get("name", "")):
        first = words.lower().replace(",", " ").split()[:1]
        if first and WORDS.get(first[0], first[0]) in KINDS:
            return WORDS.get(first[0], first[0])
    return "other"


def read(path: Path) -> tuple[list[dict], dict[tuple, str]]:
    """Complete slices (`ph` X), sorted, and the names of tracks by (pid, tid)."""
    data = json.loads(path.read_text())
    events = data["traceEvents"] if isinstance(data, dict) else data
    named = [event for event in events if event.get("ph") == "M"]
    processes = {event["pid"]: event["args"]["name"] for event in named if event["name"] == "process_name"}
    threads = {(event["pid"], event["tid"]): event["args"]["name"] for event in named if event["name"] == "thread_name"}
    slices = sorted((event for event in events if event.get("ph") == "X"), key=lambda event: event["ts"])
    tracks = sorted({(event["pid"], event["tid"]) for event in slices})
    names = {t: f"{processes.get(t[0], f'process {t[0]}')} · {threads.get(t, f'thread {t[1]}')}" for t in tracks}
    return slices, names


def hops(path: Path, caption: list[str], most: int = 4000) -> str:
    """A row a track; what is too short to see is drawn as a hair. Traces of more slices are cut at the end, and say so."""
    slices, names = read(path)
    if not slices:
        raise ValueError(f"{path} has no slices")
    cut = len(slices) - most
    slices = slices[:most]
    begin = slices[0]["ts"]
    end = max(event["ts"] + event["dur"] for event in slices)
    tracks = list(names)
    row, left, right = 30, 190, 836
    height = 100 + row * len(tracks) + 100
    if cut > 0:
        caption = [f"The first {most:,} slices; {cut:,} more are not drawn.", *caption]
    canvas = Canvas(
        860, height, "Hops of a ring", "Time runs to the right; a row a thread. Sends and receives lie under the compute.", caption
    )
    used = [name for name in KINDS if any(kind(event) == name for event in slices)]
    canvas.legend(28, 84, [(KINDS.index(name), name) for name in used], bars=True)
    x = Scale(0, end - begin, left, right)
    bottom = 100 + row * len(tracks)
    for tick in ticks((end - begin) / 1e6):
        place = x(tick * 1e6)
        canvas.line(place, 98, place, bottom, "grid")
        canvas.text(place, bottom + 16, seconds_text(round(tick, 9)), "soft", anchor="middle")
    canvas.text((left + right) / 2, bottom + 33, "time since the first slice", "soft", anchor="middle")
    for place, track in enumerate(tracks):
        canvas.text(left - 10, 100 + row * place + 20, names[track][:28], anchor="end", size=11)
    # Long slices first, so that what nests in them stays visible.
    for event in sorted(slices, key=lambda event: -event["dur"]):
        top = 100 + row * tracks.index((event["pid"], event["tid"])) + 5
        what = kind(event)
        tip = f"{event['name']}: {seconds_text(round(event['dur'] / 1e6, 7))}"
        canvas.bar(x(event["ts"] - begin), top, x(event["dur"]) - left, row - 10, f"f{KINDS.index(what)}", tip)
    canvas.line(left, 98, left, bottom, "axis")
    return canvas.write()


def ticks(seconds: float) -> list[float]:
    """Round times, five to ten of them."""
    step = next(base * 10.0**power for power in range(-7, 6) for base in (1, 2, 5) if seconds / (base * 10.0**power) <= 9)
    return [step * place for place in range(int(seconds / step) + 1)]

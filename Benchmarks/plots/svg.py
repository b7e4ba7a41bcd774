"""A small drawing board that writes SVG: text, lines, bars, markers, axes, in colours for light and dark pages. Standard library only.

Colours are classes, not values, so that one style block holds them all; series differ in marker and dash too, not in colour alone.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

# Distinguishable with the common colour vision deficiencies (Okabe and Ito 2008), lighter on dark pages.
LIGHT = ["#0068b0", "#c94f00", "#007f5f", "#b0508a", "#9a6a00", "#4b5563"]
DARK = ["#5aaeff", "#ff9a57", "#3ecfa4", "#f09ccb", "#eac23f", "#a9b4c2"]
DASHES = ["", "7 4", "2 4", "9 3 2 3", "4 2", "1 3"]
INKS = {  # class: light, dark
    "card": ("#ffffff", "#0d1117"),
    "ink": ("#1f2328", "#e6edf3"),
    "soft": ("#59636e", "#9198a1"),
    "grid": ("#e3e7eb", "#262c34"),
    "axis": ("#8c959f", "#6e7681"),
}
FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif"


def rules(dark: bool) -> str:
    inks = {name: pair[dark] for name, pair in INKS.items()}
    text = f".card{{fill:{inks['card']}}}.ink{{fill:{inks['ink']}}}.soft{{fill:{inks['soft']}}}"
    text += f".grid{{stroke:{inks['grid']}}}.axis{{stroke:{inks['axis']}}}.edge{{stroke:{inks['card']}}}"
    for place, colour in enumerate(DARK if dark else LIGHT):
        text += f".f{place}{{fill:{colour}}}.l{place}{{stroke:{colour};fill:none}}"
    return text


@dataclass(frozen=True)
class Scale:
    """From values to places on the canvas."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        place: Callable[[float], float] = math.log if self.logarithmic else float
        share = (place(value) - place(self.low)) / (place(self.high) - place(self.low))
        return self.start + share * (self.end - self.start)


class Canvas:
    def __init__(self, width: int, height: int, title: str, subtitle: str, caption: list[str]):
        self.width, self.height, self.title, self.subtitle = width, height, title, subtitle
        self.parts: list[str] = []
        self.text(24, 34, title, "ink", size=18, weight=600)
        self.text(24, 55, subtitle, "soft", size=13)
        lines = [line for words in caption for line in textwrap.wrap(words, int((width - 48) / 5.9))]
        for place, line in enumerate(lines):
            self.text(24, height - 14 - 15 * (len(lines) - 1 - place), line, "soft", size=11)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        kind: str = "ink",
        size: int = 12,
        anchor: str = "start",
        weight: int = 400,
        turned: bool = False,
    ) -> None:
        extra = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
        extra += f' font-weight="{weight}"' if weight != 400 else ""
        self.parts.append(
            f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"{extra}>{escape(words)}</text>'
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str, width: float = 1, dash: str = "") -> None:
        extra = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke-width="{width}"{extra}/>')

    def bar(self, x: float, y: float, width: float, height: float, kind: str, tip: str = "", opacity: float = 1) -> None:
        extra = f' fill-opacity="{opacity}"' if opacity != 1 else ""
        shape = f'<rect class="{kind}" x="{x:.2f}" y="{y:.2f}" width="{max(width, 0.4):.2f}" height="{height:.2f}" rx="1.5"{extra}'
        self.parts.append(f"{shape}><title>{escape(tip)}</title></rect>" if tip else shape + "/>")

    def curve(self, points: list[tuple[float, float]], series: int, solid: bool = False) -> None:
        """A line through the points and a marker on each."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dash = "" if solid else f' stroke-dasharray="{DASHES[series]}"' if DASHES[series] else ""
        self.parts.append(f'<polyline class="l{series}" points="{path}" stroke-width="2.2" stroke-linejoin="round"{dash}/>')
        for x, y in points:
            self.marker(x, y, series)

    def marker(self, x: float, y: float, series: int, r: float = 4.6) -> None:
        kind = f'class="f{series} edge" stroke-width="1.2"'
        match series % 4:
            case 0:
                self.parts.append(f'<circle {kind} cx="{x:.1f}" cy="{y:.1f}" r="{r}"/>')
            case 1:
                self.parts.append(
                    f'<rect {kind} x="{x - r + 0.4:.1f}" y="{y - r + 0.4:.1f}" width="{2 * r - 0.8}" height="{2 * r - 0.8}"/>'
                )
            case 2:
                corners = [(x, y - r - 1), (x + r + 1, y + r - 0.5), (x - r - 1, y + r - 0.5)]
                self.polygon(kind, corners)
            case _:
                self.polygon(kind, [(x, y - r - 1), (x + r + 1, y), (x, y + r + 1), (x - r - 1, y)])

    def polygon(self, kind: str, corners: list[tuple[float, float]]) -> None:
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
        self.parts.append(f'<polygon {kind} points="{points}"/>')

    def legend(self, x: float, y: float, entries: list[tuple[int, str]], bars: bool = False) -> None:
        """Names beside their signs, in a row."""
        for series, name in entries:
            if bars:
                self.bar(x, y - 9, 12, 11, f"f{series}")
            else:
                dash = DASHES[series]
                self.line(x - 4, y - 4, x + 32, y - 4, f"l{series}", 2.2, dash)
                self.marker(x + 14, y - 4, series)
            left = 18 if bars else 40
            self.text(x + left, y, name, "ink", size=12)
            x += left + 6.6 * len(name) + 24

    def write(self) -> str:
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" width="{self.width}" height="{self.height}"'
        )
        head += f' role="img" aria-label="{escape(self.title, quote=True)}" font-family="{FONT}">'
        style = f"<style>{rules(False)}@media (prefers-color-scheme: dark){{{rules(True)}}}</style>"
        title = f"<title>{escape(self.title)}: {escape(self.subtitle)}</title>"
        card = f'<rect class="card" width="{self.width}" height="{self.height}" rx="8"/>'
        return "\n".join([head, title, style, card, *self.parts, "</svg>"]) + "\n"

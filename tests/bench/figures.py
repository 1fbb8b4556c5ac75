"""What a measurement gives: figures, with their targets and the same figure of the peers, as a table and as JSON."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

Better = Literal["more", "less"]


@dataclass(frozen=True)
class Figure:
    """One figure of ours, and what it is to reach: `target` at least or at most, as `better` says.

    `peers` has the same figure of each peer, None where a peer did not come to an end at all.
    """

    part: str
    what: str
    ours: float
    unit: str
    better: Better = "more"
    target: float | None = None
    peers: Mapping[str, float | None] = field(default_factory=dict)
    note: str = ""

    @property
    def is_met(self) -> bool | None:
        if self.target is None:
            return None
        return self.ours >= self.target if self.better == "more" else self.ours <= self.target

    def ratio(self, peer: str) -> float | None:
        """How many times better ours is: above 1 ours is quicker, cheaper or smaller."""
        theirs = self.peers[peer]
        if theirs is None or not theirs or not self.ours:
            return None
        return self.ours / theirs if self.better == "more" else theirs / self.ours

    def as_json(self) -> dict[str, object]:
        ratios = {peer: self.ratio(peer) for peer in self.peers}
        return asdict(self) | {"is_met": self.is_met, "times_better_than": ratios}


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` of all are at or below."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def median(values: Sequence[float]) -> float:
    return percentile(values, 50)


# --- the table ---------------------------------------------------------------
HEADS = ("figure", "ours", "target", "met", "peers, and how many times better ours is")


def table(figures: Iterable[Figure]) -> str:
    """The figures for a terminal, by part."""
    lines: list[tuple[str, ...]] = [HEADS]
    part = ""
    for figure in figures:
        if figure.part != part:
            part = figure.part
            lines.append((f"-- {part}",))
        lines.append(_line(figure))
    widths = [max(len(line[n]) for line in lines if len(line) > n and len(line) > 1) for n in range(len(HEADS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)).rstrip() for line in lines
    )


def _line(figure: Figure) -> tuple[str, ...]:
    met = {None: "", True: "yes", False: "NO"}[figure.is_met]
    peers = ", ".join(_peer(figure, name) for name in figure.peers)
    last = "; ".join(filter(None, (peers, figure.note)))
    sign = ">=" if figure.better == "more" else "<="
    target = "" if figure.target is None else f"{sign} {figure.target:,.6g}"
    return figure.what, number(figure.ours, figure.unit), target, met, last


def _peer(figure: Figure, name: str) -> str:
    value, ratio = figure.peers[name], figure.ratio(name)
    if value is None:
        return f"{name} never"
    return f"{name} {number(value, figure.unit)}" + (f" ({ratio:.3g}x)" if ratio is not None else "")


def number(value: float, unit: str) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()

"""The results of a run, as text or Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from benchmarks.figure import Figure
from benchmarks.measure import CALIBRATION, Spread, spread

Rounds = Sequence[Mapping[str, float]]
Row = tuple[str, ...]

_HEAD: Row = ("#", "figure", "median", "goal", "reached", "spread")


@dataclass(frozen=True, slots=True)
class Result:
    """A figure over all rounds; *spread* is None where it was not measured."""

    figure: Figure
    spread: Spread | None

    @property
    def missed(self) -> bool:
        return self.spread is not None and not self.figure.reached(self.spread.median)

    @property
    def row(self) -> Row:
        figure, spread = self.figure, self.spread
        if not spread:
            return (str(figure.number), figure.words, "", figure.goal, "not measured", "")
        value_range = f"{figure.shown(spread.low)} … {figure.shown(spread.high)}"
        return (
            str(figure.number),
            figure.words,
            figure.shown(spread.median),
            figure.goal,
            "no" if self.missed else "yes",
            "" if spread.low == spread.high else value_range,
        )


def results(figures: Sequence[Figure], rounds: Rounds) -> list[Result]:
    """The results of *figures*: each the ratio within a round, then the median over the rounds."""
    results = []
    for figure in figures:
        values = [value for each in rounds if (value := figure.of(each)) is not None]
        results.append(Result(figure, spread(values) if values else None))
    return results


def measurements(rounds: Rounds) -> Iterator[tuple[str, Spread]]:
    """Each measurement by name, in the order in which they were made."""
    for name in dict.fromkeys(chain.from_iterable(rounds)):
        yield name, spread([each[name] for each in rounds if name in each])


def noise(rounds: Rounds) -> str:
    """How far measurements moved that should be constant: fixed work, and the bare server."""
    spreads = dict(measurements(rounds))
    parts = [f"a fixed piece of work {spreads[CALIBRATION].width:.0%}"]
    bare = [each.width for name, each in spreads.items() if name.startswith("bare")]
    if bare:
        parts.append(f"the bare server {max(bare):.0%}")
    return "from the fastest round to the slowest: " + ", ".join(parts) + " of the median"


def as_markdown(results: Sequence[Result]) -> str:
    rows = [_HEAD, tuple("---" for _ in _HEAD), *(result.row for result in results)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def as_text(results: Sequence[Result]) -> str:
    rows = [_HEAD, *(result.row for result in results)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def measurements_as_text(rounds: Rounds) -> str:
    """The measurements behind the figures: median, lowest, highest."""
    return "\n".join(
        f"{name:28} {each.median:12.6g}  {each.low:.6g} … {each.high:.6g}"
        for name, each in measurements(rounds)
    )

"""The benchmarks run. Their figures are judged by people, on a quiet machine."""

from __future__ import annotations

import runpy
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import samples
from benchmarks.__main__ import BENCHES
from benchmarks.figures import FIGURES
from benchmarks.sizing import MIXES, STORED, USED_SHARE, Cost, StoreCost, needs

ROOT = Path(__file__).parent.parent


def run(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_figure_has_a_bench() -> None:
    measured = sorted(number for bench in BENCHES.values() for number in bench.numbers)
    assert measured == sorted({figure.number for figure in FIGURES})


def test_every_figure_has_one_goal() -> None:
    assert all((figure.most is None) != (figure.least is None) for figure in FIGURES)


@pytest.mark.slow
@pytest.mark.parametrize("number", [8, 11])
def test_a_figure_is_measured_and_printed_with_its_goal(number: int) -> None:
    printed = run("benchmarks", "--quick", "--only", str(number), "--markdown")
    figures = [figure for figure in FIGURES if figure.number == number]
    lines = [line for line in printed.splitlines() if line.startswith(f"| {number} ")]
    assert len(lines) == len(figures)
    assert all(figure.goal in line for figure, line in zip(figures, lines, strict=True))
    assert "not measured" not in printed


def test_needs_are_those_of_the_kinds_by_their_shares() -> None:
    costs = {"drawn": Cost(7.0, 1000.0), "kept": Cost(0.7, 100.0)}
    stores = {"drawn": StoreCost(2, 0.07, 1, 1, 1)}
    found = needs(1000, {"drawn": 0.5, "kept": 0.5}, costs, stores)
    assert found.cores == pytest.approx(1000 * (7.0 + 0.7) / 2 / 1000 / USED_SHARE)
    assert found.gigabits == pytest.approx(1000 * 550_000 * 8 / 1e9)
    assert found.redis_cores == pytest.approx(1000 * 0.035 / 1000 / USED_SHARE)
    assert all(sum(shares.values()) == pytest.approx(1) for shares in MIXES.values())


@pytest.mark.slow
def test_costs_of_calls_are_measured_and_printed() -> None:
    printed = run("benchmarks.sizing", "--quick")
    for kind in STORED:
        assert f"| {kind} | " in printed
    for mix in MIXES:
        assert f"| {mix} | " in printed


@pytest.mark.slow
def test_a_contact_sheet_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of seven small images, which take two lines."""
    monkeypatch.setattr(samples, "SOURCE_EDGE", 64)
    gallery = samples.gallery()
    assert len(gallery.tiles) == 24
    small = [tile for tile in gallery.tiles if tile[0] in ("256x256", "an edit", "a variation")]
    few = samples.Row(gallery.heading, [*small, *small, *small[:1]])
    monkeypatch.setattr(samples, "gallery", lambda: few)
    monkeypatch.setattr(sys, "argv", ["contact_sheet", str(tmp_path / "sheet.png"), "gallery"])
    with warnings.catch_warnings(action="ignore"):  # the module is imported already
        runpy.run_module("benchmarks.contact_sheet", run_name="__main__")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert (len(few.tiles), sheet.width) == (7, 6 * 340 + 20)
        assert 2 * 256 < sheet.height < 2 * 400


@pytest.mark.slow
def test_each_call_of_the_contact_sheet_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "SOURCE_EDGE", 64)
    rows = list(samples.rows())
    assert len({row.heading for row in rows}) == len(rows) == 13
    assert all(row.tiles for row in rows)

"""The vocabulary for picture sizes: fixed lists, and WIDTHxHEIGHT within limits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isqrt
from typing import Any, NamedTuple

from images_emulator.contract import errors
from images_emulator.contract.errors import Words
from images_emulator.contract.rules import Choice, Rule, Values, wrong_scalar

Pixels = tuple[int, int]


def parse(text: str) -> Pixels | None:
    """WIDTHxHEIGHT as two positive integers, or None."""
    match = re.fullmatch(r"([1-9][0-9]{0,9})x([1-9][0-9]{0,9})", text)
    return (int(match[1]), int(match[2])) if match else None


def _known(text: str) -> Pixels:
    pixels = parse(text)
    assert pixels, f"the table lists {text!r} as a size"
    return pixels


def closest(sizes: tuple[str, ...], source: Pixels) -> str:
    """The one of *sizes* whose proportions are nearest to those of *source*."""

    def stretch(size: str) -> float:
        width, height = _known(size)
        wide, high = width * source[1], height * source[0]
        return max(wide, high) / min(wide, high)

    return min(sizes, key=stretch)


@dataclass(frozen=True, slots=True)
class ListedSize(Choice):
    """A fixed list that the gateway itself enforces, as it did for the DALL·E models."""

    def check(self, name: str, value: Any) -> None:
        if not isinstance(value, str):
            raise wrong_scalar(name, value, "a string", "string")
        # `super()` without arguments does not survive slots.
        Choice.check(self, name, value)

    def resolve(self, value: Any, source: Pixels | None, others: Values) -> Pixels:
        return _known(value or self.default)


@dataclass(frozen=True, slots=True)
class FixedSize(Rule):
    """A fixed list, or `auto`, that the image service enforces.

    *auto* is the size that the model chooses where there is no upload to go by.
    """

    sizes: tuple[str, ...]
    auto: str

    def check(self, name: str, value: Any) -> None:
        if not isinstance(value, str):
            raise wrong_scalar(name, value, "a string", "string")

    def check_supported(self, name: str, value: Any, model: str, others: Values) -> None:
        if value not in self.sizes and value != "auto":
            raise errors.size_not_listed(value=value, sizes=f"{', '.join(self.sizes)}, and auto")

    def resolve(self, value: Any, source: Pixels | None, others: Values) -> Pixels:
        if value in (None, "auto"):
            value = closest(self.sizes, source) if source else self.auto
        return _known(value)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": [*self.sizes, "auto"], "default": "auto"}


@dataclass(frozen=True, slots=True)
class GatewayFixedSize(FixedSize):
    """The same list as the gateway itself enforced it at first."""

    def check(self, name: str, value: Any) -> None:
        # `super()` without arguments does not survive slots.
        FixedSize.check(self, name, value)
        words = Words([*self.sizes, "auto"])
        if value not in words:
            raise errors.value_not_listed(name=name, value=value, listed=words)


class Sheet(NamedTuple):
    """How the frames of one animation, each of the pixels *frame*, lie."""

    frames: int
    columns: int
    rows: int
    frame: Pixels

    @property
    def width(self) -> int:
        return self.columns * self.frame[0]

    @property
    def height(self) -> int:
        return self.rows * self.frame[1]


@dataclass(frozen=True, slots=True)
class Sheets:
    """For an animation the size is that of a frame, and all frames on one sheet must keep the
    limits (third-party measurements of gpt-image-2.6).

    *layouts* has, for up to so many frames, the columns and rows of the sheet.
    """

    output_format: str
    frames: int
    auto: str
    layouts: tuple[tuple[int, int, int], ...]

    def wanted(self, others: Values) -> bool:
        """Whether a call asks for an animation."""
        return bool(others.get("output_format") == self.output_format)

    def of(self, frame: Pixels, others: Values) -> Sheet:
        """The sheet of a call that asks for frames of that size."""
        frames = others.get("frame_count") or self.frames
        columns, rows = next(layout for most, *layout in self.layouts if frames <= most)
        return Sheet(frames, columns, rows, frame)

    def described(self) -> str:
        layouts = [f"{columns}x{rows} up to {most}" for most, columns, rows in self.layouts]
        return f"sheet of all frames ({', '.join(layouts)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlexibleSize(FixedSize):
    """WIDTHxHEIGHT, or `auto`, within limits that are checked in the order of the fields.

    *sizes* are those to offer first. With an upload, `auto` keeps its proportions and comes to
    *auto_pixels* or a little less; what it gives need not obey the limits.
    """

    step: int
    longest_edge: int
    ratio: int
    fewest_pixels: int
    most_pixels: int
    auto_pixels: int
    sheets: Sheets | None = None

    def check_supported(self, name: str, value: Any, model: str, others: Values) -> None:
        if value == "auto":
            return
        pixels = parse(value)
        if not pixels:
            raise errors.size_syntax(value=value)
        short, long = sorted(pixels)
        if short % self.step or long % self.step:
            raise errors.size_not_divisible(value=value, step=self.step)
        if long > self.longest_edge:
            raise errors.size_edge_too_long(value=value, edge=self.longest_edge)
        if long > self.ratio * short:
            raise errors.size_too_elongated(value=value, ratio=self.ratio)
        if self.sheets and self.sheets.wanted(others):
            self._limit_sheet(value, self.sheets.of(pixels, others))
        elif long * short < self.fewest_pixels:
            raise errors.size_too_few_pixels(value=value)
        elif long * short > self.most_pixels:
            raise errors.size_too_many_pixels(value=value)

    def _limit_sheet(self, value: str, sheet: Sheet) -> None:
        pixels = sheet.width * sheet.height
        if max(sheet.width, sheet.height) > self.longest_edge:
            raise errors.sheet_edge_too_long(value=value, sheet=sheet, limit=self.longest_edge)
        if pixels < self.fewest_pixels:
            raise errors.sheet_too_few_pixels(value=value, sheet=sheet, limit=self.fewest_pixels)
        if pixels > self.most_pixels:
            raise errors.sheet_too_many_pixels(value=value, sheet=sheet, limit=self.most_pixels)

    def resolve(self, value: Any, source: Pixels | None, others: Values) -> Pixels:
        if value not in (None, "auto"):
            return _known(value)
        if self.sheets and self.sheets.wanted(others):
            return _known(self.sheets.auto)
        if source is None:
            return _known(self.auto)
        width, height = source
        width, height = min(width, self.ratio * height), min(height, self.ratio * width)
        return (
            isqrt(self.auto_pixels * width // height),
            isqrt(self.auto_pixels * height // width),
        )

    def schema(self) -> dict[str, Any]:
        of_sheets = (
            f"; edge and pixels of a GIF are those of the {self.sheets.described()}"
            if self.sheets
            else ""
        )
        return {
            "type": "string",
            "pattern": "^(auto|[1-9][0-9]*x[1-9][0-9]*)$",
            "examples": [*self.sizes],
            "default": "auto",
            "description": (
                f"Both edges divisible by {self.step} and at most {self.longest_edge}, proportions "
                f"from 1:{self.ratio} to {self.ratio}:1, {self.fewest_pixels:,} to "
                f"{self.most_pixels:,} pixels{of_sheets}."
            ),
        }

"""Size rules: what `size` (the dimensions, the resolution) may be. A rule is a fixed list, or
WIDTHxHEIGHT within limits of edges, pixels and proportions (the aspect ratio).

The limits of a model are a `FlexibleSize` in `model_rules.py`. A new class comes here only for a
rule of another kind.
"""

from __future__ import annotations

import re
from math import isqrt
from typing import Any, NamedTuple

from images_emulator.contract import errors
from images_emulator.contract.message_format import Words
from images_emulator.contract.rules import Choice, Pixels, Rule, Values, wrong_scalar_error
from images_emulator.immutable import Immutable


def parse_pixels(text: str) -> Pixels | None:
    """WIDTHxHEIGHT as two positive integers, or None."""
    match = re.fullmatch(r"([1-9][0-9]{0,9})x([1-9][0-9]{0,9})", text)
    return (int(match[1]), int(match[2])) if match else None


def _pixels(text: str) -> Pixels:
    """The pixels of a size that a rule lists, or has checked."""
    pixels = parse_pixels(text)
    assert pixels, f"{text!r} is no size"
    return pixels


def closest_size(sizes: tuple[str, ...], source: Pixels) -> str:
    """The size of *sizes* whose proportions are nearest to those of *source*."""

    def stretch(size: str) -> float:
        width, height = _pixels(size)
        wide, high = width * source[1], height * source[0]
        return max(wide, high) / min(wide, high)

    return min(sizes, key=stretch)


class GatewaySize(Choice):
    """One of a list of sizes. The list has no `auto`, and the gateway checks it. The DALL·E models
    have such sizes."""

    def check_at_gateway(self, name: str, value: Any) -> None:
        if not isinstance(value, str):
            raise wrong_scalar_error(name, value, "a string", "string")
        super().check_at_gateway(name, value)

    def resolve(self, value: Any, source: Pixels | None, parameters: Values) -> Pixels:
        return _pixels(value or self.default)


class ServiceSize(Rule):
    """A size that the image service checks: WIDTHxHEIGHT or `auto`."""

    def check_at_gateway(self, name: str, value: Any) -> None:
        if not isinstance(value, str):
            raise wrong_scalar_error(name, value, "a string", "string")


class ListedServiceSize(ServiceSize):
    """One of *sizes* or `auto`, which the image service checks. `auto` resolves to the size whose
    proportions are nearest to those of the first input image, and to *auto* where there is none."""

    sizes: tuple[str, ...]
    auto: str

    def check_at_service(self, name: str, value: Any, model_id: str, parameters: Values) -> None:
        if value not in self.sizes and value != "auto":
            raise errors.size_not_listed(value=value, sizes=f"{', '.join(self.sizes)}, and auto")

    def resolve(self, value: Any, source: Pixels | None, parameters: Values) -> Pixels:
        if value in (None, "auto"):
            value = closest_size(self.sizes, source) if source else self.auto
        return _pixels(value)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": [*self.sizes, "auto"], "default": "auto"}


class GatewayAndServiceSize(ListedServiceSize):
    """One of *sizes* or `auto`, on the days on which both the gateway and the service checked the
    list."""

    def check_at_gateway(self, name: str, value: Any) -> None:
        super().check_at_gateway(name, value)
        words = Words([*self.sizes, "auto"])
        if value not in words:
            raise errors.value_not_listed(name=name, value=value, listed=words)


class FrameSheet(NamedTuple):
    """The sheet on which the frames of one animation lie. Each frame has *frame* pixels."""

    frames: int
    columns: int
    rows: int
    frame: Pixels

    @property
    def width(self) -> int:
        """Pixels of all columns."""
        return self.columns * self.frame[0]

    @property
    def height(self) -> int:
        """Pixels of all rows."""
        return self.rows * self.frame[1]


class SheetLayouts(Immutable):
    """The sheets of an output format that is an animation. `size` is the size of one frame. The
    sheet of all frames must keep the limits of an image (third-party measurements of
    gpt-image-2.6)."""

    output_format: str
    frames: int
    """Frames of a call without `frame_count`."""
    auto: str
    """The size of a frame that `auto` resolves to."""
    layouts: tuple[tuple[int, int, int], ...]
    """`(frames, columns, rows)`: the columns and rows of a sheet of up to *frames* frames."""

    def is_animation(self, parameters: Values) -> bool:
        """Whether a call with these *parameters* makes an animation."""
        return bool(parameters.get("output_format") == self.output_format)

    def sheet_of(self, frame: Pixels, parameters: Values) -> FrameSheet:
        """The sheet of a call with these *parameters* and frames of *frame* pixels."""
        frames = parameters.get("frame_count") or self.frames
        columns, rows = next(layout for most, *layout in self.layouts if frames <= most)
        return FrameSheet(frames, columns, rows, frame)

    def describe(self) -> str:
        """The layouts in words, for people."""
        layouts = [f"{columns}x{rows} up to {most}" for most, columns, rows in self.layouts]
        return f"sheet of all frames ({', '.join(layouts)})"


class FlexibleSize(ServiceSize, kw_only=True):
    """WIDTHxHEIGHT or `auto`, within limits that are checked in the order of the fields. In an
    animation, *min_pixels*, *max_pixels* and also *max_edge* limit the sheet of all frames.

    `auto` resolves to *auto_pixels* or a little less: to a square, or to the proportions of the
    first input image, within *max_ratio* and *max_edge*. The other limits do not hold for `auto`.
    For an animation, `auto` resolves to the size that *sheets* has for it.
    """

    examples: tuple[str, ...]
    """Sizes that the JSON Schema names. The first is also the size of a call that lenient
    validation has forgiven: see `value_when_lenient`."""
    step: int
    """Both edges are multiples of it."""
    max_edge: int
    min_edge: int = 1
    max_ratio: int | None = None
    """The long edge is at most so many times the short one; None: any number of times."""
    min_pixels: int = 1
    max_pixels: int
    auto_pixels: int
    sheets: SheetLayouts | None = None
    """The sheets of an animation, where the model makes any."""

    def check_at_service(self, name: str, value: Any, model_id: str, parameters: Values) -> None:
        if value == "auto":
            return
        pixels = parse_pixels(value)
        if not pixels:
            raise errors.size_syntax(value=value)
        short, long = sorted(pixels)
        if short % self.step or long % self.step:
            raise errors.size_not_divisible(value=value, step=self.step)
        if long > self.max_edge:
            raise errors.size_edge_too_long(value=value, edge=self.max_edge)
        if short < self.min_edge:
            raise errors.size_edge_too_short(value=value, edge=self.min_edge)
        if self.max_ratio and long > self.max_ratio * short:
            raise errors.size_too_elongated(value=value, ratio=self.max_ratio)
        if self.sheets and self.sheets.is_animation(parameters):
            self._limit_sheet(value, self.sheets.sheet_of(pixels, parameters))
        elif long * short < self.min_pixels:
            raise errors.size_too_few_pixels(value=value)
        elif long * short > self.max_pixels:
            raise errors.size_too_many_pixels(value=value)

    def value_when_lenient(self, parameters: Values) -> str | None:
        # The types of SDKs name this size, and not those that `auto` resolves to.
        return None if self.sheets and self.sheets.is_animation(parameters) else self.examples[0]

    def _limit_sheet(self, value: str, sheet: FrameSheet) -> None:
        pixels = sheet.width * sheet.height
        if max(sheet.width, sheet.height) > self.max_edge:
            raise errors.sheet_edge_too_long(value=value, sheet=sheet, limit=self.max_edge)
        if pixels < self.min_pixels:
            raise errors.sheet_too_few_pixels(value=value, sheet=sheet, limit=self.min_pixels)
        if pixels > self.max_pixels:
            raise errors.sheet_too_many_pixels(value=value, sheet=sheet, limit=self.max_pixels)

    def resolve(self, value: Any, source: Pixels | None, parameters: Values) -> Pixels:
        if value not in (None, "auto"):
            return _pixels(value)
        if self.sheets and self.sheets.is_animation(parameters):
            return _pixels(self.sheets.auto)
        width, height = source or (1, 1)
        # The ratio at which *auto_pixels* make an edge of *max_edge*.
        longest = self.max_edge**2 // self.auto_pixels
        ratio = min(self.max_ratio or longest, longest)
        width, height = min(width, ratio * height), min(height, ratio * width)
        return (
            isqrt(self.auto_pixels * width // height),
            isqrt(self.auto_pixels * height // width),
        )

    def schema(self) -> dict[str, Any]:
        least = f"at least {self.min_edge} and " if self.min_edge > 1 else ""
        ratio = self.max_ratio
        proportions = f"proportions from 1:{ratio} to {ratio}:1, " if ratio else ""
        pixels = f"at most {self.max_pixels:,}"
        if self.min_pixels > 1:
            pixels = f"{self.min_pixels:,} to {self.max_pixels:,}"
        sheet_sentence = (
            f"; edge and pixels of a {self.sheets.output_format.upper()} are those of the "
            f"{self.sheets.describe()}"
            if self.sheets
            else ""
        )
        return {
            "type": "string",
            "pattern": "^(auto|[1-9][0-9]*x[1-9][0-9]*)$",
            "examples": [*self.examples],
            "default": "auto",
            "description": (
                f"Both edges divisible by {self.step} and {least}at most {self.max_edge}, "
                f"{proportions}{pixels} pixels{sheet_sentence}."
            ),
        }

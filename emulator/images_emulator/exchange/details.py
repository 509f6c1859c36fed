"""What a call asked for, told from how far it got: accepted, understood, or neither."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from itertools import islice
from math import isfinite
from typing import Any, Final

from images_emulator.contract.request import Call, ImageRequest, Picture, Upload
from images_emulator.exchange.credentials import HIDDEN, is_secret, redacted_secret

LONGEST: Final = 256
"""Characters that are kept of a value."""

LONGEST_VALUE: Final = 8192
"""Characters that are kept of an array or an object."""

MAX_DEPTH: Final = 3
"""Levels of arrays and objects that are kept."""

LONGEST_PROMPT: Final = 32_000
"""The most that any model takes."""

MOST: Final = 20
"""Parameters that are kept of a refused call, and items of one of their values."""

_ELSEWHERE: Final = frozenset({"model", "prompt", "image", "images", "mask", "markup"})
_SETTLED: Final = frozenset(each.name for each in fields(ImageRequest))


@dataclass(frozen=True, slots=True)
class UploadDetails:
    """A picture that came with a call.

    *name* is a file's name, a file id or an address. *bytes* is None where none were sent, *pixels*
    (width, height) where the picture was not opened.
    """

    field: str
    name: str
    type: str | None
    bytes: int | None
    pixels: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class CallDetails:
    """Model, prompt and parameters, defaults included, once they are settled; before that, and of
    a refused call, as they were sent. *violations* are what lenience forgave."""

    model: str | None = None
    prompt: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    uploads: tuple[UploadDetails, ...] = ()
    violations: tuple[str, ...] = ()


def details_of(call: Call | None, accepted: ImageRequest | None) -> CallDetails:
    """The facts of a call that was understood as *call* and, it may be, *accepted*."""
    sent = call.fields if call else {}
    uploads = tuple(_uploads(sent, accepted))
    if accepted:
        parameters = dict(_settled(accepted, sent))
        violations = tuple(map(str, accepted.forgiven))
        return CallDetails(
            accepted.model.id, accepted.prompt or None, parameters, uploads, violations
        )
    model, prompt = (sent.get(name) for name in ("model", "prompt"))
    refused = {
        _cut(name): _field(name, value)
        for name, value in islice(sent.items(), MOST)
        if name not in _ELSEWHERE
    }
    return CallDetails(
        _cut(model) if isinstance(model, str) else None,
        _cut(prompt, LONGEST_PROMPT) if isinstance(prompt, str) else None,
        refused,
        uploads,
    )


def _settled(accepted: ImageRequest, sent: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, rule in accepted.model.accepts[accepted.operation].items():
        if name in _ELSEWHERE or accepted.as_of not in rule.period:
            continue
        if name == "size":
            yield name, "{}x{}".format(*accepted.size)
            continue
        known = name in _SETTLED
        value = getattr(accepted, name) if known else rule.resolve(sent.get(name), None, sent)
        if value is not None:
            yield name, _field(name, value)


def _uploads(sent: Mapping[str, Any], accepted: ImageRequest | None) -> Iterator[UploadDetails]:
    pictures = {
        "image": accepted.images if accepted else (),
        "mask": (accepted.mask,) if accepted and accepted.mask else (),
        "markup": (accepted.markup,) if accepted and accepted.markup else (),
    }
    for name in ("image", "images", "mask", "markup"):
        value = sent.get(name)
        items = value if isinstance(value, list) else [value]
        opened = iter(pictures[name.removesuffix("s")])
        for index, item in enumerate(islice(items, MOST)):
            where = f"{name}[{index}]" if isinstance(value, list) else name
            if isinstance(item, Upload):
                pixels = _pixels(next(opened, None))
                kind = item.content_type and _cut(item.content_type)
                yield UploadDetails(where, _cut(item.filename), kind, item.size, pixels)
            elif isinstance(item, Mapping):
                yield _referred(where, item, _pixels(next(opened, None)))


def _referred(where: str, item: Mapping[str, Any], pixels: tuple[int, int] | None) -> UploadDetails:
    """A picture that JSON names; of a data URL only what stands before the data."""
    given = item.get("file_id") or item.get("image_url") or ""
    name = given if isinstance(given, str) else reprlib.repr(given)
    if name[:5].lower() != "data:":
        return UploadDetails(where, _cut(name), None, None, pixels)
    # The data may have 60 million characters: they are not copied.
    comma = name.find(",")
    head = name[: comma if comma >= 0 else None]
    size = (len(name) - len(head) - 1) * 3 // 4 - name[-2:].count("=") if comma >= 0 else 0
    return UploadDetails(where, _cut(head), _cut(head[5:].partition(";")[0]) or None, size, pixels)


def _pixels(picture: Picture | None) -> tuple[int, int] | None:
    return (picture.width, picture.height) if picture else None


def _cut(text: str, longest: int = LONGEST) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _field(name: str, value: Any, depth: int = MAX_DEPTH) -> Any:
    """The *value* of a parameter as `_shown`; a credential that was sent as one is redacted."""
    shown = _shown(value, depth)
    if isinstance(shown, dict | list) and depth == MAX_DEPTH and len(repr(shown)) > LONGEST_VALUE:
        # A few levels of a few items each are many.
        shown = reprlib.repr(value)
    if not is_secret(name) or shown is None:
        return shown
    return redacted_secret(name, shown) if isinstance(shown, str) else HIDDEN


def _shown(value: Any, depth: int = MAX_DEPTH) -> Any:
    """A *value* as it was sent, cut where it is long or deep; JSON has no other numbers."""
    if isinstance(value, str):
        return _cut(value)
    if isinstance(value, Mapping) and depth:
        items = islice(value.items(), MOST)
        return {_cut(str(name)): _field(str(name), inner, depth - 1) for name, inner in items}
    if isinstance(value, list) and depth:
        return [_shown(inner, depth - 1) for inner in islice(value, MOST)]
    if value is None or isinstance(value, int) or (isinstance(value, float) and isfinite(value)):
        return value
    return reprlib.repr(value)

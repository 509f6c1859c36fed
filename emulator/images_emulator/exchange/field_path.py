"""Paths to the values in the body of a call, a small part of JSONPath: `user`, `svg.model`,
`images[0].file_id`, `images[*].image_url`. A path may begin with `$.`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from images_emulator.contract.request import Upload

_PATH: Final = re.compile(r"(?:\$\.)?[\w-]+(?:\.[\w-]+|\[(?:\d{1,9}|\*)\])*")
_PART: Final = re.compile(r"[\w-]+|\[(\d+|\*)\]")

WILDCARDS: Final = frozenset("*?[")
"""A text with one of these is a pattern, as of file names."""


class FieldPath:
    """A path, read once. Raises ValueError for a *text* that is no path."""

    def __init__(self, text: str) -> None:
        if not _PATH.fullmatch(text):
            raise ValueError(
                f"'{text}' is no path to a field, such as user, svg.model, images[0].file_id or "
                "images[*].image_url"
            )
        self.text = text
        self._parts: Sequence[str | int | None] = [
            part[0] if part[1] is None else None if part[1] == "*" else int(part[1])
            for part in _PART.finditer(text.removeprefix("$."))
        ]
        """The parts of the path: a key, an index, or None for each item."""

    def values(self, fields: Mapping[str, Any]) -> tuple[str, ...]:
        """The values at the path in *fields*, as JSON texts; none where there is nothing. An
        uploaded file counts as the text of its name."""
        return tuple(map(json_text, self._walk(fields, 0)))

    def _walk(self, value: Any, at: int) -> Iterator[Any]:
        if at == len(self._parts):
            yield value
            return
        part = self._parts[at]
        if isinstance(part, str):
            if isinstance(value, Mapping) and part in value:
                yield from self._walk(value[part], at + 1)
        elif isinstance(value, list | tuple):
            items = value if part is None else value[part : part + 1]
            for item in items:
                yield from self._walk(item, at + 1)


def json_text(value: Any) -> str:
    """The JSON text of *value*, for comparisons: 1 and true differ, 1 and 1.0 are equal."""
    if isinstance(value, Upload):
        value = value.filename
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=json_default)


def json_default(value: object) -> str:
    """The text of a *value* without a JSON type: the name of an uploaded file, or the `repr`."""
    return value.filename if isinstance(value, Upload) else repr(value)


def is_found(wanted: Any, values: Sequence[str]) -> bool:
    """Whether one of *values*, JSON texts, is the *wanted* value. A *wanted* text may have the
    wildcards of file names. A *wanted* number or boolean may be a text in *values*, as in a form.
    A *wanted* None means null, or no value at all."""
    if wanted is None:
        return not values or "null" in values
    text = json_text(wanted)
    if text in values:
        return True
    if not isinstance(wanted, str):
        return json.dumps(text) in values
    if WILDCARDS.isdisjoint(wanted):
        return False
    texts = (json.loads(each) for each in values if each[0] == '"')
    return any(fnmatchcase(each, wanted) for each in texts)

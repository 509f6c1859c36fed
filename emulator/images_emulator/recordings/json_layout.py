"""The layout of JSON text, by which the same bytes can be written from its value again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any, Final, Never, Self

from images_emulator.immutable import Immutable

_INDENTED: Final = re.compile(r"[\[{]\n( {1,16}|\t{1,8})")
_HTML: Final = {
    "<": r"\u003c",
    ">": r"\u003e",
    "&": r"\u0026",
    "\u2028": r"\u2028",
    "\u2029": r"\u2029",
}
_HTML_ESCAPE: Final = re.compile(r"\\u00(?:3c|3e|26)|\\u202[89]")


class JsonLayout(Immutable):
    """A layout of JSON. Without any field it is compact UTF-8, as most clients send it."""

    indent: int | str | None = None
    """The indentation of each member, on a line of its own: a number of blanks, up to 16, or
    tabs."""
    spaces: bool = False
    """Whether a blank follows each comma and colon. Indented JSON always has one after its
    colons."""
    ascii: bool = False
    """Whether characters beyond ASCII are escapes."""
    html: bool = False
    r"""The characters `<`, `>`, `&`, U+2028 and U+2029 are escapes, as Go writes them."""
    slashes: bool = False
    r"""Each slash is `\/`, as PHP writes it."""
    newline: bool = False
    """Whether a newline follows."""

    def write(self, value: Any) -> bytes:
        """The bytes of *value*. Raises ValueError where it is no JSON, or where it has half a
        surrogate pair that is not to be escaped."""
        comma = ", " if self.spaces and self.indent is None else ","
        text = json.dumps(
            value,
            ensure_ascii=self.ascii,
            allow_nan=False,
            indent=self.indent,
            separators=(comma, ": " if self.spaces or self.indent is not None else ":"),
        )
        if self.html:
            for character, escape in _HTML.items():
                text = text.replace(character, escape)
        if self.slashes:
            text = text.replace("/", r"\/")
        return text.encode() + (b"\n" if self.newline else b"")

    def to_document(self) -> dict[str, Any]:
        """The fields that differ from those of compact UTF-8."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in values.items() if value not in (None, False)}

    @classmethod
    def from_document(cls, document: Mapping[str, Any] | None) -> Self:
        """The layout of a checked *document*; the compact one where there is none."""
        return cls(**document) if document else cls()


def _raise_not_json(constant: str) -> Never:
    raise ValueError(f"{constant} is not JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_raise_not_json)


def parse(text: str) -> Any:
    """The value of JSON *text*. Raises ValueError, also for extensions of JSON that Python reads,
    and RecursionError."""
    return _DECODER.decode(text)


def read_json(data: bytes, likely: JsonLayout | None = None) -> tuple[Any, JsonLayout] | None:
    """The value in *data* and the layout that writes the same bytes again; None where there is no
    such pair. The layout *likely* is tried first."""
    try:
        text = data.decode()
        value = parse(text)
        for layout in (*([likely] if likely else ()), *_layouts(text)):
            if _is_written(value, layout, data):
                return value, layout
    except (ValueError, RecursionError):
        pass
    return None


def _is_written(value: Any, layout: JsonLayout, data: bytes) -> bool:
    try:
        return layout.write(value) == data
    except UnicodeEncodeError:
        return False


def _layouts(text: str) -> Iterator[JsonLayout]:
    """The layouts that *text* may have, the likelier ones first."""
    indented = _INDENTED.match(text)
    indent: int | str | None = None
    if indented:
        indent = indented[1] if "\t" in indented[1] else len(indented[1])
    base = JsonLayout(
        indent=indent,
        html=_HTML_ESCAPE.search(text) is not None,
        slashes=r"\/" in text,
        newline=text.endswith("\n"),
    )
    for spaces in (False,) if indented else (False, True):
        for ascii_only in (False, True) if text.isascii() else (False,):
            yield replace(base, spaces=spaces, ascii=ascii_only)

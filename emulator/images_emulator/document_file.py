"""Files of TOML or JSON that people write by hand: finds the line of a mistake."""

from __future__ import annotations

import re
from collections.abc import Callable
from json import JSONDecodeError
from pathlib import Path
from tomllib import TOMLDecodeError
from typing import Any


def parse_file(path: str, parse: Callable[[str], Any]) -> tuple[str, Any]:
    """The text of a file, and its value by *parse*, which is `tomllib.loads` or `json.loads`.
    Raises OSError, and ValueError with `FILE:LINE: mistake`."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        return text, parse(text)
    except JSONDecodeError as error:
        raise ValueError(f"{path}:{error.lineno}: {error.msg}") from None
    except TOMLDecodeError as error:
        line, sentence = _line_of_mistake(text, error)
        raise ValueError(f"{path}:{line}: {sentence}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}:1: this is no UTF-8 text") from None
    except RecursionError:
        raise ValueError(f"{path}:1: this is nested too deeply") from None


def _line_of_mistake(text: str, error: TOMLDecodeError) -> tuple[int, str]:
    """The line of a mistake in TOML, from 1, and the sentence about it without its place. A mistake
    without a place is at the end of the document."""
    sentence, _, place = str(error).partition(" (at ")
    if place.startswith("line "):
        return int(place.removeprefix("line ").partition(",")[0]), sentence
    return text.removesuffix("\n").count("\n") + 1, f"{sentence} at the end of the file"


def line_of_key(text: str, key: str) -> int:
    """The line, from 1, that begins the *key* or the table of that name in the TOML document
    *text*; 1 where there is none."""
    match = re.search(
        rf"""^[ \t]*\[*[ \t]*["']?{re.escape(key)}["']?[ \t]*[=.\]]""", text, re.MULTILINE
    )
    return text.count("\n", 0, match.start()) + 1 if match else 1

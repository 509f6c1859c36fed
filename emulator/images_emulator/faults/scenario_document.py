"""Scenario documents: steps in TOML or JSON, each a fault and the calls that it is for."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import Field, ValidationError

from images_emulator.faults import Fault
from images_emulator.faults.base import StrictModel
from images_emulator.faults.match import Match
from images_emulator.faults.messages import message
from images_emulator.scenarios import ready_scenarios, scenario_file
from images_emulator.spelling import suggestion


class Step(StrictModel):
    """A fault, and which calls meet it: of those that match, after the first *after* and with
    *probability*, as often as *times* says. The same *seed* gives the same luck."""

    fault: Fault = Field(description="The fault: its name, or a mapping with it as `kind`.")
    match: Match = Field(default=Match(), description="Which calls the step is for.")
    times: int | None = Field(
        default=None, ge=1, description="How many calls meet it; all, where it is left out."
    )
    probability: float = Field(
        default=1, ge=0, le=1, description="The chance of each of these to meet it."
    )
    after: int = Field(
        default=0, ge=0, description="How many calls that match are let pass before."
    )
    seed: int = Field(default=0, description="Decides the chance, which is the same every time.")

    def as_json(self) -> dict[str, Any]:
        """The step as it may be written, without what goes without saying."""
        fault = {"kind": self.fault.kind} | self.fault.model_dump(exclude_defaults=True)
        return {"fault": fault} | self.model_dump(exclude={"fault"}, exclude_defaults=True)


class ScenarioDocument(StrictModel):
    """A scenario: of its steps the first that accepts a call wins."""

    steps: list[Step]


def parse_scenario(document: Mapping[str, Any]) -> ScenarioDocument:
    """The scenario in *document*. Raises ValueError with a sentence for each mistake."""
    try:
        return ScenarioDocument.model_validate(document)
    except ValidationError as error:
        raise ValueError("\n".join(_sentences(error))) from None


def parse_step(document: Mapping[str, Any]) -> Step:
    """The step in *document*. Raises ValueError with a sentence for each mistake."""
    try:
        return Step.model_validate(document)
    except ValidationError as error:
        raise ValueError("\n".join(_sentences(error))) from None


def read_scenario(path: str) -> ScenarioDocument:
    """The scenario in a file, or the ready one of that name. Raises ValueError, with a line
    `FILE:LINE: mistake` for each mistake, or `FILE: reason` where it cannot be read."""
    name, path = path, scenario_file(path)
    try:
        text = Path(path).read_text(encoding="utf-8")
        document = json.loads(text) if path.endswith(".json") else tomllib.loads(text)
        return ScenarioDocument.model_validate(document)
    except ValidationError as error:
        starts = _json_steps(text) if path.endswith(".json") else _toml_steps(text)
        lines = (_line(text, starts, each["loc"], each.get("ctx", {})) for each in _details(error))
        pairs = zip(lines, _sentences(error), strict=True)
        raise ValueError(
            "\n".join(f"{path}:{line}: {sentence}" for line, sentence in pairs)
        ) from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}:{error.lineno}: {error.msg}") from None
    except tomllib.TOMLDecodeError as error:
        words, _, place = str(error).partition(" (at line ")
        raise ValueError(f"{path}:{place.partition(',')[0] or 1}: {words}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}:1: this is no UTF-8 text") from None
    except RecursionError:
        raise ValueError(f"{path}:1: this is nested too deeply") from None
    except OSError as error:
        meant = suggestion(Path(name).name, ready_scenarios(), quote="'")
        raise ValueError(f"{name}: {error.strerror}{meant}") from None


def _details(error: ValidationError) -> Sequence[Any]:
    return error.errors(include_url=False)


def _sentences(error: ValidationError) -> Iterator[str]:
    for each in _details(error):
        match each["loc"]:
            case ["steps", int(index), *rest]:
                place = [f"step {index + 1}", *map(str, rest)]
            case loc:
                place = list(map(str, loc))
        yield ": ".join([*place, message(each)])


# --- line numbers: neither parser reports them, so the text is searched once more

_TOML_STEP: Final = re.compile(r"^[ \t]*\[\[[ \t]*steps[ \t]*\]\]", re.MULTILINE)
_JSON_STEPS: Final = re.compile(r'"steps"\s*:\s*\[')


def _toml_steps(text: str) -> list[int]:
    return [match.start() for match in _TOML_STEP.finditer(text)]


def _json_steps(text: str) -> list[int]:
    """The place at which each step begins."""
    starts: list[int] = []
    opening = _JSON_STEPS.search(text)
    place = opening.end() if opening else len(text)
    while place < len(text):
        place += len(text[place:]) - len(text[place:].lstrip(" \t\r\n,"))
        if text[place : place + 1] in {"]", ""}:
            break
        starts.append(place)
        _, place = json.JSONDecoder().raw_decode(text, place)
    return starts


def _line(
    text: str, starts: list[int], place: tuple[int | str, ...], context: Mapping[str, Any]
) -> int:
    """The line of the last key of *place* that stands in its step, or that of the step."""
    start, end = 0, len(text)
    if len(place) > 1 and isinstance(place[1], int) and place[1] < len(starts):
        start = starts[place[1]]
        end = (*starts, len(text))[place[1] + 1]
    keys = [str(key) for key in (*place[2:], context.get("key", "")) if key != ""]
    for key in reversed(keys):
        quoted = re.escape(key)
        match = re.search(rf"""(?<![\w.-])["']?{quoted}["']?\s*[=:\].]""", text[start:end])
        if match:
            start += match.start()
            break
    return text.count("\n", 0, start) + 1

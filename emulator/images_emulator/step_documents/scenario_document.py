"""Scenario documents: steps in TOML or JSON. A step is a fault or an answer, and the calls that it
is for."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from images_emulator.document_file import parse_file
from images_emulator.faults import Fault, fault_settings
from images_emulator.faults.mistake_sentences import sentence_of
from images_emulator.own_answers.answer_document import AnswerDocument
from images_emulator.own_answers.picture_files import NO_FILES, ReadingContext
from images_emulator.scenarios import ready_scenarios, scenario_file
from images_emulator.spelling import suggestion
from images_emulator.step_documents.match import Match
from images_emulator.strict_model import StrictModel


class StepDocument(StrictModel):
    """A fault or an answer, and the calls that meet it. Of the calls that match, the first *after*
    do not meet it. Each later one meets it with *probability*, until *times* calls have met it.
    With the same *seed*, a step at the same place chooses the same calls every time."""

    fault: Fault | None = Field(
        default=None, description="The fault: its name, or a mapping with it as `kind`."
    )
    answer: AnswerDocument | None = Field(
        default=None, description="What a call is answered with in place of a drawing."
    )
    match: Match = Field(default=Match(), description="Which calls the step is for.")
    times: int | None = Field(
        default=None, ge=1, description="How many calls meet it; all, where it is left out."
    )
    probability: float = Field(
        default=1, ge=0, le=1, description="The chance of each matching call to meet it."
    )
    after: int = Field(
        default=0, ge=0, description="How many matching calls pass before the first may meet it."
    )
    seed: int = Field(
        default=0, description="Seed of the random choice; the same seed gives the same choice."
    )

    @classmethod
    def _unknown(cls, key: str, document: Mapping[str, Any]) -> PydanticCustomError:
        """The mistake of a *key* that no step has. For a setting of the fault, the message shows
        where it is written. A step does not take settings of its fault, because `after` is a key of
        a step and a setting of faults."""
        fault = document.get("fault")
        names = fault_settings(fault)
        if key not in names:
            return super()._unknown(key, document)
        settings = {"kind": fault} if isinstance(fault, str) else {**(fault or {})}
        settings |= {
            name: value
            for name, value in document.items()
            if name in names and name not in cls.model_fields
        }
        example = json.dumps({"fault": settings}, default=str)
        return PydanticCustomError(
            "unknown_key",
            "unknown key '{key}' of a step; it is a setting of the fault: {example}",
            {"key": key, "example": example},
        )

    @model_validator(mode="after")
    def _check(self) -> StepDocument:
        if (self.fault is None) == (self.answer is None):
            count = "neither" if self.fault is None else "both"
            raise ValueError(f"a step has a 'fault' or an 'answer', and this one has {count}")
        return self

    @property
    def label(self) -> str:
        """The name of the step's fault or answer in the journal."""
        if self.answer is not None:
            return self.answer.label
        assert self.fault is not None, "checked"
        return self.fault.label

    def fault_as_json(self) -> dict[str, Any] | None:
        """The fault as a document has it, without settings that have their defaults."""
        if self.fault is None:
            return None
        return {"kind": self.fault.kind} | self.fault.model_dump(exclude_defaults=True)

    def as_request_json(self) -> dict[str, Any]:
        """The step as the admin API takes it, which reads no files. Raises ValueError for an answer
        with a function."""
        document = self.model_dump(exclude={"fault", "answer"}, exclude_defaults=True)
        # Without `times`, an injected fault is for one call.
        document["times"] = self.times
        if self.answer is not None:
            return {"answer": self.answer.as_request_json()} | document
        return {"fault": self.fault_as_json()} | document

    def pack(self, files: dict[str, bytes]) -> dict[str, Any]:
        """The step as a store keeps it. The files of its answer are put among *files*, by their
        digests."""
        document = self.model_dump(exclude={"fault", "answer"}, exclude_defaults=True)
        if self.answer is not None:
            return {"answer": self.answer.pack(files)} | document
        return {"fault": self.fault_as_json()} | document


class ScenarioDocument(StrictModel):
    """A scenario. A call meets the first step that grants it a fault, and the first that grants it
    an answer."""

    steps: list[StepDocument]


D = TypeVar("D", bound=StrictModel)


def parse_scenario(
    document: Mapping[str, Any], context: ReadingContext = NO_FILES
) -> ScenarioDocument:
    """The scenario in *document*. Raises ValueError with a sentence for each mistake."""
    return _validate(ScenarioDocument, document, context)


def parse_step(document: Mapping[str, Any], context: ReadingContext = NO_FILES) -> StepDocument:
    """The step in *document*. Raises ValueError with a sentence for each mistake."""
    return _validate(StepDocument, document, context)


def _validate(model: type[D], document: Mapping[str, Any], context: ReadingContext) -> D:
    try:
        return model.model_validate(document, context=context)
    except ValidationError as error:
        raise ValueError("\n".join(_sentences(error))) from None


def read_scenario(path: str) -> ScenarioDocument:
    """The scenario in the file *path*, or the ready scenario of that name. Raises ValueError as
    `read_document` does."""
    return read_document(ScenarioDocument, path, scenario_file(path))


def read_document(model: type[D], name: str, path: str) -> D:
    """The document of that *model* in the file *path*, which people know by its *name*. The paths
    in the document start from its folder. Raises ValueError, with a line `FILE:LINE: mistake` for
    each mistake, or `FILE: reason` where the file cannot be read."""
    is_json = path.endswith(".json")
    try:
        text, document = parse_file(path, json.loads if is_json else tomllib.loads)
        return model.model_validate(document, context=ReadingContext(Path(path).parent))
    except ValidationError as error:
        starts = _json_steps(text) if is_json else _toml_steps(text)
        prompts = document.get("prompts", ()) if isinstance(document, dict) else ()
        lines = (
            _line(text, starts, prompts, detail["loc"], detail.get("ctx", {}))
            for detail in _details(error)
        )
        pairs = zip(lines, _sentences(error), strict=True)
        raise ValueError(
            "\n".join(f"{path}:{line}: {sentence}" for line, sentence in pairs)
        ) from None
    except OSError as error:
        meant = suggestion(Path(name).name, ready_scenarios(), quote="'")
        if model is ScenarioDocument and name == Path(name).stem:
            meant += "; 'images-emulator scenario list' lists the ready scenarios"
        raise ValueError(f"{name}: {error.strerror}{meant}") from None


def _details(error: ValidationError) -> Sequence[Any]:
    return error.errors(include_url=False)


def _sentences(error: ValidationError) -> Iterator[str]:
    for detail in _details(error):
        match detail["loc"]:
            case ["steps", int(index), *rest]:
                place = [f"step {index + 1}", *map(str, rest)]
            case loc:
                place = list(map(str, loc))
        yield ": ".join([*place, sentence_of(detail)])


# --- line numbers: neither parser reports them, so the text is searched once more

_TOML_STEP: Final = re.compile(r"^[ \t]*\[\[[ \t]*steps[ \t]*\]\]", re.MULTILINE)
_JSON_STEPS: Final = re.compile(r'"steps"\s*:\s*\[')


def _toml_steps(text: str) -> list[int]:
    return [match.start() for match in _TOML_STEP.finditer(text)]


def _json_steps(text: str) -> list[int]:
    """The place at which each step begins."""
    starts: list[int] = []
    opening = _JSON_STEPS.search(text)
    offset = opening.end() if opening else len(text)
    while offset < len(text):
        offset += len(text[offset:]) - len(text[offset:].lstrip(" \t\r\n,"))
        if text[offset : offset + 1] in {"]", ""}:
            break
        starts.append(offset)
        _, offset = json.JSONDecoder().raw_decode(text, offset)
    return starts


def _toml_prompt(text: str, names: Collection[str], name: str) -> tuple[int, int]:
    """The start and the end in *text* of the entry *name* of `prompts`; all of the text where it is
    not found. *names* are all entries of `prompts`."""

    def offsets(names: Iterable[str]) -> Iterator[int]:
        keys = rf"""["']?(?:{"|".join(map(re.escape, names))})["']?[ \t]*[=\].]"""
        table = r"(?:\[?[ \t]*prompts[ \t]*\.[ \t]*)?"
        return (each.start() for each in re.finditer(rf"^[ \t]*{table}{keys}", text, re.MULTILINE))

    start = next(offsets([name]), None)
    if start is None:
        return 0, len(text)
    others = [each for each in names if each != name]
    ends = [*(offsets(others) if others else ()), *_toml_steps(text)]
    return start, min((offset for offset in ends if offset > start), default=len(text))


def _line(
    text: str,
    starts: list[int],
    prompts: Collection[str],
    place: tuple[int | str, ...],
    context: Mapping[str, Any],
) -> int:
    """The line of the last key of *place* that is found within its step or its entry of *prompts*.
    The line of the step or the entry itself where no key is found."""
    start, end = 0, len(text)
    if len(place) > 1 and isinstance(place[1], int) and place[1] < len(starts):
        start = starts[place[1]]
        end = (*starts, len(text))[place[1] + 1]
        place = place[2:]
    elif len(place) > 1 and place[0] == "prompts":
        start, end = _toml_prompt(text, prompts, str(place[1]))
    keys = [str(key) for key in (*place, context.get("key", "")) if key != ""]
    for key in reversed(keys):
        quoted = re.escape(key)
        match = re.search(
            rf"""(?<![\w.-])(?:steps\.)?["']?{quoted}["']?\s*[=:\].]""", text[start:end]
        )
        if match:
            start += match.start()
            break
    return text.count("\n", 0, start) + 1

"""The folder of `--pictures`: each file answers the prompts that its name stands for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

from pydantic import BeforeValidator, Field

from images_emulator.contract.own_picture import OWN_PICTURE_FORMATS
from images_emulator.exchange.prompts import name_pattern
from images_emulator.own_answers.answer_document import AnswerDocument
from images_emulator.own_answers.picture_files import PictureFile
from images_emulator.step_documents.match import Match
from images_emulator.step_documents.scenario_document import StepDocument, read_document
from images_emulator.strict_model import StrictModel

DOCUMENT: Final = "pictures.toml"
"""The file in the folder for answers that file names cannot express."""

PICTURE_SUFFIXES: Final = frozenset(
    suffix for each in OWN_PICTURE_FORMATS for suffix in each.suffixes
)
"""The suffixes of pictures' names, in lower case. Other files are left alone."""


class NamedStep(NamedTuple):
    """A step with its name for people."""

    name: str
    step: StepDocument


def _answer(value: Any) -> Any:
    """The mapping of an answer. A text is the picture of an answer, a list its pictures."""
    if isinstance(value, str):
        return {"image": value}
    return {"images": value} if isinstance(value, list) else value


class PicturesDocument(StrictModel):
    """`pictures.toml`: answers by the names of prompts, and steps as a scenario has them. The steps
    go first."""

    prompts: dict[str, Annotated[AnswerDocument, BeforeValidator(_answer)]] = Field(
        default={}, description="Answers by the names of prompts, which may have wildcards."
    )
    steps: list[StepDocument] = Field(default=[], description="Steps, as a scenario has them.")


class PicturesFolder:
    """A folder of pictures. It remembers the files that it has read. It reads a file again where
    the size or the time of change differs."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._read: dict[tuple[str, int, int], PictureFile] = {}
        """The files by their names, sizes and times of change."""
        self.summary = ""
        """How many pictures were read, and how many entries of the folder were ignored, in words.
        """

    def read(self) -> Sequence[NamedStep]:
        """The answers in the folder: first the steps of its document, then the answers by the names
        of prompts. Of these, the ones whose patterns say more of the name go first. Raises
        ValueError, with a line for each mistake."""
        try:
            files = sorted(each for each in self._path.iterdir() if not _is_hidden(each))
        except OSError as error:
            raise ValueError(f"{self._path}: {error.strerror}") from None
        document = PicturesDocument()
        if self._path / DOCUMENT in files:
            name = str(self._path / DOCUMENT)
            document = read_document(PicturesDocument, name, name)
        steps = [
            NamedStep(f"{DOCUMENT}, step {number}", step)
            for number, step in enumerate(document.steps, 1)
        ]
        pictures = [*self._steps_by_file_name(files)]
        ignored = sum(file.name != DOCUMENT for file in files) - len(pictures)
        self.summary = _count_text(len(pictures), "picture")
        if ignored:
            self.summary += f", {_count_text(ignored, 'other entry', 'other entries')} ignored"
        pairs = [*_steps_by_prompt(document), *pictures]
        pairs.sort(key=lambda each: _generality(each.step.match.prompt_name or ""))
        return [*steps, *pairs]

    def _steps_by_file_name(self, files: Sequence[Path]) -> Iterator[NamedStep]:
        mistakes, names, read = [], dict[str, str](), dict[tuple[str, int, int], PictureFile]()
        for file in files:
            if file.suffix.lower() not in PICTURE_SUFFIXES or not file.is_file():
                continue
            pattern = name_pattern(file.stem)
            first = names.setdefault(pattern, file.name)
            if first != file.name:
                mistakes.append(f"{file}: answers the same prompts as '{first}'")
                continue
            try:
                state = file.stat()
                key = file.name, state.st_size, state.st_mtime_ns
                picture = self._read.get(key) or PictureFile(file.name, file.read_bytes())
            except OSError as error:
                mistakes.append(f"{file}: {error.strerror}")
                continue
            if picture.mistake:
                mistakes.append(f"{file}: {picture.mistake}")
                continue
            read[key] = picture
            answer = AnswerDocument.model_construct({"image"}, image=(picture,))
            yield NamedStep(
                file.name, StepDocument(answer=answer, match=Match(prompt_name=pattern))
            )
        if mistakes:
            raise ValueError("\n".join(mistakes))
        self._read = read


def _count_text(number: int, noun: str, plural: str = "") -> str:
    return f"{number or 'no'} {noun if number == 1 else plural or f'{noun}s'}"


def _is_hidden(file: Path) -> bool:
    """Whether *file* is hidden, as `._fox.png` is, which macOS makes beside `fox.png`."""
    return file.name.startswith(".")


def _steps_by_prompt(document: PicturesDocument) -> Iterator[NamedStep]:
    for pattern, answer in document.prompts.items():
        match = Match(prompt_name=pattern)
        yield NamedStep(f"{DOCUMENT}, '{pattern}'", StepDocument(answer=answer, match=match))


def _generality(pattern: str) -> tuple[bool, int]:
    """The sort key of a pattern: patterns without wildcards first, then those with more letters."""
    letters = len(pattern) - pattern.count("*") - pattern.count("?")
    return "*" in pattern or "?" in pattern, -letters

"""An own answer: the answer of a step. Each call that meets the step is sent a replacement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Final

from images_emulator.contract.answer_replacement import (
    NO_OVERRIDES,
    AnswerOverrides,
    AnswerReplacement,
    RawAnswer,
)
from images_emulator.contract.own_picture import Fit, OwnPicture
from images_emulator.contract.request import ImageRequest
from images_emulator.immutable import Immutable
from images_emulator.own_answers.picture_files import PictureFile

MAX_PICTURES: Final = 16
"""The most files that one call is given *in_turn*. No answer has more pictures."""

PictureFunction = Callable[[ImageRequest, int], Any]
"""Makes image *index* (from 0) of a request: returns an image of Pillow, bytes, or a path."""


class OwnAnswer(Immutable, eq=False):
    """An answer in place of a drawing.

    - *files*: image 0 of an answer has the first file, image 1 the second. After the last file the
      first one follows again.
    - *in_turn*: each call begins with the next file.
    - *function*: makes the pictures of each call anew. Without *files* and *function* the emulator
      draws.
    - *raw*: a whole answer that is sent as it is. All other fields but *label* then have their
      defaults.
    """

    label: str
    """The answer's name in the journal. Where files are given *in_turn*, it is the name of the
    file."""
    overrides: AnswerOverrides = NO_OVERRIDES
    files: Sequence[PictureFile] = ()
    in_turn: bool = False
    partials: Sequence[PictureFile] = ()
    fit: Fit = "cover"
    verbatim: bool = False
    function: PictureFunction | None = None
    raw: RawAnswer | None = None

    def picture(self, file: PictureFile) -> OwnPicture:
        """The *file* as a picture of this answer."""
        partials = tuple(each.data for each in self.partials)
        return OwnPicture(file.data, self.fit, self.verbatim, partials, file.base_name)

    def replacement(self, number: int) -> AnswerReplacement:
        """The replacement for the call with that *number* (from 1) among the calls that met the
        step. It has no pictures yet where a *function* makes them: see `replacement_with`."""
        return self._replacements[(number - 1) % len(self._replacements)]

    def replacement_with(self, pictures: tuple[OwnPicture, ...]) -> AnswerReplacement:
        """The replacement for one call, for which the *function* has made *pictures*."""
        return AnswerReplacement(self.label, pictures, self.overrides, is_for_one_call=True)

    @cached_property
    def _replacements(self) -> Sequence[AnswerReplacement]:
        """The replacements that calls are sent one after the other; the first follows the last."""
        pictures = tuple(self.picture(file) for file in self.files)
        if not self.in_turn:
            return [AnswerReplacement(self.label, pictures or None, self.overrides, self.raw)]
        twice, count = pictures * 2, min(len(pictures), MAX_PICTURES)
        return [
            AnswerReplacement(file.name, twice[start : start + count], self.overrides)
            for start, file in enumerate(self.files)
        ]

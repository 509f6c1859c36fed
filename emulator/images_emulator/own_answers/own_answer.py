"""An own answer, as calls are given it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Final

from images_emulator.contract.answer_overrides import NO_OVERRIDES, AnswerOverrides, RawAnswer
from images_emulator.contract.own_picture import Fit, OwnPicture
from images_emulator.contract.request import ImageRequest
from images_emulator.immutable import Immutable
from images_emulator.own_answers.picture_files import PictureFile

MAX_PICTURES: Final = 16
"""More pictures than any answer has."""

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
    """The answer's name in the journal, unless *in_turn*: see `label_at`."""
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

    def label_at(self, number: int) -> str:
        """The answer's name in the journal at the call with that *number* (from 1). Where files are
        given *in_turn*, it is the name of the file."""
        return self.files[(number - 1) % len(self.files)].name if self.in_turn else self.label

    def pictures(self, number: int) -> tuple[OwnPicture, ...] | None:
        """The pictures of the call with that *number* (from 1) among the calls that met the answer.
        None where the emulator draws, and where a *function* makes the pictures."""
        return self._turns[(number - 1) % len(self._turns)] or None

    @cached_property
    def _turns(self) -> Sequence[tuple[OwnPicture, ...]]:
        """The pictures of each call until they repeat. Calls with the same pictures are given the
        same object, by which caches know it."""
        pictures = tuple(self.picture(file) for file in self.files)
        if not self.in_turn:
            return [pictures]
        twice, count = pictures * 2, min(len(pictures), MAX_PICTURES)
        return [twice[start : start + count] for start in range(len(pictures))]

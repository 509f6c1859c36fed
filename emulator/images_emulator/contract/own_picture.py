"""Own pictures: files that answer a call in place of drawings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from functools import cached_property
from hashlib import sha256
from typing import Final, Literal

from images_emulator.file_types import FILE_TYPES
from images_emulator.immutable import Immutable

Fit = Literal["cover", "contain", "exact"]
"""How a picture is brought to the size that a call asks for. `cover` scales it until it fills the
size and crops the rest. `contain` scales it until it fits in, with borders in the background's
colour. `exact` refuses a picture of any other size."""

OWN_PICTURE_FORMATS: Final = tuple(FILE_TYPES[word] for word in ("png", "jpeg", "webp", "gif"))
"""The formats of own pictures that are not verbatim."""

*_others, _last = (each.name for each in OWN_PICTURE_FORMATS)
FORMATS_IN_WORDS: Final = f"{', '.join(_others)} or {_last}"
"""The names of `OWN_PICTURE_FORMATS`: `PNG, JPEG, WebP or GIF`."""


class OwnPicture(Immutable):
    """A picture that answers a call in place of a drawing.

    `imaging.fitting` fits it to the size, format, background and compression that the call asks
    for. Where it is *verbatim*, the file is sent as it is.

    *data* is a file of `OWN_PICTURE_FORMATS`; a *verbatim* one may be any file. *partials* are the
    files of the partial images, in their order. Partial images without a file are previews of the
    picture. *name* tells people which file it is, in errors; it decides no byte.
    """

    data: bytes = field(repr=False)
    fit: Fit = "cover"
    verbatim: bool = False
    partials: tuple[bytes, ...] = field(default=(), repr=False)
    name: str = field(default="picture", compare=False)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of *data*, in hex."""
        return sha256(self.data).hexdigest()

    @cached_property
    def partial_digests(self) -> tuple[str, ...]:
        """SHA-256 of each of *partials*, in hex."""
        return tuple(sha256(each).hexdigest() for each in self.partials)

    @cached_property
    def key(self) -> str:
        """A text of everything that decides the files of an answer, for the keys of a request."""
        # Partial images of a verbatim picture are made of it, unless it has its own.
        how = f"verbatim {self.fit}" if self.verbatim else self.fit
        return " ".join((self.digest, how, *self.partial_digests))

    @property
    def weight(self) -> int:
        """Bytes of the picture's files."""
        return len(self.data) + sum(map(len, self.partials))

    def add_and_weigh_holder(self) -> int:
        """Note one more call that holds this very object, and return the part of `weight` that it
        counts. The first call counts all of it, the second a half, the third a third, and so on. A
        thousand calls thus count less than eight times what they hold. When the first calls are
        dropped, the calls that are left still count something."""
        holders = self.__dict__["_holders"] = self.__dict__.get("_holders", 0) + 1
        return self.weight // int(holders)

    def verbatim_file(self, partial: int | None = None) -> bytes | None:
        """The file that is sent as it is: for the final image, or for partial image *partial* (from
        0). None where the emulator makes a file."""
        if not self.verbatim:
            return None
        if partial is None:
            return self.data
        return self.partials[partial] if partial < len(self.partials) else None

    def files(self) -> dict[str, bytes]:
        """The picture's files by their digests."""
        names = (self.digest, *self.partial_digests)
        return dict(zip(names, (self.data, *self.partials), strict=True))


def own_files_of(pictures: Iterable[OwnPicture] | None) -> dict[str, bytes]:
    """The files of *pictures* by their digests, each once."""
    return {digest: data for each in pictures or () for digest, data in each.files().items()}

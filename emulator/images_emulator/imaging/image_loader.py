"""The image loader of validation: see `contract.picture.ImageLoader`."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from threading import Lock

from images_emulator.contract.models import NEWEST_MODEL
from images_emulator.contract.operations import GENERATIONS
from images_emulator.contract.picture import Picture
from images_emulator.contract.request import ImageRequest
from images_emulator.imaging import decoder
from images_emulator.imaging.render import render_image


class PillowImageLoader:
    """Decodes uploads, one at a time, since each may take 256 MB. Threads may share it.

    *file* returns the content of an uploaded file by its id, *fetch* the bytes at a URL; both None
    where there are none.
    """

    def __init__(
        self, file: Callable[[str], bytes | None], fetch: Callable[[str], bytes | None]
    ) -> None:
        self.file = file
        self.fetch = fetch
        self._budget = decoder.PixelBudget()
        self._decoding = Lock()

    def with_files(self, file: Callable[[str], bytes | None]) -> PillowImageLoader:
        """A loader of other uploaded files, whose pixels are in the same budget."""
        loader = copy(self)
        loader.file = file
        return loader

    def decode(self, data: bytes) -> Picture | None:
        with self._decoding:
            return decoder.decode(data, self._budget)

    def blank(self) -> Picture:
        picture = decoder.decode(decoder.blank_png())
        assert picture
        return picture

    def placeholder(self, url: str) -> Picture:
        """An image drawn from *url*, in place of the one there, which is not fetched."""
        request = ImageRequest(
            operation=GENERATIONS, model=NEWEST_MODEL, prompt=url, size=(1024, 1024)
        )
        picture = decoder.decode(render_image(request, 0))
        assert picture
        return picture

    def placeholder_overlay(self, url: str, width: int, height: int) -> Picture:
        """A white mask with a round hole in its middle, in place of one that is not fetched."""
        picture = decoder.decode(decoder.mask_png(width, height))
        assert picture
        return picture

"""The image loader of validation: see `contract.call_image.ImageLoader`."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace

from images_emulator.contract.call_image import CallImage
from images_emulator.contract.models import NEWEST_MODEL
from images_emulator.contract.operations import GENERATIONS
from images_emulator.contract.request import ImageRequest
from images_emulator.imaging import decoder
from images_emulator.imaging.decode_limits import DEFAULT_LIMITS, UNLIMITED, DecodeLimits
from images_emulator.imaging.render import render_image


class PillowImageLoader:
    """Decodes uploads within *limits*. Threads may share it.

    *file* returns the content of an uploaded file by its id, *fetch* returns the bytes at a URL.
    Both return None where there is nothing.
    """

    def __init__(
        self,
        file: Callable[[str], bytes | None],
        fetch: Callable[[str], bytes | None],
        limits: DecodeLimits = DEFAULT_LIMITS,
    ) -> None:
        self.file = file
        self.fetch = fetch
        self._limits = limits
        self._budget = decoder.PixelBudget()
        self._pixels_left: int | None = None
        self.passed_setting: str | None = None
        """The setting whose limit made `decode` refuse the last file that it refused in this call.
        None where that file is no image."""

    def for_call(self, file: Callable[[str], bytes | None]) -> PillowImageLoader:
        """The loader of one call, with the uploaded files that *file* returns. Its pixels are part
        of the same budget, and are limited to those that one call may have."""
        loader = copy(self)
        loader.file = file
        loader._pixels_left = self._limits.call_pixels
        return loader

    def decode(self, data: bytes) -> CallImage | None:
        limits, left = self._limits, self._pixels_left
        if left is None:
            return decoder.decode(data, self._budget, limits)
        picture = decoder.decode(
            data, self._budget, replace(limits, pixels=min(limits.pixels, left))
        )
        if picture:
            self._pixels_left = left - picture.width * picture.height
        else:
            self.passed_setting = limits.passed_by(data)
            if not self.passed_setting and replace(limits, pixels=left).passed_by(data):
                self.passed_setting = "max_call_pixels"
        return picture

    def blank(self) -> CallImage:
        return self._of_own(decoder.blank_png())

    def placeholder(self, url: str) -> CallImage:
        """An image drawn from *url*, in place of the image at that URL, which is not fetched."""
        request = ImageRequest(
            operation=GENERATIONS, model=NEWEST_MODEL, prompt=url, size=(1024, 1024)
        )
        return self._of_own(render_image(request, 0))

    def placeholder_overlay(self, url: str, width: int, height: int) -> CallImage:
        """A white mask with a round hole in its middle, in place of a mask that is not fetched."""
        return self._of_own(decoder.mask_png(width, height))

    def _of_own(self, data: bytes) -> CallImage:
        """The picture in *data*, a file of the emulator's own, which no limit refuses. Its pixels
        count in the budget."""
        picture = decoder.decode(data, self._budget, UNLIMITED)
        assert picture
        return picture

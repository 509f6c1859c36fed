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
    """Decodes uploads within *limits*. Threads may share it, except the loader of one call: see
    `for_call`.

    *read_file* returns the content of an uploaded file by its id, *fetch* returns the bytes at a
    URL. The first returns None where there is no such file, the second where a placeholder takes
    the place of the image.
    """

    def __init__(
        self,
        read_file: Callable[[str], bytes | None],
        fetch: Callable[[str], bytes | None],
        limits: DecodeLimits = DEFAULT_LIMITS,
    ) -> None:
        self.read_file = read_file
        self.fetch = fetch
        self._limits = limits
        self._budget = decoder.PixelBudget()
        self._pixels_left: int | None = None
        self.exceeded_setting: str | None = None
        """The setting whose limit the last file that `decode` refused in this call exceeds. None
        where no file was refused, or the last one for another reason."""

    def for_call(self, read_file: Callable[[str], bytes | None]) -> PillowImageLoader:
        """The loader of one call, with the uploaded files that *read_file* returns. Its pixels are
        part of the same budget, and are limited to those that one call may have."""
        loader = copy(self)
        loader.read_file = read_file
        loader._pixels_left = self._limits.max_call_pixels
        return loader

    def decode(self, data: bytes) -> CallImage | None:
        limits, left = self._limits, self._pixels_left
        if left is None:
            return decoder.decode(data, self._budget, limits)
        picture = decoder.decode(
            data, self._budget, replace(limits, max_pixels=min(limits.max_pixels, left))
        )
        if picture:
            self._pixels_left = left - picture.width * picture.height
        else:
            self.exceeded_setting = limits.exceeded_setting(data)
            limits_left = replace(limits, max_pixels=left)
            if not self.exceeded_setting and limits_left.exceeded_setting(data):
                self.exceeded_setting = "max_call_pixels"
        return picture

    def blank(self) -> CallImage:
        return self._decode_own(decoder.blank_png())

    def placeholder(self, url: str) -> CallImage:
        """An image drawn from *url*, in place of the image at that URL, which is not fetched."""
        request = ImageRequest(
            operation=GENERATIONS, model=NEWEST_MODEL, prompt=url, size=(1024, 1024)
        )
        return self._decode_own(render_image(request, 0))

    def placeholder_overlay(self, url: str, width: int, height: int) -> CallImage:
        """A white mask with a round hole in its middle, in place of a mask that is not fetched."""
        return self._decode_own(decoder.mask_png(width, height))

    def _decode_own(self, data: bytes) -> CallImage:
        """The picture in *data*, a file of the emulator's own, which no limit refuses. Its pixels
        count in the budget."""
        picture = decoder.decode(data, self._budget, UNLIMITED)
        assert picture
        return picture

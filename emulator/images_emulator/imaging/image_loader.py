"""What validation asks about images: see `contract.request.ImageLoader`."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from images_emulator.contract.models import NEWEST_MODEL
from images_emulator.contract.operations import GENERATIONS
from images_emulator.contract.request import ImageRequest, Picture
from images_emulator.imaging import decoder
from images_emulator.imaging.render import render_image


class ImageLoader:
    """Decodes one image at a time, for each may take 256 MB. Threads may share it."""

    def __init__(
        self, file: Callable[[str], bytes | None], fetch: Callable[[str], bytes | None]
    ) -> None:
        self.file = file
        self.fetch = fetch
        self._budget = decoder.PixelBudget()
        self._decoding = Lock()

    def decode(self, data: bytes) -> Picture | None:
        with self._decoding:
            return decoder.decode(data, self._budget)

    def blank(self) -> Picture:
        picture = decoder.decode(decoder.blank_png())
        assert picture
        return picture

    def placeholder(self, url: str) -> Picture:
        """A picture drawn from *url*, in its place, where it is not fetched."""
        request = ImageRequest(
            operation=GENERATIONS, model=NEWEST_MODEL, prompt=url, size=(1024, 1024)
        )
        picture = decoder.decode(render_image(request, 0))
        assert picture
        return picture

    def placeholder_overlay(self, url: str, width: int, height: int) -> Picture:
        """A white sheet with a round hole in its middle: addresses are not fetched."""
        picture = decoder.decode(decoder.mask_png(width, height))
        assert picture
        return picture

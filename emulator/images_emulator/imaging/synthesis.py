"""From a request to encoded pictures. The same request gives the same bytes in any process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from threading import Lock
from typing import Final

from images_emulator.contract.models import UNKNOWN
from images_emulator.contract.request import Endpoint, ImageRequest, Picture
from images_emulator.imaging import edits, placeholder, uploads
from images_emulator.imaging.formats import FORMATS, Artist, mode_of
from images_emulator.imaging.previews import previews

_ARTISTS: Final[Mapping[Endpoint, Artist]] = {
    Endpoint.GENERATIONS: placeholder.draw,
    Endpoint.EDITS: edits.edit,
    Endpoint.VARIATIONS: edits.vary,
}


def mimetype(request: ImageRequest) -> str:
    """The media type of the pictures that *request* gets."""
    return FORMATS[request.output_format].mimetype


def render(request: ImageRequest, index: int) -> bytes:
    """The picture number *index* (from 0) of *request*, as a file."""
    return FORMATS[request.output_format].write(request, index, _ARTISTS[request.endpoint])


def render_progress(request: ImageRequest, start: int = 0) -> Iterator[tuple[int | None, bytes]]:
    """The partial images of *request* from number *start* on, each with its number, then the very
    file of `render` with None. All are of one drawing."""
    encode = FORMATS[request.output_format].encode
    assert encode, "the table lets no other format stream"
    image = _ARTISTS[request.endpoint](request, 0)
    coarse = previews(image, mode_of(request), start, request.partial_images)
    for number, preview in enumerate(coarse, start):
        yield number, encode(request, preview, partial=number)
    yield None, encode(request, image)


class Darkroom:
    """What validation asks about pictures; see `contract.request.Darkroom`. Threads may share it:
    one picture is decoded at a time, for each may take 256 MB."""

    def __init__(
        self, file: Callable[[str], bytes | None], fetch: Callable[[str], bytes | None]
    ) -> None:
        self.file = file
        self.fetch = fetch
        self._budget = uploads.PixelBudget()
        self._decoding = Lock()

    def develop(self, data: bytes) -> Picture | None:
        with self._decoding:
            return uploads.develop(data, self._budget)

    def blank(self) -> Picture:
        picture = uploads.develop(uploads.blank())
        assert picture
        return picture

    def stand_in(self, url: str) -> Picture:
        """A picture drawn from *url*, in its place, where it is not fetched."""
        request = ImageRequest(
            endpoint=Endpoint.GENERATIONS, model=UNKNOWN, prompt=url, size=(1024, 1024)
        )
        picture = uploads.develop(render(request, 0))
        assert picture
        return picture

    def stand_in_overlay(self, url: str, width: int, height: int) -> Picture:
        """A white sheet with a round hole in its middle: addresses are not fetched."""
        picture = uploads.develop(uploads.pierced(width, height))
        assert picture
        return picture

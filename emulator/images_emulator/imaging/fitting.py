"""Fits own pictures, which are files, to the size and background that a call asks for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from io import BytesIO
from typing import Final, NamedTuple

from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from images_emulator.contract.notices import OTHER_PICTURE
from images_emulator.contract.own_picture import (
    FORMATS_IN_WORDS,
    OWN_PICTURE_FORMATS,
    OwnPicture,
)
from images_emulator.contract.request import ImageRequest
from images_emulator.contract.rules import Pixels
from images_emulator.imaging.decode_limits import DEFAULT_LIMITS, PIXEL_BYTES, is_large
from images_emulator.imaging.decoder import DECODE_LOCK
from images_emulator.imaging.drawing import DrawFunction
from images_emulator.imaging.formats import OUTPUT_FORMATS, format_of, mode_of, pillow_name
from images_emulator.imaging.partial_images import PartialImage, partial_images
from images_emulator.imaging.pillow_warnings import pillow_silenced
from images_emulator.imaging.scaled import TRANSPOSED_ORIENTATIONS
from images_emulator.imaging.transparent_colour import adapt_transparent_colour, grey_of_8_bits
from images_emulator.lru_cache import LRUCache

PILLOW_FORMATS: Final = tuple(map(pillow_name, OWN_PICTURE_FORMATS))
"""Formats of own pictures, as Pillow calls them."""

DEEP_MODES: Final = frozenset({"I", "I;16", "I;16B", "I;16L"})
"""The modes of greys with 16 bits, as Pillow calls them."""

WHITE: Final = "#ffffff"
TRANSPARENT: Final = "#00000000"
"""Colours of a canvas, as Pillow reads them."""

UNKNOWN_COLOUR: Final = "#8a8f98"
"""Colour of the thumbnail of a file that cannot be opened."""

NO_IMAGE: Final = f"is no {FORMATS_IN_WORDS}"
"""The mistake of a file that Pillow does not know, such as an SVG."""

TOO_LARGE: Final = "is larger than can be opened"
"""The mistake of a file of too many pixels; its size is added where it is known."""

MAX_FACTS: Final = 4096
"""The most files whose facts are cached."""


class FileFacts(NamedTuple):
    """The properties of a file. *output_format* is its value of the parameter `output_format`, or
    None. *size* is the upright size, or None for a file that cannot be opened or decoded. *mistake*
    then says why, as a predicate without a subject, such as `is no PNG, JPEG, WebP or GIF`.
    `facts_of_head` does not find out whether the file can be decoded."""

    output_format: str | None
    size: Pixels | None
    mistake: str = ""


MAX_FRAME_BYTES: Final = 32 * 2**20
"""The most bytes of cached frames."""

_first_frames: Final = LRUCache(MAX_FRAME_BYTES)
"""Fitted first frames with the number of frames of their files, by everything that decides them.
Calls with other prompts get the same frame with another recipe. Only the budget evicts frames."""

_facts: Final = LRUCache(MAX_FACTS)
"""`FileFacts` by the digest of the file, which alone decides them, each of weight 1. Only the
budget evicts them."""


@contextmanager
def _mistakes() -> Iterator[None]:
    """Turn an error of a decoder in the block into a ValueError. Its message is a predicate of the
    file, such as `is no PNG, JPEG, WebP or GIF`. Pillow's warnings are silent in the block."""
    try:
        with pillow_silenced():
            yield
    except _TooLargeError as error:
        raise ValueError(str(error)) from None
    except Image.DecompressionBombError:
        raise ValueError(TOO_LARGE) from None
    except UnidentifiedImageError:
        raise ValueError(NO_IMAGE) from None
    except MemoryError:
        # The server is at fault, not the file.
        raise
    except Exception as error:  # noqa: BLE001 - damaged files raise whatever the decoder stumbles over
        raise ValueError(f"cannot be decoded: {error}") from None


@contextmanager
def _open_file(data: bytes) -> Iterator[Image.Image]:
    """Open the file *data*, without decoding it. Errors, also those of the block, are raised as by
    `_mistakes`."""
    with _mistakes(), _open_within_limits(data) as file:
        yield file


def _open_within_limits(data: bytes) -> Image.Image:
    scans = DEFAULT_LIMITS.scans_within(data)
    if scans is None:
        raise _TooLargeError("has more parts than any encoder writes, or more pixels")
    file = Image.open(BytesIO(data), formats=PILLOW_FORMATS)
    if not DEFAULT_LIMITS.allows(file, scans):
        raise _TooLargeError(f"{TOO_LARGE} ({file.width}x{file.height} pixels)")
    adapt_transparent_colour(file, data)
    return file


class _TooLargeError(Exception):
    """The file has more pixels or parts than the emulator opens. The message is a predicate."""


def _frame_count(file: Image.Image) -> int:
    """The number of frames of an animation; 1 for any other file. The further pictures of a phone's
    JPEG, which opens as MPO, are not frames."""
    with suppress(ValueError), _mistakes():
        return 1 if file.format == "MPO" else int(getattr(file, "n_frames", 1))
    return 1


def _frame(file: Image.Image, number: int) -> Image.Image:
    """Frame *number* of an opened *file*, upright, in mode `RGB` or `RGBA`. Raises any error of the
    decoder."""
    with DECODE_LOCK if is_large(*file.size) else nullcontext():
        if number != file.tell():
            file.seek(number)
        file.load()
    image = ImageOps.exif_transpose(file)
    if image.mode in DEEP_MODES:
        image = grey_of_8_bits(image)
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def decoded_picture(data: bytes) -> Image.Image:
    """The image in the file *data*, or the first frame of an animation. Errors are raised as by
    `_mistakes`."""
    with _open_file(data) as file:
        return _frame(file, 0)


def facts_of(data: bytes, digest: str) -> FileFacts:
    """The facts of the file *data*, whose SHA-256 is *digest*. The file is decoded once; its facts
    are cached."""
    facts: FileFacts | None = _facts.get(digest)
    if facts is None:
        try:
            facts = FileFacts(_format_word(data), decoded_picture(data).size)
        except ValueError as error:
            facts = FileFacts(_format_word(data), None, str(error))
        _facts.put(digest, facts, 1)
    return facts


def verbatim_facts(request: ImageRequest, index: int) -> FileFacts | None:
    """The facts of image *index* of the answer to *request*, where it is an own picture that is
    sent unchanged; None for any other image."""
    own = request.own_picture(index)
    return facts_of(own.data, own.digest) if own and own.verbatim else None


def facts_of_head(data: bytes) -> FileFacts:
    """The facts that the head of the file *data* gives. The rest is not decoded, and may be
    damaged."""
    try:
        with _open_file(data) as file:
            turned = file.getexif().get(ExifTags.Base.Orientation) in TRANSPOSED_ORIENTATIONS
            size = (file.height, file.width) if turned else (file.width, file.height)
    except ValueError as error:
        return FileFacts(_format_word(data), None, str(error))
    return FileFacts(_format_word(data), size)


def file_of(image: object) -> bytes | None:
    """The PNG of *image*, an image of Pillow; None for any other object. Raises ValueError for an
    image that PNG cannot hold."""
    if not isinstance(image, Image.Image):
        return None
    file = BytesIO()
    try:
        image.save(file, "PNG", compress_level=1)
    except OSError as error:
        raise ValueError(f"the image has no PNG: {error}") from None
    return file.getvalue()


def _format_word(data: bytes) -> str | None:
    file_format = format_of(data)
    return next((word for word, each in OUTPUT_FORMATS.items() if each is file_format), None)


class UnusablePictureError(ValueError):
    """The own picture *name* cannot answer a call. *reason* is a predicate of it."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} {reason}")
        self.name = name
        self.reason = reason


def check_own_pictures(request: ImageRequest) -> tuple[str, ...]:
    """Check that the own pictures of *request* can answer it. Files that were not checked before
    are decoded. Returns notices about verbatim pictures that differ from what the request asks for.
    Raises UnusablePictureError."""
    notices: list[str] = []
    for index in range(min(request.n, len(request.own_pictures or ()))):
        own = request.own_picture(index)
        assert own, "the request has own pictures"
        partial_count = min(request.partial_images, len(own.partials)) if request.stream else 0
        files = [(own.name, own.data, own.digest)]
        for partial in range(partial_count):
            name = f"{own.name}, partial image {partial}"
            files.append((name, own.partials[partial], own.partial_digests[partial]))
        needs_preview = request.stream and request.partial_images > partial_count
        for name, data, digest in files:
            facts = facts_of(data, digest)
            is_opened = not own.verbatim or (needs_preview and data is own.data)
            if is_opened and facts.size is None:
                raise UnusablePictureError(name, facts.mistake)
            if own.verbatim:
                notices += _notices(name, facts, request)
            elif own.fit == "exact" and facts.size != request.size:
                size = _pixels(request.size)
                reason = f"has {_pixels(facts.size or (0, 0))} pixels, and the call asks for {size}"
                raise UnusablePictureError(name, reason)
    return tuple(notices)


def _notices(name: str, facts: FileFacts, request: ImageRequest) -> Iterator[str]:
    """A notice about the differences of a verbatim file from what *request* asks for, if there are
    any."""
    word, differences = facts.output_format, []
    if facts.mistake and not (word and facts.mistake == NO_IMAGE):
        differences.append(facts.mistake)
    if facts.size and facts.size != request.size:
        differences.append(f"has {_pixels(facts.size)} pixels, not {_pixels(request.size)}")
    if word and word != request.output_format:
        differences.append(f"is {word}, not {request.output_format}")
    if differences:
        yield OTHER_PICTURE.format(name=name, difference=" and ".join(differences))


def _pixels(size: Pixels) -> str:
    return "{}x{}".format(*size)


def _fit_to_request(image: Image.Image, own: OwnPicture, request: ImageRequest) -> Image.Image:
    """*image* in the size and the mode of *request*. Without transparency it is on white."""
    size, mode = request.size, mode_of(request)
    if image.size != size:
        if own.fit == "contain":
            if request.is_transparent:
                image = image.convert("RGBA")
            colour = TRANSPARENT if image.mode == "RGBA" else WHITE
            image = ImageOps.pad(image, size, Image.Resampling.LANCZOS, color=colour)
        else:
            image = ImageOps.fit(image, size, Image.Resampling.LANCZOS)
    if mode == "RGB" and image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", size, WHITE), image)
    return image.convert(mode)


def _first_frame(own: OwnPicture, request: ImageRequest) -> tuple[Image.Image, int]:
    """The first frame of *own*, fitted by `_fit_to_request`, and the number of frames. Errors are
    raised as by `_mistakes`."""
    key = own.digest, own.fit, request.size, mode_of(request)
    frame: tuple[Image.Image, int] | None = _first_frames.get(key)
    if frame is None:
        with _open_file(own.data) as file:
            frame = _fit_to_request(_frame(file, 0), own, request), _frame_count(file)
        _first_frames.put(key, frame, PIXEL_BYTES * request.size[0] * request.size[1])
    return frame


class OwnDrawing:
    """Draws the own pictures of a request in its size and mode: a `DrawFunction` for one file.

    It keeps the last frame and the opened animation, so that phases in ascending order decode each
    frame once. Callers must not change the image that it returns. Raises ValueError for a file that
    cannot be decoded. A damaged frame of an animation is replaced by the frame before it.
    """

    def __init__(self) -> None:
        self._index: int | None = None
        self._image: Image.Image
        self._frame_count: int
        self._number: int
        self._file: Image.Image | None

    def __call__(self, request: ImageRequest, index: int, phase: float = 0.0) -> Image.Image:
        own = request.own_picture(index)
        assert own, "the request has own pictures"
        if index != self._index:
            self._image, self._frame_count = _first_frame(own, request)
            self._index, self._number, self._file = index, 0, None
        # Rounding is needed: 0.29 · 100 is a little below 29.
        number = int(round(phase * self._frame_count, 6))
        if number != self._number:
            self._number = number
            with suppress(ValueError), _mistakes():
                self._file = self._file or _open_within_limits(own.data)
                self._image = _fit_to_request(_frame(self._file, number), own, request)
        return self._image


def draw_partial(
    request: ImageRequest, index: int, partial: int, draw: DrawFunction
) -> Image.Image | PartialImage:
    """Partial image *partial* (from 0) of own picture *index*: from its file where there is one,
    else a preview of the image that *draw* draws."""
    own = request.own_picture(index)
    assert own, "the request has own pictures"
    if partial < len(own.partials):
        return _fit_to_request(decoded_picture(own.partials[partial]), own, request)
    (preview,) = partial_images(draw(request, index), mode_of(request), partial, partial + 1)
    return preview


def view(request: ImageRequest, index: int, partial: int | None = None) -> Image.Image:
    """Own picture *index*, or its partial image *partial*, as people see it. A picture that is sent
    unchanged has its own size. A file that cannot be opened is a grey area."""
    own = request.own_picture(index)
    assert own, "the request has own pictures"
    try:
        if file := own.verbatim_file(partial):
            return decoded_picture(file)
        draw = OwnDrawing()
        if partial is None:
            return draw(request, index)
        image = draw_partial(request, index, partial, draw)
    except ValueError:
        return Image.new("RGB", request.size, UNKNOWN_COLOUR)
    return image.whole() if isinstance(image, PartialImage) else image

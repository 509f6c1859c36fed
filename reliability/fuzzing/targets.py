"""The targets: what is read, and what has to be true of it, whatever the bytes are."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from PIL import Image

from images_emulator.contract.refusal import APIError
from images_emulator.exchange.form_parser import MAX_LISTED_PARTS, list_parts, read_form
from images_emulator.imaging.decoder import decode, pixel_digest, pixels_of
from images_emulator.imaging.thumbnails import upload_thumbnails

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"


class Target(NamedTuple):
    """*check* raises where one input is read wrongly; *seeds* are the inputs to begin with."""

    check: Callable[[bytes], None]
    seeds: Callable[[], Sequence[bytes]]


def _form_outcome(content_type: str, body: Iterable[bytes]) -> dict[str, Any] | str:
    try:
        return read_form(content_type, body)
    except APIError as error:
        return str(error)


def check_form(data: bytes) -> None:
    """The first byte is the size of the chunks, a line of its own the media type. A form is the
    same in chunks as in one piece, its list of parts has the same fields, and a mistake is told in
    the API's words."""
    size, (head, _, body) = 1 + data[0] if data else 1, data[1:].partition(b"\n")
    content_type = head.decode("latin-1")
    whole = _form_outcome(content_type, [body])
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    assert _form_outcome(content_type, chunks) == whole
    try:
        parts, fields = list_parts(content_type, chunks)
    except APIError:
        return
    assert len(parts) <= MAX_LISTED_PARTS
    if isinstance(whole, dict):
        assert fields == whole


def form_seeds() -> Sequence[bytes]:
    """Forms as clients send them, and some with mistakes."""
    part = b'--b\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
    file = b'; filename="a.png"\r\nContent-Type: image/png'
    bodies = (
        part % (b"prompt", b"", b"x") + part % (b"image", file, PNG_SIGNATURE) + b"--b--\r\n",
        part % (b"image[]", file, b"1") * 2 + part % (b"svg[a][b]", b"", b"1") + b"--b--",
        part % (b"n", b"", b"1") + part % (b"n[]", b"", b"\r\n--b") + b"--b \t\r\n\r\n\r\n--b--",
        b"preamble\r\n--b\r\n\r\nx\r\n--b--\r\nepilogue",
        part % (b"prompt", b"", b"cut"),
    )
    types = (b"multipart/form-data; boundary=b", b'multipart/form-data; boundary="b"; x=y')
    return [
        bytes([size]) + kind + b"\n" + body for body in bodies for kind in types for size in (0, 9)
    ]


def with_right_checksums(data: bytes) -> bytes:
    """A PNG whose chunks have the checksums of their data; any other file as it is."""
    if not data.startswith(PNG_SIGNATURE):
        return data
    parts, position = [PNG_SIGNATURE], len(PNG_SIGNATURE)
    while position + 12 <= len(data):
        end = position + 8 + int.from_bytes(data[position : position + 4], "big")
        if end + 4 > len(data):
            break
        checksum = zlib.crc32(data[position + 4 : end]).to_bytes(4, "big")
        parts += data[position:end], checksum
        position = end + 4
    return b"".join([*parts, data[position:]])


def check_picture(data: bytes) -> None:
    """A file is an image of the size that its head says, each time the same, from which everything
    can be had that a call needs of it; or it is none."""
    for file in {data, with_right_checksums(data)}:
        pixels = pixels_of(file)
        picture = decode(file)
        if not picture:
            continue
        size = picture.width, picture.height
        # The orientation of a PNG may stand behind its pixels.
        assert pixels in (size, size[::-1] if picture.format == "PNG" else size), (pixels, size)
        assert picture == decode(file)
        assert pixel_digest(picture) == pixel_digest(picture)
        assert picture.has_transparent_pixels in (True, False)
        assert upload_thumbnails(file)


def picture_seeds() -> Sequence[bytes]:
    """A small picture in each mode and format, and with each piece of metadata that is read."""
    seeds = []
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"):
        for kind in ("PNG", "JPEG", "WEBP"):
            file = io.BytesIO()
            options: dict[str, Any] = {"transparency": 0} if mode == "P" and kind == "PNG" else {}
            try:
                Image.new(mode, (9, 5)).save(file, kind, **options)
            except (OSError, ValueError):  # a format without this mode
                continue
            seeds.append(file.getvalue())
    turned = Image.Exif()
    turned[274] = 6
    for kind, options in (
        ("PNG", {"exif": turned}),
        ("JPEG", {"exif": turned, "progressive": True}),
        ("WEBP", {"exif": turned, "lossless": True}),
        ("PNG", {"save_all": True, "append_images": [Image.new("RGBA", (9, 5), "red")]}),
        ("WEBP", {"save_all": True, "append_images": [Image.new("RGBA", (9, 5), "red")]}),
    ):
        file = io.BytesIO()
        Image.new("RGB", (9, 5)).save(file, kind, **options)
        seeds.append(file.getvalue())
    return seeds


TARGETS: Final = {
    "form": Target(check_form, form_seeds),
    "picture": Target(check_picture, picture_seeds),
}
"""The targets by name."""

"""The emulator's functions that are timed within the process of the benchmark."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from random import Random
from typing import Any, Final

from PIL import Image, ImageDraw
from uvicorn.protocols.http.h11_impl import H11Protocol

from benchmarks.calls import fresh, numbered
from images_emulator import Server
from images_emulator.contract.operations import GENERATIONS, Operation
from images_emulator.contract.request import ImageRequest, ParsedCall, Upload
from images_emulator.contract.validation import validate
from images_emulator.imaging import drawing, edits, png
from images_emulator.imaging.formats import OUTPUT_FORMATS
from images_emulator.imaging.image_loader import PillowImageLoader
from images_emulator.imaging.render import render_image, render_stream

_LOADER: Final = PillowImageLoader(lambda identity: None, lambda url: None)


def request_of(fields: Mapping[str, Any], operation: Operation = GENERATIONS) -> ImageRequest:
    """The validated request of a call with *fields*: a JSON body, or where there are uploads a
    form."""
    form = operation is not GENERATIONS
    return validate(ParsedCall(operation, form, fields), _LOADER)


def requests_of(fields: Mapping[str, Any]) -> Iterator[ImageRequest]:
    """Requests that differ in the number in their prompts."""
    number, request = fresh(), request_of(fields)
    while True:
        number += 1
        yield replace(request, prompt=numbered(number, request.prompt))


def draw(request: ImageRequest, index: int = 0) -> Image.Image:
    return drawing.draw(request, index)


def draw_scene(request: ImageRequest, index: int = 0) -> Image.Image:
    """The same without its card."""
    return drawing.draw_scene(request, index, request.size, None)


def edit(request: ImageRequest) -> Image.Image:
    return edits.edit(request, 0)


def encode(request: ImageRequest, image: Image.Image) -> bytes:
    writer = OUTPUT_FORMATS[request.output_format].encode
    assert writer
    return writer(request, image)


def encode_slowly(image: Image.Image) -> bytes:
    """The same where the fast deflater has no wheel."""
    return png.encode(image, "RGB", {}, zlib)


def render(request: ImageRequest, index: int = 0) -> bytes:
    return render_image(request, index)


def render_partials(request: ImageRequest) -> list[bytes]:
    """The partial images of a stream, then the final one."""
    return [image for _, image in render_stream(request)]


def saved(image: Image.Image, **options: Any) -> bytes:
    """*image* as Pillow writes it, in true colour."""
    file = io.BytesIO()
    image.convert("RGB").save(file, "PNG", **options)
    return file.getvalue()


def parser_and_loop() -> tuple[str, str]:
    """What the emulator's server reads HTTP with and runs on, as uvicorn calls them."""
    config = Server()._http.config
    config.load()
    protocol: Any = config.http_protocol_class
    # It is a class, or a class with its arguments.
    h11 = issubclass(getattr(protocol, "func", protocol), H11Protocol)
    return "h11" if h11 else "httptools", str(config.loop)


def photograph(edge: int) -> Upload:
    """A PNG with an alpha channel that is as hard to compress as a photograph: noise of many
    scales, the same each time."""
    chance, canvas = Random(12), Image.new("RGB", (edge, edge), "grey")
    for cells, weight in ((3, 0.5), (9, 0.4), (40, 0.3), (160, 0.2), (edge, 0.06)):
        noise = Image.frombytes("RGB", (cells, cells), chance.randbytes(3 * cells * cells))
        layer = noise.resize((edge, edge), Image.Resampling.BICUBIC)
        canvas = Image.blend(canvas, layer, weight)
    return upload("photograph.png", canvas.convert("RGBA"))


def round_mask(edge: int) -> Upload:
    """A mask with a round transparent area in its middle."""
    mask = Image.new("RGBA", (edge, edge), "black")
    inset = edge // 4
    ImageDraw.Draw(mask).ellipse((inset, inset, edge - inset, edge - inset), fill=(0, 0, 0, 0))
    return upload("mask.png", mask)


def upload(name: str, image: Image.Image) -> Upload:
    """*image* as a client sends it."""
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    data = file.getvalue()
    return Upload(name, "image/png", data, len(data))


def noise(edge: int) -> bytes:
    """A square PNG that no deflater makes any smaller."""
    pixels = Random(16).randbytes(3 * edge * edge)
    file = io.BytesIO()
    Image.frombytes("RGB", (edge, edge), pixels).save(file, "PNG", compress_level=0)
    return file.getvalue()


def scans(count: int, edge: int) -> bytes:
    """A progressive JPEG of about *count* scans: its last one comes again and again."""
    file = io.BytesIO()
    Image.new("RGB", (edge, edge), "grey").save(file, "JPEG", progressive=True)
    data = file.getvalue()
    start = data.rindex(b"\xff\xda")
    return data[:-2] + data[start:-2] * count + data[-2:]

"""Files about which Pillow only warns: they are images, also where warnings are errors, as in these
tests."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from io import BytesIO
from struct import pack
from typing import Any, Final

import httpx2
import pytest
from openai import OpenAI
from PIL import Image

from images_emulator import Server, read_recipe
from images_emulator.imaging.decode_limits import DEFAULT_LIMITS
from images_emulator.imaging.decoder import decode, pixels_of
from images_emulator.imaging.fitting import decoded_picture, facts_of_head
from images_emulator.imaging.pillow_warnings import MODULES, pillow_silenced
from images_emulator.imaging.thumbnails import own_picture_thumbnails, upload_thumbnails
from images_emulator.rendering.render_process import RenderProcess
from tests.pictures import answered, encoded, opened, plain
from tests.test_render_process import edit

ORIENTATION, SHORT = 0x0112, 3


def exif(*entries: tuple[int, int, int, int], count: int | None = None, offset: int = 8) -> bytes:
    """EXIF with *entries* of tag, type, count and value, and what its directory says of their
    *count* and *offset*."""
    head = b"Exif\0\0II*\0" + pack("<IH", offset, len(entries) if count is None else count)
    return head + b"".join(pack("<HHIHxx", *entry) for entry in entries) + bytes(4)


EXIF: Final = {
    "a directory past the end": exif(offset=9999),
    "two orientations": exif((ORIENTATION, SHORT, 2, 6)),
    "values past the end": exif(*([(ORIENTATION + 1, SHORT, 9999, 8)] * 3)),
    "fewer entries than it says": exif(count=65_535),
}
"""Metadata about which Pillow warns."""

FILES: Final = {
    **{f"{name} in a JPEG": encoded(plain(), "JPEG", exif=data) for name, data in EXIF.items()},
    **{f"{name} in a PNG": encoded(plain().quantize(8), exif=data) for name, data in EXIF.items()},
    **{f"{name} in a WebP": encoded(plain(), "WEBP", exif=data) for name, data in EXIF.items()},
}

of_files = pytest.mark.parametrize("data", FILES.values(), ids=FILES.keys())


def read_by_pillow(data: bytes) -> None:
    Image.open(BytesIO(data)).getexif().get(ORIENTATION)


@of_files
def test_pillow_warns_about_the_files_here(data: bytes) -> None:
    with pytest.raises(UserWarning, match=r"EXIF|Metadata|Tag"):
        read_by_pillow(data)


@of_files
def test_a_file_about_which_pillow_warns_is_an_image(data: bytes) -> None:
    assert decode(data)
    assert pixels_of(data) == decoded_picture(data).size == facts_of_head(data).size == (64, 64)
    assert upload_thumbnails(data)
    assert own_picture_thumbnails(data)
    assert replace(DEFAULT_LIMITS, max_pixels=1).exceeded_setting(data) == "max_pixels"
    with pytest.raises(ValueError, match="no recipe"):
        read_recipe(data)


@of_files
def test_an_edit_of_a_file_about_which_pillow_warns_is_answered(
    http: httpx2.Client, data: bytes
) -> None:
    fields = {"model": "gpt-image-2", "prompt": "x", "quality": "low", "size": "1024x1024"}
    answer = http.post("/v1/images/edits", data=fields, files={"image": ("a.png", data)})
    assert opened(answer.json()["data"][0]["b64_json"]).size == (1024, 1024)


def test_an_own_picture_about_which_pillow_warns_is_sent(server: Server, client: OpenAI) -> None:
    server.answer(image=FILES["two orientations in a JPEG"])
    (sent,) = answered(client.images.generate(model="gpt-image-2", prompt="x"))
    assert sent.getpixel((9, 9)) == pytest.approx(plain().getpixel((9, 9)), abs=3)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_pillow_is_silenced_in_the_block_alone(module: Any) -> None:
    with pillow_silenced():
        with pillow_silenced():
            module.warnings.warn("x")
        module.warnings.warn("x")
    with pytest.warns(DeprecationWarning, match="^x$") as warned:
        module.warnings.warn("x", DeprecationWarning)
    assert warned[0].filename == __file__
    assert module.warnings.catch_warnings is warnings.catch_warnings


def test_another_thread_gets_the_warnings_of_pillow() -> None:
    with pillow_silenced(), ThreadPoolExecutor(1) as threads:
        done = threads.submit(read_by_pillow, FILES["two orientations in a JPEG"])
        assert isinstance(done.exception(), UserWarning)


@pytest.mark.parametrize(
    "name",
    [
        *("Image", "ImageFile", "ImageOps", "ImagePalette", "GifImagePlugin", "JpegImagePlugin"),
        *("MpoImagePlugin", "PngImagePlugin", "TiffImagePlugin", "WebPImagePlugin"),
    ],
)
def test_every_module_that_reads_files_can_be_silenced(name: str) -> None:
    module = import_module(f"PIL.{name}")
    assert module in MODULES or not hasattr(module, "warnings")


@pytest.mark.slow
def test_a_render_process_writes_no_warnings(capfd: pytest.CaptureFixture[str]) -> None:
    process = RenderProcess()
    try:
        process.render_files(edit(FILES["fewer entries than it says in a PNG"]), 0, None)
    finally:
        process.close()
    assert capfd.readouterr().err == ""

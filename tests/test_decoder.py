"""The decoder of uploads: bounds on files that take long to decode, and on memory."""

from __future__ import annotations

import gc
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from random import Random

import httpx2
import pytest
from PIL import Image

from images_emulator import Server
from images_emulator.imaging.decode_limits import (
    PIXEL_BYTES,
    UNLIMITED,
    WEBP_PIXEL_BYTES,
    scale_of,
)
from images_emulator.imaging.decoder import PixelBudget, decode
from reliability.broken_pictures import Chunk
from tests.answers import error_of
from tests.conftest import KEY
from tests.pictures import chunks, encoded, opened, plain, png, scans, segments, webp_chunks
from tests.test_disconnect import held

FIELDS = {"model": "gpt-image-2", "prompt": "a lighthouse"}


def edited(http: httpx2.Client, data: bytes, kind: str = "image/jpeg") -> httpx2.Response:
    return http.post("/v1/images/edits", data=FIELDS, files={"image": ("a", data, kind)})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "max_parts"),
    [(scans, 100), (chunks, 10_000), (segments, 10_000)],
    ids=["scans", "chunks", "segments"],
)
def test_a_file_of_too_many_parts_is_refused(make: Callable[[int], bytes], max_parts: int) -> None:
    assert decode(make(max_parts))
    assert decode(make(max_parts + 1)) is None
    assert opened(make(max_parts + 1)).size == (64, 64)


def test_a_webp_of_too_many_chunks_is_refused() -> None:
    assert decode(webp_chunks(100))
    assert decode(webp_chunks(10_000)) is None


def test_a_jpeg_of_a_thousand_scans_is_refused_in_the_api_s_words(http: httpx2.Client) -> None:
    error = error_of(edited(http, scans(1000, (2000, 2000))))
    assert error["message"] == (
        "Invalid image file or mode for image 1, please check your image file."
    )
    assert error["code"] == "invalid_image_file"


@pytest.mark.parametrize("junk", [b"\xff", b"\xff\x00", b"\xff\xd0"])
def test_fill_bytes_count_as_segments(junk: bytes) -> None:
    data = encoded(plain(), "JPEG")
    assert decode(data[:2] + b"\xff" * 100 + data[2:])
    assert decode(data[:2] + junk * 20_000 + data[2:]) is None
    assert decode(b"\xff\xd8" + junk * 20_000) is None


@pytest.mark.parametrize("data", [encoded(plain(), "JPEG"), png(), encoded(plain(), "WEBP")])
def test_bytes_after_the_end_of_an_image_are_ignored(data: bytes) -> None:
    film = Random(3).randbytes(2**20) + b"\xff\xda\0\2" * 200 + bytes(2**20)
    assert decode(data + film)


def test_a_marker_is_found_wherever_it_is_in_a_large_file(monkeypatch: pytest.MonkeyPatch) -> None:
    data = scans(101)
    monkeypatch.setattr("images_emulator.imaging.file_parts._WINDOW_BYTES", 2)
    assert decode(data) is None
    assert decode(scans(100))


@pytest.mark.parametrize("prefix", [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP"])
def test_a_file_that_is_cut_anywhere_is_refused(prefix: bytes) -> None:
    assert all(decode((prefix + b"\xff\xe0\0\x10")[:end]) is None for end in range(20))


def test_a_palette_that_cannot_be_read_makes_a_file_no_image(http: httpx2.Client) -> None:
    data = encoded(plain().convert("P"), transparency=bytes(256))
    length = data.index(b"tRNS") - 4
    end = length + 12 + 256
    parts = [data[:length], Chunk(b"tRNS", bytes(257)).to_bytes(), data[end:]]
    error = error_of(edited(http, b"".join(parts), "image/png"))
    assert error["code"] == "invalid_image_file"
    assert edited(http, data, "image/png").status_code == 200


def test_decoding_an_upload_delays_no_rendering(server: Server, http: httpx2.Client) -> None:
    with held(server.emulator.renderer.decoder_queue):
        body = FIELDS | {"prompt": "drawn while uploads are decoded"}
        assert http.post("/v1/images/generations", json=body).status_code == 200


@pytest.mark.slow
def test_an_edit_whose_upload_is_decoded_again_delays_no_rendering(
    server: Server, http: httpx2.Client
) -> None:
    with held(server.emulator.renderer.pool):
        # More than 2048 × 2048 pixels.
        answer = edited(http, png((2400, 2400)), "image/png")
    assert opened(answer.json()["data"][0]["b64_json"]).size == (1254, 1254)


def test_decoded_uploads_are_kept_within_a_budget() -> None:
    budget = PixelBudget(3 * 64 * 64 * 4)
    pictures = [decode(png(), budget) for _ in range(4)]
    assert [each and each.pixels is not None for each in pictures] == [True, True, True, False]
    assert pictures[3]
    assert pictures[3].image.size == (64, 64)
    pictures.clear()
    gc.collect()
    assert budget.left == 3 * 64 * 64 * 4
    picture = decode(png(), budget)
    assert picture
    assert picture.pixels


@pytest.fixture
def limited_server() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A server in a process of its own, and its address."""
    command = [sys.executable, "-m", "images_emulator", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout
            address = re.search(rb"http://\S+", process.stdout.readline())
            assert address
            yield process, address[0].decode()
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits another process")
def test_out_of_memory_is_a_server_error(
    limited_server: tuple[subprocess.Popen[bytes], str],
) -> None:
    import resource  # noqa: PLC0415 - not on Windows

    process, address = limited_server
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx2.Client(base_url=address, headers=headers, timeout=60) as http:
        assert edited(http, png(), "image/png").status_code == 200
        pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[0])
        room = pages * resource.getpagesize() + 2**27
        resource.prlimit(process.pid, resource.RLIMIT_AS, (room, room))
        answer = edited(http, png((8000, 8000)), "image/png")
        assert error_of(answer, 500)["type"] == "server_error"
        assert edited(http, png((640, 640)), "image/png").status_code == 200
    process.terminate()
    assert process.stderr
    assert b"MemoryError" in process.stderr.read()


def test_a_webp_that_is_refused_for_its_memory_is_refused_by_the_sum_that_decoding_takes() -> None:
    file = BytesIO()
    Image.new("RGB", (8, 8)).save(file, "WEBP", exif=b"Exif\0\0x")
    data, edge = bytearray(file.getvalue()), 9000
    assert data[12:16] == b"VP8X"
    data[24:30] = 2 * (edge - 1).to_bytes(3, "little")
    drawn, scaled = edge**2 * WEBP_PIXEL_BYTES, edge**2 * PIXEL_BYTES // scale_of(edge, edge) ** 2
    limits = {
        memory: replace(UNLIMITED, decode_bytes=memory).exceeded_setting(bytes(data))
        for memory in (drawn, drawn + scaled - 1, drawn + scaled)
    }
    assert [*limits.values()] == ["decode_bytes", "decode_bytes", None]

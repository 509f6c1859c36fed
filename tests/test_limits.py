"""Limits that are settings: each at its edge and beyond."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from PIL import Image

from images_emulator import Server
from images_emulator.cli.journal_line import line_of_exchange
from images_emulator.http_server import LOOPS_A_DAY
from images_emulator.imaging.decode_limits import MIN_SCALED_PIXELS, DecodeLimits, scale_of
from images_emulator.imaging.decoder import decode
from images_emulator.imaging.memory import TRIM_THRESHOLD_BYTES
from images_emulator.imaging.scaled import load
from images_emulator.protocol import HTTPProtocol
from images_emulator.settings import Settings, all_settings
from reliability.plain_webp import plain_webp
from tests.answers import error_of, verdict
from tests.conftest import KEY
from tests.limits import LIMITS, Limit
from tests.pictures import chunks, encoded, half_clear, opened, plain, png, scans
from tests.waiting import until

UNDECODABLE: Final = "Invalid image file or mode for image {}, please check your image file."

UNITS: Final = ("COUNT", "SIZE", "SECONDS")
"""The words for the values of settings that are limits."""

FIELDS: Final = {"model": "gpt-image-2", "prompt": "x", "size": "1024x1024", "quality": "low"}


@pytest.fixture(scope="module")
def narrow() -> Iterator[Server]:
    """A server with low limits."""
    with Server(
        max_head="2KiB",
        max_parts=12,
        max_part_head=256,
        max_pixels=4096,
        max_call_pixels=3 * 4096,
        max_scans=12,
        max_chunks=40,
        decode_bytes="64kB",
    ) as server:
        yield server


@pytest.fixture(scope="module")
def http(narrow: Server) -> Iterator[httpx2.Client]:
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx2.Client(base_url=narrow.url, headers=headers, timeout=30) as client:
        yield client


def edited(http: httpx2.Client, *images: bytes, mask: bytes | None = None) -> httpx2.Response:
    files = [("image[]", ("a.png", data, "image/png")) for data in images]
    if mask:
        files.append(("mask", ("m.png", mask, "image/png")))
    return http.post("/v1/images/edits", data=FIELDS, files=files)


def test_each_setting_that_is_a_number_is_a_limit_with_a_test() -> None:
    numbers = {each.name for each in all_settings() if each.type is int and each.metavar in UNITS}
    assert {limit.setting for limit in LIMITS} == numbers, "tests/limits.py needs a row for each"


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.setting)
def test_test_of_a_limit_is_there(limit: Limit) -> None:
    file, _, name = limit.test.partition("::")
    assert f"def {name}(" in (Path(__file__).parent / file).read_text()


# --- heads and forms


def sent(server: Server, data: bytes, *, waits: bool = False) -> bytes:
    """What comes back for *data* until the connection ends. With *waits* it stays open."""
    with socket.create_connection((server.settings.host, server.port), timeout=30) as connection:
        connection.sendall(data)
        if not waits:
            connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


@pytest.mark.parametrize(("more", "status"), [(0, b"200"), (1, b"431")])
def test_the_largest_head_is_as_large_as_the_setting_says(
    narrow: Server, more: int, status: bytes
) -> None:
    start = b"GET /v1/models HTTP/1.1\r\nAuthorization: Bearer k\r\nConnection: close\r\nx: "
    # Of the request line, what is not the target does not count.
    counted = len(start) - len(b"GET  HTTP/1.1\r\n") + len(b"\r\n")
    answer = sent(narrow, start + b"x" * (2048 - counted + more) + b"\r\n\r\n", waits=True)
    assert answer.split()[1] == status
    if more:
        error = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
        assert error["message"].endswith("must not be larger than 2048 bytes.")


def posted_form(http: httpx2.Client, *parts: bytes) -> httpx2.Response:
    body = b"".join([*(b"--b\r\n" + part + b"\r\n" for part in parts), b"--b--\r\n"])
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    return http.post("/v1/images/edits", content=body, headers=headers)


def part(name: str, value: bytes, more: str = "") -> bytes:
    return f'Content-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value


FORM: Final = (
    part("image", png(), '; filename="a.png"'),
    *(part(name, value.encode()) for name, value in FIELDS.items()),
)


def test_a_form_of_more_parts_than_the_setting_is_refused(http: httpx2.Client) -> None:
    texts = [
        part(name, b"")
        for name in ("n", "user", "stream", "background", "output_format", "partial_images")
    ]
    most = (*FORM, *texts, part("output_compression", b""))
    assert len(most) == 12
    assert posted_form(http, *most).status_code == 200
    answer = posted_form(http, *most, part("moderation", b""))
    assert error_of(answer)["message"] == "Could not parse multipart form"
    assert answer.headers["x-emulator-notice"] == past("--max-parts 12", "a form")


def test_an_image_in_a_part_for_each_byte_is_refused_in_the_words_of_the_api() -> None:
    with Server(max_parts=300) as server, httpx2.Client(base_url=server.url) as client:
        client.headers["Authorization"] = f"Bearer {KEY}"
        answer = posted_form(client, *FORM[1:], *[part("image[]", b"7")] * 301)
    assert error_of(answer)["message"].startswith("Invalid type for 'image[0]'")
    assert "x-emulator-notice" not in answer.headers


@pytest.mark.parametrize(("more", "accepted"), [(0, True), (1, False)])
def test_headers_of_a_part_are_as_large_as_the_setting_says(
    http: httpx2.Client, more: int, accepted: bool
) -> None:
    head = 'Content-Disposition: form-data; name="user"\r\nx: '
    user = (head + "x" * (256 + more - len(head)) + "\r\n\r\n").encode()
    answer = posted_form(http, *FORM, user)
    if accepted:
        assert answer.status_code == 200
    else:
        assert error_of(answer)["message"] == "Could not parse multipart form"
        assert answer.headers["x-emulator-notice"] == past("--max-part-head 256", "a form")


# --- connections


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What comes to servers whose connections grow older by `let_pass` alone."""
    received: list[bytes] = []
    receive = HTTPProtocol.data_received

    def noted(protocol: HTTPProtocol, data: bytes) -> None:
        receive(protocol, data)
        received.append(data)

    monkeypatch.setattr(HTTPProtocol, "data_received", noted)
    monkeypatch.setattr("images_emulator.http_server.LOOPS_BETWEEN_IDLE_CHECKS", LOOPS_A_DAY)
    return received


def let_pass(server: Server, seconds: int) -> None:
    """Make the connections of *server* so many seconds older."""
    loop = server._http._loop
    assert loop
    for _ in range(seconds):
        asyncio.run_coroutine_threadsafe(server._http.on_tick(0), loop).result(30)


def wait_until_idle(server: Server, received: Sequence[bytes], data: bytes) -> None:
    """Wait until *server* has got *data* on its only connection, and has answered what it could."""
    connections: Any = server._http.server_state.connections

    def is_idle() -> bool:
        if not connections or b"".join(received) != data:
            return False
        (protocol,) = connections
        cycle = protocol.cycle
        return cycle is None or cycle.response_complete or cycle.more_body

    until(is_idle)


def test_the_limit_of_a_head_counts_what_came_with_the_end_of_the_head_before(
    narrow: Server,
) -> None:
    first = b"GET /v1/models HTTP/1.1\r\nAuthorization: Bearer k\r\n\r\n"
    second = b"GET /v1/models HTTP/1.1\r\nAuthorization: Bearer k\r\nx-a: " + b"x" * 4096
    with socket.create_connection((narrow.settings.host, narrow.port), timeout=30) as connection:
        connection.sendall(first + second)
        assert connection.recv(12) == b"HTTP/1.1 200"
        connection.sendall(b"\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        rest = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert b"HTTP/1.1 431 " in rest


CALL: Final = b"POST /v1/images/generations HTTP/1.1\r\nAuthorization: Bearer k\r\n"


@contextmanager
def idle_connection(
    data: bytes, received: Sequence[bytes]
) -> Iterator[tuple[Server, socket.socket]]:
    """A server that lets a connection be idle for 30 seconds of its clock, and a connection that is
    idle since the server received *data*."""
    with (
        Server(idle_timeout=30) as server,
        socket.create_connection((server.settings.host, server.port), timeout=30) as connection,
    ):
        connection.sendall(data)
        wait_until_idle(server, received, data)
        yield server, connection


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", b""),
        (CALL[:20], b"408"),
        (CALL + b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{", b"408"),
        (b"GET /v1/models HTTP/1.1\r\nAuthorization: Bearer k\r\n\r\n", b"200"),
        (
            b"GET /v1/models HTTP/1.1\r\nAuthorization: Bearer k\r\n\r\nGET /v1/mod",
            b"200 408",
        ),
    ],
    ids=["nothing", "half a head", "half a body", "a call", "a call and half a head"],
)
def test_a_connection_is_closed_when_it_has_been_idle_for_as_long_as_the_setting_says(
    data: bytes, status: bytes, received: Sequence[bytes]
) -> None:
    with idle_connection(data, received) as (server, connection):
        let_pass(server, 30)
        (protocol,) = server._http.server_state.connections
        assert not protocol.transport.is_closing()
        let_pass(server, 1)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert b" ".join(re.findall(rb"HTTP/1.1 (\d+)", answer)) == status
    if status.endswith(b"408"):
        error = json.loads(answer.rpartition(b"\r\n\r\n")[2])["error"]
        assert error["message"] == "The rest of the request did not come within 30 seconds."
        assert error["code"] == "request_timeout"


@pytest.mark.parametrize("key", [b"Authorization: Bearer k\r\n", b""], ids=["key", "no key"])
def test_a_call_whose_rest_does_not_come_stands_in_the_journal_as_it_was_answered(
    key: bytes, received: Sequence[bytes]
) -> None:
    data = b"POST /v1/images/generations HTTP/1.1\r\n" + key
    data += b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
    with idle_connection(data, received) as (server, connection):
        let_pass(server, 31)
        assert b" 408 " in connection.recv(65_536)
        until(lambda: server.requests[0].has_ended)
        (call,) = server.requests
        assert (call.status, call.error_code, call.outcome) == (408, "request_timeout", "refused")


@pytest.mark.usefixtures("received")
def test_a_connection_whose_answer_takes_long_is_not_idle() -> None:
    body = json.dumps(FIELDS | {"stream": True, "partial_images": 1}).encode()
    head = CALL + b"x-emulator-fault: latency; seconds=3600\r\n"
    head += b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    with (
        Server(idle_timeout=30) as server,
        socket.create_connection((server.settings.host, server.port), timeout=30) as connection,
    ):
        connection.sendall(head + body)
        until(lambda: bool(server.emulator.clock._waits))
        let_pass(server, 60)
        server.clock.advance(hours=1)
        answer = b""
        while not answer.endswith(b"\r\n0\r\n\r\n"):
            answer += connection.recv(65_536)
        assert b"image_generation.completed" in answer
        connection.sendall(b"GET /v1/models HTTP/1.1\r\nAuthorization: Bearer k\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 200"


def test_a_connection_on_which_a_byte_comes_now_and_then_is_not_idle() -> None:
    call = b"GET /v1/models HTTP/1.1\r\nAuthorization: Bearer k\r\nConnection: close\r\n\r\n"
    with (
        Server(idle_timeout=30) as server,
        socket.create_connection((server.settings.host, server.port), timeout=30) as connection,
    ):
        connections: Any = server._http.server_state.connections
        until(lambda: len(connections) == 1)
        (protocol,) = connections
        for count, byte in enumerate(call[:20], 1):
            connection.sendall(bytes([byte]))
            until(lambda: protocol._framing_bytes == count)  # noqa: B023
            for _ in range(25):  # seconds
                protocol.end_if_idle()
        connection.sendall(call[20:])
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.not_on_redis("a client that closes its side is answered where that takes no wait")
def test_a_connection_past_the_setting_is_answered_503() -> None:
    call = b"GET /v1/models HTTP/1.1\r\nAuthorization: Bearer k\r\n"
    with Server(max_connections=3) as server, ExitStack() as stack:
        address = (server.settings.host, server.port)
        for _ in range(2):
            held = stack.enter_context(socket.create_connection(address, timeout=30))
            held.sendall(call + b"\r\n")
            assert held.recv(12) == b"HTTP/1.1 200"
        assert sent(server, call + b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 200")
        third = stack.enter_context(socket.create_connection(address, timeout=30))
        third.sendall(call + b"\r\n")
        assert third.recv(12) == b"HTTP/1.1 200"
        head, _, body = sent(server, call + b"\r\n").partition(b"\r\n\r\n")
        error = json.loads(body)["error"]
        assert head.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 1" in head
        assert error["code"] == "too_many_connections"
        assert error["message"] == (
            "The server has 4 open connections, and --max-connections allows 3."
        )
        assert not [each for each in server.requests if each.status == 503]
        # Those that are open go on.
        held.recv(65_536)
        held.sendall(call + b"\r\n")
        assert held.recv(12) == b"HTTP/1.1 200"


# --- rate limits


def test_keys_of_rate_limits_are_as_many_as_the_setting_says() -> None:
    body = {"model": "dall-e-2", "prompt": "x", "size": "256x256"}
    with Server(rate_limit="1/hour", rate_limit_keys=2) as server:

        def status(key: str) -> int:
            headers = {"Authorization": f"Bearer {key}"}
            url = f"{server.base_url}/images/generations"
            return httpx2.post(url, json=body, headers=headers).status_code

        assert [status(key) for key in "aabb"] == [200, 429, 200, 429]
        # A third key: that of the first is forgotten.
        assert [status(key) for key in "cbac"] == [200, 429, 200, 429]


# --- pictures


@pytest.mark.parametrize(
    ("within", "beyond", "limit"),
    [
        pytest.param(png((64, 64)), png((65, 64)), "--max-pixels 4096", id="pixels"),
        pytest.param(scans(12), scans(13), "--max-scans 12", id="scans"),
        pytest.param(chunks(40), chunks(41), "--max-chunks 40", id="chunks"),
    ],
)
def test_a_picture_past_a_limit_is_refused_as_no_image(
    http: httpx2.Client, within: bytes, beyond: bytes, limit: str
) -> None:
    answer = edited(http, within)
    assert answer.status_code == 200
    assert "x-emulator-notice" not in answer.headers
    answer = edited(http, png(), beyond)
    error = error_of(answer)
    assert (error["code"], error["message"]) == ("invalid_image_file", UNDECODABLE.format(2))
    assert answer.headers["x-emulator-notice"] == past(limit)
    url = f"data:image/png;base64,{base64.b64encode(beyond).decode()}"
    answer = http.post("/v1/images/edits", json=FIELDS | {"images": [{"image_url": url}]})
    assert answer.headers["x-emulator-notice"] == past(limit)


def past(limit: str, what: str = "an image") -> str:
    """The notice for *what* is past a *limit*."""
    return f"The emulator refuses {what} that the API might take: it is past {limit}."


def test_the_line_of_a_picture_past_a_limit_names_it(http: httpx2.Client, narrow: Server) -> None:
    edited(http, png((65, 64)))
    last = narrow.calls()[-1]
    assert last.notices == [past("--max-pixels 4096")]
    assert line_of_exchange(last, datetime.now(UTC)).notice == past("--max-pixels 4096")


@pytest.mark.parametrize("data", [b"no image", png()[:40]], ids=["text", "cut"])
def test_an_image_that_no_limit_refuses_has_no_notice(http: httpx2.Client, data: bytes) -> None:
    answer = edited(http, data)
    assert answer.status_code == 400
    assert "x-emulator-notice" not in answer.headers


def test_an_edge_that_no_setting_bounds_is_no_limit_of_one() -> None:
    limits = DecodeLimits.from_settings(Settings())
    data = png((16_385, 1))
    assert decode(data, limits=limits) is None
    assert limits.exceeded_setting(data) is None


def test_the_notice_of_a_body_past_a_limit_names_it() -> None:
    with Server(max_body=100) as server:
        headers = {"Authorization": f"Bearer {KEY}"}
        body = {"model": "gpt-image-2", "prompt": "x" * 100}
        answer = httpx2.post(f"{server.base_url}/images/generations", json=body, headers=headers)
    assert answer.status_code == 413
    assert answer.headers["x-emulator-notice"] == past("--max-body 100", "a body")


def test_pixels_of_a_call_are_counted_together(http: httpx2.Client) -> None:
    clear = half_clear()
    assert edited(http, png(), png(), mask=clear).status_code == 200
    answer = edited(http, png(), png(), png(), png())
    assert error_of(answer)["message"] == UNDECODABLE.format(4)
    assert answer.headers["x-emulator-notice"] == past("--max-call-pixels 12288")
    assert "mask" in error_of(edited(http, png(), png(), png(), mask=clear))["message"]
    # The next call begins anew.
    assert edited(http, png(), png(), png()).status_code == 200


@pytest.mark.parametrize(
    ("form", "mode", "options", "pixel_bytes"),
    [
        ("PNG", "L", {}, 1 + 4),
        ("PNG", "RGB", {}, 4 + 4),
        ("PNG", "RGBA", {}, 4 + 4),
        ("JPEG", "RGB", {"subsampling": 0}, 4 + 4),
        ("JPEG", "L", {"progressive": True}, 2 + 4 + 4),
        ("JPEG", "RGB", {"progressive": True, "subsampling": 0}, 6 + 4 + 4),
        ("JPEG", "RGB", {"progressive": True, "subsampling": 1}, 4 + 4 + 4),
        ("JPEG", "RGB", {"progressive": True, "subsampling": 2}, 3 + 4 + 4),
        ("WEBP", "RGB", {}, 12 + 4),
        ("WEBP", "RGBA", {"lossless": True}, 12 + 4),
    ],
    ids=str,
)
def test_a_picture_that_takes_more_memory_than_the_setting_is_refused(
    form: str, mode: str, options: dict[str, Any], pixel_bytes: int
) -> None:
    image = plain((64, 64), mode, (9, 9, 9, 99) if mode == "RGBA" else (9, 9, 9))
    data = encoded(image, form, **options)
    memory = 64 * 64 * pixel_bytes
    assert decode(data, limits=DecodeLimits.from_settings(Settings(decode_bytes=memory)))
    below = DecodeLimits.from_settings(Settings(decode_bytes=memory - 1))
    assert decode(data, limits=below) is None
    assert below.exceeded_setting(data) == "decode_bytes"


def test_a_jpeg_of_one_scan_for_each_component_is_not_taken_for_one_of_a_single_scan() -> None:
    """The decoder holds the coefficients of a JPEG whose first scan lacks a component."""
    data = encoded(plain(), "JPEG", subsampling=0)
    start = data.index(b"\xff\xda")
    first = data[:start] + b"\xff\xda\0\x08\x01" + data[start + 5 : start + 7] + data[start + 11 :]
    within = DecodeLimits.from_settings(Settings(decode_bytes=64 * 64 * (6 + 4 + 4) - 1))
    assert decode(data, limits=within)
    assert within.scans_within(first) == (1,)
    assert decode(first, limits=within) is None


def test_a_webp_with_a_large_canvas_is_not_opened(
    http: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert opened(plain_webp(64, 64)).size == (64, 64)
    assert decode(plain_webp(64, 64))
    calls: list[Any] = []
    for data in (plain_webp(8000, 8000), plain_webp(5600, 5000)):
        assert len(data) <= 34
        with monkeypatch.context() as patched:
            patched.setattr(Image, "open", lambda *values, **_: calls.append(values))
            assert decode(data) is None
    assert not calls
    error = error_of(edited(http, plain_webp(64, 65)))
    assert (error["code"], error["message"]) == ("invalid_image_file", UNDECODABLE.format(1))


@pytest.mark.parametrize(
    ("options", "mode"),
    [({"lossless": True}, "RGB"), ({}, "RGB"), ({}, "RGBA"), ({"lossless": True}, "RGBA")],
    ids=str,
)
def test_size_of_a_webp_is_read_from_its_head(options: dict[str, Any], mode: str) -> None:
    data = encoded(plain((70, 41), mode), "WEBP", **options)
    pixels = 70 * 41
    assert decode(data, limits=DecodeLimits.from_settings(Settings(decode_bytes=16 * pixels)))
    within = DecodeLimits.from_settings(Settings(decode_bytes=12 * pixels - 1))
    assert within.scans_within(data) is None


@pytest.mark.parametrize(
    ("size", "scale"),
    [
        ((2048, 2048), 1),
        ((4095, 4096), 1),
        ((4096, 4096), 2),
        ((8000, 8000), 2),
        ((16_384, 16_384), 8),
    ],
)
def test_a_picture_is_kept_at_a_scale_of_four_million_pixels_or_more(
    size: tuple[int, int], scale: int
) -> None:
    assert scale_of(*size) == scale
    assert size[0] * size[1] // scale**2 >= MIN_SCALED_PIXELS


@pytest.mark.parametrize(
    ("form", "options"),
    [("PNG", {}), ("WEBP", {"lossless": True, "quality": 0, "method": 0}), ("JPEG", {})],
    ids=str,
)
def test_a_large_picture_is_decoded_to_its_scale(
    form: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images_emulator.imaging.decode_limits.MIN_SCALED_PIXELS", 64 * 48)
    # Not a multiple of the scale or of a strip, and turned.
    image = Image.linear_gradient("L").resize((301, 203)).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = decode(encoded(image, form, exif=exif, **options))
    assert picture
    assert (picture.width, picture.height) == (203, 301)
    assert picture.pixels
    assert picture.pixels.size == (51, 76)
    expected = image.transpose(Image.Transpose.ROTATE_270).resize((51, 76), Image.Resampling.BOX)
    difference = [
        abs(one - other)
        for one, other in zip(picture.pixels.tobytes(), expected.tobytes(), strict=True)
    ]
    assert max(difference) <= 4


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_clear_pixels_of_a_large_picture_stay_clear(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images_emulator.imaging.decode_limits.MIN_SCALED_PIXELS", 64 * 48)
    image = opened(half_clear((260, 200)))
    image.paste((0, 0, 0, 0), (251, 151, 252, 152))
    one = Image.new("RGBA", (260, 200), "red")
    one.paste((0, 0, 0, 0), (0, 0, 1, 1))
    picture = decode(encoded(image.convert(mode)))
    corner = decode(encoded(one.convert(mode)))
    opaque = decode(encoded(Image.new("RGBA", (260, 200), "red")))
    assert picture
    assert corner
    assert opaque
    assert picture.pixels
    assert picture.pixels.size == (65, 50)
    alpha = picture.pixels.getchannel("A")
    assert alpha.histogram()[0] + alpha.histogram()[255] == 65 * 50
    assert alpha.crop((0, 0, 32, 50)).getextrema() == (0, 0)
    assert picture.has_transparent_pixels
    # A pixel that is in no sample is transparent all the same.
    assert corner.has_transparent_pixels
    assert not opaque.has_transparent_pixels


@pytest.mark.slow
def test_a_large_upload_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loads = []

    def counted(file: Image.Image) -> Any:
        loads.append(file.size)
        return load(file)

    monkeypatch.setattr("images_emulator.imaging.decoder.load", counted)
    with Server() as server, httpx2.Client(base_url=server.url, timeout=60) as client:
        client.headers["Authorization"] = f"Bearer {KEY}"
        data = encoded(Image.new("L", (4200, 4200), 200), "JPEG")
        assert verdict(edited(client, data)) == "ok"
    assert loads == [(4200, 4200)]


MEASURE: Final = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from images_emulator.imaging.decode_limits import DecodeLimits
from images_emulator.imaging.decoder import decode
from images_emulator.imaging.memory import TRIM_THRESHOLD_BYTES
from images_emulator.imaging.scaled import load
from images_emulator.imaging.memory import keep_memory
from images_emulator.settings import Settings

def memory(name):
    text = Path("/proc/self/status").read_text()
    return 1024 * int(text.partition(name + ":")[2].split()[0])

limits = DecodeLimits.from_settings(Settings(decode_bytes=int(sys.argv[1])))
data = sys.stdin.buffer.read()
small = data[:100]
decode(small)
with ThreadPoolExecutor(4, initializer=keep_memory) as threads:
    list(threads.map(lambda _: None, range(4)))
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    sizes = list(threads.map(lambda _: decode(data, limits=limits).width, range(int(sys.argv[2]))))
print(memory("VmHWM") - before)
"""
"""Decodes what comes on standard input so many times at once, and prints the memory that it takes
at most."""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="measures another process")
@pytest.mark.parametrize("times", [1, 4])
@pytest.mark.parametrize(
    ("make", "size"),
    [
        (lambda size: plain_webp(*size), (2000, 1990)),
        (lambda size: png(size, "RGBA", (1, 2, 3, 4)), (2800, 2790)),
        (lambda size: encoded(plain(size), "JPEG", progressive=True, subsampling=0), (2120, 2110)),
    ],
    ids=["WebP", "PNG", "progressive JPEG"],
)
def test_decoding_takes_no_more_memory_than_the_setting(
    make: Callable[[tuple[int, int]], bytes], size: tuple[int, int], times: int
) -> None:
    memory = 64 * 10**6
    data = make(size)
    assert decode(data, limits=DecodeLimits.from_settings(Settings(decode_bytes=memory)))
    words = [sys.executable, "-c", MEASURE, str(memory), str(times)]
    done = subprocess.run(words, input=data, capture_output=True, check=True)
    # The allocator keeps some for each thread.
    kept = (times - 1) * TRIM_THRESHOLD_BYTES
    assert memory // 2 < int(done.stdout) < memory + kept + 8 * 10**6

"""The journal tells what has left: statuses, events and images, whatever a fault did to them."""

from __future__ import annotations

import base64
import json
import socket
from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import Any

import httpx2
import pytest

from images_emulator import Server
from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import GENERATIONS
from images_emulator.contract.request import ImageRequest
from images_emulator.exchange.sent import SentResponse
from tests.conftest import KEY

BODY = {"model": "gpt-image-2", "prompt": "a lighthouse", "quality": "low"}


def journal_call(server: Server) -> dict[str, Any]:
    """The only call in the journal, once it is complete."""
    end = monotonic() + 60
    while server.requests[0].duration_ms is None:
        assert monotonic() < end
    (call,) = httpx2.get(f"{server.url}/_emulator/requests").json()["requests"]
    images = httpx2.get(f"{server.url}/_emulator/images").json()
    assert [image["url"] for image in images["images"]] == call["pictures"]
    assert images["total"] == len(call["pictures"])
    assert isinstance(call, dict)
    return call


def post(server: Server, fault: str, **body: Any) -> bytes:
    """As much of the answer as came, to a call that meets *fault*."""
    headers = {"Authorization": f"Bearer {KEY}", "x-emulator-fault": fault}
    data = b""
    with (
        suppress(httpx2.TransportError),
        httpx2.stream(
            "POST",
            f"{server.base_url}/images/generations",
            json=BODY | body,
            headers=headers,
            timeout=60,
        ) as answer,
    ):
        for part in answer.iter_raw():
            data += part
    return data


@pytest.mark.parametrize(
    ("fault", "status", "images"),
    [
        ("latency;seconds=0", 200, [0, 1, 2]),
        ("slow_body;bytes_per_second=2000000", 200, [0, 1, 2]),
        ("truncated;after_bytes=100000000", 200, [0, 1, 2]),
        ("empty_data", 200, []),
        ("fewer_images", 200, [0, 1]),
        ("fewer_images;by=9", 200, [0]),
        ("truncated", 200, []),
        ("truncated;after_bytes=0", 200, []),
        ("malformed", 200, []),
        ("malformed;what=base64", 200, []),
        ("malformed;what=picture", 200, []),
        ("connection_reset", None, []),
        ("connection_reset;after_bytes=1000", 200, []),
        ("server_error", 500, []),
        ("error;status=418", 418, []),
    ],
)
@pytest.mark.parametrize("model", ["gpt-image-2", "dall-e-2"])
def test_the_images_of_an_answer_are_those_that_left(
    server: Server, fault: str, status: int | None, images: list[int], model: str
) -> None:
    if model == "dall-e-2":
        if fault.startswith(("malformed;", "slow_body")):
            pytest.skip("pictures by URL stay")
        post(server, fault, n=3, model=model, size="256x256", quality="standard")
    else:
        post(server, fault, n=3)
    call = journal_call(server)
    assert call["status"] == status
    assert call["pictures"] == [f"/_emulator/images/{call['id']}/{index}" for index in images]
    for index in range(3):
        image_status = httpx2.get(f"{server.url}/_emulator/images/{call['id']}/{index}").status_code
        assert image_status == (200 if index in images else 404)


@pytest.mark.parametrize(
    ("fault", "events", "images"),
    [
        ("latency;seconds=0", 3, [0]),
        ("slow_body;bytes_per_second=3000000", 3, [0]),
        ("stream_cut", 1, []),
        ("stream_cut;after=2;reset=true", 2, []),
        ("stream_cut;after=0", 0, []),
        ("truncated", 0, []),
        ("truncated;after_bytes=100000000", 3, [0]),
        ("malformed", 3, []),
        ("malformed;what=base64", 3, []),
        ("malformed;what=picture", 3, []),
        ("stream_error", 2, []),
        ("stream_error;after=3", 4, [0]),
        ("unknown_event", 4, [0]),
        ("fewer_partials", 1, [0]),
        ("stall;after=2;seconds=0.01", 3, [0]),
    ],
)
def test_the_events_of_a_stream_are_those_that_left(
    server: Server, fault: str, events: int, images: list[int]
) -> None:
    data = post(server, fault, stream=True, partial_images=2)
    assert data.count(b"\n\n") == events
    call = journal_call(server)
    assert (call["status"], call["events"]) == (200, events)
    assert call["pictures"] == [f"/_emulator/images/{call['id']}/{index}" for index in images]


@pytest.mark.parametrize("kind", ["edits", "variations"])
def test_journal_shows_other_answers_too(server: Server, kind: str) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "x-emulator-fault": "fewer_images"}
    # A picture of any kind will do: lenience forgives it.
    headers["x-emulator-validation"] = "lenient"
    form = {"model": "dall-e-2", "n": "2", "size": "256x256"}
    form |= {"prompt": "x"} if kind == "edits" else {}
    files = {"image": ("a.png", b"x", "image/png")}
    address = f"{server.base_url}/images/{kind}"
    answer = httpx2.post(address, data=form, files=files, headers=headers, timeout=60)
    assert len(answer.json()["data"]) == 1
    assert len(journal_call(server)["pictures"]) == 1


def test_a_client_that_left_was_sent_nothing(server: Server) -> None:
    server.inject({"kind": "latency", "seconds": 0.2})
    body = json.dumps(BODY).encode()
    head = (
        "POST /v1/images/generations HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer k\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head.encode() + body)
        end = monotonic() + 60
        while not server.requests or server.requests[0].fault is None:
            assert monotonic() < end
    call = journal_call(server)
    assert (call["status"], call["pictures"]) == (None, [])


REQUEST = ImageRequest(
    operation=GENERATIONS, model=MODELS["gpt-image-2"], size=(1024, 1024), stream=True
)
PICTURE = base64.b64encode(b"\x89PNG\r\n\x1a\n and so on")
STREAM = (
    b"event: image_generation.partial_image\ndata: {}\n\n"
    b": a comment\n\n"
    b'event: image_generation.completed\ndata: {"b64_json": "%s"}\n\n' % PICTURE
)


@pytest.mark.parametrize(
    ("fault", "read"),
    [
        *(("latency;seconds=0", False), ("slow_body;bytes_per_second=100000000", False)),
        *(("malformed", True), ("fewer_images", True), ("truncated;after_bytes=90", True)),
    ],
)
def test_an_answer_is_read_only_under_faults_that_alter_it(
    server: Server, monkeypatch: pytest.MonkeyPatch, fault: str, *, read: bool
) -> None:
    added = []
    monkeypatch.setattr(SentResponse, "add", lambda answer, part: added.append(part))
    post(server, fault, n=2)
    assert bool(added) == read


@pytest.mark.parametrize("rest", ["A" * 4_000_000, "A" * 4_000_001, "", "A"])
def test_of_an_altered_picture_only_the_beginning_is_decoded(
    monkeypatch: pytest.MonkeyPatch, rest: str
) -> None:
    lengths = []

    def decode(encoded: str, *, validate: bool) -> bytes:
        lengths.append(len(encoded))
        return base64.b64decode(encoded, validate=validate)

    monkeypatch.setattr("images_emulator.exchange.sent.b64decode", decode)
    picture = base64.b64encode(b"\x89PNG\r\n\x1a\n\0").decode() + rest
    answer = SentResponse()
    answer.start(200, replace(REQUEST, stream=False), body_may_change=True)
    answer.add(json.dumps({"created": 1, "data": [{"b64_json": picture}]}).encode())
    answer.end()
    assert answer.images == ((0,) if len(picture) % 4 == 0 else ())
    assert max(lengths, default=0) <= 64


@pytest.mark.parametrize("altered", [True, False])
@pytest.mark.parametrize("length", [1, 2, 3, 7, 60, 1000])
def test_events_are_counted_and_not_chunks(altered: bool, length: int) -> None:
    answer = SentResponse()
    answer.start(200, REQUEST, body_may_change=altered)
    for place in range(0, len(STREAM), length):
        answer.add(STREAM[place : place + length])
        assert (answer.images == (0,)) == (place + length >= len(STREAM))
    assert (answer.events, answer.error_body) == (2, b"")

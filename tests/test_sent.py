"""The journal tells what has left: statuses, events and images, whatever a fault did to them."""

from __future__ import annotations

import base64
import json
import socket
from contextlib import suppress
from time import monotonic
from typing import Any

import httpx2
import pytest

from images_emulator import Server
from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import GENERATIONS
from images_emulator.contract.request import ImageRequest
from images_emulator.exchange.part_readers import (
    ParsedBodyReader,
    ParsedStreamReader,
    StreamReader,
)
from images_emulator.exchange.sent_answer import MAX_KEPT_EVENTS, SentAnswer
from tests.conftest import KEY

BODY = {"model": "gpt-image-2", "prompt": "a lighthouse", "quality": "low"}


def journal_call(server: Server) -> dict[str, Any]:
    """The only call in the journal, which is complete when the client has its end."""
    assert server.requests[0].outcome != "waiting"
    (call,) = httpx2.get(f"{server.url}/_emulator/requests").json()["requests"]
    images = httpx2.get(f"{server.url}/_emulator/images").json()
    urls = [picture["url"] for picture in call["pictures"]]
    assert [image["url"] for image in images["images"]] == urls
    assert images["total"] == len(call["pictures"])
    assert isinstance(call, dict)
    return call


def parsed(text: bytes) -> dict[str, Any]:
    """The JSON object in *text*; none where it was spoilt."""
    with suppress(ValueError):
        value: dict[str, Any] = json.loads(text)
        return value
    return {}


def flat(usage: dict[str, int] | None) -> dict[str, Any] | None:
    """The usage of the journal as an answer has it."""
    return usage and {
        "input_tokens": usage["input_tokens"],
        "input_tokens_details": {
            "image_tokens": usage["input_image_tokens"],
            "text_tokens": usage["input_text_tokens"],
        },
        "output_tokens": usage["output_tokens"],
        "output_tokens_details": {
            "image_tokens": usage["output_image_tokens"],
            "text_tokens": usage["output_text_tokens"],
        },
        "total_tokens": usage["total_tokens"],
    }


def price_of(usage: dict[str, Any]) -> float:
    """US dollars for a usage of gpt-image-2 without images in its input."""
    return (5 * usage["input_tokens"] + 30 * usage["output_tokens"]) / 10**6  # type: ignore[no-any-return]


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
    ("fault", "status", "outcome", "images"),
    [
        ("latency;seconds=0", 200, "answered", [0, 1, 2]),
        ("slow_body;bytes_per_second=2000000", 200, "answered", [0, 1, 2]),
        ("truncated;after_bytes=100000000", 200, "answered", [0, 1, 2]),
        ("empty_data", 200, "answered", []),
        ("fewer_images", 200, "answered", [0, 1]),
        ("fewer_images;by=9", 200, "answered", [0]),
        ("truncated", 200, "cut", []),
        ("truncated;after_bytes=0", 200, "cut", []),
        ("malformed", 200, "answered", []),
        ("malformed;what=base64", 200, "answered", []),
        ("malformed;what=picture", 200, "answered", []),
        ("connection_reset", None, "cut", []),
        ("connection_reset;after_bytes=1000", 200, "cut", []),
        ("server_error", 500, "refused", []),
        ("error;status=418", 418, "refused", []),
    ],
)
@pytest.mark.parametrize("model", ["gpt-image-2", "dall-e-2"])
def test_the_images_of_an_answer_are_those_that_left(
    server: Server,
    fault: str,
    *,
    status: int | None,
    outcome: str,
    images: list[int],
    model: str,
) -> None:
    data = b""
    if model == "dall-e-2":
        if fault.startswith(("malformed;", "slow_body")):
            pytest.skip("pictures by URL stay")
        post(server, fault, n=3, model=model, size="256x256", quality="standard")
    else:
        data = post(server, fault, n=3)
    call = journal_call(server)
    assert (call["status"], call["outcome"]) == (status, outcome)
    urls = [f"/_emulator/images/{call['id']}/{index}" for index in images]
    assert [picture["url"] for picture in call["pictures"]] == urls
    usage = parsed(data).get("usage")
    assert flat(call["usage"]) == usage
    price = price_of(usage) if usage else 0.016 * len(images) or None
    assert call["price_usd"] == (price and pytest.approx(price, abs=1e-9))
    for index in range(3):
        image_status = httpx2.get(f"{server.url}/_emulator/images/{call['id']}/{index}").status_code
        assert image_status == (200 if index in images else 404)


@pytest.mark.parametrize(
    ("fault", "outcome", "events", "partials", "images"),
    [
        ("latency;seconds=0", "answered", 3, 2, [0]),
        ("slow_body;bytes_per_second=3000000", "answered", 3, 2, [0]),
        ("stream_cut", "cut", 1, 1, []),
        ("stream_cut;after=2;reset=true", "cut", 2, 2, []),
        ("stream_cut;after=0", "cut", 0, 0, []),
        ("truncated", "cut", 0, 0, []),
        ("truncated;after_bytes=100000000", "answered", 3, 2, [0]),
        ("malformed", "answered", 3, 2, []),
        ("malformed;what=base64", "answered", 3, 2, []),
        ("malformed;what=picture", "answered", 3, 2, []),
        ("stream_error", "failed", 2, 1, []),
        ("stream_error;after=3", "failed", 4, 2, [0]),
        ("unknown_event", "answered", 4, 2, [0]),
        ("fewer_partials", "answered", 1, 0, [0]),
        ("stall;after=2;seconds=0.01", "answered", 3, 2, [0]),
    ],
)
def test_the_events_of_a_stream_are_those_that_left(
    server: Server, fault: str, *, outcome: str, events: int, partials: int, images: list[int]
) -> None:
    data = post(server, fault, stream=True, partial_images=2)
    assert data.count(b"\n\n") == events
    call = journal_call(server)
    assert (call["status"], call["outcome"]) == (200, outcome)
    assert (call["event_count"], call["partial_count"]) == (events, partials)
    urls = [f"/_emulator/images/{call['id']}/{index}" for index in images]
    assert [picture["url"] for picture in call["pictures"]] == urls
    payloads = [parsed(line.removeprefix(b"data: ")) for line in data.splitlines()]
    usage = next((each["usage"] for each in payloads if "usage" in each), None)
    # Events do not have it.
    details = {"image_tokens": usage["output_tokens"], "text_tokens": 0} if usage else {}
    assert flat(call["usage"]) == (usage and usage | {"output_tokens_details": details})


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
    while server.requests[0].outcome == "waiting":
        assert monotonic() < end
    call = journal_call(server)
    assert (call["status"], call["outcome"], call["pictures"]) == (None, "gone", [])


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
        *(("latency;seconds=0", False), ("latency;realistic=true;scale=0", False)),
        *(("slow_body;bytes_per_second=100000000", True), ("truncated;after_bytes=90", True)),
        *(("malformed", True), ("fewer_images", True)),
    ],
)
def test_an_answer_is_read_only_under_faults_that_alter_or_divide_it(
    server: Server, monkeypatch: pytest.MonkeyPatch, fault: str, *, read: bool
) -> None:
    added = []
    monkeypatch.setattr(SentAnswer, "add", lambda answer, part, ms: added.append(part))
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

    monkeypatch.setattr("images_emulator.exchange.answer_json.b64decode", decode)
    picture = base64.b64encode(b"\x89PNG\r\n\x1a\n\0").decode() + rest
    answer = SentAnswer()
    answer.start(200, (), ParsedBodyReader(answer))
    answer.add(json.dumps({"created": 1, "data": [{"b64_json": picture}]}).encode(), 1)
    answer.end()
    assert answer.image_indexes == ((0,) if len(picture) % 4 == 0 else ())
    assert max(lengths, default=0) <= 64


@pytest.mark.parametrize("altered", [True, False])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("length", [1, 2, 3, 7, 60, 1000])
def test_events_are_counted_and_not_chunks(altered: bool, length: int, line_end: bytes) -> None:
    stream = STREAM.replace(b"\n", line_end)
    answer = SentAnswer()
    answer.start(200, (), (ParsedStreamReader if altered else StreamReader)(answer))
    for place in range(0, len(stream), length):
        answer.add(stream[place : place + length], place)
        assert (answer.image_indexes == (0,)) == (place + length >= len(stream))
    assert (answer.event_count, answer.error_body) == (2, b"")
    partial, completed = answer.kept_events
    assert [each.type for each in answer.kept_events] == [
        "image_generation.partial_image",
        "image_generation.completed",
    ]
    assert (partial.is_partial_image, completed.is_partial_image) == (True, False)
    comment = b": a comment" + 2 * line_end
    assert partial.bytes + completed.bytes + len(comment) == len(stream)
    # Each is of the time at which its last byte left.
    assert partial.ms == (partial.bytes - 1) // length * length
    assert completed.ms == (len(stream) - 1) // length * length


def test_of_a_long_stream_the_first_events_are_kept() -> None:
    answer = SentAnswer()
    answer.start(200, (), StreamReader(answer))
    for number in range(3 * MAX_KEPT_EVENTS):
        answer.add(b"event: image_generation.partial_image\ndata: {}\n\n", number)
    assert answer.event_count == 3 * MAX_KEPT_EVENTS
    assert [each.ms for each in answer.kept_events] == [*range(MAX_KEPT_EVENTS)]

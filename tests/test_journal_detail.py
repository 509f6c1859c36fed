"""The detail of a call: its form, its answer as it left, its stream, uploads and attempts."""

from __future__ import annotations

import base64
import json
import re
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from openai import OpenAI, OpenAIError
from PIL import Image

from images_emulator import Emulator, Server, Settings
from images_emulator.contract.operations import EDITS, GENERATIONS
from images_emulator.exchange.request_head import RequestHead
from images_emulator.exchange.sent_file import with_shortened_base64
from images_emulator.exchange.served_exchange import ServedExchange
from images_emulator.imaging.decoder import pixels_of
from images_emulator.state.retry_chain import possible_attempts, retry_chain
from images_emulator.state.store import Store
from tests.answers import model_that_writes
from tests.conftest import KEY
from tests.pictures import encoded, half_clear, png

LATER = {"date", "server", "connection", "transfer-encoding"}
"""Headers of the HTTP server, which the journal does not have."""


@pytest.fixture
def admin(server: Server) -> Iterator[httpx2.Client]:
    """Plain HTTP without a key."""
    with httpx2.Client(base_url=server.url, timeout=60) as client:
        yield client


def detail_of(admin: httpx2.Client, index: int = -1) -> Any:
    """The detail of one of the calls."""
    calls = admin.get("/_emulator/requests").json()["requests"]
    answer = admin.get(f"/_emulator/requests/{calls[index]['id']}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def draw(http: httpx2.Client, fault: str | None = None, **fields: Any) -> httpx2.Response:
    """The answer to a generation, as far as it came."""
    body = {"model": "gpt-image-2", "prompt": "a lighthouse", "quality": "low"} | fields
    headers = {"x-emulator-fault": fault} if fault else {}
    with http.stream("POST", GENERATIONS.path, json=body, headers=headers) as answer:
        data = b""
        with suppress(httpx2.TransportError):
            for part in answer.iter_raw():
                data += part
        answer._content = data
        return answer


def without_later(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in LATER}


def cut(data: bytes) -> str:
    """*data* with what is long base64 in it cut."""

    def shown(match: re.Match[str]) -> str:
        return f"{match[0][:8]}… ({len(match[0]):,} characters)"

    return re.sub(r"[A-Za-z0-9+/=]{60,}", shown, data.decode())


# --- the answer


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"n": 3, "output_format": "webp", "user": "me"},
        {"model": "dall-e-2", "size": "256x256", "quality": "standard", "n": 2},
        {"model": "dall-e-3", "quality": "hd", "response_format": "b64_json"},
        {"model": model_that_writes("svg"), "output_format": "svg"},
        {"model": "gpt-image-1.5", "safety_identifier": "x" * 50},
        {"stream": True, "partial_images": 3},
        {"stream": True, "partial_images": 0, "output_format": "jpeg"},
        {"n": 0},
        {"prompt": "ä" * 40_000},
    ],
)
@pytest.mark.parametrize("as_of", [None, "2026-01-01"])
def test_answer_is_told_as_it_left(
    http: httpx2.Client, emulator: Emulator, fields: dict[str, Any], as_of: str | None
) -> None:
    emulator.configure(as_of=as_of)
    sent = draw(http, **fields)
    assert sent.status_code in {200, 400}
    answer = detail_of(http)["answer"]
    assert answer["body"] == cut(sent.content)
    assert answer["is_whole"]
    assert without_later(answer["headers"]) == without_later(sent.headers)


@pytest.mark.parametrize("path", ["/openai/v1/images/generations", "/openai/deployments/d/{}"])
@pytest.mark.parametrize("fields", [{}, {"response_format": "b64_json"}])
def test_answer_of_azure_is_told_as_it_left(path: str, fields: dict[str, str]) -> None:
    with (
        Server(Settings(port=0, deployment=("d=dall-e-3",))) as server,
        httpx2.Client(base_url=server.url, headers={"api-key": "k"}, timeout=60) as http,
    ):
        address = path.format("images/generations?api-version=2025-04-01-preview")
        sent = http.post(address, json={"model": "d", "prompt": "x"} | fields)
        assert sent.status_code == 200
        answer = detail_of(http)["answer"]
        assert answer["body"] == cut(sent.content)
        assert without_later(answer["headers"]) == without_later(sent.headers)


@pytest.mark.parametrize(
    ("fault", "is_whole"),
    [
        ("latency;seconds=0", True),
        ("slow_body;bytes_per_second=100000000", True),
        ("fewer_images", True),
        ("empty_data", True),
        ("malformed", True),
        ("malformed;what=base64", True),
        ("malformed;what=picture", True),
        ("truncated", False),
        ("truncated;after_bytes=90", False),
        ("truncated;after_bytes=0", False),
        ("server_error", True),
        ("error;status=418;message=No", True),
    ],
)
def test_answer_is_told_as_a_fault_left_it(http: httpx2.Client, fault: str, is_whole: bool) -> None:
    sent = draw(http, fault, n=2)
    answer = detail_of(http)["answer"]
    assert answer["body"] == cut(sent.content)
    assert answer["is_whole"] == is_whole


@pytest.mark.parametrize(
    "fault",
    ["stream_error;after=2", "stream_cut;after=2", "truncated;after_bytes=100000", "malformed"],
)
def test_stream_is_told_as_a_fault_left_it(http: httpx2.Client, fault: str) -> None:
    sent = draw(http, fault, stream=True, partial_images=3)
    detail = detail_of(http)
    assert sent.content
    assert detail["answer"]["body"] == cut(sent.content)
    assert len(detail["stream_events"]) == detail["event_count"]


def test_a_call_whose_connection_was_reset_has_no_answer(http: httpx2.Client) -> None:
    with pytest.raises(httpx2.TransportError):
        draw(http, "connection_reset")
    assert detail_of(http)["answer"] is None


def test_answers_of_other_calls_are_told(http: httpx2.Client) -> None:
    models = http.get("/v1/models")
    assert detail_of(http)["answer"]["body"] == models.text
    form = {"file": ("f.png", png(), "image/png")}
    added = http.post("/v1/files", data={"purpose": "vision"}, files=form)
    assert detail_of(http)["answer"]["body"] == added.text
    url = draw(http, model="dall-e-2", quality="standard").json()["data"][0]["url"]
    assert httpx2.get(url).status_code == 200
    answer = detail_of(http)["answer"]
    assert (answer["body"], answer["headers"]["content-type"]) == (None, "image/png")


def test_an_answer_without_its_body_in_the_journal_has_its_headers() -> None:
    form = {"model": "gpt-image-2", "prompt": "x", "quality": "low"}
    files = {"image": ("a.png", png((64, 64)) + b" " * 30_000, "image/png")}
    with (
        Server(Settings(port=0, journal_bytes=30_000)) as server,
        httpx2.Client(
            base_url=server.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=60
        ) as http,
    ):
        sent = http.post(EDITS.path, data=form, files=files)
        detail = detail_of(http)
        assert detail["dropped"] == ["body", "pictures"]
        assert detail["answer"]["body"] is None
        assert detail["answer"]["headers"]["x-request-id"] == sent.headers["x-request-id"]
        assert detail["form"] is None


def test_answers_come_through_any_store(store: Store) -> None:
    with (
        Server(emulator=Emulator(Settings(port=0), store)) as server,
        httpx2.Client(
            base_url=server.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=60
        ) as http,
    ):
        several: list[dict[str, Any]] = [
            {"n": 2},
            {"stream": True, "partial_images": 1},
            {"model": "dall-e-2", "quality": "standard"},
        ]
        for fields in several:
            sent = draw(http, **fields)
            assert detail_of(http)["answer"]["body"] == cut(sent.content)
        sent = draw(http, "fewer_partials", stream=True, partial_images=2)
        detail = detail_of(http)
        assert detail["answer"]["body"] == cut(sent.content)
        assert [event["type"] for event in detail["stream_events"]] == [
            "image_generation.completed"
        ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", ""),
        (b'{"b64_json"', '{"b64_json"'),
        (b'{"b64_json": ', '{"b64_json": '),
        (b'{"b64_json": null, "a": "b"}', '{"b64_json": null, "a": "b"}'),
        (b'{"b64_json":"short"}', '{"b64_json":"short"}'),
        (b'{"b64_json":"%s"}' % (b"A" * 5000), '{"b64_json":"AAAAAAAA… (5,000 characters)"}'),
        (b'{"b64_json": "%s' % (b"A" * 100), '{"b64_json": "AAAAAAAA… (100 characters)'),
        (
            b'[{"b64_json":"%s"},{"b64_json":"%s"}]' % (b"A" * 99, b"B" * 98),
            '[{"b64_json":"AAAAAAAA… (99 characters)"},{"b64_json":"BBBBBBBB… (98 characters)"}]',
        ),
    ],
)
def test_base64_is_cut_in_any_text(text: bytes, expected: str) -> None:
    assert with_shortened_base64(text).decode() == expected


# --- the stream


def test_stream_has_type_time_and_bytes_of_each_event(http: httpx2.Client) -> None:
    sent = draw(http, stream=True, partial_images=2)
    detail = detail_of(http)
    event_texts = [each + b"\n\n" for each in sent.content.split(b"\n\n")[:-1]]
    url = f"/_emulator/images/{detail['id']}/0/partials"
    times = [event.pop("ms") for event in detail["stream_events"]]
    assert times == sorted(times)
    assert 0 < times[0] <= times[-1] <= detail["duration_ms"]
    partial = {"type": "image_generation.partial_image"}
    assert detail["stream_events"] == [
        partial
        | {
            "index": index,
            "bytes": len(event_texts[index]),
            "partial": f"{url}/{index}",
            "thumbnail": f"{url}/{index}/thumbnail/96",
        }
        for index in range(2)
    ] + [
        {
            "type": "image_generation.completed",
            "index": 2,
            "bytes": len(event_texts[2]),
            "partial": None,
            "thumbnail": None,
        }
    ]
    payload = json.loads(event_texts[1].partition(b"\ndata: ")[2])
    assert base64.b64encode(http.get(f"{url}/1").content).decode() == payload["b64_json"]


def test_a_stream_in_flight_tells_what_has_left(http: httpx2.Client) -> None:
    body = {"model": "gpt-image-2", "prompt": "x", "stream": True, "partial_images": 2}
    headers = {"x-emulator-fault": "stall;after=1"}
    with http.stream("POST", GENERATIONS.path, json=body, headers=headers) as answer:
        parts, data = answer.iter_raw(), b""
        while not data.endswith(b"\n\n"):
            data += next(parts)
        detail = detail_of(http)
        assert (detail["outcome"], detail["partial_count"], detail["pictures"]) == (
            "waiting",
            1,
            [],
        )
        assert [event["type"] for event in detail["stream_events"]] == [
            "image_generation.partial_image"
        ]
        assert detail["answer"]["body"].startswith("event: image_generation.partial_image\ndata: ")
        assert not detail["answer"]["is_whole"]


def test_a_call_that_is_no_stream_has_no_events(http: httpx2.Client) -> None:
    draw(http)
    assert detail_of(http)["stream_events"] == []


# --- the form


def test_form_has_its_parts_in_their_order(http: httpx2.Client) -> None:
    parts: list[tuple[str, Any]] = [
        ("mask", ("m.png", half_clear(), "image/png")),
        ("prompt", (None, "a \n ship")),
        ("image[]", ("a.png", png(), "image/png")),
        ("n", (None, "0")),
        ("api_key", (None, "secret")),
        ("image[]", ("b.png", png(), "image/png")),
        ("notes", ("n.txt", b"x", "text/plain")),
        ("svg[model]", (None, "y" * 1000)),
    ]
    http.post(EDITS.path, files=parts)
    detail = detail_of(http)
    assert [upload["name"] for upload in detail["uploads"]] == ["a.png", "b.png", "m.png"]
    assert [(part["name"], part["value"], part["upload"]) for part in detail["form"]] == [
        ("mask", None, 2),
        ("prompt", "a \n ship", None),
        ("image[]", None, 0),
        ("n", "0", None),
        ("api_key", "*" * 8, None),
        ("image[]", None, 1),
        ("notes", None, None),
        ("svg[model]", "y" * 255 + "…", None),
    ]


def test_a_malformed_form_has_the_parts_before_the_mistake(http: httpx2.Client) -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="n"\r\n\r\n1\r\n'
        b'--b\r\nContent-Disposition: form-data; name="n"\r\n\r\n2\r\n'
        b"--b\r\nnonsense\r\n\r\n"
    )
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    assert http.post(EDITS.path, content=body, headers=headers).status_code == 400
    assert [part["value"] for part in detail_of(http)["form"]] == ["1", "2"]


@pytest.mark.parametrize("content_type", ["multipart/form-data", "application/json", "text/plain"])
def test_a_body_that_is_no_form_has_no_parts(http: httpx2.Client, content_type: str) -> None:
    http.post(EDITS.path, content=b"--b--", headers={"Content-Type": content_type})
    assert detail_of(http)["form"] is None


def test_of_a_form_with_many_parts_the_first_are_listed(http: httpx2.Client) -> None:
    http.post(EDITS.path, files=[(f"image[{n}]", (None, "7")) for n in range(300)])
    parts = detail_of(http)["form"]
    assert [part["name"] for part in parts] == [f"image[{n}]" for n in range(256)]


# --- uploads of refused calls


def test_refused_uploads_have_their_pixels(http: httpx2.Client) -> None:
    files = [
        ("image[]", ("a.png", png((40, 30)), "image/png")),
        ("image[]", ("b.txt", b"no picture", "image/png")),
        ("mask", ("m.png", half_clear((7, 9)), "image/png")),
    ]
    answer = http.post(EDITS.path, data={"model": "gpt-image-2", "prompt": "x"}, files=files)
    assert answer.status_code == 400
    uploads = detail_of(http)["uploads"]
    assert [upload["pixels"] for upload in uploads] == [[40, 30], None, [7, 9]]
    assert [bool(upload["thumbnail"]) for upload in uploads] == [True, False, True]


def huge_png(width: int, height: int) -> bytes:
    """The head of a PNG of any size."""
    head = struct.pack(">II5B", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(head)) + b"IHDR" + head + b"\0" * 4


def turned(form: str) -> bytes:
    """A picture of 40×30 pixels that lies on its side."""
    image = Image.new("RGB", (40, 30))
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(image, form, exif=exif.tobytes())


@pytest.mark.parametrize(
    ("data", "pixels"),
    [
        (png((3, 5)), (3, 5)),
        (encoded(Image.new("RGB", (40, 30)), "JPEG"), (40, 30)),
        (encoded(Image.new("RGB", (40, 30)), "WEBP"), (40, 30)),
        (turned("JPEG"), (30, 40)),
        (turned("WEBP"), (30, 40)),
        (huge_png(2**31 - 1, 2**31 - 1), (2**31 - 1, 2**31 - 1)),
        (huge_png(60_000, 60_000), (60_000, 60_000)),
        (encoded(Image.new("P", (40, 30)), "GIF"), None),
        (b"", None),
        (b"\x89PNG\r\n\x1a\n", None),
        (b"\xff\xd8\xff" * 1000, None),
        (b"RIFF\xff\xff\xff\xffWEBPVP8X", None),
        (png()[:30], (64, 64)),
    ],
)
def test_pixels_are_those_of_the_head_of_a_file(data: bytes, pixels: tuple[int, int]) -> None:
    assert pixels_of(data) == pixels


# --- attempts


def test_attempts_are_the_calls_of_one_retry_chain(server: Server, client: OpenAI) -> None:
    patient = client.with_options(max_retries=2)
    limited = {"kind": "error", "name": "rate_limit_exceeded", "retry_after_ms": 1}
    for _ in range(2):
        server.inject(limited, times=2)
        patient.images.generate(model="dall-e-2", prompt="x", size="256x256")
        client.images.generate(model="dall-e-2", prompt="x", size="256x256")
    with httpx2.Client(base_url=server.url) as admin:
        for index in range(8):
            own = detail_of(admin, index)
            shown = [(each["number"], each["retries"]) for each in own["attempts"]]
            first = index // 4 * 4
            chain = [(first + 1 + n, n) for n in range(3)] if index % 4 < 3 else []
            assert shown == chain
        attempt = detail_of(admin, 2)["attempts"][0]
        assert (attempt["status"], attempt["outcome"]) == (429, "refused")
        assert attempt["id"] == server.requests[0].id


def test_attempts_of_a_form_are_found_though_its_boundary_changes(
    server: Server, client: OpenAI
) -> None:
    server.inject({"kind": "error", "name": "server_is_overloaded", "retry_after_ms": 1})
    image = ("a.png", png(), "image/png")
    client.with_options(max_retries=1).images.edit(model="gpt-image-2", prompt="x", image=image)
    client.with_options(max_retries=1).images.edit(model="gpt-image-2", prompt="y", image=image)
    first, second, other = server.requests
    assert first.body != second.body
    journal = server.emulator.journal
    assert [call.id for call in journal.attempts(second)] == [first.id, second.id]
    assert journal.attempts(other) == []


def test_attempts_of_another_key_or_body_are_none(http: httpx2.Client, server: Server) -> None:
    def call(retries: int, prompt: str = "x", key: str = KEY) -> None:
        headers = {"x-stainless-retry-count": str(retries), "Authorization": f"Bearer {key}"}
        body = {"model": "gpt-image-2", "prompt": prompt, "n": 0}
        http.post(GENERATIONS.path, json=body, headers=headers)

    call(0)
    call(1, prompt="y")
    call(1, key="sk-other")
    call(2)
    assert [server.emulator.journal.attempts(each) for each in server.requests] == [[]] * 4


def test_attempts_are_found_without_their_bodies(client: OpenAI) -> None:
    with Server(Settings(port=0, journal_bytes=110_000)) as server:
        server.inject({"kind": "error", "name": "server_is_overloaded", "retry_after_ms": 1})
        image = ("a.png", png() + b" " * 40_000, "image/png")
        with OpenAI(base_url=server.base_url, api_key=KEY, max_retries=1) as own:
            own.images.edit(model="gpt-image-2", prompt="x", image=image)
        first, second = server.requests
        assert first.body is None
        assert server.emulator.journal.attempts(first) == [first, second]


@pytest.mark.parametrize(("length", "is_one"), [("70000", True), ("70001", False), ("", True)])
def test_without_their_bodies_attempts_are_of_one_length(length: str, is_one: bool) -> None:
    def call(retries: int, length: str) -> ServedExchange:
        headers = [(b"x-stainless-retry-count", b"%d" % retries)]
        if length:
            headers.append((b"content-length", length.encode()))
        head = RequestHead("POST", GENERATIONS.path, b"", headers)
        return ServedExchange(head, f"req_{retries}", datetime.now(UTC))

    first, second = calls = [call(0, "70000"), call(1, length)]
    assert possible_attempts(calls, first) == (calls if is_one else [])
    second.keep_request_body(None)
    assert retry_chain(calls, first) == (calls if length == "70000" else [])


@pytest.mark.slow
def test_times_of_attempts_are_by_the_clock(server: Server, client: OpenAI) -> None:
    server.clock.freeze(datetime(2031, 1, 2, tzinfo=UTC))
    server.inject("server_error", times=2)
    with suppress(OpenAIError):
        client.with_options(max_retries=1).images.generate(model="dall-e-2", prompt="x")
    with httpx2.Client(base_url=server.url) as admin:
        times = {attempt["time"] for attempt in detail_of(admin)["attempts"]}
    assert times == {"2031-01-02T00:00:00Z"}


@pytest.mark.slow
def test_a_call_past_the_budget_costs_no_other_its_body(client: OpenAI) -> None:
    with Server(Settings(port=0, journal_bytes=60_000)) as server:
        with OpenAI(base_url=server.base_url, api_key=KEY, max_retries=1) as own:
            for padding in (10_000, 80_000):
                image = ("a.png", png() + b" " * padding, "image/png")
                own.images.edit(model="gpt-image-2", prompt="x", image=image)
        small, large = server.requests
        assert small.body
        assert (large.body, [*large.dropped]) == (None, ["body", "pictures"])
        assert (large.prompt, large.usage and large.usage.input_image) == ("x", 16)

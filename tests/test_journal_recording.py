"""Calls of the journal as exchange files: to the byte, without keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from images_emulator import Server
from images_emulator.exchange.call_answer import CallAnswer
from images_emulator.exchange.request_head import RequestHead
from images_emulator.exchange.served_exchange import ServedExchange
from images_emulator.faults import FAULTS
from images_emulator.recordings.document import from_document
from images_emulator.recordings.recorded_files import MemoryFiles
from images_emulator.recordings.recording import Recording
from images_emulator.web.admin import journal_recording
from images_emulator.web.admin.journal_recording import NotHeldError
from tests.pictures import png

KEY = "sk-journal-0123456789abcdef"
GENERATION = {"model": "gpt-image-2", "prompt": "a fox", "size": "1024x1024", "quality": "low"}
SMALL = {"model": "dall-e-2", "prompt": "a fox", "size": "256x256"}
FORM = {"image": ("fox.png", png((64, 64)), "image/png")}


@pytest.fixture
def http(server: Server) -> Iterator[httpx2.Client]:
    headers = {"Authorization": f"Bearer {KEY}", "cookie": "session=a-secret-of-a-session"}
    with httpx2.Client(base_url=server.url, timeout=60, headers=headers) as client:
        yield client


def send(http: httpx2.Client, path: str, fault: str | None = None, **content: Any) -> bytes:
    """The body of the answer, as far as it came."""
    headers = {"x-emulator-fault": fault} if fault else {}
    body = b""
    with (
        suppress(httpx2.TransportError),
        http.stream("POST" if content else "GET", path, headers=headers, **content) as answer,
    ):
        for part in answer.iter_raw():
            body += part
    return body


def exchange_of(http: httpx2.Client) -> httpx2.Response:
    """The exchange file of the last call."""
    call = http.get("/_emulator/requests").json()["requests"][-1]
    return http.get(f"/_emulator/requests/{call['id']}/exchange")


def recording_of(http: httpx2.Client) -> Recording:
    answer = exchange_of(http)
    assert answer.status_code == 200, answer.text
    assert KEY not in answer.text
    assert "a-secret-of-a-session" not in answer.text
    return from_document(answer.json(), MemoryFiles())


@pytest.mark.parametrize(
    ("is_stopped", "reason"),
    [(False, "was left by its client"), (True, "was cut by the stop of its server")],
)
def test_call_without_an_end_of_its_own_is_not_held(is_stopped: bool, reason: str) -> None:
    head = RequestHead("GET", "/v1/models", b"", [])
    answer = CallAnswer(is_stopped=is_stopped)
    entry = ServedExchange(head, "req_1", datetime(2026, 11, 26, tzinfo=UTC), answer=answer)
    entry.note_end()
    with pytest.raises(NotHeldError, match=reason):
        journal_recording.recording_of(entry, {})


LATER = {"date", "server", "connection", "transfer-encoding"}
"""Headers of the HTTP server, which the journal does not have."""

Case = tuple[str, str | None, dict[str, Any]]
CASES: dict[str, Case] = {
    "base64": ("/v1/images/generations", None, {"json": SMALL | {"response_format": "b64_json"}}),
    "three": (
        "/v1/images/generations",
        None,
        {"json": SMALL | {"n": 3, "response_format": "b64_json"}},
    ),
    "by URL": ("/v1/images/generations", None, {"json": SMALL | {"n": 2}}),
    "usage": ("/v1/images/generations", None, {"json": GENERATION}),
    "WebP": ("/v1/images/generations", None, {"json": GENERATION | {"output_format": "webp"}}),
    "stream": (
        "/v1/images/generations",
        None,
        {"json": GENERATION | {"stream": True, "partial_images": 2}},
    ),
    "edit": ("/v1/images/edits", None, {"data": GENERATION, "files": FORM}),
    "variation": ("/v1/images/variations", None, {"data": {"size": "256x256"}, "files": FORM}),
    "refused": ("/v1/images/generations", None, {"json": GENERATION | {"size": "7x7"}}),
    "no JSON": ("/v1/images/generations", None, {"content": b'{"a'}),
    "models": ("/v1/models", None, {}),
    "unknown path": ("/v1/responses/%C3%A9?a=b%20c", None, {}),
    "Azure": (
        "/openai/deployments/gpt-image-2/images/generations?api-version=2025-04-01-preview",
        None,
        {"json": {"prompt": "a fox", "quality": "low"}},
    ),
    "error by fault": ("/v1/images/generations", "rate_limit_exceeded", {"json": GENERATION}),
    "truncated": ("/v1/images/generations", "truncated;after_bytes=9000", {"json": GENERATION}),
    "reset": ("/v1/images/generations", "connection_reset;after_bytes=300", {"json": GENERATION}),
    "stream that fails": (
        "/v1/images/generations",
        "stream_error",
        {"json": GENERATION | {"stream": True, "partial_images": 2}},
    ),
    "stream that is cut": (
        "/v1/images/generations",
        "stream_cut;after=1",
        {"json": GENERATION | {"stream": True, "partial_images": 2}},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_call_of_the_journal_is_the_same_to_the_byte(name: str, http: httpx2.Client) -> None:
    path, fault, content = CASES[name]
    body = send(http, path, fault, **content)
    recording = recording_of(http)
    assert recording.response
    assert recording.response.body == body
    assert recording.request.target == path
    sent = http.build_request("POST", path, **content).content if "files" not in content else None
    assert sent is None or recording.request.body == sent
    assert (recording.response.end == "complete") == (
        name not in ("truncated", "reset", "stream that is cut")
    )


FAST = {"latency": "latency;seconds=0", "slow_body": "slow_body;bytes_per_second=90000000"}
"""Faults with settings that let nobody wait."""
ENDLESS = {"timeout", "stall"}
"""Faults that the client ends, by leaving."""
CHANGING = [
    *(FAST.get(name, name) for name in FAULTS if name not in {*ENDLESS, "error"}),
    *("malformed;what=base64", "malformed;what=picture", "truncated;after_bytes=5000"),
]


@pytest.mark.parametrize("fault", CHANGING)
@pytest.mark.parametrize("stream", [False, True])
def test_what_a_fault_has_changed_is_as_it_left(
    fault: str, stream: bool, http: httpx2.Client
) -> None:
    fields = SMALL | {"n": 2, "response_format": "b64_json"}
    streamed = GENERATION | {"stream": True, "partial_images": 2}
    body = send(http, "/v1/images/generations", fault, json=streamed if stream else fields)
    response = recording_of(http).response
    assert (response.body if response else b"") == body


def test_a_form_of_the_journal_has_its_files(http: httpx2.Client) -> None:
    send(http, *CASES["edit"][:2], **CASES["edit"][2])
    request = recording_of(http).request
    assert png((64, 64)) in request.body
    assert dict(request.headers)["content-length"] == str(len(request.body))
    assert dict(request.headers)["content-type"].startswith("multipart/form-data; boundary=")


def test_the_headers_of_a_call_of_the_journal_are_those_that_came(http: httpx2.Client) -> None:
    answer = http.post("/v1/images/generations", json=SMALL)
    recording = recording_of(http)
    assert recording.response
    assert recording.response.status == 200
    headers = [*recording.response.headers]
    assert ("x-request-id", answer.headers["x-request-id"]) in headers
    assert headers == [each for each in answer.headers.multi_items() if each[0] not in LATER]


def test_the_events_of_a_stream_have_their_times(http: httpx2.Client) -> None:
    send(http, *CASES["stream"][:2], **CASES["stream"][2])
    recording = recording_of(http)
    assert recording.response
    seconds = [part.seconds for part in recording.response.parts]
    assert len(seconds) == 3
    assert seconds == sorted(seconds)
    assert seconds[0] > 0


def test_hosted_pictures_are_downloads_of_the_exchange(http: httpx2.Client) -> None:
    answer = http.post("/v1/images/generations", json=SMALL | {"n": 2}).json()
    downloads = {each.url: each.data for each in recording_of(http).downloads}
    assert [*downloads] == [each["url"] for each in answer["data"]]
    assert all(http.get(url).content == data for url, data in downloads.items())


def test_a_call_that_was_reset_before_its_answer_has_an_error(http: httpx2.Client) -> None:
    send(http, "/v1/images/generations", "connection_reset", json=GENERATION)
    recording = recording_of(http)
    assert recording.response is None
    assert recording.error == "the connection was reset"
    assert recording.note == "fault: connection_reset"


@pytest.mark.parametrize(
    ("settings", "call", "reason"),
    [
        (
            {"max_body": 100},
            lambda http: http.post(
                "/v1/images/generations", json=GENERATION | {"prompt": "x" * 99}
            ),
            "had a body that the journal holds no more",
        ),
        (
            {},
            lambda http: http.post("/v1/responses", json=GENERATION),
            "had a body that was not read",
        ),
    ],
)
def test_what_the_journal_does_not_hold_is_said(
    settings: dict[str, Any], call: Callable[[httpx2.Client], object], reason: str
) -> None:
    with (
        Server(port=0, **settings) as server,
        httpx2.Client(base_url=server.url, headers={"Authorization": f"Bearer {KEY}"}) as http,
    ):
        call(http)
        answer = exchange_of(http)
        assert answer.status_code == 409
        assert reason in answer.json()["error"]["message"]


def test_an_unknown_call_has_no_exchange(http: httpx2.Client) -> None:
    assert http.get("/_emulator/requests/req_0/exchange").status_code == 404

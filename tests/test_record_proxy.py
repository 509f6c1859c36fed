"""The proxy that records: what it forwards, what it passes on, and what it keeps. It stands before
a second server, the emulator of the session, or one whose answers are bytes."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

import httpx2
import pytest
from openai import APIError, AsyncOpenAI, AzureOpenAI, OpenAI, RateLimitError

from images_emulator import Server
from images_emulator.record_server import RecordServer
from images_emulator.recordings.recording import (
    RecordedPart,
    RecordedRequest,
    RecordedResponse,
    Recording,
)
from images_emulator.recordings.upstream_address import UpstreamAddress
from images_emulator.web.forwarding import record_proxy, upstream, upstream_pictures
from images_emulator.web.forwarding.record_proxy import RecordingResult
from images_emulator.web.forwarding.upstream import UpstreamClient
from images_emulator.web.forwarding.upstream_pictures import picture_urls
from reliability.ports import free_port
from tests.answers import error_of
from tests.pictures import half_clear, png
from tests.raw_upstream import answering, raw_upstream
from tests.waiting import until

KEY = "sk-proj-Zq3_x-9aBcDeFgHiJkLmNoPqRsTuVwXyZ"
KEYED = {"Authorization": f"Bearer {KEY}"}
GENERATIONS = "/v1/images/generations"
FOX = {"model": "gpt-image-2", "prompt": "a fox", "quality": "low"}


class Proxy:
    """A proxy that keeps its recordings in memory."""

    def __init__(self, url: str, **options: Any) -> None:
        self.kept: Queue[RecordingResult] = Queue()
        self.recordings: list[Recording] = []
        self.server = RecordServer(url, self._keep, on_result=self.kept.put, **options)
        self.url, self.base_url = self.server.url, self.server.base_url

    def _keep(self, recording: Recording) -> Path:
        self.recordings.append(recording)
        return Path(f"{len(self.recordings)}.json")

    def last(self) -> Recording:
        """The recording of the next call that is kept; there must be no other by then."""
        call = self.kept.get(timeout=30)
        assert self.kept.empty()
        assert (call.file is not None, call.problem) == (True, "")
        return call.recording


@contextmanager
def recording(url: str, **options: Any) -> Iterator[Proxy]:
    proxy = Proxy(url, **options)
    with proxy.server:
        yield proxy


@pytest.fixture(scope="module")
def shared(running: Server) -> Iterator[Proxy]:
    with recording(running.base_url) as proxy:
        yield proxy


@pytest.fixture
def proxy(server: Server, shared: Proxy) -> Proxy:
    """A proxy before the emulator of the session."""
    assert shared.kept.empty()
    return shared


@pytest.fixture(scope="module")
def sdk(shared: Proxy) -> Iterator[OpenAI]:
    with OpenAI(base_url=shared.base_url, api_key=KEY, max_retries=0) as client:
        yield client


def send(proxy: Proxy, method: str, target: str, **options: Any) -> httpx2.Response:
    headers = KEYED | options.pop("headers", {})
    return httpx2.request(method, proxy.url + target, headers=headers, timeout=30, **options)


def raw(proxy: Proxy, request: bytes) -> bytes:
    """All bytes that come back for *request*, until the connection ends."""
    with socket.create_connection(("127.0.0.1", proxy.server.port), timeout=30) as connection:
        connection.sendall(request)
        data = b""
        while chunk := connection.recv(65_536):
            data += chunk
        return data


FORM_FILES = {"image": ("a.png", png((64, 64)), "image/png")}
CALLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "generation": ("POST", GENERATIONS, {"json": FOX}),
    "three pictures": ("POST", GENERATIONS, {"json": FOX | {"n": 3}}),
    "without /v1": ("POST", "/images/generations", {"json": FOX}),
    "edit with a mask": (
        "POST",
        "/v1/images/edits",
        {
            "data": FOX,
            "files": FORM_FILES | {"mask": ("m.png", half_clear((64, 64)), "image/png")},
        },
    ),
    "edit by JSON": (
        "POST",
        "/v1/images/edits",
        {"json": FOX | {"images": [{"image_url": "data:image/png;base64,iVBORw0K"}]}},
    ),
    "variation": (
        "POST",
        "/v1/images/variations",
        {"data": {"response_format": "b64_json"}, "files": FORM_FILES},
    ),
    "file": ("POST", "/v1/files", {"data": {"purpose": "vision"}, "files": {"file": ("a", b"x")}}),
    "files": ("GET", "/v1/files?limit=2", {}),
    "models": ("GET", "/v1/models", {}),
    "model": ("GET", "/v1/models/gpt-image-2", {}),
    "no such path": ("GET", "/v1/ima%67es/x%2Fy?a=%20&b", {}),
    "no such file": ("DELETE", "/v1/files/file-x", {}),
    "preflight": ("OPTIONS", GENERATIONS, {}),
    "mistake": ("POST", GENERATIONS, {"json": FOX | {"size": "7x7"}}),
    "Azure": (
        "POST",
        "/openai/deployments/gpt-image-2/images/generations?api-version=2025-04-01-preview",
        {"json": {"prompt": "a fox"}},
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_to_any_endpoint_is_forwarded_and_recorded_as_it_went(
    name: str, proxy: Proxy, server: Server
) -> None:
    method, target, options = CALLS[name]
    sent = httpx2.Request(method, proxy.url + target, headers=KEYED, **options)
    body = sent.read()
    with httpx2.Client() as http:
        got = http.send(sent)
    recorded = proxy.last()
    request, response = recorded.request, recorded.response
    assert response
    assert (request.method, request.target, request.body) == (method, target, body)
    assert (response.status, response.body, response.end) == (
        got.status_code,
        got.content,
        "complete",
    )
    assert len(response.parts) == bool(got.content)
    assert (recorded.error, recorded.note, recorded.source) == ("", "", server.base_url)
    assert recorded.recorded_at
    if method != "OPTIONS":
        (call,) = server.requests
        base = "" if target.startswith(("/v1/", "/openai/")) else "/v1"
        url = httpx2.URL(f"http://x{base}{target}")
        assert (call.method, call.head.path, call.head.query_string) == (
            method,
            url.path,
            url.query,
        )
        assert call.status == got.status_code
        assert call.head.header(b"host") == f"127.0.0.1:{server.port}"
    names = [name for name, _ in response.headers if name not in ("connection", "keep-alive")]
    assert names == [name.decode() for name, _ in got.headers.raw]


def test_a_request_arrives_at_the_upstream_byte_for_byte() -> None:
    requests: list[bytes] = []

    def answer(connection: socket.socket, request: bytes) -> None:
        requests.append(request)
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    head = (
        b"PATCH /v1/a%2Fb/%7E;x?q=%20&q&r=[1] HTTP/1.1\r\nHost: proxy.test\r\n"
        b"X-Twice: 1\r\nAccept-Encoding: gzip, br\r\nx-tWICE:  2 \r\nConnection: close, X-Hop\r\n"
        b"X-Hop: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nProxy-Authorization: Basic eDp5\r\n"
        b"Proxy-Connection: close\r\nTrailer: X-Sum\r\nUpgrade: h2c\r\n"
        b"Content-Length: 4\r\nX-Latin: \xe9\r\n\r\n"
    )
    with raw_upstream(answer) as url, recording(url) as proxy:
        got = raw(proxy, head + b"a\0\r\n")
        recorded = proxy.last()
    assert got == b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"
    host = url.removeprefix("http://").encode()
    assert requests == [
        b"PATCH /v1/a%2Fb/%7E;x?q=%20&q&r=[1] HTTP/1.1\r\nHost: " + host + b"\r\n"
        b"X-Twice: 1\r\nx-tWICE: 2\r\nContent-Length: 4\r\nX-Latin: \xe9\r\n"
        b"Accept-Encoding: identity\r\n\r\na\0\r\n"
    ]
    assert recorded.request.target == "/v1/a%2Fb/%7E;x?q=%20&q&r=[1]"
    assert recorded.request.body == b"a\0\r\n"
    assert recorded.request.headers == (
        ("Host", "proxy.test"),
        ("X-Twice", "1"),
        ("Accept-Encoding", "gzip, br"),
        ("x-tWICE", "2"),
        ("Connection", "close, X-Hop"),
        ("X-Hop", "1"),
        ("Keep-Alive", "5"),
        ("TE", "trailers"),
        ("Proxy-Authorization", "Basic REDACTED"),
        ("Proxy-Connection", "close"),
        ("Trailer", "X-Sum"),
        ("upgrade", "h2c"),
        ("Content-Length", "4"),
        ("X-Latin", "\xe9"),
    )


def test_no_connection_to_the_upstream_is_used_twice() -> None:
    """One that the upstream closes just then would be a cut that was none."""
    further: Queue[bytes] = Queue()

    def answer(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        further.put(connection.recv(1))

    with raw_upstream(answer) as url, recording(url) as proxy:
        for _ in range(2):
            send(proxy, "GET", "/v1/models")
            assert further.get(timeout=30) == b""


@pytest.mark.parametrize("expect", [b"", b"Expect: 100-continue\r\n"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_is_forwarded_however_it_is_framed(
    expect: bytes, chunked: bool, proxy: Proxy, server: Server
) -> None:
    body = json.dumps(FOX).encode()
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
    framed = b"5\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (body[:5], len(body) - 5, body[5:])
    request = (
        b"POST /v1/images/generations HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nAuthorization: Bearer x\r\n"
        b"%b%b\r\n\r\n%b" % (expect, framing, framed if chunked else body)
    )
    got = raw(proxy, request)
    assert got.startswith(b"HTTP/1.1 100 Continue\r\n\r\n" * bool(expect) + b"HTTP/1.1 200 OK")
    assert proxy.last().request.body == body
    (call,) = server.requests
    assert call.body == body
    assert b"expect" not in call.head
    assert call.head.header(b"transfer-encoding") == ("chunked" if chunked else "")


@pytest.mark.parametrize(
    ("base", "target", "expected"),
    [
        ("", "/v1/images/edits?a", "/v1/images/edits?a"),
        ("", "/images/edits", "/images/edits"),
        ("/", "/v1/models", "/v1/models"),
        ("/v1", "/v1/models", "/v1/models"),
        ("/v1/", "/models", "/v1/models"),
        ("/v1", "/v1", "/v1"),
        ("/v1", "/v1?x", "/v1?x"),
        ("/v1", "*", "*"),
        ("/v1", "/v10/models", "/v1/v10/models"),
        ("/gateway/v1", "/v1/models", "/gateway/v1/models"),
        ("/gateway/v1", "/models", "/gateway/v1/models"),
        ("/gateway", "/v1/models", "/gateway/v1/models"),
        ("/openai", "/openai/deployments/x?api-version=1", "/openai/deployments/x?api-version=1"),
        ("/openai/v1", "/openai/v1/models", "/openai/v1/models"),
        ("/openai/v1", "/openai/deployments/x", "/openai/deployments/x"),
        ("/v1", "/openai/deployments/x", "/openai/deployments/x"),
        ("/gateway/openai", "/openai/deployments/x", "/gateway/openai/deployments/x"),
        ("/openai/v1", "/v1/models", "/openai/v1/models"),
    ],
)
def test_the_path_of_the_upstream_is_not_repeated(base: str, target: str, expected: str) -> None:
    assert UpstreamAddress(f"http://x{base}").target(target.encode()).decode() == expected


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("api.openai.com", "expected the URL of an API, such as https"),
        ("ftp://x", "expected the URL of an API, such as https"),
        ("http://x:port", "expected the URL of an API, such as https"),
        ("https://user:pass@x/v1", "has a host and a path alone"),
        ("https://x/v1?key=1", "has a host and a path alone"),
        ("https://x/v1#a", "has a host and a path alone"),
    ],
)
def test_the_url_of_an_upstream_that_can_be_none_is_refused(url: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as refused:
        UpstreamAddress(url)
    assert not {"pass", "key"} & {*re.split(r"\W", str(refused.value))}


@pytest.mark.parametrize(
    ("target", "sent", "header"),
    [
        (GENERATIONS, {"Authorization": "Bearer client"}, "authorization: Bearer upstream-key"),
        (GENERATIONS, {}, "authorization: Bearer upstream-key"),
        ("/openai/deployments/x/images/generations", {}, "api-key: upstream-key"),
        (GENERATIONS, {"api-key": "client"}, "api-key: upstream-key"),
    ],
)
def test_the_key_of_the_proxy_stands_in_place_of_the_clients_and_in_no_recording(
    target: str, sent: dict[str, str], header: str
) -> None:
    requests: list[bytes] = []

    def answer(connection: socket.socket, request: bytes) -> None:
        requests.append(request)
        body = b"the key is upstream-key"
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with raw_upstream(answer) as url, recording(url, api_key="upstream-key") as proxy:
        got = httpx2.post(proxy.url + target, headers=sent)
        recorded = proxy.last()
    assert got.text == "the key is upstream-key"
    assert f"\r\n{header}\r\n".lower() in requests[0].decode().lower()
    assert b"client" not in requests[0].replace(b"python-httpx", b"")
    assert "upstream-key" not in repr(recorded)
    assert recorded.response
    assert recorded.response.body == b"the key is REDACTEDxxxx"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"host": "evil.example:8080"}, "foreign_host"),
        ({"Host": "evil.example"}, "foreign_host"),
        ({"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}, "foreign_origin"),
        ({"host": "[::1"}, "foreign_host"),
        ({"origin": "http://evil.example"}, "foreign_origin"),
        ({"origin": "http://93.184.216.34"}, "foreign_origin"),
        ({"origin": "null"}, "foreign_origin"),
        ({"sec-fetch-site": "cross-site"}, "foreign_origin"),
    ],
)
def test_a_page_of_another_site_does_not_get_the_key_of_the_upstream(
    server: Server, headers: dict[str, str], code: str
) -> None:
    with recording(server.base_url, api_key="upstream-key") as proxy:
        # As they are written here: browsers write capitals.
        lines = [f"{name}: {value}" for name, value in {"host": "localhost", **headers}.items()]
        if "Host" in headers:
            lines.remove("host: localhost")
        request = "\r\n".join(["GET /v1/models HTTP/1.1", "Connection: close", *lines, "", ""])
        with socket.create_connection(("127.0.0.1", proxy.server.port)) as connection:
            connection.sendall(request.encode())
            with connection.makefile("rb") as file:
                head, _, body = file.read().partition(b"\r\n\r\n")
        call = proxy.kept.get(timeout=30)
    assert (head.split()[1], json.loads(body)["error"]["code"]) == (b"403", code)
    assert (call.status, call.file) == (403, None)
    assert call.problem.startswith("not forwarded: ")
    assert not server.requests


@pytest.mark.parametrize(
    ("headers", "options"),
    [
        ({"origin": "http://localhost:3000", "sec-fetch-site": "cross-site"}, {"api_key": "x"}),
        ({"origin": "http://192.168.1.5:3000", "host": "images"}, {"api_key": "x"}),
        ({"host": "images.test"}, {"api_key": "x"}),
        ({"origin": "http://100.101.102.103:3000"}, {"api_key": "x"}),
        ({"origin": "http://evil.example", "host": "evil.example"}, {}),
    ],
)
def test_pages_of_this_network_and_those_with_a_key_of_their_own_are_forwarded(
    server: Server, headers: dict[str, str], options: dict[str, str]
) -> None:
    with recording(server.base_url, **options) as proxy:
        assert httpx2.get(f"{proxy.url}/v1/models", headers={**KEYED, **headers}).is_success
        proxy.last()
    assert len(server.requests) == 1


def test_an_event_passes_before_the_next_one_is_sent_and_its_time_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events = [b"event: a\ndata: 1\n\n", b": ping\r\n\r\n", b"data: 2\n\n", b"data: [DO"]
    now = [100.0]
    monkeypatch.setattr(upstream, "perf_counter", lambda: now[0])
    seen: Queue[bytes] = Queue()

    def answer(connection: socket.socket, _: bytes) -> None:
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        for number, event in enumerate(events):
            # In two pieces: the time is that of the last.
            now[0] = 101.0 + number
            for piece in (event[:4], event[4:]):
                connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
                assert seen.get(timeout=30) == piece
                now[0] += 0.25
        connection.sendall(b"0\r\n\r\n")

    with raw_upstream(answer) as url, recording(url) as proxy:
        with httpx2.stream("GET", proxy.url, timeout=30) as response:
            for chunk in response.iter_raw():
                seen.put(chunk)
        recorded = proxy.last().response
    assert recorded
    assert recorded.end == "complete"
    assert [part.data for part in recorded.parts] == events
    first = recorded.parts[0].seconds
    # The clock may have gone on when the upstream has the request and the proxy notes that.
    assert first in (0.25, 1.25)
    assert [part.seconds - first for part in recorded.parts] == [0, 1, 2, 3]


def test_chunks_of_the_same_moment_have_the_time_of_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(upstream, "perf_counter", lambda: now[0])
    seen: Queue[bytes] = Queue()

    def answer(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        now[0] = 101.0
        for _number in range(5):
            connection.sendall(b"data: 1\n\n")
            seen.get(timeout=30)
            now[0] += 0.0004

    with raw_upstream(answer) as url, recording(url) as proxy:
        with httpx2.stream("GET", proxy.url, timeout=30) as response:
            for chunk in response.iter_raw():
                seen.put(chunk)
        recorded = proxy.last().response
    assert recorded
    first = recorded.parts[0].seconds
    seconds = [round(part.seconds - first, 4) for part in recorded.parts]
    assert seconds == [0, 0, 0.0008, 0.0008, 0.0016]


def test_times_begin_when_the_request_is_sent_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    begun = threading.Event()

    def perf_counter() -> float:
        begun.set()
        return now[0]

    monkeypatch.setattr(upstream, "perf_counter", perf_counter)

    def body() -> Iterator[bytes]:
        yield b"half"
        assert begun.wait(30)
        now[0] += 1000
        yield b"half"

    with (
        raw_upstream(answering(b"HTTP/1.0 200 OK\r\n\r\nx")) as url,
        recording(url) as proxy,
    ):
        headers = {"content-length": "8"}
        send(proxy, "POST", "/v1/files", content=body(), headers=headers)
        recorded = proxy.last()
    assert recorded.request.body == b"halfhalf"
    assert recorded.response
    assert [part.seconds for part in recorded.response.parts] == [0]


def test_events_that_come_together_have_a_part_each() -> None:
    body = b"data: 1\n\nid: 2\r\ndata: 2\r\n\r\ndata: 3\r\rdata: 4\n\r\n\n"
    head = b"HTTP/1.0 200 OK\r\ncontent-type: Text/Event-Stream; charset=utf-8\r\n\r\n"
    with raw_upstream(answering(head + body)) as url, recording(url) as proxy:
        assert send(proxy, "GET", "/v1/x").content == body
        recorded = proxy.last().response
    assert recorded
    assert [part.data for part in recorded.parts] == [
        *(b"data: 1\n\n", b"id: 2\r\ndata: 2\r\n\r\n"),
        *(b"data: 3\r\r", b"data: 4\n\r\n", b"\n"),
    ]


def test_a_stream_with_partial_images_goes_through_the_sdk(proxy: Proxy, sdk: OpenAI) -> None:
    stream = sdk.images.generate(**FOX, stream=True, partial_images=2)  # type: ignore[call-overload]
    kinds = [event.type for event in stream]
    assert kinds == [
        *["image_generation.partial_image"] * 2,
        "image_generation.completed",
    ]
    recorded = proxy.last().response
    assert recorded
    assert [part.data.partition(b"\n")[0].decode() for part in recorded.parts] == [
        f"event: {kind}" for kind in kinds
    ]
    assert [part.seconds for part in recorded.parts] == sorted(
        part.seconds for part in recorded.parts
    )


@pytest.mark.slow
async def test_streams_of_the_asynchronous_sdk_go_through_at_the_same_time(proxy: Proxy) -> None:
    async with AsyncOpenAI(base_url=proxy.base_url, api_key=KEY, max_retries=0) as client:

        async def generate(number: int) -> str:
            stream = await client.images.generate(
                model="gpt-image-2", prompt=f"fox {number}", stream=True, partial_images=1
            )
            return [event async for event in stream][-1].type

        kinds = await asyncio.gather(*map(generate, range(8)))
    assert {*kinds} == {"image_generation.completed"}
    calls = [proxy.kept.get(timeout=30) for _ in kinds]
    prompts = {json.loads(call.recording.request.body)["prompt"] for call in calls}
    assert prompts == {f"fox {number}" for number in range(8)}


def test_an_error_in_a_stream_is_recorded(proxy: Proxy, sdk: OpenAI, server: Server) -> None:
    server.inject("stream_error")
    with pytest.raises(APIError):
        [*sdk.images.generate(**FOX, stream=True, partial_images=1)]  # type: ignore[call-overload]
    recorded = proxy.last().response
    assert recorded
    assert recorded.end == "complete"
    assert b'"error"' in recorded.parts[-1].data


@pytest.mark.parametrize(
    ("fault", "settings", "end"),
    [
        ("truncated", {}, "cut"),
        ("truncated", {"after_bytes": 300}, "cut"),
        ("connection_reset", {"after_bytes": 300}, "reset"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_ends_early_is_passed_on_and_recorded_as_that(  # noqa: PLR0917
    fault: str,
    settings: dict[str, Any],
    end: str,
    stream: bool,
    proxy: Proxy,
    server: Server,
) -> None:
    server.inject(fault, **settings)
    error = httpx2.ReadError if end == "reset" else httpx2.RemoteProtocolError
    got = bytearray()
    url = proxy.url + GENERATIONS
    with httpx2.stream("POST", url, json=FOX | {"stream": stream}, headers=KEYED) as response:
        chunks = response.iter_raw()
        with pytest.raises(error):
            got += b"".join(chunks)
    recorded = proxy.last()
    assert recorded.response
    assert (recorded.response.status, recorded.response.end) == (200, end)
    assert recorded.response.body.startswith(got)
    if settings:
        assert len(recorded.response.body) == 300
    assert recorded.error


def _reset(connection: socket.socket, _: bytes) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (_reset, httpx2.ReadError),
        (answering(b""), httpx2.RemoteProtocolError),
        (answering(b"HTTP/1.1 200 O"), httpx2.RemoteProtocolError),
    ],
    ids=["reset", "closed", "closed within the head"],
)
def test_a_connection_that_ends_before_an_answer_is_passed_on_and_recorded(
    answer: Any, error: type[Exception]
) -> None:
    with raw_upstream(answer) as url, recording(url) as proxy:
        with pytest.raises(error):
            send(proxy, "POST", GENERATIONS, json=FOX)
        recorded = proxy.last()
    assert recorded.response is None
    assert recorded.error
    assert json.loads(recorded.request.body) == FOX


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"nonsense\r\n\r\n", "cannot be understood"),
        (
            b"HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n",
            "cannot be understood: its status is 999",
        ),
    ],
)
def test_an_answer_that_is_no_http_is_a_502_of_the_proxys_own(answer: bytes, problem: str) -> None:
    with raw_upstream(answering(answer)) as url, recording(url) as proxy:
        error = error_of(send(proxy, "POST", GENERATIONS, json=FOX), 502)
        recorded = proxy.last()
    assert error["message"].startswith(f"The upstream {url} {problem}")
    assert recorded.response is None
    assert recorded.error == error["message"]


def test_an_upstream_that_is_away_is_a_502_and_its_call_is_not_kept() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with recording(url) as proxy:
        body = b"x" * 300_000
        error = error_of(send(proxy, "POST", GENERATIONS, content=body), 502)
        call = proxy.kept.get(timeout=30)
    assert not proxy.recordings
    assert error == {
        "message": f"The upstream {url} cannot be reached: Connection refused.",
        "type": "emulator_error",
        "param": None,
        "code": "upstream_failed",
    }
    assert (call.status, call.file, call.problem) == (502, None, "")
    assert call.recording.error == error["message"]
    assert call.recording.request.body == body


@pytest.mark.slow
@pytest.mark.parametrize("begun", [False, True])
def test_an_upstream_that_goes_quiet_is_given_up_after_the_timeout(begun: bool) -> None:
    done = threading.Event()

    def answer(connection: socket.socket, _: bytes) -> None:
        if begun:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        done.wait(30)

    # Also for the connection, on a busy machine either.
    with raw_upstream(answer) as url, recording(url, timeout=1) as proxy:
        if begun:
            with pytest.raises(httpx2.RemoteProtocolError):
                send(proxy, "GET", "/v1/models")
        else:
            error = error_of(send(proxy, "GET", "/v1/models"), 502)
            assert error["message"] == (
                f"The upstream {url} does not answer: nothing came for 1 seconds."
            )
        recorded = proxy.last()
        done.set()
    if begun:
        assert recorded.response
        assert (recorded.response.body, recorded.response.end) == (b"abc", "cut")
        assert recorded.error == "ReadTimeout"
    else:
        assert recorded.response is None


@pytest.mark.slow
def test_an_upstream_that_takes_no_more_of_a_call_is_told_of_and_recorded() -> None:
    done = threading.Event()

    def hold() -> None:
        with listener.accept()[0]:
            done.wait(60)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        holding = threading.Thread(target=hold)
        holding.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with recording(url, timeout=1) as proxy:
            answer = send(proxy, "POST", "/v1/files", content=bytes(20_000_000))
            done.set()
            recorded = proxy.last()
        holding.join()
    message = f"The upstream {url} does not take this call: it took nothing of it for 1 seconds."
    assert error_of(answer, 502)["message"] == message
    assert (len(recorded.request.body), recorded.response) == (20_000_000, None)


@pytest.mark.parametrize("path", ["/v1/files", GENERATIONS])
def test_a_call_goes_on_where_its_recording_has_no_room(
    monkeypatch: pytest.MonkeyPatch, server: Server, path: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("images_emulator.recordings.spool.TemporaryFile", full)
    monkeypatch.setattr("images_emulator.recordings.spool.MAX_MEMORY_BYTES", 10)
    with recording(server.url) as proxy:
        answer = send(proxy, "POST", path, json=FOX)
        call = proxy.kept.get(timeout=30)
    assert answer.status_code == (200 if path == GENERATIONS else 400)
    assert call.file is None
    assert call.problem == "not recorded: [Errno 28] No space left on device"


def test_a_rate_limit_comes_with_its_headers(proxy: Proxy, sdk: OpenAI, server: Server) -> None:
    server.inject("rate_limit_exceeded")
    with pytest.raises(RateLimitError) as raised:
        sdk.images.generate(**FOX)  # type: ignore[call-overload]
    recorded = proxy.last().response
    assert recorded
    headers = dict(recorded.headers)
    assert recorded.status == 429
    assert headers["retry-after"] == raised.value.response.headers["retry-after"]
    assert "x-ratelimit-limit-images" in headers or "retry-after-ms" in headers
    assert json.loads(recorded.body)["error"]["code"] == raised.value.code


def test_azures_form_goes_through_its_sdk(server: Server) -> None:
    with (
        recording(server.url) as proxy,
        AzureOpenAI(
            azure_endpoint=proxy.url,
            api_key=KEY,
            api_version="2025-04-01-preview",
            azure_deployment="gpt-image-1",
            max_retries=0,
        ) as client,
    ):
        answer = client.images.generate(model="gpt-image-1", prompt="a fox")
        recorded = proxy.last()
    assert answer.data
    assert recorded.request.target == (
        "/openai/deployments/gpt-image-1/images/generations?api-version=2025-04-01-preview"
    )
    assert ("api-key", "REDACTED") in recorded.request.headers
    assert recorded.response
    assert "apim-request-id" in dict(recorded.response.headers)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_gzip_that_comes_unasked_is_passed_on_and_recorded_as_it_is(method: str) -> None:
    body = gzip.compress(b'{"data": []}')
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    data = head + (body if method == "GET" else b"")
    with raw_upstream(answering(data)) as url, recording(url) as proxy:
        got = send(proxy, method, "/v1/models")
        recorded = proxy.last().response
    assert got.headers["content-length"] == str(len(body))
    assert got.content == (b'{"data": []}' if method == "GET" else b"")
    assert recorded
    assert recorded.body == (body if method == "GET" else b"")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\n"
        b"Content-Length: 0\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\nETag: x\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n",
    ],
)
def test_an_answer_without_a_body_is_passed_on(
    answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with raw_upstream(answering(answer)) as url, recording(url) as proxy:
        got = send(proxy, "GET", "/v1/models", follow_redirects=False)
        recorded = proxy.last().response
    assert f"HTTP/1.1 {got.status_code}".encode() in answer
    assert got.content == b""
    assert recorded
    assert (recorded.status, recorded.parts) == (got.status_code, ())
    assert "date" not in got.headers
    assert not caplog.records


def test_hosted_pictures_are_downloaded_while_they_live(
    proxy: Proxy, sdk: OpenAI, server: Server
) -> None:
    answer = sdk.images.generate(model="dall-e-2", prompt="a fox", n=2, size="256x256")
    urls = [picture.url for picture in answer.data or ()]
    recorded = proxy.last()
    files = {httpx2.get(url).content for url in urls if url}
    assert {each.data for each in recorded.downloads} == files
    assert [each.status for each in recorded.downloads] == [200, 200]
    assert dict(recorded.downloads[0].headers)["content-type"] == "image/png"
    assert recorded.response
    named = [each["url"] for each in json.loads(recorded.response.body)["data"]]
    assert [each.url for each in recorded.downloads] == named
    assert "sig=REDACTED" in named[0]
    assert not recorded.note


def test_calls_are_kept_in_the_order_of_their_answers_however_long_a_download_takes() -> None:
    release = threading.Event()

    def answer(connection: socket.socket, request: bytes) -> None:
        if request.startswith(b"GET /picture"):
            release.wait(30)
        elif request.startswith(b"POST"):
            _naming(f"{url}/picture")(connection, request)
        else:
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with raw_upstream(answer) as url, recording(url) as proxy:
        send(proxy, "POST", GENERATIONS, json=FOX)
        send(proxy, "GET", "/v1/models")
        release.set()
        methods = [proxy.kept.get(timeout=30).recording.request.method for _ in range(2)]
    assert methods == ["POST", "GET"]


def test_a_picture_that_is_gone_is_recorded_as_that(
    proxy: Proxy, sdk: OpenAI, server: Server
) -> None:
    server.inject("expired")
    sdk.images.generate(model="dall-e-2", prompt="a fox", size="256x256")
    recorded = proxy.last()
    assert [each.status for each in recorded.downloads] == [403]


def _naming(*urls: str) -> Callable[[socket.socket, bytes], None]:
    body = json.dumps({"created": 1, "data": [{"url": url} for url in urls]}).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return answering(head % len(body) + body)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:{port}/x", "is neither by TLS nor at the upstream"),
        ("http://localhost:{port}/x", "is neither by TLS nor at the upstream"),
        ("file:///etc/passwd", "is neither by TLS nor at the upstream"),
        ("https://user@x.test/", "is neither by TLS nor at the upstream"),
        ("https://127.0.0.1:{port}/x", "leads into a private network"),
        ("https://localhost:{port}/x", "leads into a private network"),
        ("https://[::ffff:127.0.0.1]:{port}/x", "leads into a private network"),
        ("https://169.254.169.254/latest/meta-data", "leads into a private network"),
        ("https://x.invalid/", "has an unknown host"),
        (f"https://{64 * 'x'}.com/", "has a host that no name may have"),
        ("https://[x/", "is malformed"),
        ("https://x:99999/", "is malformed"),
        ("https://x/\u00e9", "is malformed"),
        (f"https://{64 * 'é'}.com/", "is malformed"),
    ],
)
def test_an_answer_leads_the_proxy_to_no_private_machine(url: str, reason: str) -> None:
    visits: list[bytes] = []
    with raw_upstream(lambda _, request: visits.append(request)) as private:
        named = url.format(port=private.rpartition(":")[2])
        with raw_upstream(_naming(named)) as server, recording(server) as proxy:
            send(proxy, "POST", GENERATIONS, json=FOX)
            recorded = proxy.last()
    assert (recorded.downloads, visits) == ((), [])
    assert recorded.note.startswith(f"{named} {reason}")


@pytest.mark.parametrize(
    ("host", "name"), [("blob.test", "blob.test"), ("exämple.test:444", "xn--exmple-cua.test:444")]
)
async def test_a_public_host_is_connected_to_at_the_address_that_was_looked_up(
    monkeypatch: pytest.MonkeyPatch, host: str, name: str
) -> None:
    requests: list[httpx2.Request] = []

    async def answer(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        return httpx2.Response(
            302, headers={"location": "http://x/"}, stream=httpx2.ByteStream(b"x")
        )

    def addresses(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET6, 0, 0, "", ("2606:4700::1%en0", 443, 0, 0))]

    monkeypatch.setattr(socket, "getaddrinfo", addresses)
    monkeypatch.setattr(upstream_pictures, "getproxies", dict)
    client = UpstreamClient("http://api.test")
    await client.close()
    client.client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    picture = await upstream_pictures.fetch_picture(f"https://{host}/a%2Fb?sig=a%2B/b", client)
    await client.close()
    (request,) = requests
    assert (request.url.host, request.url.port) == ("2606:4700::1", 444 if ":" in host else None)
    assert request.extensions["target"] == b"/a%2Fb?sig=a%2B/b"
    assert request.extensions["sni_hostname"] == name.partition(":")[0]
    assert request.headers["host"] == name
    assert (picture.status, picture.data) == (302, b"x")


async def test_a_host_with_a_private_address_among_others_is_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def addresses(*_: Any, **__: Any) -> list[Any]:
        found = (("8.8.8.8", 443), ("10.0.0.1", 443))
        return [(socket.AF_INET, 0, 0, "", address) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", addresses)
    monkeypatch.setattr(upstream_pictures, "getproxies", dict)
    client = UpstreamClient("http://api.test")
    with pytest.raises(upstream_pictures.PictureFetchError, match="private network"):
        await upstream_pictures.fetch_picture("https://blob.test/x", client)
    await client.close()


def test_a_download_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream_pictures, "IMAGE_BYTES_LIMIT", 100_000)

    def answer(connection: socket.socket, request: bytes) -> None:
        if request.startswith(b"POST"):
            _naming(f"{url}/picture.png")(connection, request)
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_001)

    with raw_upstream(answer) as url, recording(url) as proxy:
        send(proxy, "POST", GENERATIONS, json=FOX)
        recorded = proxy.last()
    assert not recorded.downloads
    assert recorded.note == f"{url}/picture.png has more than 100000 bytes."


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b'{"data": [1, {"url": null}, {"url": 7}], "url": "http://x"}',
        b'{"data": {"url": "x"}}',
        b'{"data": [{"url": "http://x"}',
        b"[" * 100_000 + b'"url"',
    ],
)
def test_an_answer_of_another_form_names_no_pictures(body: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n"
    with raw_upstream(answering(head + body)) as url, recording(url) as proxy:
        assert send(proxy, "GET", "/v1/models").content == body
        recorded = proxy.last()
    assert (recorded.downloads, recorded.note) == ((), "")


@pytest.mark.parametrize(
    ("module", "function", "note"),
    [
        (record_proxy, "picture_urls", "The pictures were not looked for: the disk is gone."),
        (
            upstream_pictures,
            "_resolve_public_address",
            "https://x.test/1 was not downloaded: the disk is gone.",
        ),
    ],
)
def test_a_call_is_kept_where_its_pictures_meet_an_error_that_nobody_expects(
    monkeypatch: pytest.MonkeyPatch, module: Any, function: str, note: str
) -> None:
    def failing(*_: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(module, function, failing)
    with raw_upstream(_naming("https://x.test/1")) as url, recording(url) as proxy:
        send(proxy, "POST", GENERATIONS, json=FOX)
        recorded = proxy.last()
    assert (recorded.downloads, recorded.note) == ((), note)


def test_an_answer_whose_client_has_left_is_recorded_whole() -> None:
    left = threading.Event()

    def answer(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
        left.wait(30)
        connection.sendall(b"half")

    with raw_upstream(answer) as url, recording(url) as proxy:
        with httpx2.stream("GET", proxy.url) as response:
            assert next(response.iter_raw()) == b"half"
        left.set()
        recorded = proxy.last().response
    assert recorded
    assert (recorded.body, recorded.end) == (b"halfhalf", "complete")


def test_a_client_that_leaves_within_its_request_is_not_recorded(proxy: Proxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy.server.port)) as connection:
        connection.sendall(b"POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
    send(proxy, "GET", "/v1/models")
    assert proxy.last().request.target == "/v1/models"


def test_an_answer_to_a_request_that_was_not_whole_is_told_and_not_recorded(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream.ForwardedCall, "is_recordable", False)
    send(proxy, "GET", "/v1/models?api-key=x")
    call = proxy.kept.get(timeout=30)
    assert (call.status, call.file) == (200, None)
    assert call.problem == "not recorded: the answer came before the request was whole"
    assert call.recording.request.target == "/v1/models"


@pytest.mark.slow
def test_the_stop_of_the_proxy_keeps_what_came_of_an_open_answer() -> None:
    release = threading.Event()

    def answer(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
        release.wait(30)

    with raw_upstream(answer) as url, recording(url) as proxy:
        with httpx2.stream("GET", proxy.url) as response:
            assert next(response.iter_raw()) == b"half"
            proxy.server.close()
        recorded = proxy.last().response
        release.set()
    assert recorded
    assert (recorded.body, recorded.end) == (b"half", "cut")


def test_the_stop_of_the_proxy_waits_for_downloads_and_then_gives_them_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(record_proxy, "DOWNLOADS_GRACE_SECONDS", 0.05)
    asked, release = threading.Event(), threading.Event()

    def answer(connection: socket.socket, request: bytes) -> None:
        if request.startswith(b"POST"):
            _naming(f"{url}/a.png", f"{url}/b.png")(connection, request)
            return
        asked.set()
        release.wait(30)

    with raw_upstream(answer) as url, recording(url) as proxy:
        send(proxy, "POST", GENERATIONS, json=FOX)
        asked.wait(30)
        proxy.server.close()
        recorded = proxy.last()
        release.set()
    assert recorded.response
    assert not recorded.downloads
    stopped = "was not downloaded: the server was stopped."
    assert recorded.note == f"{url}/a.png {stopped} {url}/b.png {stopped}"


def test_the_stop_of_the_proxy_lets_a_download_finish() -> None:
    asked, release = threading.Event(), threading.Event()

    def answer(connection: socket.socket, request: bytes) -> None:
        if request.startswith(b"POST"):
            _naming(f"{url}/a.png", f"{url}/b.png")(connection, request)
            return
        asked.set()
        release.wait(30)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx")

    def is_closed() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", proxy.server.port)) != 0

    with raw_upstream(answer) as url, recording(url) as proxy:
        send(proxy, "POST", GENERATIONS, json=FOX)
        asked.wait(30)
        closing = threading.Thread(target=proxy.server.close)
        closing.start()
        until(is_closed)
        release.set()
        closing.join()
        recorded = proxy.last()
    assert [each.data for each in recorded.downloads] == [b"x", b"x"]
    assert not recorded.note


def test_a_recording_that_cannot_be_kept_is_told_of_without_credentials(server: Server) -> None:
    def keep(_: Recording) -> Path:
        raise OSError(28, "No space left on device")

    results: Queue[RecordingResult] = Queue()
    with RecordServer(server.base_url, keep, on_result=results.put) as proxy:
        url = f"{proxy.base_url}/models?api_key={KEY}"
        assert httpx2.get(url, headers=KEYED).status_code == 200
        call = results.get(timeout=30)
    assert (call.file, call.status) == (None, 200)
    assert call.problem == "not recorded: [Errno 28] No space left on device"
    assert call.recording.request.target == "/v1/models"
    assert KEY not in repr(call)


def test_a_body_that_cannot_be_searched_is_not_kept() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\n"
    with raw_upstream(answering(head + b"\x0b\x02")) as url, recording(url) as proxy:
        with httpx2.stream("GET", proxy.url, headers=KEYED) as response:
            assert b"".join(response.iter_raw()) == b"\x0b\x02"
        call = proxy.kept.get(timeout=30)
    assert (call.file, proxy.recordings) == (None, [])
    assert "encoded as br" in call.problem
    assert KEY not in repr(call)


def test_a_missing_extra_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx2", None)
    with pytest.raises(ValueError, match=r"^calls of an upstream .* pip install .*\[record\]'$"):
        UpstreamClient("http://x")


async def test_answer_whose_head_cannot_be_passed_on_leaves_no_connection_open(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = UpstreamClient(server.base_url)
    closed = []
    close = client.library.Response.aclose

    async def note(response: httpx2.Response) -> None:
        closed.append(response.status_code)
        await close(response)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        raise OSError("the store is away")

    monkeypatch.setattr(client.library.Response, "aclose", note)
    scope = {
        "method": "GET",
        "raw_path": b"/v1/models",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {KEY}".encode())],
        "state": {},
    }
    call = client.call(scope)
    with pytest.raises(OSError, match="the store is away"):
        await call.forward(receive, send)
    assert closed == [200]
    call.close()
    await client.close()


@pytest.mark.parametrize("coding", ["gzip", "identity", ""])
def test_urls_of_pictures_are_found_in_an_answer_that_is_encoded_unasked(coding: str) -> None:
    body = b'{"data": [{"url": "https://x.example/a.png"}]}'
    data = gzip.compress(body) if coding == "gzip" else body
    headers = (("content-encoding", coding),) if coding else ()
    response = RecordedResponse(200, headers, (RecordedPart(0, data),))
    recording = Recording(RecordedRequest("POST", "/", (), b""), response)
    assert [*picture_urls(recording)] == ["https://x.example/a.png"]

"""Replay with `on_miss=record`: what no recording answers is forwarded, and recorded."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import httpx2
import openai
import pytest

from images_emulator import Emulator, Server, Settings, create_app
from images_emulator.recordings.folder import RecordingFolder, read_recording
from tests.conftest import KEY
from tests.raw_upstream import answering, raw_upstream
from tests.replays import FOX, GENERATIONS, openai_client, recording_of
from tests.waiting import until
from tests.wire import answer_of, answer_to, exchange

KEYED = {"Authorization": f"Bearer {KEY}"}


def test_miss_is_forwarded_recorded_and_played_from_then_on(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    settings = Settings(
        replay=str(folder),
        on_miss="record",
        upstream=server.base_url,
        upstream_api_key="sk-mine",
        delay=False,
    )
    with Server(settings) as player:
        first = exchange(player.url, "POST", GENERATIONS, FOX)
        until(lambda: any(folder.glob("*.json")))
        until(lambda: len(player.emulator.replay.recordings) == 1)  # type: ignore[union-attr]
        again = exchange(player.url, "POST", GENERATIONS, dict(reversed(FOX.items())))
        # The names of the account are redacted in its headers.
        assert answer_of(again).parts[0].data == answer_of(first).body
        assert [call.recording for call in player.requests] == [None, "0001-generations-a-red-fox"]
        (forwarded,) = server.requests
        assert forwarded.came_with("sk-mine")
        miss, hit = player.requests
        assert miss.recording_miss == (
            f"no recording is of POST {GENERATIONS}; it is forwarded to 127.0.0.1:{server.port}"
        )
        assert hit.usage == forwarded.usage
        # The stop waits for the recording of a call that is answered already.
        exchange(player.url, "GET", "/v1/models")
    text = "".join(path.read_text() for path in folder.glob("*.json"))
    assert "sk-mine" not in text
    assert len([*folder.glob("*.json")]) == 2
    with Server(replay=folder, delay=False, on_miss="refuse") as player:
        assert answer_to(player.url, "POST", GENERATIONS, FOX).body == answer_of(first).body


@pytest.mark.slow
def test_call_that_is_sent_again_at_once_is_forwarded_once(server: Server, tmp_path: Path) -> None:
    prompts = [f"A fox {number}" for number in range(10)]
    with recording_misses(tmp_path, server.base_url) as player, httpx2.Client() as http:
        for prompt in prompts:
            for _ in range(3):
                answered = http.post(
                    player.url + GENERATIONS, json={**FOX, "prompt": prompt}, headers=KEYED
                )
                assert answered.status_code == 200
    assert len(server.requests) == len(prompts)


@pytest.mark.parametrize(
    "fields", [{}, {"n": 2}, {"stream": True}, {"stream": True, "partial_images": 2}]
)
def test_forwarded_call_is_in_the_journal_as_the_played_one(
    server: Server, tmp_path: Path, fields: dict[str, Any]
) -> None:
    body = json.dumps({**FOX, **fields}).encode()
    with recording_misses(tmp_path, server.base_url) as player:
        for _ in range(2):
            exchange(player.url, "POST", GENERATIONS, body, "application/json")
            until(lambda: len(player.emulator.replay.recordings) == 1)  # type: ignore[union-attr]
        miss, hit = player.requests
        assert (miss.recording, hit.recording) == (None, "0001-generations-a-red-fox")
        assert miss.pictures == hit.pictures
        assert len(miss.pictures) == fields.get("n", 1)
        for name in ("outcome", "usage", "price_usd", "event_count", "answer_body", "request"):
            assert getattr(miss, name) == getattr(hit, name), name


@pytest.mark.parametrize(
    "item",
    [
        {"b64_json": None, "url": "https://x.example/a.png"},
        {"b64_json": "not base64", "url": "https://x.example/a.png"},
        {"b64_json": 5},
        5,
    ],
)
def test_odd_answer_of_an_upstream_is_passed_on_and_played(item: Any, tmp_path: Path) -> None:
    body = json.dumps({"created": 1, "data": [item]}).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    with (
        raw_upstream(answering(head % len(body) + body)) as upstream,
        recording_misses(tmp_path, upstream) as player,
        httpx2.Client(base_url=player.url, headers=KEYED) as http,
    ):
        for _ in range(2):
            assert http.post(GENERATIONS, json=FOX).content == body
            until(lambda: any(tmp_path.glob("*.json")))
            until(lambda: len(player.emulator.replay.recordings) == 1)  # type: ignore[union-attr]
        miss, hit = player.requests
        assert (miss.outcome, hit.outcome, hit.recording is None) == ("answered", "answered", False)


def chunked(*parts: bytes) -> bytes:
    """A stream of events in these *parts*, each a chunk."""
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    return head + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (*parts, b""))


@pytest.mark.parametrize(
    ("fault", "events"),
    [
        ("latency;seconds=0", [b"event: a\ndata: {}\n\n", b"event: b\ndata: 1\n\n", b"x"]),
        ("stream_cut;after=1", [b"event: a\ndata: {}\n\n"]),
    ],
)
def test_faults_of_a_forwarded_stream_find_whole_events(
    fault: str, events: list[bytes], tmp_path: Path
) -> None:
    answer = chunked(b"event: a\nda", b"ta: {}\n", b"\nevent: b\ndata: 1\n\nx")
    with (
        raw_upstream(answering(answer)) as upstream,
        recording_misses(tmp_path, upstream) as player,
        httpx2.Client(base_url=player.url, headers=KEYED) as http,
    ):
        received = b""
        body = {**FOX, "stream": True}
        with http.stream(
            "POST", GENERATIONS, json=body, headers={"x-emulator-fault": fault}
        ) as got:
            try:
                for part in got.iter_bytes():
                    received += part
            except httpx2.TransportError:
                assert "cut" in fault
        assert received == b"".join(events)


@pytest.mark.parametrize("fault", ["", "latency;seconds=0"])
def test_stream_that_the_upstream_breaks_off_keeps_what_has_come_of_an_event(
    fault: str, tmp_path: Path
) -> None:
    answer = chunked(b"event: a\ndata: {}\n\n", b"event: b\nda").removesuffix(b"0\r\n\r\n")
    headers = {"x-emulator-fault": fault} if fault else {}
    received: list[bytes] = []
    with (
        raw_upstream(answering(answer)) as upstream,
        recording_misses(tmp_path, upstream) as player,
        httpx2.Client(base_url=player.url, headers=KEYED) as http,
        http.stream("POST", GENERATIONS, json={**FOX, "stream": True}, headers=headers) as got,
        pytest.raises(httpx2.RemoteProtocolError),
    ):
        received.extend(got.iter_bytes())
    assert b"".join(received) == b"event: a\ndata: {}\n\nevent: b\nda"


def test_journal_has_no_drawing_in_place_of_a_picture_that_it_lacks(tmp_path: Path) -> None:
    body = json.dumps({"created": 1, "data": [{"url": "http://x.example/a.png"}]}).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
    with (
        raw_upstream(answering(head + body)) as upstream,
        recording_misses(tmp_path, upstream) as player,
        httpx2.Client(base_url=player.url, headers=KEYED) as http,
    ):
        assert http.post(GENERATIONS, json=FOX).content == body
        (call,) = player.requests
        assert (call.request, [*call.image_indexes]) == (None, [0])
        assert http.get(f"/_emulator/images/{call.id}/0").status_code == 404


def recording_misses(folder: Path, upstream: str, **settings: Any) -> Server:
    """A server that forwards calls without a recording to *upstream*, and adds its answers to
    *folder*."""
    settings = {"upstream_api_key": "sk-mine", "delay": False, **settings}
    return Server(replay=folder, on_miss="record", upstream=upstream, **settings)


class SlowUpstream:
    """An API whose answers have a picture by URL. It sends no picture, and no second half of an
    event stream, before `release`."""

    def __init__(self) -> None:
        self.prompts: list[str] = []
        """The prompts of the calls, in their order."""
        self.release = Event()
        self.url = ""

    def answer(self, connection: socket.socket, request: bytes) -> None:
        kind, status, body = "application/json", 200, b'{"data": [{"url": "%s/a.png"}]}'
        if request.startswith(b"GET"):
            self.release.wait(30)
        else:
            prompt = json.loads(request.partition(b"\r\n\r\n")[2])["prompt"]
            self.prompts.append(prompt)
            status = 429 if prompt == "busy" else 200
            kind = "text/event-stream" if prompt == "stream" else kind
        body = body.replace(b"%s", self.url.encode())
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body[:9])
        if kind == "text/event-stream":
            self.release.wait(30)
        connection.sendall(body[9:])


@pytest.fixture
def slow() -> Iterator[SlowUpstream]:
    upstream = SlowUpstream()
    with raw_upstream(upstream.answer) as upstream.url:
        yield upstream
        upstream.release.set()


@pytest.fixture
def in_thread() -> Iterator[Callable[..., Future[int]]]:
    """Sends a call with a prompt to a URL beside the test, for its status."""

    def send(url: str, prompt: str) -> int:
        body = {**FOX, "prompt": prompt}
        return httpx2.post(url + GENERATIONS, json=body, headers=KEYED, timeout=30).status_code

    with ThreadPoolExecutor(8) as pool:
        yield lambda url, prompt: pool.submit(send, url, prompt)


@pytest.mark.parametrize("namespace", ["", "/ns/other"])
def test_only_the_same_call_waits_for_a_recording_that_is_still_to_be_kept(
    namespace: str, slow: SlowUpstream, tmp_path: Path, in_thread: Callable[..., Future[int]]
) -> None:
    with recording_misses(tmp_path, slow.url) as player:
        assert in_thread(player.url, "x").result(30) == 200
        again = in_thread(player.url + namespace, "x")
        # Another prompt, and answers that are not kept.
        for prompt, status in (("y", 200), ("busy", 429), ("busy", 429)):
            assert in_thread(player.url, prompt).result(30) == status
        assert not again.done()
        slow.release.set()
        assert again.result(30) == 200
    assert slow.prompts == ["x", "y", "busy", "busy"]


def test_call_of_a_client_that_has_left_is_not_paid_again(
    slow: SlowUpstream, tmp_path: Path, in_thread: Callable[..., Future[int]]
) -> None:
    with recording_misses(tmp_path, slow.url) as player:
        url, body = player.url + GENERATIONS, {**FOX, "prompt": "stream"}
        with httpx2.stream("POST", url, json=body, headers=KEYED) as response:
            # An iterator that is dropped closes the connection.
            chunks = response.iter_raw()
            next(chunks)
            # Beside a call whose client is there, the same call is one of its own.
            beside = in_thread(player.url, "stream")
            until(lambda: len(slow.prompts) == 2)
        again = in_thread(player.url, "stream")
        assert in_thread(player.url, "busy").result(30) == 429
        slow.release.set()
        assert (beside.result(30), again.result(30)) == (200, 200)
    assert slow.prompts == ["stream", "stream", "busy"]


@pytest.mark.slow
def test_call_whose_client_leaves_while_it_waits_for_a_recording_is_not_forwarded(
    slow: SlowUpstream,
    tmp_path: Path,
    in_thread: Callable[..., Future[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RecordingFolder, "add", fail)
    with recording_misses(tmp_path, slow.url) as player:
        assert in_thread(player.url, "x").result(30) == 200
        with pytest.raises(httpx2.ReadTimeout):
            httpx2.post(
                player.url + GENERATIONS, json={**FOX, "prompt": "x"}, headers=KEYED, timeout=0.5
            )
        # The first client may have left, too, before the end of an answer whose length it knows.
        until(lambda: [call.outcome for call in player.requests][1:] == ["gone"])
        assert slow.prompts == ["x"]
        # What cannot be kept is forwarded again.
        again = in_thread(player.url, "x")
        slow.release.set()
        assert again.result(30) == 200
    assert slow.prompts == ["x", "x"]


def test_what_one_server_has_recorded_is_played_by_another_with_the_same_folder(
    server: Server, tmp_path: Path
) -> None:
    body = {**FOX, "prompt": "A fox of another day"}
    other_day = replace(recording_of(body), as_of="2025-05-01")
    with (
        recording_misses(tmp_path, server.base_url) as one,
        recording_misses(tmp_path, server.base_url) as other,
    ):
        first = answer_to(one.url, "POST", GENERATIONS, FOX)
        until(lambda: any(tmp_path.glob("*.json")))
        RecordingFolder(tmp_path).add(replace(other_day, settings={"as_of": "2025-05-01"}))
        for _ in range(2):
            again = answer_to(other.url, "POST", GENERATIONS, FOX)
            assert again.parts[0].data == first.body
        # Its conditions are not those of the server.
        answer_to(other.url, "POST", GENERATIONS, body)
        names = [call.recording for call in other.requests]
    assert names == ["0001-generations-a-red-fox"] * 2 + [None]
    assert len(server.requests) == 2


def test_no_call_is_forwarded_while_a_new_file_cannot_be_read(
    server: Server, tmp_path: Path
) -> None:
    with recording_misses(tmp_path, server.base_url) as player:
        file = tmp_path / "0001-fox.json"
        file.write_text("{")
        refused = answer_to(player.url, "POST", GENERATIONS, FOX)
        assert (refused.status, server.requests) == (404, [])
        assert f"the recordings cannot be read: {file}:1: is no JSON".encode() in refused.body
        file.unlink()
        assert answer_to(player.url, "POST", GENERATIONS, FOX).status == 200
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "fault",
    ["rate_limit_exceeded", "server_error", "invalid_api_key", "connection_reset", "truncated"],
)
def test_answer_that_another_try_may_mend_is_not_recorded_for_a_miss(
    fault: str, server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.inject(fault)
    settings: dict[str, Any] = {"replay": tmp_path, "on_miss": "record", "delay": False}
    caplog.set_level("INFO", "images_emulator.recordings")
    with (
        Server(**settings, upstream=server.base_url) as player,
        openai_client(player, max_retries=0) as client,
    ):
        with pytest.raises(openai.APIError):
            client.images.generate(model="gpt-image-2", prompt="A red fox")
        client.images.generate(model="gpt-image-2", prompt="A red fox")
    (file,) = tmp_path.glob("*.json")
    assert read_recording(file).response.status == 200  # type: ignore[union-attr]
    dropped, kept = (record.message for record in caplog.records)
    assert dropped.endswith("is not recorded")
    assert kept == f"POST {GENERATIONS} → {file}"


@pytest.mark.parametrize(("keys", "status"), [((), 403), ((KEY,), 200)])
def test_page_of_another_site_does_not_get_the_key_of_the_upstream(
    server: Server, tmp_path: Path, keys: tuple[str, ...], status: int
) -> None:
    settings = Settings(
        replay=str(tmp_path),
        on_miss="record",
        upstream=server.base_url,
        upstream_api_key="sk-mine",
        api_key=keys,
    )
    with Server(settings) as player:
        answered = answer_to(player.url, "POST", GENERATIONS, FOX, Origin="http://evil.example")
        (call,) = player.requests
    assert answered.status == status
    assert len(server.requests) == (status == 200)
    assert ("it is forwarded to" in (call.recording_miss or "")) is (status == 200)


def test_call_with_a_directive_is_not_forwarded(server: Server, tmp_path: Path) -> None:
    body = {**FOX, "prompt": "A red fox [[emulator: latency;seconds=0]]"}
    with Server(replay=tmp_path, on_miss="record", upstream=server.base_url) as player:
        refused = answer_to(player.url, "POST", GENERATIONS, body)
    assert refused.status == 404
    assert b"a call with a directive is not forwarded" in refused.body
    assert not server.requests


def test_no_call_is_forwarded_while_the_recordings_cannot_be_read(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images_emulator.state.replay.MAX_PRELOADED_RECORDINGS", 0)
    (tmp_path / "0001-fox.json").write_text("{")
    with Server(replay=tmp_path, on_miss="record", upstream=server.base_url) as player:
        refused = answer_to(player.url, "POST", GENERATIONS, FOX)
    assert refused.status == 404
    assert b"the recordings cannot be read: " in refused.body
    assert not server.requests


async def test_connection_of_a_miss_in_process_ends_as_the_upstream_ends_its_own(
    server: Server, tmp_path: Path
) -> None:
    server.inject("connection_reset")
    settings = Settings(replay=str(tmp_path), on_miss="record", upstream=server.base_url)
    emulator = Emulator(settings)
    transport = httpx2.ASGITransport(create_app(emulator))
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://x") as http:
        with pytest.raises(ConnectionResetError):
            await http.post(GENERATIONS, json=FOX, headers=headers)
    (call,) = emulator.journal.find()
    assert call.outcome == "cut"
    await emulator.stop()
    emulator.close()


def test_upstream_that_is_away_is_told_to_the_client(tmp_path: Path) -> None:
    upstream = "http://127.0.0.1:9/v1"
    with Server(replay=tmp_path, on_miss="record", upstream=upstream) as player:
        refused = answer_to(player.url, "POST", GENERATIONS, FOX)
        assert refused.status == 502
        assert json.loads(refused.body)["error"]["code"] == "upstream_failed"
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "on_miss: 'record' needs the settings 'replay' and 'upstream'"),
        ({"replay": "x", "upstream": "x"}, "upstream: expected the URL of an API, .*, not 'x'"),
    ],
)
def test_recording_of_misses_needs_an_upstream(
    settings: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    if "replay" in settings:
        settings["replay"] = tmp_path
    with pytest.raises(ValueError, match=sentence):
        Server(on_miss="record", **settings)

"""Replay: pictures by URL, what the journal has of a recorded answer, and when it is sent."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any, cast

import httpx2
import pytest

from images_emulator import Server
from images_emulator.lru_cache import LRUCache
from images_emulator.recordings.folder import RecordingFolder
from images_emulator.recordings.recording import (
    RecordedDownload,
    RecordedPart,
    RecordedResponse,
    Recording,
)
from images_emulator.state.clock import Clock
from tests.conftest import KEY
from tests.pictures import BLUE, GREEN, RED, opened, png
from tests.replays import (
    CALLS,
    FOX,
    GENERATIONS,
    STREAM,
    Pixel,
    Play,
    asked,
    at_once,
    differences,
    openai_client,
    playing,
    recorded,
    recording_of,
    sent_by,
)
from tests.waiting import until
from tests.wire import answer_of, answer_to, headers_of

play = pytest.fixture(playing)


# --- hosted pictures


def test_hosted_pictures_are_served_from_the_recording(server: Server, play: Play) -> None:
    body = {"model": "dall-e-3", "prompt": "A fox", "response_format": "url"}
    recording = recorded(server, target=GENERATIONS, body=body)
    player = play(recording)
    server.reset()
    played = sent_by(player, recording)
    moved = answer_of(recording).body.replace(server.url.encode(), player.url.encode())
    assert answer_of(played).body == moved
    assert headers_of(answer_of(played)) == headers_of(answer_of(recording))
    (download,), (original,) = played.downloads, recording.downloads
    assert download.url.startswith(player.url)
    assert (download.status, download.data) == (200, original.data)
    assert opened(download.data).size == (1024, 1024)
    (call,), (fetched,) = player.requests, player.downloads
    assert [*call.answer.image_urls] == [download.url.encode()]
    assert (fetched.recording, fetched.prompt) == ("0001", "A fox")


@pytest.mark.parametrize("place", ["namespace", "public_url"])
def test_download_of_a_recorded_picture_has_its_prompt_wherever_it_is(
    place: str, server: Server, play: Play
) -> None:
    body = {"model": "dall-e-3", "prompt": "A fox", "response_format": "url"}
    recording = recorded(server, target=GENERATIONS, body=body)
    public_url = "https://x.example/images"
    player = play(recording, **({"public_url": public_url} if place == "public_url" else {}))
    prefix = "/ns/red" if place == "namespace" else ""
    with httpx2.Client(base_url=player.url + prefix) as http:
        headers = {"Authorization": f"Bearer {KEY}"}
        answered = http.post(GENERATIONS, json=body, headers=headers)
        url = answered.json()["data"][0]["url"]
        if place == "public_url":
            url = url.replace(public_url, player.url)
        assert http.get(url).content == recording.downloads[0].data
        listed = http.get("/_emulator/requests").json()["requests"]
    assert [each["prompt"] for each in listed] == ["A fox", "A fox"]


def test_the_cache_counts_the_pictures_of_recorded_urls(server: Server, play: Play) -> None:
    recording = recorded(
        server,
        target=GENERATIONS,
        body={"model": "dall-e-3", "prompt": "A fox", "response_format": "url"},
    )
    player = play(recording, cache=len(recording.downloads[0].data))
    assert sent_by(player, recording).downloads[0].data == recording.downloads[0].data
    assert player.downloads[0].prompt is None


def test_url_that_json_has_escaped_is_served_from_here(server: Server, play: Play) -> None:
    body = {"model": "dall-e-3", "prompt": "A fox", "response_format": "url"}
    recording = recorded(server, target=GENERATIONS, body=body)
    escaped = answer_of(recording).body.replace(b"/", b"\\/").replace(b"&", b"\\u0026")
    response = replace(answer_of(recording), parts=(at_once(escaped),))
    player = play(replace(recording, response=response))
    played = sent_by(player, recording)
    assert [each.data for each in played.downloads] == [recording.downloads[0].data]


def test_hosted_pictures_that_differ_in_the_query_alone_are_told_apart(play: Play) -> None:
    urls = [f"https://x.example/get?id={number}" for number in (1, 2)]
    recordings = [
        replace(
            recording_of({**FOX, "prompt": f"fox {url}"}, json.dumps({"data": [{"url": url}]})),
            downloads=(RecordedDownload(url, data=png() + url.encode()),),
        )
        for url in urls
    ]
    player = play(*recordings)
    for url, recording in zip(urls, recordings, strict=True):
        answered = json.loads(asked(player, json.loads(recording.request.body)))
        hosted = answered["data"][0]["url"]
        assert httpx2.get(hosted).content == png() + url.encode()
    # A client may change a signature.
    assert httpx2.get(f"{hosted}&x=1").content == png() + urls[1].encode()


def test_expired_fault_applies_to_a_recorded_url(server: Server, play: Play) -> None:
    body = {"model": "dall-e-3", "prompt": "A fox", "response_format": "url"}
    recording = recorded(server, target=GENERATIONS, body=body)
    player = play(recording)
    player.inject("expired")
    assert [each.status for each in sent_by(player, recording).downloads] == [403]
    assert [each.status for each in sent_by(player, recording).downloads] == [200]


def test_recorded_picture_with_a_status_that_no_server_sends_is_the_storage_error(
    server: Server, tmp_path: Path
) -> None:
    body = {"model": "dall-e-3", "prompt": "A fox", "response_format": "url"}
    recording = recorded(server, target=GENERATIONS, body=body)
    path = RecordingFolder(tmp_path).add(recording)
    document = json.loads(path.read_text())
    document["downloads"][0]["status"] = 101
    path.write_text(json.dumps(document))
    with Server(replay=tmp_path, delay=False) as player:
        url = json.loads(answer_of(sent_by(player, recording)).body)["data"][0]["url"]
        assert answer_to(player.url, "GET", url.removeprefix(player.url)).status == 403
        miss = str(player.downloads[-1].recording_miss)
        assert "no server answers with the status 101" in miss


def test_recorded_picture_that_is_gone_is_the_storage_error(server: Server, tmp_path: Path) -> None:
    body = {"model": "dall-e-3", "prompt": "A fox", "response_format": "url"}
    recording = recorded(server, target=GENERATIONS, body=body)
    RecordingFolder(tmp_path).add(recording)
    with Server(replay=tmp_path, delay=False) as player:
        url = json.loads(answer_of(sent_by(player, recording)).body)["data"][0]["url"]
        for file in (tmp_path / "files").iterdir():
            file.unlink()
        missed = answer_to(player.url, "GET", url.removeprefix(player.url))
        assert missed.status == 403
        assert "cannot be sent" in str(player.downloads[-1].recording_miss)


# --- the journal


def test_journal_has_of_a_slow_recording_what_has_left(play: Play) -> None:
    text = json.dumps({"data": [], "note": "x" * 4000})
    player = play(recording_of(FOX, text))
    player.inject("slow_body", bytes_per_second=2000)
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx2.stream("POST", player.url + GENERATIONS, json=FOX, headers=headers) as response:
        next(response.iter_raw())
    call = player.wait_for_call(outcome="gone")
    assert call.answer_body
    assert text.startswith(call.answer_body)
    assert len(call.answer_body) < len(text)


def test_journal_has_the_pictures_of_the_recording(server: Server, play: Play) -> None:
    recording = recorded(server, **CALLS["three"])
    answered = json.loads(answer_of(recording).body)
    files = [png((64, 48), "RGB", colour) for colour in (RED, GREEN, BLUE)]
    usage = {**answered["usage"], "output_tokens": 7, "total_tokens": 9}
    usage["output_tokens_details"] = {"image_tokens": 7, "text_tokens": 0}
    changes = {"usage": usage, "quality": "medium", "size": "64x48"}
    data = [{"b64_json": b64encode(file).decode()} for file in files]
    body = json.dumps({**answered, **changes, "data": data}).encode()
    response = replace(answer_of(recording), parts=(at_once(body),))
    player = play(replace(recording, response=response))
    sent_by(player, recording)
    (call,) = player.requests
    assert (call.model, call.prompt, call.parameters["n"]) == ("gpt-image-2", "A red fox", 3)
    assert (call.parameters["quality"], call.parameters["size"]) == ("medium", "64x48")
    assert [(each.width, each.height) for each in call.pictures] == [(64, 48)] * 3
    assert call.usage
    assert call.usage.output_tokens == 7
    with httpx2.Client(base_url=player.url) as client:
        (listed,) = client.get("/_emulator/requests?has=recording").json()["requests"]
        assert listed["recording"] == "0001"
        for index, file in enumerate(files):
            assert client.get(f"/_emulator/images/{call.id}/{index}").content == file
            assert len(file) == listed["pictures"][index]["bytes"]
        thumbnail = opened(client.get(listed["pictures"][2]["thumbnail"]).content)
        red, green, blue = cast("Pixel", thumbnail.convert("RGB").getpixel((10, 10)))
        assert max(red, green) < 70 < blue


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_journal_has_the_events_of_a_recorded_stream(
    server: Server, play: Play, line_end: bytes
) -> None:
    recording = recorded(server, **CALLS["stream"])
    response = answer_of(recording)
    parts = [at_once(part.data.replace(b"\n", line_end)) for part in response.parts]
    player = play(replace(recording, response=replace(response, parts=tuple(parts))))
    sent_by(player, recording)
    (call,) = player.requests
    (original,) = server.requests
    assert call.event_count == original.event_count == 3
    assert [event.type for event in call.stream_events] == [
        event.type for event in original.stream_events
    ]
    assert call.partial_count == 2
    assert call.usage == original.usage
    assert call.answer_body == (original.answer_body or "").replace("\n", line_end.decode())
    assert call.pictures == original.pictures
    assert call.outcome == "answered"


@pytest.mark.parametrize(
    ("name", "outcome"),
    [("rate limit", "refused"), ("stream error", "failed"), ("stream cut", "cut")],
)
def test_journal_has_the_error_of_a_recording(
    server: Server, play: Play, name: str, outcome: str
) -> None:
    recording = recorded(server, **CALLS[name])
    player = play(recording)
    sent_by(player, recording)
    (call,) = player.requests
    until(lambda: call.has_ended)
    assert (call.outcome, call.error) == (outcome, server.requests[-1].error)


@pytest.mark.parametrize("body", [FOX, STREAM])
def test_journal_shows_an_answer_whose_media_type_is_in_capitals(
    server: Server, play: Play, body: dict[str, Any]
) -> None:
    recording = recorded(server, target=GENERATIONS, body=body)
    response = answer_of(recording)
    headers = [
        (name, value.title() if name == "content-type" else value)
        for name, value in response.headers
    ]
    player = play(replace(recording, response=replace(response, headers=tuple(headers))))
    sent_by(player, recording)
    (call,) = player.requests
    assert (len(call.pictures), call.usage) == (1, server.requests[0].usage)


# --- the cache


def test_caches_weigh_all_of_their_keys(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    caches: list[LRUCache] = []

    class NotedCache(LRUCache):
        def __init__(self, budget: int) -> None:
            super().__init__(budget)
            caches.append(self)

    for module in ("recording_player", "recording_search"):
        monkeypatch.setattr(f"images_emulator.web.replay.{module}.LRUCache", NotedCache)
    response = RecordedResponse(200, (("content-type", "application/json"),), (at_once(b"{}"),))
    player = play(replace(recording_of(FOX), response=response))
    encoding = {"Accept-Encoding": "y" * 20_000}
    answer_to(player.url, "POST", GENERATIONS, FOX, **encoding)
    answer_to(player.url, "POST", f"{GENERATIONS}?x={'q' * 20_000}", FOX)
    assert sum(cache.weight for cache in caches) > 2 * 20_000


# --- faults


@pytest.mark.parametrize(
    ("fault", "names"),
    [
        ("stream_error;after=1", ["partial", "error"]),
        ("unknown_event;after=1", ["partial", "image_generation.keepalive", "completed"]),
        ("fewer_partials", ["completed"]),
        ("malformed", ["partial", "completed"]),
        ("stall;after=1;seconds=0", ["partial", "completed"]),
    ],
)
def test_fault_may_change_the_length_of_a_recorded_stream(
    fault: str, names: list[str], play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    events = [
        b'event: partial\ndata: {"partial_image_index": 0}\n\n',
        b'event: completed\ndata: {"b64_json": ""}\n\n',
    ]
    headers = (
        ("content-type", "text/event-stream"),
        ("content-length", f"{sum(map(len, events))}"),
    )
    response = RecordedResponse(200, headers, tuple(RecordedPart(0, each) for each in events))
    recording = replace(recording_of({**FOX, "stream": True}), response=response)
    played = answer_of(sent_by(play(recording), recording, x_emulator_fault=fault))
    assert played.end == "complete"
    assert re.findall(r"(?m)^event: (.*)$", played.body.decode()) == names
    assert not caplog.records


# --- time


def timed(*seconds: float) -> Recording:
    """A recording of a stream whose events came at these times."""
    parts = tuple(
        RecordedPart(each, f"event: e\ndata: {number}\n\n".encode())
        for number, each in enumerate(seconds)
    )
    headers = (("content-type", "text/event-stream"), ("date", "Thu, 26 Nov 2026 07:54:22 GMT"))
    response = RecordedResponse(200, headers, parts)
    return replace(recording_of({**FOX, "stream": True}), response=response)


@pytest.mark.parametrize("speed", [1, 2.5, 0.5])
def test_events_come_at_their_recorded_times(
    play: Play, monkeypatch: pytest.MonkeyPatch, speed: float
) -> None:
    moments: list[float] = []

    async def wait_until(_: Clock, moment: float) -> None:
        moments.append(moment)

    monkeypatch.setattr(Clock, "wait_until", wait_until)
    recording = timed(10, 11.5, 11.5, 40)
    begin = perf_counter()
    sent_by(play(recording, delay=True, speed=speed), recording)
    end = perf_counter()
    first, second, last = moments
    assert begin <= first - 10 / speed <= end
    assert second - first == pytest.approx(1.5 / speed, abs=1e-9)
    assert last - second == pytest.approx(28.5 / speed, abs=1e-9)


@pytest.mark.slow
def test_no_event_comes_before_its_time(play: Play) -> None:
    recording = timed(0.05, 0.08, 0.15)
    played = answer_of(sent_by(play(recording, delay=True), recording))
    pairs = zip(played.parts, answer_of(recording).parts, strict=True)
    assert all(part.seconds >= original.seconds for part, original in pairs)


def test_answer_without_delay_waits_for_nothing(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Clock, "wait_until", None)
    recording = timed(10, 20)
    assert not list(differences(sent_by(play(recording, delay=False), recording), recording))


def test_clock_that_is_advanced_ends_the_waits_of_a_recording(play: Play) -> None:
    recording = timed(0, 1000, 2000)
    player = play(recording, delay=True)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(sent_by, player, recording)
        call = player.wait_for_call()
        until(lambda: call.event_count == 1)
        player.clock.advance(seconds=1000)
        until(lambda: call.event_count == 2)
        assert not answer.done()
        player.clock.advance(seconds=1000)
        assert not list(differences(answer.result(), recording))


def test_client_that_leaves_ends_a_recorded_answer(play: Play) -> None:
    player = play(timed(0, 1000), delay=True)
    with (
        openai_client(player) as client,
        client.images.with_streaming_response.generate(
            model="gpt-image-2", prompt="A red fox", size="1024x1024", stream=True
        ) as response,
    ):
        next(response.iter_lines())
    (call,) = player.requests
    until(lambda: call.has_ended)
    assert (call.outcome, call.event_count) == ("gone", 1)


def test_client_that_leaves_ends_a_recorded_answer_that_a_fault_slows_down(play: Play) -> None:
    player = play(recording_of(FOX, "x" * 3600))
    player.inject("slow_body", bytes_per_second=1)
    with (
        openai_client(player) as client,
        client.images.with_streaming_response.generate(
            model="gpt-image-2", prompt="A red fox", size="1024x1024"
        ),
    ):
        pass
    (call,) = player.requests
    until(lambda: call.has_ended)
    assert (call.outcome, call.recording) == ("gone", "0001")

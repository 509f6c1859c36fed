"""Replay: what is sent of an answer, whole or changed by a fault, however it was recorded."""

from __future__ import annotations

import gzip
import json
import logging
import zlib
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from images_emulator import Server
from images_emulator.contract.events import event
from images_emulator.recordings.recording import RecordedPart, RecordedResponse
from images_emulator.web.replay.playable_answer import playable_answer
from tests.conftest import KEY
from tests.pictures import png
from tests.replays import FOX, GENERATIONS, Play, answer, at_once, playing, recording_of
from tests.wire import answer_to

GZIPPED = gzip.compress(b'{"data": []}', mtime=0)
RAW_DEFLATED = zlib.compress(b'{"data": []}', wbits=-zlib.MAX_WBITS)

play = pytest.fixture(playing)


def test_recorded_date_is_the_only_one(play: Play) -> None:
    past = "Thu, 01 Jan 2026 00:00:00 GMT"
    player = play(replace(recording_of(FOX), response=answer("{}", date=past)))
    request = json.dumps(FOX).encode()
    with httpx2.Client(base_url=player.url, headers={"Authorization": "Bearer k"}) as client:
        headers = {"content-type": "application/json"}
        played = client.post(GENERATIONS, content=request, headers=headers)
        assert played.headers.get_list("date") == [past]
        # The next answer on the same connection is the server's own.
        (today,) = client.get("/v1/models").headers.get_list("date")
        assert today != past


# --- faults of the body

BODIES_WITHOUT_PICTURES = {
    "no picture": '{"created": 1, "data": [], "usage": {"total_tokens": 1}}',
    "no usage": '{"created": 1, "data": [{}], "usage": null}',
    "null": '{"created": 1, "data": null}',
    "a list": "[]",
    "no JSON": "{",
    "nested": f'{{"created": 1, "data": [{{}}], "x": {"[" * 900}{"]" * 900}}}',
    "nested deeper": f'{{"created": 1, "data": [{{}}], "x": {"[" * 9999}{"]" * 9999}}}',
}


@pytest.mark.parametrize("fault", ["fewer_images", "empty_data", "malformed;what=picture"])
@pytest.mark.parametrize("body", BODIES_WITHOUT_PICTURES.values(), ids=BODIES_WITHOUT_PICTURES)
def test_fault_of_the_body_applies_to_whatever_was_recorded(
    play: Play, body: str, fault: str
) -> None:
    player = play(recording_of(FOX, body))
    headers = {"Authorization": f"Bearer {KEY}", "x-emulator-fault": fault}
    played = httpx2.post(player.url + GENERATIONS, json=FOX, headers=headers)
    assert played.status_code == 200
    assert [call.fault for call in player.requests] == [fault.partition(";")[0]]


def test_fault_of_the_body_leaves_one_that_is_compressed(play: Play) -> None:
    headers = (("content-type", "application/json"), ("content-encoding", "gzip"))
    response = RecordedResponse(200, headers, (at_once(GZIPPED),))
    player = play(replace(recording_of(FOX), response=response))
    player.inject("malformed")
    played = answer_to(player.url, "POST", GENERATIONS, FOX, Accept_Encoding="gzip")
    assert (played.status, played.body) == (200, GZIPPED)


@pytest.mark.parametrize("fault", ["malformed", "empty_data", "fewer_images"])
def test_fault_of_the_body_leaves_a_recorded_answer_that_breaks_off(play: Play, fault: str) -> None:
    cut = replace(answer('{"created": 1, "da'), end="cut")
    player = play(replace(recording_of(FOX), response=cut))
    played = answer_to(player.url, "POST", GENERATIONS, FOX, X_Emulator_Fault=fault)
    assert (played.status, played.body, played.end) == (200, b'{"created": 1, "da', "cut")


# --- streams


def event_of(number: int, **fields: Any) -> bytes:
    return event(
        "image_generation.partial_image", {"partial_image_index": number, **fields}
    ).encode()


LAST_EVENT = event("image_generation.completed", {"b64_json": "AAAA", "usage": None}).encode()

STREAM_PARTS: dict[str, tuple[bytes, ...]] = {
    "an end that is no JSON": (event_of(0), LAST_EVENT, b"data: [DONE]\n\n"),
    "data that is a list": (event_of(0), b"event: x\ndata: []\n\n"),
    "two events in one part": (event_of(0) + LAST_EVENT,),
    "half events": (event_of(0)[:30], event_of(0)[30:] + LAST_EVENT[:9], LAST_EVENT[9:]),
    "a comment": (b": alive\n\n", event_of(0), LAST_EVENT),
    "no events": (),
    "an index that is no number": (event_of(0, partial_image_index="a"), LAST_EVENT),
    "a picture that is no text": (event_of(0, b64_json=[1]), LAST_EVENT),
    "an event without an end": (event_of(0), LAST_EVENT[:-2]),
}


def played_stream(
    play: Play, fault: str, *parts: bytes, **headers: str
) -> tuple[Server, httpx2.Response]:
    pairs = (("content-type", "text/event-stream"), *headers.items())
    response = RecordedResponse(200, pairs, tuple(map(at_once, parts)))
    body = FOX | {"stream": True}
    player = play(replace(recording_of(body), response=response))
    sent = {"Authorization": f"Bearer {KEY}", "x-emulator-fault": fault}
    return player, httpx2.post(player.url + GENERATIONS, json=body, headers=sent)


@pytest.mark.parametrize("fault", ["malformed;what=picture", "malformed", "fewer_partials"])
@pytest.mark.parametrize("parts", STREAM_PARTS.values(), ids=STREAM_PARTS)
def test_fault_of_the_body_applies_to_whatever_stream_was_recorded(
    play: Play, parts: tuple[bytes, ...], fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    player, played = played_stream(play, fault, *parts)
    assert played.status_code == 200
    (call,) = player.requests
    assert (call.outcome, call.fault) == ("answered", fault.partition(";")[0])
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    whole = b"".join(parts)
    if fault == "fewer_partials":
        assert b'"partial_image_index":0' not in played.content
    elif fault == "malformed;what=picture":
        assert (b"AAAA" in played.content) == (LAST_EVENT not in whole and b"AAAA" in whole)
    elif parts:
        assert played.content != whole


PICTURE_EVENTS: dict[str, Any] = {
    "image_generation.partial_image": {"partial_image_index": 0},
    "image_generation.completed": {
        "usage": {
            "input_tokens": 3,
            "input_tokens_details": {"image_tokens": 0, "text_tokens": 3},
            "output_tokens": 5,
            "total_tokens": 8,
        },
    },
}

EVENTS: list[bytes] = [
    event(name, {"b64_json": b64encode(png()).decode(), **fields}).encode()
    for name, fields in PICTURE_EVENTS.items()
]

WHOLE: bytes = b"".join(EVENTS)
COMPRESSED: bytes = gzip.compress(WHOLE, mtime=0)

CUT_STREAMS: dict[str, tuple[dict[str, str], list[bytes]]] = {
    "as events": ({}, EVENTS),
    "as one part": ({}, [WHOLE]),
    "in small parts": ({}, [WHOLE[start : start + 9] for start in range(0, len(WHOLE), 9)]),
    "compressed": ({"content-encoding": "gzip"}, [COMPRESSED[:40], COMPRESSED[40:]]),
}


@pytest.mark.parametrize(("headers", "parts"), CUT_STREAMS.values(), ids=CUT_STREAMS)
def test_journal_has_the_events_of_a_stream_however_it_was_recorded(
    play: Play, headers: dict[str, str], parts: list[bytes]
) -> None:
    player, played = played_stream(play, "latency;seconds=0", *parts, **headers)
    assert played.content == WHOLE
    (call,) = player.requests
    assert [each.type for each in call.stream_events] == [*PICTURE_EVENTS]
    assert (len(call.pictures), call.partial_count) == (1, 1)
    assert call.usage
    assert call.usage.total_tokens == 8


@pytest.mark.parametrize("fault", ["stream_error", "stream_cut", "unknown_event"])
@pytest.mark.parametrize(("headers", "parts"), CUT_STREAMS.values(), ids=CUT_STREAMS)
def test_fault_of_a_stream_comes_after_an_event_however_it_was_recorded(
    play: Play, fault: str, headers: dict[str, str], parts: list[bytes]
) -> None:
    # Over a plain connection: httpx raises an error where a stream is cut.
    response = RecordedResponse(
        200, (("content-type", "text/event-stream"), *headers.items()), tuple(map(at_once, parts))
    )
    body = FOX | {"stream": True}
    player = play(replace(recording_of(body), response=response))
    played = answer_to(player.url, "POST", GENERATIONS, body, X_Emulator_Fault=f"{fault};after=1")
    assert played.body.startswith(EVENTS[0])
    rest = played.body.removeprefix(EVENTS[0])
    if fault == "stream_cut":
        assert (rest, played.end) == (b"", "cut")
    elif fault == "stream_error":
        assert rest.startswith(b"event: error\n")
    else:
        assert rest.endswith(EVENTS[1])
        assert rest != EVENTS[1]


def test_each_event_of_a_recording_is_as_late_as_its_last_byte(play: Play) -> None:
    ends = [0.01, 0.02, 0.03]
    parts = (WHOLE[:9], WHOLE[9 : len(EVENTS[0])], WHOLE[len(EVENTS[0]) :])
    cut = tuple(RecordedPart(*each) for each in zip(ends, parts, strict=True))
    response = RecordedResponse(200, (("content-type", "text/event-stream"),), cut)
    played = playable_answer(replace(recording_of(FOX), response=response), "", "")
    assert [*played.parts] == [(0.02, EVENTS[0]), (0.03, EVENTS[1])]


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_fault_of_the_body_applies_to_a_stream_with_either_end_of_lines(
    play: Play, end: bytes, size: int
) -> None:
    whole = (event_of(0) + event_of(1) + LAST_EVENT).replace(b"\n", end)
    parts = [whole[start : start + size] for start in range(0, len(whole), size)]
    _, played = played_stream(play, "fewer_partials;keep=1", *parts)
    dropped = event_of(1).replace(b"\n", end)
    assert dropped in whole
    assert played.content == whole.replace(dropped, b"")


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("image_generation.completed", {"b64_json": "AAAA"}),
        ("image_generation.completed", {"b64_json": "AAAA", "usage": None}),
        ("error", {"type": "error", "error": {"message": "x"}}),
    ],
)
def test_last_event_without_usage_has_the_number_after_fewer_partials(
    play: Play, name: str, fields: dict[str, Any]
) -> None:
    partials = [event_of(index, sequence_number=index) for index in range(2)]
    last, renumbered = (event(name, fields | {"sequence_number": n}).encode() for n in (2, 1))
    _, played = played_stream(play, "fewer_partials;keep=1", *partials, last)
    assert played.content == partials[0] + renumbered


@pytest.mark.parametrize("fault", ["malformed", "fewer_partials", "stream_error", "stream_cut"])
def test_fault_leaves_a_stream_that_is_compressed_in_an_unknown_way(play: Play, fault: str) -> None:
    headers = {"content-encoding": "unknown"}
    player, played = played_stream(play, fault, event_of(0), LAST_EVENT, **headers)
    assert played.content == event_of(0) + LAST_EVENT
    assert player.requests[0].outcome == "answered"


# --- compressed answers


@pytest.mark.parametrize(
    ("coding", "compressed"),
    [("deflate", zlib.compress(b'{"data": []}')), ("deflate", RAW_DEFLATED), ("x-gzip", GZIPPED)],
    ids=["deflate", "deflate without its head", "x-gzip"],
)
def test_compressed_answer_is_sent_plain_to_clients_that_do_not_read_it(
    play: Play, coding: str, compressed: bytes
) -> None:
    headers = (("content-type", "application/json"), ("content-encoding", coding))
    response = RecordedResponse(200, headers, (at_once(compressed),))
    player = play(replace(recording_of(FOX), response=response))
    played = answer_to(player.url, "POST", GENERATIONS, FOX, Accept_Encoding="identity")
    assert played.body == b'{"data": []}'


@pytest.mark.parametrize(
    ("accept", "body"),
    [
        ("gzip", GZIPPED),
        ("br;q=1, gzip ; q=0.5", GZIPPED),
        ("br, *;q=0.1", GZIPPED),
        ("identity", b'{"data": []}'),
        ("*, gzip;q=0", b'{"data": []}'),
    ],
)
def test_gzip_is_sent_to_clients_that_read_it(play: Play, accept: str, body: bytes) -> None:
    headers = (
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
        ("content-length", str(len(GZIPPED))),
    )
    response = RecordedResponse(200, headers, (at_once(GZIPPED),))
    player = play(replace(recording_of(FOX), response=response))
    played = answer_to(player.url, "POST", GENERATIONS, FOX, Accept_Encoding=accept)
    assert played.body == body
    assert dict(played.headers).get("content-encoding") == ("gzip" if body is GZIPPED else None)
    assert dict(played.headers)["content-length"] == str(len(body))
    (call,) = player.requests
    assert call.answer_body == '{"data": []}'


# --- recordings that are odd

ODD: dict[str, tuple[dict[str, Any], tuple[int, bytes, str]]] = {
    "length that is none": (
        {"headers": {"content-length": "abc"}, "body": {"text": "{}"}},
        (200, b"{}", "complete"),
    ),
    "length of no body": ({"headers": {"content-length": "10"}}, (200, b"", "complete")),
    "no content with a body": ({"status": 204, "body": {"text": "x"}}, (204, b"", "complete")),
    "not modified": (
        {"status": 304, "headers": {"content-length": "10"}},
        (304, b"", "complete"),
    ),
    "cut before the body": (
        {"headers": {"content-length": "10"}, "end": "cut"},
        (200, b"", "cut"),
    ),
    "gzip that is none": (
        {"headers": {"content-encoding": "gzip"}, "body": {"text": "x"}},
        (200, b"x", "complete"),
    ),
    "status among the headers": (
        {"headers": {":status": "200"}, "body": {"text": "x"}},
        (200, b"x", "complete"),
    ),
}


def models_recorded(folder: Path, response: dict[str, Any]) -> None:
    """A recording of a call for the models, with that answer."""
    request = {"method": "GET", "target": "/v1/models"}
    document = {"version": 1, "request": request, "response": {"status": 200, **response}}
    (folder / "0001-models.json").write_text(json.dumps(document))


@pytest.mark.parametrize("name", ODD)
def test_odd_recording_is_played_as_far_as_http_goes(name: str, tmp_path: Path) -> None:
    response, expected = ODD[name]
    models_recorded(tmp_path, response)
    with Server(replay=tmp_path, delay=False) as player:
        answered = answer_to(player.url, "GET", "/v1/models")
        assert (answered.status, answered.body, answered.end) == expected


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ({"headers": {"x-a": "a\nb"}}, "header 'x-a' cannot have the value"),
        ({"headers": {"x a": "b"}}, "'x a' is no name of a header"),
        ({"headers": {"": "b"}}, "'' is no name of a header"),
        ({"headers": {"x-a": "€"}}, "header 'x-a' cannot have the value"),
        ({"status": 101}, "no server answers with the status 101"),
        ({"status": 700}, "no server answers with the status 700"),
    ],
)
def test_recording_that_no_server_can_send_is_a_miss(
    response: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    models_recorded(tmp_path, response)
    with Server(replay=tmp_path, delay=False) as player:
        answered = answer_to(player.url, "GET", "/v1/models")
        notice = dict(answered.headers)["x-emulator-notice"]
        assert notice.startswith(f"'0001-models' cannot be played: {reason}")

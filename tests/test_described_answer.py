"""Replay of described answers: values that a recording leaves open are the emulator's own."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from images_emulator.recordings.recording import Expectation, Recording
from tests.pictures import opened
from tests.replays import FOX, GENERATIONS, Play, answer, asked, playing, recording_of
from tests.wire import answer_to

play = pytest.fixture(playing)


def described(body: Any, status: int = 200, **expected: Any) -> Recording:
    """A recording of a call for a fox, whose answer is described."""
    text = body if isinstance(body, str) else json.dumps(body)
    return replace(
        recording_of(FOX),
        response=answer(text, status),
        expectation=Expectation(open_body=not isinstance(body, str), **expected),
    )


def test_open_values_are_those_of_the_emulator(play: Play) -> None:
    body = {"created": "<any>", "data": [{"b64_json": "<any>"}], "size": "7x<any>"}
    player = play(described({**body, "size": "1024x<any>", "note": "as it was"}))
    answered = json.loads(asked(player, FOX))
    assert opened(answered["data"][0]["b64_json"]).size == (1024, 1024)
    assert list(answered) == ["created", "data", "size", "note"]
    assert (answered["size"], answered["note"]) == ("1024x1024", "as it was")
    (call,) = player.requests
    assert (call.recording, len(call.pictures)) == ("0001", 1)
    assert call.answer_headers["x-request-id"]


def test_open_values_are_drawn_without_an_answer_that_the_call_did_not_meet(play: Play) -> None:
    text = '{"created": "<any>", "data": [{"b64_json": "<any>"}]}'
    player = play(recording_of(FOX, text, expectation=Expectation(open_body=True)))
    player.begin_scenario({"steps": [{"answer": {"raw": {"body": "own"}}, "after": 1}]})
    assert "b64_json" in asked(player, FOX)
    assert asked(player, FOX) == "own"
    assert [call.recording for call in player.requests] == ["0001", None]


def test_described_answers_do_not_count_for_the_rate_limit(play: Play) -> None:
    player = play(described({"data": [{"b64_json": "<any>"}]}), rate_limit="1/hour")
    answers = [answer_to(player.url, "POST", GENERATIONS, FOX).status for _ in range(3)]
    ship = FOX | {"prompt": "a ship"}
    answers += [answer_to(player.url, "POST", GENERATIONS, ship).status for _ in range(2)]
    assert answers == [200, 200, 200, 200, 429]


def test_described_headers_stand_in_place_of_the_standard_ones(play: Play) -> None:
    recording = described({"data": [{"b64_json": "<any>"}]})
    assert recording.response
    expected = {
        "content-type": ["application/json"],
        "access-control-allow-origin": ["*"],
        "openai-version": ["as it was"],
        "set-cookie": ["a=1", "b=2"],
    }
    headers = tuple((name, value) for name, values in expected.items() for value in values)
    player = play(replace(recording, response=replace(recording.response, headers=headers)))
    played = answer_to(player.url, "POST", GENERATIONS, FOX, Origin="https://example.com")
    sent = [(name.lower(), value) for name, value in played.headers]
    assert {name: [each for key, each in sent if key == name] for name in expected} == expected
    assert "x-request-id" in dict(sent)


@pytest.mark.parametrize(
    ("recording", "sentence"),
    [
        (
            described({"data": [{"url": "<any>"}]}),
            "body.data[0].url is left open, and the emulator's own answer has none",
        ),
        (
            described({"size": "7x<any>"}),
            "body.size is '7x<any>', and '1024x1024' in the emulator's own answer",
        ),
        (
            described({"error": {"message": "<any>"}}, 429),
            "values are left open, and the emulator answers 200",
        ),
    ],
    ids=["absent", "different", "status"],
)
def test_open_value_that_the_emulator_does_not_have_is_a_miss(
    play: Play, recording: Recording, sentence: str
) -> None:
    player = play(recording)
    missed = answer_to(player.url, "POST", GENERATIONS, FOX)
    notice = dict(missed.headers)["x-emulator-notice"]
    assert notice == f"'0001' cannot be played: {sentence}"
    assert missed.status == 200
    assert json.loads(missed.body)["data"]
    refused = asked(play(recording, on_miss="refuse"), FOX)
    assert sentence in json.loads(refused)["error"]["message"]


def test_described_answer_without_open_values_needs_no_other(play: Play) -> None:
    body = {"error": {"message": "Too many", "code": "rate_limit_exceeded"}}
    player = play(described(body, 429, newline=True))
    played = answer_to(player.url, "POST", GENERATIONS, FOX)
    assert played.status == 429
    assert played.body == json.dumps(body, indent=2).encode() + b"\n"
    assert asked(play(described("text to the byte")), FOX) == "text to the byte"

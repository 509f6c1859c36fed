"""Replay: which recording answers a call, and what a miss says of the nearest one."""

from __future__ import annotations

import json
import shutil
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from images_emulator import Server
from images_emulator.recordings.answer_comparison import answer_differences
from images_emulator.recordings.compared_call import is_same_json
from images_emulator.recordings.folder import RecordingFolder, read_recording
from images_emulator.recordings.recording import RecordedRequest, Recording
from images_emulator.recordings.redaction import Redactor
from tests.conftest import KEY
from tests.pictures import BLUE, RED, encoded, opened, png
from tests.replays import (
    CALLS,
    EDITS,
    FOX,
    GENERATIONS,
    Pixel,
    Play,
    answer,
    asked,
    edit,
    form,
    openai_client,
    playing,
    recorded,
    recording_of,
    sent_by,
)
from tests.wire import answer_of, answer_to, exchange

FOLDER = Path(__file__).parent.parent / "fixtures" / "exchanges"

play = pytest.fixture(playing)


# --- bodies

SAME_REQUESTS: dict[str, dict[str, Any]] = {
    "order": dict(reversed(FOX.items())),
    "default": {**FOX, "n": 1, "background": "auto", "stream": False},
    "null": {**FOX, "n": None},
}


@pytest.mark.parametrize("name", SAME_REQUESTS)
def test_request_that_means_the_same_is_answered(name: str, play: Play) -> None:
    assert asked(play(recording_of(FOX, '"fox"')), SAME_REQUESTS[name]) == '"fox"'


@pytest.mark.parametrize(
    ("recorded", "sent", "difference"),
    [
        ({"n": 1}, {"n": True}, "n true is not 1"),
        ({"stream": True}, {"stream": 1}, "stream 1 is not true"),
        ({"output_compression": 0}, {"output_compression": False}, "output_compression false"),
        ({"prompt": None}, {}, "prompt is missing, null was recorded"),
        ({"images": [{"x": 1}]}, {"images": [{"x": True}]}, "images[0].x true is not 1"),
        ({"images": [{"x": None}]}, {"images": [{}]}, "images[0] {} is not"),
    ],
    ids=str,
)
def test_invalid_call_is_answered_by_a_recording_of_the_same_json_alone(
    recorded: dict[str, Any], sent: dict[str, Any], difference: str, play: Play
) -> None:
    rest = {} if "prompt" in recorded else {"prompt": "A red fox"}
    player = play(recording_of({"model": "gpt-image-2", **rest, **recorded}, '"recorded"'))
    assert asked(player, {"model": "gpt-image-2", **rest, **recorded}) == '"recorded"'
    miss = asked(player, {"model": "gpt-image-2", **rest, **sent})
    assert difference in miss


OTHER_REQUESTS: dict[str, tuple[dict[str, Any], str]] = {
    "prompt": ({**FOX, "prompt": "A red box"}, "prompt 'A red box' is not 'A red fox'"),
    "size": ({**FOX, "size": "1536x1024"}, "size '1536x1024' is not '1024x1024'"),
    "n": ({**FOX, "n": 2}, "n 2 is not 1"),
    "model": ({**FOX, "model": "gpt-image-2.5-sunburst"}, "model 'gpt-image-2.5-sunburst' is not"),
    "user": ({**FOX, "user": "me"}, "user is 'me', and is not in the recording"),
    "stream": ({**FOX, "stream": True}, "stream true is not false"),
    "invalid": ({**FOX, "size": "7x7"}, "size '7x7' is not '1024x1024'"),
    "path": (FOX, "no recording is of POST /v1/images/edits"),
}


@pytest.mark.parametrize("name", OTHER_REQUESTS)
def test_another_request_is_a_miss_that_names_the_difference(name: str, play: Play) -> None:
    player = play(recording_of(FOX))
    body, sentence = OTHER_REQUESTS[name]
    assert sentence in asked(player, body, EDITS if name == "path" else GENERATIONS)
    (call,) = player.requests
    assert call.recording is None
    if name != "path":
        (miss,) = call.near_misses
        assert (miss.kind, miss.step, miss.label) == ("recording", "0001", "0001")
        assert miss.reason in sentence or sentence in miss.reason


@pytest.mark.parametrize("level", ["exact", "request", "operation"])
def test_call_with_a_key_in_its_prompt_is_answered_by_its_redacted_recording(
    level: str, play: Play
) -> None:
    body = {**FOX, "prompt": "A fox with the key sk-proj-Zq3_x-9aBcDeFgHiJkLmNoPqRsTuVwXyZ"}
    recording = Redactor().redact(recording_of(body, '"fox"'))
    assert "REDACTED" in recording.request.body.decode()
    player = play(recording_of(FOX, '"other"'), recording, replay_match=level, on_miss="refuse")
    assert asked(player, body) == '"fox"'


@pytest.mark.parametrize(
    "name", ["Authorization", "x-api-key", "OpenAI-Organization", "Cookie", "Referer"]
)
@pytest.mark.parametrize("first", [0, 1], ids=["owner", "other"])
def test_a_match_by_the_credential_of_one_client_is_none_for_another(
    name: str, first: int, play: Play
) -> None:
    own, other = "org-AnnasOwnSecret99", "org-NobodysSecret999"
    values = {"Authorization": "Bearer {}", "Cookie": "session={}", "Referer": "/x?token={}"}
    body = {**FOX, "prompt": f"A fox with {own}"}
    recording = recording_of(body, '"fox"')
    headers = (*recording.request.headers, (name, values.get(name, "{}").format(own)))
    request = replace(recording.request, headers=headers)
    recording = Redactor().redact(replace(recording, request=request))
    assert own not in recording.request.body.decode()
    player = play(recording, on_miss="refuse")
    answers: dict[str, int] = {}
    for text in [own, other][:: 1 - 2 * first]:
        header = {name.replace("-", "_"): values.get(name, "{}").format(text)}
        answers[text] = answer_to(player.url, "POST", GENERATIONS, body, None, **header).status
    assert answers == {own: 200, other: 404}


def test_miss_names_the_nearest_of_many_recordings(play: Play) -> None:
    others = [recording_of({**FOX, "prompt": f"Fox {number}"}) for number in range(30)]
    near = recording_of({**FOX, "quality": "high"}, name="near")
    nearer = recording_of({**FOX, "prompt": "A red fo"}, name="nearer")
    player = play(*others, near, nearer)
    assert "in the nearest, 'near', quality" in asked(player, FOX)
    assert "in the nearest, 'nearer', prompt" in asked(player, {**FOX, "prompt": "A red f"})


def test_long_prompts_are_shown_where_they_differ(play: Play) -> None:
    player = play(recording_of({**FOX, "prompt": "fox " * 100 + "and hare"}))
    notice = asked(player, {**FOX, "prompt": "fox " * 100 + "and hound"})
    assert "prompt '…ox fox and hound' is not '…ox fox and hare'" in notice.replace("\\u2026", "…")


def test_call_recorded_often_is_played_in_order_then_its_last(play: Play) -> None:
    player = play(
        *(recording_of(FOX, f"{number}") for number in range(3)),
        recording_of({**FOX, "n": 2}, '"other"'),
    )
    assert [asked(player, FOX) for _ in range(5)] == ["0", "1", "2", "2", "2"]
    player.reset()
    assert [asked(player, FOX) for _ in range(2)] == ["0", "1"]


def test_order_goes_on_for_a_call_that_is_written_otherwise(play: Play) -> None:
    player = play(recording_of(FOX, "0"), recording_of(SAME_REQUESTS["default"], "1"))
    assert asked(player, FOX) == "0"
    assert asked(player, SAME_REQUESTS["order"]) == "0"
    assert asked(player, SAME_REQUESTS["null"]) == "1"


def test_recorded_refusal_is_played_for_the_same_fields(play: Play) -> None:
    body = {**FOX, "size": "7x7"}
    invalid = replace(recording_of(body), response=answer('"refused"', 400))
    player = play(invalid)
    assert asked(player, body) == '"refused"'
    assert asked(player, dict(reversed(body.items()))) == '"refused"'
    assert "size '8x8' is not '7x7'" in asked(player, {**FOX, "size": "8x8"})


def test_values_as_deep_as_json_may_be_are_compared() -> None:
    deep: list[Any] = []
    other: list[Any] = []
    for _ in range(5000):
        deep, other = [deep], [other]
    assert is_same_json(deep, other)
    assert not is_same_json(deep, [other])


# --- uploads


@pytest.mark.parametrize("same", [True, False])
def test_uploads_are_compared_by_their_pixels(play: Play, same: bool) -> None:
    body, content_type = edit(boundary="one")
    request = RecordedRequest("POST", EDITS, (("Content-Type", content_type),), body)
    player = play(Recording(request, answer('"edited"')))
    image = opened(png((64, 64)))
    if not same:
        image.putpixel((3, 3), (0, 0, 0))
    with openai_client(player) as client:
        other = encoded(image, compress_level=9)
        call = client.images.with_raw_response.edit(
            model="gpt-image-2",
            prompt="With a hat",
            size="1024x1024",
            image=[("x.png", other), ("y.png", png((64, 64), "RGB", (1, 2, 3)))],
        )
    if same:
        assert call.text == '"edited"'
    else:
        notice = call.headers["x-emulator-notice"]
        assert "images[0] a picture of 64x64" in notice
        assert "images[1]" not in notice


@pytest.mark.parametrize("field", ["image", "image[]", "mask"])
def test_level_of_the_prompt_compares_uploads_of_an_invalid_call(field: str, play: Play) -> None:
    def body(colour: Pixel) -> tuple[bytes, str]:
        files = {
            "image": ("image", "a.png", png((8, 8))),
            field: (field, "a.png", png((8, 8), "RGB", colour)),
        }
        return form(("model", "", b"gpt-image-9"), ("prompt", "", b"x"), *files.values())

    data, content_type = body(RED)
    request = RecordedRequest("POST", EDITS, (("Content-Type", content_type),), data)
    player = play(Recording(request, answer("recorded")), replay_match="prompt", on_miss="refuse")
    answers = [exchange(player.url, "POST", EDITS, *body(colour)) for colour in (RED, BLUE)]
    assert [answer_of(each).status for each in answers] == [200, 404]


def test_pixels_of_a_call_are_counted_once_however_often_it_is_compared(play: Play) -> None:
    body, content_type = edit(boundary="one")
    request = RecordedRequest("POST", EDITS, (("Content-Type", content_type),), body)
    player = play(Recording(request, answer("recorded")), max_call_pixels=2 * 64 * 64)
    player.answer(raw={"body": "own"}, match={"prompt": "hat"})
    # It matches by its values alone.
    same, content_type = edit(("quality", "", b"auto"))
    assert answer_of(exchange(player.url, "POST", EDITS, same, content_type)).body == b"own"


@pytest.mark.slow
def test_file_that_was_uploaded_in_the_recording_is_known_by_its_id(
    server: Server, play: Play
) -> None:
    upload = recorded(server, **CALLS["file"])
    identity = json.loads(answer_of(upload).body)["id"]
    body = {"model": "gpt-image-2", "prompt": "Hat", "images": [{"file_id": identity}]}
    edited = recorded(server, target=EDITS, body=body)
    player = play(upload, edited)
    played = answer_of(sent_by(player, upload))
    assert json.loads(played.body)["id"] == identity
    # Another parameter, so that the emulator answers.
    emulated = answer_to(player.url, "POST", EDITS, {**body, "size": "1536x1024"})
    assert emulated.status == 200
    other = answer_to(player.url, "GET", f"/v1/files/{identity}/content")
    assert other.body == png()


def test_file_of_another_key_is_no_file_of_the_call(play: Play) -> None:
    url = f"data:image/png;base64,{b64encode(png()).decode()}"
    body: dict[str, Any] = {"model": "gpt-image-2", "prompt": "Hat", "images": [{"image_url": url}]}
    keys = ["sk-one", "sk-other"]
    player = play(recording_of(body, '"edited"', EDITS), api_key=keys, on_miss="emulate")
    form = {"file": ("a.png", png(), "image/png")}
    headers = [{"Authorization": f"Bearer {key}"} for key in keys]
    with httpx2.Client(base_url=player.url) as http:
        data = {"purpose": "vision"}
        uploaded = http.post("/v1/files", files=form, data=data, headers=headers[0])
        body["images"] = [{"file_id": uploaded.json()["id"]}]
        answers = [http.post(EDITS, json=body, headers=each) for each in headers]
    assert [each.status_code for each in answers] == [200, 404]
    assert answers[0].text == '"edited"'


# --- the level

LEVELS: dict[str, list[str]] = {
    "exact": ["miss", "miss", "miss", "miss"],
    "request": ["fox", "miss", "miss", "miss"],
    "prompt": ["fox", "fox", "miss", "miss"],
    "operation": ["fox", "fox", "big", "miss"],
}


@pytest.mark.parametrize("level", LEVELS)
def test_level_says_how_alike_call_and_recording_must_be(level: str, play: Play) -> None:
    big = {**FOX, "prompt": "A hare", "size": "1536x1536"}
    player = play(recording_of(FOX, '"fox"'), recording_of(big, '"big"'), replay_match=level)
    bodies: list[dict[str, Any]] = [
        {**FOX, "n": 1},
        {**FOX, "size": "1536x1024"},
        {**FOX, "prompt": "A snail", "size": "1536x1536"},
        {**FOX, "stream": True},
    ]
    answers = [asked(player, body) for body in bodies]
    assert [each.strip('"') if each[0] == '"' else "miss" for each in answers] == LEVELS[level]


@pytest.mark.parametrize("level", ["prompt", "operation"])
@pytest.mark.parametrize("is_large", [False, True])
def test_recorded_error_answers_a_loose_call_only_where_nothing_else_does(
    level: str, is_large: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_large:
        monkeypatch.setattr("images_emulator.state.replay.MAX_PRELOADED_RECORDINGS", 1)
    folder = RecordingFolder(tmp_path)
    wide = {**FOX, "size": "1536x1024"}
    refused = replace(recording_of({**FOX, "quality": "high"}), response=answer('"429"', 429))
    for recording in (refused, recording_of(wide, '"wide"'), replace(refused, error="")):
        folder.add(recording)
    prompt = "A red fox" if level == "prompt" else "A snail"
    with Server(replay=tmp_path, replay_match=level, on_miss="refuse", delay=False) as player:
        assert asked(player, {**FOX, "prompt": prompt}) == '"wide"'
        assert asked(player, {**FOX, "quality": "high"}) == '"429"'


# --- the conditions of a call


def test_recording_of_one_day_answers_calls_of_that_day(play: Play) -> None:
    player = play(recording_of(FOX, "1", as_of="2026-06-01"), recording_of(FOX, "2"))
    later = recording_of(FOX, "3", as_of="2026-07-01")
    for day, text in (("2026-06-01", b"1"), ("2026-05-05", b"2")):
        played = answer_of(sent_by(player, later, x_emulator_as_of=day))
        assert played.body == text
    assert asked(play(later), FOX).startswith("no recording is of")


@pytest.mark.parametrize(
    "condition",
    [{"settings": {"validation": "lenient"}}, {"broken": True}, {"authorised": False}],
    ids=str,
)
def test_recording_of_other_conditions_is_not_played(play: Play, condition: Any) -> None:
    assert asked(play(recording_of(FOX, "1", **condition)), FOX).startswith("no recording is of")


@pytest.mark.parametrize(
    "settings",
    [{"validation": "lenient"}, {"deployment": ["my=gpt-image-2"]}, {"max_body": "1MiB"}],
    ids=str,
)
def test_recording_of_the_settings_of_the_server_is_played(
    play: Play, settings: dict[str, Any]
) -> None:
    recording = recording_of(FOX, "1", settings=settings)
    assert asked(play(recording, **settings), FOX) == "1"


# --- addresses


def test_query_without_its_keys_is_compared(play: Play) -> None:
    player = play(recording_of(None, "1", "/v1/files?limit=2&after=a&api_key=redacted"))
    for query, text in (("after=a&limit=2", b"1"), ("limit=2&after=a&api_key=x", b"1")):
        played = answer_to(player.url, "GET", f"/v1/files?{query}")
        assert played.body == text
    missed = answer_to(player.url, "GET", "/v1/files?limit=3&after=a")
    assert "query limit '3' is not '2'" in dict(missed.headers)["x-emulator-notice"]


def test_openai_recording_does_not_answer_azure(play: Play) -> None:
    player = play(recording_of({**FOX, "model": "gpt-image-1", "size": "1024x1024"}))
    target = "/openai/v1/images/generations"
    assert asked(player, {**FOX, "model": "gpt-image-1"}, target).startswith("no recording is of")


def test_azure_deployment_has_the_model_of_the_settings(play: Play) -> None:
    path = "/openai/deployments/{}/images/generations?api-version={}"
    body = {"prompt": "A fox"}
    recording = recording_of(body, "1", path.format("mine", "2025-04-01-preview"))
    player = play(recording, deployment=["mine=gpt-image-1", "yours=gpt-image-1"])
    played = asked(player, body, path.format("yours", "2025-04-01-preview"))
    assert played == "1"
    # Without the settings the two names are two deployments.
    played = asked(play(recording), body, path.format("yours", "2025-04-01-preview"))
    assert "deployment 'yours' is not 'mine'" in played


# --- the exchanges of this repository

EXCHANGES = (
    "accepted-2025-05",
    "accepted-edit-image-array",
    "azure-gpt-image-1",
    "azure-n-zero",
    "edits-form-no-mimetype",
    "edits-form-svg-by-name",
    "form-no-boundary",
    "form-wrong-boundary",
    "generations-content-type-form",
    "generations-content-type-none",
    "generations-content-type-text",
    "generations-n-eleven",
)
"""Exchanges that are like others but for what decides their answers."""


@pytest.fixture(scope="module")
def exchanges(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that plays `EXCHANGES`."""
    folder = tmp_path_factory.mktemp("exchanges")
    for name in EXCHANGES:
        shutil.copy(FOLDER / f"{name}.json", folder)
    with Server(replay=folder, on_miss="refuse") as server:
        yield server


@pytest.mark.parametrize("name", EXCHANGES)
def test_described_exchange_answers_its_own_call(name: str, exchanges: Server) -> None:
    exchanges.reset()
    recording = read_recording(FOLDER / f"{name}.json")
    headers = {"api_key": KEY} if name.startswith("azure") else {}
    if recording.as_of:
        headers["x_emulator_as_of"] = recording.as_of
    answered = answer_of(sent_by(exchanges, recording, **headers))
    (call,) = exchanges.requests
    assert call.recording == name
    assert not [*answer_differences(recording, answered)]

"""Replay: recordings of one emulator, played by another, byte for byte."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import current_thread
from typing import Any

import httpx2
import openai
import pytest

from images_emulator import Emulator, Server, Settings
from images_emulator.contract.request import ImageRequest
from images_emulator.recordings.folder import RecordingFolder, read_recording
from images_emulator.recordings.recording import RecordedDownload, Recording
from images_emulator.recordings.recording_source import MemoryRecordings
from images_emulator.state.memory_store import MemoryStore
from images_emulator.state.replay import Replay
from images_emulator.state.store import Store
from tests.conftest import KEY
from tests.pictures import png
from tests.replays import (
    CALLS,
    FOX,
    GENERATIONS,
    Play,
    asked,
    differences,
    openai_client,
    playing,
    recorded,
    recording_of,
    sent_by,
)
from tests.wire import answer_to, exchange

play = pytest.fixture(playing)

DEPLOYMENT = "/openai/deployments/gpt-image-2/images/generations"


@pytest.mark.parametrize("name", CALLS)
def test_recording_is_played_byte_for_byte(name: str, server: Server, play: Play) -> None:
    recording = recorded(server, **CALLS[name])
    player = play(recording)
    headers = {"api_key": KEY} if "api_key" in CALLS[name] else {}
    played = sent_by(player, recording, **headers)
    assert not list(differences(played, recording))
    (call,) = player.requests
    assert call.recording == "0001"
    assert call.status == (recording.response.status if recording.response else None)
    assert not call.near_misses


# --- recordings beside keys, faults and steps


def test_miss_is_refused_in_words_of_the_emulator(play: Play) -> None:
    player = play(recording_of(FOX), on_miss="refuse")
    with (
        openai_client(player, max_retries=2) as client,
        pytest.raises(openai.NotFoundError) as info,
    ):
        client.images.generate(model="gpt-image-2", prompt="A red fox", size="1536x1024")
    assert info.value.code == "no_recording"
    assert "in the nearest, '0001', size '1536x1024' is not '1024x1024'" in info.value.message
    assert len(player.requests) == 1
    assert player.requests[0].error_code == "no_recording"
    assert str(player.requests[0].recording_miss) in info.value.message


def test_call_without_an_accepted_key_uses_up_no_recording(play: Play) -> None:
    player = play(recording_of(FOX, "1"), recording_of(FOX, "2"), api_key=[KEY])
    refused = answer_to(player.url, "POST", GENERATIONS, FOX, Authorization="Bearer sk-x")
    assert refused.status == 401
    assert asked(player, FOX) == "1"


def test_fault_applies_to_a_recorded_answer(play: Play) -> None:
    player = play(recording_of(FOX, '{"data": []}'))
    player.inject("malformed")
    assert asked(player, FOX) != '{"data": []}'
    player.inject("server_error")
    assert "server had an error" in asked(player, FOX)
    assert asked(player, FOX) == '{"data": []}'
    assert [call.fault for call in player.requests] == ["malformed", "server_error", None]


@pytest.mark.parametrize("on_miss", ["emulate", "refuse"])
def test_own_answer_of_a_step_goes_before_recordings(play: Play, on_miss: str) -> None:
    player = play(recording_of(FOX, "recorded"), on_miss=on_miss)
    assert asked(player, FOX) == "recorded"
    player.answer(raw={"body": "own"}, match={"prompt": "red"}, times=2)
    assert [asked(player, FOX) for _ in range(3)] == ["own", "own", "recorded"]
    player.answer(raw={"body": "own"}, match={"prompt": "ship"})
    assert asked(player, FOX | {"prompt": "a ship"}) == "own"


def test_own_answer_of_a_step_goes_before_recordings_of_a_call_that_is_forgiven(play: Play) -> None:
    loose = {**FOX, "size": "7x7"}
    player = play(recording_of(loose, "recorded"), validation="lenient")
    player.answer(raw={"body": "own"}, match={"prompt": "red"}, times=1)
    assert [asked(player, loose) for _ in range(2)] == ["own", "recorded"]
    assert [call.prompt for call in player.requests] == [FOX["prompt"]] * 2


@pytest.mark.parametrize("on_miss", ["emulate", "refuse"])
def test_recording_answers_a_call_whose_step_lets_it_meet_no_answer(
    play: Play, on_miss: str
) -> None:
    # What recordings answer does not count.
    player = play(recording_of(FOX, "recorded"), on_miss=on_miss, rate_limit="3/hour")
    step = {"answer": {"raw": {"body": "own"}}, "match": {"model": FOX["model"]}, "after": 5}
    player.begin_scenario({"steps": [step]})
    ship = FOX | {"prompt": "a ship"}
    assert [asked(player, FOX) for _ in range(4)] == ["recorded"] * 4
    missed = answer_to(player.url, "POST", GENERATIONS, ship)
    assert missed.status == (404 if on_miss == "refuse" else 200)
    assert [asked(player, each) for each in (FOX, ship)] == ["own", "own"]
    assert [call.recording for call in player.requests] == [*["0001"] * 4, None, None, None]
    assert player.requests[4].recording_miss


@pytest.mark.parametrize("validation", ["strict", "lenient"])
def test_journal_shows_the_recorded_answer_to_a_call_that_the_rules_of_its_day_refuse(
    server: Server, play: Play, validation: str
) -> None:
    mini = {**FOX, "model": "gpt-image-1-mini"}
    recording = recorded(server, target=GENERATIONS, body=mini)
    player = play(recording, validation=validation)
    sent_by(player, recording, x_emulator_as_of="2023-12-01")
    (call,), (original,) = player.requests, server.requests
    assert (call.model, call.price_usd) == ("gpt-image-1-mini", original.price_usd)
    assert call.pictures == original.pictures


def test_journal_lists_a_recorded_answer_to_a_model_that_nobody_knows(play: Play) -> None:
    item = {"b64_json": base64.b64encode(png()).decode()}
    player = play(recording_of({"model": "unknown", "prompt": "x"}, json.dumps({"data": [item]})))
    asked(player, {"model": "unknown", "prompt": "x"})
    (call,) = player.requests
    assert (list(call.image_indexes), list(call.pictures)) == ([0], [])
    assert httpx2.get(f"{player.url}/_emulator/requests").status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", GENERATIONS),
        ("PUT", GENERATIONS),
        ("POST", f"{DEPLOYMENT}?api-version=2020-01-01"),
        ("POST", DEPLOYMENT),
        ("GET", f"{DEPLOYMENT}?api-version=2025-04-01-preview"),
    ],
)
def test_call_that_no_endpoint_serves_uses_up_no_own_answer(
    play: Play, method: str, path: str
) -> None:
    player = play(recording_of(FOX, "recorded"))
    player.answer(raw={"body": "own"}, times=1)
    exchange(player.url, method, path, FOX)
    assert player.requests[0].own_answer is None
    assert asked(player, FOX) == "own"


@pytest.mark.not_on_redis("a shared one takes no functions")
def test_failed_function_of_an_own_answer_is_named_in_the_journal(play: Play) -> None:
    def fail(request: ImageRequest, index: int) -> Any:
        raise ValueError("no paint")

    player = play(recording_of(FOX, "recorded"))
    player.answer(fail)
    refused = answer_to(player.url, "POST", GENERATIONS, FOX)
    (call,) = player.requests
    assert (call.own_answer, "no paint" in refused.body.decode()) == ("function fail", True)


def test_call_that_the_rules_of_its_day_refuse_meets_no_own_answer(play: Play) -> None:
    player = play(recording_of(FOX, "recorded"))
    player.answer(raw={"body": "own"}, times=1)
    past = {"x-emulator-as-of": "2025-01-01"}
    assert answer_to(player.url, "POST", GENERATIONS, FOX, **past).body == b"recorded"
    assert [asked(player, FOX) for _ in range(2)] == ["own", "recorded"]


def test_recorded_call_shows_why_it_met_no_own_answer(play: Play) -> None:
    player = play(recording_of(FOX, "recorded"))
    player.answer(raw={"body": "own"}, match={"prompt": "ship"})
    assert asked(player, FOX) == "recorded"
    (call,) = player.requests
    assert ([each.kind for each in call.near_misses], call.recording) == (["prompt"], "0001")


def test_directive_is_no_part_of_the_prompt(play: Play) -> None:
    player = play(recording_of(FOX, '"fox"'))
    body = {**FOX, "prompt": "A red fox [[emulator: latency;seconds=0]]"}
    assert asked(player, body) == '"fox"'
    assert asked(player, FOX) == '"fox"'


def test_web_page_of_another_origin_reads_a_recorded_answer(play: Play) -> None:
    player = play(recording_of(FOX, "1"))
    played = answer_to(player.url, "POST", GENERATIONS, FOX, Origin="http://x.example")
    assert [name for name, _ in played.headers].count("access-control-allow-origin") == 1


# --- folders


def test_recordings_of_a_folder_are_played(server: Server, tmp_path: Path) -> None:
    folder = RecordingFolder(tmp_path)
    recordings = [recorded(server, **CALLS[name]) for name in ("three", "mask", "stream cut")]
    names = [folder.add(recording).stem for recording in recordings]
    with Server(replay=tmp_path, delay=False) as player:
        for recording in recordings:
            assert not list(differences(sent_by(player, recording), recording))
        assert [call.recording for call in player.requests] == names


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (None, "replay: .*: No such file or directory"),
        ({}, "replay: .*: there is no recording in it$"),
        ({"0001-fox.json": "{\n}"}, r"0001-fox.json:1: .*"),
    ],
    ids=["missing", "empty", "mistake"],
)
def test_folder_without_good_recordings_is_an_error(
    tmp_path: Path, files: dict[str, str] | None, sentence: str
) -> None:
    folder = tmp_path / "recordings"
    if files is not None:
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
    with pytest.raises(ValueError, match=sentence):
        Emulator(Settings(replay=str(folder)))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"speed": 0}, "speed must be a number above 0, not 0"),
        ({"speed": "fast"}, "speed: expected a number, not 'fast'"),
        ({"on_miss": "ignore"}, "on_miss: expected 'emulate', 'refuse' or 'record', not 'ignore'"),
        ({"replay_match": "x"}, "replay_match: expected 'exact', .* or 'operation', not 'x'"),
    ],
)
def test_setting_of_replay_that_is_none_is_an_error(settings: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Settings(**settings)


def test_refusal_of_misses_without_recordings_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^on_miss: 'refuse' needs the setting 'replay'$"):
        Settings(on_miss="refuse")


def in_large_folder(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Recording:
    """A recording in *folder*, which is read as late as one with hundreds."""
    monkeypatch.setattr("images_emulator.state.replay.MAX_PRELOADED_RECORDINGS", 0)
    recording = recorded(server, **CALLS["generation"])
    RecordingFolder(folder).add(recording)
    return recording


def test_large_folder_is_read_beside_the_start(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = in_large_folder(server, tmp_path, monkeypatch)
    emulator = Emulator(Settings(replay=str(tmp_path), delay=False))
    assert emulator.replay
    assert not emulator.replay.is_prepared
    with Server(emulator=emulator) as player:
        assert not list(differences(sent_by(player, recording), recording))


def test_recordings_that_could_not_be_read_for_a_moment_are_read_at_a_later_call(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = in_large_folder(server, tmp_path, monkeypatch)
    emulator = Emulator(Settings(replay=str(tmp_path), delay=False, on_miss="refuse"))
    assert emulator.replay
    read, errors = emulator.replay._read, [OSError(24, "Too many open files")]

    def failing() -> Any:
        if errors:
            raise errors.pop()
        return read()

    emulator.replay._read = failing
    with pytest.raises(OSError, match="Too many open files"):
        emulator.replay.prepare()
    # The calls of the next second do not read again.
    emulator.replay.prepare()
    assert "Too many open files" in emulator.replay.failure
    emulator.replay._shared.retry_at = 0
    with Server(emulator=emulator) as player:
        assert not list(differences(sent_by(player, recording), recording))
    assert not emulator.replay.failure


def test_large_folder_with_a_mistake_says_so_at_each_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images_emulator.state.replay.MAX_PRELOADED_RECORDINGS", 0)
    (tmp_path / "0001-fox.json").write_text("{")
    with Server(replay=tmp_path, on_miss="refuse", api_key=[KEY]) as player:
        refused = json.loads(asked(player, FOX))
        assert f"the recordings cannot be read: {tmp_path}/0001-fox.json:1" in str(refused)
        stranger = answer_to(player.url, "POST", GENERATIONS, FOX, Authorization="Bearer sk-x")
        assert stranger.status == 401


def test_large_folder_with_a_mistake_hosts_no_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images_emulator.state.replay.MAX_PRELOADED_RECORDINGS", 0)
    picture = RecordedDownload("http://x.example/private/a.png", 200, (), png())
    RecordingFolder(tmp_path).add(replace(recording_of(FOX), downloads=(picture,)))
    (tmp_path / "0002-bad.json").write_text("{")
    with Server(replay=tmp_path) as player:
        answer_to(player.url, "POST", GENERATIONS, FOX)
        assert httpx2.get(f"{player.url}/private/a.png").status_code == 409


def test_file_of_a_recording_that_is_gone_is_a_miss(server: Server, tmp_path: Path) -> None:
    recording = recorded(server, **CALLS["three"])
    RecordingFolder(tmp_path).add(recording)
    with Server(replay=tmp_path, delay=False) as player:
        for file in (tmp_path / "files").iterdir():
            file.unlink()
        body = {**FOX, "n": 3}
        assert "cannot be played: 0001-generations-a-red-fox: response.body" in asked(player, body)


@pytest.mark.parametrize("reads", ["a call", "a picture"])
def test_files_of_recordings_are_not_read_on_the_event_loop(
    reads: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images_emulator.state.replay.MAX_PRELOADED_RECORDINGS", 0)
    body = {"model": "dall-e-3", "prompt": "A fox", "response_format": "url"}
    recording = recorded(server, target=GENERATIONS, body=body)
    RecordingFolder(tmp_path).add(recording)
    threads = []

    def read(path: Path) -> Recording:
        threads.append(current_thread().name)
        return read_recording(path)

    monkeypatch.setattr("images_emulator.recordings.recording_source.read_recording", read)
    with Server(replay=tmp_path, delay=False, on_miss="refuse") as player:
        if reads == "a picture":
            (download,) = sent_by(player, recording).downloads
            assert download.status == 200
        else:
            assert answer_to(player.url, "POST", GENERATIONS, {**body, "n": 2}).status == 404
    assert threads
    assert all(name.startswith("background") for name in threads)


def test_pictures_of_a_recording_are_known_before_it_answers(play: Play) -> None:
    player = play()
    replay = player.emulator.replay
    assert replay
    noted: list[bool] = []
    note = replay._shared.note_hosted

    def note_and_look(position: int, recording: Recording) -> None:
        note(position, recording)
        noted.append(replay.has_pictures(position) and position not in replay.index.names)

    replay.index._on_playable = note_and_look
    replay.add(replace(recording_of(FOX), downloads=(RecordedDownload("http://x/a.png"),)))
    assert noted == [True]


# --- stores


def replays_of(store: Store, *folders: Sequence[str]) -> list[Replay]:
    """Replays as processes that share *store* have them. Each has read recordings of the names
    that one of *folders* has."""

    def replay(names: Sequence[str]) -> Replay:
        recordings = MemoryRecordings(replace(recording_of(FOX), name=name) for name in names)
        made = Replay(lambda: recordings, Settings(), store, {}, lambda identity: None)
        made.prepare()
        return made

    return [*map(replay, folders)]


async def test_recordings_are_counted_in_the_store(store: Store) -> None:
    """Processes that share a store play each recording once."""
    one, other = replays_of(store, *[["1", "2", "3"]] * 2)
    places = (0, 1, 2)
    assert await one.claim_next(places) == 0
    assert await other.claim_next(places) == 1
    assert await one.claim_next(places) == 2
    assert await other.claim_next(places) == 2
    await other.reset()
    assert await one.claim_next(places) == 0


async def test_recordings_are_counted_by_their_files_whenever_a_process_read_the_folder(
    store: Store,
) -> None:
    """The names have characters that a key in Redis cannot have."""
    one, other = replays_of(store, ["2 fox\udcff", "3 é\n"], ["1 ship", "2 fox\udcff", "3 é\n"])
    assert await other.claim_next((0,)) == 0
    assert await one.claim_next((0, 1)) == 0
    assert await other.claim_next((1, 2)) == 2
    assert await one.claim_next((0, 1)) == 1


async def test_a_call_during_a_reset_is_none_of_those_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (replay,) = replays_of(MemoryStore(), ["1", "2"])
    clear, during = replay._counters.clear, []

    async def clear_after_a_call() -> None:
        during.append(await replay.claim_next([0, 1]))
        await clear()

    monkeypatch.setattr(replay._counters, "clear", clear_after_a_call)
    assert await replay.claim_next([0, 1]) == 0
    await replay.reset()
    assert during == [1]
    assert [await replay.claim_next([0, 1]) for _ in range(3)] == [0, 1, 1]

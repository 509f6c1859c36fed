"""Drift: requests of recordings are sent to a server, and what it answers otherwise is told."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import httpx2
import pytest

from images_emulator import Server, Settings
from images_emulator.cli.command_line import main
from images_emulator.contract.http_headers import HeaderPairs
from images_emulator.recordings.drift import (
    MAX_ATTEMPTS,
    DriftResult,
    answer_of,
    drift,
    reason_to_skip,
)
from images_emulator.recordings.folder import RecordingFolder, read_folder
from images_emulator.recordings.recording import (
    RecordedPart,
    RecordedRequest,
    RecordedResponse,
    Recording,
)
from images_emulator.recordings.upstream_address import UpstreamAddress
from tests.documents import BLOCKS

KEY = "sk-drift"
TODAY = date(2026, 11, 26)
GENERATIONS = "/v1/images/generations"
JSON = ("content-type", "application/json")

EXCHANGES = Path(__file__).parent.parent / "fixtures" / "exchanges"

COMPARED = {
    *("edits-form-mask-size", "edits-json-images-empty", "files-purpose-missing"),
    *("generations-model-null", "json-truncated", "key-missing", "key-wrong-long"),
    *("method-delete", "models-unknown", "unknown-image-path"),
}
NOT_COMPARED = {
    "accepted-gpt-image-2-low": "it costs money",
    "body-too-large": "only an emulator has the setting max_body",
    "broken-generation": "only an emulator can be broken",
    "dated-key-missing": "it is the answer of another day",
    "header-as-of-bogus": "only an emulator has the header x-emulator-as-of",
    "not-served-responses": "it is a sentence of the emulator's own",
    "unknown-root": "its path is outside of /v1",
    "variations-form-n": "dall-e-2 was shut down",
}
"""Some of the project's exchanges, and why they are skipped."""


def sent(body: Any, target: str = GENERATIONS, method: str = "POST") -> RecordedRequest:
    data = b"" if body is None else json.dumps(body).encode()
    return RecordedRequest(method=method, target=target, headers=(JSON,), body=data)


def answered(
    status: int = 400, body: bytes = b"{}", headers: HeaderPairs = (JSON,)
) -> RecordedResponse:
    return RecordedResponse(status=status, headers=headers, parts=(RecordedPart(0.0, body),))


REFUSED = Recording(request=sent({"prompt": ""}), response=answered())

CALLS = {
    "refused": sent({"model": "gpt-image-2", "prompt": "", "n": 0}),
    "unknown-model": sent({"model": "no-such-model", "prompt": "A fox"}),
    "no-such-file": sent(None, "/v1/files/file-none", "GET"),
    "models": sent(None, "/v1/models", "GET"),
    "drawn": sent(
        {"model": "gpt-image-2", "prompt": "A fox", "size": "1024x1024", "quality": "low"}
    ),
    "streamed": sent(
        {
            "model": "gpt-image-2",
            "prompt": "A fox",
            "quality": "low",
            "stream": True,
            "partial_images": 1,
        }
    ),
}


@pytest.fixture(scope="module")
def recorded() -> dict[str, Recording]:
    """The exchanges of `CALLS` with an emulator."""
    recordings = {}
    with Server(Settings(port=0)) as server, httpx2.Client(timeout=60) as client:
        upstream = UpstreamAddress(url=server.url, key="sk-recorded")
        for name, request in CALLS.items():
            recording = Recording(request=request, response=None, name=name)
            response = answer_of(recording, upstream, client)
            recordings[name] = replace(recording, response=response)
    return recordings


@pytest.fixture(scope="module")
def folder(recorded: dict[str, Recording], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("drift")
    for recording in recorded.values():
        RecordingFolder(path).add(recording)
    return path


def outcomes(
    recordings: Sequence[Recording], server: Server, *, costs: bool = True
) -> list[DriftResult]:
    return [*drift(recordings, UpstreamAddress(server.url, KEY), costs=costs)]


def test_a_second_emulator_has_no_drift(recorded: dict[str, Recording], server: Server) -> None:
    found = outcomes([*recorded.values()], server)
    assert [each.recording.name for each in found] == [*CALLS]
    assert [str(each.differences or each.failure or each.skip_reason) for each in found] == [
        "",
        *[""] * 5,
    ]


@pytest.mark.slow
def test_the_exchanges_of_the_project_have_no_drift_at_a_second_emulator() -> None:
    """Also those that refuse a key or a method, or are no JSON."""
    with Server(Settings(port=0, api_key=(KEY,))) as server:
        found = outcomes(read_folder(EXCHANGES), server, costs=False)
    assert not [f"{each.recording.name}: {each}" for each in found if each.differences]
    assert not [each.failure for each in found if each.failure]
    assert {each.recording.name for each in found if each.is_same} >= COMPARED
    reasons = {each.recording.name: each.skip_reason for each in found}
    assert {name: reasons[name] for name in NOT_COMPARED} == NOT_COMPARED


def test_what_costs_money_is_not_asked_for(recorded: dict[str, Recording], server: Server) -> None:
    found = outcomes([*recorded.values()], server, costs=False)
    skipped = [each.recording.name for each in found if each.skip_reason == "it costs money"]
    assert skipped == ["drawn", "streamed"]
    assert len(server.requests) == len(CALLS) - 2


def test_an_emulator_of_another_day_says_what_it_answers_otherwise(
    recorded: dict[str, Recording],
) -> None:
    with Server(Settings(port=0, as_of="2025-05-01")) as server:
        found = {
            each.recording.name: each.differences for each in outcomes([*recorded.values()], server)
        }
    assert not found["no-such-file"]
    assert [each.kind for each in found["drawn"]] == ["status"]
    models = [each for each in found["models"] if each.kind == "item"]
    assert {each.where for each in models} == {"body.data"}
    assert "'gpt-image-2'" in str(models) or '"gpt-image-2"' in str(models)


def test_the_command_prints_differences_and_their_kinds(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Server(Settings(port=0)) as server:
        server.inject("organization_must_be_verified", times=4)
        arguments = ["drift", str(folder), "--upstream", f"{server.url}/v1", "--api-key", KEY]
        assert main([*arguments, "--only", "*-generations-*", "--costs"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("0001-generations-400: status: 403 (Your organization must be ")
    assert lines[0].endswith("), recorded 400")
    assert lines[-4:] == [
        "0 as recorded, 4 otherwise",
        "differences:",
        "      4  status",
        "          4  status",
    ]


def test_without_a_key_the_command_says_so_before_it_calls(
    folder: Path,
    server: Server,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    arguments = ["drift", str(folder), "--upstream", server.url]
    ways = (
        "give it as --api-key, or in the variable IMAGES_EMULATOR_UPSTREAM_API_KEY or "
        "OPENAI_API_KEY"
    )
    for dummy in (
        "",
        "; sk-test in OPENAI_API_KEY is the emulator's, and is not sent to others",
    ):
        if dummy:
            monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        with pytest.raises(SystemExit) as raised:
            main(arguments)
        assert raised.value.code == 2
        assert f"no key to send to {server.url}: {ways}{dummy}\n" in capsys.readouterr().err
    assert not server.requests


def test_recordings_that_are_sent_without_the_key_need_none(
    recorded: dict[str, Recording],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with Server(Settings(port=0, api_key=(KEY,))) as server, httpx2.Client() as client:
        call = replace(recorded["models"], response=None, authorised=False)
        answer = answer_of(call, UpstreamAddress(server.url), client)
        RecordingFolder(tmp_path).add(replace(call, response=answer))
        RecordingFolder(tmp_path).add(recorded["drawn"])
        arguments = ["drift", str(tmp_path), "--upstream", server.url]
        assert main(arguments) == 0
        with pytest.raises(SystemExit):
            main([*arguments, "--costs"])
    assert answer.status == 401
    assert capsys.readouterr().out.startswith("1 as recorded, 1 skipped\n")


def test_a_refused_key_is_told_once_and_is_no_drift(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Server(Settings(port=0, api_key=("sk-other",))) as server:
        arguments = ["drift", str(folder), "--upstream", server.url, "--api-key", KEY]
        assert main([*arguments, "--costs"]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["0 as recorded, 6 not compared, as the key was refused", "key refused:"]
    assert lines[2].startswith("      6  Incorrect API key provided: ")
    assert len(lines) == 3


def test_a_key_that_is_refused_for_some_calls_hides_no_drift(
    folder: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """As one is without the rights for them."""
    server.inject("invalid_api_key", times=None, match={"path": "*/models"})
    arguments = ["drift", str(folder), "--upstream", server.url, "--api-key", KEY]
    assert main(arguments) == 2
    assert capsys.readouterr().out.startswith("3 as recorded, 1 not compared, as the key")
    server.inject("organization_must_be_verified", times=None, match={"path": "*/files/*"})
    assert main(arguments) == 1
    assert "2 as recorded, 1 otherwise, 1 not compared" in capsys.readouterr().out


def test_the_command_says_what_it_has_skipped(
    folder: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["drift", str(folder), "--upstream", server.url, "--api-key", KEY]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "4 as recorded, 2 skipped",
        "skipped:",
        "      2  it costs money; --costs sends it",
    ]


def test_a_folder_of_which_all_is_skipped_is_no_success(
    folder: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["drift", str(folder), "--upstream", server.url, "--api-key", KEY]
    assert main([*arguments, "--only", "0005-*"]) == 1
    assert capsys.readouterr().out.startswith("0 as recorded, 1 skipped\n")
    with pytest.raises(SystemExit):
        main(["drift", "--help"])
    assert "1 otherwise, also where every exchange was skipped." in " ".join(
        capsys.readouterr().out.split()
    )


@pytest.mark.parametrize(
    ("patterns", "count"),
    [
        (["*.json"], 4),
        (["0004-models.json"], 1),
        (["0004-models"], 1),
        (["0001-*", "*-models.json"], 2),
        (["*-models.*", "0004-*"], 1),
    ],
)
def test_exchanges_are_chosen_by_their_file_names_with_the_suffix_or_without(
    patterns: Sequence[str],
    count: int,
    folder: Path,
    server: Server,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["drift", str(folder), "--upstream", server.url, "--api-key", KEY]
    assert main([*arguments, *(f"--only={pattern}" for pattern in patterns)]) == 0
    assert capsys.readouterr().out.startswith(f"{count} as recorded")


def test_the_command_reports_as_json(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    arguments = ["drift", str(folder), "--format", "json", "--upstream"]
    with Server(Settings(port=0, api_key=(KEY,))) as server:
        assert main([*arguments, server.url]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "same": 4,
        "different": 0,
        "failed": 0,
        "key_refused": {},
        "skipped": {"it costs money": 2},
        "differences": {},
        "exchanges": [],
    }
    with Server(Settings(port=0, api_key=("sk-other",))) as other:
        assert main([*arguments, other.url, "--only", "*models*"]) == 2
        (count,) = json.loads(capsys.readouterr().out)["key_refused"].values()
        assert count == 1
    with Server(Settings(port=0)) as other:
        other.inject("organization_must_be_verified")
        assert main([*arguments, other.url, "--only", "*models*"]) == 1
    report = json.loads(capsys.readouterr().out)
    (exchange,) = report["exchanges"]
    assert report["differences"] == {"status": {"status": 1}}
    (difference,) = exchange["differences"]
    assert difference.keys() == {"kind", "where", "actual", "recorded"}
    assert (exchange["name"], difference["kind"]) == ("0004-models", "status")


def test_the_guide_shows_what_the_command_prints(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that says it in another sentence is one whose sentence was recorded otherwise."""
    upstream = UpstreamAddress(url=server.url, key=KEY)
    bodies = ({"prompt": "A fox"}, {"prompt": "A fox", "n": 0}, {"prompt": "A fox", "size": "x"})
    with httpx2.Client() as client:
        for body in bodies:
            call = Recording(request=sent({"model": "gpt-image-2"} | body), response=None)
            response = answered(200)
            if len(body) > 1:
                response = answer_of(call, upstream, client)
            RecordingFolder(tmp_path).add(replace(call, response=response))
    (shown,) = [block.text for block in BLOCKS if block.title == "drift"]
    actual, recorded = re.findall(r'(?:message:|recorded) "(.*?)"', shown)
    path = tmp_path / "0002-generations-400-a-fox.json"
    path.write_text(path.read_text().replace(recorded, actual))
    assert main(["drift", str(tmp_path), "--upstream", server.url, "--api-key", KEY]) == 1
    swapped = shown.replace(actual, "<>").replace(recorded, actual).replace("<>", recorded)
    assert capsys.readouterr().out == swapped


def test_a_server_that_cannot_be_reached_is_a_failure(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["drift", str(folder), "--upstream", "http://127.0.0.1:9", "--only", "*models*"]
    assert main([*arguments, "--api-key", KEY]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("0004-models: no answer: ")
    assert lines[1] == "0 as recorded, 1 failed"


WRONG = {
    "no folder": (["{}/none", "--upstream", "http://x"], 1, "No such file or directory"),
    "nothing": (
        ["{}", "--upstream", "http://x", "--only", "a", "--only", "b"],
        1,
        "that matches a or b",
    ),
    "no URL": (["{}", "--upstream", "api.openai.com"], 2, "expected the URL of an API, such as"),
    "timeout": (["{}", "--upstream", "http://x", "--timeout", "0"], 2, "must be above 0"),
    "number": (["{}", "--upstream", "http://x", "--concurrency", "0"], 2, "must be above 0"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_are_told(
    case: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, status, sentence = WRONG[case]
    with pytest.raises(SystemExit) if status == 2 else pytest.MonkeyPatch.context():
        assert main(["drift", *(each.format(folder) for each in arguments)]) == status
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("format", ["text", "json"])
def test_an_answer_of_any_characters_can_be_printed(
    format: str, folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = answered(400, b'{"error": {"message": "\\ud800\\u001b[31m", "\\udcff": 1}}')
    monkeypatch.setattr("images_emulator.recordings.drift.answer_of", lambda *_: wrong)
    arguments = ["--upstream", "http://x", "--api-key", KEY]
    arguments += ["--only", "0001-*", "--format", format]
    assert main(["drift", str(folder), *arguments]) == 1
    output = capfd.readouterr().out
    assert "body.error.message" in output
    assert "\x1b" not in output


def test_a_missing_library_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "httpx2", None)
    with pytest.raises(SystemExit):
        main(["drift", str(folder), "--upstream", "http://x", "--api-key", KEY])
    command = "pip install 'openai-images-emulator[record]'"
    assert f"calls of an upstream need an HTTP client: {command}\n" in capsys.readouterr().err


def test_an_exchange_that_is_no_recording_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.json").write_text('{"version": 1}')
    assert main(["drift", str(tmp_path), "--upstream", "http://x"]) == 1
    assert f"{tmp_path}/a.json:1: " in capsys.readouterr().err


SKIPPED = {
    "a success": (
        replace(REFUSED, response=answered(200)),
        "it costs money",
    ),
    "settings": (
        replace(REFUSED, settings={"strict": True}),
        "only an emulator has the setting strict",
    ),
    "broken": (replace(REFUSED, broken=True), "only an emulator can be broken"),
    "its header": (
        replace(REFUSED, request=replace(REFUSED.request, headers=(("X-Emulator-Fault", "x"),))),
        "only an emulator has the header X-Emulator-Fault",
    ),
    "a day": (replace(REFUSED, as_of="2025-04-25"), "it is the answer of another day"),
    "a path": (
        replace(REFUSED, request=sent({}, "/images/edits")),
        "its path is outside of /v1",
    ),
    "its sentence": (
        replace(
            REFUSED, response=answered(404, b'{"error": {"message": "This emulator has none."}}')
        ),
        "it is a sentence of the emulator's own",
    ),
    "too many requests": (
        replace(REFUSED, response=answered(429)),
        "status 429 is that of a moment",
    ),
    "a server's error": (
        replace(REFUSED, response=answered(503)),
        "status 503 is that of a moment",
    ),
    "a file": (
        replace(REFUSED, request=sent(None, "/v1/files/file-1", "DELETE"), response=answered(200)),
        "it is about files of the account",
    ),
    "a wrong key": (
        replace(REFUSED, response=answered(401)),
        "the key that was refused is not recorded",
    ),
    "no answer": (
        replace(REFUSED, response=None, error="refused"),
        "the connection failed when it was recorded",
    ),
    "a cut answer": (
        replace(REFUSED, response=replace(answered(200), end="cut")),
        "the connection failed when it was recorded",
    ),
    "a retired model": (
        replace(REFUSED, request=sent({"model": "dall-e-3", "prompt": "x"})),
        "dall-e-3 was shut down",
    ),
    "a retired endpoint": (
        replace(REFUSED, request=sent({}, "/v1/images/variations")),
        "dall-e-2 was shut down",
    ),
}


@pytest.mark.parametrize("case", SKIPPED)
def test_what_only_the_recorded_server_can_answer_is_skipped(case: str) -> None:
    recording, reason = SKIPPED[case]
    assert reason_to_skip(recording, TODAY, costs=False) == reason


@pytest.mark.parametrize(
    "recording",
    [
        REFUSED,
        replace(REFUSED, request=sent({}, "/openai/deployments/a/images/edits?api-version=1")),
        replace(REFUSED, response=answered(401), authorised=False),
        replace(REFUSED, request=sent(None, "/v1/files/file-1", "GET"), response=answered(404)),
    ],
)
def test_what_any_server_can_answer_is_compared(recording: Recording) -> None:
    assert reason_to_skip(recording, TODAY, costs=False) == ""


def test_a_success_is_compared_where_money_is_no_object() -> None:
    assert reason_to_skip(replace(REFUSED, response=answered(200)), TODAY, costs=True) == ""


# --- what is sent


Answers = Callable[[httpx2.Request], httpx2.Response]


@pytest.fixture
def client() -> Callable[[Answers], httpx2.Client]:
    return lambda answers: httpx2.Client(transport=httpx2.MockTransport(answers))


UPSTREAM = UpstreamAddress(url="https://api.example.com", key=KEY)


@pytest.mark.parametrize(
    ("target", "changes", "expected"),
    [
        (GENERATIONS, {}, {"authorization": f"Bearer {KEY}"}),
        (GENERATIONS, {"authorised": True}, {"authorization": f"Bearer {KEY}"}),
        (
            GENERATIONS,
            {"authorised": False, "refused_key": "fake"},
            {"authorization": "Bearer fake"},
        ),
        (GENERATIONS, {"authorised": False}, {}),
        ("/openai/v1/images/edits?api-version=1", {}, {"api-key": KEY}),
    ],
)
def test_the_key_of_the_upstream_is_sent_in_place_of_the_recorded_one(
    target: str,
    changes: dict[str, Any],
    expected: dict[str, str],
    client: Callable[[Answers], httpx2.Client],
) -> None:
    headers = (
        *(("Authorization", "Bearer sk-rec***ded"), ("api-key", "REDACTED"), ("Cookie", "a=b")),
        *(("Host", "api.openai.com"), ("Content-Length", "999"), ("OpenAI-Organization", "x")),
        *(("X-Client", "kept"), ("content-type", "text/x")),
    )
    request = RecordedRequest(method="POST", target=target, headers=headers, body=b"body")
    seen: list[httpx2.Request] = []

    def answers(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, content=b"{}")

    answer_of(Recording(request=request, response=None, **changes), UPSTREAM, client(answers))
    (actual,) = seen
    assert str(actual.url) == f"https://api.example.com{target}"
    assert actual.content == b"body"
    names = ("authorization", "api-key", "cookie", "openai-organization")
    assert {name: actual.headers[name] for name in names if name in actual.headers} == expected
    assert (actual.headers["host"], actual.headers["content-length"]) == ("api.example.com", "4")
    assert (actual.headers["x-client"], actual.headers["content-type"]) == ("kept", "text/x")


def test_a_request_that_was_one_too_many_is_sent_again(
    client: Callable[[Answers], httpx2.Client],
) -> None:
    replies = iter(
        [
            httpx2.Response(429, headers={"retry-after": "7"}),
            httpx2.Response(429),
            httpx2.Response(400, content=b"{}"),
        ]
    )
    waits: list[float] = []
    answer = answer_of(REFUSED, UPSTREAM, client(lambda _: next(replies)), waits.append)
    assert (answer.status, waits) == (400, [7.0, 4.0])


@pytest.mark.parametrize(("retry_after", "count"), [("0", MAX_ATTEMPTS), ("3600", 1), ("-1", 1)])
def test_a_request_is_not_sent_again_for_ever(
    retry_after: str, count: int, client: Callable[[Answers], httpx2.Client]
) -> None:
    seen: list[httpx2.Request] = []

    def answers(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(429, headers={"retry-after": retry_after})

    assert answer_of(REFUSED, UPSTREAM, client(answers), lambda _: None).status == 429
    assert len(seen) == count


@pytest.mark.parametrize(
    ("base_url", "target"),
    [
        ("https://api.openai.com/v1/", GENERATIONS),
        ("http://127.0.0.1:8080", GENERATIONS),
        ("https://gateway.example/openai/v1", f"/openai{GENERATIONS}"),
    ],
)
def test_the_path_of_a_base_url_is_not_repeated(
    base_url: str, target: str, client: Callable[[Answers], httpx2.Client]
) -> None:
    targets: list[str] = []

    def answers(request: httpx2.Request) -> httpx2.Response:
        targets.append(request.url.path)
        return httpx2.Response(200, content=b"{}")

    answer_of(REFUSED, UpstreamAddress(base_url), client(answers))
    assert targets == [target]


def test_recordings_are_read_back_from_their_folder(
    folder: Path, recorded: dict[str, Recording]
) -> None:
    """What the other tests compare is what was recorded."""
    for read, recording in zip(read_folder(folder), recorded.values(), strict=True):
        assert read.response == recording.response
        assert re.match(r"\d{4}-", read.name)


def test_a_folder_that_is_not_there_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["drift", str(tmp_path / "none"), "--upstream", "http://127.0.0.1:9/v1"]) == 1
    sentence = f"images-emulator: {tmp_path}/none: No such file or directory\n"
    assert capsys.readouterr().err == sentence

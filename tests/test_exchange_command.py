"""`images-emulator exchange`: commands for files of exchanges."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from images_emulator import Server
from images_emulator.admin_client import AdminClient
from images_emulator.cli import exchange_from_journal_command, main
from images_emulator.recordings.folder import RecordingFolder, read_folder, read_recording
from tests.recorded import generation

KEY = "sk-exchanges-0123456789abcdef"


def test_check_counts_the_exchanges_of_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for prompt in ("a", "b"):
        RecordingFolder(tmp_path).add(generation(prompt))
    assert main(["exchange", "check", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "2 exchanges\n"


def test_check_of_a_file_is_of_that_one_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = RecordingFolder(tmp_path).add(generation())
    (tmp_path / "0002-b.json").write_text("{")
    assert main(["exchange", "check", str(path)]) == 0
    assert capsys.readouterr().out == "1 exchange\n"


def test_check_says_all_mistakes_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    RecordingFolder(tmp_path).add(generation())
    (tmp_path / "0002-b.json").write_text('{"version": 1,\n"reqest": {}}')
    (tmp_path / "0003-c.json").write_bytes(b"\xff")
    assert main(["exchange", "check", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert out == "3 exchanges, 2 with mistakes\n"
    assert err.splitlines() == [
        f"{tmp_path}/0002-b.json:1: lacks 'request'",
        f"{tmp_path}/0002-b.json:1: needs one of response, expected, error",
        f"{tmp_path}/0002-b.json:2: reqest: is not known; request is probably meant",
        f"{tmp_path}/0003-c.json:1: is not UTF-8",
    ]


def test_check_says_of_answers_that_no_server_can_send(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They answer no call of `serve --replay`."""
    document = {
        "version": 1,
        "request": {"method": "GET", "target": "/v1/models"},
        "response": {"status": 101, "headers": {"x-a": "€", ":status": "x\n", "TE": "\n"}},
        "downloads": [{"url": "http://x/y", "status": 700, "headers": [["x a", "b"]]}],
    }
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document, indent=0))
    assert main(["exchange", "check", str(path)]) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"{path}:8: response.status: no server answers with the status 101",
        f"{path}:10: response.headers.x-a: header 'x-a' cannot have the value '€'",
        f"{path}:18: downloads[0].status: no server answers with the status 700",
        f"{path}:20: downloads[0].headers[0]: 'x a' is no name of a header",
    ]


def test_check_says_of_a_target_without_a_slash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = {"version": 1, "request": {"method": "GET", "target": "foo"}, "error": "x"}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document, indent=0))
    assert main(["exchange", "check", str(path)]) == 1
    sentence = f"{path}:5: request.target: 'foo' does not begin with a slash\n"
    assert capsys.readouterr().err == sentence


def test_check_notes_files_that_no_exchange_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    RecordingFolder(tmp_path).add(generation())
    (used,) = (tmp_path / "files").iterdir()
    unused = used.with_name("unused.png")
    unused.write_bytes(b"")
    assert main(["exchange", "check", str(tmp_path)]) == 0
    assert capsys.readouterr().err == f"note: {unused}: no exchange names it\n"
    (tmp_path / "0003-c.json").write_text("{")
    assert main(["exchange", "check", str(tmp_path)]) == 1
    assert "note:" not in capsys.readouterr().err, "that one may name it"


def test_check_of_a_file_that_is_not_there_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["exchange", "check", str(tmp_path / "none.json")]) == 1
    sentence = f"images-emulator: {tmp_path}/none.json: No such file or directory\n"
    assert capsys.readouterr().err == sentence


def test_exchange_alone_names_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["exchange"])
    assert end.value.code == 2
    sentence = "images-emulator exchange: expected one of the commands check"
    assert capsys.readouterr().err.startswith(sentence)


# --- from-journal


def draw(server: Server, prompt: str, **fields: Any) -> httpx2.Response:
    body = {"model": "dall-e-2", "prompt": prompt, "size": "256x256"} | fields
    headers = {"Authorization": f"Bearer {KEY}"}
    return httpx2.post(f"{server.base_url}/images/generations", json=body, headers=headers)


def test_from_journal_writes_the_calls_in_their_order(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = [draw(server, "a fox"), draw(server, "a hen", size="1x1"), draw(server, "an owl")]
    httpx2.get(answers[0].json()["data"][0]["url"])
    folder = tmp_path / "exchanges"
    assert main(["exchange", "from-journal", "--url", server.url, "--to", str(folder)]) == 0
    assert capsys.readouterr().out == f"3 exchanges added to {folder}\n"
    recordings = read_folder(folder)
    assert [recording.name for recording in recordings] == [
        "0001-generations-a-fox",
        "0002-generations-400-a-hen",
        "0003-generations-an-owl",
    ]
    for recording, answer in zip(recordings, answers, strict=True):
        assert recording.response
        assert recording.response.body == answer.content
    assert main(["exchange", "check", str(folder)]) == 0
    assert all(KEY.encode() not in file.read_bytes() for file in folder.rglob("*.*"))


def test_from_journal_adds_no_call_twice(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["exchange", "from-journal", "--url", server.url, "--to", str(tmp_path)]
    draw(server, "a fox")
    assert main(arguments) == 0
    draw(server, "a fox")
    capsys.readouterr()
    assert main(arguments) == 0
    assert capsys.readouterr().out == f"1 exchange added to {tmp_path}, 1 already there\n"
    assert len(read_folder(tmp_path)) == 2
    (tmp_path / "0003-x.json").write_text("{")
    assert main(arguments) == 1
    assert "0003-x.json:1: is no JSON" in capsys.readouterr().err


def test_from_journal_takes_filters(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for prompt in ("a fox", "a hen", "a foxglove"):
        draw(server, prompt)
    arguments = ["--url", server.url, "--to", str(tmp_path), "--prompt", "fox"]
    assert main(["exchange", "from-journal", *arguments]) == 0
    assert capsys.readouterr().out == f"2 exchanges added to {tmp_path}\n"


def test_from_journal_reads_page_after_page(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange_from_journal_command, "MAX_LIMIT", 2)
    for number in range(5):
        draw(server, f"{number}")
    assert main(["exchange", "from-journal", "--url", server.url, "--to", str(tmp_path)]) == 0
    assert [each.name[-1] for each in read_folder(tmp_path)] == [*"01234"]


def test_from_journal_ends_at_the_page_whose_first_call_is_dropped_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    get = AdminClient.get

    def get_and_draw(client: AdminClient, path: str, query: Any = None) -> Any:
        answer = get(client, path, query)
        if path == "requests" and "before" not in query:
            for number in range(3):
                draw(server, f"later {number}")
        return answer

    monkeypatch.setattr(exchange_from_journal_command, "MAX_LIMIT", 2)
    monkeypatch.setattr(AdminClient, "get", get_and_draw)
    with Server(journal_entries=4) as server:
        for number in range(4):
            draw(server, f"{number}")
        # The fourth call is left when the files are asked for.
        assert main(["exchange", "from-journal", "--url", server.url, "--to", str(tmp_path)]) == 1
    assert [each.name[-1] for each in read_folder(tmp_path)] == ["3"]


def test_from_journal_names_the_calls_that_are_not_held(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(server, "a fox")
    answer = httpx2.post(f"{server.base_url}/responses", json={})
    assert main(["exchange", "from-journal", "--url", server.url, "--to", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert out == f"1 exchange added to {tmp_path}\n"
    identity = answer.headers["x-request-id"]
    sentence = (
        f"There is no exchange file of request '{identity}': it had a body that was not read."
    )
    assert err == f"{sentence}\n"


def test_a_server_saves_its_exchanges(server: Server, tmp_path: Path) -> None:
    answers = [draw(server, "a fox", response_format="b64_json"), draw(server, "a hen")]
    draw(server, "a hen", size="1x1")
    paths = server.save_exchanges(tmp_path / "recordings", status="2xx")
    recordings = [read_recording(path) for path in paths]
    assert [each.response and each.response.body for each in recordings] == [
        answer.content for answer in answers
    ]
    assert [len(each.downloads) for each in recordings] == [0, 1]


def test_a_streamed_call_is_saved_with_its_partial_images(server: Server, tmp_path: Path) -> None:
    fields = {"model": "gpt-image-2", "size": "1024x1024", "quality": "low", "stream": True}
    answer = draw(server, "a fox", partial_images=2, **fields)
    server.emulator.renderer.cache.clear()
    (path,) = server.save_exchanges(tmp_path)
    response = read_recording(path).response
    assert response
    assert response.body == answer.content
    assert len(response.parts) == 3


def test_a_server_warns_of_a_call_that_is_not_held(server: Server, tmp_path: Path) -> None:
    httpx2.post(f"{server.base_url}/responses", json={})
    with pytest.warns(UserWarning, match=r"req_\w+ had a body that was not read; it is not saved"):
        assert server.save_exchanges(tmp_path) == []


def test_saved_exchanges_are_played_to_the_byte(server: Server, tmp_path: Path) -> None:
    answers = [draw(server, "a fox", response_format="b64_json"), draw(server, "a hen", size="1x1")]
    server.save_exchanges(tmp_path)
    with Server(replay=tmp_path) as player:
        played = [
            draw(player, "a fox", response_format="b64_json"),
            draw(player, "a hen", size="1x1"),
        ]
    assert [each.content for each in played] == [each.content for each in answers]
    assert [each.headers["x-request-id"] for each in played] == [
        each.headers["x-request-id"] for each in answers
    ]

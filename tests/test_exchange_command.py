"""`images-emulator exchange`: commands for files of exchanges."""

from __future__ import annotations

from pathlib import Path

import pytest

from images_emulator.cli import main
from images_emulator.recordings.folder import RecordingFolder
from tests.recorded import generation


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

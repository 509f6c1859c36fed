"""Folders of recordings: names of files, writers side by side, mistakes with their lines."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from images_emulator.recordings.folder import (
    RecordingError,
    RecordingFolder,
    mistakes_in,
    read_folder,
    read_recording,
)
from images_emulator.recordings.recorded_files import FolderFiles, is_inside
from images_emulator.recordings.recording import RecordedRequest, Recording
from tests.recorded import PNG, generation, unhurried


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("recording", "name"),
    [
        (generation("A red fox, é!"), "0001-generations-a-red-fox-e.json"),
        (generation("A red fox", status=429), "0001-generations-429-a-red-fox.json"),
        (generation("赤い狐"), "0001-generations.json"),
        (generation("word " * 40), "0001-generations-word-word-word-word-word-word-word.json"),
        (generation("w" * 99), f"0001-generations-{'w' * 99}"[:53].rstrip("w-") + ".json"),
        (Recording(RecordedRequest("GET", "/v1/models/a?b"), None), "0001-a-failed.json"),
        (Recording(RecordedRequest("GET", "/"), None), "0001-failed.json"),
        (Recording(RecordedRequest("GET", "//[x"), None), "0001-x-failed.json"),
    ],
)
def test_a_file_is_named_for_path_status_and_prompt(
    recording: Recording, name: str, tmp_path: Path
) -> None:
    assert RecordingFolder(tmp_path).add(recording).name == name


def test_recordings_are_read_in_the_order_in_which_they_were_added(tmp_path: Path) -> None:
    folder = RecordingFolder(tmp_path / "new")
    added = [generation(prompt) for prompt in ("z", "a", "m")]
    for recording in added:
        folder.add(recording)
    (tmp_path / "new" / "0003-generations-m.json").rename(tmp_path / "new" / "10000-m.json")
    read = read_folder(tmp_path / "new")
    assert [each.request for each in read] == [each.request for each in added]
    assert [each.name for each in read] == ["0001-generations-z", "0002-generations-a", "10000-m"]


def test_a_later_writer_goes_on_with_the_numbers(tmp_path: Path) -> None:
    RecordingFolder(tmp_path).add(generation())
    (tmp_path / "0007-mine.json").write_text("{}")
    assert RecordingFolder(tmp_path).add(generation()).name.startswith("0008-")


def test_a_claimed_number_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / ".0001-").touch()
    assert RecordingFolder(tmp_path).add(generation()).name.startswith("0002-")


def test_writers_side_by_side_take_different_numbers(tmp_path: Path) -> None:
    folders = [RecordingFolder(tmp_path) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda index: folders[index % 4].add(generation(f"{index}")), range(40)))
    numbers = [name[:4] for name in names(tmp_path) if name.endswith(".json")]
    assert numbers == [f"{number:04}" for number in range(1, 41)]
    assert len(names(tmp_path)) == 41
    assert len(names(tmp_path / "files")) == 1


def test_a_recording_that_has_no_form_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        RecordingFolder(tmp_path).add(generation(extra={"a": b"bytes"}))
    assert names(tmp_path) == ["files"]


def test_a_file_of_other_content_gets_a_longer_name(tmp_path: Path) -> None:
    files = FolderFiles(tmp_path)
    name = files.add([b"one"], ".bin")
    (tmp_path / name).write_bytes(b"another")
    longer = files.add([b"one"], ".bin")
    assert longer.startswith(name.removesuffix(".bin"))
    assert (files.read(longer), files.read(name)) == (b"one", b"another")
    assert files.add([b"one"], ".bin") == longer


def test_bodies_are_made_when_they_are_read(tmp_path: Path) -> None:
    path = RecordingFolder(tmp_path).add(generation())
    recording = read_recording(path)
    (tmp_path / "files" / names(tmp_path / "files")[0]).unlink()
    assert recording.request.body.startswith(b'{"model"')
    assert recording.response
    with pytest.raises(ValueError, match=r"0001-generations-a-red-fox: response.body: files/.* is"):
        _ = recording.response.body


def test_an_empty_folder_has_no_recordings(tmp_path: Path) -> None:
    assert list(read_folder(tmp_path)) == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"", "1: is no JSON: Expecting value"),
        (b"\n\n{]", "3: is no JSON: Expecting property name enclosed in double quotes"),
        (b'{\n"a": "\xff"}', "2: is not UTF-8"),
        (b"[" * 100_000, "1: has too many braces and brackets in each other"),
        (b"1" * 5000, "1: is no JSON: Exceeds the limit (4300 digits)"),
        (b'{"version": NaN}', "1: is no JSON: NaN is not JSON"),
        (b"null", "1: must be an object"),
        (b'{\n"version": 1,\n"request": 5, "error": ""}', "3: request: must be an object"),
    ],
)
def test_a_mistake_has_its_file_and_line(text: bytes, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "0001-a.json"
    path.write_bytes(text)
    with pytest.raises(RecordingError) as caught:
        read_folder(tmp_path)
    assert caught.value.sentences[0].startswith(f"{path}:{sentence}")


@pytest.mark.slow
@unhurried()
@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes_are_a_recording_or_a_mistake(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / "1-a.json").write_bytes(data)
        with pytest.raises(RecordingError):
            read_folder(Path(folder))


def test_the_mistakes_of_all_files_are_said_at_once(tmp_path: Path) -> None:
    RecordingFolder(tmp_path).add(generation())
    for name in ("0002-a.json", "0003-b.json"):
        (tmp_path / name).write_text('{"version": 1, "error": "", "request": {}}')
    with pytest.raises(RecordingError) as caught:
        read_folder(tmp_path)
    assert list(caught.value.sentences) == [
        f"{tmp_path}/{name}:1: request: lacks {field!r}"
        for name in ("0002-a.json", "0003-b.json")
        for field in ("method", "target")
    ]


def test_a_missing_file_is_found_when_a_folder_is_read(tmp_path: Path) -> None:
    path = RecordingFolder(tmp_path).add(generation())
    name = f"files/{names(tmp_path / 'files')[0]}"
    (tmp_path / name).unlink()
    line = path.read_text()[: path.read_text().index(name)].count("\n") + 1
    with pytest.raises(RecordingError) as caught:
        read_folder(tmp_path)
    assert caught.value.sentences == (
        f"{path}:{line}: response.body.json.data[0].b64_json.file: {name} is missing",
    )


def test_json_that_only_looks_like_a_file_needs_none(tmp_path: Path) -> None:
    document = {
        "version": 1,
        "request": {"method": "GET", "target": "/", "body": {"json": {"file": "a", "to": "b"}}},
        "error": "",
    }
    (tmp_path / "1-a.json").write_text(json.dumps(document))
    assert read_folder(tmp_path)[0].request.body == b'{"file":"a","to":"b"}'


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "C:a", "a\\b", "", "a/../../b"])
def test_a_file_lies_in_the_folder(name: str, tmp_path: Path) -> None:
    assert not is_inside(name)
    with pytest.raises(ValueError, match="leads out of the folder"):
        FolderFiles(tmp_path).read(name)


def test_a_check_reads_the_files_and_makes_the_bodies(tmp_path: Path) -> None:
    path = RecordingFolder(tmp_path).add(generation())
    assert mistakes_in(path) == []
    name = f"files/{names(tmp_path / 'files')[0]}"
    (tmp_path / name).write_bytes(PNG + b"more")
    assert [each.partition(": ")[2] for each in mistakes_in(path)] == [
        f"response.body.json.data[0].b64_json.file: {name} is named for another content"
    ]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"form": [{"name": "a", "text": "b"}]}, "request.body: a form needs a header `content-t"),
        ({"base64": "?"}, "request.body: "),
        ({"json": "\ud800"}, "request.body: "),
        ({"text": {"repeat": "x" * 1000, "times": 10**9}}, "request.body: a repeated text has at"),
        (
            {"picture": {"format": "PNG", "size": "99999x99999", "mode": "RGB"}},
            "request.body: a described picture has at most",
        ),
        ({"picture": {"format": "JPEG", "size": "8x8", "mode": "RGBA"}}, "request.body: "),
    ],
)
def test_a_check_says_what_prevents_a_body(body: object, sentence: str, tmp_path: Path) -> None:
    request = {"method": "POST", "target": "/", "body": body}
    path = tmp_path / "1-a.json"
    path.write_text(json.dumps({"version": 1, "error": "", "request": request}))
    (mistake,) = mistakes_in(path)
    assert mistake.startswith(f"{path}:1: {sentence}")

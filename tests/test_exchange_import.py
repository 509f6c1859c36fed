"""`images-emulator exchange import`: cassettes become exchange files without secrets."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from images_emulator import Server, Settings
from images_emulator.cli.command_line import main
from images_emulator.recordings.cassettes import yaml_text
from images_emulator.recordings.folder import mistakes_in, read_folder
from images_emulator.recordings.recording import Recording
from tests.cassettes import (
    ANSWER,
    ANSWER_TEXT,
    CASSETTES,
    FORM,
    FORM_TYPE,
    HEADERS,
    POST_DATA,
    REQUEST,
    TEXT,
    as_json,
    har,
    har_entry,
    lists,
    ruby,
    vcrpy,
    vcrpy_response,
)
from tests.documents import BLOCKS

SECRET = "sk-proj-ThisIsASecretKeyOf0123456789"


def imported(tmp_path: Path, *files: Path) -> list[Recording]:
    """The recordings that are in the folder `to` once *files* are imported."""
    folder = tmp_path / "to"
    assert main(["exchange", "import", *map(str, files), "--to", str(folder)]) == 0
    paths = [path for path in folder.iterdir() if path.suffix == ".json"]
    assert not [mistake for path in paths for mistake in mistakes_in(path)]
    return [*read_folder(folder)]


def cassette(folder: Path, document: bytes | dict[str, Any], name: str = "cassette.json") -> Path:
    file = folder / name
    file.write_bytes(document if isinstance(document, bytes) else as_json(document))
    return file


@pytest.mark.parametrize("name", CASSETTES)
def test_cassettes_of_each_tool_become_exchange_files(name: str, tmp_path: Path) -> None:
    (recording,) = imported(tmp_path, cassette(tmp_path, CASSETTES[name], name))
    assert recording.request.body == REQUEST
    assert recording.response
    assert recording.response.body == ANSWER
    assert name in recording.source
    assert recording.name.startswith("0001-generations-")


def test_the_command_says_what_it_has_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "https://blob.example/a.png"
    body = {"string": json.dumps({"data": [{"url": url}]})}
    document = vcrpy(TEXT, vcrpy_response(body))
    document["interactions"] += vcrpy(TEXT, vcrpy_response({"string": ANSWER_TEXT}))["interactions"]
    for uri in (url, "https://a.example/", "https://a.example/b", "https://b.example/"):
        request = {"method": "GET", "uri": uri, "body": None, "headers": lists({})}
        document["interactions"].append(
            {"request": request, "response": vcrpy_response({"string": "PNG"})}
        )
    file = cassette(tmp_path, document)
    (first, _) = imported(tmp_path, file)
    assert [(each.url, each.data) for each in first.downloads] == [(url, b"PNG")]
    assert capsys.readouterr().out.splitlines() == [
        f"{file}: VCR.py, 2 exchanges, 1 downloaded picture, "
        "left out: 2 of a.example, 1 of b.example",
        f"2 exchanges added to {tmp_path / 'to'}",
    ]


def test_the_guide_shows_what_the_command_prints(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tests/cassettes").mkdir(parents=True)
    url = "https://blob.example/a.png"
    document = vcrpy(TEXT, vcrpy_response({"string": json.dumps({"data": [{"url": url}]})}))
    document["interactions"] += vcrpy(TEXT, vcrpy_response({"string": ANSWER_TEXT}))["interactions"]
    for uri in (url, "https://api.example.com/"):
        request = {"method": "GET", "uri": uri, "body": None, "headers": lists({})}
        picture = vcrpy_response({"string": "PNG"})
        document["interactions"].append({"request": request, "response": picture})
    cassette(Path("tests/cassettes"), document, "fox.yaml")
    headers = {"Content-Type": FORM_TYPE, "Content-Length": str(len(FORM))}
    lost = {"mimeType": FORM_TYPE, "text": FORM.decode(errors="replace")}
    entries = [har_entry(POST_DATA, {}), har_entry(lost, {}, request=headers)]
    cassette(Path(), har(*entries), "page.har")
    command = ["exchange", "import", "tests/cassettes", "page.har", "--to", "recordings"]
    assert main(command) == 1
    output, errors = capfd.readouterr()
    (shown,) = [block.text for block in BLOCKS if block.title == "exchange import"]
    assert sorted(shown.splitlines()) == sorted(output.splitlines() + errors.splitlines())


def test_keys_and_account_names_are_redacted_in_headers_bodies_and_base64(tmp_path: Path) -> None:
    message = f"Incorrect API key provided: {SECRET} of org-AbCdEfGhIjKl."
    encoded = base64.b64encode(f"x{SECRET}".encode()).decode()
    answer = json.dumps({"error": {"message": message, "hint": encoded}})
    document = ruby(json.dumps({"prompt": SECRET}), answer)
    interaction = document["http_interactions"][0]
    interaction["request"]["headers"]["Authorization"] = [f"Bearer {SECRET}"]
    interaction["response"]["headers"] |= lists(
        {"Set-Cookie": "a=SecretCookieOf0123456789", "openai-organization": "org-AbCdEfGhIjKl"}
    )
    imported(tmp_path, cassette(tmp_path, document))
    written = b"".join(each.read_bytes() for each in (tmp_path / "to").rglob("*") if each.is_file())
    assert b"Incorrect API key provided" in written
    for secret in (SECRET, encoded, "SecretCookieOf0123456789", "AbCdEfGhIjKl"):
        assert secret.encode() not in written


def test_an_upload_is_a_file_beside_the_exchange(tmp_path: Path) -> None:
    headers = {"Content-Type": FORM_TYPE}
    entry = har_entry(
        {"mimeType": FORM_TYPE, "text": base64.b64encode(FORM).decode(), "encoding": "base64"},
        {"text": ANSWER_TEXT},
        request=headers,
    )
    (recording,) = imported(tmp_path, cassette(tmp_path, har(entry), "a.har"))
    assert recording.request.body == FORM
    assert [each.suffix for each in (tmp_path / "to" / "files").iterdir()] == [".png"]


def test_folders_of_cassettes_are_searched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "source"
    (source / "inner").mkdir(parents=True)
    cassette(source, CASSETTES["vcrpy.json"])
    cassette(source / "inner", CASSETTES["polly.har"], "recording.har")
    cassette(source, b'{"name": "a package"}', "package.json")
    assert len(imported(tmp_path, source)) == 2
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "1 other file",
        f"2 exchanges added to {tmp_path / 'to'}",
    ]


def test_a_later_import_adds_only_what_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    interaction = vcrpy(TEXT, vcrpy_response({"string": ANSWER_TEXT}))
    secret = json.dumps({"prompt": f"my key is {SECRET}"})
    interaction["interactions"] += vcrpy(secret, vcrpy_response({}))["interactions"]
    assert len(imported(tmp_path, cassette(tmp_path, interaction))) == 2
    interaction["interactions"] += vcrpy(TEXT, vcrpy_response({}))["interactions"]
    names = [each.name[:5] for each in imported(tmp_path, cassette(tmp_path, interaction))]
    assert names == ["0001-", "0002-", "0003-"]
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"1 exchange added to {tmp_path / 'to'}, 2 already there"


def test_a_later_import_from_another_working_directory_adds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cas").mkdir()
    file = cassette(tmp_path / "cas", CASSETTES["vcrpy.json"], "fox.json")
    monkeypatch.chdir(tmp_path)
    (first,) = imported(tmp_path, Path("cas"))
    monkeypatch.chdir(file.parent)
    assert len(imported(tmp_path, Path("fox.json"))) == 1
    assert len(imported(tmp_path, Path("../cas/fox.json"), file)) == 1
    assert first.source == "VCR.py: cas/fox.json, interaction 1"


def test_an_interaction_in_front_of_others_is_the_only_one_that_a_later_import_adds(
    tmp_path: Path,
) -> None:
    document = vcrpy(TEXT, vcrpy_response({"string": ANSWER_TEXT}))
    document["interactions"] += vcrpy('{"prompt": "b"}', vcrpy_response({}))["interactions"]
    imported(tmp_path, cassette(tmp_path, document))
    first = vcrpy('{"prompt": "a"}', vcrpy_response({}))["interactions"]
    document["interactions"] = first + document["interactions"]
    *_, added = recordings = imported(tmp_path, cassette(tmp_path, document))
    assert (len(recordings), added.request.body) == (3, b'{"prompt": "a"}')


def test_equal_interactions_are_added_as_often_as_the_cassette_has_them(tmp_path: Path) -> None:
    document = vcrpy(TEXT, vcrpy_response({"string": ANSWER_TEXT}))
    interactions = document["interactions"]
    counts = []
    for times in (2, 2, 3, 1):
        document["interactions"] = times * interactions
        counts.append(len(imported(tmp_path, cassette(tmp_path, document))))
    assert counts == [2, 2, 3, 3]


def test_a_cassette_that_was_recorded_anew_is_added(tmp_path: Path) -> None:
    imported(tmp_path, cassette(tmp_path, vcrpy(TEXT, vcrpy_response({"string": ANSWER_TEXT}))))
    assert len(imported(tmp_path, cassette(tmp_path, vcrpy(TEXT, vcrpy_response({}))))) == 2


def test_a_cassette_that_is_not_there_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "none.yaml"
    assert main(["exchange", "import", str(path), "--to", str(tmp_path / "to")]) == 1
    assert capsys.readouterr().err == f"{path}: No such file or directory\n"


def test_a_folder_with_other_files_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "a.json").write_text("{")
    file = cassette(tmp_path, CASSETTES["vcrpy.json"])
    assert main(["exchange", "import", str(file), "--to", str(tmp_path / "to")]) == 1
    assert f"{tmp_path}/to/a.json:1: is no JSON" in capsys.readouterr().err


def test_what_cannot_be_imported_is_told_and_the_rest_is_imported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = vcrpy(TEXT, vcrpy_response({"string": ANSWER_TEXT}))
    document["interactions"].append({"request": {"method": "GET"}, "response": {}})
    files = [cassette(tmp_path, document), cassette(tmp_path, b"\x00", "b.yaml"), tmp_path / "none"]
    to = tmp_path / "to"
    assert main(["exchange", "import", *map(str, files), "--to", str(to)]) == 1
    output = capsys.readouterr()
    assert output.out.splitlines()[-1] == f"1 exchange added to {to}"
    first, second, third = output.err.splitlines()
    assert first.startswith(f"{files[0]}: interaction 2: the status must be a status of HTTP")
    assert second.startswith(f"{files[1]}:1: it is no YAML: ")
    assert "No such file or directory" in third
    assert len(read_folder(to)) == 1


def test_hosts_and_sentences_of_any_characters_can_be_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    document = vcrpy(TEXT, vcrpy_response({"string": ANSWER_TEXT}))
    for uri in ("http://\x1b31m\udcff/", "\x1b[31m\udcff"):
        request = {"method": "GET", "uri": uri, "body": None, "headers": lists({})}
        document["interactions"].append({"request": request, "response": vcrpy_response({})})
    file = cassette(tmp_path, document)
    assert main(["exchange", "import", str(file), "--to", str(tmp_path / "to")]) == 1
    output, errors = capfd.readouterr()
    assert r"left out: 1 of \x1b31m\udcff" in output
    assert "interaction 3: the URL must be an absolute URL" in errors
    assert "\x1b" not in output + errors


def test_a_file_of_another_kind_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = cassette(tmp_path, b'{"name": "a package"}', "package.json")
    assert main(["exchange", "import", str(file), "--to", str(tmp_path / "to")]) == 1
    output = capsys.readouterr()
    assert output.err.startswith(f"{file}: it is no cassette, with the keys 'name'; cassettes of")
    assert output.out == f"0 exchanges added to {tmp_path / 'to'}\n"


def test_a_missing_library_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(text: str, name: str) -> None:
        raise yaml_text.MissingLibraryError("cassettes in YAML need PyYAML: pip install it")

    monkeypatch.setattr("images_emulator.recordings.cassettes.cassette.read_yaml", missing)
    files = [cassette(tmp_path, CASSETTES["vcrpy.yaml"], f"{name}.yaml") for name in "ab"]
    assert main(["exchange", "import", *map(str, files), "--to", str(tmp_path / "to")]) == 1
    assert capsys.readouterr().err == (
        "images-emulator: cassettes in YAML need PyYAML: pip install it\n"
    )


def test_a_folder_that_cannot_be_written_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "to").write_text("a file")
    file = cassette(tmp_path, CASSETTES["vcrpy.json"])
    assert main(["exchange", "import", str(file), "--to", str(tmp_path / "to")]) == 1
    assert capsys.readouterr().err.startswith(f"images-emulator: {tmp_path / 'to'}: ")


def test_imported_cassettes_replay(tmp_path: Path) -> None:
    """A call that was recorded often is answered by each recording in turn."""
    names = [
        recording.name
        for recording in imported(
            tmp_path, *(cassette(tmp_path, data, name) for name, data in CASSETTES.items())
        )
    ]
    settings = Settings(port=0, replay=str(tmp_path / "to"), on_miss="refuse", delay=False)
    with Server(settings) as server, httpx2.Client(base_url=server.url) as client:
        for _ in CASSETTES:
            answer = client.post("/v1/images/generations", content=REQUEST, headers=HEADERS)
            assert (answer.status_code, answer.content) == (200, ANSWER)
            assert answer.headers["x-request-id"] == "req_1"
        assert [call.recording for call in server.calls()] == names


def test_streams_forms_and_hosted_pictures_of_a_cassette_replay(tmp_path: Path) -> None:
    url = "https://blob.example/private/a.png?sig=1"
    events = 'event: a\ndata: {"type": "a"}\n\nevent: b\ndata: {"type": "b"}\n\n'
    hosted = json.dumps({"created": 1, "data": [{"url": url}]})
    stream = json.dumps({"model": "gpt-image-2", "prompt": "A fox", "stream": True})
    document = vcrpy(FORM.decode("utf-8", "surrogateescape"), vcrpy_response({"string": hosted}))
    edit = document["interactions"][0]["request"]
    edit["uri"] = "https://gateway.example/openai-proxy/v1/images/edits"
    edit["headers"] = lists({"Content-Type": FORM_TYPE})
    response = vcrpy_response({"string": events}, **{"Content-Type": "text/event-stream"})
    document["interactions"] += vcrpy(stream, response)["interactions"]
    picture = vcrpy_response({"string": "PNG"}, **{"Content-Type": "image/png"})
    request = {"method": "GET", "uri": url, "body": None, "headers": lists({})}
    document["interactions"].append({"request": request, "response": picture})
    imported(tmp_path, cassette(tmp_path, document))
    settings = Settings(port=0, replay=str(tmp_path / "to"), on_miss="refuse", delay=False)
    with Server(settings) as server, httpx2.Client(base_url=server.url) as client:
        headers = {**HEADERS, "Content-Type": FORM_TYPE}
        answer = client.post("/v1/images/edits", content=FORM, headers=headers).json()
        assert client.get(answer["data"][0]["url"]).content == b"PNG"
        streamed = client.post("/v1/images/generations", content=stream, headers=HEADERS)
        assert streamed.headers["content-type"] == "text/event-stream"
        assert streamed.text == events


def test_a_cassette_of_azure_replays(tmp_path: Path) -> None:
    target = "/openai/deployments/pictures/images/generations?api-version=2025-04-01-preview"
    headers = {"Content-Type": "application/json", "api-key": "0123456789abcdef0123456789abcdef"}
    document = vcrpy(TEXT, vcrpy_response({"string": ANSWER_TEXT}), headers)
    document["interactions"][0]["request"]["uri"] = f"https://my-resource.openai.azure.com{target}"
    (recording,) = imported(tmp_path, cassette(tmp_path, document))
    assert recording.request.target == target
    written = b"".join(each.read_bytes() for each in (tmp_path / "to").rglob("*") if each.is_file())
    assert headers["api-key"].encode() not in written
    assert b"my-resource" not in written
    with Server(Settings(port=0, replay=str(tmp_path / "to"), on_miss="refuse")) as server:
        answer = httpx2.post(server.url + target, content=REQUEST, headers=headers)
    assert (answer.status_code, answer.content) == (200, ANSWER)

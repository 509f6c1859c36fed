"""Cassettes of other tools are read without loss, and what is lost or malformed is told."""

from __future__ import annotations

import base64
import builtins
import gzip
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from images_emulator.recordings.cassettes import azure_test_proxy, http_archive, vcr_family
from images_emulator.recordings.cassettes.cassette import UnknownKindError, read_cassette
from images_emulator.recordings.cassettes.cassette_import import (
    cassette_files,
    import_cassette,
    served_target,
)
from images_emulator.recordings.cassettes.interaction import Cassette, interaction
from images_emulator.recordings.cassettes.yaml_text import MissingLibraryError
from images_emulator.recordings.recording import RecordedRequest, RecordedResponse, Recording
from tests.cassettes import (
    ANSWER,
    ANSWER_HEADERS,
    ANSWER_TEXT,
    CASSETTES,
    FORM,
    FORM_TYPE,
    GZIPPED,
    HEADERS,
    POLLY_CHUNKS,
    POST_DATA,
    RECORDED_AT,
    REQUEST,
    TEXT,
    URL,
    VCRPY_YAML,
    as_json,
    base64_text,
    har,
    har_entry,
    lists,
    ruby,
    vcrpy,
    vcrpy_response,
)
from tests.pictures import png


def read(folder: Path, data: bytes | dict[str, Any], name: str = "cassette.json") -> Cassette:
    file = folder / name
    file.write_bytes(data if isinstance(data, bytes) else as_json(data))
    return read_cassette(file)


def recording_of(
    folder: Path, data: bytes | dict[str, Any], name: str = "cassette.json"
) -> Recording:
    """The recording of a cassette's only interaction."""
    cassette = read(folder, data, name)
    assert not cassette.problems
    (interaction,) = cassette.interactions
    return interaction.recording


def answer(recording: Recording) -> RecordedResponse:
    assert recording.response
    return recording.response


@pytest.mark.parametrize("name", CASSETTES)
def test_cassettes_of_each_tool_are_read_byte_for_byte(name: str, tmp_path: Path) -> None:
    recording = recording_of(tmp_path, CASSETTES[name], name)
    request, response = recording.request, answer(recording)
    assert (request.method, request.target) == ("POST", "/v1/images/generations")
    assert request.headers == tuple(HEADERS.items())
    assert request.body == REQUEST
    assert response.status == 200
    assert response.headers == tuple(ANSWER_HEADERS.items())
    assert response.body == ANSWER
    assert not recording.extra


@pytest.mark.parametrize("name", [name for name in CASSETTES if name.startswith(("ruby.", "b"))])
def test_the_time_of_recording_is_read(name: str, tmp_path: Path) -> None:
    recording = recording_of(tmp_path, CASSETTES[name], name)
    assert recording.recorded_at == datetime(2025, 6, 20, 14, 21, 14, tzinfo=UTC)


def test_the_date_of_the_answer_is_the_time_of_recording_where_there_is_no_other(
    tmp_path: Path,
) -> None:
    response = vcrpy_response({"string": ANSWER_TEXT}, date=RECORDED_AT)
    recording = recording_of(tmp_path, vcrpy(TEXT, response))
    assert recording.recorded_at == datetime(2025, 6, 20, 14, 21, 14, tzinfo=UTC)


@pytest.mark.parametrize("name", ["go.yaml", "browser.har"])
def test_the_seconds_before_the_answer_are_read(name: str, tmp_path: Path) -> None:
    (part,) = answer(recording_of(tmp_path, CASSETTES[name], name)).parts
    assert part.seconds == 1.5


def test_a_yaml_scalar_stays_the_text_that_it_is(tmp_path: Path) -> None:
    text = VCRPY_YAML.replace(
        "- req_1", "- 1_0\n      date: 2025-06-20\n      x-no: no\n      x-none:"
    )
    headers = dict(answer(recording_of(tmp_path, text.encode(), "a.yaml")).headers)
    assert headers["x-request-id"] == "1_0"
    assert (headers["date"], headers["x-no"], headers["x-none"]) == ("2025-06-20", "no", "")


def test_json_that_was_parsed_into_the_cassette_keeps_its_types(tmp_path: Path) -> None:
    text = VCRPY_YAML.replace(
        VCRPY_YAML[VCRPY_YAML.index("    body: ") : VCRPY_YAML.index("    headers:")],
        "    parsed_body:\n      n: 2\n      stream: true\n      prompt: '2'\n",
        1,
    )
    recording = recording_of(tmp_path, text.encode(), "a.yaml")
    assert json.loads(recording.request.body) == {"n": 2, "stream": True, "prompt": "2"}


def test_a_form_with_a_file_is_read_from_binary_yaml(tmp_path: Path) -> None:
    body = base64.encodebytes(FORM).decode().replace("\n", "\n      ")
    text = VCRPY_YAML.replace(
        VCRPY_YAML[VCRPY_YAML.index('"{') : VCRPY_YAML.index("    headers:")],
        f"!!binary |\n      {body}\n",
        1,
    ).replace("application/json", FORM_TYPE, 1)
    assert recording_of(tmp_path, text.encode(), "a.yaml").request.body == FORM


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("ISO-8859-1", b"t\xe8st"),
        ("ASCII-8BIT", b"t\xc3\xa8st"),
        ("US-ASCII", b"t\xc3\xa8st"),
        ("no such encoding", b"t\xc3\xa8st"),
        (None, b"t\xc3\xa8st"),
    ],
)
def test_a_body_of_ruby_has_the_bytes_of_its_encoding(
    encoding: str | None, expected: bytes, tmp_path: Path
) -> None:
    body = {"encoding": encoding, "string": "t\xe8st"}
    assert recording_of(tmp_path, ruby(body, ANSWER_TEXT)).request.body == expected


def test_a_compressed_body_stays_compressed(tmp_path: Path) -> None:
    body = {"encoding": "ASCII-8BIT", "base64_string": base64_text(GZIPPED)}
    document = ruby(TEXT, body)
    headers = document["http_interactions"][0]["response"]["headers"]
    headers["Content-Encoding"] = ["gzip"]
    response = answer(recording_of(tmp_path, document))
    assert response.body == GZIPPED
    assert ("Content-Encoding", "gzip") in response.headers


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_body_that_its_client_has_uncompressed_loses_the_header(
    coding: str, tmp_path: Path
) -> None:
    headers = {"Content-Encoding": coding, "Content-Length": "12"}
    response = answer(
        recording_of(tmp_path, vcrpy(TEXT, vcrpy_response({"string": ANSWER_TEXT}, **headers)))
    )
    assert response.body == ANSWER
    assert "Content-Encoding" not in dict(response.headers)
    assert dict(response.headers)["Content-Length"] == str(len(ANSWER))


@pytest.mark.parametrize("encoding", POLLY_CHUNKS)
def test_the_chunks_of_a_compressed_body_of_polly_are_joined(encoding: str, tmp_path: Path) -> None:
    entry = har_entry(POST_DATA, POLLY_CHUNKS[encoding], coding={"content-encoding": "gzip"})
    recording = recording_of(tmp_path, har(entry, creator="Polly.JS"))
    assert answer(recording).body == GZIPPED


def test_a_text_of_polly_that_nests_too_deeply_is_a_text(tmp_path: Path) -> None:
    entry = har_entry(POST_DATA, {"text": "[" * 100_000}, coding={"content-encoding": "gzip"})
    assert answer(recording_of(tmp_path, har(entry, creator="Polly.JS"))).body == b"[" * 100_000


def test_a_binary_body_of_an_old_polly_is_hexadecimal(tmp_path: Path) -> None:
    entry = har_entry(POST_DATA, {"text": FORM.hex(), "_isBinary": True})
    assert answer(recording_of(tmp_path, har(entry, creator="Polly.JS"))).body == FORM


@pytest.mark.parametrize("text", [FORM.decode("latin-1"), FORM.decode("utf-8", "surrogateescape")])
def test_a_form_in_a_har_has_the_bytes_that_its_length_tells(text: str, tmp_path: Path) -> None:
    headers = {"Content-Type": FORM_TYPE, "Content-Length": str(len(FORM))}
    entry = har_entry({"mimeType": FORM_TYPE, "text": text}, {"text": "{}"}, request=headers)
    assert recording_of(tmp_path, har(entry)).request.body == FORM


def request_of_params(folder: Path, params: Sequence[Mapping[str, str]]) -> RecordedRequest:
    """The request of a HAR file that has a form as *params*."""
    data = {"mimeType": "multipart/form-data", "params": params}
    return recording_of(folder, har(har_entry(data, {}, request={}))).request


def test_a_form_in_a_har_is_made_of_its_parameters(tmp_path: Path) -> None:
    params = [
        {"name": "prompt", "value": "A fox"},
        {"name": "image", "fileName": "a.txt", "contentType": "text/plain", "value": "x"},
    ]
    request = request_of_params(tmp_path, params)
    assert request.headers == (("Content-Type", "multipart/form-data; boundary=har-form-boundary"),)
    assert request.body.count(b"--har-form-boundary\r\n") == 2
    assert (
        b'name="image"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nx\r\n' in request.body
    )


def test_parameters_of_a_har_do_not_break_the_form(tmp_path: Path) -> None:
    params = [
        {"name": "prompt", "value": "--har-form-boundary\r\n"},
        {"name": 'a"b', "fileName": "c\r\nd", "contentType": "text/plain\r\nx: y", "value": "x"},
    ]
    request = request_of_params(tmp_path, params)
    assert request.headers[0][1].endswith("boundary=har-form-boundaryx")
    assert request.body.count(b"--har-form-boundaryx\r\n") == 2
    assert b'name="a%22b"; filename="c%0D%0Ad"\r\nContent-Type: text/plain' in request.body
    assert b"\r\nx: y" not in request.body


FILE = b"\x89PNG\r\n\x1a\n\xe4\xf6"
"""The first bytes of a picture, and more that are no UTF-8."""


def form_of(prompt: bytes, file: bytes, filename: bytes = b"a.png") -> bytes:
    """A form as it is made of the parameters of a HAR file."""
    parts = (
        b'name="prompt"\r\n\r\n' + prompt,
        b'name="image"; filename="' + filename + b'"\r\nContent-Type: image/png\r\n\r\n' + file,
    )
    body = b"".join(
        b"--form-1\r\nContent-Disposition: form-data; " + each + b"\r\n" for each in parts
    )
    return body + b"--form-1--\r\n"


def entry_of_params(
    prompt: str, file: str, length: int | None, filename: str = "a.png", *, in_header: bool = True
) -> dict[str, Any]:
    """An entry of a HAR file that has such a form as its parameters."""
    params = [
        {"name": "prompt", "value": prompt},
        {"name": "image", "fileName": filename, "contentType": "image/png", "value": file},
    ]
    headers = {"Content-Type": FORM_TYPE}
    headers |= {"Content-Length": str(length)} if length and in_header else {}
    entry = har_entry({"mimeType": FORM_TYPE, "params": params}, {}, request=headers)
    if length and not in_header:
        entry["request"]["bodySize"] = length
    return entry


UTF_8_PROMPT = "A t\u00e8st".encode()
LATIN_1_TEXT = "\u00e4\u00f6 text"
FORMS = {
    "file in Latin-1": ("A t\u00e8st", FILE.decode("latin-1"), form_of(UTF_8_PROMPT, FILE)),
    "all in Latin-1": (
        UTF_8_PROMPT.decode("latin-1"),
        FILE.decode("latin-1"),
        form_of(UTF_8_PROMPT, FILE),
    ),
    "file with surrogates": (
        "A t\u00e8st",
        FILE.decode("utf-8", "surrogateescape"),
        form_of(UTF_8_PROMPT, FILE),
    ),
    "text in UTF-8": (
        "A t\u00e8st",
        LATIN_1_TEXT,
        form_of(UTF_8_PROMPT, LATIN_1_TEXT.encode()),
    ),
    "text in Latin-1": ("A test", LATIN_1_TEXT, form_of(b"A test", LATIN_1_TEXT.encode("latin-1"))),
    "text beyond Latin-1": ("A test", "\u65e5", form_of(b"A test", "\u65e5".encode())),
    "file that is encoded twice": (
        "A test",
        FILE.decode("latin-1"),
        form_of(b"A test", FILE.decode("latin-1").encode()),
    ),
}


@pytest.mark.parametrize("in_header", [True, False])
@pytest.mark.parametrize("case", FORMS)
def test_a_file_among_the_parameters_of_a_har_has_the_bytes_that_its_length_tells(
    case: str, in_header: bool, tmp_path: Path
) -> None:
    prompt, file, body = FORMS[case]
    entry = entry_of_params(prompt, file, len(body), in_header=in_header)
    assert recording_of(tmp_path, har(entry)).request.body == body


def test_names_in_latin_1_among_the_parameters_of_a_har_are_read(tmp_path: Path) -> None:
    body = form_of(UTF_8_PROMPT, FILE, "\u00e8.png".encode())
    names = ("\u00e8.png".encode().decode("latin-1"),)
    entry = entry_of_params(
        UTF_8_PROMPT.decode("latin-1"), FILE.decode("latin-1"), len(body), *names
    )
    assert recording_of(tmp_path, har(entry)).request.body == body


@pytest.mark.parametrize(
    ("file", "body"),
    [
        (FILE.decode("latin-1"), FILE),
        (LATIN_1_TEXT, LATIN_1_TEXT.encode()),
        ("<svg>\u00e4</svg>", "<svg>\u00e4</svg>".encode()),
    ],
)
def test_a_file_of_unknown_length_among_the_parameters_of_a_har_is_known_by_its_beginning(
    file: str, body: bytes, tmp_path: Path
) -> None:
    entry = entry_of_params("A test", file, None)
    assert recording_of(tmp_path, har(entry)).request.body == form_of(b"A test", body)


@pytest.mark.parametrize("file", [FILE.decode("latin-1"), "\u00e4", "\u65e5", "a\ufffd"])
def test_a_file_among_the_parameters_of_a_har_of_another_length_is_told(
    file: str, tmp_path: Path
) -> None:
    cassette = read(tmp_path, har(entry_of_params("A test", file, 1000)))
    assert cassette.problems == (
        "interaction 1: the files of the request are not in the cassette: its tool kept them as "
        "text",
    )


@pytest.mark.parametrize("file", ["plain", "\udc89PNG"])
def test_a_file_of_known_bytes_among_the_parameters_of_a_har_may_have_another_head(
    file: str, tmp_path: Path
) -> None:
    """A client may write the head of a part otherwise."""
    request = recording_of(tmp_path, har(entry_of_params("t\u00e8st", file, 1000))).request
    assert request.body == form_of("t\u00e8st".encode(), file.encode("utf-8", "surrogateescape"))


def test_a_har_has_its_bodies_in_files_beside_it(tmp_path: Path) -> None:
    (tmp_path / "1.dat").write_bytes(FORM)
    (tmp_path / "2.json").write_bytes(ANSWER)
    headers = {"Content-Type": FORM_TYPE}
    data = {"mimeType": FORM_TYPE, "text": "", "_file": "1.dat"}
    document = har(har_entry(data, {"_file": "2.json"}, request=headers))
    recording = recording_of(tmp_path, document)
    assert (recording.request.body, answer(recording).body) == (FORM, ANSWER)

    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("har.har", as_json(document))
        file.writestr("1.dat", FORM)
        file.writestr("2.json", ANSWER)
    assert recording_of(tmp_path, archive.getvalue(), "a.zip") == recording


def test_a_file_of_a_har_is_read_from_its_folder_only(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "inner").mkdir()
    cassette = read(tmp_path / "inner", har(har_entry(POST_DATA, {"_file": "../secret"})))
    (problem,) = cassette.problems
    assert problem.startswith("interaction 1: the body in the file ../secret cannot be read")


def test_headers_of_http_2_are_left_off(tmp_path: Path) -> None:
    request = {":authority": "x", "accept": "*/*", "content-type": "application/json"}
    entry = har_entry(POST_DATA, {"text": "{}"}, request=request)
    headers = recording_of(tmp_path, har(entry)).request.headers
    assert headers == (("accept", "*/*"), ("content-type", "application/json"))


@pytest.mark.parametrize(
    "data",
    [
        POST_DATA,
        {
            "mimeType": "multipart/form-data; boundary=B",
            "params": [{"name": "prompt", "value": "x"}],
        },
    ],
    ids=["text", "params"],
)
def test_a_har_without_the_content_type_of_a_request_has_that_of_its_body(
    data: dict[str, Any], tmp_path: Path
) -> None:
    entry = har_entry(data, {"text": "{}"}, request={"accept": "*/*"})
    headers = recording_of(tmp_path, har(entry)).request.headers
    assert headers == (("accept", "*/*"), ("Content-Type", data["mimeType"]))


@pytest.mark.parametrize(
    ("media_type", "added"),
    [
        ("application/json;\r\n x=y", ("Content-Type", "application/json; x=y")),
        ("a/ż", ("Content-Type", "a/ż".encode().decode("latin-1"))),
        (["a"], None),
    ],
)
def test_the_content_type_that_a_har_adds_is_a_header(
    media_type: Any, added: tuple[str, str] | None, tmp_path: Path
) -> None:
    data = {"mimeType": media_type, "text": "{}"}
    entry = har_entry(data, {"text": "{}"}, request={"accept": "*/*"})
    headers = recording_of(tmp_path, har(entry)).request.headers
    assert headers == (("accept", "*/*"), *([added] if added else []))


def test_a_date_that_no_calendar_has_is_left_out(tmp_path: Path) -> None:
    date = "Fri, 27 Nov 99999999999999999999 00:00:00 GMT"
    entry = har_entry(POST_DATA, {"text": "{}"}, coding={"date": date})
    entry.pop("startedDateTime", None)
    assert recording_of(tmp_path, har(entry)).recorded_at is None


@pytest.mark.parametrize("status", [0, -1, None])
def test_a_failed_request_of_a_har_has_no_answer(status: int | None, tmp_path: Path) -> None:
    entry = har_entry(POST_DATA, {})
    entry["response"] |= {"status": status, "_error": "net::ERR_CONNECTION_RESET"}
    recording = recording_of(tmp_path, har(entry))
    assert (recording.response, recording.error) == (None, "net::ERR_CONNECTION_RESET")


def test_events_of_a_stream_are_parts_without_a_time(tmp_path: Path) -> None:
    events = ["event: a\ndata: {}\n\n", "data: [DONE]\r\n\r\n", "data: cut"]
    headers = {"Content-Type": "text/event-stream; charset=utf-8"}
    response = vcrpy_response({"string": "".join(events)}, **headers)
    parts = answer(recording_of(tmp_path, vcrpy(TEXT, response))).parts
    assert [(part.seconds, part.data.decode()) for part in parts] == [
        (0.0, each) for each in events
    ]


def test_a_compressed_stream_is_one_part() -> None:
    # Its bytes may have two line feeds in a row anywhere.
    body = gzip.compress(b"data: {}\n\n" * 3, compresslevel=0, mtime=0)
    recording = interaction(
        1,
        method="POST",
        url=URL,
        request_headers=(),
        request_body=b"{}",
        status=200,
        headers=(("Content-Type", "text/event-stream"), ("Content-Encoding", "gzip")),
        body=body,
    ).recording
    assert [part.data for part in answer(recording).parts] == [body]


@pytest.mark.parametrize(
    ("protocol", "port", "url"),
    [("https", 443, "https://a.example/x"), ("http", 8080, "http://a.example:8080/x")],
)
def test_old_vcrpy_has_its_url_in_parts(protocol: str, port: int, url: str, tmp_path: Path) -> None:
    request = {"method": "GET", "protocol": protocol, "host": "a.example", "port": port}
    items = [{"request": request | {"path": "/x"}, "response": vcrpy_response({})}]
    (interaction,) = read(tmp_path, json.dumps(items).encode()).interactions
    assert interaction.url == url


def test_a_text_of_the_test_proxy_may_look_like_base64(tmp_path: Path) -> None:
    entry = {"RequestUri": URL, "RequestMethod": "POST", "StatusCode": 200}
    for content_type, body in (("text/plain", b"abcd"), ("image/png", b"i\xb7\x1d")):
        headers = {"RequestHeaders": {}, "ResponseHeaders": {"Content-Type": content_type}}
        document = {"Entries": [entry | headers | {"ResponseBody": "abcd"}]}
        assert answer(recording_of(tmp_path, document)).body == body


def test_a_form_of_the_test_proxy_has_its_files_as_lines_of_base64(tmp_path: Path) -> None:
    head, image, tail = FORM.partition(b"\x89PNG")
    end = tail.index(b"\r\n--form-1--")
    lines = head.decode().splitlines(keepends=True)
    entry = {
        "RequestUri": URL,
        "RequestMethod": "POST",
        "RequestHeaders": {"Content-Type": FORM_TYPE},
        "RequestBody": [*lines, f"b64:{base64_text(image + tail[:end])}", "\r\n", "--form-1--\r\n"],
        "StatusCode": 200,
        "ResponseHeaders": {"Content-Type": "application/json"},
        "ResponseBody": {"created": 1, "data": ["é"]},
    }
    recording = recording_of(tmp_path, {"Entries": [entry]})
    assert recording.request.body == FORM
    assert answer(recording).body == '{"created":1,"data":["é"]}'.encode()


LOST = {
    "no body": (b"", {"Content-Length": "12"}, "the body of the request, of 12 bytes, is not in"),
    "cut form": (FORM[:60], {"Content-Type": FORM_TYPE}, "the form of the request is not whole"),
    "file as text": (
        FORM.decode(errors="replace").encode(),
        {"Content-Type": FORM_TYPE, "Content-Length": str(len(FORM))},
        "the files of the request are not in the cassette",
    ),
}


@pytest.mark.parametrize("case", LOST)
def test_a_request_whose_body_the_tool_has_lost_is_told(case: str, tmp_path: Path) -> None:
    body, headers, sentence = LOST[case]
    good = vcrpy(TEXT, vcrpy_response({"string": ANSWER_TEXT}))
    bad = vcrpy(body.decode(), vcrpy_response({"string": ANSWER_TEXT}), headers)
    good["interactions"] += bad["interactions"]
    cassette = read(tmp_path, good)
    assert len(cassette.interactions) == 1
    (problem,) = cassette.problems
    assert problem.startswith(f"interaction 2: {sentence}")


def test_an_answer_that_the_tool_has_lost_is_told(tmp_path: Path) -> None:
    cassette = read(tmp_path, har(har_entry(POST_DATA, {"size": 12, "mimeType": "text/x"})))
    sentence = "interaction 1: the body of the answer, of 12 bytes, is not in the cassette"
    assert cassette.problems == (sentence,)
    empty = har_entry(POST_DATA, {"size": 0}, coding={"Content-Length": "12"})
    assert read(tmp_path, har(empty)).problems == (sentence,)
    for content in ({"text": ""}, {"text": " "}, {}):
        lost = har_entry(POST_DATA, {"size": 12, "encoding": "base64", **content})
        assert read(tmp_path, har(lost)).problems == (sentence,)
    unsent = har_entry(POST_DATA, {"size": 0, "encoding": "base64", "text": ""})
    assert not read(tmp_path, har(unsent)).problems
    for change in ({"method": "HEAD"}, {"status": 304}):
        empty["request" if "method" in change else "response"] |= change
        assert not read(tmp_path, har(empty)).problems
    picture = {"text": png().decode(errors="replace")}
    entry = har_entry(POST_DATA, picture)
    entry["response"]["headers"] = [{"name": "Content-Type", "value": "image/png"}]
    (problem,) = read(tmp_path, har(entry)).problems
    assert problem == "interaction 1: the picture is not in the cassette: its tool kept it as text"


def test_a_file_of_a_har_without_its_content_is_told(tmp_path: Path) -> None:
    params = [{"name": "image", "fileName": "a.png", "contentType": "image/png"}]
    data = {"mimeType": FORM_TYPE, "params": params}
    cassette = read(tmp_path, har(har_entry(data, {}, request={"Content-Type": FORM_TYPE})))
    assert cassette.problems == (
        "interaction 1: the file a.png of the request is not in the cassette",
    )


@pytest.mark.parametrize("body", ["", None, {}, {"string": ""}, {"base64_string": ""}])
def test_a_request_without_a_body_is_read(body: Any, tmp_path: Path) -> None:
    assert recording_of(tmp_path, ruby(body, ANSWER_TEXT)).request.body == b""


def test_an_unusual_reason_phrase_is_kept(tmp_path: Path) -> None:
    response = vcrpy_response({"string": "{}"}) | {"status": {"code": 429, "message": "Slow down"}}
    assert recording_of(tmp_path, vcrpy(TEXT, response)).extra == {"reason": "Slow down"}


MALFORMED = {
    "a list of requests": (vcrpy(TEXT, None), "the response must be a mapping, not missing"),
    "headers": (
        vcrpy(TEXT, vcrpy_response({}) | {"headers": 3}),
        "the response's headers must be a list, not 3",
    ),
    "a header": (
        vcrpy(TEXT, vcrpy_response({}) | {"headers": {"a": [{}]}}),
        "a value in the response's headers must be text, not a mapping",
    ),
    "status": (
        vcrpy(TEXT, {"status": {"code": "x"}, "headers": {}}),
        "the status must be a status of HTTP, not 'x'",
    ),
    "base64": (ruby(TEXT, {"base64_string": "a"}), "the body is no base64: "),
    "no base64": (ruby(TEXT, {"base64_string": "@@@"}), "the body is no base64: "),
    "no base64 in a HAR": (
        har(har_entry(POST_DATA, {"text": "@@@", "encoding": "base64"})),
        "the body is not the base64 that it is said to be: ",
    ),
    "base64 of another type": (ruby(TEXT, {"base64_string": 3}), "the body is no base64: "),
    "body": (vcrpy(3, vcrpy_response({})), "the body must be text"),
    "url": (
        {"interactions": [{"request": {"method": "GET", "uri": "/v1"}, "response": {}}]},
        "the status must be",
    ),
    "method": (
        {"interactions": [{"request": {"method": "G ET"}, "response": {"status": 200}}]},
        "the method must be one of HTTP, not 'G ET'",
    ),
    "an item": ({"http_interactions": [3]}, "it must be a mapping, not 3"),
    "content": (har(har_entry(POST_DATA, [])), "the content must be a mapping, not a list"),
    "entry": (
        har({"request": {}, "response": {"status": 200}}),
        "the method must be text, not missing",
    ),
    "polly": (
        har(har_entry(POST_DATA, {"text": "xx", "_isBinary": True})),
        "the body is not the hex that it is said to be",
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_interaction_is_told_in_a_sentence(case: str, tmp_path: Path) -> None:
    document, sentence = MALFORMED[case]
    (problem,) = read(tmp_path, document).problems
    assert problem.startswith(f"interaction 1: {sentence}")


VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    1e400,
    10**30,
    "",
    "x",
    "\udcff",
    [],
    [None, "a", {}],
    {},
    {"string": 3},
)
"""What may stand in a cassette in place of anything."""


def replaced(value: Any) -> Iterator[Any]:
    """*value* with each value inside it replaced by each of `VALUES`, or missing."""
    if isinstance(value, dict):
        for key, inner in value.items():
            rest = {name: each for name, each in value.items() if name != key}
            yield rest
            yield from ({**rest, key: each} for each in (*VALUES, *replaced(inner)))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            before, after = value[:index], value[index + 1 :]
            yield from ([*before, each, *after] for each in (*VALUES, *replaced(inner)))


READERS = {
    "vcrpy.json": vcr_family.read,
    "vcrpy-old-httpx.json": vcr_family.read,
    "ruby.json": vcr_family.read,
    "browser.har": http_archive.read,
    "test-proxy.json": azure_test_proxy.read,
}


@pytest.mark.parametrize("name", READERS)
def test_any_value_in_any_place_is_read_or_told(name: str) -> None:
    def attachment(name: str) -> bytes:
        raise OSError(name)

    for document in replaced(json.loads(CASSETTES[name])):
        with suppress(ValueError):
            READERS[name](document, attachment)


UNREADABLE = {
    "a.json": (b'{"interactions": [\n}', "a.json:2: it is no JSON: "),
    "b.yaml": (b"interactions:\n- {\nb: ]", "b.yaml:3: it is no YAML: "),
    "c.yaml": (b"interactions:\n- \x01", "c.yaml:2: it is no YAML: "),
    "d.yaml": (b"interactions: &a [*a]", "d.yaml:1: it contains itself"),
    "e.yaml": (b"interactions: !!binary a", "e.yaml:1: it is no base64: "),
    "e2.yaml": (b"a: 1\ninteractions: !!binary '@@@'", "e2.yaml:2: it is no base64: "),
    "f.yaml": (b"interactions: 3", "f.yaml: the list of interactions must be a list, not '3'"),
    "g.har": (b'{"log": {}}', "g.har: the list of entries must be a list, not missing"),
    "h.yaml": (b"- " * 600, "h.yaml: it is nested too deeply"),
    "i.json": (b"[" * 200_000, "i.json: it is no JSON that can be read: "),
    "j.zz": (b"\x78\x9cxx", "j.zz: it cannot be uncompressed: "),
    "k.zip": (b"PK\x03\x04", "k.zip: it cannot be uncompressed: "),
    "l.json": (b"\x1f\x8bxx", "l.json: it cannot be uncompressed: "),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_cannot_be_read_is_told_with_its_line(name: str, tmp_path: Path) -> None:
    data, sentence = UNREADABLE[name]
    with pytest.raises(ValueError, match="^" + re.escape(str(tmp_path / sentence))):
        read(tmp_path, data, name)


UNKNOWN = {
    "a.json": (
        b'{"a": 1, "b": 2}',
        "it is no cassette, with the keys 'a', 'b'; cassettes of VCR.py,",
    ),
    "b.yaml": (b"", "it is no cassette;"),
    "c.png": (b"\x89PNG\r\n", "it is not UTF-8, so it is no cassette"),
    "d.json": (b'{"request": {}, "response": {}}', "it has one exchange, as the files that this"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_file_of_another_kind_is_told_which_kinds_are_read(name: str, tmp_path: Path) -> None:
    data, sentence = UNKNOWN[name]
    with pytest.raises(UnknownKindError, match=re.escape(sentence)):
        read(tmp_path, data, name)


def test_yaml_needs_a_library_and_json_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = builtins.__import__

    def without_yaml(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "yaml":
            raise ImportError(name)
        return imported(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_yaml)
    sentence = r"cassettes in YAML need PyYAML: pip install 'openai-images-emulator\[import\]'"
    with pytest.raises(MissingLibraryError, match=sentence):
        read(tmp_path, VCRPY_YAML.encode(), "a.yaml")
    assert read(tmp_path, CASSETTES["vcrpy.json"]).interactions


# --- what is imported


TARGETS = {
    "/v1/images/generations": "/v1/images/generations",
    "/v1/images/edits?a=b": "/v1/images/edits?a=b",
    "/v1/images/generation": "/v1/images/generation",
    "/v1/models/dall-e-3": "/v1/models/dall-e-3",
    "/v1/files/a/content": "/v1/files/a/content",
    "/images/edits": "/images/edits",
    "/gateway/openai/v1/images/edits": "/openai/v1/images/edits",
    "/api/v1/images/generations": "/v1/images/generations",
    "/openai/deployments/a/images/edits?v=1": "/openai/deployments/a/images/edits?v=1",
    "/v1/chat/completions": None,
    "/v1/files/a/b/c": None,
    "/": None,
}


@pytest.mark.parametrize("target", TARGETS)
def test_calls_of_paths_that_the_emulator_has_are_imported(target: str) -> None:
    assert served_target(target) == TARGETS[target]


def test_a_hosted_picture_is_part_of_the_exchange_whose_answer_has_its_url(tmp_path: Path) -> None:
    url = "https://blob.example.com/private/a.png?sig=1&st=2"
    answer_body = json.dumps({"created": 1, "data": [{"url": url}, {"url": url + "3"}]})
    document = vcrpy(TEXT, vcrpy_response({"string": answer_body}))
    blob = {
        "status": {"code": 200},
        "headers": {"Content-Type": "image/png"},
        "body": {"string": "PNG"},
    }
    again = "https://blob.example.com/private/a.png?st=2&sig=x"
    for uri in (again, "https://example.com/", again):
        request = {"method": "GET", "uri": uri, "body": None, "headers": lists({})}
        document["interactions"].append({"request": request, "response": blob})
    file = tmp_path / "a.json"
    file.write_bytes(as_json(document))
    imported = import_cassette(file)
    (recording,) = imported.recordings
    (download,) = recording.downloads
    assert (download.status, download.data) == (200, b"PNG")
    assert download.url in answer_body
    assert imported.left_out == {"example.com": 1}
    assert recording.source == f"VCR.py: {tmp_path.name}/a.json, interaction 1"


def test_folders_are_searched_for_cassettes(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    for name in ("b.yaml", "inner/a.har", "x.png", "y.txt"):
        (tmp_path / name).touch()
    other = tmp_path / "y.txt"
    files = [*cassette_files([tmp_path, other])]
    assert files == [(tmp_path / "b.yaml", False), (tmp_path / "inner/a.har", False), (other, True)]

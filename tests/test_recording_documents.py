"""A recording as a document: the same bytes come back, and what people read is readable."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from math import inf, nan
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from images_emulator.recordings import content_document
from images_emulator.recordings.document import (
    from_document,
    mistakes_in_bodies,
    plain_fields,
    to_document,
)
from images_emulator.recordings.document_check import (
    DocumentError,
    line_number_of,
    mistakes_of,
    schema,
)
from images_emulator.recordings.document_fast_check import is_certainly_valid
from images_emulator.recordings.folder import document_text
from images_emulator.recordings.recorded_files import MemoryFiles
from images_emulator.recordings.recording import (
    Expectation,
    RecordedPart,
    RecordedRequest,
    RecordedResponse,
    Recording,
)
from tests.recorded import PNG, expectations, form, generation, recordings, unhurried

KEYS = {
    key for rule in [schema(), *schema()["$defs"].values()] for key in rule.get("properties", ())
}
"""All names of the format."""

FORM_TYPE = (("Content-Type", "multipart/form-data; boundary=B"),)
STREAM_TYPE = (("content-type", "text/event-stream"),)


def file_of(data: bytes, suffix: str) -> str:
    return MemoryFiles().add([data], suffix)


class NoFiles:
    """Has no files."""

    def read(self, name: str) -> bytes:
        raise FileNotFoundError(name)


def read_back(recording: Recording, files: MemoryFiles) -> Recording:
    """What is read from the text of the document of *recording*."""
    text = document_text(to_document(recording, files))
    return from_document(json.loads(text.encode()), files)


def body_of(recording: Recording) -> Any:
    return to_document(recording, MemoryFiles())["request"]["body"]


def with_body(body: bytes, kind: str = "application/json") -> Recording:
    return Recording(RecordedRequest("POST", "/", (("content-type", kind),), body), None)


def streamed(*parts: tuple[float, bytes]) -> Recording:
    response = RecordedResponse(200, STREAM_TYPE, tuple(RecordedPart(*part) for part in parts))
    return Recording(RecordedRequest("POST", "/"), response)


# --- exact


@pytest.mark.slow
@unhurried()
@given(recordings())
def test_a_recording_is_read_from_its_document_as_it_was(recording: Recording) -> None:
    assert read_back(recording, MemoryFiles()) == recording


@pytest.mark.slow
@unhurried(50)
@given(recordings())
def test_a_document_may_have_no_files(recording: Recording) -> None:
    document = json.loads(document_text(to_document(recording, None)))
    assert from_document(document, NoFiles()) == recording


@pytest.mark.slow
@unhurried(20)
@given(recordings())
def test_the_document_of_a_recording_is_valid(recording: Recording) -> None:
    document = json.loads(document_text(to_document(recording, MemoryFiles())))
    jsonschema.Draft202012Validator(schema()).validate(document)
    assert mistakes_of(document) == []


@pytest.mark.slow
def test_the_exchanges_of_this_repository_are_valid() -> None:
    validator = jsonschema.Draft202012Validator(schema())
    files = [*(Path(__file__).parent.parent / "fixtures" / "exchanges").glob("*.json")]
    assert len(files) > 250
    assert [
        file.name for file in files if not validator.is_valid(json.loads(file.read_text()))
    ] == []


ENCODED = base64.b64encode(PNG).decode()
NOT_CANONICAL = base64.b64encode(PNG + b"a").decode().replace("YQ==", "YR==")
"""Base64 of a picture whose last bits another encoder would leave out."""

ODD_BODIES = {
    "base64 that is not canonical": json.dumps({"a": NOT_CANONICAL}),
    "base64 with more behind its end": json.dumps({"a": f"{NOT_CANONICAL}{ENCODED}"}),
    "the mark of a file": json.dumps({"a": "file#0", "b": ENCODED, "c": "file##"}),
    "the mark of a file as a name": json.dumps({"file#0": ENCODED, "file#1": [ENCODED, "file#9"]}),
    "a file as a name": json.dumps({ENCODED: ENCODED}),
    "a file in text": f'"{ENCODED}" file#0 "{ENCODED}',
}


@pytest.mark.parametrize("name", ODD_BODIES)
def test_an_odd_body_is_read_as_it_was(name: str) -> None:
    recording = with_body(ODD_BODIES[name].encode())
    assert read_back(recording, MemoryFiles()) == recording


def test_base64_that_ends_twice_stays_in_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    first = base64.b64encode(PNG + b"a").decode()
    monkeypatch.setattr(content_document, "PIECE_CHARS", len(first))
    recording = with_body(json.dumps({"a": first + ENCODED}).encode())
    assert read_back(recording, MemoryFiles()) == recording


def test_a_part_may_have_the_beginning_of_a_boundary() -> None:
    head = b'Content-Disposition: form-data; name="a"'
    body = form("B", [(head, b"one\r\n--Beyond\r\n-"), (head, b"")], b"--\r\n")
    recording = Recording(RecordedRequest("POST", "/", FORM_TYPE, body), None)
    assert body_of(recording)["form"][0]["text"] == "one\r\n--Beyond\r\n-"
    assert read_back(recording, MemoryFiles()) == recording


@pytest.mark.slow
@unhurried()
@given(expectations())
def test_an_expectation_is_read_from_its_document_as_it_was(expectation: Expectation) -> None:
    body = b'{"created":"<any>"}'
    recording = replace(
        generation(),
        response=RecordedResponse(200, (("a", "b"),), (RecordedPart(0, body),)),
        expectation=expectation,
    )
    assert read_back(recording, MemoryFiles()) == recording


@pytest.mark.parametrize("seconds", [inf, nan, -1.0])
def test_a_time_that_json_has_not_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="a time is finite, and 0 or more"):
        to_document(streamed((seconds, b"")), MemoryFiles())


# --- readable


def test_json_is_json_with_its_layout() -> None:
    recording = generation()
    document = to_document(recording, MemoryFiles())
    assert document["request"]["body"] == {"json": {"model": "gpt-image-2", "prompt": "a red fox"}}
    assert document["response"]["body"] == {
        "json": {
            "created": 1,
            "data": [{"b64_json": {"file": file_of(PNG, ".png"), "as": "base64"}}],
        },
        "layout": {"indent": 2, "newline": True},
    }


@pytest.mark.parametrize(
    ("body", "layout"),
    [
        (b'{"a": 1, "b": "\\u00e9"}', {"spaces": True, "ascii": True}),
        (b'{"a":"\\u003cb\\u003e"}', {"html": True}),
        ('{"a":"ü\\u2028\\u2029"}'.encode(), {"html": True}),
        (b'{"a":"b\\/c"}', {"slashes": True}),
        (b'{\n\t"a": 1\n}', {"indent": "\t"}),
        ('{"a":"é"}\n'.encode(), {"newline": True}),
    ],
)
def test_layouts_of_usual_clients_are_known(body: bytes, layout: dict[str, Any]) -> None:
    assert body_of(with_body(body))["layout"] == layout


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":2}',
        b'{"a":1.50}',
        b'{"a":{"file":"files/0123456789abcdef.png","as":"base64"}}',
        b'{"a":{"repeat":"x","times":3}}',
    ],
    ids=["a name twice", "a number with a nought", "what describes a file", "a repeated text"],
)
def test_json_that_would_be_read_otherwise_is_text(body: bytes) -> None:
    assert body_of(with_body(body)) == {"text": body.decode()}


def test_a_picture_in_a_data_url_is_a_file() -> None:
    url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    assert body_of(with_body(json.dumps({"image_url": url}).encode()))["json"] == {
        "image_url": {"file": file_of(PNG, ".png"), "as": "data:image/png;base64"}
    }


def test_a_picture_in_text_that_is_no_json_is_a_file() -> None:
    body = b'{"b64_json":"%s", ' % base64.b64encode(PNG)
    assert body_of(with_body(body))["text"] == [
        '{"b64_json":"',
        {"file": file_of(PNG, ".png"), "as": "base64"},
        '", ',
    ]


def test_a_form_is_its_parts() -> None:
    body = form(
        "B",
        [
            (b'Content-Disposition: form-data; name="prompt"', b"a red fox"),
            (
                b'Content-Disposition: form-data; name="image[]"; filename="fox.png"\r\n'
                b"Content-Type: image/png",
                PNG,
            ),
            (b'content-disposition: form-data; name="n"', b"2"),
        ],
        b"--\r\n",
    )
    recording = Recording(RecordedRequest("POST", "/", FORM_TYPE, body), None)
    assert body_of(recording) == {
        "form": [
            {"name": "prompt", "text": "a red fox"},
            {
                "name": "image[]",
                "filename": "fox.png",
                "content_type": "image/png",
                "file": file_of(PNG, ".png"),
            },
            {"head": 'content-disposition: form-data; name="n"', "text": "2"},
        ]
    }


def test_a_form_without_parts_is_a_form() -> None:
    recording = Recording(RecordedRequest("POST", "/", FORM_TYPE, b"--B--\r\n"), None)
    assert body_of(recording) == {"form": []}
    assert read_back(recording, MemoryFiles()) == recording


def test_a_form_that_is_cut_is_no_form() -> None:
    body = form("B", [(b'Content-Disposition: form-data; name="a"', b"b")], b"")
    recording = Recording(RecordedRequest("POST", "/", FORM_TYPE, body), None)
    assert body_of(recording) == {"text": body.decode()}


def test_a_stream_is_its_events_with_their_times() -> None:
    picture = base64.b64encode(PNG)
    recording = streamed(
        (0.5, b'event: image_edit.completed\ndata: {"b64_json": "%s"}\n\n' % picture),
        (0.75, b'data: {"n":1}\n\n'),
        (1, b": wait\n\n"),
        (2, b"data: {"),
    )
    assert to_document(recording, MemoryFiles())["response"]["body"] == {
        "stream": [
            {
                "seconds": 0.5,
                "event": "image_edit.completed",
                "data": {"b64_json": {"file": file_of(PNG, ".png"), "as": "base64"}},
            },
            {"seconds": 0.75, "data": {"n": 1}, "layout": {}},
            {"seconds": 1, "text": ": wait\n\n"},
            {"seconds": 2, "text": "data: {"},
        ],
        "layout": {"spaces": True},
    }


def test_an_encoded_body_is_a_file_and_is_shown_decoded() -> None:
    body = gzip.compress(b'{"n":1}')
    headers = (("content-type", "application/json"), ("content-encoding", "gzip"))
    recording = Recording(RecordedRequest("POST", "/", headers, body), None)
    assert body_of(recording) == {"file": file_of(body, ".gz"), "decoded": {"json": {"n": 1}}}


def test_each_picture_is_kept_once() -> None:
    files = MemoryFiles()
    for _ in range(2):
        to_document(generation(), files)
    assert list(files.files.values()) == [PNG]


def test_headers_are_an_object_unless_a_name_comes_twice() -> None:
    once, twice = (("A", "1"), ("a", "2")), (("A", "1"), ("b", "2"), ("A", "3"))
    one = Recording(RecordedRequest("GET", "/", once), None)
    two = Recording(RecordedRequest("GET", "/", twice), None)
    assert to_document(one, MemoryFiles())["request"]["headers"] == {"A": "1", "a": "2"}
    assert to_document(two, MemoryFiles())["request"]["headers"] == [
        ["A", "1"],
        ["b", "2"],
        ["A", "3"],
    ]


def test_what_is_short_is_on_one_line_of_the_file() -> None:
    document = {"headers": [["a", "1"], ["b", "2" * 80]], "none": {}, "object": {"a": [1]}}
    assert document_text(document).splitlines() == [
        "{",
        '  "headers": [',
        '    ["a", "1"],',
        "    [",
        '      "b",',
        '      "' + 80 * "2" + '"',
        "    ]",
        "  ],",
        '  "none": {},',
        '  "object": {"a": [1]}',
        "}",
    ]


# --- descriptions


DESCRIBED = {
    "version": 1,
    "request": {
        "method": "POST",
        "target": "/v1/images/edits",
        "headers": {
            "content-type": "multipart/form-data; boundary=B",
            "x": {"repeat": "a", "times": 3},
        },
        "body": {
            "form": [
                {"name": "prompt", "text": {"repeat": "ab", "times": 2}},
                {
                    "name": "image",
                    "filename": "a.png",
                    "picture": {"format": "PNG", "size": "8x8", "mode": "RGB"},
                },
            ]
        },
    },
    "expected": {
        "status": 200,
        "headers_present": ["x-request-id"],
        "newline": True,
        "body": {"json": {"created": "<any>"}},
    },
}


def test_a_described_request_is_made() -> None:
    recording = from_document(DESCRIBED, MemoryFiles())
    start, _, rest = recording.request.body.partition(b"filename=")
    assert b'name="prompt"\r\n\r\nabab\r\n--B\r\n' in start
    assert rest.startswith(b'"a.png"\r\n\r\n\x89PNG\r\n\x1a\n')
    assert recording.request.headers[1] == ("x", "aaa")


def test_an_expected_answer_says_what_it_leaves_open() -> None:
    recording = from_document(DESCRIBED, MemoryFiles())
    assert recording.response
    assert recording.response.body == b'{"created":"<any>"}'
    assert recording.expectation == Expectation(
        open_body=True, headers_present=("x-request-id",), newline=True
    )


def test_a_data_url_may_hold_a_described_picture() -> None:
    picture = {"format": "PNG", "size": "8x8", "mode": "RGB"}
    body = {"json": {"image_url": {"picture": picture, "as": "data:image/png;base64"}}}
    request = DESCRIBED["request"] | {"body": body}  # type: ignore[operator]
    recording = from_document(DESCRIBED | {"request": request}, MemoryFiles())
    url = json.loads(recording.request.body)["image_url"]
    assert url.startswith("data:image/png;base64,iVBORw0KGgo")


# --- without files


def test_plain_fields_need_no_file() -> None:
    recording = from_document(DESCRIBED, MemoryFiles())
    assert plain_fields(recording.request) == {"prompt": "abab"}
    assert "body" not in recording.request.__dict__


def test_a_body_that_is_one_text_has_no_plain_fields() -> None:
    body = json.dumps(base64.b64encode(bytes(3072)).decode()).encode()
    headers = (("Content-Type", "application/json"),)
    recording = Recording(RecordedRequest("POST", "/", headers, body), None)
    again = read_back(recording, MemoryFiles())
    assert again.request.body == body
    assert plain_fields(recording.request) == plain_fields(again.request) == {}


@pytest.mark.slow
@unhurried(20)
@given(recordings())
def test_plain_fields_are_the_same_before_and_after_the_file(recording: Recording) -> None:
    again = read_back(recording, MemoryFiles())
    late, at_once = plain_fields(again.request), plain_fields(recording.request)
    assert late.keys() == at_once.keys()
    assert all(late[name] == value for name, value in at_once.items() if "file" not in str(value))


# --- mistakes


def as_read(recording: Recording) -> dict[str, Any]:
    """The document of *recording* as it is read from its file."""
    document: dict[str, Any] = json.loads(document_text(to_document(recording, MemoryFiles())))
    return document


def changed(**changes: Any) -> dict[str, Any]:
    """The document of a generation with *changes*, by paths such as `response.status`; None takes
    a member away."""
    document = as_read(generation())
    for path, value in changes.items():
        *steps, last = path.split("__")
        inner = document
        for step in steps:
            inner = inner[step]
        inner[last] = value
        if value is None:
            del inner[last]
    return document


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ([], "must be an object"),
        (changed(version=None), "lacks 'version'"),
        (changed(version=2), "version: 2 is newer than this program, which reads version 1"),
        (changed(version="1"), "version: must be 1"),
        (changed(version=True), "version: must be 1"),
        (changed(response=None), "needs one of response, expected, error"),
        (changed(error="x"), "has 'response' and 'error', which exclude each other"),
        (changed(respons={}), "respons: is not known; response is probably meant"),
        (changed(request__method=None), "request: lacks 'method'"),
        (changed(request__method=""), "request.method: is empty"),
        (changed(request__target=5), "request.target: must be a string"),
        (changed(request__headers=5), "request.headers: must be an object or an array"),
        (changed(request__headers={"a": 5}), "request.headers.a: must be a string or an object"),
        (changed(request__headers=[["a"]]), "request.headers[0]: must have 2 items"),
        (changed(request__body="x"), "request.body: must be an object"),
        (
            changed(request__body={}),
            "request.body: needs one of json, text, base64, file, picture, form",
        ),
        (
            changed(request__body={"stream": []}),
            "request.body: needs one of json, text, base64, file, picture, form",
        ),
        (
            changed(request__body={"form": [{"text": ""}]}),
            "request.body.form[0]: needs one of name, head",
        ),
        (
            changed(request__body={"form": [{"name": "a"}]}),
            "request.body.form[0]: needs one of text, base64, file, picture",
        ),
        (
            changed(request__body={"json": 1, "layout": {"indents": 2}}),
            "request.body.layout.indents: is not known; indent is probably meant",
        ),
        (
            changed(request__body={"json": 1, "layout": {"indent": -1}}),
            "request.body.layout.indent: is below 0",
        ),
        (
            changed(request__body={"json": 1, "layout": {"indent": 10**9}}),
            "request.body.layout.indent: is above 16",
        ),
        (
            changed(request__body={"json": 1, "layout": {"indent": "x"}}),
            "request.body.layout.indent: is not of the form ^\\t{1,8}$",
        ),
        (changed(response__status="200"), "response.status: must be an integer"),
        (changed(response__status=99), "response.status: is below 100"),
        (changed(response__status=1000), "response.status: is above 999"),
        (changed(response__seconds=-1), "response.seconds: is below 0"),
        (changed(response__end="early"), "response.end: must be one of complete, cut, reset"),
        (
            changed(response__body={"stream": [{"data": 1}]}),
            "response.body.stream[0]: lacks 'seconds'",
        ),
        (
            changed(response__body={"stream": [{"seconds": 1, "data": 1, "text": ""}]}),
            "response.body.stream[0]: has 'data' and 'text', which exclude each other",
        ),
        (
            changed(recorded_at="2026-01-01T00:00:00"),
            "recorded_at: is no time with a zone such as 2026-03-31T12:00:00+00:00",
        ),
        (changed(as_of="20260101"), "as_of: is no date such as 2026-03-31"),
        (changed(settings=[]), "settings: must be an object"),
        (changed(broken=1), "broken: must be a boolean"),
        (changed(downloads=[{"url": "x"}]), "downloads[0]: lacks 'status'"),
    ],
)
def test_a_mistake_is_a_sentence_with_its_place(document: Any, sentence: str) -> None:
    with pytest.raises(DocumentError) as caught:
        from_document(document, MemoryFiles())
    assert sentence in [str(each) for each in caught.value.mistakes]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ({"file": 5, "as": "base64"}, "request.body.json.a.file: must be a string"),
        (
            {"file": "files/a", "as": "hex"},
            "request.body.json.a.as: is not of the form ^(base64|data:",
        ),
        (
            {"picture": {"format": "PNG", "size": "8x8"}, "as": "base64"},
            "request.body.json.a.picture: lacks 'mode'",
        ),
        ({"repeat": "x", "times": -1}, "request.body.json.a.times: is below 0"),
    ],
)
def test_a_mistake_in_a_description_is_found(text: Any, sentence: str) -> None:
    (mistake,) = mistakes_of(changed(request__body={"json": {"a": text}}))
    assert str(mistake).startswith(sentence)


VALUES: tuple[Any, ...] = (None, True, -1, "", [], [1], {}, {"file": 1}, {"text": ["", {}]})
CHANGED: tuple[Any, ...] = (
    DESCRIBED,
    changed(),
    as_read(
        streamed((0.5, b'event: a\ndata: {"a": 1}\n\n'), (1, b"data: {}\n\n"), (2, b": c\n\n"))
    ),
    as_read(with_body(gzip.compress(b"{}"))),
)


def changes(document: Any) -> Iterator[Any]:
    """*document* with one of `VALUES` in the place of one of its own, or with one more member."""
    for place in envelope(document):
        for value in VALUES:
            yield with_value(document, place, value)
        yield with_value(document, (*place[:-1], "unknown"), "")


def with_value(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    """*document* with *value* at *place*, if there may be such a place."""
    if not place:
        return value
    step, *rest = place
    if isinstance(document, list):
        if not isinstance(step, int):
            return document
        inner = with_value(document[step], tuple(rest), value)
        return [*document[:step], inner, *document[step + 1 :]]
    return document | {step: with_value(document.get(step), tuple(rest), value)}


@pytest.mark.parametrize(
    "description",
    [
        {"picture": {"widht": 3}, "as": "base64"},
        {"repeat": "x", "times": "many"},
        {"file": "", "as": "base64"},
        {"file": "0" * 64, "as": "png"},
    ],
    ids=str,
)
def test_a_wrong_description_in_json_is_not_plainly_right(description: Any) -> None:
    request = {"method": "POST", "target": "/", "body": {"json": {"images": [description]}}}
    events = [{"seconds": 0, "event": "x", "data": {"b64_json": description}}]
    for body in ({"json": {"b64_json": description}}, {"stream": events}):
        response = {"status": 200, "body": body}
        for wrong in (
            {"request": {"method": "GET", "target": "/"}, "response": response},
            {"request": request, "response": {"status": 200}},
        ):
            document = {"version": 1, **wrong}
            assert mistakes_of(document)
            assert not is_certainly_valid(document)


@pytest.mark.parametrize("document", CHANGED)
def test_what_is_plainly_right_has_no_mistake(document: Any) -> None:
    assert [
        wrong for wrong in changes(document) if is_certainly_valid(wrong) and mistakes_of(wrong)
    ] == []


@pytest.mark.slow
@pytest.mark.parametrize("document", CHANGED)
def test_the_check_and_the_schema_agree(document: Any) -> None:
    validator = jsonschema.Draft202012Validator(schema())
    assert [
        wrong
        for wrong in changes(document)
        if validator.is_valid(wrong) != (not mistakes_of(wrong)) and has_usual_times(wrong)
    ] == []


def has_usual_times(document: Any) -> bool:
    """Whether the check and the schema look at the same: the validator knows no `format`."""
    return all(document.get(name, "2") for name in ("recorded_at", "as_of"))


@pytest.mark.parametrize("document", CHANGED)
def test_what_passes_the_check_is_read_or_its_bodies_are_refused(document: Any) -> None:
    for wrong in changes(document):
        if not mistakes_of(wrong):
            recording = from_document(wrong, MemoryFiles())
            plain_fields(recording.request)
            for mistake in mistakes_in_bodies(recording):
                assert mistake.sentence


ODD_VALUES = st.recursive(
    st.sampled_from((None, True, 0, 1, 1.5, "", "x", "\ud800", 10**400)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(sorted(KEYS)), inner, max_size=4)
    ),
    max_leaves=20,
)


@pytest.mark.slow
@unhurried()
@given(ODD_VALUES)
def test_any_json_is_a_recording_or_has_mistakes(value: Any) -> None:
    for document in (value, changed(request=value), changed(response=value)):
        with suppress(DocumentError):
            recording = from_document(document, MemoryFiles())
            list(mistakes_in_bodies(recording))
            plain_fields(recording.request)


@pytest.mark.slow
@unhurried()
@given(ODD_VALUES)
def test_any_body_is_made_or_refused_by_a_sentence(value: Any) -> None:
    for body in (value, {"json": value}, {"text": value}, {"file": value}, {"picture": value}):
        document = changed(response__body=body)
        if not mistakes_of(document):
            list(mistakes_in_bodies(from_document(document, MemoryFiles())))


def envelope(document: Any, place: tuple[Any, ...] = ()) -> Any:
    """The places of all values of *document* but those within JSON bodies."""
    inner = enumerate(document) if isinstance(document, list) else document.items()
    for step, value in inner:
        yield (*place, step)
        if isinstance(value, dict | list) and step not in ("json", "data", "extra", "settings"):
            yield from envelope(value, (*place, step))


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ((), 1),
        (("version",), 2),
        (("request", "headers", 1), 6),
        (("request", "headers", 9), 4),
        (("missing", "more"), 1),
        (("last",), 9),
    ],
)
def test_the_line_of_a_place_is_found(place: tuple[str | int, ...], line: int) -> None:
    text = """{
        "version": 1,
        "request": {
            "headers": [
                "[{\\"",
                {"a": 1}
            ]
        },
        "last": null
    }"""
    assert line_number_of(text, place) == line

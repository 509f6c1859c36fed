"""Answers are compared with recorded ones: by value, or by the form of what is new each time."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest

from images_emulator.contract.http_headers import HeaderPairs
from images_emulator.recordings.answer_comparison import (
    AnswerDifference,
    answer_differences,
    shape_of,
)
from images_emulator.recordings.recording import (
    Expectation,
    RecordedPart,
    RecordedRequest,
    RecordedResponse,
    Recording,
)
from tests.pictures import encoded, plain, png

JSON: HeaderPairs = (("Content-Type", "application/json"),)
STREAM: HeaderPairs = (("content-type", "text/event-stream; charset=utf-8"),)


def response(body: Any, status: int = 200, headers: HeaderPairs = JSON) -> RecordedResponse:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return RecordedResponse(status=status, headers=headers, parts=(RecordedPart(0.0, data),))


def compared(
    want: RecordedResponse,
    got: RecordedResponse,
    expectation: Expectation | None = None,
    *,
    only_shapes: bool = True,
) -> list[AnswerDifference]:
    request = RecordedRequest(method="POST", target="/v1/images/generations")
    recording = Recording(request=request, response=want, expectation=expectation)
    return [*answer_differences(recording, got, only_shapes=only_shapes)]


def kinds(want: Any, got: Any, status: int = 200, *, only_shapes: bool = True) -> list[str]:
    differences = compared(response(want, status), response(got, status), only_shapes=only_shapes)
    return [f"{each.kind} {each.where}" for each in differences]


def error(**changes: Any) -> dict[str, Any]:
    fields = {"message": "No.", "type": "invalid_request_error", "param": None, "code": "bad"}
    return {"error": fields | changes}


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


NEW_EACH_TIME = [
    ({"created": 1750429274}, {"created": 1780000000}),
    ({"data": [{"b64_json": b64(png())}]}, {"data": [{"b64_json": b64(png(colour=(1, 2, 3)))}]}),
    ({"url": "https://a.example/x.png?sig=1"}, {"url": "http://127.0.0.1:80/y.png"}),
    ({"revised_prompt": "A fox."}, {"revised_prompt": "A red fox, sitting."}),
    ({"id": "file-abc123DEF"}, {"id": "file-zzz999"}),
    ({"usage": {"total_tokens": 12}}, {"usage": {"total_tokens": 4200}}),
    ({"at": "2025-06-20T14:21:14Z"}, {"at": "2026-01-02 03:04:05+00:00"}),
    (
        error(message="Sorry, request req_6b2c2350b4bf failed in 12ms for sk-abc***xyz"),
        error(message="Sorry, request req_00112233445566 failed in 3.5s for sk-other"),
    ),
]


@pytest.mark.parametrize(("want", "got"), NEW_EACH_TIME)
def test_what_is_new_in_each_answer_is_no_drift(want: Any, got: Any) -> None:
    status = 400 if "error" in want else 200
    assert kinds(want, got, status) == []
    assert kinds(want, got, status, only_shapes=False) != []


DRIFTS = [
    ({"created": 1}, {"created": "1"}, "type body.created"),
    ({"created": 1}, {"created": None}, "type body.created"),
    ({"a": True}, {"a": 1}, "type body.a"),
    ({"a": {}}, {"a": []}, "type body.a"),
    ({"a": 1}, {}, "key body.a"),
    ({}, {"a": 1}, "key body.a"),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}, "order body"),
    ({"data": [1, 2]}, {"data": [1]}, "length body.data"),
    ({"data": [{"id": "a"}, {"id": "b"}]}, {"data": [{"id": "b"}]}, "item body.data"),
    ({"data": [{"id": "b"}]}, {"data": [{"id": "a"}, {"id": "b"}]}, "item body.data"),
    ({"data": [{"id": "a"}, {"id": "b"}]}, {"data": [{"id": "b"}, {"id": "a"}]}, "order body.data"),
    ({"data": [{"id": "a"}, {"x": 1}]}, {"data": [{"id": "a"}, {"x": "1"}]}, "type body.data[1].x"),
    ({"data": [{"id": "a"}, {"id": "a"}]}, {"data": [{"id": "a"}]}, "length body.data"),
    ({"output_format": "png"}, {"output_format": "webp"}, "value body.output_format"),
    ({"b": False}, {"b": True}, "value body.b"),
    (
        {"b64_json": b64(png())},
        {"b64_json": b64(encoded(plain(mode="RGB"), "JPEG"))},
        "form body.b64_json",
    ),
    ({"b64_json": b64(png())}, {"b64_json": "?"}, "form body.b64_json"),
    ({"url": "https://a.example/x"}, {"url": "data:image/png;base64,aaaa"}, "form body.url"),
    ({"url": "https://a.example/x"}, {"url": "x"}, "form body.url"),
]


def test_objects_of_a_list_are_compared_by_their_ids() -> None:
    want = {"data": [{"id": "a"}, {"id": "b", "x": 1}]}
    got = {"data": [{"id": "b", "x": "1"}, {"id": "c"}]}
    assert kinds(want, got) == ["item body.data", "item body.data", "type body.data[1].x"]


@pytest.mark.parametrize(("want", "got", "found"), DRIFTS)
def test_each_kind_of_difference_is_found(want: Any, got: Any, found: str) -> None:
    assert kinds(want, got) == [found]


ERRORS = [
    ({"message": "Yes."}, "sentence body.error.message"),
    ({"message": None}, "sentence body.error.message"),
    ({"type": "server_error"}, "code body.error.type"),
    ({"param": "size"}, "code body.error.param"),
    ({"code": None}, "code body.error.code"),
    ({"hint": "x"}, "key body.error.hint"),
]


@pytest.mark.parametrize(("change", "found"), ERRORS)
def test_the_fields_of_an_error_are_compared(change: dict[str, Any], found: str) -> None:
    assert kinds(error(), error(**change), 400) == [found]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (error(), "400 (No.)"),
        ({"a": 1}, '400 ({"a": 1})'),
        (b"<html>" + b"x" * 500, f"400 (<html>{'x' * 94}…)"),
        (b"", "400"),
        ({"error": "No."}, '400 ({"error": "No."})'),
    ],
)
def test_another_status_is_the_only_difference(body: Any, said: str) -> None:
    (found,) = compared(response({"a": 1}), response(body, 400))
    assert (found.kind, str(found)) == ("status", f"status: {said}, recorded 200")


def test_the_same_place_in_several_items_is_one() -> None:
    want = {"data": [{"size": "1"}, {"size": "1"}]}
    found = compared(response(want), response({"data": [{}, {}]}))
    assert {each.where for each in found} == {"body.data[0].size", "body.data[1].size"}
    assert {each.path_pattern for each in found} == {"body.data[].size"}


def test_any_stands_for_values_and_for_parts_of_a_text() -> None:
    want = {"created": "<any>", "name": "a <any>\nz", "data": [{"url": "<any>"}]}
    assert kinds(want, {"created": 1, "name": "a b\nz", "data": [{"url": 2}]}) == []
    assert kinds(want, {"created": 1, "name": "b", "data": [{"url": 2}]}) == ["value body.name"]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, []),
        ({"size": "auto", "quality": None}, []),
        ({"size": "1024x1024"}, ["value body.size"]),
        ({"quality": "low"}, ["value body.quality"]),
    ],
)
def test_what_the_request_leaves_to_the_api_may_differ(
    asked: dict[str, Any], found: list[str]
) -> None:
    body = json.dumps({"model": "gpt-image-2", "prompt": "A fox"} | asked).encode()
    request = RecordedRequest(method="POST", target="/v1/images/generations", body=body)
    want, got = (
        response({"size": size, "quality": quality, "output_format": "png"})
        for size, quality in (("1024x1024", "low"), ("1536x1024", "high"))
    )
    recording = Recording(request=request, response=want)
    differences = answer_differences(recording, got, only_shapes=True)
    assert [f"{each.kind} {each.where}" for each in differences] == found


def test_an_expected_answer_without_an_error_may_gain_keys_of_later_days() -> None:
    want, got = response({"data": []}), response({"data": [], "size": "1024x1024"})
    assert compared(want, got, Expectation(open_body=True)) == []
    assert [each.kind for each in compared(want, got)] == ["key"]
    failed = response(error(), 400), response(error(size="1"), 400)
    assert [each.kind for each in compared(*failed, Expectation(open_body=True))] == ["key"]


def test_headers_of_the_api_are_missed() -> None:
    headers = (*JSON, ("X-Request-Id", "req_1"), ("server", "cloudflare"))
    expectation = Expectation(headers_present=("openai-version", "cf-ray"))
    found = compared(response({}, headers=headers), response({}), expectation)
    assert [each.where for each in found] == ["header openai-version", "header x-request-id"]


def test_another_media_type_is_told() -> None:
    found = compared(response({}), response({}, headers=(("content-type", "text/html"),)))
    assert [str(each) for each in found] == [
        "header content-type: text/html, recorded application/json"
    ]


@pytest.mark.parametrize(
    ("want", "got", "same"),
    [(b"", b"", True), (b"x", b"y", False), (b"{}", b"", False), (b"<html>", b"<html>", True)],
)
def test_a_body_that_is_no_json_is_compared_as_text(want: bytes, got: bytes, same: bool) -> None:
    assert (not compared(response(want), response(got))) == same


def test_pictures_are_not_compared() -> None:
    headers = (("content-type", "image/png"),)
    assert not compared(response(png(), headers=headers), response(b"x", headers=headers))


def test_a_compressed_body_is_compared_uncompressed() -> None:
    headers = (*JSON, ("Content-Encoding", "gzip"))
    want = response(gzip.compress(b'{"a": 1}'), headers=headers)
    assert not compared(want, response({"a": 1}))
    assert [each.kind for each in compared(want, response({"b": 1}))] == ["key", "key"]


def stream(*events: tuple[str, Any]) -> RecordedResponse:
    text = "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in events)
    return response(text.encode(), headers=STREAM)


PARTIAL = ("image_generation.partial_image", {"partial_image_index": 0, "b64_json": b64(png())})
COMPLETED = ("image_generation.completed", {"b64_json": b64(png()), "usage": {"total_tokens": 1}})


def test_a_stream_may_have_another_number_of_partial_images() -> None:
    later = (PARTIAL[0], PARTIAL[1] | {"partial_image_index": 1})
    assert not compared(stream(PARTIAL, later, COMPLETED), stream(PARTIAL, COMPLETED))
    assert not compared(stream(PARTIAL, COMPLETED), stream(PARTIAL, later, COMPLETED))


def test_an_event_is_compared_with_the_one_in_its_place() -> None:
    second = (PARTIAL[0], {"partial_image_index": 1, "size": "auto"})
    assert not compared(stream(PARTIAL, second), stream(PARTIAL, second))
    (name, *_) = [
        each.where for each in compared(stream(PARTIAL, second), stream(PARTIAL, PARTIAL))
    ]
    assert name.startswith("event image_generation.partial_image[1].")


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85"], ids=ascii)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"], ids=ascii)
def test_a_character_that_ends_a_line_elsewhere_is_part_of_an_event(
    character: str, line_end: str
) -> None:
    def completed(created_at: int, name: str = "image_generation.completed") -> RecordedResponse:
        prompt = json.dumps(f"A fox{character}data: in the snow", ensure_ascii=False)
        data = f'{{"created_at": {created_at}, "revised_prompt": {prompt}}}'
        lines = (f"event: {name}", f"data: {data}", "", "")
        return response(line_end.join(lines).encode(), headers=STREAM)

    assert not compared(completed(1750429274), completed(1750429275))
    (found,) = compared(completed(1), completed(2, "error"))
    assert (found.kind, found.actual) == ("event", "error")


def test_events_that_are_missing_or_otherwise_are_told() -> None:
    (found,) = compared(stream(PARTIAL, COMPLETED), stream(COMPLETED))
    assert (found.kind, found.actual) == ("event", "image_generation.completed")
    other = (COMPLETED[0], {"b64_json": b64(png()), "usage": None})
    (found,) = compared(stream(COMPLETED), stream(other))
    assert (found.kind, found.where) == ("type", "event image_generation.completed[0].usage")


def test_events_without_a_name_are_named_by_their_type() -> None:
    data = {"type": "image_edit.completed", "b64_json": b64(png())}
    unnamed = response(f"data: {json.dumps(data)}\n\n".encode(), headers=STREAM)
    assert not compared(stream((data["type"], data)), unnamed)


def test_a_stream_in_place_of_json_is_told() -> None:
    (found,) = [each for each in compared(response({}), stream(COMPLETED)) if each.kind == "body"]
    assert str(found) == "body: a stream, recorded no stream"


def test_words_with_a_hyphen_are_no_ids() -> None:
    assert shape_of("the user-provided file-handle") == "the user-provided file-handle"
    assert shape_of("org-GKgUkEpT8iJb has user-DoU0NI1d") == "an id has an id"


def test_long_values_are_shortened_in_a_sentence() -> None:
    (found,) = compared(response({"a": "x" * 5000}), response({"a": "y"}))
    assert len(str(found)) < 400

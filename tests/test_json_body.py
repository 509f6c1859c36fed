"""JSON bodies of any size are read as Python reads them, and those of too many parts not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import EDITS, GENERATIONS
from images_emulator.contract.refusal import APIError
from images_emulator.exchange.json_body import (
    MAX_OUTSIDE_BYTES,
    MAX_STRUCTURE,
    MAX_WHOLE_BYTES,
    PIECE_BYTES,
    parse_json,
)
from tests.answers import error_of

LONG = "x" * (PIECE_BYTES + 100)


def padded(body: bytes) -> bytes:
    """The same JSON, longer than what is parsed at once."""
    return body + b" " * MAX_WHOLE_BYTES


def outcome(body: bytes) -> Any:
    try:
        return parse_json(body)
    except APIError as error:
        return error.newest.body()


VALUES: list[Any] = [
    None,
    True,
    -1.5e3,
    [],
    [[1, 2], {"a": []}],
    {"a": {"b": "c"}},
    "",
    "plain",
    'with "quotes" and \\ and / and \t',
    "é日本🦦",
    "é" * PIECE_BYTES,
    "🦦" * PIECE_BYTES,
    '\\"' * PIECE_BYTES,
    LONG,
    [LONG, "short", LONG],
    {LONG[:2000]: LONG, "ö" * 2000: 1, LONG: [LONG]},
]


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("value", VALUES, ids=lambda value: ascii(value)[:20])
def test_a_large_body_is_read_as_python_reads_it(value: Any, ascii_only: bool) -> None:
    body = json.dumps({"a": value, "b": "after"}, ensure_ascii=ascii_only).encode()
    assert parse_json(padded(body)) == json.loads(body)


SMALL_PIECE_BYTES = 4096


@pytest.mark.parametrize("shift", range(13))
def test_a_long_string_is_cut_in_no_escape_and_no_character(
    shift: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("MAX_WHOLE_BYTES", 2048), ("PIECE_BYTES", SMALL_PIECE_BYTES)):
        monkeypatch.setattr(f"images_emulator.exchange.json_body.{name}", value)
    for text in ("🦦", "é", '"', "\\", "\n"):
        for ascii_only in (True, False):
            sent = {"a": "x" * (SMALL_PIECE_BYTES - shift) + text * 50 + "y" * SMALL_PIECE_BYTES}
            body = json.dumps(sent, ensure_ascii=ascii_only).encode()
            assert parse_json(body) == sent


BROKEN = [
    b"",
    b"{",
    b'{"a"',
    b'{"a": ',
    b'{"a": NaN}',
    b'{"a": Infinity}',
    b'{"a": -Infinity}',
    b'{"a": "x" "y"}',
    b'{"a": "\x01"}',
    b'{"a": "\\x"}',
    b'{"a": "\\u12"}',
    b'{"a": "' + b"x" * 2000 + b"\x01" + b'"}',
    b'{"a": "' + b"x" * 2000 + b"\\x" + b'"}',
    b'{"a": "' + b"x" * 2000,
    b'{"a": "' + b"x" * PIECE_BYTES,
    b'{"a": "' + b"x" * 2000 + b"\\",
    b'{"a": "' + b"x" * 2000 + b'\\"}',
    b'{"a": "' + b"x" * 2000 + b'\xff"}',
    b'{"a": "\xff"}',
    b"[" * 50_000,
    b'"' + b"x" * 2000 + b'"',
    b"[1]",
    b"nul",
    b'{"a": 1,}',
    b'{"' + b"x" * 2000 + b'" 1}',
    b'{1: "' + b"x" * 2000 + b'"}',
    b'{"' + b"x" * 2000 + b'" : }',
]


@pytest.mark.parametrize("body", BROKEN, ids=lambda body: ascii(body)[:20])
def test_a_large_body_is_refused_as_a_small_one_is(body: bytes) -> None:
    assert outcome(padded(body)) == outcome(body)


@pytest.mark.slow
@pytest.mark.parametrize("offset", range(13))
def test_many_halves_of_surrogate_pairs_are_question_marks(offset: int) -> None:
    halves = "\\ud83d" * (PIECE_BYTES // 3)
    body = f'{{"a": "{"x" * offset}{halves}\\ude00"}}'
    expected = "x" * offset + "?" * (PIECE_BYTES // 3 - 1) + "\N{GRINNING FACE}"
    assert parse_json(padded(body.encode())) == {"a": expected}


@pytest.mark.parametrize("text", ["\\ud83d", "\\uDE00 \\ud83d", "a\\ud83d\\ude00\\ud83d"])
@pytest.mark.parametrize("length", [0, 2000, PIECE_BYTES - 3])
def test_half_a_surrogate_pair_is_a_question_mark_in_a_large_body_too(
    text: str, length: int
) -> None:
    body = f'{{"a": "{"x" * length}{text}", "b{text}" : "after"}}'
    expected = {
        name.encode("utf-8", "replace").decode(): value.encode("utf-8", "replace").decode()
        for name, value in json.loads(body).items()
    }
    assert parse_json(padded(body.encode())) == expected


def structures() -> Iterator[tuple[str, bytes]]:
    half = MAX_STRUCTURE // 2
    yield "objects", b'{"a": [' + b",".join([b"{}"] * half) + b"]}" + b" " * MAX_WHOLE_BYTES
    yield "numbers", b'{"a": [' + b",".join([b"1"] * 2 * half) + b"]}" + b" " * MAX_WHOLE_BYTES
    yield "strings", b'{"a": [' + b",".join([b'"xx"'] * half) + b"]}" + b" " * MAX_WHOLE_BYTES
    yield "bare strings", b'"x"' * 4 * half
    yield "brackets", b"[" * 4 * half + b" " * MAX_WHOLE_BYTES
    yield "names", json.dumps({str(at): 1 for at in range(half)}).encode() + b" " * MAX_WHOLE_BYTES


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "body"), list(structures()), ids=lambda value: ascii(value)[:20])
def test_a_body_of_more_parts_than_any_call_has_is_not_parsed(
    kind: str, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("json.JSONDecoder.decode", None)
    with pytest.raises(APIError) as refused:
        parse_json(body)
    assert refused.value.newest.status == 413


@pytest.mark.parametrize(
    "form",
    [b'{"a": "x"%s}', b'{"a": 1%s}', b'{%s"a": 1}', b'%s{"a": "x"}', b'{"a": "x"}%s'],
    ids=["after a string", "after a number", "before a name", "before all", "after all"],
)
@pytest.mark.parametrize("blank", [b" ", b"\r\n", b"\t"])
def test_blanks_are_read_up_to_a_limit(
    form: bytes, blank: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = MAX_OUTSIDE_BYTES // len(blank) - 20
    assert parse_json(form % (blank * few)).keys() == {"a"}
    monkeypatch.setattr("json.JSONDecoder.decode", None)
    with pytest.raises(APIError) as refused:
        parse_json(form % (blank * MAX_OUTSIDE_BYTES))
    assert refused.value.newest.status == 413


def test_blanks_between_many_strings_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("json.JSONDecoder.decode", None)
    blanks = b" " * (MAX_OUTSIDE_BYTES // 100)
    with pytest.raises(APIError) as refused:
        parse_json(b'{"a": [' + b",".join([blanks + b'"x"'] * 101) + b"]}")
    assert refused.value.newest.status == 413


@pytest.mark.slow
def test_no_punctuation_within_strings_counts() -> None:
    value = {"prompt": '{[:,"\\' * 100_000, "user": "," * 10**7}
    assert parse_json(json.dumps(value).encode()) == value
    assert parse_json(json.dumps(value).replace("{[", "\\u007b\\u005b").encode())


def test_the_largest_call_of_the_table_has_far_less_structure() -> None:
    reference = {"image_url": "data:image/png;base64,AAAA"}
    for model in MODELS.values():
        for operation, rules in model.rules.items():
            values: Any = {"model": "m", "reasoning": {"effort": "max"}}
            in_json = dict.fromkeys(rules, values)
            in_json |= {"images": [reference] * 16, "mask": reference, "markup": reference}
            text = json.dumps(in_json)
            count = sum(map(text.count, '{[:,"'))
            assert 50 * count < MAX_STRUCTURE, (model, operation)


def test_a_body_of_too_many_parts_is_refused_in_the_api_s_words(http: httpx2.Client) -> None:
    body = b"[" + b",".join([b"{}"] * 1_000_000) + b"]"
    headers = {"Content-Type": "application/json"}
    for operation in (GENERATIONS, EDITS):
        error = error_of(http.post(operation.path, content=body, headers=headers), 413)
        assert error["message"] == "Maximum content size limit exceeded."


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/_emulator/scenario", "/_emulator/inject"])
def test_a_scenario_may_have_many_steps(http: httpx2.Client, path: str) -> None:
    step = {"fault": "server_error", "match": {"model": "no such model", "prompt": "x"}}
    body = {"steps": [step] * 10_000}
    put: Callable[..., httpx2.Response] = http.put if "scenario" in path else http.post
    answer = put(path, json=body if "scenario" in path else step | {"match": {"prompt": LONG}})
    assert answer.status_code == 200

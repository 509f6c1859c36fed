"""Which calls a step is for: what its `match` asks of them, and what a near miss says."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import Any, get_args

import httpx2
import pytest

from images_emulator import Emulator, Server
from images_emulator.contract.references import BASE64_CHUNK_CHARS
from images_emulator.exchange.field_path import FieldPath
from images_emulator.exchange.near_miss import NearMissKind
from images_emulator.exchange.prompts import name_pattern, prompt_name
from images_emulator.state.match_keys import MATCH_KEYS, MatchInput
from images_emulator.step_documents.match import Match
from images_emulator.step_documents.scenario_document import parse_step
from images_emulator.web.match_input import _make_for_current_steps
from tests.pictures import RED, half_clear, png
from tests.programs import run_command

FOX = {"model": "gpt-image-2", "prompt": "A red fox, asleep"}
SOURCE, MASK = png(), half_clear()
SHA = hashlib.sha256(SOURCE).hexdigest()


def test_every_key_has_a_row_and_a_kind_of_near_miss() -> None:
    names = [key.name for key in MATCH_KEYS]
    assert sorted(names) == sorted(Match.model_fields)
    assert {*names} < {*get_args(NearMissKind)}


async def test_values_are_made_again_where_a_step_comes_meanwhile_that_asks_for_others(
    emulator: Emulator,
) -> None:
    made: list[frozenset[str]] = []

    async def make() -> MatchInput:
        made.append(emulator.scenario.expensive_keys)
        if len(made) == 1:
            await asyncio.to_thread(emulator.scenario.inject, "timeout", match={"prompt": "fox"})
        return MatchInput("/v1/images/generations")

    await _make_for_current_steps(make, emulator)
    assert made == [frozenset(), frozenset({"prompt"})]


def data_url(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()


def generation(http: httpx2.Client, **fields: Any) -> None:
    http.post("/images/generations", json=FOX | fields)


def edit(http: httpx2.Client, **fields: Any) -> None:
    files = [("image[]", ("a.png", SOURCE, "image/png")), ("mask", ("m.png", MASK, "image/png"))]
    http.post("/images/edits", data=FOX | fields, files=files)


def json_edit(http: httpx2.Client, **fields: Any) -> None:
    images = [{"image_url": data_url(SOURCE)}, {"image_url": data_url(MASK)}]
    http.post("/images/edits", json=FOX | {"images": images} | fields)


@pytest.mark.parametrize(
    ("call", "match", "miss"),
    [
        ((generation, {"size": "1024x1536"}), {"size": "1024x1536"}, None),
        ((generation, {"size": "1024x1536"}), {"size": "1024x*"}, None),
        ((generation, {"size": "1024x1536"}), {"size": "64x*"}, "size '1024x1536' is not '64x*'"),
        # A fault comes before the defaults.
        ((generation, {}), {"size": "1024x1024"}, "size None is not '1024x1024'"),
        ((generation, {}), {"size": "*"}, None),
        ((generation, {"quality": "low"}), {"quality": "low"}, None),
        ((generation, {"quality": "low"}), {"quality": "high"}, "quality 'low' is not 'high'"),
        ((generation, {"n": 2}), {"n": 2}, None),
        ((generation, {"n": 2}), {"n": 3}, "n 2 is not 3"),
        ((generation, {"n": True}), {"n": 1}, "n None is not 1"),
        ((edit, {"n": "2"}), {"n": 2}, None),
        ((edit, {"n": "two"}), {"n": 2}, "n None is not 2"),
        ((generation, {"background": "opaque"}), {"background": "opaque"}, None),
        ((generation, {}), {"has_mask": False}, None),
        ((generation, {}), {"has_mask": True}, "the call has no mask"),
        ((edit, {}), {"has_mask": True}, None),
        ((edit, {}), {"has_mask": False}, "the call has a mask"),
        ((edit, {}), {"images": 1}, None),
        ((json_edit, {}), {"images": 2}, None),
        ((json_edit, {}), {"images": 1}, "images 2 is not 1"),
        ((edit, {}), {"image_sha256": SHA}, None),
        ((json_edit, {}), {"image_sha256": SHA}, None),
        ((edit, {}), {"image_sha256": "0" * 64}, f"no image has the SHA-256 {'0' * 64}"),
        ((generation, {}), {"image_sha256": SHA}, f"no image has the SHA-256 {SHA}"),
        ((generation, {}), {"prompt": "a RED Fox"}, None),
        ((generation, {"prompt": "EINE STRASSE"}), {"prompt": "Straße"}, None),
        ((generation, {}), {"prompt": "red  fox"}, "the prompt does not have 'red  fox'"),
        ((generation, {}), {"prompt_regex": r"(?i)\bRED\s+fox"}, None),
        ((generation, {}), {"prompt_regex": "^red"}, "the prompt does not match '^red'"),
        ((generation, {}), {"prompt_name": "a-red-fox-asleep"}, None),
        ((generation, {}), {"prompt_name": "A red *"}, None),
        (
            (generation, {}),
            {"prompt_name": "a-red-fox"},
            "the prompt's name 'a-red-fox-asleep' is not 'a-red-fox'",
        ),
        ((generation, {"user": "ada"}), {"fields": {"user": "ada"}}, None),
        ((generation, {"user": "ada"}), {"fields": {"$.user": "a*"}}, None),
        ((generation, {"user": "ada"}), {"fields": {"user": "bob"}}, 'user is "ada", not "bob"'),
        ((generation, {}), {"fields": {"user": "bob"}}, 'user is missing, not "bob"'),
        ((generation, {}), {"fields": {"user": None}}, None),
        ((generation, {"user": "ada"}), {"fields": {"user": None}}, 'user is "ada", not null'),
        ((generation, {"n": 1}), {"fields": {"n": True}}, "n is 1, not true"),
        ((edit, {"n": "2"}), {"fields": {"n": 2}}, None),
        ((edit, {"n": "2"}), {"fields": {"image[0]": "a.png", "n": 3}}, 'n is "2", not 3'),
        ((json_edit, {}), {"fields": {"images[*].image_url": data_url(MASK)}}, None),
        ((json_edit, {}), {"fields": {"images[0].image_url": "data:*"}}, None),
        (
            (json_edit, {}),
            {"fields": {"images[2].image_url": "data:*"}},
            'images[2].image_url is missing, not "data:*"',
        ),
    ],
)
def test_a_step_matches_what_a_call_has_sent(
    server: Server, http: httpx2.Client, call: Any, match: Any, miss: str | None
) -> None:
    server.inject("server_error", match=match)
    send, fields = call
    send(http, **fields)
    (sent,) = server.calls()
    assert [each.reason for each in sent.near_misses] == ([] if miss is None else [miss])
    assert sent.fault == ("server_error" if miss is None else None)
    # Only the last condition of each case does not hold.
    assert [each.kind for each in sent.near_misses] == ([] if miss is None else [*match][-1:])


def test_a_call_has_the_near_misses_of_the_first_twenty_steps(
    server: Server, http: httpx2.Client
) -> None:
    for number in range(22):
        server.inject("server_error", match={"prompt": f"no such prompt {number}"})
    generation(http)
    (call,) = server.calls()
    assert [str(number) in str(miss) for number, miss in enumerate(call.near_misses)] == [True] * 20


def test_the_file_of_an_earlier_upload_matches_by_its_digest(
    server: Server, http: httpx2.Client
) -> None:
    upload = {"file": ("a.png", SOURCE, "image/png")}
    identity = http.post("/files", data={"purpose": "vision"}, files=upload).json()["id"]
    server.inject("server_error", match={"image_sha256": SHA})
    answer = http.post("/images/edits", json=FOX | {"images": [{"file_id": identity}]})
    assert answer.status_code == 500


def test_a_large_body_matches_by_digest_and_field(server: Server, http: httpx2.Client) -> None:
    source = png((64, 64), "RGB", RED) + b"\0" * BASE64_CHUNK_CHARS
    digest = hashlib.sha256(source).hexdigest()
    match = {"image_sha256": digest, "fields": {"images[0].image_url": data_url(source)}}
    server.inject("server_error", match=match)
    images = [{"image_url": data_url(source)}]
    assert http.post("/images/edits", json=FOX | {"images": images}).status_code == 500


@pytest.mark.slow
def test_a_search_without_end_is_given_up(server: Server, http: httpx2.Client) -> None:
    endless = "(a|a)*$"
    server.inject("server_error", match={"prompt_regex": endless})
    generation(http, prompt="a" * 40 + "b")
    (call,) = server.calls()
    assert call.status == 200
    reason = "the search for '(a|a)*$' in the prompt takes more than 0.1 s"
    assert [each.reason for each in call.near_misses] == [reason]


@pytest.mark.parametrize(
    ("match", "sentence"),
    [
        ({"prompt_regex": "("}, "match: prompt_regex: this is no regular expression: "),
        ({"prompt_regex": "(" * 5000}, "prompt_regex: this regular expression is nested too deep"),
        ({"fields": {"a b": 1}}, "'a b' is no path to a field, such as user"),
        ({"fields": {"a..b": 1}}, "'a..b' is no path to a field"),
        ({"fields": {"[0]": 1}}, "is no path to a field"),
        ({"image_sha256": "abc"}, "match: image_sha256: string should match pattern"),
        ({"n": 0}, "match: n: input should be greater than or equal to 1, not 0"),
        ({"has_mask": "yes"}, "match: has_mask: input should be a valid boolean, not 'yes'"),
        ({"sise": "1024x1024"}, "match: unknown key 'sise'; 'size' is probably meant"),
    ],
)
def test_a_match_with_a_mistake_is_refused(match: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match="match: ") as error:
        parse_step({"fault": "timeout", "match": match})
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("A red fox!", "a-red-fox"),
        ("  Ein Fuchs -- süß_und/klein ", "ein-fuchs-süß-und-klein"),
        ("Cafe\u0301", "caf\u00e9"),
        ("狐狸 睡觉", "狐狸-睡觉"),
        ("?!", ""),
    ],
)
def test_the_name_of_a_prompt_is_its_words_with_hyphens(prompt: str, name: str) -> None:
    assert prompt_name(prompt) == name
    assert name_pattern(prompt.replace("?", "")) == name


def test_a_pattern_of_names_keeps_its_wildcards() -> None:
    assert name_pattern("Red Fox*, on a ?hill") == "red-fox*-on-a-?hill"


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("a", ['{"b": [1, 2.5, {"c": null}]}']),
        ("$.a.b[0]", ["1"]),
        ("a.b[*]", ["1", "2.5", '{"c": null}']),
        ("a.b[*].c", ["null"]),
        ("a.b[9]", []),
        ("a.b.c", []),
        ("b", []),
    ],
)
def test_a_path_finds_the_values_of_a_body(path: str, values: list[str]) -> None:
    assert [*FieldPath(path).values({"a": {"b": [1, 2.5, {"c": None}]}})] == values


def test_steps_with_the_same_path_see_true_and_one_as_two_values(
    server: Server, http: httpx2.Client
) -> None:
    server.inject("server_error", times=None, match={"fields": {"n": 1}})
    for n, status in ((True, 400), (1, 500), (1.0, 500), (True, 400)):
        assert http.post("/images/generations", json=FOX | {"n": n}).status_code == status


def test_the_command_injects_for_calls_of_any_key(server: Server, http: httpx2.Client) -> None:
    flags = ["n=2", "has_mask=false", "fields.user=ada", "fields.partial_images=0", "size=*"]
    matches = [part for flag in flags for part in ("--match", flag)]
    done = run_command("inject", "server_error", *matches, "--url", server.url)
    assert done.returncode == 0, done.stderr
    (step,) = server.emulator.scenario.as_json()["steps"]
    assert step["match"] == {
        "size": "*",
        "n": 2,
        "has_mask": False,
        "fields": {"user": "ada", "partial_images": 0},
    }

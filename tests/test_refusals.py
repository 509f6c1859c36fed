"""Refusals as a user of the SDK meets them: the exception class, its code and its param."""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import chain, product
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from images_emulator import Emulator, Server, Settings
from images_emulator.contract import (
    admin_errors,
    azure,
    emulator_errors,
    errors,
    operational_errors,
)
from images_emulator.contract.calendar import LAST_DAY_OF_OLDER_STACK
from images_emulator.contract.dialect import OPENAI
from images_emulator.contract.image_rules import IMAGE_BYTES_LIMIT
from images_emulator.contract.message_format import Words, key_in_message, python_repr, quoted_list
from images_emulator.contract.model_rules import FLEXIBLE_SIZE
from images_emulator.contract.operations import EDITS, VARIATIONS, Operation
from images_emulator.contract.policy import Policy
from images_emulator.contract.refusal import (
    API_MANAGEMENT_ENVELOPE,
    GATEWAY_TYPE,
    IMAGE_SERVICE_TYPE,
    OLDER_ENVELOPE,
    TODAYS_ENVELOPE,
    APIError,
    Refusal,
)
from images_emulator.contract.request import ParsedCall, Upload
from images_emulator.contract.rules import Choice, Flag, Integer, Rule, Text
from images_emulator.contract.sizes import GatewaySize
from images_emulator.contract.uploads import UploadedImages
from images_emulator.contract.validation import Validation
from images_emulator.imaging.image_loader import PillowImageLoader
from tests.answers import error_of
from tests.pictures import half_clear, png
from tests.sources import MODULES, nodes

REFUSALS = {
    f"{module.__name__.rpartition('.')[2]}.{name}": value
    for module in (errors, emulator_errors, admin_errors)
    for name, value in vars(module).items()
    if isinstance(value, Refusal)
}
"""The refusals that code makes by their names, such as `errors.empty_string`."""


@pytest.mark.parametrize(
    ("parameters", "code", "param"),
    [
        ({"model": "no-such-model"}, "invalid_value", "model"),
        ({"n": 11}, "integer_above_max_value", "n"),
        ({"size": "512x512"}, "invalid_value", "size"),
        ({"response_format": "url"}, "unknown_parameter", "response_format"),
        ({"extra_body": {"colour": "red"}}, "unknown_parameter", "colour"),
        ({"prompt": ""}, "empty_string", "prompt"),
    ],
)
def test_sdk_raises_bad_request_for_an_invalid_parameter(
    client: OpenAI, parameters: dict[str, Any], code: str, param: str
) -> None:
    body = {"model": "gpt-image-2", "prompt": "a lighthouse"} | parameters
    with pytest.raises(openai.BadRequestError) as refused:
        client.images.generate(**body)
    assert (refused.value.code, refused.value.param) == (code, param)
    assert refused.value.request_id
    assert refused.value.body


def test_upload_without_filename_is_refused_for_its_media_type(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.images.edit(model="gpt-image-2", image=png(), prompt="x")
    assert (refused.value.code, refused.value.param) == ("unsupported_file_mimetype", "image")


@pytest.mark.parametrize(
    ("filename", "code"),
    [
        ("a.PNG", "invalid_image_file"),
        ("a.webp", "invalid_image_file"),
        ("//[.png", "invalid_image_file"),
        ("http://[x/a.png", "invalid_image_file"),
        ("data:,a.png", "invalid_image_file"),
        ("a.svg", "unsupported_file_mimetype"),
        ("data:image/png,x", "missing_file_mimetype"),
        ("a.png?x", "missing_file_mimetype"),
        ("a.png.gz", "missing_file_mimetype"),
        (".png", "missing_file_mimetype"),
        ("a.png/b", "missing_file_mimetype"),
    ],
)
def test_extension_of_the_file_name_alone_stands_for_a_missing_content_type(
    http: httpx2.Client, filename: str, code: str
) -> None:
    parts = [('name="model"', "gpt-image-2"), ('name="prompt"', "x")]
    parts.append((f'name="image"; filename="{filename}"', "no image"))
    lines = [
        f"--edge\r\nContent-Disposition: form-data; {head}\r\n\r\n{body}\r\n"
        for head, body in parts
    ]
    answer = http.post(
        EDITS.path,
        content="".join([*lines, "--edge--\r\n"]),
        headers={"Content-Type": "multipart/form-data; boundary=edge"},
    )
    assert error_of(answer)["code"] == code


def test_sdk_raises_authentication_error_for_a_wrong_key() -> None:
    with Server(Settings(port=0, api_key=("sk-right", "sk-other"))) as server:
        for key in server.settings.api_key:
            with OpenAI(base_url=server.base_url, api_key=key) as client:
                assert client.models.list().data
        with (
            OpenAI(base_url=server.base_url, api_key="sk-wrong") as client,
            pytest.raises(openai.AuthenticationError) as refused,
        ):
            # The key is looked at before what else is wrong.
            client.images.generate(prompt="")
    assert refused.value.code == "invalid_api_key"
    headers = refused.value.response.headers
    assert headers["www-authenticate"] == 'Bearer realm="OpenAI API"'
    assert headers["x-request-id"]
    assert "openai-organization" not in headers
    assert "openai-project" not in headers


def test_sdk_raises_not_found_for_an_unknown_model_object(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        client.models.retrieve("no-such-model")
    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")


async def test_async_sdk_raises_the_same_errors(async_client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await async_client.images.generate(model="gpt-image-2", prompt="x", n=0)
    assert (refused.value.code, refused.value.param) == ("integer_below_min_value", "n")


def braces(refusal: Refusal) -> set[str]:
    """The names of the values in the messages of all days."""
    versions = (refusal, *(version for _, version in refusal.earlier))
    templates = [(each.message, each.param or "", each.code or "") for each in versions]
    return {
        name.partition(".")[0]
        for template in chain.from_iterable(templates)
        for _, name, _, _ in string.Formatter().parse(template)
        if name
    }


def calls() -> Iterator[tuple[str, set[str]]]:
    """Each refusal that the package makes, and the values that it is given there."""
    for path in MODULES:
        for node in nodes(path):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                name = ast.unparse(node.func)
                if name in REFUSALS:
                    yield name, {keyword.arg for keyword in node.keywords if keyword.arg}


def test_every_use_of_a_refusal_passes_the_fields_of_its_message() -> None:
    uses = sorted(calls(), key=str)
    assert uses
    assert [use for use in uses if use[1] != braces(REFUSALS[use[0]])] == []


def test_every_refusal_is_used() -> None:
    sources = "\n".join(path.read_text() for path in MODULES)
    assert [name for name in REFUSALS if name not in sources] == []


OWN_HEADERS = {
    "emulator_errors.no_recording": {"x-should-retry": "false"},
    "admin_errors.no_token": {"WWW-Authenticate": "Bearer"},
}
"""The headers of the emulator's own errors, but for those that say when to retry."""


@pytest.mark.parametrize("name", [name for name in REFUSALS if not name.startswith("errors.")])
def test_own_errors_that_will_pass_say_when_to_retry_and_what_failed(name: str) -> None:
    refusal = REFUSALS[name]
    when = {"Retry-After": "1"} if refusal.status == 503 else {}
    assert refusal.headers == OWN_HEADERS.get(name, when)
    is_own = refusal.status >= 500 or name.startswith("admin")
    assert refusal.type == ("emulator_error" if is_own else GATEWAY_TYPE)


def test_refusal_of_a_rules_own_may_name_all_that_the_usual_one_names() -> None:
    refusal = Refusal("{value} is not one of {listed:or} for {name}.")
    with pytest.raises(APIError, match="c is not one of 'a' or 'b' for letter"):
        Choice(("a", "b"), refusal=refusal).check_at_gateway("letter", "c")


A_STRING = "a string", "string"


@pytest.mark.parametrize(
    ("rule", "expected", "kind"),
    [
        (Text(), *A_STRING),
        (Choice(("a", "b")), "one of 'a' or 'b'", "string"),
        (Choice(("a",)), "'a'", "string"),
        (GatewaySize(("256x256",)), *A_STRING),
        (FLEXIBLE_SIZE, *A_STRING),
        (Integer(minimum=1), "an integer", "integer"),
        (Flag(), "a boolean", "boolean"),
    ],
)
def test_a_wrong_type_is_refused_in_the_words_of_the_day(
    rule: Rule, expected: str, kind: str
) -> None:
    with pytest.raises(APIError) as refused:
        rule.check_at_gateway("x", ["é"])
    today, older = (refused.value.answer_on(day) for day in (None, LAST_DAY_OF_OLDER_STACK))
    assert today.message == f"Invalid type for 'x': expected {expected}, but got an array instead."
    assert older.message == f"['é'] is not of type '{kind}' - 'x'"


@pytest.mark.parametrize(
    ("rule", "expected", "kind"),
    [(Integer(minimum=1), "an integer", "integer"), (Flag(), "a boolean", "boolean")],
)
def test_a_text_that_is_of_no_type_is_refused_in_the_words_of_the_day(
    rule: Rule, expected: str, kind: str
) -> None:
    with pytest.raises(APIError) as refused:
        rule.from_form("x", "é")
    today, older = (refused.value.answer_on(day) for day in (None, LAST_DAY_OF_OLDER_STACK))
    assert today.message == (
        f"Invalid type for 'x': expected {expected}, but got a string value that could not be "
        f"converted into {expected}."
    )
    assert older.message == f"'é' is not of type '{kind}' - 'x'"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (["a"], ("image[0]", "a file", "a string")),
        ([None], ("image[0]", "a file", "null")),
        ("a", ("image", "one of an array of files or file", "a string")),
    ],
)
def test_what_is_no_file_is_refused_in_words_for_its_place(
    value: Any, words: tuple[str, str, str]
) -> None:
    with pytest.raises(APIError) as refused:
        UploadedImages().check_at_gateway("image", value)
    name, expected, got = words
    assert refused.value.answer_on(None).message == (
        f"Invalid type for '{name}': expected {expected}, but got {got} instead."
    )


@pytest.mark.parametrize("value", ["x" * 4094, 10**4095], ids=["text", "number"])
def test_an_error_repeats_4096_characters_of_a_value_at_most(value: Any) -> None:
    assert python_repr(value) == repr(value)
    longer = python_repr(value * 10 if isinstance(value, int) else f"{value}x")
    assert (len(longer), "..." in longer) == (4096, True)


def test_an_error_looks_at_4096_bytes_of_a_file_without_a_name() -> None:
    with pytest.raises(APIError) as refused:
        UploadedImages().check_at_gateway("image", Upload("", None, b"a" * 4095 + b"bc", 4097))
    older = refused.value.answer_on(LAST_DAY_OF_OLDER_STACK).message or ""
    assert older.endswith("ab' is not of type 'file' - 'image'")


@pytest.mark.parametrize(
    ("words", "form", "text"),
    [
        ("a", "", "'a'"),
        ("ab", "", "'a' and 'b'"),
        ("abc", "", "'a', 'b', and 'c'"),
        ("abc", "or", "'a', 'b', or 'c'"),
        ("abc", ",", "'a', 'b', 'c'"),
    ],
)
def test_words_of_a_message_are_listed_as_the_api_lists_them(
    words: str, form: str, text: str
) -> None:
    assert format(Words(words), form) == text
    if not form:
        assert quoted_list([*words]) == text


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("fake_key", "fake_key"),
        ("sk-proj-0123456789abcd", "sk-proj-**********abcd"),
        ("sk-0123456789abcd", "sk-01234*****abcd"),
        ("bogus-api-key", "bogus-ap*-key"),
        ("your_api_key_here", "your_api*****here"),
        ("YOUR_API_KEY", "YOUR_API_KEY"),
        ("", ""),
    ],
)
def test_api_key_in_an_error_message_is_masked(key: str, shown: str) -> None:
    assert key_in_message(key) == shown


THREE_VERSIONS = Refusal(
    "the third, {fact}",
    earlier=((date(2024, 1, 1), Refusal("the first")), (date(2025, 1, 1), Refusal("the second"))),
)


@pytest.mark.parametrize(
    ("day", "message"),
    [
        (date(2023, 12, 31), "the first"),
        (date(2024, 1, 1), "the second"),
        (date(2024, 12, 31), "the second"),
        (date(2025, 1, 1), "the third, in full"),
        (None, "the third, in full"),
    ],
)
def test_error_message_is_that_of_the_day(day: date | None, message: str) -> None:
    assert THREE_VERSIONS(fact="in full").answer_on(day).message == message


def test_an_error_in_the_older_envelope_keeps_message_status_and_headers() -> None:
    refusal = Refusal(
        "x", "p", "c", type=IMAGE_SERVICE_TYPE, status=413, headers={"retry-after": "1"}
    )
    error = refusal()
    error.is_of_operation = True
    older = error.answer_on(LAST_DAY_OF_OLDER_STACK)
    assert (older.message, older.status, older.headers) == ("x", 413, {"retry-after": "1"})
    assert (older.type, older.param, older.code) == (GATEWAY_TYPE, None, None)
    assert older.envelope == OLDER_ENVELOPE
    assert error.answer_on(None).envelope == TODAYS_ENVELOPE
    # Azure's proxy has had one envelope on all days.
    other = Refusal("x", envelope=API_MANAGEMENT_ENVELOPE)()
    other.is_of_operation = True
    assert other.answer_on(LAST_DAY_OF_OLDER_STACK).envelope == API_MANAGEMENT_ENVELOPE


OLDER_DAY = "2026-07-01"
PATH = "/v1/images/generations"
JSON_HEADER = {"content-type": "application/json"}
UNVERIFIED = "organization_must_be_verified"
AT_AZURE = "/openai/deployments/gpt-image-2/images/generations?api-version=2025-04-01"
NO_KEY = {"authorization": ""}


@contextmanager
def older_message(refusal: Refusal) -> Iterator[None]:
    """*refusal* has another message until the day after `OLDER_DAY`."""
    version = replace(refusal, message="older", earlier=())
    earlier = refusal.earlier
    object.__setattr__(refusal, "earlier", ((date(2026, 7, 2), version),))
    yield
    object.__setattr__(refusal, "earlier", earlier)


@pytest.mark.parametrize(
    ("refusal", "method", "target", "call"),
    [
        (errors.missing_key, "POST", PATH, {"headers": NO_KEY}),
        (errors.method_not_allowed, "GET", PATH, {}),
        (errors.malformed_json, "POST", PATH, {"content": b"{", "headers": JSON_HEADER}),
        (errors.missing_parameter, "POST", PATH, {"json": {}}),
        (emulator_errors.bad_directive, "POST", PATH, {"json": {"prompt": "[[emulator:none]]"}}),
        (emulator_errors.bad_override, "POST", PATH, {"headers": {"x-emulator-fault": "none"}}),
        (
            operational_errors.unverified,
            "POST",
            PATH,
            {"headers": {"x-emulator-fault": UNVERIFIED}},
        ),
        (emulator_errors.not_served, "POST", "/v1/responses", {}),
        (errors.model_not_listed, "GET", "/v1/models/none", {}),
        (errors.no_such_file, "GET", "/v1/files/none", {}),
        (errors.unsupported_content_type, "POST", "/v1/files", {}),
        (azure.access_denied, "POST", AT_AZURE, {"headers": NO_KEY}),
        (azure.not_found, "GET", AT_AZURE, {}),
        (azure.not_found, "POST", AT_AZURE.partition("?")[0], {}),
        (azure.not_found, "GET", "/openai/nowhere", {}),
        (azure.no_deployment, "POST", AT_AZURE.replace("-2/", "-0/"), {}),
    ],
)
def test_every_error_has_the_message_of_the_day_that_judges_the_call(
    refusal: Refusal, method: str, target: str, call: dict[str, Any], http: httpx2.Client
) -> None:
    def message(day: str) -> str:
        headers = {**call.get("headers", {}), "x-emulator-as-of": day}
        answer = http.request(method, target, **{**call, "headers": headers})
        return str(answer.json()["error"]["message"])

    with older_message(refusal):
        assert message(OLDER_DAY) == "older"
        assert message("2026-07-02") != "older"


@pytest.mark.parametrize(
    ("refusal", "broken"),
    [
        (operational_errors.server_error, "images_emulator.web.images_api.validate"),
        (
            operational_errors.generation_failed,
            "images_emulator.web.image_responses.wire.completed_event",
        ),
    ],
)
def test_error_of_a_broken_emulator_has_the_message_of_the_day_too(
    refusal: Refusal,
    broken: str,
    http: httpx2.Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(broken, fail)
    body = {"model": "gpt-image-2", "prompt": broken, "stream": True}
    with older_message(refusal):
        answer = http.post(PATH, json=body, headers={"x-emulator-as-of": OLDER_DAY})
    assert '"older"' in answer.text
    assert "ZeroDivisionError" in caplog.text


def test_error_message_changes_on_its_day_by_the_clock_and_has_changed_under_any(
    http: httpx2.Client, emulator: Emulator
) -> None:
    def answered(as_of: str) -> int:
        headers = {"x-emulator-fault": "slow_down", "x-emulator-as-of": as_of}
        body = {"model": "gpt-image-2", "prompt": "x"}
        return http.post("/v1/images/generations", json=body, headers=headers).status_code

    emulator.clock.freeze(datetime(2026, 9, 1, 23, 59, tzinfo=UTC))
    assert (answered("any"), answered("today"), answered("2026-09-02")) == (429, 503, 429)
    emulator.clock.advance(minutes=1)
    assert (answered("any"), answered("today"), answered("2026-09-01")) == (429, 429, 503)


def test_rate_limit_error_has_the_message_of_the_day() -> None:
    body = {"model": "gpt-image-1", "prompt": "x"}
    with (
        Server(Settings(port=0, rate_limit="1/min")) as server,
        httpx2.Client(base_url=server.url, headers={"Authorization": "Bearer x"}) as client,
    ):
        for day, words in (("2025-06-14", "You've exceeded"), ("2026-06-14", "Rate limit reached")):
            headers = {"x-emulator-as-of": day}
            client.post("/v1/images/generations", json=body, headers=headers)
            limited = client.post("/v1/images/generations", json=body, headers=headers)
            assert limited.status_code == 429
            assert limited.json()["error"]["message"].startswith(words)
            assert limited.headers["retry-after"]


EMPTY = Upload("a.png", "image/png", b"", 0)
CHANGES: tuple[dict[str, Any], ...] = (
    {"filename": ""},
    {"content_type": "image/gif"},
    {"size": IMAGE_BYTES_LIMIT},
)
BAD_FILES = [EMPTY, [EMPTY] * 20, *(replace(EMPTY, **change) for change in CHANGES)]
BAD_VALUES: list[object] = ["", "x", "99", [], {}, ["x"], *BAD_FILES]
NAMES = ("image", "images", "mask", "prompt", "n", "size", "quality", "user", "x")


def refused_on(day: date, operation: Operation, name: str, value: object) -> Refusal | None:
    """The refusal of a form with this *value*, before it is put into the words of the day."""
    image = Upload("a.png", "image/png", half_clear(), len(half_clear()))
    fields: dict[str, Any] = {"image": image}
    if operation is EDITS:
        fields |= {"prompt": "x", "mask": image}
    call = ParsedCall(operation, is_form=True, fields=fields | {name: value})
    try:
        Validation(
            call, PillowImageLoader(lambda _: None, lambda _: None), Policy(day), OPENAI
        ).request()
    except APIError as error:
        return error.refusal
    return None


@pytest.mark.slow
def test_refusals_of_the_older_stack_have_an_older_message_with_known_exceptions() -> None:
    days = (date(2022, 11, 3), date(2023, 6, 1), date(2024, 6, 1), LAST_DAY_OF_OLDER_STACK)
    endpoints = (EDITS, VARIATIONS)
    refusals = [refused_on(*each) for each in product(days, endpoints, NAMES, BAD_VALUES)]
    mute = {
        name
        for name, refusal in REFUSALS.items()
        if refusal in refusals and not refusal.earlier and refusal.envelope == TODAYS_ENVELOPE
    }
    # No source shows its sentences for masks.
    assert mute == {"errors.file_too_large", "errors.overlay_undecodable"}

"""Recorded exchanges of the real API, and others in their form, replayed against a real server.

An exchange is a file of `fixtures/exchanges`, described in the README beside them. REMOTE_BASE_URL
names another server that they are replayed against, see `tests/remote_server.py`.
"""

from __future__ import annotations

import base64
import json
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import fields
from datetime import UTC, date, datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from PIL import Image

from images_emulator import Server, Settings
from images_emulator.contract import azure, emulator_errors, errors, service_errors
from images_emulator.contract.calendar import KNOWN_UNTIL
from images_emulator.contract.models import MODELS
from images_emulator.contract.refusal import Refusal
from images_emulator.contract.sizes import FlexibleSize
from tests.remote_server import COMPARED, Remote

FOLDER = Path(__file__).parent.parent / "fixtures" / "exchanges"
FILES = sorted(FOLDER.glob("*.json"))
UNDATED = [file for file in FILES if "as_of" not in json.loads(file.read_text())]
KEY = "sk-replay"

# Fields that the API gained after an exchange was recorded.
LATER = {
    *("generation_id", "background", "output_format", "quality", "size", "usage"),
    "output_tokens_details",
}
HEADERS = {"content-type", "x-request-id", "openai-version", "openai-processing-ms"}


LATER_DAY = date(2999, 1, 1)
"""A day after all that the contract has dates of."""

Servers = Callable[[dict[str, Any], date], httpx2.Client]
"""The client of a server for an exchange, by the clock of a day."""


@pytest.fixture(scope="module")
def served() -> Iterator[Servers]:
    """Servers that take one key only, by the settings that an exchange asks for; a broken one has
    nobody left to draw. Their clocks stand still, so that no sentence changes overnight."""
    with ExitStack() as stack:

        @cache
        def client(
            settings: frozenset[tuple[str, Any]], broken: bool, today: date
        ) -> httpx2.Client:
            server = stack.enter_context(Server(Settings(port=0, api_key=(KEY,), **dict(settings))))
            if broken:
                server.emulator.renderer.pool.executor.shutdown()
            server.clock.freeze(datetime(today.year, today.month, today.day, 12, tzinfo=UTC))
            return stack.enter_context(httpx2.Client(base_url=server.url, timeout=60))

        yield lambda exchange, today: client(
            frozenset(exchange.get("settings", {}).items()), exchange.get("broken", False), today
        )


def picture(description: dict[str, Any]) -> bytes:
    """A picture as described: its upper left quarter is transparent where its mode has alpha, and
    it is not `opaque`. It may be `animated`, `progressive`, `interlaced`, or `cut` to so many
    bytes."""
    width, height = map(int, description["size"].split("x"))
    image = Image.new("RGBA", (width, height), (51, 102, 153, 255))
    if not description.get("opaque"):
        image.paste((153, 102, 51, 0), (0, 0, width // 2, height // 2))
    if description["mode"] == "I;16":
        image = Image.new("I;16", (width, height), 40_000)
    options: dict[str, Any] = {}
    if description.get("animated"):
        options = {
            "save_all": True,
            "append_images": [image.rotate(90).convert(description["mode"])],
        }
    if description.get("progressive"):
        options = {"progressive": True}
    file = BytesIO()
    image.convert(description["mode"]).save(file, description["format"], **options)
    data = interlaced(image) if description.get("interlaced") else file.getvalue()
    return data[: description.get("cut")]


def interlaced(image: Image.Image) -> bytes:
    """An Adam7 PNG of *image*, which Pillow reads but does not write."""
    rows = b""
    width, height = image.size
    pixels = image.convert("RGB")
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))
    for x, y, across, down in (*passes, (0, 1, 1, 2)):
        for row in range(y, height, down):
            line = bytes(
                channel
                for column in range(x, width, across)
                for channel in cast("tuple[int, ...]", pixels.getpixel((column, row)))
            )
            rows += b"\0" + line if line else b""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def filled(value: Any) -> Any:
    """*value* with its pictures in place of their descriptions."""
    if isinstance(value, dict):
        if value.keys() == {"data_url"}:
            kind = value["data_url"]["format"].lower()
            data = base64.b64encode(picture(value["data_url"])).decode()
            return f"data:image/{kind};base64,{data}"
        if value.keys() == {"repeat", "times"}:
            return value["repeat"] * value["times"]
        return {key: filled(inner) for key, inner in value.items()}
    return [filled(inner) for inner in value] if isinstance(value, list) else value


def form_of(parts: list[dict[str, Any]]) -> tuple[bytes, str]:
    body = BytesIO()
    for part in parts:
        head = f'--exchange\r\nContent-Disposition: form-data; name="{part["name"]}"'
        if "filename" in part:
            head += f'; filename="{part["filename"]}"'
        if part.get("content_type"):
            head += f"\r\nContent-Type: {part['content_type']}"
        data = picture(part["image"]) if "image" in part else filled(part["value"]).encode()
        body.write(f"{head}\r\n\r\n".encode() + data + b"\r\n")
    return body.getvalue() + b"--exchange--\r\n", "multipart/form-data; boundary=exchange"


def body_of(request: dict[str, Any]) -> tuple[bytes, str]:
    if "form" in request:
        return form_of(request["form"])
    if "json" in request:
        return json.dumps(filled(request["json"])).encode(), "application/json"
    return filled(request.get("body", "")).encode(), request.get("content_type", "")


def differences(want: Any, got: Any, where: str, *, error: bool) -> Iterator[str]:
    if want == "<any>":
        return
    if isinstance(want, dict) and isinstance(got, dict):
        extra = got.keys() - want.keys() - (set() if error else LATER)
        if extra:
            yield f"{where}: unexpected {sorted(extra)}"
        if [key for key in got if key in want] != list(want):
            yield f"{where}: keys {list(got)}, recorded {list(want)}"
        for key in want.keys() & got.keys():
            yield from differences(want[key], got[key], f"{where}.{key}", error=error)
    elif isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        for number, (wanted, actual) in enumerate(zip(want, got, strict=True)):
            yield from differences(wanted, actual, f"{where}[{number}]", error=error)
    elif isinstance(want, str) and "<any>" in want:
        if not re.fullmatch(re.escape(want).replace("<any>", ".*"), str(got)):
            yield f"{where}: {got!r}, recorded {want!r}"
    elif want != got:
        yield f"{where}: {got!r}, recorded {want!r}"


def answer_to(exchange: dict[str, Any], client: httpx2.Client, right_key: str) -> httpx2.Response:
    """The answer that *client* gets to the request of *exchange*."""
    request = exchange["request"]
    body, kind = body_of(request)
    headers = filled(request.get("headers", {})) | ({"Content-Type": kind} if kind else {})
    if "as_of" in exchange:
        headers["x-emulator-as-of"] = exchange["as_of"]
    key = request.get("key", right_key if request["authorised"] else "fake_key")
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    return client.request(request["method"], request["path"], content=body, headers=headers)


def remote_differences(response: dict[str, Any], answer: httpx2.Response) -> Iterator[str]:
    """Where another server's answer is not the recorded one: its status, or what it says."""
    if answer.status_code != response["status"]:
        yield f"status: {answer.status_code}, recorded {response['status']}: {answer.text[:1000]}"
    elif isinstance(body := response["body"], dict):
        got, error = answer.json(), "error" in body
        if error:
            body, got = ({key: each["error"].get(key) for key in COMPARED} for each in (body, got))
        yield from differences(body, got, "error" if error else "body", error=error)


@pytest.fixture(scope="module")
def remote() -> Remote | None:
    return Remote.from_environment()


@pytest.fixture(scope="module")
def remote_client(remote: Remote | None) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=remote.url if remote else "", timeout=600) as client:
        yield client


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_exchange_is_answered_as_recorded(
    file: Path, served: Servers, remote: Remote | None, remote_client: httpx2.Client
) -> None:
    exchange = json.loads(file.read_text())
    assert exchange["source"]
    if remote:
        if reason := remote.reason_to_skip(exchange):
            pytest.skip(reason)
        answer = answer_to(exchange, remote_client, remote.key)
        assert not list(remote_differences(exchange["response"], answer))
        return
    is_answered_as_recorded(exchange, served(exchange, KNOWN_UNTIL))


@pytest.mark.parametrize("file", UNDATED, ids=lambda file: file.stem)
def test_exchange_without_a_date_is_answered_so_on_later_days(
    file: Path, served: Servers, remote: Remote | None
) -> None:
    """One that fails has a sentence, or a key, of days that end: it needs the `as_of` of the last
    of these, beside another exchange that shows what comes after."""
    if remote:
        pytest.skip("another server has a clock of its own")
    exchange = json.loads(file.read_text())
    is_answered_as_recorded(exchange, served(exchange, LATER_DAY))


def is_answered_as_recorded(exchange: dict[str, Any], client: httpx2.Client) -> None:
    request, response = exchange["request"], exchange["response"]
    answer = answer_to(exchange, client, KEY)
    assert answer.status_code == response["status"], answer.text
    assert HEADERS & set(response.get("headers_present", ())) <= set(answer.headers)
    assert response.get("headers", {}).items() <= answer.headers.items()
    if response["body"] is None:
        assert answer.content == b""
        return
    if isinstance(response["body"], str):
        assert answer.text == response["body"]
        return
    if "newline" in response:
        assert answer.text.endswith("\n") == response["newline"]
    error = answer.status_code >= 400
    compact = error and request["path"].startswith("/openai/")
    assert answer.text.startswith('{"error":{"' if compact else '{\n  "')
    assert not list(differences(response["body"], answer.json(), "body", error=error))


def test_there_are_hundreds_of_exchanges() -> None:
    assert len(FILES) >= 250


@cache
def refusals_said() -> list[str]:
    """The messages of all errors, in bodies and in streams."""
    messages = []
    for file in FILES:
        body = json.loads(file.read_text())["response"]["body"]
        if isinstance(body, str):
            body = json.loads(body.partition("data: ")[2] or body)
        if body and "error" in body:
            messages.append(body["error"]["message"])
    return messages


SENTENCES = {
    f"{name}-{until}" if until else name: version.message
    for module in (errors, emulator_errors, service_errors, azure)
    for name, value in vars(module).items()
    if isinstance(value, Refusal)
    for until, version in [*value.earlier, (None, value)]
}

SIZES = {
    version
    for model in MODELS.values()
    for rules in model.accepts.values()
    for rule in [rules.get("size")]
    if rule
    for version in [rule, *(each for _, each in rule.earlier)]
    if isinstance(version, FlexibleSize)
}
LIMITS = {
    "size_edge_too_short": "min_edge",
    "size_too_elongated": "max_ratio",
    "size_too_few_pixels": "min_pixels",
}
"""The sentences of limits that a size need not have, with the fields of these."""
UNLIMITED = {each.name: each.default for each in fields(FlexibleSize)}

OF_NO_MODEL = {
    name
    for name, limit in LIMITS.items()
    if all(getattr(size, limit) == UNLIMITED[limit] for size in SIZES)
}
"""Those of limits that no model of the table has."""

OF_ANSWERS = {"unusable_own_picture"}
"""Those that only a call with an answer of one's own can meet: see `test_own_answers`."""

OF_UPSTREAMS = {"upstream_failed"}
"""Those of calls that are forwarded: see `test_record_proxy`."""

OF_REPLAY = {"no_recording"}
"""Those of calls that recordings alone may answer: see `test_replay`."""


@pytest.mark.parametrize("name", SENTENCES)
def test_every_refusal_is_reached_by_an_exchange(name: str) -> None:
    literal = re.split(r"\{[\w.]+(?:[:!][^}]*)?\}", SENTENCES[name])
    sentence = re.compile(".*".join(re.escape(part) for part in literal), re.DOTALL)
    is_reached = any(sentence.fullmatch(message) for message in refusals_said())
    is_expected = name not in OF_NO_MODEL | OF_ANSWERS | OF_UPSTREAMS | OF_REPLAY
    assert is_reached == is_expected, f"fixtures/exchanges needs an answer: {SENTENCES[name]}"

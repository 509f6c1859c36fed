"""Large bodies keep nobody waiting but those who sent them."""

from __future__ import annotations

import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from sys import getrefcount
from typing import Any

import httpx2
import pytest

from images_emulator import Server
from images_emulator.contract.operations import EDITS, GENERATIONS
from images_emulator.contract.request import ParsedCall, Upload
from images_emulator.exchange.json_body import parse_json
from images_emulator.exchange.request_head import RequestHead
from images_emulator.exchange.served_exchange import ServedExchange
from images_emulator.web.memory_release import large_parts_of, release_memory
from tests.answers import error_of
from tests.conftest import KEY
from tests.pictures import opened, png
from tests.test_disconnect import held
from tests.waiting import until

LARGE = "x" * 300_000
FIELDS = {"model": "gpt-image-2", "prompt": "a lighthouse"}
KEYED = {"Authorization": f"Bearer {KEY}"}


def large_form() -> httpx2.Request:
    files = {"image": ("a.png", png() + LARGE.encode(), "image/png")}
    return httpx2.Request("POST", f"http://x{EDITS.path}", data=FIELDS, files=files)


def large_json() -> httpx2.Request:
    return httpx2.Request("POST", f"http://x{GENERATIONS.path}", json=FIELDS | {"user": LARGE})


def large_file() -> httpx2.Request:
    files = {"file": ("a.png", png() + LARGE.encode(), "image/png")}
    return httpx2.Request("POST", "http://x/v1/files", data={"purpose": "vision"}, files=files)


def large_scenario() -> httpx2.Request:
    step = {"fault": "server_error", "match": {"prompt": LARGE}}
    return httpx2.Request("PUT", "http://x/_emulator/scenario", json={"steps": [step]})


MADE = [large_form, large_json, large_file, large_scenario]


def sent(server: Server, request: httpx2.Request, headers: dict[str, str]) -> httpx2.Response:
    kind = {"content-type": request.headers["content-type"]}
    return httpx2.request(
        request.method,
        server.url + request.url.path,
        content=request.read(),
        headers=kind | headers,
        timeout=60,
    )


@pytest.mark.parametrize("made", MADE)
def test_large_bodies_do_not_block_other_calls(
    server: Server, made: Callable[[], httpx2.Request]
) -> None:
    with ThreadPoolExecutor(1) as thread:
        with held(server.emulator.renderer.background_queue):
            large = thread.submit(sent, server, made(), KEYED)
            until(lambda: len(server.emulator.renderer.background_queue._jobs) == 1)
            assert httpx2.get(f"{server.url}/_emulator/health").status_code == 200
            small = httpx2.post(
                server.url + GENERATIONS.path, json=FIELDS, headers=KEYED, timeout=60
            )
            assert small.status_code == 200
            assert not large.done()
        assert large.result().status_code == 200


@pytest.mark.parametrize("made", [large_form, large_json, large_file])
def test_body_is_not_parsed_without_a_key(
    server: Server, made: Callable[[], httpx2.Request]
) -> None:
    with held(server.emulator.renderer.background_queue):
        assert error_of(sent(server, made(), {}), 401)["message"]


@pytest.mark.parametrize("as_json", [True, False])
def test_a_directive_in_a_large_body_is_found(http: httpx2.Client, as_json: bool) -> None:
    fields = FIELDS | {"prompt": "a lighthouse [[emulator: rate_limit_exceeded]]", "user": LARGE}
    if as_json:
        answer = http.post(GENERATIONS.path, json=fields)
    else:
        answer = http.post(EDITS.path, data=fields, files={"image": ("a.png", png(), "image/png")})
    assert error_of(answer, 429)


@pytest.mark.slow
def test_sixteen_large_data_urls_are_decoded(http: httpx2.Client) -> None:
    data = base64.b64encode(png() + b"\0" * 2**20).decode()
    images = [{"image_url": f"data:image/png;base64,{data}"}] * 16
    answer = http.post(EDITS.path, json=FIELDS | {"images": images, "size": "1024x1024"})
    assert opened(answer.json()["data"][0]["b64_json"]).size == (1024, 1024)


def test_all_that_a_large_call_held_is_released() -> None:
    file, chunk, text = png(), LARGE.encode(), LARGE * 2
    alone = [getrefcount(each) for each in (file, chunk, text)]
    fields = {"image": [Upload("a.png", "image/png", file, len(file))], "user": text}
    exchange = ServedExchange(
        RequestHead("POST", EDITS.path, b"", []),
        "req_1",
        datetime.now(UTC),
        cached_call=ParsedCall(EDITS, is_form=True, fields=fields),
    )
    exchange.keep_request_body((chunk,))
    del fields
    parts = large_parts_of(exchange)
    del exchange
    assert len(parts) == 3
    release_memory(parts)
    assert not parts
    assert [getrefcount(each) for each in (file, chunk, text)] == alone


def test_a_large_body_that_cannot_be_read_is_parsed_once(
    server: Server, http: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = []

    def parse(body: bytes) -> dict[str, Any]:
        parsed.append(len(body))
        return parse_json(body)

    monkeypatch.setattr("images_emulator.exchange.body_parser.parse_json", parse)
    server.inject("server_error", match={"prompt": "a hare"})
    body = b'{"prompt": "[[emulator: slow_down]]' + b" " * 300_000
    answer = http.post(
        "/v1/images/generations", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 400
    assert parsed == [len(body)]

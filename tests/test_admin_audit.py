"""The lines of the log about calls of the admin API."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from starlette.types import Message, Scope

from images_emulator import Emulator, Server
from images_emulator.cli.call_log import CallLog
from images_emulator.settings import LogSettings
from images_emulator.web.admin import admin_audit
from images_emulator.web.app import create_app

TOKEN = "tok-1234-secret"
AUTHORIZED = {"authorization": f"Bearer {TOKEN}"}
KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)


def lines_of(server: Server, act: Callable[[], object], **settings: str) -> list[str]:
    """What is logged to a pipe while *act* calls the admin API."""
    reader, writer = os.pipe()
    log = CallLog(LogSettings(**settings), server.emulator.journal, writer, writer)
    log.start()
    try:
        act()
    finally:
        log.close()
        os.close(writer)
    with open(reader, encoding="utf-8") as pipe:
        return pipe.read().splitlines()


def admin(server: Server, method: str, path: str, body: Any = None, **headers: str) -> int:
    url = f"{server.url}{path if path.startswith('/') else f'/_emulator/{path}'}"
    data = body.encode() if isinstance(body, str) else body
    options: dict[str, Any] = {"content": data} if isinstance(data, bytes) else {"json": data}
    return httpx2.request(method, url, headers=headers, **options).status_code


STEP = {"fault": "server_error", "times": 2}


@pytest.mark.parametrize(
    ("method", "path", "body", "line"),
    [
        ("POST", "reset", None, "200 POST /_emulator/reset"),
        (
            "POST",
            "inject",
            STEP,
            "200 POST /_emulator/inject  injected (server_error), times=2",
        ),
        ("POST", "inject", {"fault": 5}, "400 POST /_emulator/inject  invalid_scenario"),
        ("POST", "inject", "{", "400 POST /_emulator/inject  We could not parse the JSON body"),
        ("PUT", "scenario", {"steps": [STEP]}, "200 PUT /_emulator/scenario  1 step"),
        ("DELETE", "scenario", None, "200 DELETE /_emulator/scenario"),
        ("DELETE", "requests", None, "200 DELETE /_emulator/requests  0 calls"),
        ("DELETE", "namespaces/unused", None, "404 DELETE /_emulator/namespaces/unused  not_found"),
        ("POST", "nothing", None, "404 POST /_emulator/nothing  not_found"),
        ("POST", "clock", {"advance": 60}, "200 POST /_emulator/clock  advance=60.0"),
        ("POST", "clock", {"resume": True}, "200 POST /_emulator/clock  resume"),
        ("PATCH", "settings", {"as_of": "today"}, "200 PATCH /_emulator/settings  as_of=today"),
        ("PATCH", "settings", {"as_of": "x"}, "422 PATCH /_emulator/settings  invalid_value"),
        ("PATCH", "settings", {"as": 1}, "422 PATCH /_emulator/settings  unknown_parameter"),
        ("POST", "/ns/a%1b/_emulator/reset", None, None),
        ("POST", "/ns/a b/_emulator/reset", None, "200 [a b] POST /_emulator/reset"),
    ],
)
def test_each_change_by_the_admin_api_is_a_line(
    server: Server, method: str, path: str, body: Any, line: str | None
) -> None:
    lines = lines_of(server, lambda: admin(server, method, path, body))
    shown = [re.sub(r"^\d\d:\d\d:\d\d | +\d+ ms", "", each) for each in lines]
    if line is None:
        assert shown == []
        return
    (only,) = shown
    assert only.startswith(line)
    assert only.endswith("  from 127.0.0.1")


READS = (
    *("", "health", "ready", "settings", "requests", "scenario", "clock", "namespaces", "nothing"),
    "requests/none",
)


@pytest.mark.parametrize("level", ["info", "debug"])
def test_what_only_reads_is_no_line(server: Server, level: str) -> None:
    def act() -> None:
        for path in READS:
            admin(server, "GET", path)
        admin(server, "HEAD", "health")
        admin(server, "OPTIONS", "settings")

    assert lines_of(server, act, log_level=level) == []


@pytest.fixture
def closed() -> Server:
    """A server with an admin token and namespaces by key, which is started by the test."""
    return Server(admin_token=TOKEN, namespace_by="key")


def test_json_has_who_what_and_the_result_and_no_secret(closed: Server) -> None:
    def act() -> None:
        admin(closed, "POST", "reset", authorization=f"Bearer {TOKEN[:-1]}")
        admin(closed, "POST", "session", {"token": f"{TOKEN}x"})
        admin(closed, "POST", "session", {"token": TOKEN})
        step = {"fault": "server_error", "match": {"api_key": KEY}}
        admin(closed, "POST", f"inject?namespace={KEY}", step, **AUTHORIZED)
        admin(closed, "DELETE", f"namespaces/{KEY}", **AUTHORIZED)

    with closed:
        lines = lines_of(closed, act, log_format="json")
    text = "".join(lines)
    assert TOKEN[:-1] not in text
    assert KEY not in text
    documents = [json.loads(line) for line in lines]
    for each in documents:
        assert each.pop("time")[10] == "T"
        assert each.pop("duration_ms") >= 0
        assert (each.pop("event"), each.pop("client")) == ("admin", "127.0.0.1")
    (name,) = {each["namespace"] for each in documents} - {None}
    assert name.startswith("sk-proj-***wxyz-")
    assert [[*each.values()] for each in documents] == [
        ["warning", "POST", "/_emulator/reset", None, 401, "a wrong admin token"],
        ["warning", "POST", "/_emulator/session", None, 401, "wrong_admin_token"],
        ["info", "POST", "/_emulator/session", None, 204, None],
        ["info", "POST", "/_emulator/inject", name, 200, "injected (server_error), times=1"],
        ["info", "DELETE", f"/_emulator/namespaces/{name}", None, 200, None],
    ]


@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [
        ({}, 401, "no admin token"),
        ({"authorization": "Bearer nope"}, 401, "a wrong admin token"),
        ({"authorization": "Basic eDp5"}, 401, "a wrong admin token"),
    ],
)
def test_a_refused_token_is_a_line_whatever_the_call(
    closed: Server, headers: dict[str, str], status: int, reason: str
) -> None:
    with closed:
        lines = lines_of(
            closed, lambda: admin(closed, "GET", "requests", **headers), log_level="warning"
        )
    (line,) = lines
    assert f" {status} " in line
    assert line.endswith(f"GET /_emulator/requests  {reason}  from 127.0.0.1")


def test_a_foreign_page_is_a_line() -> None:
    def act() -> None:
        admin(server, "POST", "reset", host="evil.example.com")
        admin(server, "POST", "reset", origin="http://evil.test")

    with Server() as server:
        host, origin = lines_of(server, act, log_level="warning")
    assert "POST /_emulator/reset  the host 'evil.example.com' is not this server's  from" in host
    assert "POST /_emulator/reset  a page of 'http://evil.test'  from" in origin


@pytest.mark.parametrize("name", ["host", "origin"])
def test_a_refusal_shows_the_beginning_of_a_long_name(name: str) -> None:
    def act() -> None:
        admin(server, "POST", "reset", **{name: f"{'x' * 5000}.example.com"})

    with Server() as server:
        (line,) = lines_of(server, act, log_level="warning")
    assert "x" * 90 in line
    assert len(line) < 300


def test_refusals_of_one_client_are_told_once_a_minute(
    closed: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [9.0]
    monkeypatch.setattr(admin_audit, "monotonic", lambda: now[0])

    def act() -> None:
        for path in ("requests", "settings", "events"):
            admin(closed, "GET", path)
        admin(closed, "GET", "requests", authorization="Bearer x")
        now[0] += 61
        admin(closed, "GET", "clock")
        now[0] += 61
        admin(closed, "GET", "clock")

    with closed:
        lines = lines_of(closed, act)
    assert [line.partition(" ms ")[2] for line in lines] == [
        "GET /_emulator/requests  no admin token  from 127.0.0.1",
        "GET /_emulator/requests  a wrong admin token  from 127.0.0.1",
        "GET /_emulator/clock  no admin token; so were 2 more calls before  from 127.0.0.1",
        "GET /_emulator/clock  no admin token  from 127.0.0.1",
    ]


def test_a_scrape_that_is_refused_is_a_line() -> None:
    with Server(admin_token=TOKEN, metrics=True) as server:
        (line,) = lines_of(server, lambda: admin(server, "GET", "/metrics"))
    assert line.endswith("GET /metrics  no admin token  from 127.0.0.1")


@pytest.mark.parametrize(
    ("level", "count"), [("debug", 2), ("info", 2), ("warning", 1), ("error", 0)]
)
def test_the_level_says_what_is_shown(closed: Server, level: str, count: int) -> None:
    def act() -> None:
        admin(closed, "POST", "reset", **AUTHORIZED)
        admin(closed, "POST", "reset")

    with closed:
        assert len(lines_of(closed, act, log_level=level)) == count


def test_a_server_in_python_logs_by_the_standard_library(
    closed: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with closed, caplog.at_level("INFO", logger="images_emulator.admin"):
        admin(closed, "POST", "reset", **AUTHORIZED)
    (record,) = caplog.records
    assert record.getMessage() == "POST /_emulator/reset from 127.0.0.1 200"


async def test_call_from_a_unix_socket_is_from_a_socket(caplog: pytest.LogCaptureFixture) -> None:
    emulator = Emulator()
    caplog.set_level(logging.INFO)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        pass

    scope: Scope = {"type": "http", "method": "DELETE", "path": "/_emulator/requests"}
    scope.update(query_string=b"", headers=[], client=None, state={})
    await create_app(emulator)(scope, receive, send)
    emulator.close()
    assert "DELETE /_emulator/requests from a socket 200" in caplog.text

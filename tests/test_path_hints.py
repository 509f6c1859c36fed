"""Calls to paths that are almost the API's: 404 as ever, and a notice that names the right one."""

from __future__ import annotations

import logging

import httpx2
import openai
import pytest
from openai import OpenAI

from images_emulator import Server
from images_emulator.web.path_hints import MAX_NOTICES, PathHints

NOTICE = "x-emulator-notice"
GENERATIONS = "/v1/images/generations"
EDITS = "/v1/images/edits"


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/v1/v1/images/generations", GENERATIONS),
        ("/v1/v1/v1/images/edits", EDITS),
        ("/v1/images/generations/", GENERATIONS),
        ("/images/generations/", "/images/generations"),
        ("//v1/images/generations", GENERATIONS),
        ("/v1//images/edits", EDITS),
        ("/api/v1/images/generations", GENERATIONS),
        ("/api/images/variations", "/v1/images/variations"),
        ("/v2/images/edits", EDITS),
        ("/v1/images/generations/images/generations", GENERATIONS),
        ("/v1/images/generation", GENERATIONS),
        ("/v1/image/edits", EDITS),
        ("/V1/Images/Edits", EDITS),
        ("/API/V1/Images/Edits", EDITS),
        ("/v1/images/edits%20", EDITS),
        ("/v1/v1/models/gpt-image-2", "/v1/models/gpt-image-2"),
        ("/api/v1/files/file-x/content", "/v1/files/file-x/content"),
        ("/openai/images/generations", "/openai/v1/images/generations"),
        ("/openai/v1/v1/images/edits", "/openai/v1/images/edits"),
        ("/openai/v1/openai/v1/images/edits", "/openai/v1/images/edits"),
        ("/openai/openai/deployments/D/images/edits", "/openai/deployments/D/images/edits"),
        ("/openai/deployments/D/v1/images/edits", "/openai/deployments/D/images/edits"),
        ("/openai/deployments/D/images/edits/", "/openai/deployments/D/images/edits"),
        ("/openai/deployments//images/edits", "/openai/v1/images/edits"),
        ("/v1/v1/chat/completions", "/v1/chat/completions"),
    ],
)
def test_path_hint_names_the_served_path(
    server: Server, caplog: pytest.LogCaptureFixture, path: str, meant: str
) -> None:
    answer = httpx2.post(server.url + path, json={"model": "gpt-image-2", "prompt": "x"})
    assert answer.status_code == 404
    notice = f"There is no {path}; {meant} is probably meant. Look at the base URL of the client."
    assert answer.headers[NOTICE] == notice
    assert caplog.record_tuples == [("images_emulator", logging.WARNING, notice)]


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/v1", "/nothing", "/favicon.ico", "/v1/images", "/v1/images/upscale"),
        *("/openai/deployments/d/images/variations", "/v1/models/no-such-model", "/a" * 500),
        *("/v1/files/no-such-file", "/v1/chat/completions", "/%0d%0aX-Evil:%20x"),
    ],
)
def test_served_or_dissimilar_path_gets_no_hint(
    http: httpx2.Client, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    answer = http.get(path)
    assert answer.status_code == 404
    assert NOTICE not in answer.headers
    assert not caplog.records


def test_path_hint_for_a_trailing_slash(http: httpx2.Client) -> None:
    for path in ("/v1/models", "/v1/files"):
        answer = http.get(f"{path}/")
        assert answer.status_code == 404
        assert f"; {path} is probably meant" in answer.headers[NOTICE]


def test_the_path_of_metrics_says_how_to_have_them(http: httpx2.Client) -> None:
    answer = http.get("/metrics")
    assert answer.status_code == 404
    assert answer.headers[NOTICE] == "There are no metrics: start the server with --metrics."


def test_path_outside_its_period_gets_no_hint(http: httpx2.Client) -> None:
    answer = http.post("/v1/images/variations", headers={"x-emulator-as-of": "2026-11-01"})
    assert answer.status_code == 404
    assert NOTICE not in answer.headers


def test_path_hint_changes_nothing_else_in_the_404(http: httpx2.Client) -> None:
    hinted, plain = http.post("/v1/v1/images/edits"), http.post("/v1/nothing")
    assert hinted.content == plain.content == b""
    azure = http.post("/openai/images/edits").json()
    assert azure == {"error": {"code": "404", "message": "Resource not found"}}


def test_path_hint_is_logged_once_until_reset(
    http: httpx2.Client, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    for path in ("/v1/v1/models", "/v1/v1/models", "/api/v1/models"):
        assert NOTICE in http.get(path).headers
    assert len(caplog.records) == 2
    server.reset()
    http.get("/v1/v1/models")
    assert len(caplog.records) == 3


def test_logged_path_hints_are_limited(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    hints = PathHints([], server.emulator)
    for number in range(MAX_NOTICES + 10):
        hints._log(f"mistake {number}")
    assert len(caplog.records) == len(server.emulator.logged_notices) == MAX_NOTICES


def test_path_hint_cannot_inject_a_header(http: httpx2.Client) -> None:
    answer = http.get("/%0d%0ax-evil:%20y/v1/v1/models")
    assert "x-evil" not in answer.headers
    assert answer.headers[NOTICE].startswith("There is no /%0D%0Ax-evil%3A%20y/v1/v1/models; ")


def test_path_hint_for_an_sdk_with_a_doubled_v1(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with OpenAI(base_url=f"{server.base_url}/v1", api_key="x", max_retries=0) as client:
        with client, pytest.raises(openai.NotFoundError) as refused:
            client.images.generate(model="gpt-image-2", prompt="x")
        assert GENERATIONS in refused.value.response.headers[NOTICE]
        assert GENERATIONS in caplog.text

"""Cross-origin calls: preflights, `access-control-allow-origin`, and what stays closed."""

from __future__ import annotations

from datetime import datetime

import httpx2
import pytest
from openai import OpenAI

from images_emulator import Server, Settings

ORIGIN = "https://app.example"
ALLOW = "access-control-allow-origin"
OWN_ORIGIN = "https://a.example"
GENERATIONS = "/v1/images/generations"
BODY = {"model": "gpt-image-2", "prompt": "x", "size": "1024x1024", "output_format": "jpeg"}
API_PATHS = [
    *(GENERATIONS, "/v1/images/edits", "/v1/images/variations", "/v1/models", "/v1/files/x"),
    *("/images/generations", "/models", "/openai/v1/images/generations", "/v1/chat/completions"),
    *("/openai/deployments/gpt-image-2/images/edits?api-version=2025-04-01-preview", "/nothing"),
    *("/v1/images/nothing", "/", "/v1/v1/models", "/v1/_emulator", "/_emulators"),
    *("/ns/a/v1/models", "/ns/a/v1/_emulator/settings"),
]


def preflight(
    server: Server, path: str, method: str = "POST", headers: str | None = "authorization"
) -> httpx2.Response:
    requested = {"access-control-request-headers": headers} if headers is not None else {}
    return httpx2.options(
        server.url + path,
        headers={"origin": ORIGIN, "access-control-request-method": method, **requested},
    )


@pytest.mark.parametrize("path", API_PATHS)
def test_preflight_is_allowed_without_a_key(path: str) -> None:
    with Server(Settings(port=0, api_key=("sk-only",))) as server:
        answer = preflight(server, path)
        assert not server.requests
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers[ALLOW] == "*"
    assert answer.headers["access-control-allow-methods"] == "GET, OPTIONS, POST"
    assert answer.headers["access-control-allow-headers"] == "authorization"
    assert answer.headers["access-control-max-age"] == "86400"


@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH", "HEAD"])
def test_preflight_allows_the_requested_method(server: Server, method: str) -> None:
    allowed = preflight(server, "/v1/files/x", method).headers["access-control-allow-methods"]
    assert allowed == f"GET, OPTIONS, POST, {method}"


@pytest.mark.parametrize("headers", ["a,b, x-stainless-os", "X-" + "y" * 4000, ""])
def test_preflight_allows_the_requested_headers(server: Server, headers: str) -> None:
    answer = preflight(server, GENERATIONS, headers=headers)
    assert answer.headers["access-control-allow-headers"] == headers


def test_preflight_without_requested_headers_allows_none(server: Server) -> None:
    answer = preflight(server, GENERATIONS, headers=None)
    assert answer.headers[ALLOW] == "*"
    assert "access-control-allow-headers" not in answer.headers


def test_preflight_meets_no_fault(server: Server) -> None:
    server.inject("server_error")
    assert preflight(server, GENERATIONS).status_code == 200
    headers = {"origin": ORIGIN, "authorization": "Bearer x"}
    answer = httpx2.post(server.url + GENERATIONS, json=BODY, headers=headers)
    assert (answer.status_code, answer.headers[ALLOW]) == (500, "*")


@pytest.mark.parametrize(
    "lacking", ["origin", "access-control-request-method"], ids=lambda name: f"without {name}"
)
def test_options_request_that_is_no_preflight_is_a_call(http: httpx2.Client, lacking: str) -> None:
    headers = {"origin": ORIGIN, "access-control-request-method": "POST"}
    del headers[lacking]
    assert http.options(GENERATIONS, headers=headers).status_code == 405


# --- answers


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        (GENERATIONS, BODY, {}, 200),
        (GENERATIONS, BODY | {"stream": True}, {}, 200),
        (GENERATIONS, BODY | {"size": "x"}, {}, 400),
        (GENERATIONS, BODY, {"authorization": ""}, 401),
        (GENERATIONS, BODY, {"x-emulator-fault": "rate_limit_exceeded"}, 429),
        (GENERATIONS, BODY, {"x-emulator-fault": "truncated"}, 200),
        (GENERATIONS, BODY, {"x-emulator-fault": "no-such-fault"}, 400),
        (GENERATIONS, BODY, {"x-emulator-as-of": "never"}, 400),
        ("/v1/nothing", {}, {}, 404),
        ("/v1/models", {}, {}, 405),
        ("/v1/responses", {}, {}, 404),
        ("/openai/v1/images/generations", BODY, {}, 200),
        ("/openai/v1/images/generations", BODY, {"authorization": ""}, 401),
        ("/openai/deployments/x/images/generations?api-version=2025-04-01-preview", {}, {}, 404),
    ],
)
def test_answers_to_calls_with_an_origin_allow_it(
    http: httpx2.Client, path: str, body: object, headers: dict[str, str], status: int
) -> None:
    for origin, allowed in ({"origin": ORIGIN}, ["*"]), ({}, []):
        with http.stream("POST", path, json=body, headers=headers | origin) as answer:
            assert answer.status_code == status
            assert answer.headers.get_list(ALLOW) == allowed


def test_repeated_answer_allows_an_origin_only_where_there_is_one(http: httpx2.Client) -> None:
    for _ in range(3):
        origin = {"origin": ORIGIN}
        assert http.post(GENERATIONS, json=BODY, headers=origin).headers.get_list(ALLOW) == ["*"]
        assert ALLOW not in http.post(GENERATIONS, json=BODY).headers


@pytest.mark.parametrize("path", [GENERATIONS, "/v1/nothing"])
@pytest.mark.parametrize(
    ("as_of", "allowed"),
    [
        *(("2023-11-14", True), ("2024-01-19", True), ("2025-04-15", True)),
        *(("2025-04-16", False), ("2026-03-31", False), ("today", False), ("any", False)),
    ],
)
def test_answers_without_an_origin_allowed_any_origin_until_2025(
    http: httpx2.Client, path: str, as_of: str, *, allowed: bool
) -> None:
    answer = http.post(path, json=BODY, headers={"x-emulator-as-of": as_of})
    assert (ALLOW in answer.headers) == allowed


def test_as_of_setting_decides_which_origins_answers_allow() -> None:
    with Server(Settings(port=0, as_of="2024-01-19")) as server:
        assert httpx2.get(f"{server.url}/v1/models").headers[ALLOW] == "*"
        answer = httpx2.get(f"{server.url}/v1/models", headers={"x-emulator-as-of": "any"})
        assert ALLOW not in answer.headers


@pytest.mark.parametrize("as_of", ["any", "today", "someday"])
@pytest.mark.parametrize("day", ["2024-01-19", "2026-11-26"])
def test_cors_headers_are_of_the_same_day_as_other_headers(
    server: Server, http: httpx2.Client, day: str, as_of: str
) -> None:
    server.clock.freeze(datetime.fromisoformat(f"{day}T12:00:00+00:00"))
    headers = http.get("/v1/models", headers={"x-emulator-as-of": as_of}).headers
    assert (ALLOW in headers) == ("access-control-expose-headers" not in headers)
    if as_of == "today":
        assert (ALLOW in headers) == (day < "2025")


@pytest.mark.parametrize(
    "path",
    ["/openai/v1/images/generations", "/openai/deployments/x/images/edits", "/openai/nothing"],
)
def test_azure_answers_without_an_origin_have_no_cors_header(
    http: httpx2.Client, path: str
) -> None:
    dated = {"x-emulator-as-of": "2024-01-19"}
    assert ALLOW not in http.post(path, json=BODY, headers=dated).headers
    answer = http.post(path, json=BODY, headers=dated | {"origin": ORIGIN})
    assert answer.headers.get_list(ALLOW) == ["*"]


def test_dated_answer_has_one_cors_header(http: httpx2.Client) -> None:
    headers = {"x-emulator-as-of": "2024-01-19", "origin": ORIGIN}
    assert http.get("/v1/models", headers=headers).headers.get_list(ALLOW) == ["*"]


def test_request_id_is_exposed_to_pages(http: httpx2.Client) -> None:
    answer = http.post(GENERATIONS, json=BODY, headers={"origin": ORIGIN})
    exposed = ",".join(answer.headers.get_list("access-control-expose-headers"))
    assert "x-request-id" in exposed.lower()


# --- what stays closed


@pytest.mark.parametrize("path", ["settings", "reset", "nothing", "health", ""])
def test_admin_api_allows_no_origin(server: Server, path: str) -> None:
    httpx2.get(f"{server.url}/ns/a/v1/models")  # begins the namespace
    for prefix in ("", "/ns/a"):
        answer = preflight(server, f"{prefix}/_emulator/{path}")
        assert not [name for name in answer.headers if name.startswith("access-control")]
    answer = httpx2.get(f"{server.url}/_emulator/{path}", headers={"origin": ORIGIN})
    assert ALLOW not in answer.headers
    dated = httpx2.get(f"{server.url}/_emulator/{path}", headers={"x-emulator-as-of": "2024-01-01"})
    assert ALLOW not in dated.headers


def test_hosted_images_allow_no_origin(server: Server, client: OpenAI) -> None:
    data = client.images.generate(model="dall-e-2", prompt="x", size="256x256").data
    url = (data or [])[0].url or ""
    for target in (url, url.partition("?")[0]):
        answer = httpx2.get(target, headers={"origin": ORIGIN, "x-emulator-as-of": "2024-01-01"})
        assert ALLOW not in answer.headers
    answer = preflight(server, url.removeprefix(server.url), "GET")
    assert ALLOW not in answer.headers


@pytest.mark.parametrize("raw", [False, True])
def test_an_own_answer_may_allow_another_origin(server: Server, raw: bool) -> None:
    headers = {"Access-Control-Allow-Origin": OWN_ORIGIN}
    if raw:
        server.answer(raw={"status": 503, "headers": headers, "body": "x"})
    else:
        server.answer(headers=headers)
    answer = httpx2.post(
        f"{server.base_url}/images/generations",
        json={"model": "gpt-image-2", "prompt": "x"},
        headers={"origin": "https://b.example", "authorization": "Bearer sk-x"},
    )
    assert answer.headers.get_list(ALLOW) == [OWN_ORIGIN]

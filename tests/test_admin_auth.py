"""Who may ask the admin API: tests and containers, but no page of another site."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx2
import pytest

from images_emulator import RemoteServer, Server, Settings
from images_emulator.client_errors import ServerError
from images_emulator.web.admin.session_api import MAX_TOKEN_BODY_BYTES


def ask(server: Server, path: str = "/_emulator/settings", **headers: str) -> httpx2.Response:
    raw_headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.get(server.url + path, headers=raw_headers)


def code_of(answer: httpx2.Response) -> str | None:
    return answer.json()["error"]["code"] if answer.status_code != 200 else None


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8080",
        "localhost",
        "LOCALHOST:8080",
        "localhost.",
        "[::1]:8080",
        "192.168.1.20:8080",
        "images-emulator:8080",
        "images_emulator",
        "host.docker.internal",
        "emulator.tests.svc.cluster.local",
        "app.localhost:3000",
    ],
)
def test_a_host_that_no_other_site_can_have_may_ask(server: Server, host: str) -> None:
    assert ask(server, host=host).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example.com", "evil.example:8080", "127.0.0.1.nip.io", "a..b", "[::1", "x.y:z"]
)
def test_a_host_that_another_site_can_have_may_not(server: Server, host: str) -> None:
    answer = ask(server, host=host)
    assert (answer.status_code, code_of(answer)) == (403, "foreign_host")


def test_the_host_that_the_settings_say_may_ask() -> None:
    with Server(Settings(port=0, public_url="https://emulator.example.com/x")) as server:
        assert ask(server, host="emulator.example.com").status_code == 200
        assert ask(server, host="evil.example.com").status_code == 403


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example.com", "http://evil.example.com:8080", "null", "", "http://[", "file://"],
)
def test_a_page_of_another_site_may_not_ask(server: Server, origin: str) -> None:
    answer = ask(server, origin=origin)
    assert (answer.status_code, code_of(answer)) == (403, "foreign_origin")
    answer = httpx2.post(f"{server.url}/_emulator/reset", headers={"origin": origin})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        ("http://localhost:3000", "localhost:8080", 403),
        ("http://localhost", "localhost:8080", 403),
        ("http://localhost:8080", "localhost:8080", 200),
        ("http://LOCALHOST:8080", "localhost.:8080", 200),
        ("http://[::1]:8080", "[::1]:8080", 200),
        ("http://[::1]:3000", "[::1]:8080", 403),
        ("http://localhost", "localhost:80", 200),
        ("http://localhost", "localhost", 200),
        ("http://localhost:80", "localhost", 200),
        ("http://localhost:3000", "localhost", 403),
        ("http://[::1]:3000", "[::1]", 403),
        ("https://emulator.test", "emulator.test:443", 200),
        ("https://emulator.test:8443", "emulator.test", 200),
        ("http://localhost:x", "localhost:8080", 403),
    ],
)
def test_another_port_is_another_origin(
    server: Server, origin: str, host: str, status: int
) -> None:
    assert ask(server, origin=origin, host=host).status_code == status


@pytest.mark.parametrize(
    "header", ["forwarded", "x_forwarded_for", "x_forwarded_host", "x_forwarded_proto"]
)
def test_a_proxy_may_leave_out_the_port(server: Server, header: str) -> None:
    headers = {"origin": "http://emulator.test:3000", "host": "emulator.test"}
    assert code_of(ask(server, **headers)) == "foreign_origin"
    assert ask(server, **headers, **{header: "x"}).status_code == 200


def test_the_port_that_the_settings_say_may_be_left_out() -> None:
    with Server(public_url="http://emulator.test:3000/x") as server:
        for port, status in ((3000, 200), (3001, 403), (80, 200)):
            origin = f"http://Emulator.test:{port}"
            assert ask(server, origin=origin, host="emulator.test").status_code == status


def test_a_page_of_this_server_may_ask(server: Server) -> None:
    headers = {"origin": server.url, "sec-fetch-site": "same-origin"}
    assert ask(server, **headers).status_code == 200


def test_a_browser_that_says_whose_page_it_is_is_believed(server: Server) -> None:
    assert code_of(ask(server, sec_fetch_site="cross-site")) == "foreign_origin"
    assert ask(server, sec_fetch_site="none").status_code == 200


@pytest.fixture(scope="module")
def closed() -> Iterator[Server]:
    """A server with an admin token."""
    with Server(Settings(port=0, admin_token="secret")) as server:
        yield server


@pytest.mark.parametrize("path", ["/_emulator/health", "/_emulator/ready"])
def test_a_probe_may_always_ask(closed: Server, path: str) -> None:
    assert ask(closed, path, host="evil.example.com").status_code in (200, 503)


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer wrong", "secret", "Basic secret", "Bearer sécret"]
)
def test_without_the_token_nobody_may_ask(closed: Server, authorization: str) -> None:
    headers = [(b"authorization", authorization.encode())] if authorization else []
    for path in ("settings", "nothing", "openapi.json", "requests"):
        answer = httpx2.get(f"{closed.url}/_emulator/{path}", headers=headers)
        assert (answer.status_code, code_of(answer)) == (401, "admin_token_required")


def test_with_the_token_anybody_may_ask(closed: Server) -> None:
    headers = {"authorization": "Bearer secret", "host": "a.example.com", "origin": "http://b"}
    assert ask(closed, **headers).status_code == 200


# --- the session of a browser


def begin(server: Server, **headers: str) -> httpx2.Response:
    raw_headers = {name.replace("_", "-"): value for name, value in headers.items()}
    path = f"{server.url}/_emulator/session"
    return httpx2.post(path, json={"token": "secret"}, headers=raw_headers)


def cookie_of(server: Server) -> str:
    """The cookie of a session, as a browser sends it."""
    answer = begin(server)
    assert (answer.status_code, answer.content) == (204, b"")
    return answer.headers["set-cookie"].partition(";")[0]


def test_the_cookie_of_a_session_does_as_well_as_the_token(closed: Server) -> None:
    answer = begin(closed)
    pair, *attributes = answer.headers["set-cookie"].split("; ")
    assert attributes == ["HttpOnly", "Path=/", "SameSite=strict"]
    assert "secret" not in pair
    assert ask(closed, cookie=f"a=b; {pair}").status_code == 200
    # A proxy may give the server any name.
    assert ask(closed, cookie=pair, host="emulator.example.com").status_code == 200
    assert ask(closed, cookie=pair, origin=closed.url).status_code == 200
    name = pair.partition("=")[0]
    for cookie in (f"{pair}0", f"{name}=", name, "", "a=b", f"{name}=sécret", f"x{pair}"):
        headers = [(b"cookie", cookie.encode())]
        answer = httpx2.get(f"{closed.url}/_emulator/settings", headers=headers)
        assert (answer.status_code, code_of(answer)) == (401, "admin_token_required")


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://127.0.0.1:3000"},
        {"origin": "https://evil.example.com"},
        {"origin": "null"},
        {"sec_fetch_site": "cross-site"},
    ],
)
def test_the_cookie_is_for_pages_of_this_server(closed: Server, headers: dict[str, str]) -> None:
    cookie = cookie_of(closed)
    answer = ask(closed, cookie=cookie, **headers)
    assert (answer.status_code, code_of(answer)) == (403, "foreign_origin")
    answer = begin(closed, **headers)
    assert (answer.status_code, answer.headers.get("set-cookie")) == (403, None)
    assert ask(closed, cookie=cookie, authorization="Bearer secret", **headers).status_code == 200


@pytest.mark.parametrize("token", ["wrong", "", "sécret", "\ud800"])
def test_a_wrong_token_begins_no_session(closed: Server, token: str) -> None:
    body = json.dumps({"token": token})
    answer = httpx2.post(f"{closed.url}/_emulator/session", content=body)
    assert (answer.status_code, code_of(answer)) == (401, "wrong_admin_token")
    assert "set-cookie" not in answer.headers


def test_a_body_longer_than_any_token_begins_no_session(closed: Server) -> None:
    body = json.dumps({"token": "secret"}).ljust(MAX_TOKEN_BODY_BYTES)
    url = f"{closed.url}/_emulator/session"
    assert httpx2.post(url, content=body).status_code == 204
    refused = httpx2.post(url, content=f"{body} ")
    assert (refused.status_code, refused.headers.get("set-cookie")) == (413, None)


def test_another_token_has_another_cookie(closed: Server) -> None:
    with Server(admin_token="another") as other:
        assert ask(other, cookie=cookie_of(closed)).status_code == 401


def test_a_session_ends_by_removing_the_cookie(closed: Server) -> None:
    with httpx2.Client(base_url=f"{closed.url}/_emulator") as browser:
        assert browser.post("/session", json={"token": "secret"}).status_code == 204
        assert browser.get("/settings").status_code == 200
        assert browser.delete("/session").status_code == 204
        assert browser.get("/settings").status_code == 401


def test_a_server_without_a_token_needs_no_session(server: Server) -> None:
    answer = begin(server)
    assert (answer.status_code, answer.headers.get("set-cookie")) == (204, None)
    assert httpx2.delete(f"{server.url}/_emulator/session").status_code == 204


def test_an_empty_token_is_none() -> None:
    with pytest.raises(ValueError, match="admin_token: expected a text that is not empty"):
        Settings(admin_token="")


@pytest.mark.parametrize("token", ["s3cret\n", "s3 cret", "s3crét", "s3cret\x00"])
def test_a_token_that_no_header_can_carry_is_refused_and_not_shown(
    token: str, server: Server
) -> None:
    with pytest.raises(ValueError, match="admin_token: expected visible ASCII") as of_setting:
        Settings(admin_token=token)
    with pytest.raises(ServerError, match="no header can carry the admin token") as of_client:
        _ = RemoteServer(server.url, "default", admin_token=f"{token}\n").requests
    assert "cr" not in f"{of_setting.value}{of_client.value}"


@pytest.mark.parametrize("url", ["http://user:s3cret@localhost:1", "user:s3cret@localhost:1"])
def test_a_url_with_a_password_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ValueError, match=r"not '(http://)?localhost:1'"):
        RemoteServer(url)


def test_the_api_itself_asks_for_no_host_and_no_origin(server: Server) -> None:
    headers = {"host": "api.example.com", "origin": "http://b", "authorization": "Bearer x"}
    assert ask(server, "/v1/models", **headers).status_code == 200

"""API keys: one rule says which key a call is made with, and none of them can be read back."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx2
import pytest

from images_emulator import Emulator, Server, Settings
from images_emulator.admin_client import parse_address
from images_emulator.contract.message_format import key_in_message, mask_key
from images_emulator.exchange.credentials import redacted_header, redacted_query
from images_emulator.setting_values import without_credentials
from images_emulator.web.code_samples import LANGUAGES

SECRET = "sk-proj-abcdefghijklmnopqrstuvwxyz012345"
OTHER = "0123456789abcdef0123456789abcdef"
BODY = {"model": "gpt-image-2", "prompt": "x", "quality": "low"}
GENERATIONS = "/v1/images/generations"
Headers = list[tuple[str, str]]


def bearer(key: str = "sk-test") -> Headers:
    return [("Authorization", f"Bearer {key}")]


@pytest.fixture(scope="module")
def anyone() -> Iterator[httpx2.Client]:
    """A client without a key."""
    with httpx2.Client(timeout=60) as client:
        yield client


# --- redaction


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("abcdefghijkl", "abcdefghijkl"),
        ("abcdefghijklm", "*********jklm"),
        ("sk-proj-abcde", "*********bcde"),
        ("sk-abcdefghi-", "*********ghi-"),
        ("sk-abcdefghij", "sk-******ghij"),
        ("sk-proj-abcdefgh", "sk-proj-****efgh"),
    ],
)
def test_a_key_of_13_characters_is_not_shown_whole(key: str, shown: str) -> None:
    assert mask_key(key) == shown


@pytest.mark.parametrize(
    "header",
    [
        ("Authorization", f"Bearer {SECRET}"),
        ("Authorization", f"bearer   {SECRET} extra"),
        ("Authorization", f"Bearer extra {SECRET} extra"),
        ("Authorization", SECRET),
        ("Authorization", f"Basic {SECRET}"),
        ("Proxy-Authorization", f"Basic {SECRET}"),
        ("api-key", SECRET),
        ("api-key", f"{SECRET} extra"),
        ("X-Api-Key", SECRET),
        ("X_API_KEY", SECRET),
        ("Ocp-Apim-Subscription-Key", SECRET),
        ("X-Goog-Api-Key", SECRET),
        ("X-Auth-Token", SECRET),
        ("Helicone-Auth", f"Bearer {SECRET}"),
        ("X-Client-Secret", SECRET),
        ("Cookie", f"theme=dark; session={SECRET}; other={SECRET}"),
        ("X-Forwarded-Whatever", f"key was {SECRET}"),
        ("Referer", f"https://example.com/?a=1&api_key={SECRET}#top"),
        ("X-Original-URL", f"/v1/images?subscription-key={SECRET}"),
    ],
)
def test_no_header_shows_a_key(
    anyone: httpx2.Client, server: Server, header: tuple[str, str]
) -> None:
    for secret in (SECRET, OTHER):
        name, value = header[0], header[1].replace(SECRET, secret)
        if "was" in value and secret == OTHER:
            continue
        anyone.post(server.url + GENERATIONS, json=BODY, headers=[(name, value)])
        shown_calls = anyone.get(f"{server.url}/_emulator/requests").json()["requests"]
        detail = anyone.get(f"{server.url}/_emulator/requests/{shown_calls[-1]['id']}").text
        address = f"{server.url}/_emulator/requests/{shown_calls[-1]['id']}/code"
        code = "".join(anyone.get(f"{address}/{language}").text for language in LANGUAGES)
        assert secret not in json.dumps(shown_calls) + detail + code
        assert name.lower() in json.loads(detail)["headers"]
        entry = server.requests[-1]
        assert secret not in repr(entry) + str(dict(entry.headers))


@pytest.mark.parametrize(
    "name", ["api-key", "api_key", "apikey", "apiKey", "key", "access_token", "api%2Dkey", "token"]
)
@pytest.mark.parametrize("secret", [SECRET, OTHER, OTHER.replace("0", "%30")])
def test_no_query_shows_a_key(
    anyone: httpx2.Client, server: Server, name: str, secret: str
) -> None:
    address = f"{server.url}{GENERATIONS}?a=b&{name}={secret}&api-version=2025-04-01"
    anyone.post(address, json=BODY, headers=bearer())
    (entry,) = server.requests
    shown_calls = anyone.get(f"{server.url}/_emulator/requests/{entry.id}").json()
    address = f"{server.url}/_emulator/requests/{entry.id}/code"
    code = "".join(anyone.get(f"{address}/{language}").text for language in LANGUAGES)
    for text in (entry.query, json.dumps(shown_calls), code):
        assert secret not in text
        assert OTHER not in text
    assert entry.query.startswith(f"a=b&{name}=")
    assert entry.query.endswith(f"{secret[-4:]}&api-version=2025-04-01")


def test_the_key_of_the_call_is_shown_nowhere_else(anyone: httpx2.Client, server: Server) -> None:
    headers = [*bearer(OTHER), ("x-note", f"sent with {OTHER}")]
    anyone.get(f"{server.url}/v1/models?note={OTHER}", headers=headers)
    (entry,) = server.requests
    assert entry.headers["x-note"] == f"sent with {mask_key(OTHER)}"
    assert entry.query == f"note={mask_key(OTHER)}"
    assert entry.came_with(OTHER)


def test_a_key_that_is_not_the_calls_own_is_redacted_in_a_text(
    anyone: httpx2.Client, server: Server
) -> None:
    key = "sk-proj-0123456789abcdef"
    anyone.get(f"{server.url}/v1/models?note=it+is+{key}", headers=[*bearer(), ("x-note", key)])
    (entry,) = server.requests
    assert entry.headers["x-note"] == mask_key(key)
    assert key not in entry.query


@pytest.mark.parametrize("key", [OTHER, "sk-0123456789abcdef", 'quote"backslash\\key'])
def test_a_refused_key_is_shown_in_the_journal_as_elsewhere(
    anyone: httpx2.Client, server: Server, key: str
) -> None:
    fault = ("x-emulator-fault", "invalid_api_key")
    answer = anyone.post(server.url + GENERATIONS, json=BODY, headers=[*bearer(key), fault])
    repeated = key_in_message(key)
    assert repeated in answer.json()["error"]["message"]
    (entry,) = server.requests
    assert mask_key(key) in (entry.error or {})["message"]
    shown = anyone.get(f"{server.url}/_emulator/requests/{entry.id}").json()
    assert repeated not in str(shown)
    assert mask_key(key) in json.loads(shown["answer"]["body"])["error"]["message"]


def test_a_key_among_the_parameters_is_redacted(anyone: httpx2.Client, server: Server) -> None:
    body = BODY | {"api_key": OTHER, "svg": {"auth_token": OTHER}}
    anyone.post(server.url + GENERATIONS, json=body, headers=bearer())
    (entry,) = server.requests
    assert entry.parameters["api_key"] == entry.parameters["svg"]["auth_token"] == mask_key(OTHER)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("idempotency-key", "stainless-python-retry-0123456789abcdef"),
        ("user-agent", "OpenAI/Python 3.52.0"),
        ("x-stainless-package-version", "3.52.0"),
        ("accept", "application/json; charset=utf-8?"),
    ],
)
def test_values_without_credentials_are_shown(name: str, value: str) -> None:
    assert redacted_header(name, value) == value


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:SECRET@h:1/0?x=SECRET", "redis://h:1/0"),
        ("redis+sentinel://:SECRET@h1:1,h2:2/m", "redis+sentinel://h1:1,h2:2/m"),
        ("https://user:SEC/RET@host/p", "https://host/p"),
        ("https://user:SEC?RET@host/p?q", "https://host/p"),
        ("https://user:SEC#RET@host", "https://host"),
        ("http://user:p://SECRET@host/", "http://host/"),
        ("https:/user:SECRET@host", "https:/host"),
        ("user:SECRET@host", "host"),
        ("https://[::1]:1/a?mail=a@b", "https://[::1]:1/a"),
        ("https://host/a?mail=a@b", "https://host/a"),
        ("host:80", "host:80"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(url: str, shown: str) -> None:
    assert without_credentials(url) == shown


@pytest.mark.parametrize(
    "url", ["ftp://u:SECRET@h", "http://u:SECRET\u2100@h", "http://u:SEC/RET@h"]
)
def test_an_address_that_is_none_is_told_without_what_may_be_secret(url: str) -> None:
    with pytest.raises(ValueError, match="expected the URL of a server") as error:
        parse_address(url)
    assert not any(part in str(error.value) for part in ("SEC", "RET"))


@pytest.mark.parametrize("query", ["", "a", "a=b=c", "a=%zz&;&=", "max_tokens=100", "q=%2Bx+y"])
def test_a_query_without_secrets_stays_as_it_was_sent(query: str) -> None:
    assert redacted_query(query) == query


def test_the_key_of_a_step_is_redacted(anyone: httpx2.Client, server: Server) -> None:
    server.inject("server_error", match={"api_key": SECRET})
    shown_calls = anyone.get(f"{server.url}/_emulator/scenario").text
    assert SECRET not in shown_calls
    assert json.loads(shown_calls)["steps"][0]["match"] == {"api_key": mask_key(SECRET)}
    answer = anyone.post(server.url + GENERATIONS, json=BODY, headers=bearer(SECRET))
    assert answer.status_code == 500


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        (SECRET, mask_key(SECRET)),
        (f"{SECRET}=1", f"{mask_key(SECRET)}=1"),
        (f"a=b&{SECRET.replace('-', '%2D')}=&c", f"a=b&{mask_key(SECRET)}=&c"),
        ("password=hunter2hun", "password=********"),
        ("db_password=hunter2-is-longer", "db_password=********"),
        ("token=hunter2", "token=********"),
        ("api_key=hunter2&x=1", "api_key=********&x=1"),
        ("session=0123456789abcdef", "session=********"),
        ("secret=", "secret="),
        ("secret", "secret"),
    ],
)
def test_a_query_shows_no_secret_in_a_name_nor_a_short_one(query: str, shown: str) -> None:
    assert redacted_query(query) == shown


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("x-password", "hunter2", "********"),
        ("x-client-secret", "hunter2-is-longer", "********"),
        ("x-api-key", "hunter2", "********"),
        ("x-api-key", "", ""),
        ("helicone-auth", "Bearer hunter2", "Bearer ********"),
        ("x-api-key", OTHER, mask_key(OTHER)),
        (
            "referer",
            "https://a.example/#state=x&token=hunter2",
            "https://a.example/#state=x&token=********",
        ),
        (
            "referer",
            "https://a.example/?x=1#token=hunter2",
            "https://a.example/?x=1#token=********",
        ),
        (
            "referer",
            "https://a.example/?x=what?token=hunter2",
            "https://a.example/?x=what?token=********",
        ),
        ("accept", "text/html;a=#1, b?c", "text/html;a=#1, b?c"),
    ],
)
def test_a_short_secret_is_hidden_whole(name: str, value: str, shown: str) -> None:
    assert redacted_header(name, value) == shown


def test_the_short_key_of_the_call_is_shown() -> None:
    assert redacted_header("authorization", "Bearer sk-test", "sk-test") == "Bearer sk-test"
    assert redacted_query("api_key=sk-test", "sk-test") == "api_key=sk-test"


def test_a_key_in_the_name_of_a_header_is_redacted(anyone: httpx2.Client, server: Server) -> None:
    anyone.get(f"{server.url}/v1/models", headers=[(SECRET, "1")])
    (entry,) = server.requests
    assert entry.headers[mask_key(SECRET)] == "1"
    assert SECRET not in str(dict(entry.headers))


@pytest.mark.parametrize("value", ["hunter2", "hunter2-is-longer", ["hunter2"], {"a": "b"}, 1234])
def test_a_password_among_the_parameters_is_hidden(
    anyone: httpx2.Client, server: Server, value: object
) -> None:
    anyone.post(server.url + GENERATIONS, json=BODY | {"password": value}, headers=bearer())
    assert server.requests[0].parameters["password"] == "********"


# --- one caller


def test_a_rate_limit_is_not_evaded_by_a_header_that_is_no_key(anyone: httpx2.Client) -> None:
    with Server(Settings(port=0, rate_limit="2/min")) as server:
        statuses = [
            anyone.post(
                server.url + GENERATIONS, json=BODY, headers=[*bearer(), ("api-key", f"k{number}")]
            ).status_code
            for number in range(3)
        ]
        keys = {entry.key for entry in server.requests}
    assert statuses == [200, 200, 429]
    assert keys == {"sk-test"}


@pytest.mark.parametrize(
    ("path", "key"), [(GENERATIONS, "sk-test"), ("/openai/v1/images/generations", "azure")]
)
def test_scenario_and_journal_go_by_the_key_that_was_let_in(
    anyone: httpx2.Client, server: Server, path: str, key: str
) -> None:
    headers = [*bearer(), ("api-key", "azure")]
    server.inject("server_error", match={"api_key": key})
    assert anyone.post(server.url + path, json=BODY, headers=headers).status_code == 500
    assert [entry.key for entry in server.requests] == [key]


def test_an_api_key_header_alone_is_no_key_outside_azure(
    anyone: httpx2.Client, server: Server
) -> None:
    answer = anyone.post(server.url + GENERATIONS, json=BODY, headers=[("api-key", "k")])
    assert answer.status_code == 401
    assert server.requests[0].key is None


def test_of_a_header_that_comes_twice_the_first_counts_everywhere(anyone: httpx2.Client) -> None:
    settings = Settings(port=0, api_key=("first",), rate_limit="1/min")
    with Server(settings) as server:
        twice = [*bearer("first"), *bearer("second")]
        server.inject("slow_down", match={"api_key": "second"})
        answers = [
            anyone.post(server.url + GENERATIONS, json=BODY, headers=twice) for _ in range(2)
        ]
        assert [answer.status_code for answer in answers] == [200, 429]
        assert answers[1].json()["error"]["code"] == "rate_limit_exceeded"
        assert [entry.key for entry in server.requests] == ["first"] * 2
        assert server.requests[0].headers["authorization"] == "Bearer first"
        wrong = [*bearer("second"), *bearer("first")]
        assert anyone.get(f"{server.url}/v1/models", headers=wrong).status_code == 401


@pytest.mark.parametrize("first", ["2026-06-01", "any"])
def test_of_an_override_that_comes_twice_the_first_counts(
    anyone: httpx2.Client, server: Server, first: str
) -> None:
    second = "any" if first != "any" else "2026-06-01"
    headers = [*bearer(), ("x-emulator-as-of", first), ("x-emulator-as-of", second)]
    body = {"model": "dall-e-3", "prompt": "x"}
    answer = anyone.post(server.url + GENERATIONS, json=body, headers=headers)
    assert answer.status_code == (200 if first == "any" else 400)


# --- the key goes first


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-emulator-as-of", "yesterday"),
        ("x-emulator-validation", "loose"),
        ("x-emulator-fault", "no_such_fault"),
        ("x-emulator-fault", "server_error"),
    ],
)
@pytest.mark.parametrize("path", [GENERATIONS, "/openai/v1/images/generations", "/v1/models"])
def test_the_key_is_looked_at_before_the_emulators_own_headers(
    anyone: httpx2.Client, server: Server, path: str, name: str, value: str
) -> None:
    method = "GET" if path == "/v1/models" else "POST"
    answer = anyone.request(method, server.url + path, json=BODY, headers=[(name, value)])
    assert answer.status_code == 401
    with_key = anyone.request(
        method, server.url + path, json=BODY, headers=[(name, value), *bearer()]
    )
    assert with_key.status_code == (500 if value == "server_error" else 400)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")],
        [("Origin", "https://evil.example"), ("Content-Type", "text/plain")],
        [("Authorization", "Bearer")],
        [("Authorization", "Basic x")],
        [("api-key", "k")],
    ],
)
def test_a_call_without_a_key_uses_up_no_step(
    anyone: httpx2.Client, server: Server, emulator: Emulator, headers: Headers
) -> None:
    server.inject("server_error")
    prompt = BODY | {"prompt": "x [[emulator: slow_down]]"}
    for body in (BODY, prompt):
        content = json.dumps(body).encode()
        answer = anyone.post(server.url + GENERATIONS, content=content, headers=headers)
        assert answer.status_code == 401
    assert [step["met"] for step in emulator.scenario.as_json()["steps"]] == [0]
    assert anyone.post(server.url + GENERATIONS, json=BODY, headers=bearer()).status_code == 500


def test_a_call_with_a_wrong_key_uses_up_no_step(anyone: httpx2.Client) -> None:
    with Server(Settings(port=0, api_key=("right",))) as server:
        server.inject("server_error")
        statuses = [
            anyone.post(server.url + GENERATIONS, json=BODY, headers=bearer(key)).status_code
            for key in ("wrong", "right", "right")
        ]
    assert statuses == [401, 500, 200]

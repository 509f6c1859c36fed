"""Downloads of hosted pictures: they stand in the journal, and can meet faults as calls do."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from openai import OpenAI

from images_emulator import Emulator, Server
from tests.pictures import opened

PRIVATE = {"path": "/private/*"}


@pytest.fixture
def url(client: OpenAI) -> str:
    """Of a picture, small enough to be drawn at once."""
    answer = client.images.generate(model="dall-e-2", prompt="a lighthouse", size="256x256")
    return (answer.data or [])[0].url or ""


@pytest.fixture(scope="module")
def browser() -> Iterator[httpx2.Client]:
    with httpx2.Client(timeout=60) as client:
        yield client


def code_of(answer: httpx2.Response) -> str | None:
    """The store's error code, from its XML."""
    assert answer.headers["content-type"] == "application/xml"
    error = ET.fromstring(answer.content)  # noqa: S314 - our own server's
    code = error.findtext("Code")
    assert answer.headers["x-ms-error-code"] == code
    assert answer.headers["server"] == "Microsoft-HTTPAPI/2.0"
    assert f"RequestId:{answer.headers['x-ms-request-id']}\n" in (error.findtext("Message") or "")
    return code


def listed(server: Server, **filters: str) -> list[dict[str, Any]]:
    answer = httpx2.get(f"{server.url}/_emulator/requests", params=filters).json()
    assert answer["total"] == len(answer["requests"])
    requests: list[dict[str, Any]] = answer["requests"]
    return requests


def test_a_download_stands_in_the_journal(server: Server, url: str, browser: httpx2.Client) -> None:
    assert browser.get(url).status_code == 200
    assert browser.get(f"{server.url}/private/none").status_code == 409
    call, download, missed = listed(server)
    assert [each["kind"] for each in (call, download, missed)] == ["call", "download", "download"]
    assert listed(server, kind="call") == [call]
    assert listed(server, kind="download") == [download, missed]
    assert (download["method"], download["status"], download["path"]) == (
        "GET",
        200,
        httpx2.URL(url).path,
    )
    assert (download["model"], download["prompt"]) == ("dall-e-2", "a lighthouse")
    assert (missed["model"], missed["status"]) == (None, 409)
    assert (len(call["pictures"]), download["pictures"]) == (1, [])
    assert download["duration_ms"] > 0
    assert listed(server, prompt="house", kind="download") == [download]


def test_a_download_leads_to_its_picture(
    server: Server, client: OpenAI, browser: httpx2.Client
) -> None:
    answer = client.images.generate(model="dall-e-2", prompt="two", size="256x256", n=2)
    pictures = [browser.get(each.url or "").content for each in answer.data or []]
    downloads = server.downloads
    assert (len({*pictures}), len(downloads)) == (2, 2)
    for number, download in enumerate(downloads):
        details = httpx2.get(f"{server.url}/_emulator/requests/{download.id}").json()
        assert httpx2.get(server.url + details["hosted"]).content == pictures[number]
        thumbnail = httpx2.get(f"{server.url}{details['hosted']}/thumbnail/96")
        assert thumbnail.headers["content-type"] == "image/jpeg"
        other = f"/_emulator/images/{download.id}/{1 - number}"
        assert httpx2.get(server.url + other).status_code == 404
    (call,) = listed(server, kind="call")
    assert httpx2.get(f"{server.url}/_emulator/requests/{call['id']}").json()["hosted"] is None


def test_a_download_of_nothing_leads_nowhere(
    server: Server, url: str, browser: httpx2.Client
) -> None:
    browser.get(url.replace("img-", "img-x"))
    (download,) = server.downloads
    details = httpx2.get(f"{server.url}/_emulator/requests/{download.id}").json()
    assert details["hosted"] is None
    assert httpx2.get(f"{server.url}/_emulator/images/{download.id}/0").status_code == 404


def test_python_tells_calls_and_downloads_apart(
    server: Server, url: str, browser: httpx2.Client
) -> None:
    browser.get(url)
    assert [call.path for call in server.requests] == ["/v1/images/generations"]
    assert [each.path for each in server.downloads] == [httpx2.URL(url).path]
    assert len(server.emulator.journal.find()) == 2


def test_no_other_kind_can_be_asked_for(server: Server) -> None:
    answer = httpx2.get(f"{server.url}/_emulator/requests?kind=upload")
    assert answer.status_code == 422
    assert "kind" in answer.json()["error"]["param"]


def test_a_refused_download_has_its_journal_id(
    server: Server, url: str, browser: httpx2.Client
) -> None:
    answer = browser.get(url.replace("sig=", "sig=A"))
    (download,) = server.downloads
    assert answer.headers["x-ms-request-id"] == download.id
    details = httpx2.get(f"{server.url}/_emulator/requests/{download.id}").json()
    assert details["answer"]["body"] == answer.text


def test_a_download_has_none_of_the_apis_headers(url: str, browser: httpx2.Client) -> None:
    answer = browser.get(url)
    assert not {name for name in answer.headers if name.startswith(("openai", "x-request"))}


# --- faults


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("server_error", 500, "InternalError"),
        ("server_is_overloaded", 503, "ServerBusy"),
        ("rate_limit_exceeded", 503, "ServerBusy"),
        ("invalid_api_key", 403, "AuthenticationFailed"),
        ("moderation_blocked", 400, "InvalidInput"),
        ({"kind": "error", "status": 404}, 404, "BlobNotFound"),
        ({"kind": "error", "status": 502}, 502, "InternalError"),
        ({"kind": "error", "status": 500, "code": "OperationTimedOut"}, 500, "OperationTimedOut"),
        ("expired", 403, "AuthenticationFailed"),
    ],
)
def test_an_error_of_the_store_is_xml(  # noqa: PLR0917 - three fixtures, three facts
    server: Server, url: str, browser: httpx2.Client, fault: Any, status: int, code: str
) -> None:
    server.inject(fault, match=PRIVATE)
    answer = browser.get(url)
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert browser.get(url).status_code == 200
    name = fault if isinstance(fault, str) else "error"
    assert [each.fault for each in server.downloads] == [name, None]
    assert listed(server, fault=name)[0]["kind"] == "download"


def test_a_busy_store_says_when_to_come_back(
    server: Server, url: str, browser: httpx2.Client
) -> None:
    server.inject({"kind": "error", "name": "rate_limit_exceeded", "retry_after": 2}, match=PRIVATE)
    assert browser.get(url).headers["retry-after"] == "2"


def test_an_expired_url_says_so_in_the_stores_words(
    server: Server, client: OpenAI, url: str, browser: httpx2.Client
) -> None:
    server.inject("expired")
    # It is for downloads alone.
    assert client.models.list().data
    early = browser.get(url)
    assert early.status_code == 403
    assert "Signature not valid in the specified time frame" in early.text
    assert browser.get(url).status_code == 200
    # The same as when the hour is over.
    server.clock.advance(minutes=61)
    late = browser.get(url)
    assert (
        early.text.partition("Start [")[2].partition("- Current")[0]
        == (late.text.partition("Start [")[2].partition("- Current")[0])
    )


def test_an_api_call_that_is_to_expire_does_not(client: OpenAI, server: Server) -> None:
    answer = client.images.generate(
        model="dall-e-2",
        prompt="a fox",
        size="256x256",
        extra_headers={"x-emulator-fault": "expired"},
    )
    assert answer.data
    assert server.requests[-1].fault is None


def test_a_slow_or_broken_store_is_one_too(
    server: Server, url: str, browser: httpx2.Client
) -> None:
    server.inject({"kind": "truncated", "after_bytes": 100}, match=PRIVATE)
    server.inject("connection_reset", match=PRIVATE)
    server.inject({"kind": "slow_body", "bytes_per_second": 10**6}, match=PRIVATE)
    server.inject({"kind": "latency", "seconds": 0.01}, match=PRIVATE)
    for _ in range(2):
        with pytest.raises(httpx2.TransportError):
            browser.get(url)
    for _ in range(2):
        assert opened(browser.get(url).content).size == (256, 256)
    assert [each.status for each in server.downloads] == [200, None, 200, 200]


def test_a_step_without_a_path_is_for_calls(
    server: Server, emulator: Emulator, url: str, browser: httpx2.Client, client: OpenAI
) -> None:
    server.inject("server_error", times=None)
    server.inject("server_error", match={"model": "dall-e-2"})
    assert browser.get(url).status_code == 200
    assert [step["met"] for step in emulator.scenario.as_json()["steps"]] == [0, 0]
    (download,) = server.downloads
    assert [*map(str, download.near_misses)] == [
        "injected (server_error): has no path, which is what a step for downloads needs"
    ] * 2


def test_a_step_can_ask_for_the_picture(server: Server, client: OpenAI) -> None:
    ship, house = (
        (client.images.generate(model="dall-e-2", prompt=prompt, size="256x256").data or [])[0].url
        for prompt in ("a ship", "a house")
    )
    server.inject("server_error", match=PRIVATE | {"prompt": "ship", "model": "dall-e-*"}, times=9)
    assert [httpx2.get(url or "").status_code for url in (house, ship)] == [200, 500]


def test_a_header_asks_for_one_download(url: str, browser: httpx2.Client) -> None:
    assert browser.get(url, headers={"x-emulator-fault": "slow_down"}).status_code in (429, 503)
    wrong = browser.get(url, headers={"x-emulator-fault": "no_such"})
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "x-emulator-fault")
    assert browser.get(url).status_code == 200


def test_a_preflight_of_the_store_is_refused_before_journal_and_faults(
    server: Server, url: str, browser: httpx2.Client
) -> None:
    server.inject("expired")
    origin = {"origin": "https://app.example", "access-control-request-method": "GET"}
    for target in (url, url.partition("?")[0]):
        answer = browser.options(target, headers=origin)
        assert (answer.status_code, code_of(answer)) == (403, "CorsPreflightFailure")
        assert not [name for name in answer.headers if name.startswith("access-control")]
    assert not listed(server, kind="download")
    assert browser.get(url).status_code == 403
    (entry,) = listed(server, kind="download")
    assert entry["fault"] == "expired"


@pytest.mark.parametrize("fault", ["expired", "server_error"])
@pytest.mark.parametrize(
    ("method", "change", "status"),
    [
        ("GET", lambda url: url.partition("?")[0], 409),
        ("GET", lambda url: url.replace("sig=", "sig=x"), 403),
        ("HEAD", lambda url: url.replace("img-", "img-x"), 403),
        ("GET", lambda url: url.partition("/private/")[0] + "/private/none.png", 409),
        ("POST", lambda url: url, 405),
        ("OPTIONS", lambda url: url, 405),
    ],
)
def test_only_a_download_with_its_signature_uses_up_a_step(  # noqa: PLR0917 - three fixtures, four facts
    server: Server,
    url: str,
    browser: httpx2.Client,
    fault: str,
    method: str,
    change: Callable[[str], str],
    status: int,
) -> None:
    server.inject(fault, match=PRIVATE)
    foreign = {"sec-fetch-site": "cross-site"}
    for headers in (foreign, foreign | {"x-emulator-fault": fault}):
        answer = browser.request(method, change(url), headers=headers)
        assert answer.status_code == status
    assert [each["fault"] for each in listed(server, kind="download")] == [None] * 2
    assert browser.head(url).status_code == (403 if fault == "expired" else 500)

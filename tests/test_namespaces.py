"""Namespaces: tests that share a server are apart, on one process and on two with a store."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import current_thread
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx2
import pytest
from openai import AzureOpenAI, OpenAI, RateLimitError

from images_emulator import RemoteServer, Server, Settings, create_app
from images_emulator.cli.call_line import as_json
from images_emulator.cli.journal_line import line_of_exchange
from images_emulator.contract.refusal import APIError
from images_emulator.namespace_names import MAX_CHARS, name_of_key, path_of, split_path
from images_emulator.state.emulator import Emulator
from images_emulator.web import namespaces as namespaces_module
from images_emulator.web.instruments.metrics import Metrics
from images_emulator.web.namespaces import Namespace, Namespaces
from images_emulator.web.replay.miss_recorder import MissRecorder
from tests.conftest import KEY
from tests.event_loops import run_on_own_loop
from tests.pictures import png
from tests.redis_server import missing_part, new_store_name, shared_redis
from tests.waiting import until

HEADER = "x-emulator-namespace"
GENERATIONS = "/v1/images/generations"
BODY = {"model": "dall-e-2", "prompt": "x", "size": "256x256", "response_format": "b64_json"}
BY_URL = {**BODY, "response_format": "url"}

NO_REDIS = pytest.mark.skipif(bool(missing_part()), reason=missing_part())

Pair = tuple[Server, Server]


@pytest.fixture(params=["one process", pytest.param("two processes", marks=NO_REDIS)])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """A server twice, or two servers that share a Redis as processes would."""
    if request.param == "one process":
        with Server() as server:
            yield server, server
        return
    settings: dict[str, Any] = {"store": shared_redis().url, "store_name": new_store_name()}
    with Server(**settings) as one, Server(**settings) as other:
        yield one, other


@pytest.fixture
def shared() -> Iterator[Server]:
    """A server of the test's own."""
    with Server() as server:
        yield server


def call(
    server: Server, namespace: str | None = None, body: Any = BODY, **headers: str
) -> httpx2.Response:
    if namespace is not None:
        headers[HEADER] = namespace
    headers.setdefault("authorization", f"Bearer {KEY}")
    return httpx2.post(server.url + GENERATIONS, json=body, headers=headers)


def admin(
    server: Server, method: str, path: str, namespace: str | None = None, json: Any = None
) -> Any:
    headers = {HEADER: namespace} if namespace else {}
    url = f"{server.url}/_emulator/{path}"
    answer = httpx2.request(method, url, headers=headers, json=json)
    assert answer.status_code < 300, answer.text
    return answer.json()


def calls(server: Server, namespace: str | None = None) -> int:
    total: int = admin(server, "GET", "requests", namespace)["total"]
    return total


def names(server: Server) -> list[str]:
    return [each["name"] for each in admin(server, "GET", "namespaces")["namespaces"]]


# --- apart


@pytest.mark.slow
def test_each_namespace_has_a_journal_of_its_own(pair: Pair) -> None:
    one, other = pair
    call(one, "a")
    call(other, "a")
    call(other, "b")
    call(one)
    for server in pair:
        assert [calls(server, name) for name in ("a", "b", "c", None)] == [2, 1, 0, 1]


def test_a_fault_meets_the_calls_of_its_namespace_alone(pair: Pair) -> None:
    one, other = pair
    step = {"fault": {"kind": "server_error"}, "times": 1}
    admin(one, "POST", "inject", "a", step)
    answers = [call(other, name) for name in ("b", None, "a", "a")]
    assert [each.status_code for each in answers] == [200, 200, 500, 200]


def test_the_clock_of_a_namespace_is_its_own(pair: Pair) -> None:
    one, other = pair
    admin(one, "POST", "clock", "a", {"freeze": "2026-01-01T00:00:00"})
    frozen = [admin(other, "GET", "clock", name)["frozen"] for name in ("a", "b", None)]
    assert frozen == [True, False, False]
    assert call(other, "a").json()["created"] == 1767225600


def test_settings_that_change_are_those_of_the_namespace(pair: Pair) -> None:
    one, other = pair
    admin(one, "PATCH", "settings", "a", {"validation": "lenient"})
    wrong = {**BODY, "size": "nothing"}
    statuses = [call(other, name, wrong).status_code for name in ("a", "b", None)]
    assert statuses == [200, 400, 400]


def test_files_are_those_of_the_namespace(pair: Pair) -> None:
    one, other = pair
    with OpenAI(base_url=one.base_url, api_key=KEY, default_headers={HEADER: "a"}) as client:
        file = client.files.create(file=("a.png", io.BytesIO(png())), purpose="vision")
        headers = {"authorization": f"Bearer {KEY}"}
        url = f"{other.base_url}/files/{file.id}"
        statuses = [
            httpx2.get(url, headers=headers | extra).status_code
            for extra in ({HEADER: "a"}, {HEADER: "b"}, {})
        ]
        assert statuses == [200, 404, 404]


def test_a_hosted_picture_finds_its_namespace_by_its_url(pair: Pair) -> None:
    one, other = pair
    url = urlsplit(call(one, "a", BY_URL).json()["data"][0]["url"])
    downloaded = httpx2.get(f"{other.url}{url.path}?{url.query}")
    assert downloaded.status_code == 200
    assert downloaded.content[:4] == b"\x89PNG"
    kinds = {"kind": "download"}
    for name, count in (("a", 1), ("b", 0)):
        page = httpx2.get(f"{one.url}/_emulator/requests", params=kinds, headers={HEADER: name})
        assert page.json()["total"] == count
    # The same path without the namespace has no picture.
    bare = url.path.removeprefix("/ns/a")
    assert httpx2.get(f"{other.url}{bare}?{url.query}").status_code == 403


def test_a_hosted_picture_of_azure_finds_its_namespace(shared: Server) -> None:
    with AzureOpenAI(
        azure_endpoint=shared.url,
        api_key=KEY,
        api_version="2025-04-01-preview",
        default_headers={HEADER: "a"},
    ) as client:
        answer = client.images.generate(model="dall-e-3", prompt="x")
        assert answer.data
        assert answer.data[0].url
        assert httpx2.get(answer.data[0].url).status_code == 200
        assert [calls(shared, "a"), calls(shared)] == [2, 0]


def test_the_public_url_is_before_the_namespace() -> None:
    with Server(public_url="https://images.example/") as server:
        url = call(server, "a b", BY_URL).json()["data"][0]["url"]
        assert url.startswith("https://images.example/ns/a%20b/private/")
        url = call(server, None, BY_URL).json()["data"][0]["url"]
        assert url.startswith("https://images.example/private/")


@pytest.mark.slow
def test_a_reset_forgets_one_namespace_alone(pair: Pair) -> None:
    one, other = pair
    for name in ("a", "b", None):
        call(one, name)
    admin(other, "POST", "reset", "a")
    assert [calls(one, name) for name in ("a", "b", None)] == [0, 1, 1]
    admin(other, "POST", "reset")
    assert [calls(one, name) for name in ("a", "b", None)] == [0, 1, 0]


def test_rate_limits_are_those_of_the_namespace() -> None:
    with Server(rate_limit="1/hour") as server:
        statuses = [call(server, name).status_code for name in ("a", "b", None, "a")]
        assert statuses == [200, 200, 200, 429]


def test_account_names_are_those_of_the_namespace(pair: Pair) -> None:
    one, other = pair
    organizations = [
        call(server, name).headers["openai-organization"]
        for server, name in ((one, "a"), (other, "a"), (one, "b"), (one, None))
    ]
    assert organizations[0] == organizations[1]
    assert len({*organizations}) == 3


def test_a_scenario_of_the_start_begins_in_each_namespace(tmp_path: Any) -> None:
    file = tmp_path / "s.toml"
    file.write_text('[[steps]]\ntimes = 1\nfault = {kind = "server_error"}\n')
    with Server(scenario=file) as server:
        statuses = [call(server, name).status_code for name in ("a", "a", "b", None, None)]
        assert statuses == [500, 200, 500, 500, 200]
        admin(server, "POST", "reset", "a")
        assert [call(server, name).status_code for name in ("a", "b")] == [500, 200]


def test_pictures_of_a_folder_answer_in_each_namespace(tmp_path: Any) -> None:
    (tmp_path / "x.png").write_bytes(png())
    with Server(pictures=tmp_path) as server:
        call(server, "a")
        call(server, "b")
        for name in ("a", "b"):
            (shown,) = admin(server, "GET", "requests", name)["requests"]
            assert shown["own_answer"] == "x.png"


@pytest.mark.not_on_redis("what a process reads from it is a copy")
def test_namespaces_share_the_pictures_of_a_folder(tmp_path: Any) -> None:
    (tmp_path / "x.png").write_bytes(png())
    with Server(pictures=tmp_path) as server:
        files: list[Any] = []
        for name in ("a", "b"):
            call(server, name)
            scenario = server.namespaces._by_name[name].emulator.scenario
            files += scenario.pictures_of(scenario.as_json()["steps"][0]["id"])
        assert files[0] is files[1], "each namespace has a copy of the pictures"


def test_recordings_are_played_anew_in_each_namespace(tmp_path: Any) -> None:
    with Server() as server, OpenAI(base_url=server.base_url, api_key=KEY) as client:
        for _ in range(2):
            client.images.generate(model="dall-e-2", prompt="x", size="256x256")
        server.save_exchanges(tmp_path)
    with Server(replay=tmp_path, on_miss="refuse", delay=False) as server:

        def played(name: str | None) -> str:
            assert call(server, name, {**BODY, "response_format": "url"}).status_code == 200
            return str(admin(server, "GET", "requests", name)["requests"][-1]["recording"])

        order = [played(name) for name in ("a", "b", "a", None)]
        assert order[0] == order[1] == order[3] != order[2]


def test_a_namespace_that_is_deleted_ends_the_thread_that_writes_recordings(tmp_path: Path) -> None:
    def writers() -> int:
        return sum(each.name.startswith("recordings") for each in threading.enumerate())

    with (
        Server() as upstream,
        Server(replay=tmp_path, on_miss="record", upstream=upstream.base_url) as server,
    ):
        assert call(server, "a").status_code == 200
        until(lambda: len(list(tmp_path.glob("*.json"))) == 1)
        before = writers()
        admin(server, "DELETE", "namespaces/a")
        until(lambda: writers() == before - 1)


async def test_stop_waits_for_the_ends_of_namespaces_that_were_forgotten() -> None:
    emulator = Emulator()
    namespaces = Namespaces(emulator, lambda emulator, namespaces: create_app(emulator))
    ended = []

    async def end() -> None:
        await asyncio.sleep(0)
        ended.append("a")

    namespaces._run(end())
    await namespaces.stop()
    assert ended == ["a"]
    emulator.close()


def opening_threads() -> set[threading.Thread]:
    """The threads in which servers open namespaces."""
    return {each for each in threading.enumerate() if each.name.startswith("namespace_")}


def test_a_server_that_is_closed_ends_the_thread_that_opens_namespaces() -> None:
    others = opening_threads()
    with Server() as server:
        assert call(server, "a").status_code == 200
        (thread,) = opening_threads() - others
    # The variable `server` keeps the pool from becoming garbage, which would end the thread, too.
    until(lambda: not thread.is_alive())


class SlowOpening(NamedTuple):
    """Two events: a namespace is being opened, and may go on."""

    begun: threading.Event
    released: threading.Event


@pytest.fixture
def slow_opening(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowOpening]:
    """Lets each namespace wait while it is opened."""
    opening, for_namespace = (
        SlowOpening(threading.Event(), threading.Event()),
        Emulator.for_namespace,
    )

    def slow(emulator: Emulator, name: str) -> Emulator:
        opening.begun.set()
        assert opening.released.wait(20)
        return for_namespace(emulator, name)

    monkeypatch.setattr(Emulator, "for_namespace", slow)
    yield opening
    opening.released.set()


async def test_a_stop_that_is_cancelled_while_a_namespace_opens_ends_the_thread(
    slow_opening: SlowOpening,
) -> None:
    others = opening_threads()
    emulator = Emulator()
    namespaces = Namespaces(emulator, lambda emulator, namespaces: create_app(emulator))
    opening = asyncio.ensure_future(namespaces.acquire("a", begins=True))
    assert await asyncio.to_thread(slow_opening.begun.wait, 20)
    (thread,) = opening_threads() - others
    stop = asyncio.ensure_future(namespaces.stop())
    await asyncio.sleep(0)  # until it waits for the opening
    stop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stop
    slow_opening.released.set()
    (await opening).emulator.close()
    until(lambda: not thread.is_alive())
    emulator.close()


async def test_stop_gives_up_a_namespace_that_opens_too_slowly(
    slow_opening: SlowOpening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(namespaces_module, "STOP_SECONDS", 0.01)
    others = opening_threads()
    emulator = Emulator()
    namespaces = Namespaces(emulator, lambda emulator, namespaces: create_app(emulator))
    opening = asyncio.ensure_future(namespaces.acquire("a", begins=True))
    assert await asyncio.to_thread(slow_opening.begun.wait, 20)
    (thread,) = opening_threads() - others
    async with asyncio.timeout(10):
        await namespaces.stop()
    with pytest.raises(asyncio.CancelledError):
        await opening
    slow_opening.released.set()
    until(lambda: not thread.is_alive())
    emulator.close()


async def test_an_end_that_fails_keeps_no_other_from_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, ended = Server(), []

    def finisher(name: str) -> Callable[[], Coroutine[Any, Any, None]]:
        async def finish() -> None:
            ended.append(name)
            raise OSError(f"{name} fails")

        return finish

    class Counting:
        async def stop(self) -> None:
            ended.append("instrument")

    for name in ("a", "b"):
        namespace = await server.namespaces.acquire(name, begins=True)
        namespace.emulator.cleanup_callbacks = (finisher(name),)
    server.emulator.cleanup_callbacks = (finisher("one"), finisher("two"))
    monkeypatch.setattr(server, "_instruments", (Counting(),))
    disconnected = []

    async def disconnect() -> None:
        disconnected.append(True)

    monkeypatch.setattr(server.emulator.store, "disconnect", disconnect)
    with pytest.raises(OSError, match="fails"):
        await server._finish()
    assert sorted(ended) == ["a", "b", "instrument", "one", "two"]
    assert disconnected
    server.close()


async def test_two_applications_of_one_emulator_that_record_are_both_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(replay=str(tmp_path), on_miss="record", upstream="http://127.0.0.1:9/v1")
    emulator = Emulator(settings)
    ended = []

    async def finish(recorder: MissRecorder) -> None:
        ended.append(recorder)

    monkeypatch.setattr(MissRecorder, "finish", finish)
    for _ in range(2):
        create_app(emulator)
    await emulator.stop()
    assert len({*ended}) == 2
    emulator.close()


# --- how a call names its namespace


def test_sdk_names_its_namespace_by_default_headers(shared: Server) -> None:
    with OpenAI(base_url=shared.base_url, api_key=KEY, default_headers={HEADER: "a"}) as client:
        client.images.generate(model="dall-e-2", prompt="x", size="256x256")
        assert [calls(shared, "a"), calls(shared)] == [1, 0]


@pytest.mark.parametrize("name", ["a", "gw0 tests/test_x.py::test_y[1-é]", "100%", "a.b", "x?y#z"])
def test_a_base_url_with_a_namespace_leads_to_it(shared: Server, name: str) -> None:
    with OpenAI(base_url=f"{shared.url}{path_of(name)}/v1", api_key=KEY) as client:
        answer = client.images.generate(model="dall-e-2", prompt="x", size="256x256")
        assert answer.data
        assert answer.data[0].url
        assert httpx2.get(answer.data[0].url).status_code == 200
        assert names(shared) == [name]
        # As a header has it, and as a query does.
        page = httpx2.get(
            f"{shared.url}/_emulator/requests", params={"namespace": name, "limit": 1}
        )
        assert page.json()["total"] == 2
        headers = [(HEADER.encode(), name.encode())]
        page = httpx2.get(f"{shared.url}/_emulator/requests?limit=1", headers=headers)
        assert page.json()["total"] == 2
        assert page.json()["requests"][0]["path"].startswith("/private/")


def test_an_azure_endpoint_with_a_namespace_leads_to_it(shared: Server) -> None:
    with AzureOpenAI(
        azure_endpoint=f"{shared.url}/ns/a", api_key=KEY, api_version="2025-04-01-preview"
    ) as client:
        client.images.generate(model="gpt-image-1", prompt="x", size="1024x1024", quality="low")
        assert [calls(shared, "a"), calls(shared)] == [1, 0]


@pytest.mark.slow
def test_node_sdk_names_its_namespace(shared: Server, node: Callable[..., Any]) -> None:
    script = """
import OpenAI, { AzureOpenAI } from "openai";
const url = process.argv[2];
const one = { model: "dall-e-2", prompt: "x", size: "256x256" };
const defaultHeaders = { "x-emulator-namespace": "by-header" };
await new OpenAI({ apiKey: "k", baseURL: `${url}/v1`, defaultHeaders }).images.generate(one);
await new OpenAI({ apiKey: "k", baseURL: `${url}/ns/by-url/v1` }).images.generate(one);
const azure = { endpoint: url, apiKey: "k", apiVersion: "2025-04-01-preview", defaultHeaders };
await new AzureOpenAI(azure).images.generate({ ...one, model: "gpt-image-1", size: "1024x1024" });
console.log(JSON.stringify("done"));
"""
    assert node(script, shared.url) == "done"
    assert [calls(shared, name) for name in ("by-header", "by-url", None)] == [2, 1, 0]


def test_the_path_goes_before_the_header(shared: Server) -> None:
    httpx2.post(f"{shared.url}/ns/a{GENERATIONS}", json=BODY, headers={HEADER: "b"})
    assert names(shared) == ["a"]


@pytest.mark.parametrize("name", [None, "default"])
def test_calls_without_a_namespace_are_in_the_default_one(shared: Server, name: str | None) -> None:
    call(shared, name)
    assert httpx2.post(f"{shared.url}/ns/default{GENERATIONS}", json=BODY).status_code == 401
    assert calls(shared) == calls(shared, "default") == 2
    assert names(shared) == []


WRONG = ["", " ", " a", "a\x07", "x" * (MAX_CHARS + 1), ".", "..", "a\u200b"]


@pytest.mark.parametrize("name", WRONG)
def test_wrong_names_are_refused_in_a_query(shared: Server, name: str) -> None:
    answer = httpx2.get(f"{shared.url}/_emulator/requests", params={"namespace": name})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "invalid_namespace")
    assert error["param"] == "namespace"
    assert "1 to 128 printable characters" in error["message"]
    assert len(error["message"]) < 200


@pytest.mark.parametrize("value", [b"", b"x" * 129, b"\xff\xfe", b"."])
def test_wrong_names_are_refused_in_a_header(shared: Server, value: bytes) -> None:
    headers = [(HEADER.encode(), value), (b"origin", b"https://app.example")]
    answer = httpx2.post(shared.url + GENERATIONS, json=BODY, headers=headers)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "invalid_namespace")
    assert error["param"] == HEADER
    assert answer.headers["access-control-allow-origin"] == "*"
    assert names(shared) == []


@pytest.mark.parametrize("path", ["/ns//v1/models", "/ns/%20/v1/models", "/ns/%ff/v1/models"])
def test_wrong_names_are_refused_in_a_path(shared: Server, path: str) -> None:
    answer = httpx2.get(shared.url + path)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "/ns/")


def test_a_preflight_allows_the_header(shared: Server) -> None:
    headers = {
        "origin": "https://app.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": f"authorization,{HEADER}",
    }
    answer = httpx2.options(shared.url + GENERATIONS, headers=headers)
    assert answer.status_code == 200
    assert HEADER in answer.headers["access-control-allow-headers"]


def test_the_parameter_of_the_admin_api_is_no_filter_and_no_parameter_of_the_api(
    shared: Server,
) -> None:
    call(shared, "a", {**BODY, "prompt": "one"})
    call(shared, "a")
    url = f"{shared.url}/_emulator/requests?prompt=one&namespace=a&limit=5"
    assert httpx2.get(url).json()["total"] == 1
    # A call of the API with such a query is in the default namespace.
    httpx2.get(f"{shared.url}/v1/models?namespace=a", headers={"authorization": f"Bearer {KEY}"})
    assert [calls(shared), calls(shared, "a")] == [1, 2]


# --- by key


@pytest.fixture
def by_key() -> Iterator[Server]:
    with Server(namespace_by="key", rate_limit="1/hour") as server:
        yield server


def test_each_key_has_a_namespace_with_an_account_and_a_rate_limit(by_key: Server) -> None:
    refusals = set()
    for key in ("a", "b"):
        with OpenAI(base_url=by_key.base_url, api_key=key, max_retries=0) as client:
            client.images.generate(model="dall-e-2", prompt="x", size="256x256")
            with pytest.raises(RateLimitError) as refused:
                client.images.generate(model="dall-e-2", prompt="x", size="256x256")
            refusals.add(str(refused.value))
    assert len(refusals) == 2, "two accounts have one organization"
    assert names(by_key) == ["a", "b"]
    assert [calls(by_key, name) for name in ("a", "b", None)] == [2, 2, 0]


def test_keys_of_azure_have_namespaces(by_key: Server) -> None:
    with AzureOpenAI(
        azure_endpoint=by_key.url, api_key="k", api_version="2025-04-01-preview"
    ) as client:
        client.images.generate(model="gpt-image-1", prompt="x", size="1024x1024", quality="low")
        assert names(by_key) == ["k"]


def test_a_long_key_is_named_without_telling_it(by_key: Server) -> None:
    key = "sk-proj-abcdefghijklmnopqrstuvwxyz"
    call(by_key, authorization=f"Bearer {key}")
    (name,) = names(by_key)
    assert name == name_of_key(key, "sk-proj-**********************wxyz")
    assert name.startswith("sk-proj-***wxyz-")
    # The admin API finds it by the key, and by its name.
    assert calls(by_key, key) == calls(by_key, name) == 1
    assert names(by_key) == [name]


LONG_KEY = "0123456789abcdef0123456789abcdef"
LONG_NAME = "checkout-tests-42"


@pytest.mark.parametrize("place", ["header", "path"])
def test_a_long_name_is_no_key_and_stays_where_keys_have_namespaces(
    by_key: Server, place: str
) -> None:
    def act() -> None:
        path, headers = ("", {HEADER: LONG_NAME}) if place == "header" else (f"/ns/{LONG_NAME}", {})
        headers["authorization"] = f"Bearer {LONG_KEY}"
        httpx2.post(f"{by_key.url}{path}{GENERATIONS}", json=BODY, headers=headers)

    act()
    assert names(by_key) == [LONG_NAME]
    # Such a name is that of its namespace in the admin API, too.
    assert calls(by_key, LONG_NAME) == 1
    assert admin(by_key, "GET", f"requests?namespace={LONG_NAME}")["total"] == 1
    admin(by_key, "POST", f"inject?namespace={LONG_NAME}", json={"fault": "server_error"})
    assert names(by_key) == [LONG_NAME]
    admin(by_key, "DELETE", f"namespaces/{LONG_NAME}")
    assert names(by_key) == []


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("sk-proj-abcdefghijklmnopqrstuvwxyz", id="of the form of a key"),
        pytest.param(LONG_KEY, id="the key of the call"),
        pytest.param("configured-key-1", id="a key of the settings"),
    ],
)
def test_a_key_in_the_place_of_a_name_is_not_told(text: str) -> None:
    with Server(namespace_by="key", api_key=(LONG_KEY, "configured-key-1")) as server:
        call(server, text, authorization=f"Bearer {LONG_KEY}")
        (name,) = names(server)
        assert text not in name
        assert name.endswith(name_of_key(text, "x")[-8:])


def test_a_key_that_has_called_is_not_told_where_a_later_call_names_it(by_key: Server) -> None:
    call(by_key, authorization=f"Bearer {LONG_KEY}")
    call(by_key, LONG_KEY, authorization="Bearer other")
    (name,) = names(by_key)
    assert LONG_KEY not in name
    assert calls(by_key, name) == 2


def test_a_key_has_what_the_admin_api_gave_it_before_its_first_call(by_key: Server) -> None:
    step = {"fault": {"kind": "server_error"}}
    for path in ("inject?namespace=" + LONG_KEY, "inject"):
        admin(by_key, "POST", path, None if "=" in path else LONG_KEY, json=step)
        assert call(by_key, authorization=f"Bearer {LONG_KEY}").status_code == 500
    assert len(names(by_key)) == 1


# --- looking at one that there is not


@pytest.mark.parametrize("path", ["requests", "clock", "settings", "scenario", "ready", ""])
def test_to_look_at_a_namespace_begins_none(pair: Pair, path: str) -> None:
    one, _ = pair
    call(one, "real")
    for way in (f"/ns/a/_emulator/{path}", f"/_emulator/{path}?namespace=a"):
        answer = httpx2.get(one.url + way, timeout=20)
        assert answer.status_code == 200 or path == "ready"
        notice = "There is no namespace 'a': no call has named it yet."
        assert answer.headers["x-emulator-notice"] == notice
    for server in pair:
        assert names(server) == ["real"]
        assert "a" not in server.namespaces._by_name
        answer = httpx2.get(f"{server.url}/ns/real/_emulator/requests")
        assert "x-emulator-notice" not in answer.headers


BROWSER = {"accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
PREFLIGHT = {"origin": "http://a.example", "access-control-request-method": "POST"}


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/_emulator/reset", {}, 401),
        ("POST", "/_emulator/session", {}, 400),
        ("POST", "/_emulator/health", {}, 405),
        ("POST", "/_emulator/ready", {}, 405),
        ("OPTIONS", GENERATIONS, PREFLIGHT, 200),
        ("OPTIONS", "/", PREFLIGHT, 200),
        ("GET", "/metrics", {}, 401),
        ("GET", "/metrics", {"authorization": "Bearer secret"}, 200),
        ("GET", "/", BROWSER, 302),
    ],
)
def test_a_call_without_access_or_effect_begins_no_namespace(
    method: str, path: str, headers: dict[str, str], status: int
) -> None:
    with Server(admin_token="secret", metrics=True) as server:
        answer = httpx2.request(method, f"{server.url}/ns/a{path}", headers=headers)
        assert answer.status_code == status
        token = {"authorization": "Bearer secret"}
        listed = httpx2.get(f"{server.url}/_emulator/namespaces", headers=token).json()
        assert listed["namespaces"] == []


@pytest.mark.slow
def test_a_download_of_a_deleted_namespace_begins_none(pair: Pair) -> None:
    one, other = pair
    url = urlsplit(call(one, "a", BY_URL).json()["data"][0]["url"])
    assert httpx2.get(f"{other.url}{url.path}?{url.query}").status_code == 200
    admin(other, "DELETE", "namespaces/a")
    for server in pair:
        answer = httpx2.get(f"{server.url}{url.path}?{url.query}")
        assert (answer.status_code, answer.headers["x-ms-error-code"]) == (404, "BlobNotFound")
        assert "<Code>BlobNotFound</Code>" in answer.text
        assert answer.headers["x-emulator-notice"].startswith("There is no namespace 'a'")
        assert httpx2.head(f"{server.url}{url.path}?{url.query}").status_code == 404
        assert httpx2.get(f"{server.url}{url.path}").status_code == 409
        assert names(server) == []
        assert calls(server, "a") == 0
    assert call(one, "a").status_code == 200
    assert calls(one, "a") == 1


@NO_REDIS
def test_a_picture_of_a_namespace_that_a_shared_store_lists_no_more_is_downloaded() -> None:
    settings: dict[str, Any] = {"store": shared_redis().url, "store_name": new_store_name()}
    with Server(**settings, max_namespaces=1) as server:
        url = urlsplit(call(server, "a", BY_URL).json()["data"][0]["url"])
        call(server, "b")
        assert names(server) == ["b"]
        answer = httpx2.get(f"{server.url}{url.path}?{url.query}")
        assert answer.status_code == 200
        assert "x-emulator-notice" not in answer.headers


def test_to_look_at_a_namespace_takes_no_place_of_another(time: list[float]) -> None:
    with Server(max_namespaces=1) as server:
        call(server, "a")
        assert calls(server, "b") == 0
        assert calls(server, "a") == 1
        time[0] += 61
        with httpx2.stream("GET", f"{server.url}/ns/b/_emulator/events") as events:
            lines = events.iter_lines()
            next(lines)
            assert names(server) == ["a"]
            # Its first call begins it, and there is room for one.
            assert call(server, "b").status_code == 200
            assert names(server) == ["b"]
            refused = call(server, "c")
            assert refused.json()["error"]["code"] == "too_many_namespaces"
        assert calls(server, "b") == 1


def test_an_open_page_of_no_namespace_takes_no_place() -> None:
    with Server(max_namespaces=2) as server:
        call(server, "a")
        with httpx2.stream("GET", f"{server.url}/ns/b/_emulator/events") as events:
            lines = events.iter_lines()
            next(lines)
            assert call(server, "c").status_code == 200
            assert names(server) == ["a", "c"]


@pytest.mark.not_on_redis("a process makes room at any time, the store keeps what they have")
def test_a_namespace_that_cannot_begin_is_still_looked_at(time: list[float]) -> None:
    with Server(max_namespaces=1) as server:
        call(server, "a")
        with httpx2.stream("GET", f"{server.url}/ns/b/_emulator/events") as events:
            lines = events.iter_lines()
            next(lines)
            assert call(server, "b").status_code == 503
            assert server.namespaces._by_name["b"].open_calls == 1
        assert names(server) == ["a"]


@pytest.mark.not_on_redis("a process makes room at any time, the store keeps what they have")
def test_a_namespace_that_cannot_begin_ends_no_other(
    time: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> Emulator:
        raise OSError("no such folder")

    with Server(max_namespaces=1) as server:
        call(server, "a")
        time[0] += 120
        with monkeypatch.context() as patch:
            patch.setattr(server.emulator, "for_namespace", fail)
            assert call(server, "b").status_code == 503
        assert [names(server), calls(server, "a")] == [["a"], 1]
        time[0] += 120
        assert call(server, "b").status_code == 200
        assert names(server) == ["b"]


@NO_REDIS
def test_to_look_at_a_namespace_that_another_process_has_deleted_does_not_revive_it() -> None:
    settings: dict[str, Any] = {"store": shared_redis().url, "store_name": new_store_name()}
    with Server(**settings) as one, Server(**settings) as other:
        for server in (one, other):
            call(server, "a")
        admin(other, "DELETE", "namespaces/a")
        assert calls(one, "a") == 0
        assert names(one) == names(other) == []


def test_a_namespace_by_key_is_deleted_by_the_key_and_by_its_name(by_key: Server) -> None:
    key = "sk-proj-abcdefghijklmnopqrstuvwxyz"
    for name in (key, name_of_key(key, "sk-proj-**********************wxyz")):
        call(by_key, authorization=f"Bearer {key}")
        assert len(names(by_key)) == 1
        admin(by_key, "DELETE", f"namespaces/{name}")
        assert names(by_key) == []


def test_a_remote_server_deletes_its_namespace_of_a_server_by_key(by_key: Server) -> None:
    with RemoteServer(by_key.url) as remote:
        httpx2.post(remote.url + GENERATIONS, json=BODY, headers={"authorization": "Bearer k"})
        assert len(names(by_key)) == 1
    assert names(by_key) == []


def test_a_wrong_name_has_no_namespace_to_delete(by_key: Server, shared: Server) -> None:
    for server in (by_key, shared):
        answer = httpx2.delete(f"{server.url}/_emulator/namespaces/%20a")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_calls_without_a_key_are_in_the_default_namespace(by_key: Server) -> None:
    assert httpx2.post(by_key.url + GENERATIONS, json=BODY).status_code == 401
    assert (names(by_key), calls(by_key)) == ([], 1)


def test_keys_that_are_not_accepted_begin_no_namespace() -> None:
    with Server(namespace_by="key", api_key=("a",)) as server:
        statuses = [call(server, authorization=f"Bearer {key}").status_code for key in "ab"]
        assert statuses == [200, 401]
        assert names(server) == ["a"]


def test_a_key_is_no_namespace_without_the_setting(shared: Server) -> None:
    call(shared)
    assert names(shared) == []


def test_hosted_pictures_of_a_key_need_none(by_key: Server) -> None:
    url = call(by_key, None, BY_URL, authorization="Bearer some-long-key-of-mine").json()
    assert httpx2.get(url["data"][0]["url"]).status_code == 200


# --- the list and the end


def test_namespaces_are_listed_with_their_calls(pair: Pair) -> None:
    one, other = pair
    call(one, "b")
    call(one, "b")
    call(other, "a")
    for server in pair:
        listed = admin(server, "GET", "namespaces")["namespaces"]
        assert [(each["name"], each["calls"]) for each in listed] == [("a", 1), ("b", 2)]
        assert all(each["last_used"].endswith("Z") for each in listed)


@pytest.mark.slow
def test_a_deleted_namespace_begins_anew(pair: Pair) -> None:
    one, other = pair
    for server in pair:
        call(server, "a")
    admin(one, "POST", "clock", "a", {"freeze": "2026-01-01T00:00:00"})
    admin(other, "POST", "inject", "a", {"fault": {"kind": "server_error"}})
    call(one, "b")
    admin(other, "DELETE", "namespaces/a")
    for server in pair:
        assert names(server) == ["b"]
    assert [calls(server, "a") for server in pair] == [0, 0]
    for server in pair:
        assert admin(server, "GET", "clock", "a")["frozen"] is False
        assert call(server, "a").status_code == 200
    assert calls(one, "b") == 1


@pytest.mark.parametrize("name", ["a/b c", "é", "100%"])
def test_a_name_with_any_characters_is_deleted(shared: Server, name: str) -> None:
    httpx2.post(f"{shared.url}{path_of(name)}{GENERATIONS}", json=BODY)
    assert names(shared) == [name]
    admin(shared, "DELETE", f"namespaces/{path_of(name).removeprefix('/ns/')}")
    assert names(shared) == []


def test_there_is_no_unknown_namespace_to_delete(pair: Pair) -> None:
    answer = httpx2.delete(f"{pair[0].url}/_emulator/namespaces/a")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert names(pair[1]) == []


def test_the_default_namespace_is_not_deleted(shared: Server) -> None:
    call(shared)
    answer = httpx2.delete(f"{shared.url}/_emulator/namespaces/default")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "default_namespace")
    assert calls(shared) == 1


def test_a_namespace_is_deleted_from_within(shared: Server) -> None:
    call(shared, "a")
    answer = httpx2.delete(f"{shared.url}/ns/a/_emulator/namespaces/a")
    assert answer.status_code == 200
    assert names(shared) == []


@pytest.mark.slow
def test_an_open_page_stays_with_a_namespace_that_is_deleted(shared: Server) -> None:
    with httpx2.stream("GET", f"{shared.url}/ns/a/_emulator/events") as events:
        lines = events.iter_lines()
        next(lines)
        call(shared, "a")
        admin(shared, "DELETE", "namespaces/a")
        assert names(shared) == []
        call(shared, "a", {**BODY, "prompt": "again"})
        assert any("again" in line for line in lines)


@pytest.mark.slow
def test_events_of_a_namespace_are_told_by_any_process(pair: Pair) -> None:
    one, other = pair
    with httpx2.stream("GET", f"{one.url}/_emulator/events?namespace=a", timeout=20) as events:
        lines = events.iter_lines()
        next(lines)
        call(other, None, {**BODY, "prompt": "in the default one"})
        call(other, "b", {**BODY, "prompt": "in another"})
        call(other, "a", {**BODY, "prompt": "of its own"})
        shown = lines_until("of its own", lines)
        httpx2.post(f"{other.url}/_emulator/reset?namespace=a")
        shown += lines_until("event: cleared", lines)
    foreign = ("in the default one", "in another")
    assert not [line for line in shown if any(prompt in line for prompt in foreign)]


def lines_until(text: str, lines: Iterator[str]) -> list[str]:
    """The next *lines* up to one that has *text*."""
    read = [next(lines)]
    while text not in read[-1]:
        read.append(next(lines))
    return read


def test_the_admin_api_of_a_namespace_needs_the_token() -> None:
    with Server(admin_token="secret") as server:
        for path in ("/ns/a/_emulator/requests", "/_emulator/requests?namespace=a"):
            assert httpx2.get(server.url + path).status_code == 401
            headers = {"authorization": "Bearer secret"}
            assert httpx2.get(server.url + path, headers=headers).status_code == 200
        with httpx2.Client() as session:
            session.post(f"{server.url}/_emulator/session", json={"token": "secret"})
            assert session.get(f"{server.url}/ns/a/_emulator/requests").status_code == 200


@NO_REDIS
def test_a_list_of_namespaces_of_other_processes_opens_none() -> None:
    settings: dict[str, Any] = {"store": shared_redis().url, "store_name": new_store_name()}
    with Server(**settings) as one, Server(**settings, max_namespaces=1) as other:
        for name in ("a", "b", "b"):
            call(one, name)
        listed = admin(other, "GET", "namespaces")["namespaces"]
        assert [(each["name"], each["calls"]) for each in listed] == [("a", 1), ("b", 2)]
        assert not other.namespaces._by_name


@NO_REDIS
def test_a_namespace_that_cannot_be_emptied_stays_to_be_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings: dict[str, Any] = {"store": shared_redis().url, "store_name": new_store_name()}

    def fail(name: str) -> Emulator:
        raise OSError("no answer")

    with Server(**settings) as one, Server(**settings) as other:
        call(one, "a")
        with monkeypatch.context() as patch:
            patch.setattr(other.emulator, "for_namespace", fail)
            answer = httpx2.delete(f"{other.url}/_emulator/namespaces/a")
            assert answer.json()["error"]["code"] == "unavailable_namespace"
        assert [names(one), calls(one, "a")] == [["a"], 1]
        admin(other, "DELETE", "namespaces/a")
        assert [names(one), calls(one, "a")] == [[], 0]


# --- bounds


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The machine's time, for namespaces alone."""
    now = [1.8e9]
    monkeypatch.setattr(namespaces_module, "time", lambda: now[0])
    return now


@pytest.mark.not_on_redis("the store forgets them later than the process")
def test_idle_namespaces_are_forgotten(shared: Server, time: list[float]) -> None:
    call(shared, "a")
    time[0] += 3000
    call(shared, "b")
    time[0] += 601
    assert names(shared) == ["b"]
    assert [calls(shared, name) for name in "ab"] == [0, 1]


@pytest.mark.slow
def test_idle_namespaces_are_forgotten_without_a_call(shared: Server, time: list[float]) -> None:
    call(shared, "a")
    time[0] += 3601
    emulator = weakref.ref(shared.namespaces._by_name["a"].emulator)
    assert shared.namespaces._timer
    shared.namespaces._tick()
    gc.collect()
    assert emulator() is None


@NO_REDIS
def test_idle_namespaces_are_listed_no_more_on_a_shared_store(time: list[float]) -> None:
    settings: dict[str, Any] = {"store": shared_redis().url, "store_name": new_store_name()}
    with Server(**settings) as one, Server(**settings) as other:
        call(one, "a")
        time[0] += 3601
        assert names(other) == names(one) == []
        # To look at one that was forgotten does not begin it again.
        calls(other, "a")
        assert names(other) == []


def test_the_one_called_longest_ago_makes_room(time: list[float]) -> None:
    with Server(max_namespaces=2) as server:
        for name in ("a", "b", "a"):
            call(server, name)
            time[0] += 61
        assert call(server, "c").status_code == 200
        assert names(server) == ["a", "c"]


@NO_REDIS
def test_a_namespace_that_makes_room_on_a_shared_store_keeps_what_it_has() -> None:
    settings: dict[str, Any] = {"store": shared_redis().url, "store_name": new_store_name()}
    with Server(**settings, max_namespaces=1) as server:
        for name in ("a", "b"):
            assert call(server, name).status_code == 200
            assert [*server.namespaces._by_name] == names(server) == [name]
        assert calls(server, "a") == 1


@pytest.mark.slow
@NO_REDIS
def test_no_more_namespaces_of_other_processes_stay_open_than_the_setting_says() -> None:
    settings: dict[str, Any] = {"store": shared_redis().url, "store_name": new_store_name()}
    with Server(**settings) as one, Server(**settings, max_namespaces=2) as other:
        for name in "abcde":
            call(one, name)
        assert [calls(other, name) for name in "abcde"] == [1] * 5
        until(lambda: len(other.namespaces._by_name) == 2)
        assert call(other, "f").status_code == 200
        until(lambda: len(other.namespaces._by_name) == 2)
        assert calls(other, "e") == 1


@pytest.mark.not_on_redis("another process may have begun it, so it is emptied when it is deleted")
def test_a_namespace_that_was_deleted_under_an_open_page_begins_empty() -> None:
    with (
        Server() as server,
        httpx2.stream("GET", f"{server.url}/ns/a/_emulator/events") as page,
    ):
        chunks = page.iter_bytes()
        next(chunks)
        call(server, "a")
        admin(server, "DELETE", "namespaces/a")
        # A call that was open at the deletion would leave as much.
        server.namespaces._by_name["a"].emulator.scenario.inject("server_error")
        assert names(server) == []
        assert call(server, "a").status_code == 200
        assert calls(server, "a") == 1


@pytest.mark.not_on_redis("a process makes room at any time, the store keeps what they have")
def test_a_further_namespace_is_refused_where_all_are_in_use(time: list[float]) -> None:
    with Server(max_namespaces=2) as server:
        call(server, "a")
        call(server, "b")
        time[0] += 59
        answer = call(server, "c")
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert answer.json()["error"]["code"] == "too_many_namespaces"
        assert names(server) == ["a", "b"]
        assert call(server, "a").status_code == 200
        admin(server, "DELETE", "namespaces/a")
        assert call(server, "c").status_code == 200


@NO_REDIS
def test_a_namespace_that_begins_makes_no_room_before_its_first_call() -> None:
    async def both(server: Server) -> list[Namespace | BaseException]:
        namespaces = server.namespaces
        first, second = namespaces.acquire("a", begins=True), namespaces.acquire("b", begins=True)
        got = await asyncio.gather(first, second, return_exceptions=True)
        await asyncio.gather(*namespaces._tasks)  # they note the use in the store
        return [*got]

    settings: dict[str, Any] = {"store": shared_redis().url, "store_name": new_store_name()}
    with Server(**settings, max_namespaces=1) as server:
        got = run_on_own_loop(both(server), server.emulator.store)
        (namespace,) = (each for each in got if isinstance(each, Namespace))
        (refusal,) = (each for each in got if isinstance(each, APIError))
        assert refusal.newest.code == "too_many_namespaces"
        assert [*server.namespaces._by_name] == [namespace.name]
        server.namespaces.release(namespace)
        assert call(server, "c").status_code == 200
        assert [*server.namespaces._by_name] == ["c"]


def test_a_call_that_is_cancelled_while_its_namespace_begins_is_no_open_call(
    shared: Server, time: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    begins, may_begin = threading.Event(), threading.Event()
    for_namespace = shared.emulator.for_namespace

    def begin(name: str) -> Emulator:
        begins.set()
        may_begin.wait()
        return for_namespace(name)

    async def give_up() -> None:
        getting = asyncio.ensure_future(shared.namespaces.acquire("a", begins=True))
        await asyncio.to_thread(begins.wait)
        getting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await getting
        may_begin.set()
        await asyncio.wait(shared.namespaces._openings)
        await asyncio.sleep(0)  # what is to be done after it

    monkeypatch.setattr(shared.emulator, "for_namespace", begin)
    run_on_own_loop(give_up(), shared.emulator.store)
    assert [*shared.namespaces._by_name] == ["a"]
    time[0] += 3601
    assert names(shared) == []
    assert not shared.namespaces._by_name


def test_a_namespace_that_begins_slowly_does_not_hold_up_what_else_runs_in_threads(
    slow_opening: SlowOpening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images_emulator.http_server.MAX_THREADS", 1)
    with Server() as server, ThreadPoolExecutor(1) as pool:
        begun = pool.submit(call, server, "slow")
        try:
            assert slow_opening.begun.wait(30)
            admin(server, "POST", "clock", json={"reset": True})
            assert not begun.done()
        finally:
            slow_opening.released.set()
        assert begun.result().status_code == 200


@pytest.mark.slow
def test_namespaces_that_come_and_go_leave_nothing(shared: Server) -> None:
    begun: list[weakref.ref[Emulator]] = []
    shared.namespaces.observers = (lambda emulator: begun.append(weakref.ref(emulator)),)
    with httpx2.Client(base_url=shared.url) as http:
        for number in range(100):
            http.post(
                f"/ns/n{number}{GENERATIONS}", json=BODY, headers={"authorization": "Bearer k"}
            )
            http.post(f"/ns/n{number}/_emulator/inject", json={"fault": {"kind": "server_error"}})
            assert http.delete(f"/_emulator/namespaces/n{number}").status_code == 200
    gc.collect()
    assert len(begun) == 100
    assert sum(each() is not None for each in begun) <= 1
    assert not shared.namespaces._by_name


def test_namespaces_share_the_renderer(shared: Server) -> None:
    call(shared, "a")
    emulator = shared.namespaces._by_name["a"].emulator
    assert emulator.renderer is shared.emulator.renderer
    admin(shared, "DELETE", "namespaces/a")
    assert call(shared, None, {**BODY, "prompt": "the renderer still draws"}).status_code == 200


@pytest.mark.slow
def test_many_namespaces_at_once_stay_apart(shared: Server) -> None:
    def work(number: int) -> list[str]:
        name = f"n{number % 50}"
        call(shared, name, {**BODY, "prompt": name})
        return [name]

    with ThreadPoolExecutor(16) as pool:
        done = [*pool.map(work, range(200))]
    assert len(done) == 200
    for number in range(50):
        page = admin(shared, "GET", "requests", f"n{number}")
        assert [each["prompt"] for each in page["requests"]] == [f"n{number}"] * 4


@NO_REDIS
def test_a_namespace_cannot_begin_while_the_store_is_away() -> None:
    from tests.redis_server import RedisServer  # noqa: PLC0415

    redis = RedisServer()
    try:
        with Server(store=redis.url) as server:
            call(server)
            redis.kill()
            answer = call(server, "a")
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "unavailable_namespace"
            assert answer.headers["retry-after"] == "1"
            assert call(server).status_code == 200
    finally:
        redis.close()


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("/v1/models", None),
        ("/ns/a/v1", ("a", "/v1")),
        ("/ns/a%2Fb/v1/%20", ("a/b", "/v1/%20")),
        ("/ns/a", ("a", "")),
    ],
)
def test_paths_are_split_at_the_namespace(path: str, split: tuple[str, str] | None) -> None:
    assert split_path(path) == split


def test_a_browser_finds_the_page_of_a_namespace(shared: Server) -> None:
    headers = {"accept": "text/html"}
    for path in ("/ns/a%20b", "/ns/a%20b/", "/ns/a%20b/_emulator"):
        answer = httpx2.get(shared.url + path, headers=headers, follow_redirects=True)
        assert answer.url == f"{shared.url}/ns/a%20b/_emulator/"
        assert answer.status_code == 200


def test_the_way_to_the_page_of_a_namespace_keeps_the_query(shared: Server) -> None:
    answer = httpx2.get(f"{shared.url}/ns/a%20b?q=fox", headers={"accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (307, "a%20b/?q=fox")


def figure(server: Server, name: str, **headers: str) -> float:
    """The sum of the series of a metric."""
    text = httpx2.get(f"{server.url}/metrics", headers=headers).text
    lines = [line for line in text.splitlines() if line.startswith(f"images_emulator_{name}")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def test_metrics_are_of_all_namespaces() -> None:
    with Server(metrics=True) as server:
        for namespace in (None, "a", "b"):
            call(server, namespace, BY_URL)
        assert figure(server, "calls_total") == 3
        assert figure(server, "hosted_pictures") == figure(server, "journal_calls") == 3
        assert figure(server, "namespaces") == 2
        # A namespace that is named begins none.
        assert figure(server, "calls_total", **{HEADER: "c"}) == 3
        assert [each["name"] for each in admin(server, "GET", "namespaces")["namespaces"]] == [
            "a",
            "b",
        ]
        admin(server, "DELETE", "namespaces/a")
        assert figure(server, "journal_calls") == 2
        assert figure(server, "namespaces") == 1
        # What was counted stays.
        assert figure(server, "calls_total") == 3
        # All namespaces have one cache.
        weight = server.emulator.prepared_calls.weight
        assert figure(server, 'cache_bytes{cache="requests"}') == weight


@NO_REDIS
def test_namespaces_of_a_shared_store_are_counted_by_each_process() -> None:
    settings: dict[str, Any] = {"store": shared_redis().url, "store_name": new_store_name()}
    with Server(**settings, metrics=True) as one, Server(**settings) as other:
        for name in ("a", "b"):
            call(other, name)
        assert figure(one, "namespaces") == 2
        # To look at one does not count.
        assert calls(one, "c") == 0
        assert figure(one, "namespaces") == 2


def test_samples_are_not_taken_by_threads_in_which_namespaces_begin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[str] = []
    sample = Metrics._sample

    def noted(metrics: Metrics) -> None:
        threads.append(current_thread().name)
        sample(metrics)

    monkeypatch.setattr(Metrics, "_sample", noted)
    with Server(metrics=True) as server:
        for namespace in "abc":
            call(server, namespace)
        assert figure(server, "calls_total") == 3
    # That in which the server was made, and that of its event loop.
    assert {*threads} == {current_thread().name, "images-emulator"}


def test_a_scrape_with_an_admin_token_begins_no_namespace_by_key() -> None:
    with Server(metrics=True, namespace_by="key", admin_token="secret") as server:
        token = {"authorization": "Bearer secret"}
        assert figure(server, "workers", **token) == 1
        answer = httpx2.get(f"{server.url}/_emulator/namespaces", headers=token)
        assert answer.json()["namespaces"] == []


def test_calls_and_their_lines_of_the_log_know_their_namespace(shared: Server) -> None:
    emulators = [shared.emulator]
    shared.namespaces.observers = (emulators.append,)
    call(shared)
    call(shared, "a")
    lines = [
        json.loads(as_json(line_of_exchange(exchange, datetime.now(UTC)), verbose=False))
        for emulator in emulators
        for exchange in emulator.journal.find()
    ]
    assert [line["namespace"] for line in lines] == [None, "a"]

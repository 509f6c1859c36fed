"""While Redis is away, a call to any route is answered as ever, or with a 503 that says so. What
else an outage does is in `test_redis_outages`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx2
import pytest

from images_emulator import Server
from images_emulator.contract.emulator_errors import store_unavailable
from images_emulator.contract.operations import (
    CREATE_FILE,
    EDITS,
    GENERATIONS,
    JSON,
    MOUNTS,
    UNSERVED_SUBPATHS,
    Mount,
    Operation,
)
from images_emulator.recordings.folder import RecordingFolder
from images_emulator.recordings.recording import Recording
from images_emulator.state.redis.redis_client import RedisClient
from tests.conftest import KEY
from tests.pictures import png
from tests.redis_server import (
    RedisServer,
    missing_part,
    new_store_name,
    shared_redis,
    stoppable_redis,
)
from tests.waiting import until
from tests.wire import answer_of, exchange

pytestmark = [
    pytest.mark.skipif(bool(missing_part()), reason=missing_part()),
    pytest.mark.not_on_redis("its servers have a store of their own"),
]

API_VERSION: Final = "api-version=2025-04-01-preview"


class RouteCall(NamedTuple):
    """A call to one route."""

    method: str
    path: str
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def call_of(mount: Mount, operation: Operation, **fields: Any) -> RouteCall:
    """A good call of *operation* under the prefix of *mount*, with *fields* in its JSON."""
    names = {"deployment": "x", "file": "file-1", "model": "gpt-image-2"}
    path = (mount.prefix + operation.subpath.replace(":path", "")).format_map(names)
    path += f"?{API_VERSION}" if mount.names_deployment else ""
    body = {"model": "dall-e-2", "prompt": "x", "size": "256x256"}
    if mount.prefix.startswith("/openai"):
        body |= {"model": "x", "size": "1024x1024"}
    if operation is CREATE_FILE:
        files = {"file": ("a.png", png(), "image/png")}
        return RouteCall("POST", path, {"files": files, "data": {"purpose": "vision"}})
    if operation.image_kind and JSON not in operation.bodies:
        return RouteCall("POST", path, {"files": {"image": ("a.png", png(), "image/png")}})
    if operation.image_kind:
        return RouteCall("POST", path, {"json": {**body, **fields}})
    return RouteCall(operation.method, path)


FILE_EDIT: Final = {"model": "gpt-image-2", "size": "1024x1024", "images": [{"file_id": "file-1"}]}
"""The fields of an edit of an uploaded file."""


def calls() -> Iterator[RouteCall]:
    """A call to each route; two to those of generations, by URL and in base64."""
    for mount in MOUNTS:
        for operation in mount.operations:
            yield call_of(mount, operation, **(FILE_EDIT if operation is EDITS else {}))
            if operation is GENERATIONS:
                yield call_of(mount, operation, response_format="b64_json")
        yield RouteCall("GET", f"{mount.prefix.format(deployment='x')}{UNSERVED_SUBPATHS[0]}")
    yield RouteCall("PUT", "/v1/models")
    yield RouteCall("GET", "/nowhere")


CALLS: Final = tuple(calls())


def record(folder: Path, *, described: bool) -> Path:
    """Put two recordings of each call into *folder*, but none of calls with files. *described*
    leaves the values of pictures open."""
    folder.mkdir()
    numbers = count(1)
    for call in (each for each in CALLS if "files" not in each.options):
        fields = call.options.get("json")
        request: dict[str, Any] = {"method": call.method, "target": call.path}
        answer: dict[str, Any] = {"recorded": True}
        if fields:
            request |= {"headers": {"content-type": JSON}, "body": {"json": fields}}
        is_open = described and bool(fields)
        if described and fields and "images" not in fields:
            key = "b64_json" if "response_format" in fields else "url"
            answer = {"created": "<any>", "data": [{key: "<any>"}]}
        response = {"status": 200, "body": {"json": answer}}
        if not is_open:
            response["headers"] = {"content-type": JSON}
        document = {"version": 1, "request": request}
        document["expected" if is_open else "response"] = response
        for _ in range(2):
            (folder / f"{next(numbers):04}.json").write_text(json.dumps(document))
    return folder


def settings_of(name: str, folder: Path) -> dict[str, Any]:
    """The settings of a server that is named so."""
    match name:
        case "lenient":
            return {"validation": "lenient"}
        case "rate limit":
            return {"rate_limit": "10000/min"}
        case "replay" | "replay of descriptions":
            recordings = record(folder / "recordings", described=name != "replay")
            return {"replay": recordings, "delay": False}
        case "replay without emulation":
            (folder / "recordings").mkdir()
            request = {"method": "GET", "target": "/v1/models"}
            document = {"version": 1, "request": request, "response": {"status": 200}}
            (folder / "recordings" / "0001.json").write_text(json.dumps(document))
            return {"replay": folder / "recordings", "on_miss": "refuse"}
    return {}


KINDS: Final = (
    *("plain", "lenient", "rate limit", "steps", "namespace"),
    *("replay", "replay of descriptions", "replay without emulation"),
)


@contextmanager
def serving(kind: str, redis: RedisServer, folder: Path) -> Iterator[tuple[Server, httpx2.Client]]:
    """A server of a *kind*, with a client of it."""
    settings: dict[str, Any] = {"store": redis.url, "store_name": new_store_name()}
    headers = {"authorization": f"Bearer {KEY}", "api-key": KEY}
    if kind == "namespace":
        headers["x-emulator-namespace"] = "one"
    with (
        Server(**settings, deployment=["x=gpt-image-1"], **settings_of(kind, folder)) as server,
        httpx2.Client(base_url=server.url, headers=headers, timeout=30) as http,
    ):
        if kind == "steps":
            server.inject("server_error", match={"image_sha256": "0" * 64, "path": "*"})
            server.inject("server_error", match={"prompt": "fail"})
            server.answer(created=7, match={"prompt": "never"})
        yield server, http


redis_server = pytest.fixture(stoppable_redis)


def asked(http: httpx2.Client, call: RouteCall) -> httpx2.Response:
    return http.request(call.method, call.path, **call.options)


def is_refused(answer: httpx2.Response) -> bool:
    """Whether the *answer* says that the store is away."""
    return answer.status_code == 503 and "cannot be used" in answer.text


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_each_route_says_that_the_store_is_away_or_answers_as_ever(
    kind: str, redis_server: RedisServer, tmp_path: Path
) -> None:
    with serving(kind, redis_server, tmp_path) as (server, http):
        picture = http.post("/v1/images/generations", json={"model": "dall-e-2", "prompt": "y"})
        calls = [*CALLS]
        if picture.status_code == 200:
            url = httpx2.URL(picture.json()["data"][0]["url"])
            calls.append(RouteCall("GET", url.raw_path.decode()))
        known = [asked(http, call).status_code for call in calls]
        assert not [call for call, status in zip(calls, known, strict=True) if status >= 500]
        server.reset()
        redis_server.kill()
        wrong = []
        statuses = []
        for call, status in zip(calls, known, strict=True):
            answer = asked(http, call)
            statuses.append(answer.status_code)
            if not (is_refused(answer) or answer.status_code == status):
                wrong.append(f"{call}: {status} is now {answer.status_code}: {answer.text}")
        assert not wrong, "\n".join(wrong)
        assert 503 in statuses
        redis_server.start()
        until(lambda: http.get("/_emulator/ready").status_code == 200)
        if kind != "namespace":
            assert [call.status for call in server.requests] == statuses[: len(CALLS)]


@contextmanager
def outage_after(operations: int) -> Iterator[list[int]]:
    """All operations after so many fail meanwhile. Yields how many are left before."""
    ask, left = RedisClient._ask, [operations]

    async def failing(client: RedisClient, *arguments: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise store_unavailable(url="redis:", reason="it went")
        return await ask(client, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RedisClient, "_ask", failing)
        yield left


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_store_that_goes_during_a_call_fails_no_route(
    kind: str, redis_server: RedisServer, tmp_path: Path
) -> None:
    wrong = []
    refusals = 0
    with serving(kind, redis_server, tmp_path) as (_, http):
        for call in CALLS:
            known = asked(http, call).status_code
            for operations in count():
                with outage_after(operations) as left:
                    answer = asked(http, call)
                refusals += is_refused(answer)
                if not (is_refused(answer) or answer.status_code == known):
                    wrong.append(f"{call}, {operations}: {answer.status_code} {answer.text}")
                if left[0] >= 0:
                    break
    assert not wrong, "\n".join(wrong)
    assert refusals


@pytest.mark.slow
def test_no_path_of_the_admin_api_fails_while_the_store_is_away(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    with serving("steps", redis_server, tmp_path) as (_, http):
        paths = http.get("/_emulator/openapi.json").json()["paths"]
        redis_server.kill()
        refusals = 0
        for path, methods in paths.items():
            if path.endswith("/events"):
                continue  # it has no end
            for method in methods:
                answer = http.request(method, re.sub(r"\{.*?\}", "x", path), json={})
                refusals += is_refused(answer)
                assert is_refused(answer) or answer.status_code < 500, f"{method} {path}"
        assert refusals


def uploaded(http: httpx2.Client) -> str:
    files = {"file": ("a.png", png((1024, 1024)), "image/png")}
    return str(http.post("/v1/files", files=files, data={"purpose": "vision"}).json()["id"])


def edit_of(identity: str, **fields: Any) -> RouteCall:
    body = {**FILE_EDIT, "prompt": "x", "images": [{"file_id": identity}], **fields}
    return RouteCall("POST", EDITS.path, {"json": body})


def test_lenient_validation_forgives_no_store_that_is_away(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    with serving("lenient", redis_server, tmp_path) as (_, http):
        edit = edit_of(uploaded(http))
        redis_server.kill()
        assert is_refused(asked(http, edit))


def upload_of(url: str) -> Recording:
    """A recording of an upload to the server at *url*."""
    files = {"file": ("a.png", png((1024, 1024)), "image/png")}
    request = httpx2.Request("POST", url, files=files, data={"purpose": "vision"})
    content_type = request.headers["content-type"]
    return exchange(url, "POST", "/v1/files", request.read(), content_type)


@pytest.fixture
def recordings(server: Server, tmp_path: Path) -> tuple[Path, str]:
    """A folder with an upload and with an edit of the file, and the id of the file."""
    folder = RecordingFolder(tmp_path / "recordings")
    upload = upload_of(server.url)
    folder.add(upload)
    identity = json.loads(answer_of(upload).body)["id"]
    edit = {**FILE_EDIT, "prompt": "x", "images": [{"file_id": identity}]}
    folder.add(exchange(server.url, "POST", EDITS.path, edit))
    return tmp_path / "recordings", identity


@pytest.mark.slow
def test_a_recorded_edit_of_an_uploaded_file_is_found_after_an_outage(
    redis_server: RedisServer, recordings: tuple[Path, str]
) -> None:
    folder, identity = recordings
    settings: dict[str, Any] = {"store": redis_server.url, "delay": False, "on_miss": "refuse"}
    with Server(**settings, replay=folder) as server, httpx2.Client(base_url=server.url) as http:
        http.headers["authorization"] = f"Bearer {KEY}"
        assert answer_of(upload_of(server.url)).status == 200
        # The call says what is the default, so the two are compared by their requests.
        edit = edit_of(identity, n=1)
        with outage_after(1):
            assert is_refused(asked(http, edit))
        assert asked(http, edit).status_code == 200


def test_a_recorded_upload_whose_file_cannot_be_kept_is_refused(
    redis_server: RedisServer, recordings: tuple[Path, str]
) -> None:
    folder, identity = recordings
    settings: dict[str, Any] = {"store": redis_server.url, "delay": False}
    with Server(**settings, replay=folder) as server, httpx2.Client(base_url=server.url) as http:
        http.headers["authorization"] = f"Bearer {KEY}"
        # The call is entered in the journal, and the recording is claimed.
        with outage_after(2):
            assert answer_of(upload_of(server.url)).status == 503
        (call,) = server.calls()
        assert (call.status, call.recording) == (503, None)
        assert answer_of(upload_of(server.url)).status == 200
        assert http.get(f"/v1/files/{identity}/content").content == png((1024, 1024))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/_emulator/health", 200),
        ("GET", "/_emulator/", 200),
        ("POST", "/_emulator/reset", 401),
        ("GET", "/_emulator/requests", 401),
    ],
)
def test_probes_the_page_and_calls_without_access_ask_the_store_nothing(
    method: str, path: str, status: int
) -> None:
    store: dict[str, Any] = {"store": shared_redis().url, "store_name": new_store_name()}
    with Server(**store, admin_token="secret") as server, outage_after(1000) as left:
        assert httpx2.request(method, server.url + path).status_code == status
        assert left == [1000]

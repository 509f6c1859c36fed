"""Replicas behind proxies, with the configurations of `deploy/`, are one emulator."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx2
import pytest

from images_emulator import Server
from reliability.ports import free_ports
from tests.documents import BLOCKS
from tests.pictures import opened, png
from tests.programs import running_command
from tests.proxies import DEPLOY, PROXIES, proxy
from tests.redis_server import missing_part, new_store_name, shared_redis
from tests.test_streams import read_events
from tests.waiting import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing_part()), reason=missing_part()),
    pytest.mark.not_on_redis("its servers have a store of their own"),
]

NOW: Final = datetime(2026, 11, 26, 12, tzinfo=UTC)
HOSTS: Final = ("127.0.0.2", "127.0.0.3")
"""The replicas have one port, as containers have."""

GENERATIONS: Final = "/v1/images/generations"
BY_URL: Final = {"model": "dall-e-2", "prompt": "x", "size": "256x256"}
STREAM: Final = {
    "model": "gpt-image-2",
    "prompt": "a lighthouse",
    "quality": "low",
    "size": "1024x1024",
    "stream": True,
    "partial_images": 2,
}

_KEYS: Final = count()


class Setup(NamedTuple):
    """Two servers on one Redis behind a proxy."""

    url: str
    """URL of the proxy."""
    one: Server
    other: Server


@pytest.fixture(scope="module", params=PROXIES)
def started(request: pytest.FixtureRequest) -> Iterator[Setup]:
    settings: dict[str, Any] = {
        "store": shared_redis().url,
        "store_name": new_store_name(),
        "rate_limit": "3/min",
    }
    with (
        Server(host=HOSTS[0], **settings) as one,
        Server(host=HOSTS[1], port=one.port, **settings) as other,
    ):
        until(lambda: all(is_up(each.url) for each in (one, other)))
        with proxy(request.param, [f"{host}:{one.port}" for host in HOSTS]) as url:
            until(lambda: has_both(url))
            yield Setup(url, one, other)


@pytest.fixture
def setup(started: Setup) -> Setup:
    started.one.reset()
    return started


@pytest.fixture
def http(setup: Setup) -> Iterator[httpx2.Client]:
    """A client of the proxy, with a key of its own: rate limits are by key."""
    headers = {"Authorization": f"Bearer sk-{next(_KEYS)}"}
    with httpx2.Client(base_url=setup.url, headers=headers, timeout=30) as http:
        yield http


def calls_of(server: Server) -> int:
    """The requests that came to this one of the replicas."""
    return int(server._http.server_state.total_requests)


def has_both(url: str) -> bool:
    """Whether the proxy at *url* sends calls to each of `HOSTS`."""
    settings = [httpx2.get(f"{url}/_emulator/settings").json() for _ in range(4)]
    return {each["host"] for each in settings} == {*HOSTS}


def test_url_made_by_one_replica_is_served_by_each_and_through_the_proxy(
    setup: Setup, http: httpx2.Client
) -> None:
    urls = [http.post(GENERATIONS, json=BY_URL).json()["data"][0]["url"] for _ in range(3)]
    for url in urls:
        assert url.startswith(f"{setup.url}/private/")
        origins = (setup.url, setup.one.url, setup.other.url)
        pictures = {http.get(url.replace(setup.url, origin)).content for origin in origins}
        assert [opened(each).size for each in pictures] == [(256, 256)]
    assert [call.number for call in setup.other.requests] == [1, 2, 3]
    assert len(setup.one.downloads) == 9


def test_urls_have_the_scheme_of_a_proxy_before_the_proxy_and_the_host_that_was_called(
    setup: Setup, http: httpx2.Client
) -> None:
    headers = {"Host": "images.test", "X-Forwarded-Proto": "https"}
    url = http.post(GENERATIONS, json=BY_URL, headers=headers).json()["data"][0]["url"]
    assert url.startswith("https://images.test/private/")
    http.get("/v1/models")
    forwarded = setup.other.requests[1].head.by_name
    assert forwarded[b"x-forwarded-proto"] == b"http"
    assert forwarded[b"x-forwarded-for"] == b"127.0.0.1"


def streams_event_by_event(setup: Setup, http: httpx2.Client) -> None:
    """The first event is read while the emulator waits, until the clock is moved, with the next."""
    setup.one.clock.freeze(NOW)
    setup.one.inject("stall", after=1, seconds=60)
    with http.stream("POST", GENERATIONS, json=STREAM) as answer:
        if "nginx" in answer.headers.get("server", ""):
            assert "x-accel-buffering" not in answer.headers
        text = ""
        parts = answer.iter_text()
        while "\n\n" not in text:
            text += next(parts)
        assert len(read_events(text)) == 1
        setup.other.clock.advance(seconds=60)
        text += "".join(parts)
    assert [name.rpartition(".")[2] for name, _ in read_events(text)] == [
        *("partial_image", "partial_image", "completed")
    ]


def test_partial_images_arrive_one_by_one(setup: Setup, http: httpx2.Client) -> None:
    streams_event_by_event(setup, http)


def test_partial_images_arrive_one_by_one_through_an_nginx_that_buffers() -> None:
    settings: dict[str, Any] = {"store": shared_redis().url, "store_name": new_store_name()}
    with (
        Server(host=HOSTS[0], **settings) as one,
        proxy("bare nginx", [f"{HOSTS[0]}:{one.port}"]) as url,
        httpx2.Client(base_url=url, headers={"Authorization": "Bearer sk-x"}) as http,
    ):
        streams_event_by_event(Setup(url, one, one), http)


@pytest.mark.parametrize("kind", PROXIES)
def test_uploads_of_50_mb_pass_and_the_emulator_refuses_what_is_past_its_limit(kind: str) -> None:
    limit = 60 * 2**20
    with (
        Server(host=HOSTS[0], max_body=limit) as server,
        proxy(kind, [f"{HOSTS[0]}:{server.port}"]) as url,
        httpx2.Client(base_url=url, headers={"Authorization": "Bearer sk-x"}, timeout=30) as http,
    ):
        picture = png((64, 64)).ljust(50 * 2**20 - 1, b"\0")
        answer = http.post(
            "/v1/images/edits",
            data={"model": "gpt-image-2", "prompt": "x", "size": "1024x1024", "quality": "low"},
            files={"image": ("a.png", picture, "image/png")},
        )
        assert answer.status_code == 200, answer.text
        assert [each.bytes for each in server.requests[0].uploads] == [len(picture)]
        answer = http.post(GENERATIONS, content=bytes(limit + 1))
        assert answer.status_code == 413
        assert "error" in answer.json()


def test_the_emulator_notices_that_a_client_of_the_proxy_hangs_up(
    setup: Setup, http: httpx2.Client
) -> None:
    setup.one.inject("stall", after=1)
    with http.stream("POST", GENERATIONS, json=STREAM) as answer:
        parts = answer.iter_bytes()  # hangs up when it is collected
        next(parts)
        assert [call.duration_ms for call in setup.other.requests] == [None]
    until(lambda: setup.other.requests[0].has_ended)


def test_a_fault_is_met_as_often_as_it_says_by_64_clients(
    setup: Setup, http: httpx2.Client
) -> None:
    setup.one.inject("server_error", times=2)
    with ThreadPoolExecutor(64) as pool:
        statuses = Counter(pool.map(lambda _: http.get("/v1/models").status_code, range(128)))
    assert statuses == {200: 126, 500: 2}
    assert [call.number for call in setup.other.requests] == [*range(1, 129)]
    assert not setup.other.unmet_steps()


def test_a_rate_limit_a_clock_and_a_reset_are_those_of_all(
    setup: Setup, http: httpx2.Client
) -> None:
    setup.one.clock.freeze(NOW)
    answers = [http.post(GENERATIONS, json=BY_URL) for _ in range(5)]
    assert [each.status_code for each in answers] == [200, 200, 200, 429, 429]
    assert {each.json()["created"] for each in answers[:3]} == {NOW.timestamp()}
    http.delete("/_emulator/requests")
    http.post("/_emulator/reset")
    assert not setup.one.requests
    assert not httpx2.get(f"{setup.other.url}/_emulator/clock").json()["frozen"]
    assert http.post(GENERATIONS, json=BY_URL).status_code == 200


@pytest.mark.parametrize(
    "fault",
    [{"kind": "connection_reset"}, {"kind": "timeout", "seconds": 1}],
    ids=lambda each: each["kind"],
)
def test_a_call_that_loses_its_connection_is_not_sent_again(
    setup: Setup, http: httpx2.Client, fault: Mapping[str, Any]
) -> None:
    setup.one.inject(fault, times=1)
    assert http.post(GENERATIONS, json=BY_URL).status_code == 502
    assert len(setup.one.requests) == 1
    assert not setup.one.unmet_steps()
    assert has_both(setup.url)


@pytest.mark.parametrize("kind", PROXIES)
def test_calls_go_on_when_a_replica_is_killed(kind: str) -> None:
    with ExitStack() as stack:
        name = new_store_name()
        settings: dict[str, Any] = {"store": shared_redis().patient_url, "store_name": name}
        other = stack.enter_context(Server(host=HOSTS[1], **settings))
        flags = ("--store", settings["store"], "--store-name", name)
        replica = stack.enter_context(
            running_command("serve", "--host", HOSTS[0], "--port", str(other.port), *flags)
        )
        until(lambda: all(is_up(f"http://{host}:{other.port}") for host in HOSTS))
        url = stack.enter_context(proxy(kind, [f"{host}:{other.port}" for host in HOSTS]))
        http = stack.enter_context(
            httpx2.Client(base_url=url, headers={"Authorization": "Bearer sk-x"}, timeout=30)
        )
        until(lambda: has_both(url))
        other.clock.freeze(NOW)
        other.inject("latency", seconds=60, times=None)
        pool = stack.enter_context(ThreadPoolExecutor(8))
        answers = [pool.submit(http.post, GENERATIONS, json=BY_URL) for _ in range(8)]
        until(lambda: len(other.requests) == 8)
        replica.send_signal(signal.SIGKILL)
        replica.wait(10)
        until(lambda: any(each.done() for each in answers))
        other.clock.advance(seconds=60)
        statuses = Counter(each.result().status_code for each in answers)
        # Where a check of the other replica came late, all of them were with the one that ended.
        assert statuses[502]
        assert set(statuses) <= {200, 502}
        # None of those that were lost was sent to the other replica.
        assert len(other.requests) == 8
        httpx2.delete(f"{other.url}/_emulator/scenario").raise_for_status()
        until(lambda: http.post(GENERATIONS, json=BY_URL).status_code == 200)
        if kind != "traefik":  # sends calls until its next check
            assert [http.post(GENERATIONS, json=BY_URL).status_code for _ in range(8)] == [200] * 8


def is_up(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/_emulator/ready").status_code == 200
    except httpx2.TransportError:
        return False


def guide_block(word: str) -> str:
    """The block of a shell in the guide that has the *word*."""
    (block,) = (each.text for each in BLOCKS if f"\n{word} " in each.text)
    return block


def commands_with(program: str) -> str:
    """The commands of the guide that start two replicas behind the *program*."""
    block = guide_block(program)
    if "images-emulator" not in block:  # its replicas are those of the first block
        lines = guide_block("nginx").splitlines()
        block = "\n".join(line for line in lines if line.startswith("images-")) + "\n" + block
    return block


@pytest.mark.parametrize(
    "programs", [("nginx", "envsubst"), ("haproxy",)], ids=lambda each: each[0]
)
def test_commands_of_the_guide_start_two_replicas_behind_a_proxy(
    programs: tuple[str, ...], tmp_path: Path
) -> None:
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"needs {program}")
    proxy_port, *ports = free_ports(3)
    text = commands_with(programs[0]).replace("127.0.0.1:8080", f"127.0.0.1:{proxy_port}")
    for named, port in zip(("8081", "8082"), ports, strict=True):
        text = text.replace(named, str(port))
    store = f"{shared_redis().patient_url} --store-name {new_store_name()}"
    script = text.replace("redis://127.0.0.1", store)
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "deploy").symlink_to(DEPLOY)
    command = ["bash", "-c", f"set -eu; {script}"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    url = f"http://127.0.0.1:{proxy_port}"
    with subprocess.Popen(
        command,
        cwd=checkout,
        env={**os.environ, "PATH": path, "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    ) as shell:
        try:
            until(lambda: all(is_up(f"http://127.0.0.1:{port}") for port in (proxy_port, *ports)))
            headers = {"Authorization": "Bearer sk-x"}
            answer = httpx2.post(url + GENERATIONS, json=BY_URL, headers=headers, timeout=30)
            picture = answer.json()["data"][0]["url"]
            assert {httpx2.get(picture, timeout=30).status_code for _ in range(4)} == {200}
            assert [each.name for each in checkout.iterdir()] == ["deploy"]
        finally:
            os.killpg(shell.pid, signal.SIGTERM)


def test_calls_of_locust_to_two_replicas_behind_nginx_succeed() -> None:
    if not find_spec("locust"):  # the import would replace sockets and threads
        pytest.skip("needs the extra [deploy]")
    settings: dict[str, Any] = {"store": shared_redis().url, "store_name": new_store_name()}
    with (
        Server(host=HOSTS[0], **settings) as one,
        Server(host=HOSTS[1], port=one.port, **settings) as other,
        proxy("nginx", [f"{host}:{one.port}" for host in HOSTS]) as url,
    ):
        command = [
            *(sys.executable, "-m", "locust", "-f", str(DEPLOY / "locust/locustfile.py")),
            *("--host", url, "--headless", "--users", "4", "--spawn-rate", "4", "--json"),
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as locust:
            until(lambda: locust.poll() is not None or calls_of(one) + calls_of(other) > 400)
            locust.terminate()
            output, errors = locust.communicate(timeout=30)
    assert locust.returncode == 0, errors.decode()
    statistics = {each["name"]: each for each in json.loads(output)}
    assert {*statistics} == {
        *("repeated", "unique", "url", "download", "edit", "stream", "first event")
    }
    assert {each["num_failures"] for each in statistics.values()} == {0}

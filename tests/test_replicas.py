"""Servers that share a store in Redis are one emulator."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import OpenAI

from images_emulator import Server, Settings
from images_emulator.cli.start_text import StartState, start_state, start_text
from images_emulator.settings import LogSettings
from images_emulator.workers.worker_messages import Report
from tests.conftest import KEY
from tests.documents import BLOCKS
from tests.pictures import opened, png
from tests.programs import run_python
from tests.redis_server import missing_part, new_store_name, shared_redis
from tests.replicas import NOW, Replicas, client_with_key, generate, replicas_of, two_replicas

pytestmark = [
    pytest.mark.skipif(bool(missing_part()), reason=missing_part()),
    pytest.mark.not_on_redis("its servers have a store of their own"),
]

replicas = pytest.fixture(two_replicas)
http = pytest.fixture(client_with_key)


def test_url_made_by_one_replica_is_served_by_the_other(
    replicas: Replicas, http: httpx2.Client
) -> None:
    one, other = replicas
    url = generate(http, one).json()["data"][0]["url"]
    answers = [http.get(url), http.get(url.replace(one.url, other.url))]
    assert [each.status_code for each in answers] == [200, 200]
    assert answers[0].content == answers[1].content
    assert opened(answers[0].content).size == (256, 256)
    downloads = other.downloads
    assert [each.prompt for each in downloads] == ["x", "x"]
    assert {each.kind for each in one.downloads} == {"download"}


@pytest.mark.slow
def test_file_uploaded_to_one_replica_is_edited_by_the_other(
    replicas: Replicas, http: httpx2.Client
) -> None:
    one, other = replicas

    def edited(**image: str) -> Any:
        body = {"model": "gpt-image-2", "prompt": "x", "size": "1024x1024", "images": [image]}
        answer = http.post(f"{other.base_url}/images/edits", json=body).raise_for_status()
        return answer.json()["data"][0]["b64_json"]

    with (
        OpenAI(base_url=one.base_url, api_key=KEY) as client,
        OpenAI(base_url=other.base_url, api_key=KEY) as other_client,
    ):
        file = client.files.create(file=("a.png", png((64, 64))), purpose="vision")
        assert other_client.files.content(file.id).content == png((64, 64))
        data = base64.b64encode(png((64, 64))).decode()
        same = edited(image_url=f"data:image/png;base64,{data}")
        assert edited(file_id=file.id) == same
        other_client.files.delete(file.id)
        assert not client.files.list().data


def test_replicas_have_one_journal_with_one_count(replicas: Replicas, http: httpx2.Client) -> None:
    one, other = replicas
    for server, prompt in ((one, "a"), (other, "b"), (one, "c")):
        generate(http, server, prompt=prompt)
    calls = other.requests
    assert [call.prompt for call in calls] == ["a", "b", "c"]
    assert [call.number for call in calls] == [1, 2, 3]
    shown = http.get(f"{one.url}/_emulator/requests").json()["requests"]
    assert {each["id"] for each in shown} == {call.id for call in calls}


def test_an_assertion_compares_the_key_of_a_call_that_another_fault_has_met(
    replicas: Replicas, http: httpx2.Client
) -> None:
    one, other = replicas
    other.inject("server_error")
    other.inject("slow_down", match={"api_key": KEY})
    generate(http, one)
    with pytest.raises(AssertionError, match="it met 'server_error'"):
        other.verify_steps()


@pytest.mark.slow
def test_a_fault_is_met_as_often_as_it_says_by_64_clients_on_both(replicas: Replicas) -> None:
    one, other = replicas
    one.inject("server_error", times=2)
    models = [f"{server.base_url}/models" for server in replicas] * 64

    def get(url: str) -> int:
        return httpx2.get(url, headers={"Authorization": f"Bearer {KEY}"}).status_code

    with ThreadPoolExecutor(64) as pool:
        assert Counter(pool.map(get, models)) == {200: 126, 500: 2}
    assert not other.unmet_steps()
    assert [len(server.requests) for server in replicas] == [128, 128]


def test_replicas_have_one_rate_limit(http: httpx2.Client) -> None:
    for servers in replicas_of(shared_redis().url, rate_limit="3/min"):
        servers[0].clock.freeze(NOW)
        statuses = [generate(http, servers[turn % 2]).status_code for turn in range(4)]
        assert statuses == [200, 200, 200, 429]


def test_replicas_have_one_clock_and_one_set_of_settings(
    replicas: Replicas, http: httpx2.Client
) -> None:
    one, other = replicas
    one.clock.freeze(NOW)
    one.emulator.configure(validation="lenient")
    answer = generate(http, other, n=99)
    assert (answer.status_code, answer.json()["created"]) == (200, NOW.timestamp())
    assert [call.time for call in one.requests] == [NOW]
    other.clock.advance(hours=2)
    assert generate(http, one).json()["created"] == (NOW + timedelta(hours=2)).timestamp()


def test_reset_of_one_replica_is_seen_by_the_other(replicas: Replicas, http: httpx2.Client) -> None:
    one, other = replicas
    url = generate(http, one).json()["data"][0]["url"]
    one.clock.freeze(NOW)
    one.inject("server_error", times=None)
    assert generate(http, other).status_code == 500
    other.reset()
    assert http.get(url).status_code == 404
    assert generate(http, one).status_code == 200
    assert not one.clock.frozen
    assert [call.status for call in one.requests] == [200]


def test_reset_of_one_replica_empties_the_caches_of_the_other(
    replicas: Replicas, http: httpx2.Client
) -> None:
    one, other = replicas
    generate(http, other, response_format="b64_json")
    caches = other.emulator.prepared_calls, other.emulator.logged_notices
    assert all(len(each) for each in caches)
    one.reset()
    http.get(f"{other.base_url}/models")
    assert [len(each) for each in caches] == [0, 0]


def test_replicas_that_read_a_folder_at_different_times_count_the_same_recordings(
    tmp_path: Path, http: httpx2.Client
) -> None:
    def save(name: str, prompt: str) -> None:
        body = {"json": {"model": "dall-e-2", "prompt": prompt}}
        request = {"method": "POST", "target": "/v1/images/generations", "body": body}
        request["headers"] = {"content-type": "application/json"}
        response = {"status": 200, "body": {"text": name}}
        document = {"version": 1, "request": request, "response": response}
        (tmp_path / f"{name}.json").write_text(json.dumps(document))

    def played(server: Server, prompt: str) -> str:
        body = {"model": "dall-e-2", "prompt": prompt}
        return http.post(f"{server.base_url}/images/generations", json=body).text

    settings: dict[str, Any] = {
        "store": shared_redis().url,
        "store_name": new_store_name(),
        "replay": tmp_path,
    }
    save("0002 fox", "a fox")
    save("0003 fox", "a fox")
    with Server(**settings) as one:
        save("0001 ship", "a ship")
        with Server(**settings) as other:
            assert played(other, "a ship") == "0001 ship"
            assert [played(each, "a fox") for each in (one, other, one)] == [
                "0002 fox",
                "0003 fox",
                "0003 fox",
            ]


def test_replicas_of_another_store_name_are_other_emulators(http: httpx2.Client) -> None:
    url = shared_redis().url
    for one, _ in replicas_of(url):
        for other, _ in replicas_of(url):
            picture = generate(http, one).json()["data"][0]["url"]
            assert http.get(picture.replace(one.url, other.url)).status_code == 403
            assert (len(one.requests), len(other.requests)) == (1, 0)


def test_a_server_that_joins_others_tells_at_its_start_what_holds(
    replicas: Replicas, tmp_path: Path
) -> None:
    one, other = replicas
    scenario = tmp_path / "scenario.toml"
    scenario.write_text('[[steps]]\nfault = "server_error"\n')

    def told(server: Server, **settings: Any) -> list[str]:
        state = start_state(server)
        # Workers tell it to their supervisor.
        report = Report.from_line(Report(**state._asdict()).to_line())
        state = StartState(
            report.recordings, report.pictures, report.changed, report.steps, report.clock
        )
        text = start_text(server.url, server.port, Settings(**settings), LogSettings(), state)
        return [line for line in text.splitlines() if "as_of" in line or "store" in line]

    alone = told(other)
    assert len(alone) == 1
    assert alone[0].startswith("as_of=any: ")
    one.emulator.configure(as_of="2025-12-01", validation="lenient")
    one.inject("server_error")
    settings = other.settings
    with Server(store=settings.store, store_name=settings.store_name, scenario=scenario) as late:
        assert told(late, scenario=str(scenario)) == [
            "as_of=2025-12-01: answers as the API did on that day",
            "The store has a state already: as_of=2025-12-01 in place of any, validation=lenient in"
            f" place of strict, 1 step in place of {scenario}",
        ]
        late.emulator.scenario.clear()
        assert told(late)[-1].endswith(", no steps in place of none")
        late.reset()
        assert told(late) == alone
        late.clock.advance(hours=24)
        assert told(late)[-1] == "The store has a state already: the clock 1 day ahead"
        late.clock.advance(hours=-49)
        assert told(late)[-1].endswith(": the clock 1 day 1:00:00 behind")
        late.clock.freeze(datetime(2026, 6, 1, 12, tzinfo=UTC))
        assert told(late)[-1].endswith(": the clock frozen at 2026-06-01T12:00:00+00:00")


def test_the_start_as_json_has_the_store_and_an_event_for_each_notice() -> None:
    settings = Settings(store="redis://user:secret@localhost:1/0", store_name="team")
    state = StartState(changed={"as_of": "2025-12-01"}, clock="the clock 1 day ahead")

    def events(**log: str) -> list[dict[str, Any]]:
        text = start_text("", 1, settings, LogSettings(log_format="json", **log), state)
        return [json.loads(line) for line in text.splitlines()]

    start, day, joined = events()
    assert (start["event"], start["as_of"]) == ("start", "2025-12-01")
    assert (start["store"], start["store_name"]) == ("redis://localhost:1/0", "team")
    assert day["message"] == "as_of=2025-12-01: answers as the API did on that day"
    assert joined["message"] == (
        "The store has a state already: as_of=2025-12-01 in place of any, the clock 1 day ahead"
    )
    assert {(each["event"], each["level"]) for each in (day, joined)} == {("log", "info")}
    assert [each["event"] for each in events(log_level="warning")] == ["start"]
    alone = start_text("", 1, Settings(), LogSettings(log_format="json"))
    start = json.loads(alone.splitlines()[0])
    assert (start["store"], start["store_name"]) == (None, None)


@pytest.mark.slow
def test_the_code_of_the_guide_prints_what_is_shown(tmp_path: Path) -> None:
    page = [block for block in BLOCKS if block.page == "docs/guides/replicas.md"]
    code, output = (
        next(block.text for block in page if block.title == title)
        for title in ("replicas.py", "output")
    )
    code = code.replace("redis://localhost:6379", shared_redis().url)
    done = run_python(code.replace('"guide"', repr(new_store_name())), tmp_path)
    assert (done.returncode, done.stdout) == (0, output), done.stderr


@pytest.mark.slow
def test_a_server_that_ends_closes_what_was_opened_while_it_did(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Without it, because an event loop of uvloop says nothing of what it leaves open.
    monkeypatch.setitem(sys.modules, "uvloop", None)
    tasks: list[asyncio.Task[None]] = []

    async def ask_on() -> None:
        while True:
            await emulator.store.refresh()
            await asyncio.sleep(0)

    async def begin() -> None:
        tasks.append(asyncio.create_task(ask_on()))

    with Server(store=shared_redis().url, store_name=new_store_name()) as server:
        emulator = server.emulator
        emulator.cleanup_callbacks += (begin,)
    assert tasks[0].cancelled()
    gc.collect()

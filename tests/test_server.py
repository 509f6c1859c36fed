"""`Server` in Python: made, asked and taken back by a test."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx2
import pytest
from openai import AsyncOpenAI, OpenAI

from emulator import Emulator, Server, Settings
from emulator.clock import Clock


def test_a_server_without_settings_takes_a_free_port() -> None:
    with Server() as one, Server() as another:
        assert one.port != another.port
        for server in (one, another):
            assert httpx2.get(f"{server.url}/_emulator/health").status_code == 200


async def test_a_server_serves_beside_a_running_loop() -> None:
    before = {thread for thread in threading.enumerate() if thread.name == "images-emulator"}
    async with (
        Server() as server,
        AsyncOpenAI(base_url=server.base_url, api_key="k", max_retries=0) as client,
    ):
        prompts = [str(number) for number in range(5)]
        await asyncio.gather(
            *(client.images.generate(model="dall-e-3", prompt=prompt) for prompt in prompts)
        )
        assert sorted(call.prompt or "" for call in server.requests) == prompts
    after = {thread for thread in threading.enumerate() if thread.name == "images-emulator"}
    assert after <= before


def test_a_server_may_have_an_emulator_of_ones_own() -> None:
    emulator = Emulator(Settings(port=0, validation="lenient"))
    with Server(emulator=emulator) as server:
        assert server.emulator is emulator
        assert server.settings.validation == "lenient"


def test_a_reset_takes_everything_back(server: Server, client: OpenAI) -> None:
    server.inject("server_error", times=None)
    server.clock.advance(hours=5)
    server.emulator.configure(as_of="2026-06-01", validation="lenient")
    server.reset()
    client.images.generate(model="dall-e-3", prompt="x")
    (call,) = server.requests
    assert (call.fault, call.status) == (None, 200)
    assert abs(call.time - datetime.now(UTC)).total_seconds() < 60


def test_settings_that_cannot_be_are_refused_and_change_nothing(emulator: Emulator) -> None:
    with pytest.raises(ValueError, match="as_of: expected"):
        emulator.configure(as_of="soon")
    assert emulator.settings.as_of == "any"


def test_the_journal_may_be_read_while_it_is_written(server: Server) -> None:
    """From several threads, over and over, without an error or a half-known call."""
    with OpenAI(base_url=server.base_url, api_key="k", max_retries=0) as client:

        def write(number: int) -> None:
            client.images.generate(model="dall-e-3", prompt=f"{number}")

        with ThreadPoolExecutor(4) as pool:
            writing = [pool.submit(write, number) for number in range(100)]
            while not all(each.done() for each in writing):
                for call in server.requests:
                    assert str(call)
                    assert call.status != 200 or call.prompt
            for each in writing:
                each.result()
    assert len(server.requests) == 100
    assert len({call.id for call in server.requests}) == 100


# --- the clock


def test_a_clock_is_moved_held_and_let_go() -> None:
    clock = Clock()
    moment = datetime(2026, 11, 21, tzinfo=UTC)
    clock.freeze(moment)
    assert clock.now() == clock.now() == moment
    clock.advance(minutes=1, seconds=1)
    assert clock.now() == datetime(2026, 11, 21, 0, 1, 1, tzinfo=UTC)
    clock.resume()
    assert not clock.frozen
    assert 0 <= (clock.now() - moment).total_seconds() - 61 < 60
    clock.reset()
    assert abs(clock.now() - datetime.now(UTC)).total_seconds() < 60


def test_a_clock_is_held_where_it_stands() -> None:
    clock = Clock()
    clock.advance(hours=24)
    clock.freeze()
    assert clock.now() == clock.now()
    assert (clock.now() - datetime.now(UTC)).total_seconds() > 80_000


def test_a_moment_without_a_zone_is_in_utc() -> None:
    clock = Clock()
    clock.freeze(datetime(2026, 11, 21))
    assert clock.now() == datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize("seconds", [1e300, -1e300, 1e12, -1e12, float("inf")])
def test_a_clock_does_not_leave_its_years(seconds: float) -> None:
    clock = Clock()
    with pytest.raises(ValueError, match="the clock goes from 2000 to 8999"):
        clock.advance(seconds=seconds)
    assert abs(clock.now() - datetime.now(UTC)).total_seconds() < 60

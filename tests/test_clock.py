"""The clock: moved, frozen, resumed, and reset."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from images_emulator.contract.emulator_errors import store_unavailable
from images_emulator.contract.refusal import APIError
from images_emulator.state.clock import Clock, ClockSetting
from images_emulator.state.memory_store import MemoryRegister, MemoryStore
from images_emulator.state.store import Store


def test_a_clock_is_advanced_frozen_resumed_and_reset(store: Store) -> None:
    clock = Clock(store)
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


def test_two_clocks_of_one_store_are_one_clock(store: Store) -> None:
    one, other = Clock(store), Clock(store)
    one.freeze(datetime(2026, 11, 21, tzinfo=UTC))
    other.advance(hours=1)
    assert one.now() == other.now() == datetime(2026, 11, 21, 1, tzinfo=UTC)


def test_a_clock_is_frozen_at_its_own_time(store: Store) -> None:
    clock = Clock(store)
    clock.advance(hours=24)
    clock.freeze()
    assert clock.now() == clock.now()
    assert (clock.now() - datetime.now(UTC)).total_seconds() > 80_000


def test_an_advance_by_another_thread_is_not_lost_while_a_clock_is_frozen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(MemoryStore())
    register, now = clock._setting, ClockSetting.now
    assert isinstance(register, MemoryRegister)
    others: list[threading.Thread] = []

    def interrupted(setting: ClockSetting) -> datetime:
        """Another thread moves the time on in the middle of `freeze`, unless that keeps it out."""
        time = now(setting)
        if not others:
            others.append(threading.Thread(target=clock.advance, kwargs={"hours": 1}))
            others[0].start()
            while others[0].is_alive() and not register._lock.locked():
                others[0].join(0.001)
        return time

    monkeypatch.setattr(ClockSetting, "now", interrupted)
    before = datetime.now(UTC)
    clock.freeze()
    others[0].join()
    assert clock.now() - before >= timedelta(hours=1)


def test_a_moment_without_a_zone_is_in_utc(store: Store) -> None:
    clock = Clock(store)
    clock.freeze(datetime(2026, 11, 21))
    assert clock.now() == datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize("seconds", [1e300, -1e300, 1e12, -1e12, float("inf")])
def test_a_clock_does_not_leave_its_years(seconds: float) -> None:
    clock = Clock(MemoryStore())
    with pytest.raises(ValueError, match="the clock goes from 2000 to 8999"):
        clock.advance(seconds=seconds)
    assert clock.local_advance == clock.advanced_seconds == 0
    assert abs(clock.now() - datetime.now(UTC)).total_seconds() < 60


def test_an_advance_that_the_store_does_not_get_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    async def update(*_: object) -> None:
        raise store_unavailable(url="redis:", reason="the connection broke")

    clock = Clock(MemoryStore())
    monkeypatch.setattr(MemoryRegister, "update", update)
    with pytest.raises(APIError):
        clock.advance(hours=1)
    assert clock.local_advance == 0

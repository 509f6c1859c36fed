"""The emulator's clock: the time by which everything expires, which a test may move and freeze.

Faults wait by this clock, too. A wait runs on the machine's time, and `advance` shortens it
at once. A frozen clock shows one date and time, but stops no wait: an answer that a fault delays by
a second comes after a second, whatever the date.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Lock
from time import perf_counter
from typing import Final, NamedTuple

from images_emulator.state.store import Codec, Packed, Store

YEARS: Final = range(2000, 9000)
"""Years that the clock may be set to; one hour before or after any of them is still a date."""

OUT_OF_YEARS: Final = f"the clock goes from {YEARS.start} to {YEARS.stop - 1}"
"""The message about a time that the clock cannot show."""

POLL_SECONDS: Final = 0.1
"""Seconds between two checks of the waits for an advance by another process that shares the
store."""


class ClockSetting(NamedTuple):
    """An *offset* to the system's time, or the *moment* at which the clock is frozen."""

    offset: timedelta = timedelta()
    moment: datetime | None = None
    advanced_seconds: float = 0
    """The sum of all advances, in seconds. Steps back, a freeze and a reset leave it as it is."""

    def now(self) -> datetime:
        """The time in UTC that a clock with this setting shows."""
        if self.moment:
            return self.moment
        now = datetime.now(UTC)
        return now + self.offset if self.offset else now

    def advanced(self, step: timedelta) -> ClockSetting:
        """The setting *step* later. Raises ValueError out of `YEARS`."""
        try:
            time = _time_within_years(self.now() + step)
            advanced_seconds = self.advanced_seconds + max(step.total_seconds(), 0)
        except OverflowError:
            raise ValueError(OUT_OF_YEARS) from None
        if self.moment:
            return ClockSetting(moment=time, advanced_seconds=advanced_seconds)
        return ClockSetting(self.offset + step, advanced_seconds=advanced_seconds)

    def frozen_at(self, at: datetime | None) -> ClockSetting:
        """The setting frozen at *at*, or at its own time. Raises ValueError out of `YEARS`."""
        return ClockSetting(
            moment=_time_within_years(at or self.now()), advanced_seconds=self.advanced_seconds
        )

    def resumed(self) -> ClockSetting:
        """The setting of a running clock, from the time at which this one is frozen."""
        if not self.moment:
            return self
        return ClockSetting(self.moment - datetime.now(UTC), advanced_seconds=self.advanced_seconds)

    def reset(self) -> ClockSetting:
        """The setting that shows the system's time."""
        return ClockSetting(advanced_seconds=self.advanced_seconds)


def _time_within_years(time: datetime) -> datetime:
    if time.year not in YEARS:
        raise ValueError(OUT_OF_YEARS)
    return time


def _pack(setting: ClockSetting) -> Packed:
    moment = setting.moment.isoformat() if setting.moment else None
    offset_us = setting.offset // timedelta(microseconds=1)
    return Packed(
        {"offset_us": offset_us, "moment": moment, "advanced_seconds": setting.advanced_seconds}
    )


def _unpack(packed: Packed) -> ClockSetting:
    offset_us, moment, advanced_seconds = (
        packed.document[name] for name in ("offset_us", "moment", "advanced_seconds")
    )
    return ClockSetting(
        timedelta(microseconds=offset_us),
        datetime.fromisoformat(moment) if moment else None,
        advanced_seconds,
    )


CODEC: Final = Codec(_pack, _unpack)
"""Packs the state of the clock for its register in the store."""


class Clock:
    """The system's time plus an offset, or one moment. Any thread may read and set it. To set it
    blocks; in asynchronous code `await asyncio.to_thread(clock.freeze)`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._setting = store.register("clock", ClockSetting(), CODEC)
        self._waits: set[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = set()
        """The futures of waits, which an advance wakes, each with its event loop."""
        self.local_advance: float = 0
        """The seconds that this object was told to advance. They are counted here before
        `advanced_seconds` has them."""
        self._next_check = 0.0
        """The time of the next check for an advance by another process, by `perf_counter`. The
        first wait that wakes after it makes the check for all waits."""
        self._lock = Lock()
        """Held while `_waits` is changed or read, and while `local_advance` is changed."""

    @property
    def frozen(self) -> bool:
        """Whether the time is frozen."""
        return self._setting.value.moment is not None

    def now(self) -> datetime:
        """The emulator's time, in UTC."""
        return self._setting.value.now()

    @property
    def offset(self) -> timedelta:
        """How far the emulator's time is ahead of the system's; zero where the clock was never
        moved or frozen."""
        setting = self._setting.value
        return setting.moment - datetime.now(UTC) if setting.moment else setting.offset

    @property
    def advanced_seconds(self) -> float:
        """The seconds that the clock was ever advanced by. It never shrinks."""
        return self._setting.value.advanced_seconds

    def advanced_before(self, local_advance: float) -> float:
        """The `advanced_seconds` without the advances by this object since it had these
        *local_advance*."""
        # The difference is negative where the store has refused an advance that had begun before.
        return self.advanced_seconds - max(0.0, self.local_advance - local_advance)

    async def wait_until(self, moment: float) -> None:
        """Wait until `perf_counter() + advanced_seconds` is *moment*: the machine's time passes,
        and each advance by any thread takes the wait forward."""
        loop = asyncio.get_running_loop()
        is_shared = self._store.is_shared
        while True:
            woken: asyncio.Future[None] = loop.create_future()
            # Before the clock is read, so that no advance is missed.
            with self._lock:
                self._waits.add((loop, woken))
            try:
                seconds = moment - perf_counter() - self.advanced_seconds
                if seconds <= 0:
                    return
                timer = loop.call_later(
                    min(seconds, POLL_SECONDS) if is_shared else seconds, _wake, woken
                )
                try:
                    await woken
                finally:
                    timer.cancel()
            finally:
                with self._lock:
                    self._waits.discard((loop, woken))
            if is_shared and perf_counter() >= self._next_check:
                self._next_check = perf_counter() + POLL_SECONDS
                await self._store.refresh()

    def advance(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0) -> None:
        """Move the time on, for faults that wait, too; negative figures move it back. Raises
        ValueError for a time out of the years 2000 to 8999."""
        try:
            step = timedelta(seconds=seconds, minutes=minutes, hours=hours)
        except OverflowError:
            raise ValueError(OUT_OF_YEARS) from None
        with self._lock:
            self.local_advance += max(step.total_seconds(), 0)
        try:
            self._store.run(self._setting.update(lambda setting: setting.advanced(step)))
        except BaseException:
            with self._lock:
                self.local_advance -= max(step.total_seconds(), 0)
            raise
        with self._lock:
            waits = [*self._waits]
        for loop, woken in waits:
            with suppress(RuntimeError):  # the wait's loop is closed
                loop.call_soon_threadsafe(_wake, woken)

    def freeze(self, at: datetime | None = None) -> None:
        """Freeze the time at *at*, which is in UTC where it has no zone, or at the clock's own
        time. Faults wait on, by the machine's time. Raises ValueError for a time out of the years
        2000 to 8999."""
        try:
            if at:
                at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
        except OverflowError:
            raise ValueError(OUT_OF_YEARS) from None
        self._store.run(self._setting.update(lambda setting: setting.frozen_at(at)))

    def resume(self) -> None:
        """Let the time run again, from the time at which it is frozen."""
        self._store.run(self._setting.update(ClockSetting.resumed))

    def reset(self) -> None:
        """Show the system's time again."""
        self._store.run(self._setting.update(ClockSetting.reset))


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)

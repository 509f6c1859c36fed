"""The emulator's clock: the time by which everything expires, which a test may move and freeze."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from images_emulator.state.store import Codec, Packed, Store

YEARS: Final = range(2000, 9000)
"""Years that the clock may be set to; one hour before or after any of them is still a date."""

OUT_OF_YEARS: Final = f"the clock goes from {YEARS.start} to {YEARS.stop - 1}"


class ClockSetting(NamedTuple):
    """An *offset* to the system's time, or the *moment* at which the clock is frozen."""

    offset: timedelta = timedelta()
    moment: datetime | None = None

    def now(self) -> datetime:
        """The time in UTC that a clock set so shows."""
        if self.moment:
            return self.moment
        now = datetime.now(UTC)
        return now + self.offset if self.offset else now

    def advanced(self, step: timedelta) -> ClockSetting:
        """The setting *step* later. Raises ValueError out of `YEARS`."""
        try:
            time = _checked(self.now() + step)
            return ClockSetting(moment=time) if self.moment else ClockSetting(self.offset + step)
        except OverflowError:
            raise ValueError(OUT_OF_YEARS) from None

    def resumed(self) -> ClockSetting:
        """The setting whose time runs on from where it is frozen."""
        return ClockSetting(self.moment - datetime.now(UTC)) if self.moment else self


def _checked(time: datetime) -> datetime:
    if time.year not in YEARS:
        raise ValueError(OUT_OF_YEARS)
    return time


def _pack(setting: ClockSetting) -> Packed:
    moment = setting.moment.isoformat() if setting.moment else None
    return Packed({"offset_us": setting.offset // timedelta(microseconds=1), "moment": moment})


def _unpack(packed: Packed) -> ClockSetting:
    offset_us, moment = packed.document["offset_us"], packed.document["moment"]
    return ClockSetting(
        timedelta(microseconds=offset_us), datetime.fromisoformat(moment) if moment else None
    )


CODEC: Final = Codec(_pack, _unpack)


class Clock:
    """The system's time plus an offset, or one moment. Any thread may read and set it; to set it
    blocks, see `Store.run`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._setting = store.register("clock", ClockSetting(), CODEC)

    @property
    def frozen(self) -> bool:
        return self._setting.value.moment is not None

    def now(self) -> datetime:
        """The emulator's time, in UTC."""
        return self._setting.value.now()

    @property
    def offset(self) -> timedelta:
        """How far the emulator's time is ahead of the system's; nothing where the clock was never
        moved or frozen."""
        setting = self._setting.value
        return setting.moment - datetime.now(UTC) if setting.moment else setting.offset

    def advance(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0) -> None:
        """Move the time on; negative figures move it back. Raises ValueError out of `YEARS`."""
        try:
            step = timedelta(seconds=seconds, minutes=minutes, hours=hours)
        except OverflowError:
            raise ValueError(OUT_OF_YEARS) from None
        self._store.run(self._setting.update(lambda setting: setting.advanced(step)))

    def freeze(self, at: datetime | None = None) -> None:
        """Freeze the time at *at*, which is in UTC where it has no zone, or at the clock's own.
        Raises ValueError out of `YEARS`."""
        try:
            if at:
                at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
        except OverflowError:
            raise ValueError(OUT_OF_YEARS) from None
        self._store.run(
            self._setting.update(lambda setting: ClockSetting(moment=_checked(at or setting.now())))
        )

    def resume(self) -> None:
        """Let the time run on from where it is frozen."""
        self._store.run(self._setting.update(ClockSetting.resumed))

    def reset(self) -> None:
        """Show the system's time again."""
        self._store.run(self._setting.update(lambda _: ClockSetting()))

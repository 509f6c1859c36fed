"""The live feed: what happens at an emulator, as server-sent events for any number of readers.

It observes the journal and the registers of the store while it has readers, and for
`LINGER_SECONDS` after the last one has left. The calls that other processes answer are read from a
shared store, which tells of them. What happens is gathered for `GATHER_SECONDS` and told
as one batch; after a batch of many calls the next one is gathered for longer. The events of a batch
are built once, in a thread, and all readers get the same bytes.
A reader has no queue, only a position in the `EventLog`, and starts again where it reads so slowly
that events after its position are not kept any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from threading import get_ident
from typing import Any, Final, Literal

from pydantic import TypeAdapter

from images_emulator.exchange.exchange import Exchange
from images_emulator.observers import add_observer, remove_observer
from images_emulator.state.emulator import Emulator
from images_emulator.state.identity import random_id
from images_emulator.state.store import LogChange
from images_emulator.web.journal_json import stream_events, summary
from images_emulator.web.state_json import clock_state, scenario_state, settings_json

GATHER_SECONDS: Final = 0.1
"""How long a batch is gathered at least."""

SECONDS_PER_CALL: Final = 0.025
"""How long after a batch the next one ends, for each call that was told: a rush of calls pays for
40 of them a second, and not for more."""

MAX_BATCH_CALLS: Final = 20
"""The most calls of a batch that are told one by one: the newest. The others are counted."""

MAX_GATHERED_CALLS: Final = 100
"""Notes of more calls than these are not kept until the end of a batch."""

REFRESH_SECONDS: Final = 1.0
"""How often a shared store, whose registers other processes change, is refreshed for readers."""

WATCH_SECONDS: Final = 1.0
"""How long the first reader waits at most until a shared store tells of the other processes."""

LINGER_SECONDS: Final = 10.0
"""How long a reader who has left may come back and miss nothing."""

MAX_EVENTS: Final = 1000
MAX_EVENT_BYTES: Final = 4 * 2**20
"""Number and bytes of the events that are kept for a reader who comes back."""

MAX_CHUNK_BYTES: Final = 256 * 1024
"""Bytes that a reader is sent at once, about; it may have no more unread."""

RETRY_MS: Final = 1000
"""After how many milliseconds a browser connects again."""

MAX_DIGITS: Final = 18
"""Digits of the number in an id."""

Cleared = Literal["requests", "all"]
"""The extent of a reset: the journal, or everything."""

_JSON: Final = TypeAdapter[Any](Any)

logger = logging.getLogger("images_emulator")


class EventLog:
    """The last events that were told, each with an id `RUN-N`: *run* names this log, N counts its
    events from 1."""

    def __init__(self) -> None:
        self.run = random_id(8)
        self.last = 0
        """The number of the newest event."""
        self._frames: deque[bytes] = deque()
        self._bytes = 0

    def append(self, name: str, data: bytes) -> None:
        """Add the event *name*, whose *data* is one line."""
        self.last += 1
        frame = self.frame(name, data)
        self._frames.append(frame)
        self._bytes += len(frame)
        while len(self._frames) > MAX_EVENTS or self._bytes > MAX_EVENT_BYTES:
            self._bytes -= len(self._frames.popleft())

    def frame(self, name: str, data: bytes) -> bytes:
        """The bytes of an event with the id of the newest one."""
        return b"id: %s-%d\nevent: %s\ndata: %s\n\n" % (
            self.run.encode(),
            self.last,
            name.encode(),
            data,
        )

    def position_of(self, identity: str) -> int | None:
        """The number in an id. None where it is none of this log's, or what came after that event
        is not kept any more."""
        run, _, number = identity.rpartition("-")
        is_number = number.isascii() and number.isdigit() and len(number) <= MAX_DIGITS
        if run != self.run or not is_number:
            return None
        position = int(number)
        return position if self._oldest <= position + 1 <= self.last + 1 else None

    def after(self, position: int) -> tuple[bytes, int] | None:
        """The next events after number *position*, and the number of the last of them. No bytes
        where there are none yet; None where some are not kept any more."""
        start = position + 1 - self._oldest
        if start < 0:
            return None
        chunk, size = [], 0
        for number in range(start, len(self._frames)):
            frame = self._frames[number]
            chunk.append(frame)
            size += len(frame)
            if size >= MAX_CHUNK_BYTES:
                break
        return b"".join(chunk), position + len(chunk)

    @property
    def _oldest(self) -> int:
        return self.last - len(self._frames) + 1


@dataclass(slots=True)
class _CallNotes:
    """The notes of a batch on one call. The exchange of another process is None."""

    exchange: Exchange | None
    arrived: bool = False
    completed: bool = False
    events: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Batch:
    """The notes that were gathered: calls by id in the order of their first note, names of changed
    registers, and what was cleared. *skipped* calls are not among them any more. *missed* is
    whether there may have been others."""

    calls: dict[str, _CallNotes] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    cleared: Cleared | None = None
    skipped: int = 0
    missed: bool = False

    def __bool__(self) -> bool:
        return bool(self.calls or self.changed or self.cleared or self.skipped or self.missed)

    @property
    def cleared_json(self) -> bytes:
        """The data of the event `cleared`."""
        return _JSON.dump_json({"what": self.cleared})

    def notes_of(self, identity: str, exchange: Exchange | None = None) -> _CallNotes:
        notes = self.calls.get(identity)
        if notes is None:
            notes = self.calls[identity] = _CallNotes(exchange)
        return notes

    def clear(self, what: Cleared) -> None:
        # The notes stay: there may be some of calls since. Those of others are told to nobody, as
        # the journal has no such calls any more.
        self.skipped = 0
        self.cleared = "all" if "all" in (what, self.cleared) else what

    def shrink(self) -> None:
        """Keep only the calls that could be told."""
        calls = [*self.calls.items()]
        self.skipped += max(0, len(calls) - MAX_BATCH_CALLS)
        self.calls = dict(calls[-MAX_BATCH_CALLS:])


class Reader:
    """One open stream, which ends with `end`."""

    def __init__(self) -> None:
        self.is_over = False
        self.awake = asyncio.Event()

    def end(self) -> None:
        """End `LiveFeed.read` for this reader. It is called on the event loop."""
        self.is_over = True
        self.awake.set()


class LiveFeed:
    """The feed of one emulator to the readers on one event loop, that of the first of them; see
    `AdminContext.feed`. What happens in other threads, on the event loop of another server for
    instance, is noted on that loop. A `JournalObserver`."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.readers: set[Reader] = set()
        self._log: EventLog | None = None
        """None while nothing is observed."""
        self._batch = _Batch()
        self._rested_at = 0.0
        """The earliest time at which the next batch may end, by the loop's clock."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        """The thread of the event loop."""
        self._timer: asyncio.TimerHandle | None = None
        self._telling: asyncio.Task[None] | None = None
        self._linger: asyncio.TimerHandle | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._hears_others = asyncio.Event()
        """Set once the store tells of the calls of other processes, or was not waited for longer:
        what it has not told before, no reader misses."""

    # --- readers

    async def read(self, reader: Reader, last_id: str | None) -> AsyncGenerator[bytes, None]:
        """The events from now on, or after that with the id *last_id*, until *reader* ends. Where
        what follows is not kept there is a `restart` in its place."""
        telling = self._telling
        log = self._join(reader)
        try:
            if telling:
                await asyncio.wait([telling])
            if self._watching:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._hears_others.wait(), WATCH_SECONDS)
                self._hears_others.set()
            position = log.position_of(last_id) if last_id else log.last
            if position is not None:
                # An id without data is no event, but a reader who comes back has it.
                yield b"retry: %d\nid: %s-%d\n\n" % (RETRY_MS, log.run.encode(), position)
            while not reader.is_over:
                reader.awake.clear()
                events = None if position is None else log.after(position)
                if events is None:
                    position = log.last
                    yield log.frame("restart", b"{}")
                    continue
                chunk, position = events
                if chunk:
                    yield chunk
                else:
                    await reader.awake.wait()
        finally:
            self._leave(reader)

    def _join(self, reader: Reader) -> EventLog:
        self.readers.add(reader)
        if self._linger:
            self._linger.cancel()
            self._linger = None
        if self._log is None:
            self._log = EventLog()
            self._loop, self._thread = asyncio.get_running_loop(), get_ident()
            store = self.emulator.store
            add_observer(self.emulator.journal, self)
            add_observer(store, self._register_changed)
            if store.is_shared:
                self._refreshing = asyncio.ensure_future(self._refresh())
                self._watching = asyncio.ensure_future(self._watch())
        if self._batch.cleared:
            # A reader who is new loads the calls after this, and would drop them once it is told.
            self._log.append("cleared", self._batch.cleared_json)
            self._batch.cleared = None
        self._schedule()
        return self._log

    def _leave(self, reader: Reader) -> None:
        self.readers.discard(reader)
        if not self.readers and self._loop:
            self._linger = self._loop.call_later(LINGER_SECONDS, self._close)

    def _close(self) -> None:
        """Observe nothing more, and forget what was told."""
        remove_observer(self.emulator.journal, self)
        remove_observer(self.emulator.store, self._register_changed)
        for waiting in (self._timer, self._refreshing, self._watching):
            if waiting and self._loop and not self._loop.is_closed():
                waiting.cancel()
        self._log = self._loop = self._timer = self._linger = None
        self._refreshing = self._watching = None
        self._hears_others.clear()
        self._batch = _Batch()

    async def _refresh(self) -> None:
        """Refresh the store while there are readers: without a call nobody else does."""
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                if self.readers:
                    await self.emulator.store.refresh()
            except Exception:
                logger.exception("the live feed cannot refresh the store")

    async def _watch(self) -> None:
        """Note what other processes do to the journal."""
        try:
            await self.emulator.journal.watch(self._changed_elsewhere)
        except Exception:
            logger.exception("the live feed cannot watch the store")
        finally:
            self._hears_others.set()

    # --- what happens

    def _changed_elsewhere(self, change: LogChange) -> None:
        if change.kind == "missed":
            self._batch.missed |= self._hears_others.is_set()
            self._hears_others.set()
        elif change.kind == "cleared":
            self._batch.clear("requests")
        else:
            notes = self._batch.notes_of(change.key)
            if change.kind == "added":
                notes.arrived = True
            elif change.event is None:
                notes.completed = True
            else:
                notes.events.append(change.event)
            self._shrink()
        self._schedule()

    def _shrink(self) -> None:
        if len(self._batch.calls) > MAX_GATHERED_CALLS:
            self._batch.shrink()

    # These are called in any thread.

    def arrived(self, exchange: Exchange) -> None:
        self._call(self._arrive, exchange)

    def sent_event(self, exchange: Exchange, index: int) -> None:
        self._call(self._send_event, exchange, index)

    def completed(self, exchange: Exchange) -> None:
        self._call(self._complete, exchange)

    def cleared(self) -> None:
        self._call(self._clear, "requests")

    def _register_changed(self, name: str) -> None:
        if name == "resets":
            self._call(self._clear, "all")
        elif name in ("settings", "clock", "scenario"):
            self._call(self._change, name)

    def _call(self, note: Callable[..., None], *values: Any) -> None:
        """Call *note* with *values* on the event loop."""
        loop = self._loop
        if loop is None:
            return
        if get_ident() == self._thread and not loop.is_closed():
            note(*values)
            return
        try:
            loop.call_soon_threadsafe(note, *values)
        except RuntimeError:
            # It is closed: its server ended while a reader might have come back.
            self._close()

    # These are called on the event loop.

    def _arrive(self, exchange: Exchange) -> None:
        self._batch.notes_of(exchange.id, exchange).arrived = True
        self._schedule()

    def _send_event(self, exchange: Exchange, index: int) -> None:
        self._batch.notes_of(exchange.id, exchange).events.append(index)
        self._schedule()

    def _complete(self, exchange: Exchange) -> None:
        self._batch.notes_of(exchange.id, exchange).completed = True
        self._shrink()
        self._schedule()

    def _clear(self, what: Cleared) -> None:
        self._batch.clear(what)
        self._schedule()

    def _change(self, name: str) -> None:
        self._batch.changed.add(name)
        self._schedule()

    # --- batches

    def _schedule(self) -> None:
        if self._loop and self._batch and not (self._timer or self._telling):
            at = max(self._loop.time() + GATHER_SECONDS, self._rested_at)
            self._timer = self._loop.call_at(at, self._end_batch)

    def _end_batch(self) -> None:
        self._timer = None
        if self.readers:
            self._telling = asyncio.ensure_future(self._tell())
        else:
            # Nothing is built that nobody may ever read.
            self._batch.shrink()

    async def _tell(self) -> None:
        batch, self._batch = self._batch, _Batch()
        try:
            events = await asyncio.to_thread(lambda: [*self._events(batch)])
            for name, data in events if self._log else ():
                assert self._log
                self._log.append(name, data)
            count = min(len(batch.calls), MAX_BATCH_CALLS)
            self._rested_at = asyncio.get_running_loop().time() + count * SECONDS_PER_CALL
            for reader in self.readers:
                reader.awake.set()
        except Exception:
            logger.exception("the live feed failed")
        finally:
            self._telling = None
            self._schedule()

    def _events(self, batch: _Batch) -> Iterator[tuple[str, bytes]]:
        """The events of *batch*, in their order; for a thread, since bodies may have to be parsed,
        and the store may block."""
        emulator = self.emulator
        journal = emulator.journal
        if batch.missed:
            yield "restart", b"{}"
        if batch.cleared:
            yield "cleared", batch.cleared_json
            # Calls may have come since, before this batch knew.
            told = [(batch.notes_of(entry.id, entry), entry) for entry in journal.find()]
            for notes, entry in told:
                notes.arrived = True
                notes.completed = entry.duration_ms is not None
        else:
            found = journal.get_all([*batch.calls])
            pairs = zip(batch.calls.values(), found, strict=True)
            told = [(notes, notes.exchange or entry) for notes, entry in pairs if entry]
        for notes, exchange in told[-MAX_BATCH_CALLS:]:
            yield from _call_events(notes, exchange)
        if emulator.scenario and any(
            notes.completed and (exchange.fault or exchange.own_answer) for notes, exchange in told
        ):
            # It may be one more call that a step has met.
            batch.changed.add("scenario")
        skipped = batch.skipped + max(0, len(told) - MAX_BATCH_CALLS)
        if skipped:
            yield "skipped", _JSON.dump_json({"count": skipped})
        if "settings" in batch.changed:
            yield "settings", _JSON.dump_json(settings_json(emulator))
        if "clock" in batch.changed:
            yield "clock", _JSON.dump_json(clock_state(emulator))
        if "scenario" in batch.changed:
            yield "scenario", _JSON.dump_json(scenario_state(emulator))


def _call_events(notes: _CallNotes, exchange: Exchange) -> Iterator[tuple[str, bytes]]:
    """The events of one call. One that is over is told by that alone."""
    try:
        if notes.completed:
            yield "completed", _JSON.dump_json(summary(exchange))
            return
        # The body may not have been read when the call arrived.
        if notes.arrived or 0 in notes.events:
            yield "arrived", _JSON.dump_json(summary(exchange))
        events = stream_events(exchange) if notes.events else []
        for event in events:
            if event.index in notes.events:
                yield "event", _JSON.dump_json({"id": exchange.id, **asdict(event)})
    except Exception:
        logger.exception("the live feed cannot tell of %s", exchange.id)

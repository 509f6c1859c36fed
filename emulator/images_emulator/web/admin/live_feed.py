"""The live feed: what happens at an emulator, as server-sent events for any number of readers.

It observes the journal and the registers of the store while it has readers, and for
`RESUME_SECONDS` after the last one has left. A shared store tells of the calls that other processes
answer, and they are read from it. What happens is gathered (debounced) for `GATHER_SECONDS` and
told as one batch; after a batch of many calls the next one is gathered for longer. The events of a
batch are built once, in a thread, and all readers get the same bytes. A reader has no queue, only a
position in the `EventLog`, so that back-pressure costs no memory. A reader that reads too slowly
starts again, once events after its position are not kept any more.
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
from images_emulator.state.random_ids import random_id
from images_emulator.state.store import LogChange
from images_emulator.web.admin.journal_json import stream_events, summary
from images_emulator.web.admin.state_json import clock_state, scenario_state, settings_json

GATHER_SECONDS: Final = 0.1
"""The shortest time for which a batch is gathered, in seconds."""

SECONDS_PER_CALL: Final = 0.025
"""The shortest time between the ends of two batches, in seconds for each call of the first one
that was told. So even in a rush, at most 40 calls are told a second."""

MAX_BATCH_CALLS: Final = 20
"""The most calls of a batch that are told one by one: the newest. The others are counted."""

MAX_GATHERED_CALLS: Final = 100
"""The most calls whose notes a batch keeps while it is gathered."""

REFRESH_SECONDS: Final = 1.0
"""Seconds between two refreshes of a shared store for readers, because other processes change its
registers."""

RETRY_SECONDS: Final = 1.0
"""Seconds after an error until a batch is told, or the store watched, anew."""

WATCH_SECONDS: Final = 1.0
"""The longest time for which the first reader waits until a shared store tells of the other
processes, in seconds."""

RESUME_SECONDS: Final = 10.0
"""Seconds within which a reader that has left may come back and miss nothing."""

MAX_EVENTS: Final = 1000
MAX_EVENT_BYTES: Final = 4 * 2**20
"""Number and bytes of the events that are kept for a reader that comes back."""

MAX_CHUNK_BYTES: Final = 256 * 1024
"""Bytes that a reader is sent at once, about: the last event may pass them."""

RETRY_MS: Final = 1000
"""Milliseconds after which a browser connects again."""

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
        self._events: deque[bytes] = deque()
        self._bytes = 0

    def append(self, name: str, data: bytes) -> None:
        """Add the event *name*, whose *data* is one line."""
        self.last += 1
        event_bytes = self.encode(name, data)
        self._events.append(event_bytes)
        self._bytes += len(event_bytes)
        while len(self._events) > MAX_EVENTS or self._bytes > MAX_EVENT_BYTES:
            self._bytes -= len(self._events.popleft())

    def encode(self, name: str, data: bytes) -> bytes:
        """The bytes of an event with the id of the newest one."""
        return b"id: %s-%d\nevent: %s\ndata: %s\n\n" % (
            self.run.encode(),
            self.last,
            name.encode(),
            data,
        )

    def position_of(self, event_id: str) -> int | None:
        """The number in the id *event_id*. None where the id is not of this log, or where the
        events after it are not all kept any more."""
        run, _, number = event_id.rpartition("-")
        is_number = number.isascii() and number.isdigit() and len(number) <= MAX_DIGITS
        if run != self.run or not is_number:
            return None
        position = int(number)
        return position if self._oldest <= position + 1 <= self.last + 1 else None

    def after(self, position: int) -> tuple[bytes, int] | None:
        """The next events after number *position*, and the number of the last of them. The bytes
        are empty where there are no such events yet. None where some of them are not kept any
        more."""
        start = position + 1 - self._oldest
        if start < 0:
            return None
        chunk, size = [], 0
        for number in range(start, len(self._events)):
            event_bytes = self._events[number]
            chunk.append(event_bytes)
            size += len(event_bytes)
            if size >= MAX_CHUNK_BYTES:
                break
        return b"".join(chunk), position + len(chunk)

    @property
    def _oldest(self) -> int:
        return self.last - len(self._events) + 1


@dataclass(slots=True)
class _CallNotes:
    """The notes of a batch on one call. *exchange* is None for a call of another process."""

    exchange: Exchange | None
    arrived: bool = False
    completed: bool = False
    events: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Batch:
    """The notes that were gathered: calls by id in the order of their first notes, names of changed
    registers, and what was cleared. *skipped* is the number of calls whose notes were removed.
    *has_gap* says whether there may have been changes without a note."""

    calls: dict[str, _CallNotes] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    cleared: Cleared | None = None
    skipped: int = 0
    has_gap: bool = False

    def __bool__(self) -> bool:
        return bool(self.calls or self.changed or self.cleared or self.skipped or self.has_gap)

    @property
    def cleared_json(self) -> bytes:
        """The data of the event `cleared`."""
        return _JSON.dump_json({"what": self.cleared})

    def note_call(self, change: LogChange, exchange: Exchange | None = None) -> None:
        """Note the *change* of a call. *exchange* is None for a call of another process."""
        notes = self.notes_of(change.key, exchange)
        if change.kind == "added":
            notes.arrived = True
        elif change.event_index is None:
            notes.completed = True
        else:
            notes.events.append(change.event_index)
        if len(self.calls) > MAX_GATHERED_CALLS:
            self.shrink()

    def notes_of(self, call_id: str, exchange: Exchange | None = None) -> _CallNotes:
        notes = self.calls.get(call_id)
        if notes is None:
            notes = self.calls[call_id] = _CallNotes(exchange)
        return notes

    def note_clearing(self, what: Cleared) -> None:
        # The notes stay: some may be of calls after the clearing. Notes of earlier calls are told
        # to nobody, because the journal has no such calls any more.
        self.skipped = 0
        self.cleared = "all" if "all" in (what, self.cleared) else what

    def shrink(self) -> None:
        """Keep only the newest calls, which can be told, and count the others."""
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
    """The feed of one emulator to the readers on one event loop, the loop of the first reader: see
    `AdminContext.feed`. What happens in other threads, such as the event loop of another server, is
    noted on that loop. A `JournalObserver`."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.readers: set[Reader] = set()
        self._log: EventLog | None = None
        """The events that were told; None while nothing is observed."""
        self._batch = _Batch()
        self._next_batch_at = 0.0
        """The earliest time at which the next batch may end, by the loop's clock."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        """The thread of the event loop."""
        self._timer: asyncio.TimerHandle | None = None
        self._telling: asyncio.Task[None] | None = None
        self._linger: asyncio.TimerHandle | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._watch_settled = asyncio.Event()
        """Set once the store tells of the calls of other processes, or once the first reader gives
        up waiting for that. Changes before then need no `restart`: no reader has passed the wait in
        `read` yet."""

    # --- readers

    async def read(self, reader: Reader, last_id: str | None) -> AsyncGenerator[bytes, None]:
        """The events from now on, or after the event with the id *last_id*, until *reader* ends.
        Where the events after that one are not all kept, a `restart` takes their place."""
        telling = self._telling
        log = self._join(reader)
        try:
            if telling:
                await asyncio.wait([telling])
            if self._watching:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._watch_settled.wait(), WATCH_SECONDS)
                self._watch_settled.set()
            position = log.position_of(last_id) if last_id else log.last
            if position is not None:
                # An id without data is no event, but a reader that comes back sends this id.
                yield b"retry: %d\nid: %s-%d\n\n" % (RETRY_MS, log.run.encode(), position)
            while not reader.is_over:
                reader.awake.clear()
                events = None if position is None else log.after(position)
                if events is None:
                    position = log.last
                    yield log.encode("restart", b"{}")
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
            add_observer(store, self._on_register_change)
            if store.is_shared:
                self._refreshing = asyncio.ensure_future(self._refresh())
                # An earlier `_watch` that was cancelled may still set the event that it was given.
                self._watch_settled = asyncio.Event()
                self._watching = asyncio.ensure_future(self._watch(self._watch_settled))
        if self._batch.cleared and not self._telling:
            # A new reader loads the calls after this, and would drop them at a later `cleared`.
            self._log.append("cleared", self._batch.cleared_json)
            self._batch.cleared = None
        self._schedule()
        return self._log

    def _leave(self, reader: Reader) -> None:
        self.readers.discard(reader)
        if not self.readers and self._loop:
            self._linger = self._loop.call_later(RESUME_SECONDS, self._close)

    def _close(self) -> None:
        """Observe nothing more, and drop what was told."""
        remove_observer(self.emulator.journal, self)
        remove_observer(self.emulator.store, self._on_register_change)
        for waiting in (self._timer, self._refreshing, self._watching):
            if waiting and self._loop and not self._loop.is_closed():
                waiting.cancel()
        self._log = self._loop = self._timer = self._linger = None
        self._refreshing = self._watching = None
        self._batch = _Batch()

    async def _refresh(self) -> None:
        """Refresh the store while there are readers: otherwise only calls refresh it."""
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                if self.readers:
                    await self.emulator.store.refresh()
            except Exception:
                logger.exception("the live feed cannot refresh the store")

    async def _watch(self, settled: asyncio.Event) -> None:
        """Note what other processes do to the journal. Set *settled* at the end. After an error it
        begins anew, and the readers load everything again."""
        while True:
            try:
                await self.emulator.journal.watch(self._on_store_change)
                return
            except Exception:
                logger.exception("the live feed cannot watch the store")
            finally:
                settled.set()
            await asyncio.sleep(RETRY_SECONDS)
            self._batch.has_gap = True
            self._schedule()

    # --- what happens. The store calls this one on the event loop.

    def _on_store_change(self, change: LogChange) -> None:
        if change.kind == "gap":
            self._batch.has_gap |= self._watch_settled.is_set()
            self._watch_settled.set()
            self._schedule()
        elif change.kind == "cleared":
            self._gather(lambda batch: batch.note_clearing("requests"))
        else:
            self._gather(lambda batch: batch.note_call(change))

    # These are called in any thread.

    def on_arrival(self, exchange: Exchange) -> None:
        self._note_call_change(LogChange("added", exchange.id), exchange)

    def on_event(self, exchange: Exchange, index: int) -> None:
        self._note_call_change(LogChange("amended", exchange.id, index), exchange)

    def on_completion(self, exchange: Exchange) -> None:
        self._note_call_change(LogChange("amended", exchange.id), exchange)

    def on_clear(self) -> None:
        self._gather_on_loop(lambda batch: batch.note_clearing("requests"))

    def _note_call_change(self, change: LogChange, exchange: Exchange) -> None:
        self._gather_on_loop(lambda batch: batch.note_call(change, exchange))

    def _on_register_change(self, name: str) -> None:
        if name == "resets":
            self._gather_on_loop(lambda batch: batch.note_clearing("all"))
        elif name in ("settings", "clock", "scenario"):
            self._gather_on_loop(lambda batch: batch.changed.add(name))

    def _gather_on_loop(self, note: Callable[[_Batch], None]) -> None:
        """Gather *note* on the event loop."""
        loop = self._loop
        if loop is None:
            return
        if get_ident() == self._thread and not loop.is_closed():
            self._gather(note)
            return
        try:
            loop.call_soon_threadsafe(self._gather, note)
        except RuntimeError:
            # The loop is closed: its server ended while a reader might have come back.
            self._close()

    # --- batches

    def _gather(self, note: Callable[[_Batch], None]) -> None:
        """Add what *note* notes to the batch. It is called on the event loop."""
        note(self._batch)
        self._schedule()

    def _schedule(self) -> None:
        if self._loop and self._batch and not (self._timer or self._telling):
            at = max(self._loop.time() + GATHER_SECONDS, self._next_batch_at)
            self._timer = self._loop.call_at(at, self._end_batch)

    def _end_batch(self) -> None:
        self._timer = None
        if self.readers:
            self._telling = asyncio.ensure_future(self._tell())
        else:
            # No events are built here, because perhaps nobody will read them.
            self._batch.shrink()

    async def _tell(self) -> None:
        batch, self._batch = self._batch, _Batch()
        try:
            events = await asyncio.to_thread(lambda: [*self._events(batch)])
            for name, data in events if self._log else ():
                assert self._log
                self._log.append(name, data)
            count = min(len(batch.calls), MAX_BATCH_CALLS)
            self._next_batch_at = asyncio.get_running_loop().time() + count * SECONDS_PER_CALL
            for reader in self.readers:
                reader.awake.set()
        except Exception:
            logger.exception("the live feed failed")
            # The readers have to load again what the batch would have told.
            self._batch.has_gap = True
            self._next_batch_at = asyncio.get_running_loop().time() + RETRY_SECONDS
        finally:
            self._telling = None
            self._schedule()

    def _events(self, batch: _Batch) -> Iterator[tuple[str, bytes]]:
        """The events of *batch*, in their order; for a thread, since bodies may have to be parsed,
        and the store may block."""
        emulator = self.emulator
        journal = emulator.journal
        if batch.has_gap:
            yield "restart", b"{}"
        if batch.cleared:
            yield "cleared", batch.cleared_json
            # Calls may have come after the clearing, before this batch noted it.
            calls = {}
            for exchange in journal.summaries():
                calls[exchange.id] = notes = batch.notes_of(exchange.id)
                notes.arrived = True
                notes.completed = exchange.has_ended
        else:
            calls = batch.calls
        # The others are not even read: in a shared store each may have megabytes.
        newest = dict([*calls.items()][-MAX_BATCH_CALLS:])
        pairs = zip(newest.values(), journal.get_all([*newest]), strict=True)
        noted_calls = [(notes, notes.exchange or each) for notes, each in pairs if each]
        for notes, exchange in noted_calls:
            yield from _call_events(notes, exchange)
        skipped = batch.skipped + len(calls) - len(newest)
        if emulator.scenario and (
            skipped
            or any(
                notes.completed and (call.fault or call.own_answer) for notes, call in noted_calls
            )
        ):
            # A call may be one more that has met a step.
            batch.changed.add("scenario")
        if skipped:
            yield "skipped", _JSON.dump_json({"count": skipped})
        if "settings" in batch.changed:
            yield "settings", _JSON.dump_json(settings_json(emulator))
        if "clock" in batch.changed:
            yield "clock", _JSON.dump_json(clock_state(emulator))
        if "scenario" in batch.changed:
            yield "scenario", _JSON.dump_json(scenario_state(emulator))


def _call_events(notes: _CallNotes, exchange: Exchange) -> Iterator[tuple[str, bytes]]:
    """The events of one call. A call that is over is told by `completed` alone."""
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

"""The namespaces of a server, for tests that share it: each is an emulator with its application,
made at its first call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import partial
from threading import Lock
from time import time
from typing import Any, Final

from starlette.types import ASGIApp

from images_emulator.contract import emulator_errors
from images_emulator.contract.message_format import mask_key
from images_emulator.contract.refusal import APIError
from images_emulator.exchange.credentials import redacted_text
from images_emulator.immutable import Immutable
from images_emulator.namespace_names import DEFAULT_NAMESPACE, check_name, name_of_key
from images_emulator.setting_values import NamespaceBy
from images_emulator.state.emulator import Emulator
from images_emulator.state.store import Codec, Packed, Records
from images_emulator.threads import DaemonThreadPool

MIN_IDLE_SECONDS: Final = 60
"""Seconds since its last call after which a namespace may make room for another one. With a shared
store it may do so at once, because its state stays there."""

STOP_SECONDS: Final = 2
"""Seconds that the stop of a server waits for namespaces that are being opened."""


class NamespaceState(Immutable):
    """A namespace as the admin API lists it. *calls* is the number of calls since its last reset.
    *last_used* is the machine's time of its last call, to the API or to the admin API."""

    name: str
    calls: int
    last_used: datetime


class _Use(Immutable):
    """The last use of a namespace, as a shared store has it. *time* is in seconds since 1970."""

    name: str
    time: float


_USE_CODEC: Final[Codec[_Use]] = Codec(
    lambda use: Packed({"name": use.name, "time": use.time}),
    lambda packed: _Use(packed.document["name"], packed.document["time"]),
)


class Phase(Enum):
    """Whether a namespace that is open in a process has begun."""

    NOT_BEGUN = "not begun"
    """It was only looked at. No call or change has begun it."""
    BEGUN = "begun"
    """The admin API lists it."""
    DELETED = "deleted"
    """It is there for its open calls alone, until it begins again."""


class Namespace:
    """A namespace that this process has open."""

    def __init__(self, name: str, emulator: Emulator, app: ASGIApp) -> None:
        self.name = name
        self.emulator = emulator
        self.app = app
        """The application of the emulator."""
        self.open_calls = 0
        """The calls that are being answered, and the open pages."""
        self.last_used = time()
        self.phase = Phase.NOT_BEGUN

    @property
    def is_listed(self) -> bool:
        """Whether the admin API lists the namespace."""
        return self.phase is Phase.BEGUN


class Namespaces:
    """The namespaces beside the default one. The settings of the *default* emulator say how many
    there may be, and when an idle one is forgotten. *make_app* makes the application of an
    emulator.

    Where the store is shared, another process may have the same namespace open. The store has the
    names and the state of all namespaces. A process that forgets a namespace leaves both: the store
    forgets them by their time to live.
    """

    def __init__(
        self, default: Emulator, make_app: Callable[[Emulator, Namespaces], ASGIApp]
    ) -> None:
        self.default = default
        self.default_app = make_app(default, self)
        """The application of the default emulator."""
        self.observers: tuple[Callable[[Emulator], None], ...] = ()
        """Called with the emulator of each namespace, before its first call. Any thread may replace
        the tuple."""
        self._make_app = make_app
        self._by_key = default.settings.namespace_by == NamespaceBy.KEY
        self._keys = frozenset(default.settings.api_key)
        self._idle_seconds = default.settings.namespace_idle
        self._max_count = default.settings.max_namespaces
        self._by_name: dict[str, Namespace] = {}
        """The namespaces that are open in this process."""
        self._opening_thread = DaemonThreadPool(1, thread_name_prefix="namespace")
        """The thread in which namespaces are opened, one after the other: it reads files, or waits
        for a shared store. In the threads of the event loop's own, many that begin at the same time
        would leave none to the admin API."""
        self._lock = Lock()
        """Held while open calls are counted, while the phase of a namespace in `_by_name` changes,
        and while namespaces without open calls are forgotten.
        The thread in which a namespace begins forgets some, too, to make room."""
        self._loop: asyncio.AbstractEventLoop | None = None
        """The server's event loop, once a namespace has begun."""
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        """The tasks that note uses in a shared store, or end namespaces that were forgotten."""
        self._openings: set[asyncio.Future[Namespace]] = set()
        """The futures of the namespaces that are being opened."""
        store = default.store
        self._uses = (
            store.records("namespaces", self._max_count, _USE_CODEC) if store.is_shared else None
        )

    def name_of_api_key(self, key: str) -> str:
        """The name of the namespace of an API *key*. Raises ValueError for a key that has none."""
        return check_name(key if key == DEFAULT_NAMESPACE else name_of_key(key, mask_key(key)))

    async def resolve_name(self, text: str, key: str = "", *, prefers_key: bool = False) -> str:
        """The name of the namespace that a call names by *text*. Raises ValueError for a text that
        is no name.

        Where API keys have namespaces, the text may be a key, and the name of the namespace does
        not tell the key. The text is taken for a key where it

        - is the *key* of the call, or a key of the settings,
        - looks like a key,
        - is a key that has called already, or
        - with *prefers_key*, is not the name of a namespace that has begun.

        Any other text is a name.
        """
        if not self._by_key or text == DEFAULT_NAMESPACE:
            return check_name(text)
        name = name_of_key(text, mask_key(text))
        if name != text and (
            text == key
            or text in self._keys
            or redacted_text(text) != text
            or await self._is_listed(name)
            or (prefers_key and not await self._is_listed(text))
        ):
            return check_name(name)
        return check_name(text)

    async def _is_listed(self, name: str) -> bool:
        """Whether there is a namespace *name*, in this process or in the shared store. Where the
        store is away, only this process counts."""
        if self._uses:
            with suppress(APIError):
                use = await self._uses.get(name)
                return use is not None and use.time >= self._idle_cutoff()
        namespace = self._by_name.get(name)
        return namespace is not None and namespace.is_listed

    def _idle_cutoff(self) -> float:
        """The least time of last use, by `time`, at which a namespace is not forgotten yet."""
        return time() - self._idle_seconds

    async def acquire(self, name: str, *, begins: bool) -> Namespace:
        """The namespace *name*, with one more open call, which the caller has to `release`. Where
        there is none, *begins* makes one that is kept; otherwise the call gets an empty one for
        itself. Raises APIError where the namespace cannot begin."""
        namespace = await self._find_or_open(name, begins=begins)
        if not begins and self._uses:
            # Another process may have begun it, or deleted it.
            try:
                is_listed = await self._is_listed(name)
                with self._lock:
                    # The use by a call that begins it now may not be noted yet.
                    if is_listed or namespace.open_calls == 1:
                        namespace.phase = Phase.BEGUN if is_listed else Phase.NOT_BEGUN
            except BaseException:
                self.release(namespace)
                raise
        namespace.last_used = now = time()
        if self._uses and namespace.is_listed:
            # The note is sent with the first operations of the call, in one round trip.
            self._run(self._note_use(self._uses, name, now))
        return namespace

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run *work* beside the calls."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _note_use(self, uses: Records[_Use], name: str, now: float) -> None:
        """Tell the shared store that the namespace *name* is used *now*."""
        moment = datetime.fromtimestamp(now, UTC)
        expiry = moment + timedelta(seconds=self._idle_seconds)
        # Where the store is away, the call says so, or goes on without it.
        with suppress(APIError):
            await uses.put({name: _Use(name, now)}, 1, now=moment, expiry=expiry)

    def release(self, namespace: Namespace) -> None:
        """A call of *namespace* has ended."""
        with self._lock:
            namespace.open_calls -= 1
            if namespace.open_calls:
                return
            namespace.last_used = time()
            # On a shared store, a call that only reads opens one that another process has begun,
            # whether there is room or not. Its state stays in the store.
            if not namespace.is_listed or self._is_surplus:
                self._drop(namespace)

    async def _collect_uses(self) -> list[_Use]:
        """The last uses of the namespaces beside the default one."""
        self._sweep()
        if self._uses:
            oldest = self._idle_cutoff()
            return [use for use in await self._uses.all() if use.time >= oldest]
        return [
            _Use(each.name, each.last_used) for each in [*self._by_name.values()] if each.is_listed
        ]

    async def count(self) -> int:
        """The number of namespaces beside the default one. Raises APIError where the store is
        away."""
        return len(await self._collect_uses())

    async def all(self) -> list[NamespaceState]:
        """The namespaces beside the default one, in the order of their names."""
        last_used = {use.name: use.time for use in await self._collect_uses()}
        names = sorted(last_used)
        counts = await asyncio.gather(*(self._count_calls(name) for name in names))
        return [
            NamespaceState(name, count, datetime.fromtimestamp(last_used[name], UTC))
            for name, count in zip(names, counts, strict=True)
        ]

    async def delete(self, name: str) -> None:
        """Forget the namespace *name* and all that it has. In a shared store, a call that is still
        in flight may leave its entry, pictures or file behind, which the next namespace of this
        name then has. Raises KeyError where there is none, APIError where the store is away."""
        if self._uses:
            if not await self._uses.get(name):
                raise KeyError(name)
        elif not self._by_name[name].is_listed:
            raise KeyError(name)
        namespace = await self._find_or_open(name, begins=False)
        try:
            if self._uses:
                # Other processes have copies of its registers, which a reset changes.
                await asyncio.to_thread(_reset, namespace.emulator)
                # Last: where the store fails before, the name is there to be deleted again.
                await self._uses.delete(name)
            with self._lock:
                namespace.phase = Phase.DELETED
                has_other_calls = namespace.open_calls > 1
            if has_other_calls and not self._uses:
                await asyncio.to_thread(_reset, namespace.emulator)
        finally:
            self.release(namespace)

    async def stop(self) -> None:
        """Stop all emulators; one that fails keeps no other from its stop. A namespace that is
        still being opened after `STOP_SECONDS` is given up, as its folder may hang. No namespace
        can be opened afterwards. The server awaits this when it stops."""
        if self._timer:
            self._timer.cancel()
        async with AsyncExitStack() as stack:
            # It waits for no thread.
            stack.callback(self._opening_thread.shutdown, cancel_futures=True)
            if self._openings:
                _, late = await asyncio.wait([*self._openings], timeout=STOP_SECONDS)
                for opening in late:
                    opening.cancel()
            stack.push_async_callback(self.default.stop)
            for namespace in [*self._by_name.values()]:
                stack.push_async_callback(namespace.emulator.stop)
            if self._tasks:
                await asyncio.wait([*self._tasks])

    async def _count_calls(self, name: str) -> int:
        """The calls of a namespace, be it open in this process or not."""
        if namespace := self._by_name.get(name):
            return await namespace.emulator.journal.arrived_count()
        return await self.default.journal_of_namespace(name).arrived_count()

    async def _find_or_open(self, name: str, *, begins: bool) -> Namespace:
        """The namespace *name*, with one more open call. *begins* says whether the call begins it.
        Raises APIError where it cannot begin."""
        if namespace := self._take(name, begins=begins):
            return namespace
        self._loop = asyncio.get_running_loop()
        opening = self._loop.run_in_executor(
            self._opening_thread, partial(self._open_namespace, name, begins=begins)
        )
        self._openings.add(opening)
        opening.add_done_callback(self._openings.discard)
        try:
            # A caller that is cancelled while it waits does not cancel the opening.
            await asyncio.wait([opening])
        except asyncio.CancelledError:
            opening.add_done_callback(self._release_unused)
            raise
        namespace = opening.result()
        self._schedule()
        return namespace

    def _release_unused(self, opening: asyncio.Future[Namespace]) -> None:
        """Release a namespace whose first call was cancelled before it was open."""
        if not (opening.cancelled() or opening.exception()):
            self.release(opening.result())
            self._schedule()

    def _take(self, name: str, *, begins: bool) -> Namespace | None:
        """Count one more open call of the namespace *name*, and return it. None where it is not
        open, or where it must have begun (*begins*) and has not."""
        with self._lock:
            namespace = self._by_name.get(name)
            if namespace is None or (begins and not namespace.is_listed):
                return None
            namespace.open_calls += 1
            return namespace

    def _open_namespace(self, name: str, *, begins: bool) -> Namespace:
        """The namespace *name*, with one more open call. *begins* says whether the call begins it.
        Blocks; called in the thread of `_opening_thread` alone. Raises APIError."""
        if namespace := self._take(name, begins=begins):
            return namespace
        if begins:
            self._sweep()
            self._raise_if_full()
            if namespace := self._take(name, begins=False):
                self._begin(namespace)
                return namespace
        return self._make_namespace(name, begins=begins)

    def _begin(self, namespace: Namespace) -> None:
        """Begin an open namespace that was only looked at, or deleted. Where there is no room for
        it, raises APIError and releases it."""
        try:
            self._make_room()
            if namespace.phase is Phase.DELETED and not self._uses:
                # Its open calls may have left something since.
                _reset(namespace.emulator)
        except BaseException:
            self.release(namespace)
            raise
        with self._lock:
            namespace.phase = Phase.BEGUN

    def _make_namespace(self, name: str, *, begins: bool) -> Namespace:
        """A namespace that was not open, with its first open call. Raises APIError where its
        emulator cannot be made, or it *begins* and there is no room for it."""
        try:
            emulator = self.default.for_namespace(name)
        except (OSError, ValueError) as error:
            reason = str(error).rstrip(".")
            raise emulator_errors.unavailable_namespace(name=name, reason=reason) from None
        if begins:
            try:
                # Not before: a namespace that cannot begin ends no other.
                self._make_room()
            except BaseException:
                emulator.close()
                raise
        for observer in self.observers:
            observer(emulator)
        namespace = Namespace(name, emulator, self._make_app(emulator, self))
        namespace.open_calls, namespace.phase = 1, Phase.BEGUN if begins else Phase.NOT_BEGUN
        with self._lock:
            self._by_name[name] = namespace
        return namespace

    def _raise_if_full(self) -> None:
        """Raise APIError where there is no room for one more namespace, and none can be made. So no
        emulator is made in vain; `_make_room` asks once more."""
        with self._lock:
            self._to_evict()

    def _make_room(self) -> None:
        """Make room for one more namespace: drop those that were used longest ago, where there
        are too many. Raises APIError where too few are idle: see `_to_evict`."""
        with self._lock:
            for each in self._to_evict():
                self._drop(each)

    def _to_evict(self) -> Sequence[Namespace]:
        """The namespaces that have to be dropped for one more. Raises APIError where too few are
        idle: without open calls and, without a shared store, without a call for
        `MIN_IDLE_SECONDS`. The lock is held."""
        surplus = max(self._surplus + 1, 0)
        # With a shared store, one may go at once: its state stays in the store.
        latest = time() - (0 if self._uses else MIN_IDLE_SECONDS)
        idle = [
            namespace
            for namespace in self._by_name.values()
            if namespace.is_listed and not namespace.open_calls and namespace.last_used <= latest
        ]
        if len(idle) < surplus:
            raise emulator_errors.too_many_namespaces(count=str(self._max_count))
        return sorted(idle, key=lambda each: each.last_used)[:surplus]

    @property
    def _is_surplus(self) -> bool:
        """Whether more namespaces of a shared store are open than there may be. The lock is
        held."""
        # A surplus implies that number of open ones. Asked first, it spares most calls the count.
        return bool(self._uses) and len(self._by_name) > self._max_count and self._surplus > 0

    @property
    def _surplus(self) -> int:
        """How many more namespaces have begun than there may be open. It is below 0 where there is
        room for others. The lock is held."""
        return sum(each.is_listed for each in self._by_name.values()) - self._max_count

    def _drop(self, namespace: Namespace) -> None:
        """Drop a namespace that has no open calls. The lock is held."""
        self._by_name.pop(namespace.name, None)
        namespace.emulator.close()
        if self._loop and namespace.emulator.cleanup_callbacks:
            # This may be a thread in which another namespace begins.
            self._loop.call_soon_threadsafe(lambda: self._run(namespace.emulator.clean_up()))

    def _sweep(self) -> None:
        """Drop the namespaces that are idle for too long."""
        oldest = self._idle_cutoff()
        with self._lock:
            for namespace in [*self._by_name.values()]:
                if not namespace.open_calls and namespace.last_used < oldest:
                    self._drop(namespace)

    def _schedule(self) -> None:
        """Sweep when the first namespace may be idle for too long, also without a call."""
        times = [each.last_used for each in [*self._by_name.values()]]
        if self._timer is None and times:
            first = min(times)
            seconds = max(first + self._idle_seconds - time(), 0) + 1
            self._timer = asyncio.get_running_loop().call_later(seconds, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._sweep()
        self._schedule()


def _reset(emulator: Emulator) -> None:
    """Reset the *emulator* of a namespace that is deleted. Where the folder of pictures has
    mistakes by now, its earlier answers stay: they do not outlive the namespace in this process."""
    try:
        emulator.reset()
    except ValueError:
        emulator.reset(reads_pictures=False)

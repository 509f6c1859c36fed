"""The store: the backend that persists the state which outlives a call. Several processes can share
a store that implements its protocol.

A store hands out five kinds of containers, each under a name:

- `Register`: one value that every call reads: the clock's setting, the changed settings, the
  account, the steps of the scenario with the files of their answers, the number of resets, the
  number of times that the recordings were begun anew.
- `Records`: values by key within a budget, in bytes or another unit: hosted pictures, uploaded
  files, the names of namespaces.
- `Counters`: the number of calls that each step of the scenario has matched, and the number that
  got its fault or its answer; the recordings that were played.
- `Buckets`: token buckets of the rate limit.
- `Log`: entries in their order, within a number and a budget of bytes: the journal.

Operations are coroutines, because the client of a shared store waits on the event loop. Those of
`MemoryStore` never suspend, so awaiting one costs as much as a function call. Registers are read
without waiting, because each call reads several. A shared store keeps copies of its registers. When
a call arrives, the copies are brought up to date, by its entry in a log or by `Store.refresh`. A
thread without an event loop (a test's, the image decoder's) calls `Store.run`.

What is atomic:

- Each method of a container, among threads and, in a shared store, among processes: nobody sees
  half of it.
- A claim together with its tokens (`PendingTake`), in a shared store.
- No other two operations together. A reset consists of many operations, so calls may come between
  them.

What is sent together: a shared store sends operations in one round trip that are begun in one
iteration of the event loop, or by tasks that were ready to run before the first of them was begun.
An operation is begun when its coroutine first runs. Callers count on this for speed alone, such as
`FaultSearch.start_early_search`, whose claim goes with the entry of its call in the journal. What
suspends before one of the operations parts them: each then takes a round trip of its own.

What is raised, beside what the methods say:

- By a store in the process: nothing.
- By the coroutines of containers, where a shared store is away or refuses the operation, such as a
  value that is too long for it: the APIError `store_unavailable`, and no exception of the store's
  client. `Router` makes an answer of an APIError; a middleware that awaits a container does so
  itself.
- Not by `Register.update_soon`, `Log.append`, `Log.amend` and `Store.refresh`: their docstrings
  say what they do instead.

A value that the codec cannot unpack, such as one that a newer release has written, raises nothing:
`Records` and `Log` leave it out, and `Register` says what becomes of it.

Values are Python objects. `MemoryStore` keeps the objects. A store outside the process uses a
`Codec`, which turns them into JSON and bytes, never into a pickle.

A store has no clock. A method that depends on the time takes it as *now*, from the emulator's
clock, which a test may move.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from hashlib import sha1
from json import JSONEncoder
from json.encoder import c_make_encoder, encode_basestring_ascii  # type: ignore[attr-defined] # typeshed lacks it
from typing import Any, Final, Generic, Literal, NamedTuple, Protocol, TypeVar

from images_emulator.contract.refusal import APIError
from images_emulator.immutable import Immutable

T = TypeVar("T")


def _encoder() -> Callable[[Any], str]:
    """A function that encodes values as JSON. `JSONEncoder` makes an encoder for each value, which
    takes longer than to encode a small value."""
    if c_make_encoder is None:
        return JSONEncoder(separators=(",", ":")).encode
    encode = c_make_encoder(
        None, JSONEncoder().default, encode_basestring_ascii, None, ":", ",", False, False, True
    )
    return lambda value: "".join(encode(value, 0))


_encode: Final = _encoder()


class Packed(NamedTuple):
    """A value in the form that it has outside the process: a JSON object, and bytes beside it.

    *members* are more members of the object, as JSON text without braces: members that many values
    share are encoded once. A value that was read has none.
    """

    document: Mapping[str, Any]
    data: bytes = b""
    members: str = ""

    def json(self) -> str:
        """The object as JSON, in one line."""
        text = _encode(self.document)
        if not self.members:
            return text
        return f"{text[:-1]},{self.members}}}" if self.document else f"{{{self.members}}}"


class Codec(Immutable, Generic[T]):
    """Turns the values of one container into JSON and bytes, and back."""

    pack: Callable[[T], Packed]
    unpack: Callable[[Packed], T]


NUMBER_CODEC: Final[Codec[int]] = Codec(
    lambda number: Packed({"number": number}), lambda packed: int(packed.document["number"])
)
"""Packs the number of a register that counts."""


class LogCodec(Immutable, Generic[T]):
    """Turns the entries of a log into JSON and bytes, and back. The result of *pack_amended* is
    kept beside the result of *pack_new*. *unpack* gets the members of both and the last bytes. Of
    two members with one name it gets the one of *pack_amended*."""

    pack_new: Callable[[T], Packed]
    pack_amended: Callable[[T], Packed]
    unpack: Callable[[Packed], T]


class ContainerSize(NamedTuple):
    """The *number* of the values in a container, and their *weight*, in the unit of its budget:
    about the bytes that they take together, or 1 for each."""

    number: int
    weight: int


class Register(Protocol[T]):
    """One immutable value, which may have megabytes.

    Where a shared store has a value that the codec cannot unpack, this object keeps the value that
    it had, and the log has a warning. `update` then changes the kept value, and replaces the one of
    the store. `update_soon` changes nothing.
    """

    @property
    def value(self) -> T: ...

    async def update(self, change: Callable[[T], T]) -> T:
        """Replace the value with the result of *change*, and return the new value. The update is
        atomic, so a store calls *change* again each time that another process came first, without a
        limit. If *change* raises, the value stays."""
        ...

    async def update_soon(self, change: Callable[[T], T]) -> None:
        """Do what `update` does, for a change that may be lost. A shared store makes it together
        with its next operation, and not at all where that fails."""
        ...


class Records(Protocol[T]):
    """Values by key, oldest first, within a budget, which is in the unit of their weights: bytes,
    or 1 for each. Beyond the budget the oldest values are dropped."""

    async def put(
        self,
        values: Mapping[str, T],
        weight: int,
        *,
        now: datetime | None = None,
        expiry: datetime | None = None,
        soon: bool = False,
    ) -> None:
        """Store *values* by their keys, each of that *weight*. Records that have expired
        before *now* are dropped, beginning with the oldest, up to the first that has not expired.
        Where *weight* is more than the budget, nothing is stored or dropped. With *soon*, a shared
        store stores the values together with its next operation."""
        ...

    async def get(self, key: str) -> T | None:
        """The value of *key*, even if it has expired and was not dropped yet; None where there is
        none, or one that cannot be unpacked."""
        ...

    async def delete(self, key: str) -> bool:
        """Delete the record. Return whether there was one."""
        ...

    async def all(self) -> list[T]:
        """The values, oldest first, without those that cannot be unpacked."""
        ...

    async def summary(self, key: str) -> T | None:
        """`get`, but a shared store leaves out the bytes of the packed value, which may be many."""
        ...

    async def summaries(self) -> list[T]:
        """`all`, without bytes as in `summary`."""
        ...

    async def expiries(self, now: datetime) -> list[datetime]:
        """The expiry times of the records that have not expired before *now*, in no order. Records
        that never expire have none."""
        ...

    async def size(self) -> ContainerSize:
        """The size of the records, including expired ones that are not dropped yet."""
        ...

    async def clear(self) -> None:
        """Delete all records."""
        ...


class Quota(Protocol):
    """Decides which claims on a counter are granted. The first *after* claims are not granted. Each
    later claim is granted with *probability*, until *times* claims were granted (None: any number).
    The *seed* decides the chance."""

    @property
    def key(self) -> str: ...
    @property
    def after(self) -> int: ...
    @property
    def times(self) -> int | None: ...
    @property
    def probability(self) -> float: ...
    @property
    def seed(self) -> str: ...


Q = TypeVar("Q", bound=Quota)

MAX_COUNTS: Final = 100_000
"""The most counts that `Counters` keep. Beyond it the least recently claimed ones are dropped, and
are zero again."""


class ClaimCount(NamedTuple):
    """The claims on one counter, and how many of them were granted."""

    claims: int = 0
    grants: int = 0

    def with_claim(self, quota: Quota) -> ClaimCount:
        """The count after one more claim. A claim on a spent quota does not count."""
        if is_spent(quota, self):
            return self
        number = self.claims + 1 - quota.after
        granted = number > 0 and is_lucky(quota, number)
        return ClaimCount(self.claims + 1, self.grants + granted)


def is_spent(quota: Quota, count: ClaimCount) -> bool:
    """Whether no further claim is granted."""
    return quota.times is not None and count.grants >= quota.times


def is_lucky(quota: Quota, number: int) -> bool:
    """Whether chance grants claim *number* (from 1). Seed and number alone decide it, so processes
    that share a counter agree. A Redis script can compute it, too, with `sha1hex`."""
    if quota.probability >= 1:
        return True
    digest = sha1(f"{quota.seed} {number}".encode(), usedforsecurity=False).hexdigest()
    # 52 bits, because a float and a number of Lua hold so many exactly.
    return int(digest[:13], 16) / 16**13 < quota.probability


class ClaimOutcome(NamedTuple, Generic[Q]):
    """The outcome of a claim. *granted* is the quota that granted the claim, with its count; None
    where no quota did. Where it is None, *counts* are those of the keys that the caller asked
    for."""

    granted: tuple[Q, ClaimCount] | None
    counts: Sequence[ClaimCount] = ()


class Counters(Protocol):
    """The numbers of claims and of granted claims on each quota. To begin anew, a quota needs
    another key: a shared store that has lost the counts may restore counts from before a
    `clear`.

    A claim whose outcome did not reach the caller, because the store did not reply or the caller
    was cancelled, is revoked as soon as the store replies. Tokens that were taken with it stay
    taken.
    """

    async def claim(self, quotas: Iterable[Q], asked_keys: Iterable[str] = ()) -> ClaimOutcome[Q]:
        """Make a claim on one quota after the other until one grants it. Return that quota and its
        count; or else None, and the counts of the quotas with *asked_keys*, which may be others. A
        quota of *n* times grants exactly *n* claims to any number of threads and processes."""
        ...

    async def claim_if_fresh(
        self,
        is_fresh: Callable[[], bool],
        quotas: Iterable[Q],
        asked_keys: Iterable[str] = (),
    ) -> ClaimOutcome[Q]:
        """Do what `claim` does, if the registers are up to date. *is_fresh* says whether what the
        caller has read of them still holds; it is called first. Raises StaleRegistersError, and
        claims nothing, where it returns False, and where a shared store has a newer value of a
        register than the process."""
        ...

    async def take_and_claim(
        self,
        pending_take: PendingTake,
        quotas: Iterable[Q],
        asked_keys: Iterable[str] = (),
    ) -> tuple[TakeOutcome, ClaimOutcome[Q]]:
        """Take the tokens, and do what `claim` does if the bucket grants them. A shared store does
        both in one operation. Where the bucket refuses, nothing is claimed: no quota has granted
        the claim, and there are no counts."""
        ...

    async def counts(self, keys: Sequence[str]) -> list[ClaimCount]:
        """The counts of the quotas with these *keys*."""
        ...

    async def clear(self) -> None:
        """Set all counts to zero."""
        ...


class TakeOutcome(NamedTuple):
    """The outcome of a take from a token bucket: whether it was *granted*, and how many tokens are
    *used*, that is, missing from the bucket. After a refusal, the bucket has enough tokens in
    *wait_ms* milliseconds. *wait_ms* is None where the take was granted, or is larger than the
    bucket."""

    granted: bool
    used: int
    wait_ms: int | None = None


class Buckets(Protocol):
    """Token buckets by key. A bucket is full until it is first used."""

    async def take(
        self, key: str, amount: int, *, limit: int, seconds: int, now: datetime
    ) -> TakeOutcome:
        """Take *amount* tokens from a bucket of *limit* tokens, which fills evenly in *seconds*. A
        refusal takes no tokens. Where the clock was moved back, the bucket keeps its tokens, and
        fills on when the clock is again where it was. So processes whose clocks differ a little
        share a limit. Where the clock was moved back by more than *seconds*, the bucket is full."""
        ...

    async def clear(self) -> None:
        """Fill all buckets."""
        ...


class PendingTake(NamedTuple):
    """Tokens to be taken from a bucket, with the arguments of `Buckets.take`. The *buckets* are of
    the same store as the counters."""

    buckets: Buckets
    key: str
    amount: int
    limit: int
    seconds: int
    now: datetime

    async def take(self) -> TakeOutcome:
        """Take the tokens."""
        return await self.buckets.take(
            self.key, self.amount, limit=self.limit, seconds=self.seconds, now=self.now
        )


class StaleRegistersError(Exception):
    """Another process may have changed a register since this one was last refreshed."""


class LogChange(NamedTuple):
    """A change of a log, by any process. *key* names the entry that was added or amended, and
    *event_index* is the one that `Log.amend` was given. The kind `gap` says that there may have
    been other changes, which were not told."""

    kind: Literal["added", "amended", "cleared", "gap"]
    key: str = ""
    event_index: int | None = None


LogWatcher = Callable[[LogChange], None]
"""Receives the changes of a log by other processes, on the event loop that watches. It returns at
once and raises nothing."""


class Log(Protocol[T]):
    """Entries by key, oldest first, within a number and a budget of bytes.

    An entry may have a detachable part, such as a body. Beyond the budget the log drops the oldest
    detachable parts first, then the oldest entries.

    Of a shared store, an entry that the codec cannot unpack is there only for `added_count`, `size`
    and `clear`: the methods that read entries leave it out, and the program's log has a warning.
    """

    def append(self, key: str, entry: T, weight: int) -> Coroutine[Any, Any, int]:
        """Add *entry*, of about *weight* bytes, as the newest. Return its number, which counts from
        1 since the last `clear`. Return 0 where a shared store is away, which gets the entry later,
        and where it refuses the entry, which counts as dropped. A shared store also does what
        `Store.refresh` does."""
        ...

    def amend(
        self, key: str, entry: T, weight: int, *, detachable: bool, event_index: int | None = None
    ) -> Coroutine[Any, Any, None]:
        """Replace an entry in its place. An entry that was dropped meanwhile stays dropped. A
        shared store that is away gets the new entry later; one that refuses it keeps the old. Where
        only one event of the entry is new, *event_index* (from 0) says which, and the watchers are
        told."""
        ...

    async def get(self, key: str) -> T | None:
        """The entry; None where there is none."""
        ...

    async def all(self) -> list[T]:
        """The entries, oldest first."""
        ...

    async def summaries(self) -> list[T]:
        """The entries, oldest first, perhaps without their detachable parts: a shared store sends
        only what is new since it was last asked."""
        ...

    async def newest(self, max_count: int) -> list[T]:
        """The newest entries, at most *max_count*, oldest first: those of the last *max_count* that
        can be unpacked."""
        ...

    async def added_count(self) -> int:
        """The number of entries that were added since the last `clear`, including those that were
        dropped."""
        ...

    async def size(self) -> ContainerSize:
        """The size of the entries that are left."""
        ...

    async def clear(self) -> int:
        """Remove all entries. Return their number."""
        ...

    async def watch(self, watcher: LogWatcher) -> None:
        """Tell *watcher* of changes by other processes, until it is cancelled. Returns at once
        where there can be none."""
        ...

    @property
    def is_watched(self) -> bool:
        """Whether another process watched the log at the last `append` of this process, or may have
        watched it, where the store cannot tell."""
        ...


RegisterObserver = Callable[[str], None]
"""Receives the name of a register after its value has changed, in the thread that changed or
refreshed the register. It returns at once and raises nothing."""


StoreOperationObserver = Callable[[str], AbstractContextManager[object]]
"""Makes a context manager for an operation on a store outside the process, given the operation's
name. The context manager is entered when the operation begins, and left when it has ended or
failed, in the task of the call that needs it. The observer returns at once and raises nothing."""


class StoreAway(NamedTuple):
    """The store at *url* has failed at an operation, for this *reason*: a clause without a full
    stop. The *url* has no credentials."""

    url: str
    reason: str


class StoreBack(NamedTuple):
    """The store at *url* replies again, *seconds* after the first operation that failed.
    *late_entries* entries of logs were written only then, and *dropped_entries* never."""

    url: str
    seconds: float
    late_entries: int
    dropped_entries: int


class StoreRestored(NamedTuple):
    """The store at *url* had lost data, and has again the registers and counts that this process
    knew."""

    url: str


StoreEvent = StoreAway | StoreBack | StoreRestored
"""A change of a store outside the process: it goes, it is back, it is restored after a loss."""

StoreEventObserver = Callable[[StoreEvent], None]
"""Receives each change once for all stores with the same connections, on the event loop that found
it. It returns at once and raises nothing."""


class Store(Protocol):
    """Hands out containers by kind and name. One name stands for one container in all processes
    that share the store. Each container except a register is to be asked for only once: a second
    call may give another object with the same data."""

    observers: tuple[RegisterObserver, ...]
    """The observers that are called after each change of a register: at once if this process made
    it, or in `refresh` or `Log.append` if another process did. `add_observer` adds to them in any
    thread."""

    def register(self, name: str, initial: T, codec: Codec[T]) -> Register[T]:
        """A register; its value is *initial* where the store has none yet. Another call with the
        name gives the same one. Raises OSError where a shared store does not reply."""
        ...

    def records(self, name: str, budget: int, codec: Codec[T]) -> Records[T]:
        """Records whose weights are at most *budget* together."""
        ...

    def counters(
        self, name: str, on_revocation: Callable[[str], Coroutine[Any, Any, None]] | None = None
    ) -> Counters:
        """Counters, all of which are at zero until their first claim. *on_revocation* is awaited
        with the key of each quota whose grant was revoked."""
        ...

    def buckets(self, name: str, max_buckets: int) -> Buckets:
        """Token buckets, all of which are full until they are first used. Beyond *max_buckets*,
        the one whose last granted take is the oldest is dropped."""
        ...

    def log(
        self,
        name: str,
        codec: LogCodec[T],
        *,
        max_entries: int,
        max_bytes: int,
        detach: Callable[[T], int],
    ) -> Log[T]:
        """A log. *detach* removes the detachable part of an entry and returns the bytes that are
        left. In a packed entry the detachable part is `Packed.data`."""
        ...

    def observe_operations(self, observer: StoreOperationObserver) -> None:
        """Let *observer* observe all operations of this store that leave the process, and those of
        stores with the same connections. The same observer is added only once."""
        ...

    def observe_events(self, observer: StoreEventObserver) -> None:
        """Tell *observer* of each change of the backend from now on, where that is outside the
        process."""
        ...

    def for_namespace(self, name: str, ttl_seconds: int) -> Store:
        """The store of a namespace: other containers in the same backend. A shared one forgets them
        at some time between half of *ttl_seconds* and *ttl_seconds* after the last call."""
        ...

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run *work*, a coroutine that awaits only this store, and return its result. It blocks, so
        the thread of the event loop must not call it on a shared store."""
        ...

    @property
    def is_shared(self) -> bool:
        """Whether other processes may change the store; the same as long as the store exists."""
        ...

    @property
    def failure(self) -> APIError | None:
        """The error `store_unavailable`, if the store did not reply when it was last asked; None
        otherwise, and always for a store in the process."""
        ...

    async def refresh(self) -> None:
        """Bring the registers up to date with the writes of other processes. Leave them as they are
        where the store is away. If the store is shared, `Admin` awaits it before the calls of the
        admin API that may see state, the live feed at intervals while it has readers, and
        `Clock.wait_until` ten times a second while answers wait."""
        ...

    async def disconnect(self) -> None:
        """Close the connections of the running event loop. The server awaits it on its loop when it
        stops. A later use opens them again."""
        ...

    def close(self) -> None:
        """Release connections and threads, when the emulator is closed. A test may still read the
        journal: a later use opens them again. It may block, and may be called twice."""
        ...

"""The emulator: one emulated account with all its state. No state of an account is global."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Unpack

from images_emulator.changeable_settings import SettingChanges, changeable_values, new_values
from images_emulator.contract.models import MODELS
from images_emulator.imaging.memory import trim_memory
from images_emulator.lru_cache import CountingLRUCache, LRUCache
from images_emulator.namespace_names import path_of
from images_emulator.observers import add_observer
from images_emulator.rendering.cores import spare_cores
from images_emulator.rendering.renderer import Renderer
from images_emulator.settings import Settings, all_settings
from images_emulator.spelling import suggestion
from images_emulator.state import account, hosted_picture
from images_emulator.state.clock import Clock
from images_emulator.state.files import Files
from images_emulator.state.hosting import Hosting
from images_emulator.state.journal import Journal
from images_emulator.state.open_store import open_store
from images_emulator.state.rate_limits import RateLimits
from images_emulator.state.scenario import Scenario, scenario_of
from images_emulator.state.store import NUMBER_CODEC, Codec, Packed, Store

if TYPE_CHECKING:
    from images_emulator.state.replay import Replay

PREPARED_CACHE_DIVISOR: Final = 4
"""Prepared calls may take as many bytes as the picture cache, divided by this."""


def _settings_codec(initial: Settings) -> Codec[Settings]:
    """A codec that writes only the settings that may change at run time. The other settings, with
    keys and tokens, come from *initial*."""

    def pack(settings: Settings) -> Packed:
        return Packed(changeable_values(settings))

    return Codec(pack, lambda packed: replace(initial, **packed.document))


class _Shared(NamedTuple):
    """What the namespaces of a server share: see the attributes of `Emulator`."""

    renderer: Renderer
    prepared_calls: LRUCache
    logged_notices: dict[str, bytes]

    @classmethod
    def of(cls, initial: Settings) -> _Shared:
        """New caches and notices, by the *initial* settings."""
        cache = CountingLRUCache if initial.metrics else LRUCache
        render_processes = min(initial.render_processes, spare_cores())
        return cls(
            Renderer(initial.cache, render_processes, cache),
            cache(initial.cache // PREPARED_CACHE_DIVISOR),
            {},
        )

    def clear_caches(self) -> None:
        """Drop the prepared calls and the notices."""
        self.prepared_calls.clear()
        self.logged_notices.clear()


class Emulator:
    """One emulated account and its state. A test calls `reset()` between two runs.

    *store* holds the state that outlives a call; None takes the store that the settings name, or
    else this process's memory. Processes that share a store are one account. Caches and data of the
    process are not in the store:

    - `deployments` is read from the settings and never changes.
    - `renderer` and `prepared_calls` are caches. Equal keys give equal values in every process,
      so a process without an entry only computes it again.
    - `logged_notices` keeps the log of this process from repeating itself.

    The emulator of a namespace has the caches and the notices of its *parent*, and begins with its
    scenario and its recordings. Of the files that the settings name, it reads only the folder of
    pictures again; see `for_namespace`.

    Raises ValueError where the scenario or the recordings of the settings are missing or have
    mistakes, or where the model of a deployment does not exist; OSError where the store cannot be
    reached.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        store: Store | None = None,
        *,
        parent: Emulator | None = None,
    ) -> None:
        self.namespace: str | None = None
        """The name of the namespace; None for the default one."""
        self.is_closed = False
        """Whether `close` was called."""
        self.initial_settings = initial = settings or Settings()
        """The settings of the start, to which `reset` returns."""
        self.store: Store = store or open_store(initial.store, initial.store_name)
        """Holds the state that outlives a call."""
        try:
            self._bind(initial, parent)
        except BaseException:
            if store is None:
                self.store.close()
            raise

    def _bind(self, initial: Settings, parent: Emulator | None) -> None:
        """Make the parts: the state in the store, and what this process keeps beside it. Raises
        what the class says."""
        self._settings = self.store.register("settings", initial, _settings_codec(initial))
        self._resets = self.store.register("resets", 0, NUMBER_CODEC)
        self.deployments: dict[str, str] = dict(each.split("=", 1) for each in initial.deployment)
        """The names of Azure's deployments, with their models."""
        for name, model in self.deployments.items():
            if model not in MODELS:
                meant = suggestion(model, MODELS, quote="'")
                raise ValueError(
                    f"deployment: '{name}' is to be '{model}', which is no model{meant}; "
                    "'images-emulator models' lists them"
                )
        self._account = self.store.register("account", account.random_account(), account.CODEC)
        self.clock = Clock(self.store)
        """The clock for the expiry of URLs, the refill of rate limits, the waits of faults, and the
        dates of answers."""
        self.hosting = Hosting(
            self.clock, self.store, self._account, hosted_picture.CODEC, initial.hosted_bytes
        )
        """Pictures by URL."""
        self.files = Files(self.clock, self.store, initial.files_bytes)
        """Uploaded files by id."""
        shared = parent._shared if parent else _Shared.of(initial)
        self._shared: _Shared = shared
        self._is_namespace = parent is not None
        self.renderer = shared.renderer
        """Draws pictures, and caches them."""
        self.prepared_calls = shared.prepared_calls
        """Validated requests, for calls that are repeated, and the events of their streams; see
        `web.images_api.ImagesAPI` and `web.image_responses.ImageResponses`. `reset` of the parent
        empties it."""
        self.journal = Journal(self.store, initial.journal_entries, initial.journal_bytes)
        """The calls, with their answers."""
        self.logged_notices = shared.logged_notices
        """Notices that this process has logged since the last reset, and does not log again. The
        notice of a model's shutdown has the model's id as its key, and a hint at another path has
        the hint."""
        self.scenario: Scenario = (
            parent.scenario.for_store(self.store) if parent else scenario_of(initial, self.store)
        )
        """The steps that decide which call gets which fault, and which answer."""
        self.rate_limits = RateLimits(
            initial.rate_limit, self.clock, self._account, self.store, initial.rate_limit_keys
        )
        """Images per API key and model."""
        self.span: Callable[[str], AbstractContextManager[object]] = nullcontext
        """Makes a context manager around a part of a call, given the name of the part, for
        tracing. `Tracing.observe` sets it."""
        self.cleanup_callbacks: tuple[Callable[[], Coroutine[Any, Any, None]], ...] = ()
        """Functions that end the work of this emulator's applications on the event loop of the
        server; `clean_up` awaits them. Middleware adds its own when it is made."""
        self.replay: Replay | None = None
        """The recordings that answer calls; None without the setting `replay`."""
        if parent:
            if parent.replay:
                self.replay = parent.replay.for_store(self.store, self.files.data)
        elif initial.replay is not None:
            from images_emulator.state.replay import replay_of  # noqa: PLC0415 - most servers need none

            self.replay = replay_of(initial, self.store, self.deployments, self.files.data)

        if self.store.is_shared and not self._is_namespace:
            add_observer(self.store, self._on_register_change)

    def for_namespace(self, name: str) -> Emulator:
        """The emulator of the namespace *name*: an account of its own, with the settings that this
        emulator had at its start. Its state is new where the store has none yet. It is reached
        below `namespace_names.path_of(name)`. Blocks, see `Store.run`. Raises OSError where the
        store cannot be reached, ValueError where the folder of pictures has mistakes by now."""
        initial = self.initial_settings
        public_url = initial.public_url
        if public_url:
            public_url = public_url.rstrip("/") + path_of(name)
        emulator = Emulator(
            replace(initial, public_url=public_url),
            self._store_of_namespace(name),
            parent=self,
        )
        emulator.namespace = name
        return emulator

    def journal_of_namespace(self, name: str) -> Journal:
        """The journal of the namespace *name* in the store, for a look at it without the emulator
        that `for_namespace` makes."""
        initial = self.initial_settings
        store = self._store_of_namespace(name)
        return Journal(store, initial.journal_entries, initial.journal_bytes)

    def _store_of_namespace(self, name: str) -> Store:
        # Other processes may still have copies of what a store forgets.
        return self.store.for_namespace(name, 2 * self.initial_settings.namespace_idle)

    @property
    def account(self) -> account.Account:
        """The account's names and its signing key; a reset keeps them."""
        return self._account.value

    @property
    def settings(self) -> Settings:
        """The current settings: those of the constructor, with the changes of `configure`."""
        return self._settings.value

    @property
    def changed_settings(self) -> tuple[str, ...]:
        """The names of the settings that are not as at the start."""
        initial, current = self.initial_settings, self.settings
        return tuple(
            each.name
            for each in all_settings()
            if getattr(initial, each.name) != getattr(current, each.name)
        )

    def configure(self, **changes: Unpack[SettingChanges]) -> None:
        """Change these settings until `reset`; None leaves one as it is. It waits for a
        shared store. Raises ValueError for an invalid value, TypeError for another setting."""
        values = new_values(changes)
        self.store.run(self._settings.update(lambda settings: replace(settings, **values)))

    async def clean_up(self) -> None:
        """Await all `cleanup_callbacks`, also where one of them fails."""
        async with AsyncExitStack() as stack:
            for callback in self.cleanup_callbacks:
                stack.push_async_callback(callback)

    async def stop(self) -> None:
        """Await `clean_up`, and close the store's connections of the running event loop. The server
        awaits this when it stops."""
        try:
            await self.clean_up()
        finally:
            await self.store.disconnect()

    def close(self) -> None:
        """Stop the renderer's threads and processes, cancel the jobs that wait for them, and close
        the store. In a namespace, close the store alone."""
        self.is_closed = True
        if not self._is_namespace:
            self.renderer.close()
        self.store.close()

    def reset(self, *, reads_pictures: bool = True) -> None:
        """Forget calls, pictures, files, injected faults and answers, spent limits, and which
        recordings were played. Clock, settings and scenario return to their start; the account
        stays. Any thread may call this, but on a shared store not that of the event loop, since it
        waits for the store.

        It is no single operation: a call that arrives meanwhile may find some of it done. Raises
        ValueError, and resets nothing, where the folder of pictures has mistakes by now; unless
        *reads_pictures*, its answers are the earlier ones."""
        if reads_pictures:
            self.scenario.read_pictures()
        self.store.run(self._reset())
        self.clock.reset()
        self.scenario.reset()
        if not self._is_namespace:
            self._shared.clear_caches()
        self.journal.clear()
        # Last, because observers of this register rely on a completed reset.
        self.store.run(self._resets.update(lambda count: count + 1))
        trim_memory()

    def _on_register_change(self, name: str) -> None:
        """Drop the prepared calls and notices of this process after a reset by any process."""
        if name == "resets":
            self._shared.clear_caches()

    async def _reset(self) -> None:
        # First the containers that take most memory, because a full store cannot change settings.
        # The observers of the journal are told when the reset is complete.
        await self.journal.clear_log()
        await self.files.clear()
        await self.hosting.clear()
        await self.rate_limits.clear()
        if self.replay:
            await self.replay.reset()
        await self._settings.update(lambda _: self.initial_settings)

"""The store for the URL of the setting `store`. A new store (backend), in another database, has the
protocols of `store.py`. It is added here, and the check of its URLs to `STORE_CHECKS` of
`setting_values.py`. `.github/CONTRIBUTING.md` lists what else says Redis."""

from __future__ import annotations

from images_emulator.state.memory_store import MemoryStore
from images_emulator.state.store import Store


def open_store(url: str | None, store_name: str) -> Store:
    """The store at *url*, with the state named *store_name*; for None a new store of this
    process."""
    if url is None:
        return MemoryStore()
    # All schemes that the setting takes are those of Redis.
    from images_emulator.state.redis.redis_store import RedisStore  # noqa: PLC0415 - an extra

    return RedisStore(url, store_name)

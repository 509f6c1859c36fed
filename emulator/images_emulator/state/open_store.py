"""The store for the URL of the setting `store`. A new store (backend), in another database such as
SQLite or PostgreSQL, has the protocols of `store.py`. It is added here, and its URLs to
`check_store` of `setting_values.py`, which has the only list of them. `.github/CONTRIBUTING.md`
lists what else says Redis."""

from __future__ import annotations

from images_emulator.state.memory_store import MemoryStore
from images_emulator.state.store import Store


def open_store(url: str | None, store_name: str) -> Store:
    """The store at *url*, with the state named *store_name*; for None a new store of this
    process."""
    if url is None:
        return MemoryStore()
    # The setting takes no other URL: see `check_store`.
    from images_emulator.state.redis.redis_store import RedisStore  # noqa: PLC0415 - an extra

    return RedisStore(url, store_name)

"""Event loops of a test's own, beside those of servers."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from images_emulator.state.store import Store

T = TypeVar("T")


def run_on_own_loop(work: Coroutine[Any, Any, T], store: Store) -> T:
    """Run *work*, which uses *store*, on a new event loop, and return its result. The loop leaves
    no connection of the store open."""

    async def main() -> T:
        try:
            return await work
        finally:
            await store.disconnect()

    return asyncio.run(main())

"""A thread that runs an event loop, for synchronous callers of asynchronous code."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


class EventLoopThread:
    """A thread of this *name* that runs an event loop until `begin_to_stop`. At the end it awaits
    *close* on the loop twice: when all submitted work is done, and when all other tasks of the loop
    are cancelled."""

    def __init__(self, name: str, close: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._loop = asyncio.new_event_loop()
        self._close = close
        self._submitted: set[Future[Any]] = set()
        """The futures of submitted work that is not done."""
        self._thread = Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        self._loop.run_forever()
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _end(self) -> None:
        if self._submitted:
            await asyncio.wait([*map(asyncio.wrap_future, self._submitted)])
        await self._close()
        # Tasks that another thread began meanwhile may open connections anew.
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._close()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run *work* on the loop, and return the future of its result. Not after `begin_to_stop`:
        the future may never be done."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        self._submitted.add(future)
        future.add_done_callback(self._submitted.discard)
        return future

    def begin_to_stop(self) -> None:
        """End the loop soon, and the thread with it."""
        self._loop.call_soon_threadsafe(self._loop.stop)

    def stop(self) -> None:
        """End the loop and the thread, after all submitted work."""
        self.begin_to_stop()
        self._thread.join()

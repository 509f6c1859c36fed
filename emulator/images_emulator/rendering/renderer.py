"""Where pictures are drawn: off the event loop, and none twice."""

from __future__ import annotations

import asyncio
from binascii import b2a_base64
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from images_emulator import imaging
from images_emulator.contract.request import ImageRequest
from images_emulator.contract.usage import usage
from images_emulator.lru_cache import LRUCache
from images_emulator.rendering.pool import RenderPool
from images_emulator.rendering.process import WARM_UP, Draw

T = TypeVar("T")

RenderKey = tuple[bytes, int, int | None]
"""A request's edition, the number of the picture, and that of the partial image."""

ENTRY_OVERHEAD_BYTES: Final = 512
"""Bytes that a kept picture takes beside its own."""


class WithdrawnError(Exception):
    """The client left before its job was done."""


@dataclass(slots=True, eq=False)
class _Queued:
    """A job in the queue of *pool*, and the number of calls that wait for it."""

    pool: RenderPool
    future: Future[Any]
    waiters: int = 0


class Renderer:
    """Who draws, and what was drawn lately. *helpers* processes may join; see `RenderPool`.

    Large bodies are parsed by a thread of their own. Uploads are decoded by another one, which also
    draws the edits whose uploads are too large to be kept decoded: no upload, however slow to
    decode, holds up the other drawings.
    """

    def __init__(self, budget: int, helpers: int = 0) -> None:
        self.cache = LRUCache(budget)
        self.pool = RenderPool(helpers)
        self.decoder = RenderPool(0, "decoder")
        self.parser = RenderPool(0, "parser")
        self._underway: dict[RenderKey, _Queued] = {}
        self._warm_up: Future[None] | None = None

    def is_warm(self) -> bool:
        """Whether all that the first picture needs is loaded; it is from the first time that
        somebody asks."""
        if self._warm_up is None:
            self._warm_up = self.pool.submit(_draw_warm_up)
        return self._warm_up.done()

    async def run(self, job: Callable[[], T]) -> T:
        """What *job* returns, done by the server's own thread in its turn."""
        return await asyncio.get_running_loop().run_in_executor(self.pool.executor, job)

    def cached(self, request: ImageRequest, index: int, partial: int | None = None) -> bytes | None:
        """The base64 of a picture that is still there."""
        found: bytes | None = self.cache.get((request.cache_key, index, partial))
        return found

    async def parse(self, job: Callable[[], T]) -> T:
        """What *job* returns, done in its turn by the thread that parses large bodies."""
        parsed: T = await _result(_Queued(self.parser, self.parser.submit(lambda _: job())), None)
        return parsed

    async def decode(
        self, job: Callable[[], T], disconnect: asyncio.Future[None] | None = None
    ) -> T:
        """What *job* returns, done in its turn by the thread that decodes uploads. Raises
        WithdrawnError once *disconnect* is done; a job that has not begun is then withdrawn."""
        queued = _Queued(self.decoder, self.decoder.submit(lambda _: job()))
        decoded: T = await _result(queued, disconnect)
        return decoded

    async def render(
        self,
        request: ImageRequest,
        index: int,
        partial: int | None = None,
        disconnect: asyncio.Future[None] | None = None,
    ) -> bytes:
        """The base64 of the picture number *index*, or of its partial image *partial*.

        Raises WithdrawnError once *disconnect* is done. A drawing that has not begun is withdrawn
        when the last call that waits for it ends.
        """
        kept = self.cached(request, index, partial)
        if kept is not None:
            return kept
        key = (request.cache_key, index, partial)
        queued = self._underway.get(key)
        if queued is None:
            slow = bool(request.images) and imaging.decoder.needs_decoding(request)
            pool = self.decoder if slow else self.pool
            future = pool.submit(lambda draw: self._render(draw, request, index, partial))
            queued = self._underway[key] = _Queued(pool, future)
            future.add_done_callback(lambda _: self._underway.pop(key, None))
        drawn: bytes = await _result(queued, disconnect)
        return drawn

    def _render(self, draw: Draw, request: ImageRequest, index: int, partial: int | None) -> bytes:
        # What follows in a stream comes of the same drawing, and is kept.
        drawn = draw(request, index, partial)
        prints = [self._keep(request, index, number, image) for number, image in drawn]
        return prints[0]

    def _keep(self, request: ImageRequest, index: int, partial: int | None, image: bytes) -> bytes:
        encoded = b2a_base64(image, newline=False)
        key = (request.cache_key, index, partial)
        self.cache.put(key, encoded, len(encoded) + ENTRY_OVERHEAD_BYTES)
        return encoded

    def close(self) -> None:
        """Let those go who draw, and all that waits for them."""
        self.pool.close()
        self.decoder.close()
        self.parser.close()


def _draw_warm_up(draw: Draw) -> None:
    """Draw and count once: the tokenizer, too, is loaded at its first use."""
    draw(WARM_UP, 0, None)
    usage(WARM_UP)


async def _result(queued: _Queued, disconnect: asyncio.Future[None] | None) -> Any:
    """What the job returns. Raises what it raises, and WithdrawnError where *disconnect* is done
    before it is."""
    queued.waiters += 1
    try:
        done = await _done(queued.future, disconnect)
    finally:
        queued.waiters -= 1
        if not queued.waiters:
            queued.pool.withdraw(queued.future)
    if not done:
        raise WithdrawnError
    return queued.future.result()


async def _done(job: Future[Any], disconnect: asyncio.Future[None] | None) -> bool:
    """Return when *job* is done or *disconnect* is, and whether *job* is. The end of one call does
    not cancel a job that others wait for."""
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()

    def tell(_: object = None) -> None:
        if not waiter.done():
            waiter.set_result(None)

    def told(_: Future[Any]) -> None:
        # Nobody waits on a loop that is closed.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(tell)

    job.add_done_callback(told)
    if disconnect is None:
        await waiter
        return True
    disconnect.add_done_callback(tell)
    try:
        await waiter
    finally:
        disconnect.remove_done_callback(tell)
    return job.done()

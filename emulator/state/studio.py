"""Where pictures are drawn: off the event loop, and none twice."""

from __future__ import annotations

import asyncio
from binascii import b2a_base64
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Final, TypeVar

from emulator.contract.request import ImageRequest
from emulator.contract.usage import usage
from emulator.imaging.worker import REHEARSAL, Draw
from emulator.state.cache import Cache
from emulator.state.crew import Crew

T = TypeVar("T")

Print = tuple[bytes, int, int | None]
"""A request's edition, the number of the picture, and that of the partial image."""

OVERHEAD: Final = 512
"""Bytes that a kept picture takes beside its own."""


class Studio:
    """Who draws, and what was drawn lately. *helpers* processes may join; see `Crew`."""

    def __init__(self, budget: int, helpers: int = 0) -> None:
        self.cache = Cache(budget)
        self.crew = Crew(helpers)
        self._underway: dict[Print, Future[bytes]] = {}
        self._rehearsal: Future[None] | None = None

    def warm(self) -> bool:
        """Whether all that the first picture needs is loaded; it is from the first time that
        somebody asks."""
        if self._rehearsal is None:
            self._rehearsal = self.crew.submit(_rehearse)
        return self._rehearsal.done()

    async def work(self, job: Callable[[], T]) -> T:
        """What *job* returns, done by the server's own thread in its turn."""
        return await asyncio.get_running_loop().run_in_executor(self.crew.executor, job)

    def kept(self, request: ImageRequest, index: int, partial: int | None = None) -> bytes | None:
        """The base64 of a picture that is still there."""
        kept: bytes | None = self.cache.get((request.edition, index, partial))
        return kept

    async def picture(self, request: ImageRequest, index: int, partial: int | None = None) -> bytes:
        """The base64 of the picture number *index*, or of its partial image *partial*."""
        kept = self.kept(request, index, partial)
        if kept is not None:
            return kept
        key = (request.edition, index, partial)
        underway = self._underway.get(key)
        if underway is None:
            underway = self.crew.submit(
                lambda draw: self._develop(draw, request, index, partial),
            )
            self._underway[key] = underway
            underway.add_done_callback(lambda _: self._underway.pop(key, None))
        await _done(underway)
        return underway.result()

    def _develop(self, draw: Draw, request: ImageRequest, index: int, partial: int | None) -> bytes:
        # What follows in a stream comes of the same drawing, and is kept.
        drawn = draw(request, index, partial)
        prints = [self._keep(request, index, number, image) for number, image in drawn]
        return prints[0]

    def _keep(self, request: ImageRequest, index: int, partial: int | None, image: bytes) -> bytes:
        encoded = b2a_base64(image, newline=False)
        key = (request.edition, index, partial)
        self.cache.put(key, encoded, len(encoded) + OVERHEAD)
        return encoded

    def close(self) -> None:
        """Let those go who draw, and all that waits for them."""
        self.crew.close()


def _rehearse(draw: Draw) -> None:
    """Draw and count once: the tokenizer, too, is loaded at its first use."""
    draw(REHEARSAL, 0, None)
    usage(REHEARSAL)


async def _done(job: Future[bytes]) -> None:
    """Return when *job* is done. Who leaves before that does not take it from others."""
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        if not waiter.done():
            waiter.set_result(None)

    def told(_: Future[bytes]) -> None:
        # Nobody waits on a loop that is closed.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(tell)

    job.add_done_callback(told)
    await waiter

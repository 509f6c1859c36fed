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
from images_emulator.imaging.worker import REHEARSAL, Draw
from images_emulator.state.cache import Cache
from images_emulator.state.crew import Crew

T = TypeVar("T")

Print = tuple[bytes, int, int | None]
"""A request's edition, the number of the picture, and that of the partial image."""

OVERHEAD: Final = 512
"""Bytes that a kept picture takes beside its own."""


class WithdrawnError(Exception):
    """The client left before its job was done."""


@dataclass(slots=True, eq=False)
class _Queued:
    """A job in the queue of *crew*, and the number of calls that wait for it."""

    crew: Crew
    future: Future[Any]
    waiters: int = 0


class Studio:
    """Who draws, and what was drawn lately. *helpers* processes may join; see `Crew`.

    Large bodies are parsed by a thread of their own. Uploads are decoded by another one, which also
    draws the edits whose uploads are too large to be kept decoded: no upload, however slow to
    decode, holds up the other drawings.
    """

    def __init__(self, budget: int, helpers: int = 0) -> None:
        self.cache = Cache(budget)
        self.crew = Crew(helpers)
        self.decoder = Crew(0, "decoder")
        self.parser = Crew(0, "parser")
        self._underway: dict[Print, _Queued] = {}
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

    async def picture(
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
        kept = self.kept(request, index, partial)
        if kept is not None:
            return kept
        key = (request.edition, index, partial)
        queued = self._underway.get(key)
        if queued is None:
            slow = bool(request.images) and imaging.uploads.at_rest(request)
            crew = self.decoder if slow else self.crew
            future = crew.submit(lambda draw: self._develop(draw, request, index, partial))
            queued = self._underway[key] = _Queued(crew, future)
            future.add_done_callback(lambda _: self._underway.pop(key, None))
        drawn: bytes = await _result(queued, disconnect)
        return drawn

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
        self.decoder.close()
        self.parser.close()


def _rehearse(draw: Draw) -> None:
    """Draw and count once: the tokenizer, too, is loaded at its first use."""
    draw(REHEARSAL, 0, None)
    usage(REHEARSAL)


async def _result(queued: _Queued, disconnect: asyncio.Future[None] | None) -> Any:
    """What the job returns. Raises what it raises, and WithdrawnError where *disconnect* is done
    before it is."""
    queued.waiters += 1
    try:
        done = await _done(queued.future, disconnect)
    finally:
        queued.waiters -= 1
        if not queued.waiters:
            queued.crew.withdraw(queued.future)
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

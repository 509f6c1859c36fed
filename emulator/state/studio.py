"""Where pictures are drawn: off the event loop, and none twice."""

from __future__ import annotations

import asyncio
from binascii import b2a_base64
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from threading import local
from typing import Final, TypeVar

from emulator.contract.models import UNKNOWN
from emulator.contract.request import Endpoint, ImageRequest
from emulator.contract.usage import usage
from emulator.imaging.memory import keep_memory
from emulator.imaging.worker import Drawn, Worker, draw
from emulator.state.cache import Cache

T = TypeVar("T")

Print = tuple[bytes, int, int | None]
"""A request's edition, the number of the picture, and that of the partial image."""

OVERHEAD: Final = 512
"""Bytes that a kept picture takes beside its own."""


class Studio:
    """The one thread that draws, and what it has drawn lately. Drawing holds the interpreter lock:
    a second thread would make it slower, and on the event loop it would hold up every other
    call. With *processes* there are as many threads, and each waits for one of them."""

    def __init__(self, budget: int, processes: int = 0) -> None:
        self.cache = Cache(budget)
        self._underway: dict[Print, Future[bytes]] = {}
        self._processes = processes
        self._executor: ThreadPoolExecutor | None = None
        self._rehearsals: list[Future[None]] = []
        self._own = local()
        self._workers: list[Worker] = []

    @property
    def executor(self) -> ThreadPoolExecutor:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(
                max(1, self._processes), thread_name_prefix="studio", initializer=self._prepare
            )
        return self._executor

    def _prepare(self) -> None:
        keep_memory()
        self._own.draw = draw
        if self._processes:
            worker = Worker()
            self._workers.append(worker)
            self._own.draw = worker.draw

    def warm(self) -> bool:
        """Whether all that the first picture needs is loaded; it is from the first time that
        somebody asks."""
        if not self._rehearsals:
            times = max(1, self._processes)
            self._rehearsals = [self.executor.submit(self._rehearse) for _ in range(times)]
        return all(each.done() for each in self._rehearsals)

    def _rehearse(self) -> None:
        """Draw and count once: Pillow, fonts, encoders and the tokenizer are loaded at their first
        use."""
        request = ImageRequest(
            endpoint=Endpoint.GENERATIONS,
            model=UNKNOWN,
            prompt="ready",
            size=(64, 64),
            quality="low",
        )
        self._draw(request, 0, None)
        usage(request)

    def _draw(self, request: ImageRequest, index: int, partial: int | None) -> Drawn:
        drawn: Drawn = self._own.draw(request, index, partial)
        return drawn

    async def work(self, job: Callable[[], T]) -> T:
        """What *job* returns, done when all jobs before it are."""
        return await asyncio.get_running_loop().run_in_executor(self.executor, job)

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
            underway = self.executor.submit(self._develop, request, index, partial)
            self._underway[key] = underway
            underway.add_done_callback(lambda _: self._underway.pop(key, None))
        await _done(underway)
        return underway.result()

    def _develop(self, request: ImageRequest, index: int, partial: int | None) -> bytes:
        # What follows in a stream comes of the same drawing, and is kept.
        prints = [
            self._keep(request, index, number, image)
            for number, image in self._draw(request, index, partial)
        ]
        return prints[0]

    def _keep(self, request: ImageRequest, index: int, partial: int | None, image: bytes) -> bytes:
        encoded = b2a_base64(image, newline=False)
        key = (request.edition, index, partial)
        self.cache.put(key, encoded, len(encoded) + OVERHEAD)
        return encoded

    def close(self) -> None:
        """Let the threads go, and all that waits for them."""
        if self._executor:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None
        for worker in self._workers:
            worker.close()
        self._workers.clear()


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

"""The renderer. It caches image files, renders a file once for all calls that wait for it
(single flight, deduplication), and withdraws the jobs of clients that have left."""

from __future__ import annotations

import asyncio
import logging
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, suppress
from contextvars import copy_context
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, TypeVar

from images_emulator import imaging
from images_emulator.contract.request import ImageRequest
from images_emulator.contract.usage import usage_of
from images_emulator.imaging.memory import trim_memory
from images_emulator.lru_cache import LRUCache
from images_emulator.rendering.job_queue import JobQueue
from images_emulator.rendering.render_pool import RenderPool
from images_emulator.rendering.render_process import WARM_UP, RenderFunction
from images_emulator.threads import DaemonThreadPool

if TYPE_CHECKING:
    from images_emulator.imaging.decode_limits import DecodeLimits
    from images_emulator.imaging.thumbnails import Thumbnails

T = TypeVar("T")

logger = logging.getLogger("images_emulator")

RenderKey = tuple[bytes, int, int | None]
"""Cache key of one image file: (`ImageRequest.cache_key`, image index from 0, index of the partial
image or None for the final image)."""

CACHE_OVERHEAD_BYTES: Final = 512
"""Bytes that a cached image takes beside its base64, and a cached thumbnail beside its file."""

MAX_FETCHERS: Final = 32
"""The most jobs that wait for other hosts at the same time; more of them wait for their turn."""

THUMBNAIL_CACHE_DIVISOR: Final = 4
"""Thumbnails may take as many bytes as the image cache, divided by this."""

PictureKey = tuple[bytes, int | None, int | None]
"""Key of the picture that a thumbnail shows. It is a `RenderKey`, or (a hash of the bytes, None,
None) for an upload or the file of an own picture. The limits of decoding are not in it, because
these settings do not change while the server runs."""


RenderObserver = Callable[[ImageRequest], AbstractContextManager[object]]
"""Makes a context manager from the request of a picture. It is called when the rendering is queued,
in the task of the first call that waits for the picture. The context manager is entered in the
thread that renders, and left when the file is encoded. Neither may raise an exception."""


class WithdrawnError(Exception):
    """The client of a job left before the job was done. A job that has begun goes on all the
    same."""


@dataclass(slots=True, eq=False)
class _QueuedJob:
    """A job in *queue*, and the number of calls that wait for it."""

    queue: JobQueue
    future: Future[Any]
    waiters: int = 0


class Renderer:
    """Renders images off the event loop and caches their base64, in at most *cache_bytes*.
    Thumbnails have a cache of their own.

    `pool` renders. Up to *max_processes* render processes join it under load; see `RenderPool`. The
    thread of `background_queue` parses large bodies, hashes their images, reads recordings,
    searches them for calls without uploads, and frees memory. The thread of `decoder_queue` runs
    jobs that decode uploads, searches recordings for calls with uploads, checks own pictures, and
    renders edits and variations for which `needs_decoding` is true. So a slow upload does not hold
    up the other renderings. The caches are of the class *cache*. Equal keys always give equal
    bytes, so only the budget empties the caches."""

    def __init__(
        self, cache_bytes: int, max_processes: int, cache: type[LRUCache] = LRUCache
    ) -> None:
        self.cache = cache(cache_bytes)
        self.thumbnails = cache(cache_bytes // THUMBNAIL_CACHE_DIVISOR)
        """The files of thumbnails, by (`PictureKey`, longest edge); empty ones for a file that no
        decoder opens."""
        self.observers: tuple[RenderObserver, ...] = ()
        """The observers of each rendering. Any thread may add one: `observers.add_observer`."""
        self.pool = RenderPool(max_processes)
        self.decoder_queue = JobQueue("decoder")
        self.background_queue = JobQueue("background")
        self._fetchers = DaemonThreadPool(MAX_FETCHERS, thread_name_prefix="fetch")
        self.cache_misses = 0
        """How often a call waited for a picture because the cache did not have it."""
        self._underway: dict[RenderKey, _QueuedJob] = {}
        self._thumbnails_underway: dict[PictureKey, _QueuedJob] = {}
        self._warm_up: Future[None] | None = None
        self._has_drawn = False
        """Whether an image was drawn, which loads most of what `warm_up` does."""

    def warm_up(self) -> bool:
        """Begin to load the modules for the first image, if neither a drawing nor an earlier call
        has loaded them, or is loading them. Return whether they are loaded. Where an earlier call
        has failed to load them, its error is logged, and they are loaded anew."""
        if self._has_drawn:
            return True
        begun = self._warm_up
        if begun and begun.done() and not begun.cancelled():
            if (error := begun.exception()) is None:
                return True
            logger.error("The modules for the first image cannot be loaded", exc_info=error)
        if begun is None or begun.done():
            with suppress(RuntimeError):  # the renderer is closed, or the system gives no thread
                self._warm_up = self.pool.submit(_warm_up)
        return False

    async def run_in_pool(self, job: Callable[[], T]) -> T:
        """Run *job* in the thread of the pool, between two renderings, and return its result."""
        return await asyncio.get_running_loop().run_in_executor(self.pool.executor, job)

    def cached_image(
        self, request: ImageRequest, index: int, partial: int | None = None
    ) -> bytes | None:
        """The base64 of an image that is in the cache, or None."""
        image: bytes | None = self.cache.get((request.cache_key, index, partial))
        return image

    async def run_in_background(self, job: Callable[[], T]) -> T:
        """Run *job* in the thread of `background_queue`, and return its result."""
        result: T = await _wait_for_result_or_withdraw(
            _QueuedJob(self.background_queue, self.background_queue.submit(lambda _: job())), None
        )
        return result

    async def run_in_decoder(
        self, job: Callable[[], T], disconnect: asyncio.Future[None] | None = None
    ) -> T:
        """Run *job* in the thread of `decoder_queue`, and return its result. Raises WithdrawnError
        once *disconnect* is done, and withdraws a job that has not begun."""
        queued = _QueuedJob(self.decoder_queue, self.decoder_queue.submit(lambda _: job()))
        result: T = await _wait_for_result_or_withdraw(queued, disconnect)
        return result

    async def run_in_fetcher(self, job: Callable[[], T]) -> T:
        """Run *job*, which may wait for other hosts, with the context of the caller, and return its
        result. The threads are not those of the event loop's default executor: there, slow hosts
        would hold up the admin API."""
        run = copy_context().run
        return await asyncio.get_running_loop().run_in_executor(self._fetchers, run, job)

    async def render_base64(
        self,
        request: ImageRequest,
        index: int,
        partial: int | None = None,
        disconnect: asyncio.Future[None] | None = None,
    ) -> bytes:
        """Return the base64 of image *index* (from 0), or of its partial image *partial*.

        Raises WithdrawnError once *disconnect* is done. A rendering that has not begun is withdrawn
        when the last call that waits for it ends.
        """
        image = self.cached_image(request, index, partial)
        if image is not None:
            return image
        self.cache_misses += 1
        key = (request.cache_key, index, partial)
        queued = self._underway.get(key)
        if queued is None:
            needs_decoder = bool(request.images) and imaging.decoder.needs_decoding(request)
            queue = self.decoder_queue if needs_decoder else self.pool
            observations = [observer(request) for observer in self.observers]

            def job(render: RenderFunction) -> bytes:
                encoded = self._render(render, request, index, partial, observations)
                if needs_decoder:
                    trim_memory()
                return encoded

            future = queue.submit(job)
            queued = self._underway[key] = _QueuedJob(queue, future)
            future.add_done_callback(lambda _: self._underway.pop(key, None))
        rendered: bytes = await _wait_for_result_or_withdraw(queued, disconnect)
        return rendered

    async def draw_thumbnail(
        self,
        request: ImageRequest,
        index: int,
        partial: int | None,
        edge: int,
        disconnect: asyncio.Future[None] | None = None,
    ) -> bytes:
        """The thumbnail of *edge*, one of `imaging.thumbnails.EDGES`, of image *index* (from 0) or
        of its partial image *partial*. It is drawn while no other job waits in its queue.
        Raises WithdrawnError once *disconnect* is done."""
        encoded = self.cached_image(request, index, partial) if request.images else None
        needs_decoder = encoded is None and imaging.decoder.needs_decoding(request)

        def draw() -> Thumbnails:
            file = None if encoded is None else a2b_base64(encoded)
            return imaging.thumbnails.thumbnails(request, index, partial, file)

        file = await self._find_or_draw_thumbnail(
            (request.cache_key, index, partial),
            edge,
            draw,
            self.decoder_queue if needs_decoder else self.pool,
            disconnect,
        )
        assert file, "each picture has thumbnails"
        return file

    async def draw_upload_thumbnail(
        self,
        data: bytes,
        edge: int,
        limits: DecodeLimits,
        disconnect: asyncio.Future[None] | None = None,
    ) -> bytes | None:
        """The thumbnail of *edge* of an upload, None where *data* is no image that the API accepts
        within these *limits*; otherwise as `draw_thumbnail`."""
        digest = await asyncio.to_thread(lambda: blake2b(data, digest_size=16).digest())
        return await self._find_or_draw_thumbnail(
            (digest, None, None),
            edge,
            lambda: imaging.thumbnails.upload_thumbnails(data, limits),
            self.decoder_queue,
            disconnect,
        )

    async def draw_own_picture_thumbnail(
        self, data: bytes, digest: str, edge: int, disconnect: asyncio.Future[None] | None = None
    ) -> bytes | None:
        """The thumbnail of *edge* of an own picture as it is in its file, whose SHA-256 is
        *digest*; None where no decoder opens it. Otherwise as `draw_thumbnail`."""
        return await self._find_or_draw_thumbnail(
            (bytes.fromhex(digest), None, None),
            edge,
            lambda: imaging.thumbnails.own_picture_thumbnails(data),
            self.decoder_queue,
            disconnect,
        )

    async def _find_or_draw_thumbnail(
        self,
        picture: PictureKey,
        edge: int,
        draw: Callable[[], Thumbnails | None],
        queue: JobQueue,
        disconnect: asyncio.Future[None] | None,
    ) -> bytes | None:
        """The thumbnail of *edge* of the *picture* with that key. *draw* makes the thumbnails of
        all edges, which are cached together."""
        file: bytes | None = self.thumbnails.get((picture, edge))
        if file is not None:
            return file or None
        underway = self._thumbnails_underway
        queued = underway.get(picture)
        if queued is None:

            def job(_: RenderFunction) -> Thumbnails | None:
                files = draw()
                for each in imaging.thumbnails.EDGES:
                    data = files[each] if files else b""
                    self.thumbnails.put((picture, each), data, len(data) + CACHE_OVERHEAD_BYTES)
                return files

            future = queue.submit(job, low_priority=True)
            queued = underway[picture] = _QueuedJob(queue, future)
            future.add_done_callback(lambda _: underway.pop(picture, None))
        files: Thumbnails | None = await _wait_for_result_or_withdraw(queued, disconnect)
        return None if files is None else files[edge]

    def _render(
        self,
        render: RenderFunction,
        request: ImageRequest,
        index: int,
        partial: int | None,
        observations: Sequence[AbstractContextManager[object]],
    ) -> bytes:
        # The later images of a stream come from the same drawing, and are cached here.
        with ExitStack() as stack:
            for each in observations:
                stack.enter_context(each)
            files = render(request, index, partial)
        if not request.own_pictures:
            self._has_drawn = True
        images = [self._store(request, index, number, data) for number, data in files]
        return images[0]

    def _store(self, request: ImageRequest, index: int, partial: int | None, data: bytes) -> bytes:
        encoded = b2a_base64(data, newline=False)
        key = (request.cache_key, index, partial)
        self.cache.put(key, encoded, len(encoded) + CACHE_OVERHEAD_BYTES)
        return encoded

    def close(self) -> None:
        """End all threads and processes, and cancel the jobs that have not begun."""
        self.pool.close()
        self.decoder_queue.close()
        self.background_queue.close()
        self._fetchers.shutdown(cancel_futures=True)


def _warm_up(render: RenderFunction) -> None:
    """Render once and count tokens once. The first use of each loads many modules or tables."""
    render(WARM_UP, 0, None)
    usage_of(WARM_UP)


async def _wait_for_result_or_withdraw(
    queued: _QueuedJob, disconnect: asyncio.Future[None] | None
) -> Any:
    """Return the result of a job, or raise its exception. Raises WithdrawnError where *disconnect*
    is done first. Without other waiters, a job that has not begun is then withdrawn."""
    queued.waiters += 1
    try:
        done = await _wait_for_job_or_disconnect(queued.future, disconnect)
    finally:
        queued.waiters -= 1
        if not queued.waiters:
            queued.queue.withdraw(queued.future)
    if not done:
        raise WithdrawnError
    return queued.future.result()


async def _wait_for_job_or_disconnect(
    job: Future[Any], disconnect: asyncio.Future[None] | None
) -> bool:
    """Wait until *job* or *disconnect* is done. Return whether *job* is done. A call that ends does
    not cancel a job that other calls wait for."""
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()

    def wake(_: object = None) -> None:
        if not waiter.done():
            waiter.set_result(None)

    def wake_from_thread(_: Future[Any]) -> None:
        # Nobody waits on a closed loop.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(wake)

    job.add_done_callback(wake_from_thread)
    if disconnect is None:
        await waiter
        return True
    disconnect.add_done_callback(wake)
    try:
        await waiter
    finally:
        disconnect.remove_done_callback(wake)
    return job.done()

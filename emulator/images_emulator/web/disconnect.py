"""Notices that a client leaves while it waits for its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import ClientDisconnect, Request

from images_emulator.exchange.waits import wait_for_disconnect
from images_emulator.rendering.renderer import WithdrawnError


@contextmanager
def watch_disconnect(request: Request) -> Iterator[asyncio.Future[None]]:
    """A future that is done when the client of *request* disconnects. The body of *request* has
    been read.

    Raises ClientDisconnect where the work inside was withdrawn because of the disconnect. Use the
    future only for calls that wait. It needs a task that waits for `http.disconnect`, and an answer
    that is ready takes less time than the task.
    """
    task = asyncio.ensure_future(wait_for_disconnect(request.receive))
    try:
        yield task
    except WithdrawnError:
        if task.done():
            task.result()  # raises where nothing tells whether the client is still there
        raise ClientDisconnect from None
    finally:
        task.cancel()

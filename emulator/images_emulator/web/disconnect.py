"""Notices that a client hangs up while it waits for its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from images_emulator.rendering.renderer import WithdrawnError


@contextmanager
def watch_disconnect(request: Request) -> Iterator[asyncio.Future[None]]:
    """A future that is done once the client of *request*, whose body has been read, has left.

    Raises ClientDisconnect where the work inside was withdrawn for that. It is a task that waits
    for `http.disconnect`, so it is for calls that have to wait: an answer that is at hand is
    sooner sent than watched over.
    """
    task = asyncio.ensure_future(_disconnected(request.receive))
    try:
        yield task
    except WithdrawnError:
        raise ClientDisconnect from None
    finally:
        task.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":  # noqa: ASYNC110 - no event
        # An application in process may be given messages without end, and at once.
        await asyncio.sleep(0.01)

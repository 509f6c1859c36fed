"""Faults of the blob storage, which only downloads of hosted pictures meet."""

from __future__ import annotations

from typing import ClassVar, Literal

from starlette.types import ASGIApp, Receive, Scope, Send

from images_emulator.exchange.served_exchange import ServedExchange
from images_emulator.faults.base import BaseFault


class Expired(BaseFault):
    """Refuses the download of a hosted picture as the blob storage does when its URL has expired.
    API calls never meet it."""

    for_downloads: ClassVar[bool] = True

    kind: Literal["expired"] = "expired"

    async def __call__(
        self, app: ASGIApp, exchange: ServedExchange, scope: Scope, receive: Receive, send: Send
    ) -> None:
        exchange.is_expired = True
        await app(scope, receive, send)

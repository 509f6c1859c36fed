"""The answer to `GET /metrics`, for those who may read `/_emulator`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from images_emulator.contract import admin_errors
from images_emulator.settings import Settings
from images_emulator.web.admin.admin_auth import AdminAuth
from images_emulator.web.instruments.metric_table import METRICS_PATH
from images_emulator.web.json_responses import error_response_without_exchange


class MetricsEndpoint:
    """The middleware around `CORSMiddleware`, in an application with metrics. It answers a call to
    `GET /metrics`, which is no call to the API: it is not in the journal, and has no faults."""

    def __init__(
        self,
        app: ASGIApp,
        registry: CollectorRegistry,
        refresh: Callable[[], Awaitable[None]],
        settings: Settings,
    ) -> None:
        self.app = app
        self._registry = registry
        self._refresh = refresh
        self._guarded = AdminAuth(self._answer, settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == METRICS_PATH:
            await self._guarded(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (await self._response(scope))(scope, receive, send)

    async def _response(self, scope: Scope) -> Response:
        method = scope["method"]
        if method not in ("GET", "HEAD"):
            response = error_response_without_exchange(
                admin_errors.wrong_method(path=METRICS_PATH, method=method)
            )
            response.headers["allow"] = "GET, HEAD"
            return response
        accept = ",".join(Headers(scope=scope).getlist("accept"))
        try:
            encode, content_type = choose_encoder(accept)
        except (TypeError, ValueError):  # a version that is no number
            encode, content_type = choose_encoder("")
        await self._refresh()
        # A thousand series take some milliseconds.
        text = await asyncio.to_thread(encode, self._registry)
        return Response(text, headers={"content-type": content_type})

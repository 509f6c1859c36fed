"""The route of the live feed: server-sent events of what happens at the emulator."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import Response

from images_emulator.admin_prefix import ADMIN_PREFIX
from images_emulator.exchange.connection import CONNECTION, Connection
from images_emulator.web.admin.admin_handlers import AdminHandlers
from images_emulator.web.admin.live_feed import Reader

PING_SECONDS: Final = 15
"""Seconds between the comments (heartbeats) that keep a quiet stream open, also through proxies."""

_DOCUMENT: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Events without end.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


class EventsAPI(AdminHandlers):
    """The handler, around the live feed of the call's emulator."""

    def router(self) -> APIRouter:
        router = APIRouter(prefix=ADMIN_PREFIX, tags=["journal"])
        router.get("/events", response_class=Response, responses=_DOCUMENT)(self.events)
        return router

    async def events(
        self,
        request: Request,
        last_event_id: str | None = None,
        last_event_id_header: Annotated[str | None, Header(alias="Last-Event-ID")] = None,
    ) -> Response:
        """Stream what happens from now on, or since the event with that id, as server-sent events.

        `arrived` and `completed` have a call as in `requests`; `event` has an event of its stream.
        `skipped` has the `count` of calls that are left out because there were too many. `cleared`
        has `what`: `requests` or `all`. `settings`, `clock` and `scenario` are as their paths give
        them. `restart` comes where events were missed, as after an id that is not known any more:
        then everything is to be loaded again. The events of 100 ms are sent together, in a rush of
        calls those of up to half a second. A call that is over by then has `completed` alone.
        """
        reader = Reader()
        connection: Connection | None = request.scope.get("state", {}).get(CONNECTION)
        if connection:
            connection.call_on_stop(reader.end)
        chunks = self.context.feed.read(reader, last_event_id_header or last_event_id)
        return EventSourceResponse(chunks, ping=PING_SECONDS, ping_message_factory=_ping, sep="\n")


def _ping() -> ServerSentEvent:
    return ServerSentEvent(comment="", sep="\n")

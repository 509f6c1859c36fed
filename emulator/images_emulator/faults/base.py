"""What every fault is: settings that are its JSON form, and one verb around an ASGI app."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from images_emulator.exchange.exchange import Exchange

RESPONSE_START: Final = "http.response.start"
RESPONSE_BODY: Final = "http.response.body"

MAX_WAIT_SECONDS: Final = 86_400
"""The longest that a fault may wait: a day."""


class StrictModel(BaseModel):
    """A model that is read from JSON or TOML: nothing is converted, unknown keys are errors."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, value: Any) -> Any:
        for key in value if isinstance(value, dict) else ():
            if key not in cls.model_fields:
                listed = ", ".join(cls.model_fields)
                raise PydanticCustomError(
                    "unknown_key",
                    "unknown key '{key}'; it takes {listed}",
                    {"key": key, "listed": listed},
                )
        return value


class BaseFault(StrictModel):
    """The settings of a fault, and how it is applied."""

    for_downloads: ClassVar[bool] = False
    """Whether only downloads of hosted images meet it, and no API calls."""

    changes_body: ClassVar[bool] = True
    """Whether the body of a good answer may leave with other bytes, or without its end; False for
    a fault under which all of its bytes leave, such as one that only takes time or changes
    headers. The journal looks for the images in a body that may have changed."""

    kind: str
    """The name by which the fault is asked for."""

    @property
    def label(self) -> str:
        """The name of the fault in the journal."""
        return self.kind

    @abstractmethod
    async def __call__(
        self, app: ASGIApp, exchange: Exchange, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer the call of *exchange* in place of *app*, or let *app* answer it through another
        *send*. Raises APIError for a call that is to be refused."""


def is_event_stream(start: Message) -> bool:
    """Whether the answer that *start* begins is a stream of events."""
    headers: dict[bytes, bytes] = dict(start["headers"])
    return headers.get(b"content-type", b"").startswith(b"text/event-stream")


def is_event(message: Message) -> bool:
    """Whether *message* is one event of a stream: not its end, nor a comment."""
    return message["type"] == RESPONSE_BODY and bytes(message.get("body", b"")[:1]) not in {
        b"",
        b":",
    }


async def wait_for_disconnect(receive: Receive) -> None:
    """Wait until the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def hang_up(exchange: Exchange, receive: Receive, *, reset: bool) -> None:
    """Close the connection when all that was sent is out, with a TCP RST where *reset*, and wait
    until the client has left. Without a connection, in process, the fault middleware raises
    ConnectionResetError in its place."""
    exchange.is_hung_up = True
    if exchange.connection is not None:
        await exchange.connection.hang_up(reset=reset)
        await wait_for_disconnect(receive)

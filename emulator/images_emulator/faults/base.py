"""What every fault is: settings that are its JSON form, and one verb around an ASGI app."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from images_emulator.exchange.exchange import Exchange

START: Final = "http.response.start"
BODY: Final = "http.response.body"

DAY: Final = 86_400
"""Seconds that a fault may wait at most."""


class Form(BaseModel):
    """What is read from JSON or TOML: nothing is converted, and no key is overlooked."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known(cls, given: Any) -> Any:
        for key in given if isinstance(given, dict) else ():
            if key not in cls.model_fields:
                listed = ", ".join(cls.model_fields)
                raise PydanticCustomError(
                    "unknown_key",
                    "unknown key '{key}'; it takes {listed}",
                    {"key": key, "listed": listed},
                )
        return given


class BaseFault(Form):
    """The settings of a fault; `kind` says which one it is."""

    for_downloads: ClassVar[bool] = False
    """Whether it is downloads of hosted pictures that meet it, and no API calls."""

    alters: ClassVar[bool] = True
    """Whether a good answer may leave with other bytes, or without its end."""

    kind: str

    @property
    def label(self) -> str:
        """What the journal calls it."""
        return self.kind

    @abstractmethod
    async def __call__(
        self, app: ASGIApp, exchange: Exchange, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer in place of *app*, or let it answer through another *send*. Raises APIError."""


def streams(start: Message) -> bool:
    """Whether the answer that *start* begins is a stream of events."""
    headers: dict[bytes, bytes] = dict(start["headers"])
    return headers.get(b"content-type", b"").startswith(b"text/event-stream")


def is_event(message: Message) -> bool:
    """Whether *message* is one event of a stream: not its end, nor a comment."""
    return message["type"] == BODY and bytes(message.get("body", b"")[:1]) not in {b"", b":"}


async def gone(receive: Receive) -> None:
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
        await gone(receive)

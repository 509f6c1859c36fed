"""HTTP/1.1 as it comes in on a connection."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, Final, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

TRANSPORT: Final = "transport"
"""The key in a call's state under which its connection is found, for who wants to break it."""


COPIED: Final = 32 * 1024
"""Bytes that are sooner copied than handed over apart."""


class _Corked:
    """A transport that sends the head of an answer together with what follows it at once. uvicorn
    writes them one by one, and a write costs as much as most of what else is done for an answer."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held = b""
        self.is_closing = transport.is_closing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self._held:
            held, self._held = self._held, b""
            if len(data) < COPIED:
                self._transport.write(held + data)
            else:
                self._transport.writelines((held, data))
        elif data.startswith(b"HTTP/"):
            self._held = data
            # What follows may be a while in coming.
            self._loop.call_soon(self._send)
        else:
            self._transport.write(data)

    def _send(self) -> None:
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held)

    def get_write_buffer_size(self) -> int:
        return len(self._held) + self._transport.get_write_buffer_size()

    def close(self) -> None:
        self._send()
        self._transport.close()


class Protocol(HttpToolsProtocol):
    """Nothing is upgraded to here: a request that asks for it is read as if it had not.

    The JDK's client asks for h2c by default, and httptools takes the body that follows for the
    other protocol's.
    """

    _arrived = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport = cast("asyncio.Transport", _Corked(transport, self.loop))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"][TRANSPORT] = self.transport

    def data_received(self, data: bytes) -> None:
        self._arrived = data
        super().data_received(data)
        self._arrived = b""

    def _should_upgrade(self) -> bool:
        # Keeps the request from being begun, and leads to what follows.
        return True

    def handle_websocket_upgrade(self) -> None:
        """Read the request again, without the header that stopped the parser in it."""
        stopped = sys.exc_info()[1]
        assert isinstance(stopped, httptools.HttpParserUpgrade)
        kept = [(name, value) for name, value in self.headers if name != b"upgrade"]
        if len(kept) == len(self.headers):
            # CONNECT stops it too.
            self.send_400_response("Nothing is tunnelled here.")
            return
        version = self.parser.get_http_version().encode()
        head = [self.scope["method"].encode(), b" ", self.url, b" HTTP/", version, b"\r\n"]
        for name, value in kept:
            head += name, b": ", value, b"\r\n"
        rest = self._arrived[stopped.args[0] :]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"".join((*head, b"\r\n", rest)))

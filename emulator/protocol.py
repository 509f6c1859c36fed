"""HTTP/1.1 as it comes in on a connection."""

from __future__ import annotations

import sys
from typing import Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

TRANSPORT: Final = "transport"
"""The key in a call's state under which its connection is found, for who wants to break it."""


class Protocol(HttpToolsProtocol):
    """Nothing is upgraded to here: a request that asks for it is read as if it had not.

    The JDK's client asks for h2c by default, and httptools takes the body that follows for the
    other protocol's.
    """

    _arrived = b""

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

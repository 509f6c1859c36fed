"""The transport of a connection, which joins and holds the parts of answers."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import Callable, Collection
from typing import Any, Final

from uvicorn.protocols.http.flow_control import FlowControl

from images_emulator.exchange.connection import ProtocolAnswer

MAX_JOINED_BYTES: Final = 32 * 1024
"""Head and body of an answer that are shorter together are joined in one buffer. To copy them costs
less than to hand the system two buffers."""

MAX_HELD_BYTES: Final = 64 * 1024
"""An answer of so many held bytes is sent at once. Sending so many takes far longer than waking the
client."""

_DATE: Final = re.compile(rb"(?<=\r\n)date: [^\r]*\r\n")
"""The header that uvicorn adds before the headers of the application."""

_CONTINUE: Final = b"HTTP/1.1 100 "
"""The beginning of the head that asks for the body. It is not the head of an answer."""


class BufferedTransport:
    """A transport that sends the head of an answer and the first part of its body in one write.
    uvicorn writes them one by one, and a write takes as long as most other work for an answer.

    While the server has other calls, it also holds short answers until the event loop has run what
    is ready, and then sends them one after the other. A write to a client that sleeps has to wake
    it. Where the other end is one process, or a proxy, the first of these writes wakes it for all:
    that saves a quarter of the server's time for a repeated 256² call.

    It is also the `Connection` of all calls on it: see `exchange/connection.py`.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        flow: FlowControl,
        tasks: Collection[object] = (),
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._flow = flow
        self._tasks = tasks
        """The tasks of all calls of the server."""
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._stop_callbacks: list[Callable[[], None]] = []
        self._omits_date = False
        self._sending: asyncio.Handle | None = None
        """Sends the held bytes if nothing more comes."""
        self.is_closing = transport.is_closing
        self.protocol_answer: ProtocolAnswer | None = None
        """See `Connection.protocol_answer`."""
        self.is_stopped = False
        """See `Connection.is_stopped`."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send *data*, or hold it. The head of an answer has to come as one piece."""
        if self.is_closing():
            # Some event loops raise an error here, where others drop the bytes.
            self._held.clear()
        elif self._held:
            self._held.append(data)
            self._held_bytes += len(data)
            if self._held_bytes >= MAX_HELD_BYTES or len(self._tasks) < 2:
                # A handle of `_send` that is overtaken here runs before anything else is held.
                self._send()
            elif self._sending is None:
                self._sending = self._loop.call_soon(self._send)
        elif data.startswith(b"HTTP/") and not data.startswith(_CONTINUE):
            if self._omits_date:
                self._omits_date = False
                data = _DATE.sub(b"", data, count=1)
            self._held.append(data)
            self._held_bytes = len(data)
            # The body may take a while to come.
            self._sending = self._loop.call_soon(self._send)
        else:
            self._transport.write(data)

    def _send(self) -> None:
        self._sending = None
        if self._held:
            held, self._held = self._held, []
            if self.is_closing():
                return  # as in `write`
            try:
                if self._held_bytes < MAX_JOINED_BYTES:
                    self._transport.write(b"".join(held))
                else:
                    self._transport.writelines(held)
            except Exception:
                # An error here, under the event loop, would reach nobody, and the client would
                # wait.
                self._transport.abort()
                raise

    def hold_head(self) -> None:
        """See `Connection.hold_head`."""
        if self._held and self._sending:
            self._sending.cancel()
            self._sending = None

    def release_head(self) -> None:
        """See `Connection.release_head`."""
        if self._sending is None:
            self._send()

    def omit_date(self) -> None:
        """See `Connection.omit_date`."""
        self._omits_date = True

    def call_on_stop(self, callback: Callable[[], None]) -> None:
        """See `Connection.call_on_stop`."""
        self._stop_callbacks.append(callback)

    def tell_stop(self) -> None:
        """Tell the callbacks that the server stops. The connection stays open."""
        callbacks, self._stop_callbacks = self._stop_callbacks, []
        for callback in callbacks:
            callback()

    def cut(self) -> None:
        """Close the connection without sending what is left, because the server stops."""
        self.is_stopped = not self.is_closing()
        self._transport.abort()

    async def hang_up(self, *, reset: bool) -> None:
        """Close the connection when everything written has been sent, with a TCP RST where *reset*.
        With *reset* this waits as long as the client neither reads nor leaves; otherwise the
        transport does, after this has returned."""
        self._send()
        if not reset:
            self._transport.close()
            return
        if not self.is_closing():
            # Pauses the protocol until no byte is left, or until the client has left.
            self._transport.set_write_buffer_limits(high=0)
            await self._flow.drain()
        if self.is_closing():
            return  # the client was faster
        # A linger time of 0 makes the kernel send RST instead of FIN.
        no_linger = struct.pack("ii", 1, 0)
        sock = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
        self._transport.abort()

    def get_write_buffer_size(self) -> int:
        """The bytes that are held or that the client has not taken yet."""
        held = self._held_bytes if self._held else 0
        return held + self._transport.get_write_buffer_size()

    def write_eof(self) -> None:
        """Send what is held, and close the sending half of the connection."""
        self._send()
        self._transport.write_eof()

    def close(self) -> None:
        """Send what is held, and close the connection when everything has left."""
        self._send()
        self._transport.close()

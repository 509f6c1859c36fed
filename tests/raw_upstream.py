"""A server whose answers are bytes that a test writes to the socket."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Answer = Callable[[socket.socket, bytes], None]
"""Answers on a connection the request that came on it; the connection is closed behind it."""


@contextmanager
def raw_upstream(answer: Answer) -> Iterator[str]:
    """The URL of a server with that *answer*."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads = [threading.Thread(target=_accept, args=(listener, answer), daemon=True)]
        threads[0].start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            # Closing alone does not wake the thread.
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            threads[0].join()


def _accept(listener: socket.socket, answer: Answer) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_serve, args=(connection, answer), daemon=True).start()


def _serve(connection: socket.socket, answer: Answer) -> None:
    with connection, suppress(ConnectionError):
        if request := _request(connection):
            answer(connection, request)


def _request(connection: socket.socket) -> bytes:
    """The bytes of one request; nothing where the client leaves before its end."""
    data = bytearray()
    while b"\r\n\r\n" not in data:
        if not _more(connection, data):
            return b""
    head = bytes(data).partition(b"\r\n\r\n")[0]
    length = re.search(rb"(?i)\ncontent-length: (\d+)", head)
    whole = len(head) + 4 + int(length[1] if length else 0)
    is_chunked = re.search(rb"(?i)\ntransfer-encoding: chunked", head)
    while not data.endswith(b"0\r\n\r\n") if is_chunked else len(data) < whole:
        if not _more(connection, data):
            return b""
    return bytes(data)


def _more(connection: socket.socket, data: bytearray) -> bool:
    """Add to *data* what comes next; whether anything did."""
    chunk = connection.recv(1 << 20)
    data += chunk
    return bool(chunk)


def answering(data: bytes) -> Answer:
    """Sends *data*, whatever the request."""
    return lambda connection, _: connection.sendall(data)

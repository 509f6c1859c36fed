"""A server of names of the tests' own, as Docker and Kubernetes have one for their services."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from threading import Thread
from typing import Final, Self

_HEAD: Final = struct.Struct("!6H")
"""Id, flags, and the numbers of questions, answers, authorities and additions."""

_A_IN: Final = struct.pack("!2H", 1, 1)
"""The question for an address of IPv4 on the internet."""

_ANSWER: Final = struct.pack("!3HIH", 0xC00C, 1, 1, 1, 4)
"""An address of IPv4 follows; of the name of the question, and valid for a second."""


class NameServer:
    """Gives the *addresses* for every name, over UDP. They can change while it runs."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self.addresses = addresses
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        host, port = self._socket.getsockname()
        self.address = f"{host}:{port}"

    def __enter__(self) -> Self:
        Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        # A datagram to itself wakes the thread, which `close` alone would not.
        self._socket.sendto(b"", self._socket.getsockname())

    def _serve(self) -> None:
        with self._socket:
            while True:
                query, client = self._socket.recvfrom(1024)
                if not query:
                    return
                with suppress(OSError):
                    self._socket.sendto(self._answer(query), client)

    def _answer(self, query: bytes) -> bytes:
        end = query.index(b"\0", _HEAD.size) + 1
        question = query[_HEAD.size : end + 4]
        addresses = self.addresses if question.endswith(_A_IN) else ()
        head = _HEAD.pack(*_HEAD.unpack_from(query)[:1], 0x8180, 1, len(addresses), 0, 0)
        return head + question + b"".join(_ANSWER + socket.inet_aton(each) for each in addresses)

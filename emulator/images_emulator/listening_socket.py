"""The listening socket of a server, and the limit of the files that it may open."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from typing import Final

BACKLOG: Final = 4096
"""The number of connections that may wait to be accepted."""


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that listens on *host* and *port*. Raises OSError where the port is not available.

    It listens at once, because two sockets can be bound to one port as long as neither listens.
    """
    try:
        # A name in bytes is looked up unchanged; for a text, Python loads its IDNA codec.
        name = host.encode() if host.isascii() else host
        family, kind, protocol, _, address = socket.getaddrinfo(
            name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as reason:
        error = OSError(reason.errno, f"{host}:{port}: {reason.strerror or reason}")
        if reason.errno == errno.EADDRINUSE:
            error.add_note(
                "Where no port is named, Server takes a free one; each worker of pytest-xdist "
                "needs one of its own."
            )
        raise error from None
    return listener


def http_url(host: str, port: int) -> str:
    """The URL `http://HOST:PORT`, with brackets around an IPv6 address."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def raise_file_limit() -> None:
    """Raise the limit of open files to the most that the system allows this process. With a limit
    of 256, the server resets three in four of a thousand streams."""
    try:
        import resource  # noqa: PLC0415 - not on Windows, where there is no such limit
    except ImportError:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS refuses some of its own hard limits.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

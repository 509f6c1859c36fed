"""The server of the recording proxy."""

from __future__ import annotations

from collections.abc import Callable

from images_emulator.http_server import HTTPServer
from images_emulator.protocol import CasedProtocol
from images_emulator.threaded_server import ThreadedServer
from images_emulator.web.record_proxy import Keep, KeptCall, RecordProxy
from images_emulator.web.server_names import ServerNames
from images_emulator.web.upstream import TIMEOUT_SECONDS, Upstream


class RecordServer(ThreadedServer):
    """A proxy in front of the API at the URL *upstream*. It gives a recording of each call to
    *keep*, and the outcome to *tell*; see `RecordProxy`. An *api_key* replaces the key of each
    call; then calls of pages of other sites are refused. *timeout* is the number of seconds for
    which the upstream may send nothing.

    Raises ValueError for a URL that cannot be one and where there is no HTTP client, OSError where
    the port is taken.
    """

    def __init__(
        self,
        upstream: str,
        keep: Keep,
        *,
        api_key: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        timeout: float = TIMEOUT_SECONDS,
        tell: Callable[[KeptCall], None] = lambda call: None,
    ) -> None:
        api = Upstream(upstream, api_key=api_key, timeout=timeout)
        keys, names = ((api_key,), ServerNames(host)) if api_key else ((), None)
        proxy = RecordProxy(api, keep, tell, keys, names)
        super().__init__(
            lambda ready: HTTPServer(
                proxy, ready, protocol=CasedProtocol, dated=False, finish=proxy.finish
            ),
            host,
            port,
        )

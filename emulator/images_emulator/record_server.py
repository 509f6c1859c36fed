"""The server of the recording proxy."""

from __future__ import annotations

from collections.abc import Callable

from images_emulator.http_server import HTTPServer
from images_emulator.protocol import CasedProtocol
from images_emulator.threaded_server import ThreadedServer
from images_emulator.web.forwarding.record_proxy import RecordingResult, RecordProxy, SaveRecording
from images_emulator.web.forwarding.upstream import TIMEOUT_SECONDS, UpstreamClient
from images_emulator.web.server_names import ServerNames


class RecordServer(ThreadedServer):
    """A proxy in front of the API at the URL *upstream*. It gives the recordings of calls to
    *save*, and the results to *on_result*; see `RecordProxy`. An *api_key* replaces the key of each
    call; then calls of pages of other sites are refused. *timeout* is the number of seconds for
    which the upstream may send nothing.

    Raises ValueError for a URL that cannot be one and where there is no HTTP client, OSError where
    the port is taken.
    """

    def __init__(
        self,
        upstream: str,
        save: SaveRecording,
        *,
        api_key: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        timeout: float = TIMEOUT_SECONDS,
        on_result: Callable[[RecordingResult], None] = lambda result: None,
    ) -> None:
        client = UpstreamClient(upstream, api_key=api_key, timeout=timeout)
        keys, names = ((api_key,), ServerNames(host)) if api_key else ((), None)
        proxy = RecordProxy(client, save, on_result, keys, names)
        super().__init__(
            lambda on_ready: HTTPServer(
                proxy, on_ready, protocol=CasedProtocol, date_header=False, on_shutdown=proxy.finish
            ),
            host,
            port,
        )

"""Path hints: a call to a path that is almost one of the API's is told which one it probably means.

The answer stays the 404 that it is. What is said goes to the log and to `x-emulator-notice`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import quote

from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from images_emulator.contract import admin_errors, azure
from images_emulator.state.emulator import Emulator
from images_emulator.state.hosting import PREFIX as BLOBS
from images_emulator.web.dialect import DEPLOYMENT

MAX_PATH_CHARS: Final = 256
MAX_SEGMENTS: Final = 12
MAX_NOTICES: Final = 1000
"""Distinct mistakes that are logged until a reset."""

SIMILARITY: Final = 0.9
"""Of two paths, from 0 to 1, past which one is taken for a misspelling of the other."""

logger = logging.getLogger("images_emulator")


class PathHints:
    """Wraps the router; *routes* are all of its routes."""

    def __init__(self, app: ASGIApp, routes: Sequence[Route], emulator: Emulator) -> None:
        self.app = app
        self.emulator = emulator
        self._routes = [route for route in routes if not route.path.startswith(BLOBS)]
        self._fixed = [route.path for route in self._routes if "{" not in route.path]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 404:
                path = scope["path"]
                if meant := self.suggest(path):
                    notice = admin_errors.wrong_path.format(path=quote(path), meant=quote(meant))
                    self._log(notice)
                    header = (b"x-emulator-notice", notice.encode())
                    message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        await self.app(scope, receive, sending)

    def suggest(self, path: str) -> str | None:
        """The served path that *path* is probably meant to be; None where it is one itself, or
        where none is like it."""
        if len(path) > MAX_PATH_CHARS or self._serves(path):
            return None
        segments = [segment for segment in path.split("/") if segment][-MAX_SEGMENTS:]
        joined = "/" + "/".join(segments)
        known = (meant for meant in _candidates(joined, segments) if self._serves(meant))
        from difflib import get_close_matches  # noqa: PLC0415 - it delays the start

        similar = get_close_matches(joined.lower(), self._fixed, n=1, cutoff=SIMILARITY)
        return next(known, None) or next(iter(similar), None)

    def _serves(self, path: str) -> bool:
        matches = (route.path_regex.match(path) for route in self._routes)
        return any(match and all(match.groups()) for match in matches)

    def _log(self, notice: str) -> None:
        """Say it once until a reset."""
        noticed = self.emulator.noticed
        if notice not in noticed and len(noticed) < MAX_NOTICES:
            noticed[notice] = notice.encode()
            logger.warning(notice)


def _candidates(path: str, segments: Sequence[str]) -> Iterator[str]:
    """*path*, which has no superfluous slashes, and then each of its ends, the longest first,
    behind the prefixes that the API's paths have; as it is spelt and in small letters."""
    yield path
    prefixes = ["/v1"]
    if azure.PREFIX in f"{path}/":
        deployment = DEPLOYMENT.search(f"{path}/")
        prefixes = [*([deployment.group().rstrip("/")] if deployment else ()), "/openai/v1"]
    for start in range(len(segments)):
        end = "/" + "/".join(segments[start:])
        for prefix in prefixes:
            yield prefix + end
            yield prefix + end.lower()

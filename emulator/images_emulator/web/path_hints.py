"""Path hints: the 404 at a path that is almost a path of the API names the path that is probably
meant. The hint is in the log and in the header `x-emulator-notice`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import quote

from images_emulator.contract import azure
from images_emulator.contract.notices import NO_METRICS, WRONG_PATH
from images_emulator.contract.operations import AZURE_PREFIX
from images_emulator.state.emulator import Emulator
from images_emulator.state.hosting import DOWNLOAD_PREFIX
from images_emulator.web.instruments.metric_table import METRICS_PATH
from images_emulator.web.route import Route

MAX_PATH_CHARS: Final = 256
"""Longer paths get no hint."""

MAX_SEGMENTS: Final = 12
"""Segments at the end of a path that are compared."""

MAX_NOTICES: Final = 1000
"""Distinct notices that are logged until a reset."""

MIN_SIMILARITY: Final = 0.9
"""How alike two paths must be, from 0 to 1, for one to pass as a misspelling of the other."""

logger = logging.getLogger("images_emulator")


class PathHints:
    """Suggests the path that a call to an unknown one means; *routes* are all that are served."""

    def __init__(self, routes: Sequence[Route], emulator: Emulator) -> None:
        self.emulator = emulator
        self._routes = [route for route in routes if not route.path.startswith(DOWNLOAD_PREFIX)]
        self._fixed = [route.path for route in self._routes if not route.has_parameters]

    def hint(self, path: str) -> bytes | None:
        """The hint for a call to *path*: it names a similar path that is served, or the setting
        that metrics need. It is logged once until a reset. None where there is no hint, or the path
        is served."""
        suggestion = self.suggest(path)
        if suggestion is not None:
            notice = WRONG_PATH.format(path=quote(path), suggestion=quote(suggestion))
        elif path == METRICS_PATH:
            notice = NO_METRICS
        else:
            return None
        self._log(notice)
        return notice.encode()

    def suggest(self, path: str) -> str | None:
        """The served path that is probably meant by *path*; None where *path* is served itself, or
        where no served path is similar."""
        if len(path) > MAX_PATH_CHARS or self._serves(path):
            return None
        segments = [segment for segment in path.split("/") if segment][-MAX_SEGMENTS:]
        joined = "/" + "/".join(segments)
        for candidate in _candidates(joined, segments):
            if self._serves(candidate):
                return candidate
        from difflib import get_close_matches  # noqa: PLC0415 - it delays the start

        similar = get_close_matches(joined.lower(), self._fixed, n=1, cutoff=MIN_SIMILARITY)
        return similar[0] if similar else None

    def _serves(self, path: str) -> bool:
        matches = (route.parameters_in(path) for route in self._routes)
        return any(values is not None and all(values.values()) for values in matches)

    def _log(self, notice: str) -> None:
        """Log the *notice*, once until a reset."""
        notices = self.emulator.logged_notices
        if notice not in notices and len(notices) < MAX_NOTICES:
            notices[notice] = notice.encode()
            logger.warning(notice)


def _candidates(path: str, segments: Sequence[str]) -> Iterator[str]:
    """Paths that may be meant by *path*, which has no superfluous slashes and these *segments*. The
    first is the path itself. Then each of its ends, the longest first, follows behind each prefix
    of the API's paths, both as it is spelt and in lower case."""
    yield path
    prefixes = ["/v1"]
    if AZURE_PREFIX in f"{path}/":
        deployment = azure.DEPLOYMENT_PATH.search(f"{path}/")
        # Without a name of a deployment, `images` of the operation is in its place.
        if deployment and deployment.group(1) != "images":
            prefixes = [deployment.group().rstrip("/")]
        else:
            prefixes = []
        prefixes.append(f"{AZURE_PREFIX}v1")
    for start in range(len(segments)):
        end = "/" + "/".join(segments[start:])
        for prefix in prefixes:
            yield prefix + end
            yield prefix + end.lower()

"""What has left of an answer: its status, its events, and the images that a client can open."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator, Mapping
from typing import Any, Final

from images_emulator import imaging
from images_emulator.contract.request import ImageRequest

MAX_ERROR_BYTES: Final = 16_384
"""Bytes that are kept of a refusal's body."""

_MAX_SIGNATURE_CHARS: Final = 64
"""Characters of base64 in which the beginning of a file is looked for."""

_COMPLETED: Final = b".completed"
_ERROR: Final = b"event: error\n"


class SentResponse:
    """One answer as it leaves.

    *events* counts the server-sent events, however they were cut into chunks. *images* are the
    indexes, from 0, of the images that have left whole. *error_body* is the beginning of a
    refusal's body, or the `error` event that ended a stream.
    """

    __slots__ = (
        "_body_may_change",
        "_pending",
        "_request",
        "_streams",
        "error_body",
        "events",
        "images",
        "listens",
        "status",
    )

    def __init__(self) -> None:
        self.status: int | None = None
        self.events = 0
        self.images: tuple[int, ...] = ()
        self.error_body = b""
        self.listens = False
        """Whether `add` is to be told of the body's parts."""
        self._request: ImageRequest | None = None
        self._body_may_change = self._streams = False
        self._pending: bytearray | None = None

    @classmethod
    def completed(
        cls,
        status: int | None,
        *,
        events: int,
        images: tuple[int, ...],
        error_body: bytes,
        streams: bool,
    ) -> SentResponse:
        """An answer of which nothing more will leave."""
        sent = cls()
        sent.status, sent.events, sent.images = status, events, images
        sent.error_body, sent._streams = error_body, streams
        return sent

    @property
    def streams(self) -> bool:
        return self._streams

    def start(self, status: int, request: ImageRequest | None, *, body_may_change: bool) -> None:
        """Note the *status*. Where a fault may rewrite or cut the body, *body_may_change*, it is
        read to find the images in it."""
        self.status = status
        self._request = request if status == 200 else None
        self._streams = bool(self._request and self._request.stream)
        self._body_may_change = body_may_change and self._request is not None
        self.listens = self._streams or self._body_may_change or status >= 400
        self._pending = bytearray() if self._streams or self._body_may_change else None

    def add(self, part: bytes) -> None:
        """Note a part of the body."""
        if self._streams:
            self._add_events(part)
        elif self._pending is not None:
            self._pending += part
        else:
            self.error_body = (self.error_body + part)[:MAX_ERROR_BYTES]

    def end(self) -> None:
        """Note that the body has left to its end."""
        if self._streams or not self._request:
            return
        if not self._body_may_change:
            self.images = tuple(range(self._request.n))
        else:
            self.images = tuple(_images(self._pending or b""))

    def close(self) -> None:
        """Let go of all that only a part to come would need."""
        self._pending = None
        self._request = None

    def _add_events(self, part: bytes) -> None:
        pending = self._pending
        if pending is None:
            return
        if not pending and _is_event(part):
            self._add_event(part)
            return
        # An event may end on the seam of two parts.
        place = max(0, len(pending) - 1)
        pending += part
        while (end := pending.find(b"\n\n", place)) >= 0:
            self._add_event(bytes(pending[: end + 2]))
            del pending[: end + 2]
            place = 0

    def _add_event(self, event: bytes) -> None:
        if event.startswith((b":", b"\n")):
            # A comment, which clients overlook.
            return
        self.events += 1
        self.error_body = event[:MAX_ERROR_BYTES] if event.startswith(_ERROR) else b""
        name, _, data = event.partition(b"\n") if self._body_may_change else (event[:80], b"", b"")
        if name.partition(b"\n")[0].endswith(_COMPLETED) and (
            not self._body_may_change or _is_image(_json(data.removeprefix(b"data: ")))
        ):
            self.images = (0,)


def _is_event(part: bytes) -> bool:
    """Whether *part* is one whole event of two lines, as nearly always. A single byte is searched
    for ten times as fast as two, and an event may have megabytes."""
    first_end = part.find(b"\n")
    second_end = part.find(b"\n", first_end + 1)
    return first_end > 0 and second_end == len(part) - 2 and part.endswith(b"\n")


def _images(body: bytes | bytearray) -> Iterator[int]:
    """The indexes of the images that a client can find in *body*."""
    answer = _json(body)
    items = answer.get("data") if isinstance(answer, Mapping) else None
    for index, item in enumerate(items if isinstance(items, list) else ()):
        if _is_image(item):
            yield index


def _is_image(item: Any) -> bool:
    """Whether *item* has a URL, or base64, in whole groups of four, of what begins as an image.
    What follows is not decoded, which would take 15 ms for a picture of 3 MB."""
    if not isinstance(item, Mapping):
        return False
    encoded = item.get("b64_json")
    if not isinstance(encoded, str):
        return bool(item.get("url"))
    if len(encoded) % 4:
        return False
    try:
        beginning = b64decode(encoded[:_MAX_SIGNATURE_CHARS], validate=True)
    except ValueError:
        return False
    return imaging.formats.format_of(beginning) is not None


def _json(text: bytes | bytearray) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None

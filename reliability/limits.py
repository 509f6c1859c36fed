"""Clients that go to the limits: pictures of many pixels, connections without calls."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from PIL import Image

from reliability.load import MAX_MORE_MB, STREAMS_MORE_MB, each_of, raise_file_limit
from reliability.mixed_calls import KEY
from reliability.plain_webp import plain_webp
from reliability.promise import Effort, Figure, Outcome
from reliability.raw_calls import EDITS, FORM, ask, connected, form, parsed, read_all, request
from reliability.server_process import ServerProcess, growth

DECODE_MB: Final = 350.0
"""Megabytes that a server may take more for an edit of a picture, whatever its size."""

AT_ONCE_MB: Final = 600.0
"""The same for `EDITS_AT_ONCE` edits: the pixels that wait to be drawn have 134 MB, and each call
has its body."""

EDITS_AT_ONCE: Final = 8

IDLE_CONNECTIONS: Final = 5000
"""Connections that send nothing, or not all of a call."""

CONNECTION_KB: Final = 12.0
"""Kilobytes that a server may hold for a connection without a call."""

BEGINNINGS: Final = (
    b"",
    b"POST /v1/images/gener",
    request("POST", EDITS, b"x" * 99, content_type=FORM)[:-50],
)
"""What comes on an idle connection."""


def _encoded(size: tuple[int, int], mode: str, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    Image.new(mode, size).save(file, kind, **options)
    return file.getvalue()


def large_pictures() -> Mapping[str, tuple[bytes, int]]:
    """Pictures of about as many pixels as there may be, and of more, by their names; each with the
    status of its edit."""
    return {
        "WebP of 64 million pixels": (plain_webp(8000, 8000), 400),
        "WebP of 26 million pixels": (plain_webp(5150, 5000), 200),
        "PNG of 64 million pixels": (_encoded((8000, 8000), "RGBA", "PNG", compress_level=1), 200),
        "PNG of 89 million pixels": (_encoded((9460, 9450), "L", "PNG", compress_level=1), 400),
        "JPEG of 64 million pixels": (_encoded((8000, 8000), "L", "JPEG"), 200),
        "progressive JPEG of 41 million pixels": (
            _encoded((6450, 6450), "RGB", "JPEG", progressive=True, subsampling=0),
            200,
        ),
    }


async def _edit(server: ServerProcess, picture: bytes, status: int, prompt: str) -> None:
    """Raises ValueError for another answer."""
    fields = {"model": "gpt-image-2", "prompt": prompt, "quality": "low", "size": "1024x1024"}
    body = form(fields, {"image": picture})
    answer = await ask(server.port, request("POST", EDITS, body, content_type=FORM))
    if answer.status != status:
        raise ValueError(f"answered {answer.status} in place of {status}: {answer.body[:200]!r}")


class _Peak:
    """The most memory of a process, in MB, over what it had when this was made."""

    def __init__(self, server: ServerProcess) -> None:
        self._folder = Path(f"/proc/{server.pid}")
        (self._folder / "clear_refs").write_text("5")
        self._before = server.resident()

    def more(self) -> float:
        """Megabytes up to now."""
        status = (self._folder / "status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6 - self._before


async def large_uploads(effort: Effort, loop: str) -> Outcome:
    """Edits of pictures with many pixels, one by one and at once."""
    pictures = large_pictures()
    if effort.scale < 0.1:
        pictures = dict([*pictures.items()][:2])
    mistakes, most = [], 0.0
    with ServerProcess("--api-key", KEY, "--log-level", "error", loop=loop) as server:
        small = plain_webp(64, 64)
        mistakes += await each_of(
            range(4), 4, lambda number: _edit(server, small, 200, f"{number}")
        )
        before = await server.after_reset()
        for name, (picture, status) in pictures.items():
            peak = _Peak(server)
            edit = partial(_edit, server, picture, status)
            mistakes += await each_of([name], 1, edit)
            most = max(most, peak.more())
        await server.after_reset()
        peak = _Peak(server)
        edits = [*pictures.values()] * EDITS_AT_ONCE
        count = effort.count(3 * EDITS_AT_ONCE, EDITS_AT_ONCE // 2)
        mistakes += await each_of(
            range(count),
            EDITS_AT_ONCE,
            lambda number: _edit(server, edits[number][0], edits[number][1], f"{number}"),
        )
        at_once = peak.more()
        after = await server.after_reset(before)
    return Outcome(
        [
            Figure(len(pictures) + count, "edits", least=1),
            Figure(most, "MB more for one", most=DECODE_MB),
            Figure(at_once, f"MB more for {EDITS_AT_ONCE} at once", most=AT_ONCE_MB),
            *growth(before, after, memory=MAX_MORE_MB),
        ],
        [*mistakes, *server.mistakes],
    )


async def idle_connections(effort: Effort, loop: str) -> Outcome:
    """Connections on which nothing comes, or not all of a call, and one more than there may be."""
    raise_file_limit()
    count = effort.count(IDLE_CONNECTIONS, 30)
    # All are open before the first one is closed.
    idle_seconds = 3 + count // 250
    flags = ("--idle-timeout", str(idle_seconds), "--max-connections", str(count))
    with ServerProcess("--api-key", KEY, *flags, "--log-level", "error", loop=loop) as server:
        await ask(server.port, request("GET", "/v1/models"))
        before = await server.after_reset()
        statuses: list[int] = []
        async with AsyncExitStack() as stack:
            pairs = []
            for number in range(count):
                pair = await stack.enter_async_context(connected(server.port))
                pair[1].write(BEGINNINGS[number % len(BEGINNINGS)])
                pairs.append(pair)
            held = server.resident()
            mistakes = []
            refused = await ask(server.port, request("GET", "/v1/models"))
            if refused.status != 503 or json.loads(refused.body)["error"]["code"] != (
                "too_many_connections"
            ):
                mistakes.append(f"one connection more was answered {refused.status}")
            for reader, _ in pairs:
                data = await read_all(reader)
                statuses.append(parsed(data).status if data else 0)
        if (await ask(server.port, request("GET", "/v1/models"))).status != 200:
            mistakes.append("the call after them failed")
        after = await server.after_reset(before)
    late = statuses.count(408)
    return Outcome(
        [
            Figure(len(statuses), "idle connections were closed", least=count),
            Figure(late, "of them after a 408", least=2 * (count // 3)),
            Figure(1000 * (held - before.memory) / count, "KB held for each", most=CONNECTION_KB),
            *growth(before, after, memory=STREAMS_MORE_MB),
        ],
        [*mistakes, *server.mistakes],
    )

"""Figures 9 and 18: memory of the emulator under load, and after a reset compared to before. They
need Linux, which shows the proportional set of a process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from io import BytesIO
from typing import Final

from PIL import Image

from benchmarks.calls import LARGE, SMALL, USUAL, post
from benchmarks.measure import Bench, Effort, Measurements, Probe
from benchmarks.servers import GENERATIONS, HEALTH, TIMEOUT_SECONDS, Crowd, Peak, Process, crowd

FILL_CALLS: Final = 10_000
"""Calls after which cache and journal are full."""

GROWTH_CALLS: Final = 3_000
"""Further calls, over which growth is measured."""


def _filled_server(callers: Crowd, effort: Effort) -> Measurements:
    with Process.emulator() as server:
        server.ask(HEALTH)
        ready = server.megabytes("Rss")
        callers.pictures(server, USUAL, 8, effort.calls(FILL_CALLS))
        filled = server.megabytes()
        further = effort.calls(GROWTH_CALLS)
        callers.pictures(server, USUAL, 8, further)
        growth = (server.megabytes() - filled) * 1000 / further
    return {"ready MB": ready, "filled MB": filled, "growth MB": growth}


def _server_under_4k(callers: Crowd, effort: Effort) -> Measurements:
    with Process.emulator() as server:
        server.ask(HEALTH)
        with Peak(server) as peak:
            callers.pictures(server, LARGE, 32, max(32, effort.calls(160)))
    return {"peak 4K MB": peak.megabytes}


@contextmanager
def _open(effort: Effort) -> Iterator[Sequence[Probe]]:
    with crowd() as callers:
        yield [
            Probe(("ready MB", "filled MB", "growth MB"), lambda: _filled_server(callers, effort)),
            Probe(("peak 4K MB",), lambda: _server_under_4k(callers, effort)),
        ]


MEMORY: Final = Bench((9,), _open, once=True, linux=True)


# --- after a reset

EDITS: Final = "/v1/images/edits"
JSON: Final = {"content-type": "application/json"}
KEY: Final = {"authorization": "Bearer sk-benchmark"}

FORGIVEN_EDITS: Final = 25
JSON_PARTS: Final = 7_000_000
"""Empty objects in 21 MB of JSON."""

USER_CALLS: Final = 150
USER_CHARS: Final = 4_000_000


def _send(
    server: Process, method: str, path: str, headers: dict[str, str], body: bytes = b""
) -> int:
    """Make one call on a connection of its own and return the status of the answer."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT_SECONDS)
    connection.request(method, path, body, headers)
    with connection.getresponse() as answer:
        answer.read()
    connection.close()
    return answer.status


def _picture(edge: int, number: int) -> bytes:
    """A square PNG with an alpha channel."""
    file = BytesIO()
    Image.new("RGBA", (edge, edge), (number % 256, 90, 60, 0)).save(file, "PNG")
    return file.getvalue()


def _edit(server: Process, number: int, **fields: str) -> None:
    """Make an edit of an image of 2000² with a mask of the wrong size, under lenient validation.
    Raises RuntimeError where it is refused."""
    values = {
        "model": "gpt-image-2",
        "prompt": f"A lighthouse, {number}",
        "quality": "low",
        **fields,
    }
    mark = "benchmark-3141592653589793"
    parts = [
        f'--{mark}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in values.items()
    ]
    body = "".join(parts).encode()
    # A mask of another size is forgiven once the image is decoded.
    for name, image in (("image", _picture(2000, number)), ("mask", _picture(10, number))):
        body += (
            (
                f'--{mark}\r\ncontent-disposition: form-data; name="{name}"; filename="a.png"\r\n'
                "content-type: image/png\r\n\r\n"
            ).encode()
            + image
            + b"\r\n"
        )
    body += f"--{mark}--\r\n".encode()
    headers = {
        "content-type": f"multipart/form-data; boundary={mark}",
        "x-emulator-validation": "lenient",
    }
    status = _send(server, "POST", EDITS, KEY | headers, body)
    if status != 200:
        raise RuntimeError(f"the edit was answered {status}")


def _forgiven(effort: Effort, server: Process) -> None:
    for number in range(1, 1 + effort.calls(FORGIVEN_EDITS)):
        _edit(server, number, colour="red")


def _structured(effort: Effort, server: Process) -> None:
    parts = b"{}," * effort.calls(JSON_PARTS)
    body = b'{"model": "gpt-image-2", "prompt": "A lighthouse", "svg": [%s{}]}' % parts
    for headers in (JSON, JSON | KEY):
        _send(server, "POST", GENERATIONS, headers, body)


def _long_users(effort: Effort, server: Process) -> None:
    for number in range(effort.calls(USER_CALLS)):
        user = f"{number:09}" + "u" * USER_CHARS
        body = json.dumps({**SMALL, "response_format": "url", "user": user}).encode()
        _send(server, "POST", GENERATIONS, JSON | KEY, body)


def _held_and_left(name: str, load: Callable[[Process], None], journal: int) -> Measurements:
    """Resident megabytes above those of a warm server, whose journal holds *journal* bytes: after
    *load*, and after a reset."""
    with Process.emulator("--render-processes", "0", "--journal-bytes", str(journal)) as server:
        server.ask(post(GENERATIONS, USUAL))
        _edit(server, 0)
        _send(server, "GET", "/_emulator/requests", {})
        _send(server, "POST", "/_emulator/reset", {})
        before = server.megabytes("Rss")
        load(server)
        _send(server, "GET", "/_emulator/requests", {})
        held = server.megabytes("Rss") - before
        _send(server, "POST", "/_emulator/reset", {})
        return {f"{name} held MB": held, f"{name} left MB": server.megabytes("Rss") - before}


@contextmanager
def _open_left(effort: Effort) -> Iterator[Sequence[Probe]]:
    loads = {
        "forgiven": (_forgiven, 2_000_000),
        "structure": (_structured, 64_000_000),
        "user": (_long_users, 64_000_000),
    }
    yield [
        Probe(
            (f"{name} held MB", f"{name} left MB"),
            partial(_held_and_left, name, partial(load, effort), journal),
        )
        for name, (load, journal) in loads.items()
    ]


LEFT: Final = Bench((18,), _open_left, once=True, linux=True)

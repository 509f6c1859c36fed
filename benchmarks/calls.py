"""The calls of the benchmarks: their bodies, and the bytes of their requests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Any, Final

_NUMBER: Final = "{number}"
_DIGITS: Final = 12
PROMPT: Final = (
    f"A lighthouse at the end of a pier in a winter storm, seen from the open sea, {_NUMBER}"
)
"""95 characters."""

FAULT_HEADER: Final = "x-emulator-fault"
STREAM_EVENTS: Final = 4
"""Events of a stream, of which the last has the final image."""

_blocks: Final = count(1)


def fresh() -> int:
    """The first of 10⁹ numbers that no other call of this run uses."""
    return next(_blocks) * 10**9


def numbered(number: int, prompt: str = PROMPT) -> str:
    """*prompt* with *number* in it; its length does not depend on the number."""
    return prompt.replace(_NUMBER, f"{number:0{_DIGITS}}")


def generation(size: int | tuple[int, int], **fields: Any) -> dict[str, Any]:
    """The body of a call for one PNG of that size, a square one by its edge, in base64."""
    wide, high = (size, size) if isinstance(size, int) else size
    values = {"prompt": PROMPT, "size": f"{wide}x{high}"}
    if wide < 1024:
        return {"model": "dall-e-2", "response_format": "b64_json", **values, **fields}
    return {"model": "gpt-image-2", "quality": "low", **values, **fields}


SMALL: Final = generation(256)
USUAL: Final = generation(1024)
LARGE: Final = generation((3840, 2160))
STREAM: Final = generation(1024, stream=True, partial_images=STREAM_EVENTS - 1)


@dataclass(frozen=True, slots=True)
class Wire:
    """The bytes of an HTTP request, in two halves around the number that makes it unique."""

    before: bytes
    after: bytes = b""

    def numbered(self, number: int) -> bytes:
        if not self.after:
            return self.before
        return b"%s%0*d%s" % (self.before, _DIGITS, number, self.after)


def _request(method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        "host: 127.0.0.1",
        "authorization: Bearer sk-benchmark",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def get(path: str) -> Wire:
    return Wire(_request("GET", path, {}, b""))


def post(path: str, body: Mapping[str, Any], **headers: str) -> Wire:
    """A JSON body whose prompt is `PROMPT`; an underscore in a header's name is a hyphen."""
    before, after = json.dumps(body).split(_NUMBER)
    renamed = {name.replace("_", "-"): value for name, value in headers.items()}
    length = str(len(before) + _DIGITS + len(after))
    all_headers = {"content-type": "application/json", "content-length": length, **renamed}
    return Wire(_request("POST", path, all_headers, before.encode()), after.encode())


def upload(path: str, size: int) -> Wire:
    """An edit in a form, with a file of *size* bytes that is no image: it is read, parsed and
    refused before anything is decoded."""
    return edit(path, [Random(13).randbytes(size)])


def edit(path: str, files: Sequence[bytes]) -> Wire:
    """An edit in a form, with *files* said to be PNGs."""
    mark = "benchmark-3141592653589793"
    fields = {"model": "gpt-image-2", "prompt": "A lighthouse", "size": "1024x1024"}
    parts = [
        f'--{mark}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = (
        f'--{mark}\r\ncontent-disposition: form-data; name="image[]"; filename="a.png"\r\n'
        "content-type: image/png\r\n\r\n"
    )
    for file in files:
        parts += head.encode(), file, b"\r\n"
    body = b"".join([*parts, f"--{mark}--\r\n".encode()])
    headers = {
        "content-type": f"multipart/form-data; boundary={mark}",
        "content-length": str(len(body)),
    }
    return Wire(_request("POST", path, headers, body))


def objects(path: str, size: int) -> Wire:
    """*size* bytes of JSON that are an array of empty objects."""
    body = b"[" + b",".join([b"{}"] * (size // 3)) + b"]"
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    return Wire(_request("POST", path, headers, body))

"""Calls over connections of their own, byte by byte, and their answers as they came."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, NamedTuple

from reliability.mixed_calls import KEY

TIMEOUT_SECONDS: Final = 60.0
"""Seconds without a byte, after which an answer counts as hung."""

READ_BYTES: Final = 1 << 16

GENERATIONS: Final = "/v1/images/generations"
EDITS: Final = "/v1/images/edits"
VARIATIONS: Final = "/v1/images/variations"
FILES: Final = "/v1/files"

BOUNDARY: Final = "reliability-2718281828"
FORM: Final = f"multipart/form-data; boundary={BOUNDARY}"
JSON: Final = "application/json"

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
"""The answer that asks for the body."""


class BrokenAnswerError(Exception):
    """An answer that is not whole."""


class RawAnswer(NamedTuple):
    """A whole answer; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body. Raises ValueError where it is no JSON."""
        return json.loads(self.body)

    def events(self) -> list[Any]:
        """The data of server-sent events. Raises ValueError where some are no JSON."""
        lines = self.body.split(b"\n")
        return [json.loads(line[6:]) for line in lines if line.startswith(b"data: ")]


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """The bytes of a request, on a connection that ends with it; an underscore in a header's name
    is a hyphen."""
    lines = {
        "host": "127.0.0.1",
        "authorization": f"Bearer {KEY}",
        "connection": "close",
        **({"content-length": str(len(body))} if body or method == "POST" else {}),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    head = [f"{method} {path} HTTP/1.1", *(f"{name}: {text}" for name, text in lines.items())]
    return "\r\n".join([*head, "", ""]).encode() + body


def post_json(path: str, fields: Mapping[str, Any], **headers: str) -> bytes:
    """The bytes of a call with a JSON body."""
    return request("POST", path, json.dumps(fields).encode(), content_type=JSON, **headers)


def form(fields: Mapping[str, str], files: Mapping[str, bytes]) -> bytes:
    """The body of a form, of the type `FORM`; *files* are said to be PNGs."""
    head = f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="'.encode()
    parts = [b'%s%s"\r\n\r\n%s\r\n' % (head, *map(str.encode, each)) for each in fields.items()]
    parts += [
        b'%s%s"; filename="a.png"\r\ncontent-type: image/png\r\n\r\n%s\r\n'
        % (head, name.encode(), data)
        for name, data in files.items()
    ]
    return b"".join([*parts, f"--{BOUNDARY}--\r\n".encode()])


def parsed(data: bytes) -> RawAnswer:
    """All bytes of a connection, as an answer. Raises BrokenAnswerError where it is not whole."""
    head, end, body = data.removeprefix(CONTINUE).partition(b"\r\n\r\n")
    line, *rest = head.decode("latin-1").split("\r\n")
    if not end or not line.startswith("HTTP/1.1 "):
        raise BrokenAnswerError(f"no whole head: {data[:200]!r}")
    headers = {
        name.lower(): text.strip() for name, _, text in (each.partition(":") for each in rest)
    }
    if "transfer-encoding" in headers:
        body = _dechunked(body)
    elif len(body) != int(headers.get("content-length", 0)):
        raise BrokenAnswerError(f"{len(body)} bytes of {headers.get('content-length')}")
    return RawAnswer(int(line.split(" ")[1]), headers, body)


def all_parsed(data: bytes) -> list[RawAnswer]:
    """All bytes of a connection, as the answers that they are. Raises BrokenAnswerError where one
    is not whole."""
    answers = []
    while data:
        data = data.removeprefix(CONTINUE)
        end = data.find(b"\r\n\r\n") + 4
        head = data[:end].lower()
        if b"\r\ntransfer-encoding:" in head:
            end = data.find(b"\r\n0\r\n\r\n", end - 2) + 7
        elif b"\r\ncontent-length:" in head:
            end += int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
        answers.append(parsed(data[:end]))
        data = data[end:]
    return answers


def _dechunked(data: bytes) -> bytes:
    chunks: list[bytes] = []
    start = 0
    while True:
        end = data.find(b"\r\n", start)
        if end < 0:
            raise BrokenAnswerError(f"the last chunk is missing after {len(data)} bytes")
        length = int(data[start:end], 16)
        chunk = data[end + 2 : end + 2 + length]
        if data[end + 2 + length : end + 4 + length] != b"\r\n":
            raise BrokenAnswerError("a chunk is not whole")
        if not length:
            return b"".join(chunks)
        chunks.append(chunk)
        start = end + 4 + length


@asynccontextmanager
async def connected(
    port: int,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection, which is closed in the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=READ_BYTES)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def read_all(reader: asyncio.StreamReader) -> bytes:
    """What comes until the server closes. Raises TimeoutError after `TIMEOUT_SECONDS` without a
    byte."""
    parts = []
    while part := await asyncio.wait_for(reader.read(READ_BYTES), TIMEOUT_SECONDS):
        parts.append(part)
    return b"".join(parts)


async def ask(port: int, data: bytes) -> RawAnswer:
    """The answer to a request. Raises OSError, TimeoutError and BrokenAnswerError."""
    async with connected(port) as (reader, writer):
        writer.write(data)
        return parsed(await read_all(reader))

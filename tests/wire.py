"""Exchanges over a socket, byte for byte: what was sent, what came back, and when."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

from images_emulator.recordings.recording import (
    End,
    RecordedDownload,
    RecordedPart,
    RecordedRequest,
    RecordedResponse,
    Recording,
)
from tests.conftest import KEY

OF_SERVER = {"connection", "transfer-encoding", "content-length"}
"""Headers that every server has of its own."""


class _Reader:
    """Reads an answer from a socket, and knows when its bytes came: the seconds since *start*."""

    def __init__(self, connection: socket.socket, start: float) -> None:
        self._connection = connection
        self._buffer = b""
        self.end: End = "complete"
        self.start = start
        self.seconds = 0.0

    def _more(self) -> bool:
        try:
            data = self._connection.recv(1 << 20)
        except ConnectionResetError:
            self.end = "reset"
            return False
        self.seconds = perf_counter() - self.start
        self._buffer += data
        if not data:
            self.end = "cut"
        return bool(data)

    def line(self) -> bytes | None:
        """The next line without its end; None where the connection ended before."""
        while b"\r\n" not in self._buffer:
            if not self._more():
                return None
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def bytes(self, count: int) -> bytes:
        """The next *count* bytes, or as many as came."""
        while len(self._buffer) < count and self._more():
            pass
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data


def exchange(
    url: str,
    method: str,
    target: str,
    body: bytes | Mapping[str, Any] = b"",
    content_type: str | None = None,
    **headers: str,
) -> Recording:
    """What the server at *url* answers to a request. A mapping as *body* is sent as JSON; the
    underscores of *headers* are hyphens."""
    if not isinstance(body, bytes):
        body, content_type = json.dumps(body).encode(), "application/json"
    pairs = {"Authorization": f"Bearer {KEY}", "Accept-Encoding": "gzip"}
    pairs |= {key.replace("_", "-"): value for key, value in headers.items()}
    if content_type:
        pairs["Content-Type"] = content_type
    sent = tuple(pairs.items())
    parts = urlsplit(url)
    assert parts.hostname
    lines = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}"]
    lines += [f"{key}: {value}" for key, value in (*sent, ("Content-Length", str(len(body))))]
    head = "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")
    with socket.create_connection((parts.hostname, parts.port or 80), 20) as connection:
        start = perf_counter()  # the server's clock starts when it has the request
        connection.sendall(head + body)
        response = _response(_Reader(connection, start), method)
    downloads = _downloads(url, response) if response else ()
    error = "" if response else "the connection was reset"
    request = RecordedRequest(method, target, sent, body)
    return Recording(request, response, error, downloads)


def answer_of(recording: Recording) -> RecordedResponse:
    """The answer, which there is."""
    assert recording.response
    return recording.response


def answer_to(url: str, *request: Any, **headers: Any) -> RecordedResponse:
    """The answer to a request; see `exchange`."""
    return answer_of(exchange(url, *request, **headers))


def _response(reader: _Reader, method: str) -> RecordedResponse | None:
    if not (line := reader.line()):
        return None
    status = int(line.split()[1])
    headers = []
    while line := reader.line():
        key, _, value = line.decode("latin-1").partition(": ")
        headers.append((key, value))
    named = dict(headers)
    parts: list[RecordedPart] = []
    if "transfer-encoding" in named:
        while size := reader.line():
            data = reader.bytes(int(size, 16))
            seconds = reader.seconds
            if data:
                parts.append(RecordedPart(seconds, data))
            if reader.line() is None or size == b"0":
                break
    elif method != "HEAD" and (length := int(named.get("content-length", 0))):
        data = reader.bytes(length)
        parts = [RecordedPart(reader.seconds, data)] if data else []
    return RecordedResponse(status, tuple(headers), tuple(parts), reader.end)


def _downloads(url: str, response: RecordedResponse) -> tuple[RecordedDownload, ...]:
    """The hosted pictures that the answer of the server at *url* names."""
    downloads = []
    try:
        data = json.loads(response.body)["data"]
    except (ValueError, KeyError, TypeError):
        return ()
    for item in data:
        if isinstance(item, dict) and "url" in item:
            target = item["url"].removeprefix(url)
            answer = answer_to(url, "GET", target)
            downloads.append(
                RecordedDownload(item["url"], answer.status, answer.headers, answer.body)
            )
    return tuple(downloads)


def headers_of(response: RecordedResponse) -> list[tuple[str, str]]:
    """The headers of an answer that are no server's own, in their order."""
    return [(name, value) for name, value in response.headers if name.lower() not in OF_SERVER]

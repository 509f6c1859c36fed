"""What HTTP/1.1 does not allow, seldom allows or leaves open, byte by byte, with what comes of it.

A request is answered at `/v1/models`, which needs no body, or is a generation with one. The server
answers with a whole answer, or closes the connection; it never waits for what cannot come.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final, NamedTuple

from reliability.mixed_calls import KEY

LINE: Final = b"GET /v1/models HTTP/1.1\r\n"
POST: Final = b"POST /v1/images/generations HTTP/1.1\r\n"
HOST: Final = b"Host: 127.0.0.1\r\n"
AUTHORIZATION: Final = b"Authorization: Bearer " + KEY.encode() + b"\r\n"
COMMON: Final = HOST + AUTHORIZATION
CLOSE: Final = b"Connection: close\r\n"
TYPE: Final = b"Content-Type: application/json\r\n"
FIELDS: Final = {
    "model": "dall-e-2",
    "prompt": "x",
    "size": "256x256",
    "response_format": "b64_json",
}
BODY: Final = json.dumps(FIELDS).encode()
LENGTH: Final = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"
END: Final = b"\r\n"
CHUNKS: Final = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
GET: Final = LINE + COMMON + CLOSE + END
"""A request without a mistake."""
HEAD_BYTES: Final = 256 * 1024
"""The length of a head that is too large."""


class RawCase(NamedTuple):
    """The bytes *data* and the *statuses* of the answers to them, in their order, after which the
    connection is closed: by the server, where not by *leaves*, the client. Without statuses the
    server closes it at once, or the client has left before an answer came."""

    name: str
    data: bytes
    statuses: Sequence[int]
    leaves: bool = False


def _get(line: bytes = LINE, more: bytes = b"", common: bytes = COMMON + CLOSE) -> bytes:
    return line + common + more + END


def _post(framing: bytes, body: bytes) -> bytes:
    return POST + COMMON + CLOSE + TYPE + framing + END + body


def _line(target: bytes = b"/v1/models", method: bytes = b"GET", end: bytes = b"HTTP/1.1") -> bytes:
    return _get(b" ".join((method, target, end)) + b"\r\n")


_LINES: Final = {
    "no line": (END * 2 + GET, 200),
    "a line end alone": (b"\n" + GET, 200),
    "bare line feeds": (GET.replace(b"\r\n", b"\n"), 400),
    "bare carriage returns": (GET.replace(b"\r\n", b"\r"), 400),
    "no version": (_get(b"GET /v1/models\r\n"), 200),
    "HTTP/0.9": (b"GET /v1/models\r\n\r\n", 401),
    "HTTP/1.0": (_line(end=b"HTTP/1.0"), 200),
    "HTTP/1.0 without a host": (_get(b"GET /v1/models HTTP/1.0\r\n", common=AUTHORIZATION), 200),
    "HTTP/1.2": (_line(end=b"HTTP/1.2"), 400),
    "HTTP/2.0": (_line(end=b"HTTP/2.0"), 200),
    "HTTP/9.9": (_line(end=b"HTTP/9.9"), 400),
    "HTTP/1": (_line(end=b"HTTP/1"), 400),
    "HTTP/1.10": (_line(end=b"HTTP/1.10"), 400),
    "http/1.1": (_line(end=b"http/1.1"), 400),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40), 400),
    "SSH": (b"SSH-2.0-OpenSSH_9.6\r\n", 400),
    "Redis": (b"*1\r\n$4\r\nPING\r\n", 400),
    "zeros": (bytes(64), 400),
    "no method": (_line(method=b""), 400),
    "an unknown method": (_line(method=b"BREW"), 400),
    "a method in small letters": (_line(method=b"get"), 400),
    "a method with a colon": (_line(method=b"GET:"), 400),
    "a method of 100,000 letters": (_line(method=b"G" * 100_000), 400),
    "no target": (_line(b""), 400),
    "a target without a slash": (_line(b"v1/models"), 400),
    "a target with a space": (_line(b"/v1/mod els"), 400),
    "a target with a zero": (_line(b"/v1/\x00"), 400),
    "a target in UTF-8": (_line("/v1/é".encode()), 400),
    "a target with a tab": (_line(b"/v1\t/models"), 400),
    "a target of 100,000 bytes": (_line(b"/" + b"a" * 100_000), 400),
    "a target with a fragment": (_line(b"/v1/models#x"), 200),
    "a query without end": (_line(b"/v1/models?" + b"a=b&" * 20_000), 400),
    "an absolute target": (_line(b"http://127.0.0.1/v1/models"), 200),
    "an absolute target of another host": (_line(b"http://example.com/v1/models"), 200),
    "an absolute target with a password": (_line(b"http://a:b@c/v1/models"), 200),
    "an absolute target without a path": (_line(b"http://a"), 404),
    "an absolute target of another scheme": (_line(b"gopher://a/v1/models"), 200),
    "a target of an authority": (_line(b"example.com:443", b"CONNECT"), 400),
    "an asterisk": (_line(b"*", b"OPTIONS"), 404),
    "a path upwards": (_line(b"/v1/../v1/models"), 404),
    "an encoded path upwards": (_line(b"/v1/%2e%2e/v1/models"), 404),
    "an encoded slash": (_line(b"/v1%2Fmodels"), 200),
    "an encoded zero": (_line(b"/v1/models/%00"), 404),
    "a wrong escape": (_line(b"/v1/models/%zz"), 404),
}

_HEADERS: Final = {
    "no host": (_get(common=AUTHORIZATION + CLOSE), 200),
    "two hosts": (_get(more=b"Host: b\r\n"), 200),
    "an empty host": (_get(common=b"Host:\r\n" + AUTHORIZATION + CLOSE), 200),
    "a host that is none": (_get(common=b"Host: [::\r\n" + AUTHORIZATION + CLOSE), 200),
    "a blank before the colon": (_get(more=b"A : b\r\n"), 400),
    "no colon": (_get(more=b"abc\r\n"), 400),
    "no name": (_get(more=b": b\r\n"), 400),
    "a name in UTF-8": (_get(more="é: b\r\n".encode()), 400),
    "a name with a zero": (_get(more=b"a\x00b: c\r\n"), 400),
    "a value with a zero": (_get(more=b"A: b\x00c\r\n"), 400),
    "a value with a bare carriage return": (_get(more=b"A: b\rX: y\r\n"), 400),
    "a value of any bytes": (_get(more=b"A: " + bytes(range(0x80, 0x100)) + b"\r\n"), 200),
    "a folded value": (_get(more=b"A: b\r\n c\r\n"), 400),
    "a folded line before all others": (LINE + b" A: b\r\n" + COMMON + CLOSE + END, 400),
    "an empty value": (_get(more=b"A:\r\n"), 200),
    "10,000 headers": (_get(more=b"A: b\r\n" * 10_000), 200),
    "100,000 headers": (_get(more=b"A: b\r\n" * 100_000), 431),
    "a name of 300,000 bytes": (_get(more=b"a" * 300_000 + b": b\r\n"), 431),
    "a value of 300,000 bytes": (_get(more=b"A: " + b"b" * 300_000 + b"\r\n"), 431),
    "a head just below the limit": (_get(more=b"A: " + b"b" * (HEAD_BYTES - 300) + b"\r\n"), 200),
    "no key": (_get(common=HOST + CLOSE), 401),
    "two keys": (_get(more=b"Authorization: Bearer other\r\n"), 200),
    "an expectation": (_get(more=b"Expect: 200-ok\r\n"), 200),
    "an unknown connection": (_get(common=COMMON + b"Connection: close, x, \x80\r\n"), 200),
    "an upgrade to WebSocket": (
        _get(
            common=COMMON + b"Connection: Upgrade, close\r\n",
            more=b"Upgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n",
        ),
        200,
    ),
}

_BODIES: Final = {
    "a length": (_post(LENGTH, BODY), 200),
    "chunks": (_post(CHUNKED, CHUNKS), 200),
    "no length": (_post(b"", b""), 400),
    "a length twice": (_post(LENGTH * 2, BODY), 400),
    "two lengths": (_post(LENGTH + b"Content-Length: 5\r\n", BODY), 400),
    "lengths in a list": (_post(b"Content-Length: 5, 5\r\n", BODY), 400),
    "a negative length": (_post(b"Content-Length: -1\r\n", BODY), 400),
    "a length with a sign": (_post(b"Content-Length: +%d\r\n" % len(BODY), BODY), 400),
    "a length in hex": (_post(b"Content-Length: 0x50\r\n", BODY), 400),
    "a length with a fraction": (_post(b"Content-Length: 5.0\r\n", BODY), 400),
    "an empty length": (_post(b"Content-Length:\r\n", BODY), 400),
    "a length of 2⁶⁴": (_post(b"Content-Length: 18446744073709551616\r\n", BODY), 400),
    "a length of thousands of digits": (
        _post(b"Content-Length: " + b"9" * 5000 + b"\r\n", BODY),
        400,
    ),
    "chunks and a length": (_post(CHUNKED + LENGTH, CHUNKS), 400),
    "a length and chunks": (_post(LENGTH + CHUNKED, CHUNKS), 400),
    "chunks twice": (_post(CHUNKED * 2, CHUNKS), 400),
    "chunks in two names": (_post(b"Transfer-Encoding: chunked, chunked\r\n", CHUNKS), 400),
    "chunks in capitals": (_post(b"Transfer-Encoding: CHUNKED\r\n", CHUNKS), 200),
    "chunks that are not the last encoding": (
        _post(b"Transfer-Encoding: chunked, gzip\r\n", CHUNKS),
        400,
    ),
    "an unknown encoding": (_post(b"Transfer-Encoding: x\r\n", CHUNKS), 400),
    "an identical encoding": (_post(b"Transfer-Encoding: identity\r\n", CHUNKS), 400),
    "chunks behind a vertical tab": (_post(b"Transfer-Encoding: \x0bchunked\r\n", CHUNKS), 400),
    "an encoding with a blank before the colon": (
        _post(b"Transfer-Encoding : chunked\r\n" + LENGTH, CHUNKS),
        400,
    ),
    "a chunk of no number": (_post(CHUNKED, b"x\r\nabc\r\n0\r\n\r\n"), 400),
    "a chunk of no number behind a call that needs no body": (_get(more=CHUNKED) + b"ZZ\r\n", 400),
    "a chunk of a negative length": (_post(CHUNKED, b"-1\r\nabc\r\n0\r\n\r\n"), 400),
    "a chunk with 0x": (_post(CHUNKED, b"0x3\r\nabc\r\n0\r\n\r\n"), 400),
    "a chunk of 2⁶⁴ bytes": (_post(CHUNKED, b"10000000000000000\r\nabc"), 400),
    "a chunk that is longer than it says": (_post(CHUNKED, b"3\r\nabcdef\r\n0\r\n\r\n"), 400),
    "a chunk without a line end": (_post(CHUNKED, b"3\r\nabc0\r\n\r\n"), 400),
    "a chunk with bare line feeds": (_post(CHUNKED, CHUNKS.replace(b"\r\n", b"\n")), 400),
    "a chunk with an extension": (
        _post(CHUNKED, CHUNKS.replace(b"\r\n", b';a="b"\r\n', 1)),
        200,
    ),
    "an extension of 1,000,000 bytes": (
        _post(CHUNKED, b"1;" + b"a" * 1_000_000 + b"\r\n{\r\n0\r\n\r\n"),
        431,
    ),
    "trailers": (_post(CHUNKED, CHUNKS[:-2] + b"A: b\r\n\r\n"), 200),
    "a length in the trailers": (
        _post(CHUNKED, CHUNKS[:-2] + b"Content-Length: 1\r\n\r\n"),
        400,
    ),
    "trailers of 1,000,000 bytes": (
        _post(CHUNKED, CHUNKS[:-2] + b"A: " + b"b" * 1_000_000 + b"\r\n\r\n"),
        431,
    ),
    "a body with a GET": (LINE + COMMON + CLOSE + b"Content-Length: 3\r\n\r\nabc", 200),
    "an encoding in HTTP/1.0": (
        _post(CHUNKED, CHUNKS).replace(b"HTTP/1.1", b"HTTP/1.0", 1),
        200,
    ),
    "100-continue": (_post(LENGTH + b"Expect: 100-continue\r\n", BODY), 200),
    "content-encoding: gzip": (_post(LENGTH + b"Content-Encoding: gzip\r\n", BODY), 200),
}

KEPT: Final = LINE + COMMON + END
"""A request that leaves the connection open."""

WAITS: Final = b"X-Emulator-Fault: timeout\r\n"
"""The header of a request that is answered when its client has left."""

_SEVERAL: Final = {
    "two requests": (KEPT + GET, (200, 200)),
    "a hundred requests": (KEPT * 99 + GET, (200,) * 100),
    "a request and junk": (KEPT + b"\x00\xff junk\r\n\r\n", (200,)),
    "two requests and junk": (KEPT * 2 + b"\x00\xff junk\r\n\r\n", (200, 200)),
    "a request and one whose body is none": (KEPT + _post(CHUNKED, b"x\r\n"), (200,)),
    "two requests and one whose body is none": (KEPT * 2 + _post(CHUNKED, b"x\r\n"), (200, 200)),
    "a request that waits and one whose body is none": (
        LINE + COMMON + b"X-Emulator-Fault: latency;seconds=0.1\r\n\r\n" + _post(CHUNKED, b"x\r\n"),
        (200,),
    ),
    "a request behind one that closes": (GET + KEPT, (200,)),
    "a request behind a refused one": (_get(more=b"abc\r\n") + GET, (400,)),
    "a request in the body of a GET": (
        LINE + COMMON + b"Content-Length: %d\r\n\r\n" % len(GET) + GET + GET,
        (200, 200),
    ),
    "a body behind a request that has none": (KEPT + BODY + b"\r\n\r\n", (200,)),
    "bytes behind a body": (
        POST + COMMON + TYPE + LENGTH + END + BODY + b"xyz\r\n\r\n",
        (200,),
    ),
    "a request behind chunks": (POST + COMMON + TYPE + CHUNKED + END + CHUNKS + GET, (200, 200)),
}

_LEFT: Final = {
    "nothing": b"",
    "half a method": b"GE",
    "half a line": LINE[:9],
    "a line": LINE,
    "half a head": GET[:-2],
    "a head without its body": _post(LENGTH, b""),
    "half a body": _post(LENGTH, BODY[:9]),
    "the beginning of 10¹⁸ bytes": _post(b"Content-Length: 1000000000000000000\r\n", BODY),
    "half a length of a chunk": _post(CHUNKED, b"5"),
    "half a chunk": _post(CHUNKED, b"5\r\nab"),
    "chunks without the last": _post(CHUNKED, CHUNKS[:-5]),
    "half of the last line": _post(CHUNKED, CHUNKS[:-1]),
    "an upload that has begun": _post(LENGTH, BODY[:9]).replace(b"generations", b"edits"),
    "a whole request": GET,
    "a whole generation": _post(LENGTH, BODY),
    "a request that waits, and another one": _get(more=WAITS, common=COMMON) + GET,
}


def _answered(group: str, cases: dict[str, tuple[bytes, int]]) -> list[RawCase]:
    return [
        RawCase(f"{group}: {name}", data, (status,) if status else ())
        for name, (data, status) in cases.items()
    ]


CASES: Final = (
    *_answered("request line", _LINES),
    *_answered("headers", _HEADERS),
    *_answered("body", _BODIES),
    *(RawCase(f"pipeline: {name}", *case) for name, case in _SEVERAL.items()),
    *(RawCase(f"left after {name}", data, (), leaves=True) for name, data in _LEFT.items()),
)
"""All cases."""

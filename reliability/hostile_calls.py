"""Calls that no client should make, by chance, from the table of models: each field of a call is as
the model takes it, or a value that none does; bodies, forms, pictures, heads and paths are broken.

With them come the files of `broken_pictures` and the bytes of `raw_cases`. All of them follow from
the seed: the call of a number is the same in each run.
"""

from __future__ import annotations

import base64
import io
import json
import re
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from random import Random
from typing import Any, Final, NamedTuple

from PIL import Image

from images_emulator.contract import model_listing
from reliability.broken_pictures import corpus
from reliability.load import CLIENTS, each_of, warm
from reliability.mixed_calls import KEY
from reliability.promise import Effort, Figure, Outcome
from reliability.raw_calls import (
    BOUNDARY,
    EDITS,
    FILES,
    FORM,
    GENERATIONS,
    JSON,
    VARIATIONS,
    RawAnswer,
    all_parsed,
    connected,
    form,
    post_json,
    read_all,
    request,
)
from reliability.raw_cases import CASES, RawCase
from reliability.server_process import ServerProcess, growth

CACHE_BYTES: Final = 1_000_000
"""The cache of pictures. It is no part of what a reset forgets."""

HOSTILE_MORE_MB: Final = 50.0
"""Megabytes that the server may hold more in the end: modules that only such calls load, caches of
drawn text, and free memory between."""

LATE_MB: Final = 20.0
"""Megabytes of it that may come after the first quarter: of 150,000 calls each may leave no more
than 130 bytes."""

LATE_BLOCKS: Final = 20_000
"""Small objects that may come after it: those of a module that a rare call loads are 6,000. Where
one call in ten is kept with its headers, it takes fewer than 2,000 calls."""

ODD_VALUES: Final[Sequence[Any]] = (
    *(None, True, False, 0, -1, 1, 1.5, -0.0, 1e308, 10**30, -(10**30), 2**63, 65_536),
    *("", " ", "x", "null", "auto", "\x00", "\ud800", "{}", "%s", "{0}", "é" * 300, "🌊", "a\nb"),
    *("1" * 5000 + "x16", "1024X1024", "0x0", "-16x16", "١٠٢٤x1024", "1e3x1e3"),
    *([], [[]], [None], {}, {"a": None}, {"": {"": []}}, [0] * 200, {"n": [{}] * 20}),
    *("data:image/png;base64,", "data:;base64,AAAA", "http://[::1", "file:///etc/passwd", "//"),
    *({"image_url": "x"}, [{"file_id": "../x"}], [{"image_url": "data:image/png;base64,!!"}]),
)
"""Values for any parameter. Some parameters take some of them."""

ODD_NAMES: Final = (
    "",
    "n[]",
    "image",
    "image[][]",
    "image[0]",
    "prompt[x]",
    "__proto__",
    "é",
    "a.b",
)

METHODS: Final = ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW")

PATHS: Final = (
    *("/", "/v1", "/v1/", "//v1//images", "/v1/models/x%2Fy", "/v1/models/%00", "/v1/models/%ff"),
    *("/v1/files/..%2f..", "/v1/files/%F0%9F", "/v1/files/x/content", "/v1/images/generations/"),
    *("/openai/deployments/x/images/generations", "/openai/v1/models", "/v1/chat/completions"),
    *("/openai/deployments/%20/images/edits?api-version=x", "/v1/images/variations?a=%zz"),
    *("/ns/x/v1/models", "/ns//v1/models", f"/ns/{'n' * 200}/v1/models", "/_emulator/../v1"),
    *("/images/x.png?se=x&sig=%", "*", "http://a/v1/models", "/v1/models?" + "a=b&" * 2000),
)

HEADERS: Final[Mapping[str, Sequence[str]]] = {
    "authorization": ("", "Bearer", "Bearer ", "Basic !!", "Bearer \t", "bearer k", "x" * 9000),
    "content-type": (
        *("", "text/plain", "application/json; charset=utf-16", "application/json;;", "multipart"),
        *("multipart/form-data", "multipart/form-data; boundary=", FORM.replace("form", "x")),
        *("multipart/form-data; boundary=" + "b" * 71, 'multipart/form-data; boundary="', "\xff"),
    ),
    "content-encoding": ("gzip", "br", "x"),
    "accept": ("text/event-stream", "image/png", "*/"),
    "x-emulator-as-of": ("2023-02-30", "any", "today", "9999-12-31", "0001-01-01", "x"),
    "x-emulator-validation": ("lenient", "strict", "x"),
    "x-emulator-fault": ("x", ";", "latency;seconds=", "latency;seconds=nan", "error;status=1e9"),
    "x-emulator-namespace": ("", "a/b", "x" * 129, "é", "\x7f"),
    "api-key": ("", "k"),
    "x-forwarded-proto": ("gopher", "https,http", ""),
    "traceparent": ("00-", "x" * 500),
    "x-stainless-retry-count": ("-1", "x", "9" * 400),
    "expect": ("100-continue", "x"),
}


class HostileCall(NamedTuple):
    """The bytes of a call. *kind* is what is wrong with it. *case* is that of the table where it is
    one of `RAW`."""

    kind: str
    data: bytes
    case: RawCase | None = None


@cache
def _schemas() -> Sequence[tuple[str, str, Mapping[str, Any]]]:
    """The JSON Schemas of the bodies: path, media type and properties."""
    return [
        (path, kind, {**schema["properties"], "model": {"const": model}})
        for model, row in model_listing.models_json().items()
        for path, bodies in row["endpoints"].items()
        for kind, schema in bodies.items()
    ]


def _file(kind: str, size: tuple[int, int], **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new("RGBA" if kind != "JPEG" else "RGB", size, "teal").save(file, kind, **options)
    return file.getvalue()


def _huge_png() -> bytes:
    """A PNG that says to have 60,000 × 60,000 pixels."""
    head = b"IHDR" + (60_000).to_bytes(4, "big") * 2 + b"\x08\x06\x00\x00\x00"
    good = _file("PNG", (1, 1))
    return good[:12] + head + zlib.crc32(head).to_bytes(4, "big") + good[33:]


@cache
def _pictures() -> Sequence[bytes]:
    good = [_file(kind, (64, 64)) for kind in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP")]
    return [*good, _huge_png(), _file("PNG", (16_000, 1)), b"", b"x", b"GIF89a", b"<svg/>", b"RIFF"]


def _picture(random: Random) -> bytes:
    """A picture, whole or broken."""
    data = bytearray(random.choice(_pictures()))
    for _ in range(random.choice((0, 0, 1, 3, 20))):
        if data:
            data[random.randrange(len(data))] = random.randrange(256)
    return bytes(data[: random.randrange(len(data) + 1)] if random.random() < 0.3 else data)


def _usual_value(name: str, rule: Mapping[str, Any], random: Random) -> Any:
    """A value that the model takes, of those that are quick to draw."""
    if "const" in rule:
        return rule["const"]
    if name == "size":
        return next(iter(rule.get("enum", rule.get("examples", ["auto"]))))
    if "enum" in rule:
        return random.choice(rule["enum"])
    if rule.get("type") == "integer":
        return rule.get("minimum", 1)
    return {"boolean": False, "string": "x", "object": {}, "array": []}.get(rule.get("type", ""))


def _fields(random: Random) -> tuple[str, str, dict[str, Any]]:
    """Path, media type and fields of a call, some of which are odd."""
    path, kind, rules = random.choice(_schemas())
    fields: dict[str, Any] = {"quality": "low"} if "quality" in rules else {}
    for name, rule in rules.items():
        if name in ("model", "prompt", "size", "image") or random.random() < 0.15:
            fields[name] = _usual_value(name, rule, random)
    for _ in range(random.choice((0, 1, 1, 2, 5))):
        names = [*rules] if random.random() < 0.9 else ODD_NAMES
        fields[random.choice(names)] = random.choice(ODD_VALUES)
    return path, kind, fields


def _form(fields: Mapping[str, Any], random: Random) -> bytes:
    parts = []
    for name, value in fields.items():
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'
        if name in ("image", "mask") or random.random() < 0.05:
            head += '; filename="a.png"\r\nContent-Type: image/png'
            data = _picture(random)
        else:
            text = value if isinstance(value, str) else json.dumps(value)
            data = text.encode("utf-8", "surrogatepass")
        parts.append(head.encode() + b"\r\n\r\n" + data + b"\r\n")
    return b"".join([*parts, f"--{BOUNDARY}--\r\n".encode()])


def _call(random: Random) -> tuple[str, bytes, str]:
    """Path, body and media type of a call with odd fields."""
    path, kind, fields = _fields(random)
    if kind == JSON:
        return path, json.dumps(fields).encode(), kind
    return path, _form(fields, random), FORM


def _broken(body: bytes, random: Random) -> bytes:
    """*body* with bytes that are changed, missing, twice there or put in."""
    data = bytearray(body)
    for _ in range(random.choice((1, 2, 8))):
        start = random.randrange(len(data) + 1)
        end = min(len(data), start + random.choice((0, 1, 8, 200)))
        junk = random.choice(
            (b"", b"\x00", b"\xff\xfe", b'"', b"{", b"]", b"\r\n", b"--", b"[" * 999)
        )
        data[start:end] = random.choice((junk, bytes(data[start:end]) * 2))
    return bytes(data)


def _odd_fields(random: Random) -> bytes:
    path, body, kind = _call(random)
    return request("POST", path, body, content_type=kind)


def _broken_body(random: Random) -> bytes:
    path, body, kind = _call(random)
    return request("POST", path, _broken(body, random), content_type=kind)


def _odd_headers(random: Random) -> bytes:
    path, body, kind = _call(random)
    chosen = random.sample([*HEADERS], random.choice((1, 2, 4)))
    headers = {name: random.choice(HEADERS[name]) for name in chosen}
    return request("POST", path, body, **{"content-type": kind, **headers})


def _odd_path(random: Random) -> bytes:
    path = random.choice((*PATHS, GENERATIONS, EDITS, FILES, "/v1/models"))
    if random.random() < 0.3:
        path += random.choice(
            ("/", "?", "%", "%2e%2e", "/x", "?api-version=2024-02-01", ";", "\x7f")
        )
    return request(random.choice((*METHODS, "GET", "POST")), path)


def _upload(random: Random) -> bytes:
    purpose = random.choice(("vision", "user_data", "", "x", "\x00"))
    body = _form({"purpose": purpose, "file": "x", "image": ""}, random)
    body = body.replace(b'name="image"', b'name="file"', random.randrange(2))
    return request("POST", FILES, body, content_type=FORM)


def _cut(random: Random) -> bytes:
    data = _odd_fields(random)
    return data[: random.randrange(1, len(data))]


def _broken_head(random: Random) -> bytes:
    head, end, body = _odd_fields(random).partition(b"\r\n\r\n")
    return _broken(head, random) + end + body


def _broken_picture(random: Random) -> bytes:
    """A call with a file of the corpus, some of which have other broken bytes besides."""
    data = random.choice(corpus()).data
    if random.random() < 0.3:
        data = _broken(data, random)
    fields = {"model": "dall-e-2", "size": "256x256", "prompt": "x"}
    use = random.choice(("image", "mask", "variation", "file", "reference"))
    if use == "variation":
        del fields["prompt"]
        return request("POST", VARIATIONS, form(fields, {"image": data}), content_type=FORM)
    if use == "file":
        body = form({"purpose": "vision"}, {"file": data})
        return request("POST", FILES, body, content_type=FORM)
    if use == "reference":
        url = f"data:image/png;base64,{base64.b64encode(data).decode()}"
        images = [{"image_url": url}]
        return post_json(EDITS, {"prompt": "x", "quality": "low", "images": images})
    files = {"image": data} if use == "image" else {"image": _pictures()[0], "mask": data}
    return request("POST", EDITS, form(fields, files), content_type=FORM)


KINDS: Final[Mapping[str, Callable[[Random], bytes]]] = {
    "odd fields": _odd_fields,
    "broken bodies": _broken_body,
    "odd headers": _odd_headers,
    "odd paths and methods": _odd_path,
    "uploads": _upload,
    "cut calls": _cut,
    "broken heads": _broken_head,
    "broken pictures": _broken_picture,
}

RAW: Final = "raw bytes"
"""The kind of those of `raw_cases`."""

UNFRAMED: Final = frozenset({"cut calls", "broken heads"})
"""The kinds of calls that HTTP itself may refuse, or whose connection the server may just close."""


PLAIN: Final = (b"Invalid HTTP request received.", b"Nothing is tunnelled here.")
"""The bodies of the answers to what is no HTTP, and to CONNECT."""


def hostile_call(number: int) -> HostileCall:
    """The call of this *number*."""
    random = Random(number)
    kind = random.choice([*KINDS, RAW])
    if kind == RAW:
        case = random.choice(CASES)
        return HostileCall(kind, case.data, case)
    return HostileCall(kind, KINDS[kind](random))


def check_answer(answer: RawAnswer, method: str = "GET") -> None:
    """Raises ValueError unless *answer*, to a call of that *method*, is in an envelope of the
    API."""
    if answer.status >= 500:
        raise ValueError(f"{answer.status} {answer.body[:300]!r}")
    if not answer.body:
        if answer.status in (200, 204, 404, 405) or method == "HEAD":
            return
        raise ValueError(f"{answer.status} without a body")
    kind = answer.headers.get("content-type", "")
    if answer.status >= 400:
        if kind.startswith("application/xml"):  # of the storage that hosts pictures
            return
        if answer.body in PLAIN:
            return
        message = answer.json()["error"]["message"]
        if not (isinstance(message, str) and message):
            raise ValueError(f"no message: {answer.body[:300]!r}")
    elif kind.startswith("text/event-stream"):
        if not answer.events():
            raise ValueError("a stream without events")
    elif kind.startswith(JSON):
        answer.json()


async def _answers(port: int, call: HostileCall) -> list[RawAnswer]:
    """The answers to a call: one, or as many as its case has. Of a call that HTTP refuses the
    connection may have been closed without one. Raises what `each_of` takes for a mistake."""
    async with connected(port) as (reader, writer):
        writer.write(call.data)
        if call.case and call.case.leaves:
            return []
        if call.kind in UNFRAMED:
            writer.write_eof()
        try:
            data = await read_all(reader)
        except ConnectionResetError:
            data = b""
    if call.data.startswith(b"HEAD ") and data:
        data = data.partition(b"\r\n\r\n")[0] + b"\r\ncontent-length: 0\r\n\r\n"
        data = re.sub(rb"\r\n(content-length: [1-9]\d*|transfer-encoding: \w+)", b"", data, count=1)
    answers = all_parsed(data)
    if call.case:
        statuses = tuple(answer.status for answer in answers)
        if statuses != tuple(call.case.statuses):
            raise ValueError(f"{call.case.name}: {statuses}")
    elif not answers and call.kind not in UNFRAMED:
        raise ValueError(f"no answer to {call.kind}")
    return answers


async def hostile_calls(effort: Effort, loop: str) -> Outcome:
    """Each call has an answer in its envelope; of those that HTTP refuses the connection may be
    closed. The pictures that a reset keeps are few, so that what grows with the number of calls
    is a leak: it shows in what is there after the first quarter of them and in the end."""
    count = effort.count(effort.calls)
    first = count // 4
    statuses: Counter[int] = Counter()
    made = closed = 0
    flags = ("--api-key", KEY, "--log-level", "error", "--cache", f"{CACHE_BYTES}")
    with ServerProcess(*flags, loop=loop) as server:
        before = await warm(server, effort)

        async def make(number: int) -> None:
            nonlocal made, closed
            call = hostile_call(number)
            method = call.data.partition(b" ")[0].decode("latin-1")
            answers = await _answers(server.port, call)
            made += 1
            closed += not answers
            for answer in answers:
                statuses[answer.status] += 1
                check_answer(answer, method)

        mistakes = await each_of(range(first), CLIENTS, make)
        early = await server.after_reset(before)
        mistakes += await each_of(range(first, count), CLIENTS, make)
        after = await server.after_reset(before)
    refused = sum(number for status, number in statuses.items() if 400 <= status < 500)
    return Outcome(
        [
            Figure(made, "calls", least=count),
            Figure(refused, "refused", least=1),
            Figure(statuses[200], "answered 200", least=1),
            Figure(closed, "connections closed without an answer"),
            Figure(sum(statuses[each] for each in statuses if each >= 500), "answered 5xx", most=0),
            *growth(before, after, memory=HOSTILE_MORE_MB),
            Figure(after.memory - early.memory, "MB of it after a quarter of them", most=LATE_MB),
            Figure(after.blocks - early.blocks, "more Python objects after that", most=LATE_BLOCKS),
        ],
        [*mistakes, *server.mistakes],
    )

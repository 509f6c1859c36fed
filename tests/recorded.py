"""Strategies of hypothesis for recordings of any content, and small recordings to begin with."""

from __future__ import annotations

import base64
import gzip
import json
from datetime import timedelta, timezone
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from images_emulator.contract.http_headers import HeaderPairs
from images_emulator.recordings.json_layout import JsonLayout
from images_emulator.recordings.recording import (
    Expectation,
    RecordedDownload,
    RecordedPart,
    RecordedRequest,
    RecordedResponse,
    Recording,
)

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
"""What begins like a picture, which is all that names of files go by."""


def unhurried(max_examples: int = 100) -> settings:
    """Settings of a test that measure no time."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=max_examples, deadline=None, suppress_health_check=slow)


LATIN_1 = st.characters(max_codepoint=255)

TEXTS = st.text(st.characters(exclude_categories=()), max_size=20)
"""Also with halves of surrogate pairs, which JSON can spell."""

PICTURES = st.binary(max_size=90).map(lambda data: PNG[: 8 + len(data)] + data)
ENCODED = st.one_of(
    PICTURES.map(lambda data: base64.b64encode(data).decode()),
    PICTURES.map(lambda data: f"data:image/png;base64,{base64.b64encode(data).decode()}"),
    PICTURES.map(lambda data: base64.b64encode(data).decode() + "="),
    PICTURES.map(lambda data: base64.b64encode(data).decode()[:-1] + "\n"),
    st.integers(3000, 3200).map(lambda size: base64.b64encode(bytes(size)).decode()),
)
DESCRIPTIONS = st.sampled_from(
    (
        {"file": "files/0123456789abcdef.png", "as": "base64"},
        {"picture": {"format": "PNG", "size": "8x8", "mode": "RGB"}, "as": "base64"},
        {"repeat": "x", "times": 3},
        {"file": "file#0"},
        "file#0",
        "<any>",
    )
)
"""What a body may say that a document would understand otherwise."""

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(10**400, 10**401),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
    ENCODED,
    DESCRIPTIONS,
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
LAYOUTS = st.builds(
    JsonLayout,
    indent=st.sampled_from((None, 0, 1, 2, 4, "\t")),
    spaces=st.booleans(),
    ascii=st.booleans(),
    html=st.booleans(),
    slashes=st.booleans(),
    newline=st.booleans(),
)
ODD_JSON = st.sampled_from(
    (
        b'{"a": 1, "a": 2}',
        b'{"a":1.00,"b":1e5,"c":-0,"d":1E400}',
        b"[NaN, Infinity]",
        b'{"caf\\u00E9": "\\u00e9", "half": "\\ud83d"}',
        b'{ "a" :1 }',
        b'{"a":1}\r\n',
        b"\xef\xbb\xbf{}",
        b'{"a":"\\u003c\\/"}',
        b"[" * 600 + b"]" * 600,
        b"1" * 5000,
        b'{"' + base64.b64encode(PNG) + b'":1}',
        b'"file#0" "' + base64.b64encode(PNG) + b'" file#',
        b'"' + base64.b64encode(PNG) + b"",
    )
)


def written(value: Any, layout: JsonLayout) -> bytes:
    try:
        return layout.write(value)
    except UnicodeEncodeError:
        return json.dumps(value).encode()


JSON_BODIES = st.builds(written, VALUES, LAYOUTS)
CONTENTS = st.one_of(
    st.just(b""),
    JSON_BODIES,
    ODD_JSON,
    st.binary(max_size=300),
    PICTURES,
    st.text(max_size=40).map(str.encode),
    st.just(b"\0" * 70_000),
    st.just("ä".encode() * 40_000),
)

BOUNDARIES = st.sampled_from(("B", "a'()+_,-./:=? z", "-" * 60 + "0123456789"))
PART_HEADS = st.one_of(
    st.just(""),
    st.builds(
        'Content-Disposition: form-data; name="{}"{}{}'.format,
        st.text(max_size=8),
        st.just("") | st.text(max_size=8).map('; filename="{}"'.format),
        st.just("") | st.text(max_size=8).map("\r\nContent-Type: {}".format),
    ),
    st.sampled_from(
        (
            "content-disposition: form-data; name=prompt",
            'Content-Disposition: form-data; filename="a"; name="b"',
            'Content-Disposition: form-data; name="a"\r\nContent-Length: 3',
        )
    ),
).map(str.encode)
ENDS = st.sampled_from((*[b"--\r\n"] * 6, b"--", b"--\r\n\r\nmore", b"--\xff", b"", b"-", b"\r\n"))


def form(boundary: str, parts: list[tuple[bytes, bytes]], end: bytes) -> bytes:
    opening = b"--" + boundary.encode() + b"\r\n"
    delimiter = b"\r\n--" + boundary.encode()
    bodies = (head + (b"\r\n\r\n" if head else b"\r\n") + data for head, data in parts)
    return opening + (delimiter + b"\r\n").join(bodies) + delimiter + end


@st.composite
def requests(draw: st.DrawFn) -> RecordedRequest:
    boundary = draw(BOUNDARIES)
    parts = st.lists(st.tuples(PART_HEADS, CONTENTS), min_size=1, max_size=4)
    kind, body = draw(
        st.one_of(
            st.tuples(st.just("application/json"), CONTENTS),
            st.tuples(st.just("text/plain"), CONTENTS),
            st.tuples(
                st.just(f'multipart/form-data; boundary="{boundary}"'),
                st.builds(form, st.just(boundary), parts, ENDS) | CONTENTS,
            ),
        )
    )
    others = draw(headers())
    encoding = draw(st.sampled_from((*[""] * 40, "gzip", "deflate", "br", "identity")))
    if encoding == "gzip" and draw(st.booleans()):
        body = gzip.compress(body, draw(st.integers(1, 9)), mtime=draw(st.integers(0, 9)))
    encoded: HeaderPairs = (("Content-Encoding", encoding),) if encoding else ()
    return RecordedRequest(
        method=draw(st.sampled_from(("POST", "GET", "QUERY"))),
        target=draw(st.text(min_size=1, max_size=20)),
        headers=(("Content-Type", kind), *encoded, *others),
        body=body,
    )


def headers() -> st.SearchStrategy[HeaderPairs]:
    names = st.sampled_from(("Accept", "accept", "X-A", "x-a", "Set-Cookie"))
    return st.lists(st.tuples(names, st.text(LATIN_1, max_size=8)), max_size=5).map(tuple)


SECONDS = st.floats(0, 1e6) | st.integers(0, 99)
EVENTS = st.one_of(
    JSON_BODIES.map(lambda data: b"event: image_generation.completed\ndata: " + data + b"\n\n"),
    JSON_BODIES.map(lambda data: b"data: " + data + b"\n\n"),
    PICTURES.map(lambda data: b'data: {"b64":"' + base64.b64encode(data) + b'"}\n\n'),
    st.sampled_from(
        (
            b": a comment\n\n",
            b"data: one\ndata: two\n\n",
            b"event: a\r\ndata: {}\r\n\r\n",
            b"data: [DONE]\n\n",
            b"event: \xff\ndata: {}\n\n",
            b"event:a\ndata:{}\n\n",
            b'data: {"half of an eve',
            b"\n",
            b"",
        )
    ),
    st.binary(max_size=40),
)


@st.composite
def responses(draw: st.DrawFn) -> RecordedResponse:
    stream = st.tuples(
        st.just("text/event-stream; charset=utf-8"),
        st.lists(st.builds(RecordedPart, SECONDS, EVENTS), max_size=4).map(tuple),
    )
    other = st.tuples(
        st.sampled_from(("application/json", "text/html", "image/png")),
        st.lists(st.builds(RecordedPart, SECONDS, CONTENTS), max_size=2).map(tuple),
    )
    kind, parts = draw(stream | other)
    return RecordedResponse(
        status=draw(st.integers(100, 599)),
        headers=(("content-type", kind), *draw(headers())),
        parts=parts,
        end=draw(st.sampled_from(("complete", "cut", "reset"))),
    )


TIMES = st.datetimes(
    timezones=st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
)
DOWNLOADS = st.builds(
    RecordedDownload,
    url=st.text(max_size=9),
    status=st.integers(100, 599),
    headers=headers(),
    data=CONTENTS,
)


@st.composite
def recordings(draw: st.DrawFn) -> Recording:
    response = draw(st.none() | responses())
    return Recording(
        request=draw(requests()),
        response=response,
        error="" if response else draw(st.text(max_size=9)),
        downloads=tuple(draw(st.lists(DOWNLOADS, max_size=2))),
        source=draw(st.text(max_size=9)),
        note=draw(st.text(max_size=9)),
        recorded_at=draw(st.none() | TIMES),
        as_of=draw(st.none() | st.dates().map(str)),
        settings=draw(st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)),
        broken=draw(st.booleans()),
        authorised=draw(st.none() | st.booleans()),
        refused_key=draw(st.none() | st.text(max_size=5)),
        extra=draw(st.dictionaries(st.text(max_size=3), st.lists(st.integers()), max_size=2)),
    )


def generation(
    prompt: str = "a red fox", picture: bytes = PNG, status: int = 200, **values: Any
) -> Recording:
    """A call to generations in JSON, and its answer with *picture*."""
    answer = {"created": 1, "data": [{"b64_json": base64.b64encode(picture).decode()}]}
    error = {"error": {"message": "No.", "type": "server_error", "param": None, "code": None}}
    body = json.dumps(answer if status < 400 else error, indent=2).encode() + b"\n"
    return Recording(
        RecordedRequest(
            "POST",
            "/v1/images/generations",
            (("Content-Type", "application/json"),),
            json.dumps({"model": "gpt-image-2", "prompt": prompt}, separators=(",", ":")).encode(),
        ),
        RecordedResponse(
            status, (("content-type", "application/json"),), (RecordedPart(1.5, body),)
        ),
        **values,
    )


def expectations() -> st.SearchStrategy[Expectation]:
    return st.builds(
        Expectation,
        open_body=st.booleans(),
        headers_present=st.lists(st.text(max_size=4), max_size=2).map(tuple),
        newline=st.none() | st.booleans(),
    )

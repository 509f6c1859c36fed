"""Cassettes of one exchange, in the forms of the tools that write them."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from tests.pictures import png

URL: Final = "https://api.openai.com/v1/images/generations"
HEADERS: Final = {
    "Content-Type": "application/json",
    "Authorization": "Bearer sk-recorded-0123456789",
}
REQUEST: Final = b'{"model": "gpt-image-1", "prompt": "A t\xc3\xa8st"}'
ANSWER_HEADERS: Final = {"Content-Type": "application/json", "x-request-id": "req_1"}
ANSWER: Final = (
    b'{\n  "created": 1750429274,\n  "data": [\n    {\n      "b64_json": "aGk="\n    }\n  ]\n}\n'
)
RECORDED_AT: Final = "Fri, 20 Jun 2025 14:21:14 GMT"

FORM_TYPE: Final = "multipart/form-data; boundary=form-1"
FORM: Final = (
    b'--form-1\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nA fox\r\n'
    b'--form-1\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n'
    b"Content-Type: image/png\r\n\r\n" + png((8, 8)) + b"\r\n--form-1--\r\n"
)


def lists(headers: Mapping[str, str]) -> dict[str, list[str]]:
    return {name: [value] for name, value in headers.items()}


def pairs(headers: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in headers.items()]


def vcrpy(request_body: Any, response: Any, headers: Mapping[str, str] = HEADERS) -> dict[str, Any]:
    request = {"method": "POST", "uri": URL, "body": request_body, "headers": lists(headers)}
    return {"version": 1, "interactions": [{"request": request, "response": response}]}


def vcrpy_response(body: Any, **headers: str) -> dict[str, Any]:
    return {
        "status": {"code": 200, "message": "OK"},
        "headers": lists(ANSWER_HEADERS | headers),
        "body": body,
    }


def ruby(request_body: Any, response_body: Any, recorder: str = "VCR 6.3.1") -> dict[str, Any]:
    request = {"method": "post", "uri": URL, "body": request_body, "headers": lists(HEADERS)}
    response = vcrpy_response(response_body)
    item = {"request": request, "response": response, "recorded_at": RECORDED_AT}
    return {"http_interactions": [item], "recorded_with": recorder}


def har_entry(
    post_data: Any,
    content: Any,
    *,
    request: Mapping[str, str] = HEADERS,
    coding: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    return {
        "startedDateTime": "2025-06-20T14:21:14.000Z",
        "time": 1500,
        "timings": {"send": 0, "wait": 1250, "receive": 250},
        "request": {
            "method": "POST",
            "url": URL,
            "httpVersion": "HTTP/1.1",
            "headers": pairs(request),
            "queryString": [],
            "postData": post_data,
        },
        "response": {
            "status": 200,
            "statusText": "OK",
            "headers": pairs({**ANSWER_HEADERS, **coding}),
            "content": content,
        },
    }


def har(*entries: dict[str, Any], creator: str = "WebInspector", **log: Any) -> dict[str, Any]:
    return {"log": {"version": "1.2", "creator": {"name": creator}, "entries": [*entries], **log}}


def base64_text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def as_json(document: Any) -> bytes:
    return json.dumps(document).encode()


TEXT, ANSWER_TEXT = REQUEST.decode(), ANSWER.decode()
POST_DATA: Final = {"mimeType": "application/json", "text": TEXT, "params": []}

VCRPY_YAML: Final = f"""\
interactions:
- request:
    body: "{{\\"model\\": \\"gpt-image-1\\", \\"prompt\\": \\"A t\\xE8st\\"}}"
    headers:
      Content-Type:
      - application/json
      Authorization: [Bearer sk-recorded-0123456789]
    method: POST
    uri: {URL}
  response:
    body:
      string: "{{\\n  \\"created\\": 1750429274,\\n  \\"data\\": [\\n    {{\\n      \\"b64_json\\"\\
        : \\"aGk=\\"\\n    }}\\n  ]\\n}}\\n"
    headers:
      Content-Type:
      - application/json
      x-request-id:
      - req_1
    status:
      code: 200
      message: OK
version: 1
"""

RUBY_YAML: Final = f"""\
---
http_interactions:
- request:
    method: post
    uri: {URL}
    body:
      encoding: UTF-8
      string: '{TEXT}'
    headers:
      Content-Type:
      - application/json
      !binary "QXV0aG9yaXphdGlvbg==":
      - Bearer sk-recorded-0123456789
  response:
    status:
      code: 200
      message: OK
    headers:
      Content-Type:
      - application/json
      x-request-id:
      - req_1
    body:
      encoding: ASCII-8BIT
      string: !binary |-
        {base64_text(ANSWER)}
  recorded_at: {RECORDED_AT}
recorded_with: VCR 6.3.1
"""

RUBY_1_YAML: Final = f"""\
---
- !ruby/struct:VCR::HTTPInteraction
  request: !ruby/struct:VCR::Request
    method: :post
    uri: {URL}
    body: ! '{TEXT}'
    headers:
      Content-Type:
      - application/json
      Authorization:
      - Bearer sk-recorded-0123456789
  response: !ruby/struct:VCR::Response
    status: !ruby/struct:VCR::ResponseStatus
      code: 200
      message: OK
    headers:
      Content-Type:
      - application/json
      x-request-id:
      - req_1
    body: !binary |-
      {base64_text(ANSWER)}
    http_version: "1.1"
"""

VCRPY_0_YAML: Final = f"""\
- request: !!python/object:vcr.request.Request
    body: !!python/unicode '{TEXT}'
    headers: !!python/object/apply:__builtin__.frozenset
    - - !!python/tuple [Content-Type, application/json]
      - !!python/tuple [Authorization, Bearer sk-recorded-0123456789]
    host: api.openai.com
    method: POST
    path: /v1/images/generations
    port: 443
    protocol: https
  response:
    body: {{string: !!binary {base64_text(ANSWER)}}}
    headers: [!!python/unicode "Content-Type: application/json\\r\\n", "x-request-id: req_1\\r\\n"]
    status: {{code: 200, message: OK}}
"""

AIOHTTP_YAML: Final = VCRPY_YAML.replace(
    "      Authorization: [Bearer sk-recorded-0123456789]",
    """\
      ? !!python/object/apply:multidict._multidict.istr
      - Authorization
      : - Bearer sk-recorded-0123456789""",
).replace(
    "      Content-Type:\n      - application/json\n      ?",
    "      Content-Type: application/json\n      ?",
)

BYTES_IO_YAML: Final = VCRPY_YAML.replace(
    VCRPY_YAML[VCRPY_YAML.index('"{') : VCRPY_YAML.index("    headers:")],
    f"""!!python/object/new:_io.BytesIO
      state: !!python/tuple
      - !!binary |
        {base64_text(REQUEST)}
      - 0
      - null
""",
)

GO_YAML: Final = f"""\
---
version: 2
interactions:
- id: 0
  request:
    proto: HTTP/1.1
    proto_major: 1
    content_length: {len(REQUEST)}
    host: api.openai.com
    body: '{TEXT}'
    form: {{}}
    headers:
      Content-Type:
      - application/json
      Authorization:
      - Bearer sk-recorded-0123456789
    url: {URL}
    method: POST
  response:
    proto: HTTP/2.0
    content_length: -1
    uncompressed: true
    body: !!binary {base64_text(ANSWER)}
    headers:
      Content-Type:
      - application/json
      x-request-id:
      - req_1
    status: 200 OK
    code: 200
    duration: 1.5s
"""

OLD_HTTPX: Final = {
    "http_version": "HTTP/1.1",
    "status_code": 200,
    "headers": lists(ANSWER_HEADERS),
    "content": ANSWER_TEXT,
}

GZIPPED: Final = gzip.compress(ANSWER, mtime=0)
HALVES: Final = (GZIPPED[:20], GZIPPED[20:])

CASSETTES: Final[Mapping[str, bytes]] = {
    "vcrpy.yaml": VCRPY_YAML.encode(),
    "vcrpy.json": as_json(vcrpy(TEXT, vcrpy_response({"string": ANSWER_TEXT}))),
    "vcrpy-without-version.yaml": VCRPY_0_YAML.encode(),
    "vcrpy-aiohttp.yaml": AIOHTTP_YAML.encode(),
    "vcrpy-file-as-body.yaml": BYTES_IO_YAML.encode(),
    "vcrpy-old-httpx.json": as_json(vcrpy(TEXT, OLD_HTTPX)),
    "vcrpy-decoded-body.json": as_json(
        vcrpy(TEXT, vcrpy_response({"string": ANSWER_TEXT}, **{"Content-Encoding": "gzip"}))
    ),
    "ruby.yml": RUBY_YAML.encode(),
    "ruby-1.yml": RUBY_1_YAML.encode(),
    "ruby-2-without-encoding.json": as_json(ruby(TEXT, ANSWER_TEXT)),
    "ruby.json": as_json(
        ruby(
            {"encoding": "UTF-8", "string": TEXT},
            {"encoding": "ASCII-8BIT", "base64_string": base64.encodebytes(ANSWER).decode()},
        )
    ),
    "ruby.zz": zlib.compress(RUBY_YAML.encode()),
    "betamax.json": as_json(
        ruby(
            {"encoding": "utf-8", "string": TEXT},
            {"encoding": None, "string": ANSWER_TEXT},
            recorder="betamax/0.9.0",
        )
    ),
    "go.yaml": GO_YAML.encode(),
    "browser.har": as_json(har(har_entry(POST_DATA, {"text": ANSWER_TEXT}))),
    "with-bom.har": b"\xef\xbb\xbf" + as_json(har(har_entry(POST_DATA, {"text": ANSWER_TEXT}))),
    "base64.har": as_json(
        har(
            har_entry(
                {
                    "mimeType": "application/json",
                    "text": base64_text(REQUEST),
                    "encoding": "base64",
                },
                {"text": base64_text(ANSWER), "encoding": "base64"},
            )
        )
    ),
    "compressed.zhar": zlib.compress(as_json(har(har_entry(POST_DATA, {"text": ANSWER_TEXT})))),
    "polly.har": as_json(
        har(
            har_entry(POST_DATA, {"text": ANSWER_TEXT, "encoding": "utf8"}),
            creator="Polly.JS",
            _recordingName="a test",
        )
    ),
    "test-proxy.json": as_json(
        {
            "Entries": [
                {
                    "RequestUri": URL,
                    "RequestMethod": "POST",
                    "RequestHeaders": HEADERS,
                    "RequestBody": [TEXT],
                    "StatusCode": 200,
                    "ResponseHeaders": ANSWER_HEADERS,
                    "ResponseBody": ANSWER_TEXT.splitlines(keepends=True),
                }
            ],
            "Variables": {},
        }
    ),
}
"""Files with the same exchange, by name."""

POLLY_CHUNKS: Final[Mapping[str, dict[str, str]]] = {
    "base64": {
        "text": json.dumps([base64_text(half) for half in HALVES]),
        "encoding": "base64",
    },
    "hex": {"text": json.dumps([half.hex() for half in HALVES])},
}
"""What Polly.JS makes of a compressed body, by the encoding of the chunks: since version 6, and
before."""

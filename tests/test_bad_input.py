"""What no client should send: it gets the API's words and never breaks the server."""

from __future__ import annotations

import base64
import json
import socket
import sys
from collections.abc import Iterator
from random import Random
from types import FrameType
from typing import Any

import httpx2
import pytest
from PIL import Image

from images_emulator import Server, Settings
from images_emulator.contract.refusal import APIError
from images_emulator.exchange.form_parser import MAX_ITEMS, MAX_NAMES, PIECE_BYTES, read_form
from tests.answers import error_of, verdict
from tests.conftest import KEY
from tests.pictures import encoded, half_clear, opened, png
from tests.waiting import until

PATHS = ("/v1/images/generations", "/v1/images/edits", "/v1/images/variations")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b"\x00" * 100, b'"', b"nul", b'{"n": 1e999}', b"9" * 5000, b"{}" * 2],
)
@pytest.mark.parametrize(
    "kind", ["application/json", "multipart/form-data; boundary=b", "multipart/form-data", "x"]
)
def test_malformed_bodies_are_client_errors(
    http: httpx2.Client, path: str, body: bytes, kind: str
) -> None:
    error = error_of(http.post(path, content=body, headers={"Content-Type": kind}))
    assert error["message"]


@pytest.mark.parametrize("value", [None, True, 0, -1, 1.5, "", "x", [], [[]], {}, {"a": None}])
@pytest.mark.parametrize(
    "name",
    ["model", "prompt", "n", "size", "quality", "stream", "user", "svg", "safety_identifier"],
)
def test_any_json_value_in_any_parameter_is_answered(
    http: httpx2.Client, name: str, value: object
) -> None:
    body = {"model": "gpt-image-2.6-flare", "prompt": "a lighthouse", name: value}
    answer = http.post(PATHS[0], json=body)
    if answer.status_code != 200:
        assert error_of(answer)["message"]


@pytest.mark.parametrize("end", ["%0A", "%0D", "%00", "%20"])
def test_an_id_that_ends_in_a_control_character_is_another_one(
    http: httpx2.Client, end: str
) -> None:
    assert http.get("/v1/models/gpt-image-2").status_code == 200
    assert http.get(f"/v1/models/gpt-image-2{end}").status_code == 404


@pytest.mark.parametrize("number", [10**30, -(10**30), 2**63])
def test_huge_integers_are_out_of_range(http: httpx2.Client, number: int) -> None:
    body = {"model": "gpt-image-2", "prompt": "x", "n": number}
    assert str(number) in error_of(http.post(PATHS[0], json=body))["message"]


@pytest.mark.parametrize(
    "size", ["1" * 5000 + "x16", "１０２４x1024", "1024x1024\n", "-16x16", "0x16"]
)
def test_malformed_sizes_are_refused(http: httpx2.Client, size: str) -> None:
    body = {"model": "gpt-image-2", "prompt": "x", "size": size}
    assert "Expected WIDTHxHEIGHT" in error_of(http.post(PATHS[0], json=body))["message"]


def test_lone_surrogate_in_a_prompt_is_accepted(http: httpx2.Client) -> None:
    body = b'{"model": "gpt-image-2", "prompt": "a \\ud83d b"}'
    headers = {"Content-Type": "application/json"}
    assert http.post(PATHS[0], content=body, headers=headers).status_code == 200
    body = b'{"model": "\\ud83d", "prompt": "x"}'
    assert error_of(http.post(PATHS[0], content=body, headers=headers))["param"] == "model"


def test_braces_and_percents_in_a_prompt_are_plain_text(http: httpx2.Client) -> None:
    body = {"model": "{0} {name} %s", "prompt": "x"}
    error = error_of(http.post(PATHS[0], json=body))
    assert error["message"] == "The model '{0} {name} %s' does not exist."


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8"])
def test_content_type_may_have_a_charset(http: httpx2.Client, charset: str) -> None:
    headers = {"Content-Type": f"application/json; charset={charset}"}
    body = json.dumps({"prompt": "é", "model": "gpt-image-2"}, ensure_ascii=False).encode()
    assert http.post(PATHS[0], content=body, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "key", ["", "Bearer", "Basic c2s6", "sk-test", "Token sk-test", "Bearer\tsk-test"]
)
def test_authorization_without_bearer_token_is_refused(server: Server, key: str) -> None:
    headers = {"Authorization": key} if key else {}
    error = error_of(httpx2.post(server.url + PATHS[0], json={}, headers=headers), 401)
    assert error["message"].startswith("You didn't provide an API key.")
    assert error["code"] is None


def test_bearer_scheme_is_case_insensitive(server: Server) -> None:
    answer = httpx2.get(f"{server.base_url}/models", headers={"Authorization": "bearer sk-x"})
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/v1/images/generations", "/v1/models", "/v1/models/dall-e-2"])
def test_paths_work_without_v1(http: httpx2.Client, path: str) -> None:
    short = path.removeprefix("/v1")
    ask = http.post if "generations" in path else http.get
    answers = [ask(each) for each in (path, short)]
    assert [answer.status_code for answer in answers] in ([200, 200], [400, 400])


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/images/generations/", "/favicon.ico", "/%00"])
def test_unknown_path_is_an_empty_404(http: httpx2.Client, path: str) -> None:
    answer = http.get(path)
    assert answer.status_code == 404
    assert answer.content == b""
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_head_request_has_no_body(http: httpx2.Client) -> None:
    answer = http.head("/v1/models")
    assert (answer.status_code, answer.content) == (200, b"")


# --- forms


def part(name: str, value: bytes, more: str = "", head: str = "") -> bytes:
    disposition = f'Content-Disposition: form-data; name="{name}"{more}\r\n{head}\r\n'
    return b"--b\r\n" + disposition.encode() + value + b"\r\n"


def posted(
    http: httpx2.Client, body: bytes | Iterator[bytes], path: str = PATHS[1], as_of: str = "any"
) -> Any:
    headers = {"Content-Type": "multipart/form-data; boundary=b", "x-emulator-as-of": as_of}
    return http.post(path, content=body, headers=headers)


FIELDS = part("model", b"gpt-image-2") + part("prompt", b"x") + part("size", b"1024x1024")
IMAGE = part("image", png(), '; filename="a.png"', "Content-Type: image/png\r\n")


def test_a_form_in_one_piece_or_in_many_is_the_same(http: httpx2.Client) -> None:
    body = FIELDS + IMAGE + b"--b--\r\n"
    whole = posted(http, body)
    pieces = posted(http, (body[at : at + 7] for at in range(0, len(body), 7)))
    assert whole.status_code == pieces.status_code == 200
    assert whole.json()["data"][0]["b64_json"] == pieces.json()["data"][0]["b64_json"]


@pytest.mark.parametrize("cut", [1, 10, 40, 100])
def test_a_truncated_form_is_refused(http: httpx2.Client, cut: int) -> None:
    body = FIELDS + IMAGE + b"--b--"
    assert error_of(posted(http, body[:-cut]))["message"] == "Could not parse multipart form"


@pytest.mark.parametrize(
    "headers", ["X-Many: x\r\n" * 10_000, f"X-Long: {'x' * 2**20}\r\n", f"{'x' * 2**20}: x\r\n"]
)
def test_a_part_with_too_many_or_too_long_headers_is_refused(
    http: httpx2.Client, headers: str
) -> None:
    image = part("image", png(), '; filename="a.png"', headers)
    error = error_of(posted(http, FIELDS + image + b"--b--\r\n"))
    assert error["message"] == "Could not parse multipart form"


def test_a_form_of_another_client_s_making_is_read(http: httpx2.Client) -> None:
    # Unquoted names, `filename*`, no type of the part, and a quoted boundary, as .NET sends them;
    # headers in another order and a typed text part, as aiohttp does.
    boundary = "--=_b=="
    image = (
        f"--{boundary}\r\nContent-Disposition: form-data; name=image; filename=a.png; "
        "filename*=utf-8''a.png\r\n\r\n"
    )
    prompt = (
        f"--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        'Content-Disposition: form-data; name="prompt"\r\n\r\n'
    )
    body = b"".join(
        [
            *(prompt.encode(), "Grüße".encode(), b"\r\n"),
            *(image.encode(), png(), b"\r\n"),
            f"--{boundary}--\r\n".encode(),
        ]
    )
    headers = {"Content-Type": f'multipart/form-data; boundary="{boundary}"'}
    answer = http.post(PATHS[1], content=body, headers=headers)
    assert error_of(answer)["message"].startswith("Invalid input image - format must be in")


@pytest.mark.parametrize("name", ["é.png", "C:\\pictures\\a.png", "/home/me/a.png", '\\"a\\".png'])
def test_file_name_is_no_path(http: httpx2.Client, name: str) -> None:
    body = FIELDS + part("image", png(), f'; filename="{name}"') + b"--b--\r\n"
    assert posted(http, body).status_code == 200


@pytest.mark.parametrize("text", [b"", b"null"])
def test_an_empty_field_and_the_text_null_are_not_given(http: httpx2.Client, text: bytes) -> None:
    fields = b"".join(part(name, text) for name in ("n", "quality", "stream", "partial_images"))
    assert posted(http, FIELDS + fields + IMAGE + b"--b--\r\n").status_code == 200


def test_the_text_null_is_a_prompt(http: httpx2.Client) -> None:
    body = part("model", b"gpt-image-2") + part("prompt", b"null") + IMAGE + b"--b--\r\n"
    assert posted(http, body).status_code == 200


def test_text_that_is_no_utf8_is_read_with_replacements(
    http: httpx2.Client, server: Server
) -> None:
    fields = part("model", b"gpt-image-2") + part("prompt", b"caf\xe9")
    assert posted(http, fields + IMAGE + b"--b--\r\n").status_code == 200
    assert server.requests[-1].prompt == "caf\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize("size", [1, 2, 7, 64, 10**6])
@pytest.mark.parametrize(
    "form",
    [
        b"A preamble, --b not at the beginning of a line,\r\n--bc\r\n--b c\r\n%s--b--\r\n",
        b"\r\n%s--b--\r\n",
        b"%s--b--",
        b"%s--b-- \t\r\nAn epilogue\r\n--b\r\n",
    ],
    ids=["preamble", "empty line", "no line end", "epilogue"],
)
def test_a_form_is_read_with_what_rfc_2046_allows(
    http: httpx2.Client, form: bytes, size: int
) -> None:
    # Blanks after a boundary; and data that all but is one.
    looks_alike = b"\r\n--\r\n--c\r\n--b x\r\n--b-\r\n--bb\r\n-"
    padded = (FIELDS + part("user", looks_alike) + IMAGE).replace(b"--b\r\n", b"--b \t \r\n")
    body = form % padded
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    assert posted(http, pieces).status_code == 200
    assert read_form("multipart/form-data; boundary=b", [body])["user"] == looks_alike.decode()


@pytest.mark.slow
def test_a_form_is_the_same_in_chunks_of_any_size() -> None:
    chance = Random(1)
    pieces = [b"\r", b"\n", b"\r\n", b"--", b"b", b"x", b"\r\n--b", b"\r\n--b ", b"\r\n--b\t\r"]

    def read(chunks: list[bytes]) -> dict[str, Any] | str:
        try:
            return read_form("multipart/form-data; boundary=b", chunks)
        except APIError as error:
            return str(error)

    outcomes = []
    for _ in range(2000):
        data = b"".join(chance.choices(pieces, k=chance.randint(0, 8)))
        body = part("user", data) + part("n", b"1") + b"--b--\r\n"
        size = chance.randint(1, 9)
        whole = read([body])
        assert read([body[at : at + size] for at in range(0, len(body), size)]) == whole
        outcomes.append(isinstance(whole, dict) and whole == {"user": data.decode(), "n": "1"})
    assert 100 < outcomes.count(True) < 1900


def test_blanks_without_end_after_a_boundary_are_data(http: httpx2.Client) -> None:
    body = FIELDS + IMAGE + b"--b" + b" " * 2**20 + b"\r\n"
    assert error_of(posted(http, body))["message"] == "Could not parse multipart form"


@pytest.mark.parametrize("character", [b"\xff", b"\xe2\x82", "é".encode(), "日".encode(), b"x\xf0"])
@pytest.mark.parametrize("shift", range(4))
def test_a_long_text_is_decoded_in_pieces(character: bytes, shift: int) -> None:
    data = b"x" * (PIECE_BYTES - shift) + character * PIECE_BYTES + character[:1]
    sizes: list[int] = []

    def note(frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call" and called.__name__ == "decode":
            sizes.append(len(called.__self__))
        elif event == "call" and frame.f_code.co_name == "decode":
            sizes.append(len(frame.f_locals["input"]))

    body = part("user", data) + b"--b--\r\n"
    before = sys.getprofile()
    sys.setprofile(note)
    try:
        fields = read_form("multipart/form-data; boundary=b", [body])
    finally:
        sys.setprofile(before)
    assert fields == {"user": data.decode(errors="replace")}
    assert sum(sizes) >= len(data)
    assert max(sizes) <= PIECE_BYTES


@pytest.mark.parametrize(("length", "status"), [(70, 200), (71, 400), (100_000, 400)])
def test_a_boundary_has_at_most_seventy_characters(
    http: httpx2.Client, length: int, status: int
) -> None:
    boundary = b"b" * length
    body = (FIELDS + IMAGE).replace(b"--b\r\n", b"--" + boundary + b"\r\n")
    kind = f"multipart/form-data; boundary={boundary.decode()}"
    answer = http.post(
        "/v1/images/edits", content=body + b"--" + boundary + b"--", headers={"content-type": kind}
    )
    assert answer.status_code == status
    if status == 400:
        assert error_of(answer)["message"] == "Could not parse multipart form"


def test_a_part_may_be_empty_or_have_no_headers() -> None:
    body = b"--b\r\n\r\nno headers\r\n" + part("user", b"") + b"--b--"
    fields = read_form("multipart/form-data; boundary=b", [body])
    assert fields == {"": "no headers", "user": ""}


MODEL, PROMPT = part("model", b"gpt-image-2"), part("prompt", b"x")


@pytest.mark.parametrize(
    ("before", "after"), [(MODEL + PROMPT, b""), (MODEL, PROMPT), (b"", PROMPT + MODEL)]
)
def test_a_picture_as_one_text_part_for_each_byte_is_refused_whatever_follows(
    http: httpx2.Client, before: bytes, after: bytes
) -> None:
    bytes_ = b"".join(part(f"image[{at}]", b"137") for at in range(5000))
    form = before + bytes_ + after + b"--b--\r\n"
    error = error_of(posted(http, form, as_of="today"))
    assert error["message"] == (
        "Invalid type for 'image[0]': expected a file, but got a string instead."
    )


def test_of_arrays_and_names_without_end_no_more_are_kept_than_matter() -> None:
    array = b"".join(part("image[]", b"137") for _ in range(MAX_ITEMS + 1))
    names = b"".join(part(f"x{at}", b"") + part(f"y[{at}x]", b"") for at in range(MAX_NAMES))
    fields = read_form("multipart/form-data; boundary=b", [array + names + b"--b--"])
    assert len(fields["image"]) == MAX_ITEMS
    assert len(fields) - 2 + len(fields["y"]) == MAX_NAMES


@pytest.mark.parametrize("path", ["/v1/images/edits", "/v1/images/variations", "/v1/files"])
@pytest.mark.parametrize("depth", [9, 3000])
def test_a_name_of_many_brackets_is_no_form(http: httpx2.Client, path: str, depth: int) -> None:
    body = part("n" + "[a]" * depth, b"1") + IMAGE + b"--b--\r\n"
    error = error_of(posted(http, body, path=path))
    assert error["message"] == "Could not parse multipart form"


def test_a_name_with_and_without_brackets_is_given_twice(http: httpx2.Client) -> None:
    array = part("image[]", png(), '; filename="a.png"')
    for body in (IMAGE + array, part("svg", b"x") + part("svg[model]", b"x")):
        error = error_of(posted(http, FIELDS + body + b"--b--\r\n"))
        assert error["code"] == "invalid_parameter"
    same = part("image[]", png(), '; filename="a.png"', "Content-Type: image/png\r\n")
    for body in (IMAGE + same, same + IMAGE):
        assert posted(http, FIELDS + body + b"--b--\r\n").status_code == 200


@pytest.mark.parametrize("content_type", ["application/octet-stream", "application/json"])
def test_a_typed_part_without_a_file_name_is_a_text_where_no_file_is_taken(
    http: httpx2.Client, content_type: str
) -> None:
    prompt = part("prompt", b"x", head=f"Content-Type: {content_type}\r\n")
    body = part("model", b"gpt-image-2") + prompt + IMAGE + b"--b--\r\n"
    assert posted(http, body).status_code == 200


@pytest.mark.parametrize(
    "name", ["", "[", "]", "[]", "a[b", "a[[b]]", "a][b", "\x7f", "a[b][c][d]"]
)
def test_an_odd_name_is_an_unknown_parameter(http: httpx2.Client, name: str) -> None:
    error = error_of(posted(http, FIELDS + part(name, b"x") + IMAGE + b"--b--\r\n"))
    assert error["code"] == "unknown_parameter"


@pytest.mark.parametrize("name", ["prompt", "n", "user", "size"])
def test_a_file_in_place_of_a_text_is_a_wrong_type(http: httpx2.Client, name: str) -> None:
    body = part("model", b"gpt-image-2") + IMAGE
    if name != "prompt":
        body += part("prompt", b"x")
    file = part(name, png(), '; filename="a.png"')
    error = error_of(posted(http, body + file + b"--b--\r\n"))
    assert error["message"].endswith("but got a file instead.")


def damaged() -> Iterator[tuple[str, bytes]]:
    whole = png((64, 64))
    yield "empty", b""
    yield "text", b"Example data"
    yield "cut short", whole[: len(whole) // 2]
    yield "header only", whole[:33]
    yield "flipped", bytes([*whole[:40], whole[40] ^ 0xFF, *whole[41:]])
    yield "a strip", png((16_385, 1))
    yield "a bomb", whole[:16] + (60_000).to_bytes(4) * 2 + whole[24:]
    yield "an SVG", b'<svg xmlns="http://www.w3.org/2000/svg"/>'
    yield "a GIF", b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"


@pytest.mark.parametrize(("kind", "data"), list(damaged()), ids=lambda value: str(value)[:20])
@pytest.mark.parametrize("path", PATHS[1:])
def test_a_file_that_is_no_picture_is_refused(
    http: httpx2.Client, path: str, kind: str, data: bytes
) -> None:
    fields = FIELDS if path == PATHS[1] else b""
    image = part("image", data, '; filename="a.png"', "Content-Type: image/png\r\n")
    error = error_of(posted(http, fields + image + b"--b--\r\n", path))
    assert error["code"] in ("invalid_image_file", "invalid_image_format")


@pytest.mark.parametrize("data", ["é", "%%%", "=", "AAAA", "AAA", " ", "🦦"])
def test_a_data_url_that_is_no_picture_is_refused(http: httpx2.Client, data: str) -> None:
    images = [{"image_url": f"data:image/png;base64,{data}"}]
    body = {"model": "gpt-image-2", "prompt": "x", "images": images}
    error = error_of(http.post(PATHS[1], json=body))
    assert (error["code"], error["param"]) == ("invalid_image_file", "images[0].image_url")


def test_a_mask_in_json_is_measured_too(http: httpx2.Client) -> None:
    def url(data: bytes) -> dict[str, str]:
        return {"image_url": f"data:image/png;base64,{base64.b64encode(data).decode()}"}

    large = url(half_clear() + b"\0" * 4 * 2**20)
    body = {"model": "gpt-image-2", "prompt": "x", "images": [url(png())], "mask": large}
    assert error_of(http.post(PATHS[1], json=body))["code"] == "file_above_max_size"


def test_a_nested_field_given_twice_is_refused(http: httpx2.Client) -> None:
    twice = part("svg[model]", b"a") + part("svg[model]", b"b")
    error = error_of(posted(http, FIELDS + twice + IMAGE + b"--b--\r\n"))
    assert error["code"] == "duplicate_parameter"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"+2", None),
        (b" 2 ", None),
        (b"-1", "integer_below_min_value"),
        (b"2.0", "invalid_type"),
        (b"0x2", "invalid_type"),
        (b"2" * 11, "integer_above_max_value"),
        (b"2" * 4301, "invalid_type"),
    ],
)
def test_a_number_in_a_form_is_a_whole_one_with_or_without_a_sign(
    http: httpx2.Client, text: bytes, code: str | None
) -> None:
    fields = part("model", b"gpt-image-1") + part("prompt", b"x") + part("n", text)
    answer = posted(http, fields + IMAGE + b"--b--\r\n")
    assert answer.json().get("error", {}).get("code") == code
    assert len(answer.json().get("data", ())) == (0 if code else 2)


def test_an_empty_nested_field_is_not_given(http: httpx2.Client) -> None:
    fields = part("model", b"gpt-image-2.6-flare") + part("prompt", b"x")
    fields += part("output_format", b"svg") + part("svg[model]", b"x")
    fields += part("svg[reasoning][effort]", b"")
    assert posted(http, fields + IMAGE + b"--b--\r\n").status_code == 200


# --- connections


def spoken(server: Server, request: bytes, *, hang_up: bool = False, step: int = 0) -> bytes:
    """What the server says to raw bytes, sent in packets of *step* bytes, until the connection
    ends."""
    address = (server.settings.host, server.port)
    with socket.create_connection(address, timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(request), step or len(request)):
            connection.sendall(request[start : start + (step or len(request))])
        if hang_up:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        return answer


def request_bytes(body: bytes, *headers: str) -> bytes:
    lines = [
        f"POST {PATHS[0]} HTTP/1.1",
        *(
            "Host: localhost",
            "Connection: close",
            f"Authorization: Bearer {KEY}",
            "Content-Type: application/json",
        ),
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


BODY = b'{"model": "gpt-image-2", "prompt": "x", "output_format": "jpeg"}'


UPGRADE = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAA")
"""The JDK's client asks for it by default."""


@pytest.mark.parametrize("step", [0, 1, 7, 200])
@pytest.mark.parametrize("chunked", [False, True])
def test_an_upgrade_to_h2c_loses_no_body(server: Server, step: int, chunked: bool) -> None:
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(BODY)}"
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY) if chunked else BODY
    answer = spoken(server, request_bytes(body, length, *UPGRADE), step=step)
    assert b"200 OK" in answer.splitlines()[0]
    assert opened(json.loads(answer.partition(b"\r\n\r\n")[2])["data"][0]["b64_json"])


def test_a_request_behind_an_upgrade_is_answered_too(server: Server) -> None:
    first = request_bytes(BODY, f"Content-Length: {len(BODY)}", *UPGRADE)
    first = first.replace(b"Connection: close\r\n", b"")
    second = request_bytes(BODY, f"Content-Length: {len(BODY)}")
    assert spoken(server, first + second).count(b"HTTP/1.1 200 OK") == 2


def test_connect_method_is_refused(server: Server) -> None:
    answer = spoken(server, b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n")
    assert b"400 Bad Request" in answer.splitlines()[0]


def test_a_target_in_absolute_form_is_the_path_that_it_names(server: Server) -> None:
    request = request_bytes(BODY, f"Content-Length: {len(BODY)}")
    absolute = request.replace(b"POST /", b"POST http://localhost/", 1)
    assert b"200 OK" in spoken(server, absolute).splitlines()[0]


def test_a_chunked_body_is_read(server: Server) -> None:
    chunks = b"".join(b"%x\r\n%c\r\n" % (1, byte) for byte in BODY) + b"0\r\n\r\n"
    answer = spoken(server, request_bytes(chunks, "Transfer-Encoding: chunked"))
    assert b"200 OK" in answer.splitlines()[0]


def test_client_disconnect_within_its_body_is_harmless(
    server: Server, http: httpx2.Client, caplog: pytest.LogCaptureFixture
) -> None:
    spoken(server, request_bytes(BODY, "Content-Length: 100000"), hang_up=True)
    assert http.get("/v1/models").status_code == 200
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("way", ["gone", "too long"])
def test_call_whose_body_does_not_come_uses_up_no_fault(way: str) -> None:
    with Server(max_body=1000, delay=False) as server:
        server.inject("server_error")
        body = BODY if way == "gone" else BODY + b" " * 1000
        length = f"Content-Length: {len(body) + (way == 'gone')}"
        spoken(server, request_bytes(body, length), hang_up=way == "gone")
        until(lambda: bool(server.requests) and server.requests[0].outcome != "waiting")
        whole = request_bytes(BODY, f"Content-Length: {len(BODY)}")
        statuses = [spoken(server, whole).split()[1] for _ in range(2)]
    assert statuses == [b"500", b"200"]


def test_health_needs_no_key(server: Server) -> None:
    answer = httpx2.get(f"{server.url}/_emulator/health")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok"}
    assert "openai-version" not in answer.headers


@pytest.mark.slow
def test_a_large_upload_is_taken_whole(http: httpx2.Client) -> None:
    big = png((2400, 2400), "RGBA", (1, 2, 3, 255)) + b"\0" * 20_000_000
    image = part("image", big, '; filename="a.png"')
    answer = posted(http, FIELDS + image + b"--b--\r\n")
    assert answer.status_code == 200
    assert opened(answer.json()["data"][0]["b64_json"]).size == (1024, 1024)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "usable"),
    [((4096, 4096), True), ((8001, 8000), False), ((16_384, 8), True), ((16_385, 8), False)],
)
def test_a_picture_of_more_than_64_million_pixels_is_not_decoded(
    http: httpx2.Client, size: tuple[int, int], usable: bool
) -> None:
    image = ("a.png", encoded(Image.new("1", size)), "image/png")
    fields = {"model": "gpt-image-2", "prompt": "x", "size": "1024x1024", "quality": "low"}
    answer = http.post("/v1/images/edits", data=fields, files={"image": image})
    assert verdict(answer) == ("ok" if usable else "invalid_image_file None")


@pytest.fixture(scope="module")
def narrow() -> Iterator[httpx2.Client]:
    """A client of a server that reads bodies of up to 1,000 bytes."""
    with (
        Server(Settings(port=0, max_body=1000)) as server,
        httpx2.Client(base_url=server.url, headers={"Authorization": f"Bearer {KEY}"}) as http,
    ):
        yield http


@pytest.mark.parametrize("chunks", [1, 4])
@pytest.mark.parametrize(("length", "status"), [(999, 200), (1000, 200), (1001, 413)])
def test_the_largest_body_is_as_large_as_the_setting_says(
    narrow: httpx2.Client, length: int, status: int, chunks: int
) -> None:
    body = json.dumps({"model": "dall-e-2", "prompt": "x", "size": "256x256"}).encode()
    body = body.ljust(length)
    step = -(-length // chunks)
    answer = narrow.post(
        "/v1/images/generations",
        content=iter([body[start : start + step] for start in range(0, length, step)]),
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == status


@pytest.mark.slow
def test_an_upload_of_fifty_megabytes_is_too_large(http: httpx2.Client) -> None:
    image = part("image", b"\0" * 50 * 2**20, '; filename="a.png"')
    error = error_of(posted(http, FIELDS + image + b"--b--\r\n"))
    assert (error["code"], error["param"]) == ("file_above_max_size", "image")
    assert "52428800" in error["message"]

"""Redaction of recordings: no credential is left, and all else is as it was."""

from __future__ import annotations

import base64
import gzip
import json
import random
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from urllib.parse import quote

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from images_emulator.contract.http_headers import HeaderPairs
from images_emulator.recordings import credential_search, redaction
from images_emulator.recordings.recording import (
    RecordedDownload,
    RecordedPart,
    RecordedRequest,
    RecordedResponse,
    Recording,
)
from images_emulator.recordings.redaction import Redactor, UnreadableBodyError
from tests.pictures import png

KEY = "sk-proj-Zq3_x-9aBcDeFgHiJkLmNoPqRsTuVwXyZ"
AZURE_KEY = "Ab3/dE+5gH7==iJkL9/nOpQ+sTu="
"""As base64 it may have every character that a form of it escapes."""

PASSWORD = "p?w~>d?~?~?~>>>~~~???xyz"
"""Its base64 has `+` and `/` at each alignment."""

ANSWER = RecordedResponse(200, (("content-type", "application/json"),), (RecordedPart(0.5, b"{}"),))


def recording(
    body: bytes = b"",
    *,
    headers: HeaderPairs = (("Authorization", f"Bearer {KEY}"),),
    target: str = "/v1/images/generations",
    response: RecordedResponse | None = ANSWER,
) -> Recording:
    return Recording(RecordedRequest("POST", target, headers, body), response)


def answer(body: bytes, status: int = 200, headers: HeaderPairs = ()) -> RecordedResponse:
    return RecordedResponse(status, headers, (RecordedPart(1.0, body),) if body else ())


def texts(recorded: Recording) -> Iterator[bytes]:
    """All that is in a recording."""
    request, response = recorded.request, recorded.response
    headers = [*request.headers, *(response.headers if response else ())]
    for each in recorded.downloads:
        headers += each.headers
        yield each.url.encode()
        yield each.data
    yield from (f"{name}: {value}".encode() for name, value in headers)
    yield from (request.target.encode(), request.body, response.body if response else b"")
    yield from (recorded.error.encode(), recorded.note.encode(), recorded.source.encode())


def forms(secret: str) -> Iterator[bytes]:
    """*secret* as it is, escaped, and in base64 behind 0, 1 and 2 other bytes."""
    data = secret.encode()
    quoted = quote(secret, safe="")
    yield from (data, quoted.encode(), secret.replace("/", "\\/").encode())
    yield re.sub("%..", lambda match: match[0].lower(), quoted).encode()
    for shift in range(3):
        inner = base64.b64encode(b"x" * shift + data + b"yy")[4 : len(data) * 4 // 3 - 2]
        yield from (inner, inner.replace(b"/", b"\\/"), quote(inner, safe="").encode())
        yield inner.translate(bytes.maketrans(b"+/", b"-_"))


def assert_nowhere(secret: str, recorded: Recording) -> None:
    for form in forms(secret):
        assert not [text for text in texts(recorded) if form in text], form


@pytest.mark.parametrize(
    ("headers", "redacted"),
    [
        ({"Authorization": f"Bearer {KEY}"}, {"Authorization": "Bearer REDACTED"}),
        ({"authorization": KEY}, {"authorization": "REDACTED"}),
        ({"Authorization": "Basic dXNlcjpwYXNz"}, {"Authorization": "Basic REDACTED"}),
        ({"api-key": AZURE_KEY}, {"api-key": "REDACTED"}),
        ({"X-Api-Key": "abc"}, {"X-Api-Key": "REDACTED"}),
        ({"Ocp-Apim-Subscription-Key": "abc"}, {"Ocp-Apim-Subscription-Key": "REDACTED"}),
        ({"Cookie": "a=b; c=d"}, {"Cookie": "a=REDACTED; c=REDACTED"}),
        ({"OpenAI-Organization": "acme"}, {"OpenAI-Organization": "REDACTED"}),
        (
            {"OpenAI-Project": "proj_0123456789abcdef"},
            {"OpenAI-Project": "proj_REDACTEDxxxxxxxx"},
        ),
        ({"Idempotency-Key": "stainless-retry-1"}, {"Idempotency-Key": "stainless-retry-1"}),
        ({"Referer": f"http://x/?a={KEY}"}, {"Referer": f"http://x/?a=REDACTED{'x' * 33}"}),
    ],
)
def test_credentials_in_headers_of_a_request_are_redacted(
    headers: dict[str, str], redacted: dict[str, str]
) -> None:
    sent = (*headers.items(), ("X-Other", "stays"))
    found = Redactor().redact(recording(headers=sent)).request.headers
    assert found == (*redacted.items(), ("X-Other", "stays"))


@pytest.mark.parametrize(
    ("headers", "redacted"),
    [
        ({"Set-Cookie": "__cf_bm=abc; path=/; Secure"}, "__cf_bm=REDACTED; path=/; Secure"),
        ({"openai-organization": "user-0123456789abcdef"}, "user-REDACTEDxxxxxxxx"),
        ({"x-request-id": "req_0123456789"}, "req_0123456789"),
        ({"azureml-model-session": "d031-20261101"}, "d031-20261101"),
        ({"x-echo": f"key {KEY}"}, f"key REDACTED{'x' * 33}"),
    ],
)
def test_credentials_in_headers_of_an_answer_are_redacted(
    headers: dict[str, str], redacted: str
) -> None:
    recorded = recording(response=answer(b"{}", headers=tuple(headers.items())))
    response = Redactor().redact(recorded).response
    assert response
    assert response.headers == tuple(zip(headers, [redacted], strict=True))


@pytest.mark.parametrize(
    ("value", "redacted"),
    [
        ("https://app/x?token=hunter2secret", "https://app/x?token=REDACTED"),
        ("https://h/v1/x?a=1&api_key=0123456789abcde#b", "https://h/v1/x?a=1&api_key=REDACTED#b"),
        ("https://app/#access_token=abc&x=1", "https://app/#access_token=REDACTED&x=1"),
        ("/x?go=/y?token=a?b&sig=c%3D", "/x?go=/y?token=REDACTED&sig=REDACTED"),
        (
            '<https://h/a?token=abc>; rel="next", <https://h/b?token=d>; rel="last"',
            '<https://h/a?token=REDACTED>; rel="next", <https://h/b?token=REDACTED>; rel="last"',
        ),
        ("report-uri https://h/?%6Bey=a;b; x", "report-uri https://h/?%6Bey=REDACTED; x"),
        ("https://u:hunter2@h/?key=a", "https://u:REDACTE@h/?key=REDACTED"),
        ("/x?token=&limit=2&key", "/x?token=&limit=2&key"),
        ("text/plain; token=abc&key=def", "text/plain; token=abc&key=def"),
        ('"Not?A_Brand";key="99", a=b?c', '"Not?A_Brand";key="99", a=b?c'),
    ],
)
@pytest.mark.parametrize("place", ["request", "response", "download"])
def test_credentials_in_a_url_in_a_header_are_redacted(
    value: str, redacted: str, place: str
) -> None:
    headers = (("Referer", value), ("location", value), ("operation-location", value))
    recorded = recording(headers=headers if place == "request" else (), response=answer(b"{}"))
    if place == "response":
        recorded = replace(recorded, response=answer(b"{}", headers=headers))
    elif place == "download":
        recorded = replace(recorded, downloads=(RecordedDownload("http://x/", headers=headers),))
    clean = Redactor().redact(recorded)
    assert clean.response
    shown = [*clean.request.headers, *clean.response.headers]
    shown += [header for each in clean.downloads for header in each.headers]
    assert shown == [(name, redacted) for name, _ in headers]


@pytest.mark.parametrize("place", ["request", "response", "download"])
def test_a_credential_in_a_url_in_a_header_is_redacted_in_bodies(place: str) -> None:
    headers = (("location", "https://h/x?api_key=hunter2%2Fsecret&token=short&q=unchanged"),)
    text = b"hunter2/secret short unchanged"
    recorded = recording(text, headers=headers if place == "request" else ())
    if place == "response":
        recorded = replace(recorded, response=answer(text, headers=headers))
    elif place == "download":
        download = RecordedDownload("http://x/", headers=headers, data=text)
        recorded = replace(recorded, downloads=(download,))
    clean = Redactor().redact(recorded)
    assert clean.response
    assert clean.request.body == b"REDACTEDxxxxxx short unchanged"
    assert place != "response" or clean.response.body == clean.request.body
    assert [each.data for each in clean.downloads] in ([], [clean.request.body])


@pytest.mark.slow
@pytest.mark.parametrize("value", ["?token=,", "?a=", "#", "?", "&token=", "? token", "?token=?"])
def test_a_long_header_is_searched_once(value: str) -> None:
    """A search that began anew at each of them would take minutes."""
    recorded = recording(headers=(("Referer", value * 10_000),))
    assert Redactor().redact(recorded).request.headers[0][1].startswith(value[:1])


@pytest.mark.parametrize(
    ("target", "redacted"),
    [
        ("/v1/models?api_key=abc&limit=2", "/v1/models?api_key=REDACTED&limit=2"),
        ("/v1/models?code=&sig=abc%3D", "/v1/models?code=&sig=REDACTED"),
        (f"/v1/files/{KEY}/content", f"/v1/files/REDACTED{'x' * 33}/content"),
        (f"/v1/files?after={KEY}", f"/v1/files?after=REDACTED{'x' * 33}"),
        ("/v1/files?a=1&&b", "/v1/files?a=1&&b"),
        ("/v1/files?", "/v1/files?"),
    ],
)
def test_credentials_in_the_target_are_redacted(target: str, redacted: str) -> None:
    assert Redactor().redact(recording(target=target)).request.target == redacted


@pytest.mark.parametrize("key", [KEY, AZURE_KEY, PASSWORD])
@pytest.mark.parametrize("shift", [0, 1, 2, 3])
@pytest.mark.parametrize("place", ["request", "response", "download", "stream"])
def test_a_key_is_redacted_in_each_form_and_at_each_alignment(
    key: str, shift: int, place: str
) -> None:
    data = b"x" * shift + key.encode() + b"tail"
    code = base64.b64encode(data)
    bodies = [
        data,
        b"\0\xff\x89PNG" + data,
        code,
        base64.urlsafe_b64encode(data),
        re.sub("%..", lambda match: match[0].lower(), quote(key, safe="")).encode(),
        code.replace(b"/", b"\\/"),
        quote(code, safe="").encode(),
        json.dumps({"prompt": key, "image": code.decode()}).encode(),
        f"prompt={quote(key, safe='')}&x=1".encode(),
        json.dumps(key).replace("/", "\\/").encode(),
    ]
    for body in bodies:
        recorded = recording(headers=(("Authorization", f"Bearer {key}"),))
        if place == "request":
            recorded = replace(recorded, request=replace(recorded.request, body=body))
        elif place == "download":
            recorded = replace(recorded, downloads=(RecordedDownload("http://x/", data=body),))
        else:
            # In a stream the key may be in two parts.
            cut = len(body) // 2 if place == "stream" else len(body)
            parts = (RecordedPart(0.1, body[:cut]), RecordedPart(0.2, body[cut:]))
            recorded = replace(recorded, response=RecordedResponse(200, (), parts))
        redacted = Redactor().redact(recorded)
        assert_nowhere(key, redacted)
        assert len(body) in map(len, texts(redacted)), "a body has as many bytes as before"
        if place == "stream":
            assert redacted.response
            assert [part.seconds for part in redacted.response.parts] == [0.1, 0.2]
            assert [len(part.data) for part in redacted.response.parts] == [cut, len(body) - cut]


@pytest.mark.parametrize("number", range(10))
def test_an_escape_at_the_beginning_of_a_credential_stays_whole(number: int) -> None:
    """The form without the escape begins within it."""
    for key, text in (
        (f"/key-number-{number}", f"\\/key-number-{number}"),
        (f"?key-number-{number}", escaped_base64(f"xy?key-number-{number}".encode()).decode()),
    ):
        body = f'{{"text": "a{text}"}}'.encode()
        redacted = Redactor().redact(recording(body, headers=(("api-key", key),))).request.body
        assert len(redacted) == len(body)
        assert key.encode() not in redacted
        assert "\\/" in text
        assert json.loads(redacted)["text"].startswith(("aREDACTED", "aeHk/RURBQ1RFRHh4"))


def test_base64_stays_base64_and_has_the_rest_of_the_bytes() -> None:
    data = b"The key is " + AZURE_KEY.encode() + b", and this is the rest. " * 3
    body = json.dumps({"image": base64.b64encode(data).decode()}).encode()
    redacted = Redactor().redact(recording(body, headers=(("api-key", AZURE_KEY),)))
    found = base64.b64decode(json.loads(redacted.request.body)["image"], validate=True)
    end = 11 + len(AZURE_KEY)
    assert len(found) == len(data)
    assert (found[:11], found[end:]) == (data[:11], data[end:])
    assert b"EDACTEDxx" in found


def test_what_has_no_credential_is_the_very_same() -> None:
    body = png((64, 64)) + b"\0 org-chart proj_x user-1 sig=short sk-short"
    download = RecordedDownload("http://x/a.png?se=1", 200, (("etag", "x"),), png())
    recorded = replace(
        recording(body, response=answer(body)), downloads=(download,), note="n", error="e"
    )
    redacted = Redactor().redact(recorded)
    headers = (("Authorization", "Bearer REDACTED"),)
    assert redacted == replace(recorded, request=replace(recorded.request, headers=headers))


def test_a_key_of_an_earlier_call_and_of_the_proxy_is_redacted_in_later_ones() -> None:
    redactor = Redactor(["proxy-key-123"])
    redactor.redact(recording())
    body = f"{KEY} proxy-key-123".encode()
    later = redactor.redact(recording(body, headers=(("Authorization", "Bearer other-key"),)))
    assert later.request.body == b"REDACTED" + b"x" * 33 + b" REDACTEDxxxxx"


def test_no_more_keys_of_calls_are_remembered_than_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(redaction, "MAX_KEYS", 2)
    redactor = Redactor(["proxy-key-123"])
    for number in (1, 2, 1, 3):
        redactor.redact(recording(headers=(("api-key", f"key-number-{number}"),)))
    body = b"key-number-1 key-number-2 key-number-3 proxy-key-123"
    redacted = redactor.redact(recording(body, headers=())).request.body
    assert redacted == b"REDACTEDxxxx key-number-2 REDACTEDxxxx REDACTEDxxxxx"


@pytest.mark.parametrize("key", ["test", "sk-test"])
def test_a_short_key_stays_in_prompts_and_not_in_the_answer_that_refuses_it(key: str) -> None:
    refusal = answer(f'{{"error": "Incorrect API key provided: {key}. A tester"}}'.encode(), 401)
    recorded = recording(b"a latest tester", headers=(("api-key", key),), response=refusal)
    redacted = Redactor().redact(recorded)
    assert redacted.request.body == b"a latest tester"
    assert redacted.response
    assert key.encode() not in redacted.response.body.replace(b"tester", b"")
    assert b"A tester" in redacted.response.body


@pytest.mark.parametrize("shortened", ["sk-wrong-*******rong", "sk-proj-****abcd", "****1234"])
def test_a_shortened_key_is_redacted_in_the_answer_that_refuses_it(shortened: str) -> None:
    refusal = answer(f"Incorrect API key provided: {shortened}. You can find".encode(), 401)
    redacted = Redactor().redact(recording(headers=(), response=refusal))
    assert redacted.response
    assert redacted.response.body.decode() == (
        f"Incorrect API key provided: {'REDACTED'.ljust(len(shortened), 'x')}. You can find"
    )


def png_with_text(text: str) -> bytes:
    """A PNG file with *text* in an `iTXt` chunk."""
    info = PngInfo()
    info.add_itxt("prompt", text)
    file = BytesIO()
    Image.new("RGB", (8, 8), "red").save(file, "PNG", pnginfo=info)
    return file.getvalue()


def escaped_base64(data: bytes) -> bytes:
    """Base64 in JSON as PHP writes it."""
    return base64.b64encode(data).replace(b"/", b"\\/")


@pytest.mark.parametrize("encode", [bytes, base64.b64encode, escaped_base64])
@pytest.mark.parametrize("before", [f"{'?' * number}" for number in range(12)])
def test_a_png_file_whose_text_had_a_key_can_be_read(
    encode: Callable[[bytes], bytes], before: str
) -> None:
    text = f"{before}my key is {KEY}"
    data = encode(png_with_text(text))
    body = b'{"b64_json":"' + data + b'","other":"' + encode(png((8, 8))) + b'"}'
    redacted = Redactor().redact(recording(response=answer(body)))
    assert_nowhere(KEY, redacted)
    assert redacted.response
    made = redacted.response.body
    assert len(made) == len(body)
    assert made[len(data) + 13 :] == body[len(data) + 13 :]
    picture = made[13 : 13 + len(data)]
    plain = picture.replace(b"\\/", b"/") if encode is escaped_base64 else picture
    with Image.open(BytesIO(plain if encode is bytes else base64.b64decode(plain))) as opened:
        opened.load()
        prompt: str = opened.text["prompt"]  # type: ignore[attr-defined]
        assert opened.getpixel((0, 0)) == (255, 0, 0)
    # In base64 the first and the last letter share characters with what is around them, and where
    # the checksum has an escape, the last letters are those that fit.
    assert "EDACTED".ljust(len(KEY) - 2 - 4 * (encode is escaped_base64), "x") in prompt
    assert (len(prompt), prompt.startswith(f"{before}my key is ")) == (len(text), True)


@pytest.mark.slow
def test_pictures_without_number_whose_checksums_no_letters_fit_are_given_up() -> None:
    """Each try takes time, so there are as many as for one picture."""
    data = png_with_text(KEY)
    at = data.index(b"iTXt")
    end = at + 4 + int.from_bytes(data[at - 4 : at], "big")
    wrong = data[:end] + b"\xff" * 4 + data[end + 4 :]
    body = b'["' + b'","'.join([escaped_base64(wrong)] * 300) + b'"]'
    redacted = Redactor().redact(recording(response=answer(body)))
    assert_nowhere(KEY, redacted)
    assert redacted.response
    assert len(redacted.response.body) == len(body)


def test_the_organization_and_project_of_an_answer_are_redacted_in_its_message() -> None:
    message = (
        "Rate limit reached for gpt-image-2 (for limit images) in organization "
        "org-AbCdEfGhIjKlMnOpQrStUvWx (acme) in project proj_AbCdEfGhIjKlMnOpQrStUvWx: Limit 5."
    )
    headers = (("openai-organization", "acme"),)
    recorded = recording(b'{"prompt":"acme"}', response=answer(message.encode(), 429, headers))
    redacted = Redactor().redact(recorded)
    assert redacted.response
    assert redacted.response.body.decode() == (
        "Rate limit reached for gpt-image-2 (for limit images) in organization "
        "org-REDACTEDxxxxxxxxxxxxxxxx (REDA) in project proj_REDACTEDxxxxxxxxxxxxxxxx: Limit 5."
    )
    assert redacted.request.body == b'{"prompt":"acme"}'


@pytest.mark.parametrize(
    "host",
    [
        "AcmeImages.openai.azure.com",
        "AcmeImages.OpenAI.Azure.com",
        "ab.services.ai.azure.com",
        "acme.cognitiveservices.azure.us",
    ],
)
def test_the_name_of_an_azure_resource_is_redacted_in_the_name_of_a_host(host: str) -> None:
    name = host.partition(".")[0]
    headers = (("Host", host), ("api-key", KEY))
    body = f'{{"at": "https://{host}/x", "image": "data:image/png"}}'.encode()
    located = (("operation-location", f"https://{host}/openai/operations/1"),)
    recorded = replace(
        recording(body, headers=headers, response=answer(body, headers=located)),
        source=f"https://{host}/openai",
    )
    redacted = Redactor().redact(recorded)
    assert not [text for text in texts(redacted) if f"{name}.".encode() in text]
    assert redacted.source == f"https://REDACTED{host.removeprefix(name)}/openai"
    assert b"data:image/png" in redacted.request.body
    assert redacted.response
    assert b"data:image/png" in redacted.response.body


def test_a_short_name_of_an_azure_resource_stays_in_other_words() -> None:
    recorded = replace(
        recording(response=answer(b"data:image/png image")),
        source="https://image.openai.azure.com",
    )
    redacted = Redactor().redact(recorded)
    assert redacted.response
    assert redacted.response.body == b"data:image/png image"


@pytest.mark.parametrize("before", ["\\n", "\\t", "\\u0041", "%20", "%0a", " ", ""], ids=repr)
def test_a_key_of_another_call_is_redacted_behind_an_escape(before: str) -> None:
    text = f'{{"prompt": "x{before}' if before else '{"prompt": "'
    body = f'{text}sk-of-another-call-0123456789"}}'
    target = f"/v1/images/generations?q={quote('my key is')}%20sk-of-another-call-0123456789"
    redacted = Redactor().redact(recording(body.encode(), target=target))
    assert redacted.request.body.decode() == f'{text}REDACTED{"x" * 21}"}}'
    assert "another" not in redacted.request.target


@pytest.mark.parametrize(
    "query",
    [
        "se=2030&sp=racwdl&sig={}%3D",
        "X-Amz-Expires=60&X-Amz-Signature={}",
        "X-Amz-Security-Token={}&x=1",
        "X-Goog-Signature={}",
        "Expires=1&Signature={}&Key-Pair-Id=K",
    ],
)
def test_the_signature_of_a_url_is_redacted_in_requests_and_answers(query: str) -> None:
    secret = "aB3%2BcdEfGhIjKlMnOpQrStUv0123456789"
    body = json.dumps({"image_url": "https://x.example/y?" + query.format(secret)}).encode()
    redacted = Redactor().redact(recording(body, response=answer(body)))
    assert redacted.response
    assert secret.encode() not in redacted.request.body + redacted.response.body
    assert b"REDACTEDxxxx" in redacted.request.body
    assert json.loads(redacted.request.body)


@pytest.mark.parametrize(
    "text",
    [
        r"https:\/\/x.example\/y?sig={}%3D",
        r"https://x.example/y?se=1\u0026sig\u003d{}",
        r"https:\/\/user:{}@x.example\/y",
        "https://{}@x.example/y",
    ],
)
def test_a_credential_in_a_url_with_the_escapes_of_json_is_redacted(text: str) -> None:
    secret = r"aB3cdEfGhIjKlM\/OpQrStUv0123456789" if "sig" in text else "hunter2hunter2"
    body = f'{{"image_url": "{text.format(secret)}"}}'.encode()
    redacted = Redactor().redact(recording(body)).request.body
    assert secret.encode() not in redacted
    assert b"REDACTEDxxx" in redacted
    assert json.loads(redacted)


@pytest.mark.parametrize("password", ["hunter2", "pässwörd", "пароль", "密码", "🔑🔑"])
def test_a_password_in_a_url_is_redacted_in_each_script(password: str) -> None:
    body = f'{{"image_url": "https://user:{password}@x.example/y"}}'.encode()
    redacted = Redactor().redact(recording(body)).request.body
    assert password.encode() not in redacted
    assert json.loads(redacted)["image_url"].startswith("https://user:REDA")


@pytest.mark.parametrize(
    "user", [b"user:p\xe9ssword99", b"\xe9ric:p\xe4ssword99", b"a:password99\xc3"]
)
def test_a_password_in_a_url_is_redacted_in_latin_1(user: bytes) -> None:
    body = b"--b\r\n\r\nhttps://" + user + b"@x.example/y\r\n--b--"
    assert b"ssword99" not in Redactor().redact(recording(body)).request.body


def test_bytes_of_a_picture_between_the_marks_of_a_url_stay() -> None:
    source = random.Random(0)
    picture = b"".join(
        b"://" + source.randbytes(source.randrange(12, 60)) + b":" + source.randbytes(12) + b"@"
        for _ in range(5_000)
    )
    assert Redactor().redact(recording(picture)).request.body == picture


def test_an_address_in_a_query_is_no_password() -> None:
    body = b'{"prompt": "http://localhost:8080?mail=a@b.example, http://x.example:1, a@b.example"}'
    assert Redactor().redact(recording(body)).request.body == body


def test_an_end_user_stays_as_the_request_named_it() -> None:
    body = b'{"user":"user-0123456789abcdef"}'
    assert Redactor().redact(recording(body)).request.body == body


def test_the_signature_of_a_hosted_picture_is_redacted_alike_in_body_and_download() -> None:
    path = "org-AbCdEfGhIjKlMnOpQrStUvWx/user-AbCdEfGhIjKlMnOpQrStUvWx/img.png"
    url = f"https://x.blob.core.windows.net/{path}?se=2026&sig=aB3%2Bcd/EfGhIjKlMnOpQrStUv%3D"
    body = json.dumps({"data": [{"url": url}]}).encode()
    recorded = replace(
        recording(response=answer(body)), downloads=(RecordedDownload(url, data=b"x"),)
    )
    redacted = Redactor().redact(recorded)
    assert redacted.response
    found = json.loads(redacted.response.body)["data"][0]["url"]
    assert found == redacted.downloads[0].url
    assert found.startswith("https://x.blob.core.windows.net/org-REDACTEDxxxxxxxxxxxxxxxx/user-RED")
    assert found.endswith("?se=2026&sig=REDACTEDxxxxxxxxxxxxxxxxxxxxxx")


@pytest.mark.parametrize(
    "body",
    [
        b'{"prompt":"x","api_key":"abcdef123456"}',
        b'{"token" : "abcdef123456", "prompt": "abcdef123456"}',
        b'--b\r\nContent-Disposition: form-data; name="api_key"\r\n\r\nabcdef123456\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="token"\r\nContent-Type: text/plain'
        b"\r\n\r\nabcdef123456\r\n--b--\r\n",
    ],
)
def test_a_field_that_is_named_for_a_credential_is_redacted_wherever_its_value_is(
    body: bytes,
) -> None:
    redacted = Redactor().redact(recording(body, response=answer(b"it was abcdef123456")))
    assert redacted.request.body == body.replace(b"abcdef123456", b"REDACTEDxxxx")
    assert redacted.response
    assert redacted.response.body == b"it was REDACTEDxxxx"


@pytest.mark.parametrize("secret", ["abc\\def\\\\ghi", 'a"quoted"one', "tab\there", "Straße 12"])
@pytest.mark.parametrize("ascii", [True, False])
def test_a_field_that_is_named_for_a_credential_is_redacted_whole(
    secret: str, *, ascii: bool
) -> None:
    body = json.dumps({"prompt": "x", "password": secret}, ensure_ascii=ascii).encode()
    said = f"it was {secret}".encode()
    redacted = Redactor().redact(recording(body, response=answer(said)))
    text = json.loads(redacted.request.body)["password"]
    assert re.fullmatch("REDACTEDx*", text)
    assert redacted.response
    assert re.fullmatch(b"it was REDACTEDx*", redacted.response.body)


def part(head: str, value: str, others: str = "") -> bytes:
    """A form with a field *value* below *head*, after the field `prompt`."""
    fields = [('form-data; name="prompt"', "A red fox"), (f"{head}{others}", value)]
    parts = (f"--b\r\nContent-Disposition: {head}\r\n\r\n{text}\r\n" for head, text in fields)
    return f"{''.join(parts)}--b--\r\n".encode()


@pytest.mark.parametrize(
    ("head", "others"),
    [
        ('form-data; name="password"', ""),
        ("form-data; name=password", ""),
        ("form-data;name=password ; charset=utf-8", ""),
        ('form-data; NAME = "password"', "\r\nContent-Type: text/plain"),
    ],
)
@pytest.mark.parametrize(
    "secret", ['abc"defghijklmnop', 'longsecret"rest-of-it', "line one\r\nline\ntwo", '"', "Straße"]
)
def test_a_field_of_a_form_that_is_named_for_a_credential_is_redacted_whole(
    head: str, others: str, secret: str
) -> None:
    body = part(head, secret, others)
    expected = "REDACTED".ljust(len(secret.encode()), "x")[: len(secret.encode())]
    if len(secret) < 6:
        expected = secret
    redacted = Redactor().redact(recording(body, response=answer(f"it was {secret}".encode())))
    assert redacted.request.body == part(head, expected, others)
    assert redacted.response
    assert redacted.response.body == f"it was {expected}".encode()


@pytest.mark.parametrize(
    "body",
    [
        part('form-data; name="image"; filename="secret-garden.jpg"', "\xff\xd8 the picture"),
        part('form-data; filename="my.key"; name="image"', "the picture"),
        part('form-data; name="prompt"', 'name="token"\r\n\r\nA fox in the snow'),
        part('form-data; name="monkeys"', "A fox in the snow"),
        b'{"token": 12345, "total_tokens": 1234567, "created": 1750429274}',
        b'{"names": ["token"\r\n\r\n], "prompt": "A fox in the snow"}',
    ],
)
def test_what_is_no_field_of_a_credential_stays(body: bytes) -> None:
    assert Redactor().redact(recording(body)).request.body == body


@pytest.mark.parametrize("blank", ["", " ", "\n"])
@pytest.mark.parametrize(("number", "redacted"), [("12345678", 99999999), ("-1.5e+10", -9.9e99)])
def test_a_number_that_is_named_for_a_credential_is_redacted(
    blank: str, number: str, redacted: float
) -> None:
    body = f'{{"password":{blank}{number},"n":1}}'.encode()
    found = Redactor().redact(recording(body, response=answer(f"was {number}".encode())))
    assert number.encode() not in found.request.body
    assert len(found.request.body) == len(body)
    if blank != "\n":
        assert json.loads(found.request.body) == {"password": redacted, "n": 1}
    assert found.response
    assert found.response.body == b"was REDACTED"


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece",
    [
        b'"password":',
        b'"password":"',
        b'{"password": "\\',
        b'{"password": 1',
        b"\nContent-Disposition: form-data; name=key",
        b"\r\nContent-Disposition: form-data; name=key;",
        b"\r\nContent-Disposition:" + b"; name=key" * 50,
        b"\ncontent-disposition: form-data; name=key\r\n" + b"x" * 250 + b"\r\n",
        b"\n        content-disposition        ",
    ],
    ids=repr,
)
def test_a_body_of_unfinished_fields_is_searched_in_linear_time(piece: bytes) -> None:
    """A search that began anew at each of them, to the end of the body, would take minutes."""
    body = piece * (1_000_000 // len(piece))
    assert len(Redactor().redact(recording(body)).request.body) == len(body)


def test_a_body_of_several_compressed_members_is_not_recorded() -> None:
    body = gzip.compress(b'{"a": 1}') + gzip.compress(KEY.encode())
    response = answer(body, headers=(("content-encoding", "gzip"),))
    with pytest.raises(UnreadableBodyError, match="bytes follow its compressed body"):
        Redactor().redact(recording(response=response))


def test_the_password_of_basic_authentication_is_redacted_in_bodies() -> None:
    token = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
    headers = (("Authorization", f"Basic {token}"),)
    redacted = Redactor().redact(recording(PASSWORD.encode(), headers=headers))
    assert redacted.request.body == b"REDACTED" + b"x" * (len(PASSWORD) - 8)


def test_what_has_the_form_of_a_key_is_redacted_in_the_answer() -> None:
    body = b'{"key": "sk-of-another-call-0123456789", "not": "task-force-of-ten-people"}'
    redacted = Redactor().redact(recording(response=answer(body)))
    assert redacted.response
    assert redacted.response.body == body.replace(
        b"sk-of-another-call-0123456789", b"REDACTEDxxxxxxxxxxxxxxxxxxxxx"
    )


def test_a_download_and_a_note_have_no_credentials() -> None:
    headers = (("set-cookie", "a=b"), ("x-key", KEY), ("etag", "x"))
    recorded = replace(
        recording(),
        downloads=(RecordedDownload("http://x/", headers=headers),),
        note=f"http://x/{KEY} is gone",
    )
    redacted = Redactor().redact(recorded)
    assert [value for _, value in redacted.downloads[0].headers] == ["a=REDACTED", "REDACTED", "x"]
    assert redacted.note == f"http://x/REDACTED{'x' * 33} is gone"


def test_a_long_cookie_that_is_set_is_redacted_in_the_body() -> None:
    headers = (("set-cookie", "session=0123456789abcdef; path=/"),)
    recorded = recording(response=answer(b"0123456789abcdef", headers=headers))
    redacted = Redactor().redact(recorded)
    assert redacted.response
    assert redacted.response.body == b"REDACTEDxxxxxxxx"


def test_long_cookies_are_redacted_in_bodies_and_words_are_not() -> None:
    headers = (("Cookie", "session=0123456789abcdef; theme=dark"),)
    redacted = Redactor().redact(recording(b"dark 0123456789abcdef", headers=headers))
    assert redacted.request.body == b"dark REDACTEDxxxxxxxx"


def test_the_name_of_an_azure_resource_is_redacted_in_source_and_answer() -> None:
    recorded = replace(
        recording(response=answer(b"at acme-images.openai.azure.com")),
        source="https://acme-images.openai.azure.com/openai",
        error="acme-images is away",
    )
    redacted = Redactor().redact(recorded)
    assert redacted.source == "https://REDACTED.openai.azure.com/openai"
    assert redacted.response
    assert redacted.response.body == b"at REDACTEDxxx.openai.azure.com"
    assert redacted.error == "REDACTEDxxx is away"


@pytest.mark.parametrize(
    ("coding", "encode", "decode"),
    [
        ("gzip", gzip.compress, gzip.decompress),
        ("deflate", zlib.compress, zlib.decompress),
        ("deflate", lambda data: zlib.compress(data)[2:-4], zlib.decompress),
        ("X-Gzip, identity", gzip.compress, gzip.decompress),
    ],
)
def test_bodies_that_are_compressed_are_searched(coding, encode, decode) -> None:  # type: ignore[no-untyped-def]
    headers = (("api-key", KEY), ("Content-Encoding", coding))
    body = encode(f"the {KEY}".encode())
    response = RecordedResponse(
        200, headers[1:], (RecordedPart(0.1, body[:9]), RecordedPart(0.2, body[9:]))
    )
    redacted = Redactor().redact(recording(body, headers=headers, response=response))
    plain = b"the REDACTED" + b"x" * 33
    assert decode(redacted.request.body) == plain
    assert redacted.response
    assert [(part.seconds, decode(part.data)) for part in redacted.response.parts] == [(0.2, plain)]
    harmless = encode(b"nothing")
    redacted = Redactor().redact(recording(harmless, headers=headers, response=response))
    assert redacted.request.body == harmless


@pytest.mark.parametrize(
    ("coding", "body", "sentence"),
    [
        ("br", b"x", "encoded as br"),
        ("gzip, gzip", b"x", "encoded as gzip, gzip"),
        ("gzip", b"no gzip", "is no gzip"),
        ("gzip", gzip.compress(bytes(2000), mtime=0), "more than 1000 bytes"),
    ],
)
def test_a_body_that_cannot_be_searched_is_refused(
    coding: str, body: bytes, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redaction, "MAX_SEARCHED_BYTES", 1000)
    with pytest.raises(UnreadableBodyError, match=sentence):
        Redactor().redact(recording(response=answer(body, headers=(("content-encoding", coding),))))


@pytest.mark.parametrize("place", [0, 10, 30, 50, 63, 64, 80, 100])
def test_what_is_in_two_windows_of_the_search_is_found(
    place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credential_search, "WINDOW_BYTES", 64)
    body = b"." * place + KEY.encode() + b'"token": "abcdef123456"' + b"." * 99
    redacted = Redactor().redact(recording(body))
    assert redacted.request.body == (
        b"." * place + b"REDACTED" + b"x" * 33 + b'"token": "REDACTEDxxxx"' + b"." * 99
    )

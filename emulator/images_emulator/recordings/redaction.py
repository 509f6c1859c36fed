"""Redaction (sanitizing) of a recording, before any of it reaches the disk. It removes
API keys, cookies, other credentials, and the names of organization, project and Azure resource.

They are searched for in path, query, headers, bodies, files and notes: as they are, and as they
look within a URL, a JSON string or base64. In a body each is replaced by as many bytes, so lengths,
boundaries and offsets stay true, and so does the time of each part of a stream. A PNG file in which
text was replaced gets new checksums. A compressed body in which text was replaced is compressed
anew: it may have another length, and is one part, at the time of the last.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import accumulate
from typing import Final
from urllib.parse import unquote_plus

from images_emulator.contract.http_headers import HeaderPairs
from images_emulator.exchange.credentials import is_secret
from images_emulator.recordings.content_coding import WINDOW_BITS, decoded_content
from images_emulator.recordings.credential_search import REDACTED, CredentialSearch, filler
from images_emulator.recordings.recorded_credentials import (
    ACCOUNT_HEADERS,
    AZURE_HOST,
    MIN_KEY_CHARS,
    account_names,
    azure_resources,
    cookies,
    field_values,
    is_secret_parameter,
    request_credentials,
    url_credentials,
    url_secrets,
)
from images_emulator.recordings.recording import (
    RecordedDownload,
    RecordedPart,
    RecordedRequest,
    RecordedResponse,
    Recording,
)

MAX_KEYS: Final = 100
"""The most API keys of earlier calls that are remembered, and searched for in each recording."""

MAX_SEARCHED_BYTES: Final = 2**30
"""The longest body that is decoded."""

_ACCOUNT_ID: Final = re.compile(r"(?:org-|proj_|user-)[A-Za-z0-9]{8,}")

_NOT_SECRET_IN_ANSWERS: Final = frozenset({"azureml-model-session"})
"""Headers whose names look as if they held a credential. This one names a replica of the model."""

MIN_NAME_CHARS: Final = 8
"""The least length of the name of an Azure resource that is searched for in answers, where it is a
word of its own. A shorter name may be an ordinary word, and is replaced only in names of hosts."""

_SCHEME: Final = re.compile(r"([A-Za-z][\w-]*)(\s+)(.+)", re.DOTALL)


class UnreadableBodyError(ValueError):
    """A body cannot be searched for credentials. The message is a sentence."""


class Redactor:
    """Removes credentials from recordings: *keys*, the credentials of the recording itself, and the
    API keys of earlier recordings. One thread at a time uses it."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._keys = tuple(key for key in keys if len(key) >= MIN_KEY_CHARS)
        self._earlier_keys: dict[str, None] = {}
        """The API keys of the last recordings, the newest last, without those in `_keys`."""

    def redact(self, recording: Recording) -> Recording:
        """*recording* without credentials. Raises UnreadableBodyError where the coding of a body
        keeps it from being searched."""
        request, response = recording.request, recording.response
        keys, others = request_credentials(request.headers, request.target)
        answer_headers = response.headers if response else ()
        names = [*account_names(request.headers), *account_names(answer_headers)]
        resources = azure_resources(recording)
        for key in keys:
            self._remember(key)
        body, coding = _decode(request.body, request.headers)
        texts = [*self._keys, *self._earlier_keys, *others, *cookies(answer_headers)]
        texts += [*field_values(body)]
        download_headers = (each.headers for each in recording.downloads)
        for headers in (request.headers, answer_headers, *download_headers):
            texts += url_credentials(headers)
        texts += [name for name in names if _ACCOUNT_ID.fullmatch(name)]
        words = [name for name in resources if len(name) >= MIN_NAME_CHARS]
        refused = response is not None and response.status >= 400
        if refused:
            # Such answers repeat a key, whole or with stars, or the name of an organization,
            # however short.
            words += [*keys, *names]
        in_request = CredentialSearch.in_request(texts)
        in_answer = in_request.in_answer(words, shortened=refused)
        return replace(
            recording,
            request=_redact_request(request, body, coding, in_request),
            response=response and _redact_response(response, in_answer),
            downloads=tuple(_redact_download(each, in_answer) for each in recording.downloads),
            error=in_answer.redact_text(recording.error),
            note=in_answer.redact_text(recording.note),
            source=_redact_source(recording.source, in_answer),
        )

    def _remember(self, key: str) -> None:
        if len(key) >= MIN_KEY_CHARS and key not in self._keys:
            self._earlier_keys.pop(key, None)
            self._earlier_keys[key] = None
            if len(self._earlier_keys) > MAX_KEYS:
                del self._earlier_keys[next(iter(self._earlier_keys))]


def _redact_request(
    request: RecordedRequest, body: bytes, coding: str, search: CredentialSearch
) -> RecordedRequest:
    redacted = search.redact(body)
    return RecordedRequest(
        method=request.method,
        target=_redact_target(request.target, search),
        headers=_redact_headers(request.headers, search),
        body=request.body if redacted is body else _encode(redacted, coding),
    )


def _redact_response(response: RecordedResponse, search: CredentialSearch) -> RecordedResponse:
    body, coding = _decode(response.body, response.headers)
    redacted, parts = search.redact(body), response.parts
    if redacted is not body and coding:
        data = _encode(redacted, coding)
        parts = (RecordedPart(parts[-1].seconds, data),)
    elif redacted is not body:
        ends = [*accumulate(len(part.data) for part in parts)]
        starts = [0, *ends]
        parts = tuple(
            RecordedPart(part.seconds, redacted[start:end])
            for part, start, end in zip(parts, starts, ends, strict=False)
        )
    headers = _redact_headers(response.headers, search, excluded=_NOT_SECRET_IN_ANSWERS)
    return RecordedResponse(response.status, headers, parts, response.end)


def _redact_download(download: RecordedDownload, search: CredentialSearch) -> RecordedDownload:
    body, coding = _decode(download.data, download.headers)
    redacted = search.redact(body)
    return RecordedDownload(
        url=search.redact_text(download.url),
        status=download.status,
        headers=_redact_headers(download.headers, search),
        data=download.data if redacted is body else _encode(redacted, coding),
    )


def _redact_headers(
    headers: HeaderPairs, search: CredentialSearch, excluded: frozenset[str] = frozenset()
) -> HeaderPairs:
    return tuple(
        (name, _redact_header_value(name.lower(), value, search, excluded))
        for name, value in headers
    )


def _redact_header_value(
    name: str, value: str, search: CredentialSearch, excluded: frozenset[str]
) -> str:
    if name in ("cookie", "cookie2"):
        return "; ".join(_redact_cookie(pair) for pair in value.split(";"))
    if name == "set-cookie":
        pair, semicolon, attributes = value.partition(";")
        return f"{_redact_cookie(pair)}{semicolon}{attributes}"
    if name in ("authorization", "proxy-authorization"):
        match = _SCHEME.fullmatch(value)
        return f"{match[1]}{match[2]}{REDACTED}" if match else REDACTED
    if name in ACCOUNT_HEADERS:
        return filler(value.encode()).decode() if _ACCOUNT_ID.fullmatch(value) else REDACTED
    if name not in excluded and is_secret(name):
        return REDACTED if value else value
    redacted = _without_url_secrets(value)
    return search.redact(redacted.encode("latin-1")).decode("latin-1")


def _without_url_secrets(value: str) -> str:
    """The *value* of a header without the credentials among the parameters of its URLs."""
    pieces, done = [], 0
    for start, end in url_secrets(value):
        pieces += [value[done:start], REDACTED]
        done = end
    return "".join(pieces) + value[done:] if pieces else value


def _redact_cookie(pair: str) -> str:
    name, equals, value = pair.strip().partition("=")
    return f"{name}={REDACTED}" if equals and value else REDACTED


def _redact_target(target: str, search: CredentialSearch) -> str:
    path, mark, query = target.partition("?")
    pairs = [_redact_parameter(pair, search) for pair in query.split("&")]
    return search.redact_text(path) + mark + "&".join(pairs)


def _redact_parameter(pair: str, search: CredentialSearch) -> str:
    name, equals, value = pair.partition("=")
    if value and is_secret_parameter(unquote_plus(name)):
        return f"{name}{equals}{REDACTED}"
    return search.redact_text(pair)


def _redact_source(source: str, search: CredentialSearch) -> str:
    """The *source* of a recording, without the name of an Azure resource in its URL."""
    azure = AZURE_HOST.search(source)
    if azure:
        source = source[: azure.start(1)] + REDACTED + source[azure.end(1) :]
    return search.redact_text(source)


def _decode(body: bytes, headers: HeaderPairs) -> tuple[bytes, str]:
    """*body* without the content coding that *headers* name, and the coding; empty where there is
    none. Raises UnreadableBodyError."""
    codings = [
        token.strip().lower()
        for name, value in headers
        if name.lower() == "content-encoding"
        for token in value.split(",")
    ]
    coding = ", ".join(token for token in codings if token not in ("", "identity"))
    if not coding or not body:
        return body, ""
    if coding not in WINDOW_BITS:
        raise UnreadableBodyError(
            f"its body is encoded as {coding}, and cannot be searched for keys"
        )

    def read(decompressor: zlib._Decompress) -> bytes:
        data = decompressor.decompress(body, MAX_SEARCHED_BYTES)
        if decompressor.unused_data:
            raise UnreadableBodyError("bytes follow its compressed body, and cannot be searched")
        if decompressor.unconsumed_tail:
            raise UnreadableBodyError(
                f"its body has more than {MAX_SEARCHED_BYTES} bytes when decoded"
            )
        return data

    data = decoded_content(coding, read)
    if data is None:
        raise UnreadableBodyError(f"its body is no {coding}, and cannot be searched for keys")
    return data, coding


_ENCODERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "": bytes,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "x-gzip": lambda data: gzip.compress(data, mtime=0),
    "deflate": zlib.compress,
}


def _encode(data: bytes, coding: str) -> bytes:
    return _ENCODERS[coding](data)

"""Redaction of a recording, before any of it reaches the disk. It removes API keys, cookies, other
credentials, and the names of organization, project and Azure resource.

They are searched for in headers, the query, bodies and files: as they are, and as they look within
a URL, a JSON string or base64. In a body each is replaced by as many bytes, so lengths, boundaries
and offsets stay true, and so does the time of each part of a stream. A PNG file in which text was
replaced gets new checksums.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate
from typing import Final, NamedTuple
from urllib.parse import quote, quote_plus, unquote_plus

from images_emulator.exchange.credentials import bearer_token, is_secret
from images_emulator.recordings.content_coding import WINDOW_BITS, decoded_content
from images_emulator.recordings.png_checksums import write_checksums
from images_emulator.recordings.recording import (
    Headers,
    RecordedDownload,
    RecordedPart,
    RecordedRequest,
    RecordedResponse,
    Recording,
)

REDACTED: Final = "REDACTED"
"""The replacement for a credential in a header and in the query. In a body it is the beginning of
the replacement."""

MIN_KEY_CHARS: Final = 6
"""The least length of an API key that is searched for in bodies. A shorter key opens nothing, and
would be found in other words. An answer that refuses it may repeat it, so such answers are searched
for keys of any length."""

MIN_COOKIE_CHARS: Final = 16
"""The least length of a cookie's value that is searched for in bodies. A shorter one may be an
ordinary word."""

MIN_CHARS_IN_BASE64: Final = 8
"""The least length of a credential that is searched for in base64."""

MAX_KEYS: Final = 100
"""The most API keys of earlier calls that are remembered, and searched for in each recording."""

MAX_SEARCHED_BYTES: Final = 2**30
"""The longest body that is decoded."""

WINDOW_BYTES: Final = 1024 * 1024
"""The number of bytes that are searched at once. Other threads wait for the end of a search."""

_ACCOUNT_HEADERS: Final = frozenset({"openai-organization", "openai-project"})

_DECIDING_HEADERS: Final = _ACCOUNT_HEADERS | {
    *("authorization", "proxy-authorization", "cookie", "cookie2", "set-cookie"),
    "content-encoding",
}
"""The headers, beside those of which `is_secret` holds, by which redaction decides."""

_ACCOUNT_ID: Final = re.compile(r"(?:org-|proj_|user-)[A-Za-z0-9]{8,}")

_NOT_SECRET_IN_ANSWERS: Final = frozenset({"azureml-model-session"})
"""Headers whose names look as if they held a credential. This one names a replica of the model."""

MIN_NAME_CHARS: Final = 8
"""The least length of the name of an Azure resource that is searched for in answers, where it is a
word of its own. A shorter name may be an ordinary word, and is replaced in the name of a host."""

_AZURE_SERVICES: Final = ("openai", "cognitiveservices", "services.ai")
_AZURE_CLOUDS: Final = r"azure\.(?:com|us|cn)"

_AZURE_HOST: Final = re.compile(
    rf"([a-z0-9-]{{2,64}})\.(?:{'|'.join(map(re.escape, _AZURE_SERVICES))})\.{_AZURE_CLOUDS}",
    re.IGNORECASE,
)

_LAST_LABEL: Final = re.compile(rb"[A-Za-z0-9-]{2,64}\Z")

_SCHEME: Final = re.compile(r"([A-Za-z][\w-]*)(\s+)(.+)", re.DOTALL)

_SECRET_FIELD: Final = re.compile(
    rb'"([\w.\[\]-]{1,64})"(?:'
    rb'\s{0,8}:\s{0,8}"((?:[^"\r\n\\]|\\[^\r\n]){1,4096})'
    rb'|\r\n(?:[^\r\n]{1,200}\r\n){0,4}\r\n([^"\r\n]{1,4096}))'
)
"""A field: of a JSON object with its text, escaped, as the second group, or of a form with its text
as the third."""


class UnreadableBodyError(ValueError):
    """A body cannot be searched for credentials. The message is a sentence."""


class _Pattern(NamedTuple):
    """The form of a kind of credential."""

    mark: bytes
    """The text with which it begins."""
    form: re.Pattern[bytes]
    """The match, or its last group where there is one, is replaced."""


_BEGINNING: Final = rb"(?:(?<![\w-])|(?<=\\[nrtbf])|(?<=\\u[0-9A-Fa-f]{4})|(?<=%[0-9A-Fa-f]{2}))"
"""The beginning of a word, also behind an escape of JSON or of a URL that ends in a letter or a
digit."""


def _word(mark: bytes, rest: bytes) -> _Pattern:
    """The form of a word that begins with *mark* and goes on as *rest*."""
    return _Pattern(mark, re.compile(_BEGINNING + mark + rest))


_KEY: Final = _word(b"sk-", rb"[\w-]{10,}")

_URL_SECRETS: Final = (
    _Pattern(b"://", re.compile(rb"""://[^\s"'/@:]{0,64}:([^\s"'/@]{1,256})@""")),
    *(
        _Pattern(mark, re.compile(mark + rb"((?:[\w+/~.-]|%[0-9A-Fa-f]{2}){20,}=*)"))
        for mark in (b"sig=", b"ignature=", b"oken=", b"key=")
    ),
)
"""The forms of credentials in URLs: passwords, and long values of parameters. Such are the
signatures of Azure's blob storage (`sig`), Google's and CloudFront's, and Amazon's signatures and
tokens."""

_SHORTENED_KEY: Final = rb"[\w-]{0,40}\*{4,}[\w-]{0,8}"
"""The form of a key in an answer that refuses it: stars stand for its middle."""

_ACCOUNT_NAMES: Final = tuple(
    _word(mark, rb"[A-Za-z0-9]{16,}") for mark in (b"org-", b"proj_", b"user-")
)
"""The forms of account names.

A request is not searched for them. Its `user` may have such a form, and is one of the parameters by
which the recording is found again.
"""


class _Replacement(NamedTuple):
    """Bytes, and the bytes of the same number that replace them."""

    old: bytes
    new: bytes


class Redactor:
    """Removes credentials from recordings: *keys*, the credentials of the recording itself, and the
    API keys of earlier recordings. One thread at a time uses it."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._keys = dict.fromkeys(key for key in keys if len(key) >= MIN_KEY_CHARS)

    def redacted(self, recording: Recording) -> Recording:
        """*recording* without credentials. Raises UnreadableBodyError where the encoding of a body
        keeps it from being searched."""
        request, response = recording.request, recording.response
        keys, others = _credentials(request.headers, request.target)
        answer_headers = response.headers if response else ()
        names = [*_account_names(request.headers), *_account_names(answer_headers)]
        resources = _azure_resources(recording)
        for key in keys:
            self._remember(key)
        body, coding = _decoded(request.body, request.headers)
        texts = [*self._keys, *others, *_cookies(answer_headers), *_field_values(body)]
        texts += [name for name in names if _ACCOUNT_ID.fullmatch(name)]
        sought = [each for text in dict.fromkeys(texts) for each in _replacements(text)]
        in_request = _Search(sought, (_KEY, *_URL_SECRETS))
        in_answer = _Search(sought, (_KEY, *_URL_SECRETS, *_ACCOUNT_NAMES))
        words = [name for name in resources if len(name) >= MIN_NAME_CHARS]
        if response and response.status >= 400:
            # Such answers repeat a key, whole or with stars, or the name of an organization,
            # however short.
            in_answer = in_answer.with_words([*keys, *names, *words], shortened=True)
        elif words:
            in_answer = in_answer.with_words(words)
        return replace(
            recording,
            request=_request(request, body, coding, in_request),
            response=response and _response(response, in_answer),
            downloads=tuple(_download(each, in_answer) for each in recording.downloads),
            error=in_answer.redacted_text(recording.error),
            note=in_answer.redacted_text(recording.note),
            source=_source(recording.source, in_answer),
        )

    def _remember(self, key: str) -> None:
        if len(key) >= MIN_KEY_CHARS:
            self._keys.pop(key, None)
            self._keys[key] = None
            if len(self._keys) > MAX_KEYS:
                del self._keys[next(iter(self._keys))]


class _Search:
    """Replaces credentials: the known ones of *replacements*, and texts of the form of
    *patterns*."""

    def __init__(
        self,
        replacements: Sequence[_Replacement],
        patterns: Sequence[_Pattern],
        words: re.Pattern[bytes] | None = None,
    ) -> None:
        self._replacements = replacements
        self._patterns = patterns
        self._words = words

    def with_words(self, words: Iterable[str], *, shortened: bool = False) -> _Search:
        """A search that also replaces *words*, and *shortened* keys, where they stand alone."""
        forms = [re.escape(word.encode()) for word in {*words} if word]
        forms += [_SHORTENED_KEY] if shortened else []
        form = re.compile(rb"(?<![\w-])(?:" + b"|".join(forms) + rb")(?![\w-])")
        return _Search(self._replacements, self._patterns, form)

    def redacted(self, data: bytes) -> bytes:
        """*data* with the credentials replaced, of the same length. Returns the same object where
        there is nothing to replace."""
        changes = [
            (start, new) for old, new in self._replacements for start in _places(data, old)
        ] + [
            (start, filler(bytes(data[start:end])))
            for pattern in self._patterns
            for start, end in _matches(data, pattern)
        ]
        changes += [(start, filler(bytes(data[start:end]))) for start, end in _azure_names(data)]
        if self._words:
            changes += [(match.start(), filler(match[0])) for match in self._words.finditer(data)]
        if not changes:
            return data
        changed = bytearray(data)
        for start, new in changes:
            changed[start : start + len(new)] = new
        write_checksums(data, changed)
        return bytes(changed)

    def redacted_text(self, text: str) -> str:
        """*text* with the credentials replaced."""
        data = text.encode("utf-8", "surrogateescape")
        return self.redacted(data).decode("utf-8", "surrogateescape")


def _places(data: bytes, sought: bytes) -> Iterator[int]:
    """The positions at which *sought* begins in *data*."""
    for window in range(0, len(data), WINDOW_BYTES):
        start, end = window, window + WINDOW_BYTES + len(sought) - 1
        while (start := data.find(sought, start, end)) >= 0:
            yield start
            start += len(sought)


def _matches(data: bytes, pattern: _Pattern) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each text in *data* that *pattern* wants replaced."""
    for start in _places(data, pattern.mark):
        if match := pattern.form.match(data, start):
            yield match.span(match.lastindex or 0)


def _azure_names(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each name of an Azure resource in the name of a host."""
    for service in _AZURE_SERVICES:
        for end in _places(data, f".{service}.azure.".encode()):
            first = max(0, end - 64)
            if label := _LAST_LABEL.search(data[first:end]):
                yield first + label.start(), end


def filler(secret: bytes) -> bytes:
    """The text that replaces *secret* in a body. It is as long as *secret*, and keeps a prefix such
    as `org-`, which shows what kind of name it was."""
    prefix = next((each for each in (b"org-", b"proj_", b"user-") if secret.startswith(each)), b"")
    length = len(secret) - len(prefix)
    return prefix + REDACTED.encode()[:length].ljust(length, b"x")


# --- what is searched for


def _credentials(headers: Headers, target: str) -> tuple[list[str], list[str]]:
    """The API keys and passwords in the *headers* and the query of a request, and the values of its
    cookies that are long enough to search for."""
    keys: list[str] = []
    for name, value in headers:
        lower = name.lower()
        if lower in ("authorization", "proxy-authorization"):
            token = bearer_token(value) or value.partition(" ")[2].strip() or value.strip()
            keys.append(token)
            keys += _password(value)
        elif lower not in ("cookie", "cookie2") and is_secret(lower):
            keys.append(value.strip())
    for pair in target.partition("?")[2].split("&"):
        name, _, value = pair.partition("=")
        if _is_secret_parameter(unquote_plus(name)):
            keys.append(unquote_plus(value))
    return [key for key in dict.fromkeys(keys) if key], _cookies(headers)


def redacting_headers(headers: Headers) -> Headers:
    """The *headers* of a request that decide what `Redactor.redacted` finds in its query and body:
    those with credentials, and the encoding of the body. The others are left out."""
    return tuple(header for header in headers if _decides(header[0].lower()))


@lru_cache(maxsize=1024)
def _decides(name: str) -> bool:
    return name in _DECIDING_HEADERS or is_secret(name)


def _password(authorization: str) -> Iterator[str]:
    """The password of `Basic …`."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() == "basic":
        with suppress(ValueError):
            yield b64decode(token.strip()).decode().partition(":")[2]


def _cookies(headers: Headers) -> list[str]:
    """The values of at least `MIN_COOKIE_CHARS` characters of all cookies, both sent and set."""
    values = []
    for name, value in headers:
        pairs: list[str] = []
        if name.lower() in ("cookie", "cookie2"):
            pairs = value.split(";")
        elif name.lower() == "set-cookie":
            pairs = [value.partition(";")[0]]
        values += [pair.partition("=")[2].strip().strip('"') for pair in pairs]
    return [value for value in values if len(value) >= MIN_COOKIE_CHARS]


def _account_names(headers: Headers) -> Iterator[str]:
    """Values of the headers that name an organization or a project."""
    for name, value in headers:
        if name.lower() in _ACCOUNT_HEADERS and value.strip():
            yield value.strip()


def _azure_resources(recording: Recording) -> set[str]:
    """The names of the Azure resource in the URL of the upstream and in the request's `host`."""
    hosts = [value for name, value in recording.request.headers if name.lower() == "host"]
    matches = map(_AZURE_HOST.search, (recording.source, *hosts))
    return {match[1] for match in matches if match}


def _field_values(body: bytes) -> Iterator[str]:
    """The texts of the fields of a *body* whose names mark them as credentials."""
    for window in range(0, len(body), WINDOW_BYTES):
        # A field at the end of a window may go on in the next one.
        for match in _SECRET_FIELD.finditer(body, window, window + WINDOW_BYTES + 8192):
            if is_secret(match[1].decode()):
                text = (match[2] or match[3]).decode("utf-8", "surrogateescape")
                text = _unescaped(text) if match[2] else text
                if len(text) >= MIN_KEY_CHARS:
                    yield text


def _unescaped(text: str) -> str:
    """The text of a JSON string without its escapes; *text* as it is where they are malformed."""
    try:
        plain: str = json.loads(f'"{text}"')
        plain.encode("utf-8", "surrogateescape")
    except ValueError:
        return text
    return plain


def _is_secret_parameter(name: str) -> bool:
    """Whether the query parameter *name* holds a credential. `sig` is the signature in a URL of
    blob storage."""
    return name == "sig" or is_secret(name)


def _replacements(secret: str) -> list[_Replacement]:
    """The forms that *secret* may have in a body, each with its replacement."""
    data = secret.encode("utf-8", "surrogateescape")
    plain = {
        data,
        *(quote(data, safe="").encode(), quote(data).encode(), quote_plus(data).encode()),
        re.sub(r"%..", lambda match: match[0].lower(), quote(data, safe="")).encode(),
        json.dumps(secret)[1:-1].encode(),
        json.dumps(secret, ensure_ascii=False)[1:-1].encode("utf-8", "surrogateescape"),
        data.replace(b"/", rb"\/"),
    }
    replacements = [_Replacement(form, filler(form)) for form in plain]
    if len(data) < MIN_CHARS_IN_BASE64:
        return replacements
    for shift in range(3):
        old, new = _in_base64(data, shift), _in_base64(filler(data), shift)
        forms = {old, old.replace(b"/", rb"\/"), quote(old, safe="").encode()}
        forms.add(old.translate(bytes.maketrans(b"+/", b"-_")))
        replacements += [_Replacement(form, _aligned(new, form)) for form in forms]
    return replacements


def _in_base64(data: bytes, shift: int) -> bytes:
    """The base64 characters that depend on *data* alone, where *data* is a part of the encoded
    bytes. *shift* is the number of bytes before it in its first group of three."""
    encoded = b64encode(bytes(shift) + data + bytes(-(shift + len(data)) % 3))
    return encoded[-(-8 * shift // 6) : 8 * (shift + len(data)) // 6]


_CHARACTER: Final = re.compile(rb"\\/|%..|.", re.DOTALL)


def _aligned(new: bytes, form: bytes) -> bytes:
    """*new* with the escapes of *form* kept at their places, so that each has the length that it
    had."""
    characters = _CHARACTER.findall(form)
    return b"".join(
        each if len(each) > 1 else new[place : place + 1] for place, each in enumerate(characters)
    )


# --- the parts of a recording


def _request(
    request: RecordedRequest, body: bytes, coding: str, search: _Search
) -> RecordedRequest:
    redacted = search.redacted(body)
    return RecordedRequest(
        method=request.method,
        target=_target(request.target, search),
        headers=_headers(request.headers, search),
        body=request.body if redacted is body else _encoded(redacted, coding),
    )


def _response(response: RecordedResponse, search: _Search) -> RecordedResponse:
    body, coding = _decoded(response.body, response.headers)
    redacted, parts = search.redacted(body), response.parts
    if redacted is not body and coding:
        data = _encoded(redacted, coding)
        parts = (RecordedPart(parts[-1].seconds, data),)
    elif redacted is not body:
        ends = [*accumulate(len(part.data) for part in parts)]
        starts = [0, *ends]
        parts = tuple(
            RecordedPart(part.seconds, redacted[start:end])
            for part, start, end in zip(parts, starts, ends, strict=False)
        )
    headers = _headers(response.headers, search, but=_NOT_SECRET_IN_ANSWERS)
    return RecordedResponse(response.status, headers, parts, response.end)


def _download(download: RecordedDownload, search: _Search) -> RecordedDownload:
    body, coding = _decoded(download.data, download.headers)
    redacted = search.redacted(body)
    return RecordedDownload(
        url=search.redacted_text(download.url),
        status=download.status,
        headers=_headers(download.headers, search),
        data=download.data if redacted is body else _encoded(redacted, coding),
    )


def _headers(headers: Headers, search: _Search, but: frozenset[str] = frozenset()) -> Headers:
    return tuple((name, _header(name.lower(), value, search, but)) for name, value in headers)


def _header(name: str, value: str, search: _Search, but: frozenset[str]) -> str:
    if name in ("cookie", "cookie2"):
        return "; ".join(_cookie(pair) for pair in value.split(";"))
    if name == "set-cookie":
        pair, semicolon, attributes = value.partition(";")
        return f"{_cookie(pair)}{semicolon}{attributes}"
    if name in ("authorization", "proxy-authorization"):
        match = _SCHEME.fullmatch(value)
        return f"{match[1]}{match[2]}{REDACTED}" if match else REDACTED
    if name in _ACCOUNT_HEADERS:
        return filler(value.encode()).decode() if _ACCOUNT_ID.fullmatch(value) else REDACTED
    if name not in but and is_secret(name):
        return REDACTED if value else value
    return search.redacted(value.encode("latin-1")).decode("latin-1")


def _cookie(pair: str) -> str:
    name, equals, value = pair.strip().partition("=")
    return f"{name}={REDACTED}" if equals and value else REDACTED


def _target(target: str, search: _Search) -> str:
    path, mark, query = target.partition("?")
    pairs = [_parameter(pair, search) for pair in query.split("&")]
    return search.redacted_text(path) + mark + "&".join(pairs)


def _parameter(pair: str, search: _Search) -> str:
    name, equals, value = pair.partition("=")
    if value and _is_secret_parameter(unquote_plus(name)):
        return f"{name}{equals}{REDACTED}"
    return search.redacted_text(pair)


def _source(source: str, search: _Search) -> str:
    """The *source* of a recording, without the name of an Azure resource in its URL."""
    azure = _AZURE_HOST.search(source)
    if azure:
        source = source[: azure.start(1)] + REDACTED + source[azure.end(1) :]
    return search.redacted_text(source)


# --- bodies that are compressed


def _decoded(body: bytes, headers: Headers) -> tuple[bytes, str]:
    """*body* without the encoding that *headers* name, and the encoding; empty where there is none.
    Raises UnreadableBodyError."""
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


def _encoded(data: bytes, coding: str) -> bytes:
    return _ENCODERS[coding](data)

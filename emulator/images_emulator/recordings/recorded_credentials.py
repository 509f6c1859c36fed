"""The credentials of one recording: what its headers, their URLs, its query and the fields of its
bodies name as such, and the names of organization, project and Azure resource."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from itertools import chain
from typing import Final
from urllib.parse import unquote_plus

from images_emulator.contract.http_headers import HeaderPairs
from images_emulator.exchange.credentials import bearer_token, is_secret
from images_emulator.recordings.credential_search import AZURE_SERVICES, WINDOW_BYTES
from images_emulator.recordings.recording import (
    Recording,
)

MIN_KEY_CHARS: Final = 6
"""The least length of an API key that is searched for in bodies. A shorter key opens nothing, and
would be found in other words. An answer that refuses it may repeat it, so such answers are searched
for keys of any length."""

MIN_COOKIE_CHARS: Final = 16
"""The least length of a cookie's value that is searched for in bodies. A shorter one may be an
ordinary word."""

ACCOUNT_HEADERS: Final = frozenset({"openai-organization", "openai-project"})
"""The headers, in lower case, that name an organization or a project."""

_DECIDING_HEADERS: Final = ACCOUNT_HEADERS | {
    "authorization",
    "proxy-authorization",
    "cookie",
    "cookie2",
    "set-cookie",
    "content-encoding",
}
"""The headers, beside those of which `is_secret` holds, by which redaction decides."""

_AZURE_CLOUDS: Final = r"azure\.(?:com|us|cn)"

AZURE_HOST: Final = re.compile(
    rf"([a-z0-9-]{{2,64}})\.(?:{'|'.join(map(re.escape, AZURE_SERVICES))})\.{_AZURE_CLOUDS}",
    re.IGNORECASE,
)
"""The name of an Azure resource, its only group, in the name of its host."""

_URL_MARK: Final = re.compile("[?#]")
"""Where the parameters of a URL begin."""

_PARAMETER_NAME: Final = re.compile(r'[?#&]([^=?#&\x00-\x20<>"]*)=')
"""The name of a parameter of a URL, its only group. It ends at characters that no URL has."""

_PARAMETER_VALUE: Final = re.compile(r'[^#&\x00-\x20<>"]+')

_JSON_FIELD: Final = re.compile(
    rb'"([\w.\[\]-]{1,64})"\s{0,8}:\s{0,8}'
    rb'(?:"((?:[^"\r\n\\]|\\[^\r\n]){1,4096})|(-?[0-9][0-9.eE+-]{0,63}))'
)
"""A field of JSON with its name as the first group. A text, with its escapes, is the second group;
a number is the third."""

_PART_HEAD: Final = re.compile(
    rb"\n[ \t]{0,8}content-disposition[ \t]{0,8}:([^\r\n]{1,512})\r\n"
    rb"(?:[^\r\n]{1,256}\r\n){0,4}\r\n",
    re.IGNORECASE,
)
"""The head of a part of a form, behind the boundary; its only group has the part's name."""

_PART_NAME: Final = re.compile(
    rb'[; \t]name[ \t]{0,8}=[ \t]{0,8}(?:"([\w.\[\]-]{1,64})"|([\w.\[\]-]{1,64}))[ \t]*(?:;|\Z)',
    re.IGNORECASE,
)

_MAX_FIELD_BYTES: Final = 4096
"""The most bytes of a form's field that are searched for."""


def request_credentials(headers: HeaderPairs, target: str) -> tuple[list[str], list[str]]:
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
        if is_secret_parameter(unquote_plus(name)):
            keys.append(unquote_plus(value))
    return [key for key in dict.fromkeys(keys) if key], cookies(headers)


def url_secrets(value: str) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each credential among the parameters that the URLs in the *value*
    of a header have behind `?` or `#`. A comma or a semicolon at the end is not of the URL."""
    mark = _URL_MARK.search(value)
    position = mark.start() if mark else len(value)
    while name := _PARAMETER_NAME.search(value, position):
        position = name.end()
        if is_secret_parameter(unquote_plus(name[1])):
            match = _PARAMETER_VALUE.match(value, position)
            secret = match[0].rstrip(",;") if match else ""
            if secret:
                yield position, position + len(secret)
            position += len(secret)


def url_credentials(headers: HeaderPairs) -> Iterator[str]:
    """The credentials in the URLs in *headers*, as `url_secrets` finds them, that are long enough
    to search for, both as they are and unescaped."""
    for _, value in headers:
        for start, end in url_secrets(value):
            text = value[start:end]
            plain = unquote_plus(text)
            yield from (each for each in (text, plain) if len(each) >= MIN_KEY_CHARS)


def redacting_headers(headers: HeaderPairs) -> HeaderPairs:
    """The *headers* of a request that decide what `Redactor.redacted` finds in its query and body:
    those with credentials, and the body's content coding. The others are left out."""
    return tuple(
        (name, value)
        for name, value in headers
        if _decides(name.lower()) or any(url_secrets(value))
    )


@lru_cache(maxsize=1024)
def _decides(name: str) -> bool:
    return name in _DECIDING_HEADERS or is_secret(name)


def _password(authorization: str) -> Iterator[str]:
    """The password of `Basic …`."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() == "basic":
        with suppress(ValueError):
            yield b64decode(token.strip()).decode().partition(":")[2]


def cookies(headers: HeaderPairs) -> list[str]:
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


def account_names(headers: HeaderPairs) -> Iterator[str]:
    """Values of the headers that name an organization or a project."""
    for name, value in headers:
        if name.lower() in ACCOUNT_HEADERS and value.strip():
            yield value.strip()


def azure_resources(recording: Recording) -> set[str]:
    """The names of the Azure resource in the URL of the upstream and in the request's `host`."""
    hosts = [value for name, value in recording.request.headers if name.lower() == "host"]
    matches = map(AZURE_HOST.search, (recording.source, *hosts))
    return {match[1] for match in matches if match}


def field_values(body: bytes) -> Iterator[str]:
    """The texts and numbers of the fields of a *body*, JSON or a form, whose names mark them as
    credentials."""
    for value in chain(_json_credentials(body), _form_credentials(body)):
        if len(value) >= MIN_KEY_CHARS:
            yield value


def _json_credentials(body: bytes) -> Iterator[str]:
    for match in _in_windows(_JSON_FIELD, body):
        name, text, number = match.groups()
        if is_secret(name.decode()):
            value = (text or number).decode("utf-8", "surrogateescape")
            yield _unescape(value) if text else value


def _form_credentials(body: bytes) -> Iterator[str]:
    for head in _in_windows(_PART_HEAD, body):
        name = _PART_NAME.search(head[1])
        is_file = b"filename" in head[1].lower()
        if name and not is_file and is_secret((name[1] or name[2]).decode()):
            start, limit = head.end(), head.end() + _MAX_FIELD_BYTES
            # The boundary follows, and ends the value.
            end = body.find(b"\r\n--", start, limit)
            value = body[start : end if end >= 0 else limit]
            yield value.decode("utf-8", "surrogateescape")


def _in_windows(pattern: re.Pattern[bytes], body: bytes) -> Iterator[re.Match[bytes]]:
    """Yield the matches of *pattern* in *body*, some of them twice. Other threads wait for the end
    of a window."""
    for window in range(0, len(body), WINDOW_BYTES):
        # A field at the end of a window may go on in the next one.
        yield from pattern.finditer(body, window, window + WINDOW_BYTES + 8192)


def _unescape(text: str) -> str:
    """The text of a JSON string without its escapes; *text* as it is where they are malformed."""
    try:
        plain: str = json.loads(f'"{text}"')
        plain.encode("utf-8", "surrogateescape")
    except ValueError:
        return text
    return plain


def is_secret_parameter(name: str) -> bool:
    """Whether the query parameter *name* holds a credential. `sig` is the signature in a URL of
    blob storage."""
    return name == "sig" or is_secret(name)

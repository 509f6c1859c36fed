"""API keys and other credentials of a call: which key it is made with, and their redaction."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Final
from urllib.parse import quote, unquote_plus

from images_emulator.contract.message_format import key_in_message, mask_key
from images_emulator.contract.operations import Provider, provider_at

HIDDEN: Final = "*" * 8
"""The text in place of a credential of which nothing is shown."""

_KEY_LIKE: Final = re.compile(r"\bsk-[\w-]{10,}")
_WITH_SCHEME: Final = re.compile(
    r"(bearer|basic|token|apikey|digest|negotiate)(\s+)(.+)", re.IGNORECASE | re.DOTALL
)
_PUNCTUATION: Final = re.compile(r"[-_.\s\[\]]")
_SECRET: Final = re.compile(
    r"(key|token|secret|password|passwd|pwd|credentials?|auth|authorization|jwt|session|sessionid"
    r"|signature)$|apikey|secret|password"
)
_HOLDS_KEY: Final = re.compile(r"(key|token|auth|authorization)$")
"""Names of credentials whose last characters are shown, where they are long."""

_USER: Final = re.compile(r"^([\w+.-]+://)(?:([^/@:]*:)[^/@]*|[^/@:]+)@")
"""User and password of a URL. A user without a password may be a token."""
_SIGNATURE: Final = re.compile(r"(?<![^&])(sig)=[^&]+", re.IGNORECASE)

_NOT_SECRET: Final = frozenset({"idempotencykey", "xidempotencykey", "secwebsocketkey"})


def bearer_token(authorization: str) -> str:
    """The token of `Bearer TOKEN`, or nothing."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def api_key(path: str, header: Callable[[bytes], str]) -> str:
    """The API key of a call to *path*, or nothing. Authentication, rate limits, scenarios and the
    journal go by this key. *header* gives a header's value by its name in lower case.

    On Azure's paths `api-key` goes before a bearer token; elsewhere `api-key` is no key.
    """
    azure_key = header(b"api-key").strip() if provider_at(path) is Provider.AZURE else ""
    return azure_key or bearer_token(header(b"authorization"))


def key_headers(key: str) -> dict[str, str]:
    """The headers in which a call can carry an API *key*, by their names in lower case."""
    return {"authorization": f"Bearer {key}", "api-key": key}


def key_header_name(path: str) -> str:
    """The name of the header in which a call to *path* usually carries its API key."""
    return "api-key" if provider_at(path) is Provider.AZURE else "authorization"


def is_secret(name: str) -> bool:
    """Whether a header, query parameter or field of this *name* carries a credential."""
    plain = _plain(name)
    return plain not in _NOT_SECRET and _SECRET.search(plain) is not None


def _plain(name: str) -> str:
    return _PUNCTUATION.sub("", name).lower()


def redacted_secret(name: str, value: str, key: str = "") -> str:
    """The redacted *value* of a header, parameter or cookie whose *name* `is_secret`. `mask_key`
    masks *key* and long keys. Passwords and short values become stars."""
    if value == key or (_HOLDS_KEY.search(_plain(name)) and mask_key(value) != value):
        return mask_key(value)
    return HIDDEN if value else value


def redacted_text(text: str, key: str = "") -> str:
    """*text* with *key*, and everything in the form of an OpenAI API key, redacted."""
    if key and key in text:
        text = text.replace(key, mask_key(key))
    return _KEY_LIKE.sub(lambda match: mask_key(match[0]), text) if "sk-" in text else text


def redacted_answer(body: bytes, key: str) -> bytes:
    """The JSON *body* of an answer, in which a *key* is shown as `mask_key` shows it. Error
    messages of the API show more of a key than that."""
    repeated, masked = key_in_message(key), mask_key(key)
    return body if repeated == masked else body.replace(_in_json(repeated), _in_json(masked))


def _in_json(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass")


def redacted_query(query: str, key: str = "") -> str:
    """A *query* string with its credentials redacted. The rest stays as it was sent."""
    return "&".join(_redact_pair(pair, key) for pair in query.split("&"))


def redacted_url(url: str) -> str:
    """*url*, which may be no URL at all, with the password, and the credentials in its query and
    behind `#`, redacted. The signature of blob storage, `sig`, is one of them."""
    address, *queries = re.split("([?#])", url)
    address = _USER.sub(rf"\1\2{HIDDEN}@", address)
    redacted = (_SIGNATURE.sub(rf"\1={HIDDEN}", redacted_query(query)) for query in queries)
    return f"{address}{''.join(redacted)}"


def _redact_pair(pair: str, key: str) -> str:
    name, equals, value = pair.partition("=")
    plain_name, plain = unquote_plus(name), unquote_plus(value)
    if is_secret(plain_name):
        redacted = redacted_secret(plain_name, plain, key)
    else:
        redacted = redacted_text(plain, key)
    redacted_name = redacted_text(plain_name, key)
    name = name if redacted_name == plain_name else quote(redacted_name, safe="*")
    return f"{name}{equals}{value if redacted == plain else quote(redacted, safe='*')}"


def redacted_header(name: str, value: str, key: str = "") -> str:
    """The *value* of the header *name*, without credentials. `mask_key` masks a key. A cookie or a
    password becomes stars."""
    if name in ("cookie", "cookie2"):
        return "; ".join(_redact_cookie(pair) for pair in value.split(";"))
    if match := _WITH_SCHEME.fullmatch(value):
        scheme, space, rest = match.groups()
        # A bearer token is a key, whatever the name of the header.
        redacted = redacted_secret("token", rest, key) if scheme.lower() == "bearer" else HIDDEN
        return scheme + space + redacted
    if is_secret(name):
        return redacted_secret(name, value, key)
    head, *queries = re.split("([?#])", value)
    return redacted_text(head, key) + "".join(redacted_query(query, key) for query in queries)


def _redact_cookie(pair: str) -> str:
    name, equals, value = pair.strip().partition("=")
    return f"{name}={HIDDEN}" if equals and value else HIDDEN

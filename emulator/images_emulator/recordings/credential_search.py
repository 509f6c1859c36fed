"""Finds credentials in bodies, URLs and texts: known ones in each encoding that they may have
there, and unknown ones by their form. Replaces each by the same number of bytes."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, Self
from urllib.parse import quote, quote_plus

from images_emulator.recordings.png_checksums import write_checksums

REDACTED: Final = "REDACTED"
"""The replacement for a credential in a header and in the query. In a body it is the beginning of
the replacement."""

WINDOW_BYTES: Final = 1024 * 1024
"""The number of bytes that are searched at once. Other threads wait for the end of a search."""

MIN_CHARS_IN_BASE64: Final = 8
"""The least length of a credential that is searched for in base64."""


class _Pattern(NamedTuple):
    """What the credentials of one kind look like."""

    mark: bytes
    """The text with which it begins."""
    regex: re.Pattern[bytes]
    """The match, or its last group where there is one, is replaced."""


_BEGINNING: Final = rb"(?:(?<![\w-])|(?<=\\[nrtbf])|(?<=\\u[0-9A-Fa-f]{4})|(?<=%[0-9A-Fa-f]{2}))"
"""The beginning of a word, also behind an escape of JSON or of a URL that ends in a letter or a
digit."""


def _word(mark: bytes, rest: bytes) -> _Pattern:
    """The pattern of a word that begins with *mark* and goes on as *rest*."""
    return _Pattern(mark, re.compile(_BEGINNING + mark + rest))


_KEY: Final = _word(b"sk-", rb"[\w-]{10,}")

_BEYOND_ASCII: Final = (
    rb"[\xC2-\xDF][\x80-\xBF]|[\xE0-\xEF][\x80-\xBF]{2}|[\xF0-\xF4][\x80-\xBF]{3}"
)
_USER_CHARACTER: Final = rb"""(?:%b|[^\x00-\x20\x80-\xBF"'/@:?#,])""" % _BEYOND_ASCII
_PASSWORD_CHARACTER: Final = rb"""(?:%b|[^\x00-\x20\x80-\xBF"'/@?#,])""" % _BEYOND_ASCII
_USER: Final = rb"(?:%b{0,64}:(%b{1,256})|(%b{12,256}))@" % (
    _USER_CHARACTER,
    _PASSWORD_CHARACTER,
    _USER_CHARACTER,
)
"""A user with a password, or a long user without one, in UTF-8 or with the letters of Latin-1.
Where a picture has `://` and `@` by chance, the bytes between them match in only one of ten
thousand cases."""
_LONG_VALUE: Final = rb"((?:[\w+/~.-]|\\/|%[0-9A-Fa-f]{2}){20,}=*)"

_URL_SECRETS: Final = (
    *(_Pattern(mark, re.compile(re.escape(mark) + _USER)) for mark in (b"://", rb":\/\/")),
    *(
        _Pattern(mark, re.compile(re.escape(mark) + _LONG_VALUE))
        for name in (b"sig", b"Sig", b"ignature", b"oken", b"key")
        for mark in (name + b"=", name + rb"\u003d", name + rb"\u003D")
    ),
)
"""The patterns of credentials in URLs, also with the escapes that some libraries write in JSON:
passwords, long users without one, which may be tokens, and long values of parameters. Such are the
signatures of Azure's blob storage (`sig`), Google's and CloudFront's, and Amazon's signatures and
tokens."""

_SHORTENED_KEY: Final = rb"[\w-]{0,40}\*{4,}[\w-]{0,8}"
"""The regular expression of a key in an answer that refuses it: stars stand for its middle."""

_ACCOUNT_NAMES: Final = tuple(
    _word(mark, rb"[A-Za-z0-9]{16,}") for mark in (b"org-", b"proj_", b"user-")
)

AZURE_SERVICES: Final = ("openai", "cognitiveservices", "services.ai")
"""What follows the name of an Azure resource in the name of its host."""

_LAST_LABEL: Final = re.compile(rb"[A-Za-z0-9-]{2,64}\Z")


_NUMBER: Final = re.compile(rb"-?[0-9][0-9.eE+-]*")
"""A credential that may be a number of JSON. Behind a colon its digits become nines, so that the
JSON can be read as before."""


class _Replacement(NamedTuple):
    """Bytes, and the bytes of the same number that replace them."""

    old: bytes
    new: bytes


class CredentialSearch:
    """Replaces credentials: the known ones of *replacements*, texts that match *patterns*, and
    what *words* match."""

    def __init__(
        self,
        replacements: Sequence[_Replacement],
        patterns: Sequence[_Pattern],
        words: re.Pattern[bytes] | None = None,
    ) -> None:
        self._replacements = replacements
        self._patterns = patterns
        self._words = words

    @classmethod
    def in_request(cls, credentials: Iterable[str]) -> Self:
        """A search for *credentials*, and for what looks like a key or stands in a URL as a
        credential does."""
        replacements = [each for text in dict.fromkeys(credentials) for each in _replacements(text)]
        return cls(replacements, (_KEY, *_URL_SECRETS))

    def in_answer(self, words: Iterable[str] = (), *, shortened: bool = False) -> Self:
        """A search of the answer to the request: it also replaces names of accounts and, where they
        stand alone, *words* and *shortened* keys.

        A request is not searched for names of accounts. Its `user` may have such a form, and is one
        of the parameters by which the recording is found again.
        """
        expressions = [re.escape(word.encode()) for word in {*words} if word]
        expressions += [_SHORTENED_KEY] if shortened else []
        any_of_them = rb"(?<![\w-])(?:" + b"|".join(expressions) + rb")(?![\w-])"
        return type(self)(
            self._replacements,
            (*self._patterns, *_ACCOUNT_NAMES),
            re.compile(any_of_them) if expressions else None,
        )

    def redact(self, data: bytes) -> bytes:
        """*data* with the credentials replaced, of the same length. Returns the same object where
        there is nothing to replace."""
        changes = [
            (start, new) for old, new in self._replacements for start in _offsets(data, old)
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

    def redact_text(self, text: str) -> str:
        """*text* with the credentials replaced."""
        data = text.encode("utf-8", "surrogateescape")
        return self.redact(data).decode("utf-8", "surrogateescape")


def _offsets(data: bytes, sought: bytes) -> Iterator[int]:
    """The positions at which *sought* begins in *data*."""
    for window in range(0, len(data), WINDOW_BYTES):
        start, end = window, window + WINDOW_BYTES + len(sought) - 1
        while (start := data.find(sought, start, end)) >= 0:
            yield start
            start += len(sought)


def _matches(data: bytes, pattern: _Pattern) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each text in *data* that *pattern* wants replaced."""
    for start in _offsets(data, pattern.mark):
        if match := pattern.regex.match(data, start):
            yield match.span(match.lastindex or 0)


def _azure_names(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each name of an Azure resource in the name of a host."""
    lower = data.lower()
    for service in AZURE_SERVICES:
        for end in _offsets(lower, f".{service}.azure.".encode()):
            first = max(0, end - 64)
            if label := _LAST_LABEL.search(data[first:end]):
                yield first + label.start(), end


def filler(secret: bytes) -> bytes:
    """The text that replaces *secret* in a body. It is as long as *secret*, and keeps a prefix such
    as `org-`, which shows what kind of name it was."""
    prefix = next((each for each in (b"org-", b"proj_", b"user-") if secret.startswith(each)), b"")
    length = len(secret) - len(prefix)
    return prefix + REDACTED.encode()[:length].ljust(length, b"x")


def _replacements(secret: str) -> list[_Replacement]:
    """The spellings that *secret* may have in a body, each with its replacement."""
    data = secret.encode("utf-8", "surrogateescape")
    plain = {
        data,
        quote(data, safe="").encode(),
        quote(data).encode(),
        quote_plus(data).encode(),
        re.sub(r"%..", lambda match: match[0].lower(), quote(data, safe="")).encode(),
        json.dumps(secret)[1:-1].encode(),
        json.dumps(secret, ensure_ascii=False)[1:-1].encode("utf-8", "surrogateescape"),
        data.replace(b"/", rb"\/"),
    }
    # The longest comes last and overwrites the others: a spelling that begins with an escape may be
    # found together with one that begins within that escape.
    replacements = [_Replacement(old, filler(old)) for old in sorted(plain, key=len)]
    if _NUMBER.fullmatch(data):
        digits = re.sub(rb"[0-9]", b"9", data)
        # After the others, so that these stand where both are found.
        replacements += [_Replacement(mark + data, mark + digits) for mark in (b":", b": ")]
    if len(data) < MIN_CHARS_IN_BASE64:
        return replacements
    for shift in range(3):
        old, new = _in_base64(data, shift), _in_base64(filler(data), shift)
        spellings = {old, old.replace(b"/", rb"\/"), quote(old, safe="").encode()}
        spellings.add(old.translate(bytes.maketrans(b"+/", b"-_")))
        ordered = sorted(spellings, key=len)
        replacements += [_Replacement(each, _align(new, each)) for each in ordered]
    return replacements


def _in_base64(data: bytes, shift: int) -> bytes:
    """The base64 characters that depend on *data* alone, where *data* is a part of the encoded
    bytes. *shift* is the number of bytes before it in its first group of three."""
    encoded = b64encode(bytes(shift) + data + bytes(-(shift + len(data)) % 3))
    return encoded[-(-8 * shift // 6) : 8 * (shift + len(data)) // 6]


_CHARACTER: Final = re.compile(rb"\\/|%..|.", re.DOTALL)


def _align(new: bytes, form: bytes) -> bytes:
    """*new* with the escapes of *form* kept at their places, so that each has the length that it
    had."""
    characters = _CHARACTER.findall(form)
    return b"".join(
        each if len(each) > 1 else new[index : index + 1] for index, each in enumerate(characters)
    )

"""Recordings: one HTTP request, and the answer that it got, byte for byte.

A recording is the neutral value that the parts share: `record` makes it of what passes through a
proxy, importers make it of cassettes, and `--replay` plays it. Its form as a file is in
`document.py`, folders of such files are in `folder.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from images_emulator.immutable import Immutable

ANY: Final = "<any>"
"""The string that in an answer with an `Expectation` stands for any value, and within a string for
any text."""

End = Literal["complete", "cut", "reset"]
"""How a body ended: with its last byte; by a connection that was closed before (`cut`); by one that
was reset."""

MOMENTARY: Final = frozenset({408, 429, *range(500, 600)})
"""Statuses of answers that are those of a moment, and not of a request."""

Headers = tuple[tuple[str, str], ...]
"""Names and values of headers, decoded as Latin-1, in the order and case as sent."""


class _WithLateFields(Immutable):
    """A value some of whose fields are made when they are first read. Only fields with a
    `default_factory` can be late: they alone have no value at the class."""

    @classmethod
    def late(cls, loaders: Mapping[str, Callable[[], Any]], **values: Any) -> Self:
        """The value with the fields *values*, and those that each of *loaders* makes when its
        field is first read; what a loader raises, the reader of the field meets."""
        made = cls.__new__(cls)
        made.__dict__.update(cls._defaults)
        made.__dict__.update(values, _loaders=loaders)
        for name in cls._factories.keys() - loaders.keys():
            made.__dict__[name] = cls._factories[name]()
        return made

    def unkept(self, name: str) -> Any:
        """The value of the field *name*, which is made and not kept where it is late: bodies of
        thousands of recordings do not stay in memory."""
        if name in self.__dict__:
            return self.__dict__[name]
        return self.__dict__["_loaders"][name]()

    def late_value(self, name: str) -> Any:
        """The value of *name* where it has a loader, which need not be that of a field, or has
        been made; None where it has none."""
        loaders = self.__dict__.get("_loaders", {})
        return getattr(self, name) if name in self.__dict__ or name in loaders else None

    if not TYPE_CHECKING:  # with it, a type checker would know of no misspelt name

        def __getattr__(self, name: str) -> Any:
            loaders = self.__dict__.get("_loaders", {})
            if name not in loaders:
                raise AttributeError(f"{type(self).__name__} has no attribute {name!r}", name=name)
            value = self.__dict__[name] = loaders[name]()
            return value


class RecordedRequest(_WithLateFields):
    """A request as it was sent, but for its redacted keys."""

    method: str
    target: str
    """The path with its query, as in the request line."""
    headers: Headers = ()
    body: bytes = field(default_factory=bytes)
    """The whole body, without the framing of chunks; encoded, where `content-encoding` says so."""


class RecordedPart(Immutable):
    """Bytes of an answer's body, and when they came."""

    seconds: float
    """The seconds from the last byte of the request to the last one of *data*; finite, 0 or
    more."""
    data: bytes


class RecordedResponse(_WithLateFields):
    """An answer as it was sent: its status, its headers, and its body in parts."""

    status: int
    headers: Headers = ()
    parts: tuple[RecordedPart, ...] = field(default_factory=tuple)
    """One part for each event of an event stream, with the empty line that ends it; what follows
    the last whole event, or is no event, is a part of its own. Another body is one part, an empty
    one none. They have no framing of chunks."""
    end: End = "complete"

    @property
    def body(self) -> bytes:
        """The bytes of all parts."""
        return b"".join(part.data for part in self.parts)


class RecordedDownload(_WithLateFields):
    """A hosted picture that was fetched while its URL lived."""

    url: str
    """The URL as it is in the body of the answer."""
    status: int = 200
    headers: Headers = ()
    data: bytes = field(default_factory=bytes)


class Expectation(Immutable):
    """How an answer is meant that was not recorded byte for byte, such as those of
    `fixtures/exchanges`. Its headers are those that must be among the ones sent. Its body, where
    *open_body* is true, is JSON whose layout is not known and in which `ANY` stands for any value;
    objects of an answer without an error may have further keys that the API gained later. Whoever
    plays such an answer takes what it leaves open from the emulator's own answer."""

    open_body: bool = False
    headers_present: tuple[str, ...] = ()
    """Names of headers that come with any value."""
    newline: bool | None = None
    """Whether a newline follows the JSON of the body; None where that is not known."""


class Recording(Immutable):
    """One exchange: the request, what came back, and what is known about both."""

    request: RecordedRequest
    response: RecordedResponse | None
    """The answer; None where the connection failed before, and *error* says how."""
    error: str = ""
    downloads: tuple[RecordedDownload, ...] = ()
    source: str = ""
    """The origin of the exchange: a URL, a file, a sentence."""
    note: str = ""
    recorded_at: datetime | None = None
    """The time at which the request arrived, with a time zone."""
    as_of: str | None = None
    """The day whose API answers so, `YYYY-MM-DD` (`Settings.as_of`); None where no day matters."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The settings with which an emulator answers so, by their names."""
    broken: bool = False
    """Whether the thread that draws has ended in the emulator that answers so: it then refuses what
    it has to draw."""
    authorised: bool | None = None
    """Whether the key of the request is one that the server accepts; None where it is not known. A
    request whose key is not recorded has no header for it."""
    key: str | None = None
    """A key that is sent and not accepted; it is no secret."""
    expectation: Expectation | None = None
    """The open values of the answer; None where it is known byte for byte."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Further values of another tool's file, as JSON."""
    name: str = ""
    """The name of its file, without a suffix; empty before it is written."""

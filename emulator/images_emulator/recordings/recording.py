"""Recordings: one HTTP request and its answer, byte for byte, or as far as it is known.

A recording is the neutral value that the modules share. `record` makes it from the traffic of a
proxy, importers make it from cassettes, and `--replay` plays it. `document.py` has its form as a
file, `folder.py` has folders of such files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from images_emulator.contract.http_headers import HeaderPairs
from images_emulator.immutable import Immutable

ANY: Final = "<any>"
"""The string that stands for any value in an answer with an `Expectation`. Within a longer string
it stands for any text."""

End = Literal["complete", "cut", "reset"]
"""How a body ended: `complete` with its last byte, `cut` by a connection that was closed before, or
`reset` by a connection that was reset."""

TRANSIENT_STATUSES: Final = frozenset({408, 429, *range(500, 600)})
"""Statuses of answers that depend on the moment, and not on the request."""


class _WithLazyFields(Immutable):
    """A value with fields that may be lazy: made when they are first read. Only a field with a
    `default_factory` can be lazy, because only such a field has no value at the class."""

    @classmethod
    def lazy(cls, loaders: Mapping[str, Callable[[], Any]], **values: Any) -> Self:
        """Make an object with the fields *values*. A field of *loaders* gets its value from its
        loader when it is first read, and an error of the loader is raised to that reader. All other
        fields have their defaults."""
        made = cls.__new__(cls)
        made.__dict__.update(cls._defaults)
        made.__dict__.update(values, _loaders=loaders)
        for name in cls._factories.keys() - loaders.keys():
            made.__dict__[name] = cls._factories[name]()
        return made

    def read_uncached(self, name: str) -> Any:
        """Return the value of the field *name*. A lazy value is made and not kept, so that the
        bodies of thousands of recordings do not stay in memory."""
        if name in self.__dict__:
            return self.__dict__[name]
        return self.__dict__["_loaders"][name]()

    def lazy_value(self, name: str) -> Any:
        """Return the value of *name* where it has been made or has a loader; None otherwise. The
        *name* need not be the name of a field."""
        loaders = self.__dict__.get("_loaders", {})
        return getattr(self, name) if name in self.__dict__ or name in loaders else None

    if not TYPE_CHECKING:  # with it, a type checker would know of no misspelt name

        def __getattr__(self, name: str) -> Any:
            loaders = self.__dict__.get("_loaders", {})
            if name not in loaders:
                raise AttributeError(f"{type(self).__name__} has no attribute {name!r}", name=name)
            value = self.__dict__[name] = loaders[name]()
            return value


class RecordedRequest(_WithLazyFields):
    """A request as it was sent. Its keys are redacted in a folder and in memory. Only the recording
    of a call that was just forwarded still has them."""

    method: str
    target: str
    """The path with its query, as in the request line."""
    headers: HeaderPairs = ()
    body: bytes = field(default_factory=bytes)
    """The whole body, without the framing of chunks. It is encoded where `content-encoding` says
    so."""


class RecordedPart(Immutable):
    """Bytes of an answer's body, and the time at which they came."""

    seconds: float
    """The seconds from the last byte of the request to the last byte of *data*; finite, 0 or
    more."""
    data: bytes


class RecordedResponse(_WithLazyFields):
    """An answer as it was sent: its status, its headers, and its body in parts."""

    status: int
    headers: HeaderPairs = ()
    parts: tuple[RecordedPart, ...] = field(default_factory=tuple)
    """The parts of the body, without the framing of chunks. An event stream has one part for each
    event, with the empty line that ends it. Bytes that are no whole event are a part of their own.
    Another body is one part; an empty body has none."""
    end: End = "complete"

    @property
    def body(self) -> bytes:
        """The bytes of all parts."""
        return b"".join(part.data for part in self.parts)


class RecordedDownload(_WithLazyFields):
    """A hosted picture that was fetched before its URL expired."""

    url: str
    """The URL as the body of the answer has it."""
    status: int = 200
    headers: HeaderPairs = ()
    data: bytes = field(default_factory=bytes)


class Expectation(Immutable):
    """What is known of an answer that was not recorded byte for byte, such as one of
    `fixtures/exchanges`.

    The headers of such an answer are the ones that must be sent; others may be, too. Where
    *open_body* is true, the body is JSON of unknown layout, in which `ANY` stands for any value.
    Objects of an answer without an error may have further keys, which the API gained later. When
    it is replayed, the open values are taken from the answer that the emulator draws.
    """

    open_body: bool = False
    headers_present: tuple[str, ...] = ()
    """Names of headers that must be sent, with any value."""
    newline: bool | None = None
    """Whether a newline follows the JSON of the body; None where that is unknown."""


class Recording(Immutable):
    """One exchange: the request, what came back, and what is known about both."""

    request: RecordedRequest
    response: RecordedResponse | None
    """The answer; None where the connection failed before it. *error* then says how."""
    error: str = ""
    downloads: tuple[RecordedDownload, ...] = ()
    source: str = ""
    """The origin of the exchange: a URL, a file, a sentence."""
    note: str = ""
    recorded_at: datetime | None = None
    """The arrival time of the request, with a time zone."""
    as_of: str | None = None
    """The day whose API gives this answer, `YYYY-MM-DD` (`Settings.as_of`); None for any day."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The settings with which an emulator gives this answer, by name."""
    broken: bool = False
    """Whether the emulator that gives this answer is broken: its drawing thread has ended, and it
    refuses calls that need a drawing."""
    authorised: bool | None = None
    """Whether the server accepts the key of the request; None where that is unknown. A request
    whose key is not recorded has no header for it."""
    refused_key: str | None = None
    """A key that is sent and not accepted. It is no secret."""
    expectation: Expectation | None = None
    """What is known of the answer; None where it is known byte for byte."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Further values from another tool's file, as JSON."""
    name: str = ""
    """The name of the recording's file, without a suffix; empty until it is written."""

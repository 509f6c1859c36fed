"""Errors of the API as values. A `Refusal` is a message with its other fields. An `APIError` is the
exception that a refusal makes. An `ErrorAnswer` is what a client reads.

A refusal is a format. Code calls it with the values of its placeholders, and raises the `APIError`
that the call returns. A refusal whose words have changed on some day has its *earlier* versions.

The code that raises an error does not know the day that judges the call, so an `APIError` has no
body. `ServedExchange.error_answer` makes the `ErrorAnswer` in the words of that day. Answers and
events are written from an `ErrorAnswer` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Final

from images_emulator.contract.calendar import (
    GATEWAY_SINCE,
    Day,
    is_before_gateway,
    version_on,
)
from images_emulator.contract.notices import NOTICE_HEADER
from images_emulator.immutable import Immutable

GATEWAY_TYPE: Final = "invalid_request_error"
"""The `type` of errors of the gateway, which checks names, types, ranges and words."""

IMAGE_SERVICE_TYPE: Final = "image_generation_user_error"
"""The `type` of errors of the image service behind the gateway, which checks models, sizes, files,
and how parameters combine."""


class Envelope(Immutable):
    """The layout of an error body."""

    keys: tuple[str, ...] = ("message", "type", "param", "code")
    """The keys of the error object, in their order: fields of `ErrorAnswer`, and *constants*."""
    end: str = ""
    """The end of the body, such as a newline."""
    constants: Mapping[str, Any] = field(default_factory=dict)
    """The values of keys that are the same in all errors of this layout."""
    blank_behind: str = ""
    """The text after which an Azure body has a blank; empty for none. Such bodies are compact
    otherwise."""


TODAYS_ENVELOPE: Final = Envelope()
"""The layout of the gateway's errors."""

OLDER_ENVELOPE: Final = Envelope(("code", "message", "param", "type"), "\n")
"""The layout of the older stack's errors, recorded until 2025-08."""

API_MANAGEMENT_ENVELOPE: Final = Envelope(("code", "message"))
"""The layout of errors of Azure API Management, the proxy in front of Azure's service."""


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """An error as a client reads it: the HTTP *status* and the fields of the `error` object, in the
    words of one day.

    The answer has *headers* beside the standard ones. *details* are further fields of the object.
    """

    message: str | None
    status: int = 400
    type: str = GATEWAY_TYPE
    param: str | None = None
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    envelope: Envelope = TODAYS_ENVELOPE

    def body(self) -> dict[str, Any]:
        """The body, without the envelope's end. A field without a value is null."""
        constants = self.envelope.constants
        fields = {
            key: constants[key] if key in constants else getattr(self, key)
            for key in self.envelope.keys
        }
        return {"error": {**fields, **self.details}}

    def in_older_envelope(self) -> ErrorAnswer:
        """The answer in the envelope of the older stack, for a message whose older words are not
        known. It drops *param*, *code* and *details*, whose older values are not known
        either. An answer whose envelope is not today's is returned unchanged."""
        if self.envelope != TODAYS_ENVELOPE:
            return self
        return ErrorAnswer(
            self.message,
            status=self.status,
            type=GATEWAY_TYPE if self.type == IMAGE_SERVICE_TYPE else self.type,
            headers=self.headers,
            envelope=OLDER_ENVELOPE,
        )


class APIError(Exception):
    """The refusal of a call, as an exception. It holds for no particular day: `answer_on` makes the
    `ErrorAnswer` of a day.

    *newest* is the answer in the newest words. *refusal* made it, with *values* for its
    placeholders. *refusal* is None where nothing but *newest* is known.
    """

    def __init__(
        self,
        newest: ErrorAnswer,
        refusal: Refusal | None = None,
        values: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(newest.message)
        self.newest = newest
        self.refusal = refusal
        self.values: Mapping[str, object] = values or {}
        self.headers: Mapping[str, str] = {}
        """Headers of the answer beside those of the refusal."""
        self.is_of_operation = False
        """Whether an image operation refused the call, when it read or validated the body. Such an
        error has the older stack's envelope on the days of that stack. `ImagesAPI.handler` sets
        it, because the code that raises the error may read the body of any call."""

    @property
    def is_client_error(self) -> bool:
        """Whether the call is at fault, and not the service or the store."""
        return self.newest.status < 500

    def add_notice(self, notice: str) -> None:
        """Let the answer have the emulator's own *notice*, in a header."""
        self.headers = {**self.headers, NOTICE_HEADER.decode(): notice}

    def answer_on(self, day: Day) -> ErrorAnswer:
        """The answer in the words and the envelope of *day*; None: the newest ones."""
        answer = self.refusal.version_on(day).answer(self.values) if self.refusal else self.newest
        if self.headers:
            answer = replace(answer, headers={**answer.headers, **self.headers})
        if self.is_of_operation and is_before_gateway(day):
            return answer.in_older_envelope()
        return answer


MAX_SHOWN_NAME: Final = 256
"""The most characters of a parameter's name in a violation. A client may send longer names."""


class Violation(Immutable):
    """A mistake that lenient validation forgives: *param* and *code* of the error that strict
    validation raises, or its type where it has no code. The request holds the violation, not the
    error. The traceback of the error would keep the frames in memory, and with them the decoded
    images."""

    param: str | None
    code: str | None

    @classmethod
    def from_error(cls, error: APIError) -> Violation:
        """The violation in place of *error*."""
        param = error.newest.param
        if param and len(param) > MAX_SHOWN_NAME:
            param = f"{param[: MAX_SHOWN_NAME - 1]}…"
        return cls(param, error.newest.code or error.newest.type)

    def __str__(self) -> str:
        return f"{self.param or 'request'}: {self.code}"


class Refusal(Immutable):
    """One error message with its other fields. *message*, *param* and *code* are formats.

    The answer has *headers* beside the standard ones. *earlier* has the former versions as `(until,
    refusal)`, the oldest first; the day *until* is not included. Each former version is complete:
    it inherits neither type, param, code, status, headers nor envelope. A copy by
    `dataclasses.replace` keeps *earlier*, so a copy with other words needs a value for it, too.
    """

    message: str
    param: str | None = None
    code: str | None = None
    type: str = GATEWAY_TYPE
    status: int = 400
    headers: Mapping[str, str] = field(default_factory=dict)
    envelope: Envelope = TODAYS_ENVELOPE
    earlier: tuple[tuple[date, Refusal], ...] = ()

    def version_on(self, day: Day) -> Refusal:
        """The version of *day*; None for the newest one."""
        return version_on(day, self, self.earlier)

    def __call__(self, **values: object) -> APIError:
        """The error with *values* for the placeholders. Raises KeyError where one is missing."""
        return APIError(self.answer(values), self, values)

    def answer(self, values: Mapping[str, object]) -> ErrorAnswer:
        """The answer in the words of this version, with *values* for the placeholders. Raises
        KeyError where one is missing."""
        return ErrorAnswer(
            self.message.format_map(values),
            status=self.status,
            type=self.type,
            param=self.param and self.param.format_map(values),
            code=self.code and self.code.format_map(values),
            headers=self.headers,
            envelope=self.envelope,
        )


def older_stack_versions(message: str, code: str | None = None) -> tuple[tuple[date, Refusal], ...]:
    """`earlier` of a refusal with one earlier version: the older stack's *message*, without a
    param."""
    return ((GATEWAY_SINCE, Refusal(message, None, code, envelope=OLDER_ENVELOPE)),)

"""Blob storage, where hosted pictures are: its errors, their XML and their headers.

The storage is Azure Storage. Sources: "Common REST API error codes", "Blob service error codes",
"Specifying the range header" and "Specifying conditional headers" of its reference, and recordings
of expired and unsigned URLs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from hashlib import blake2b
from typing import Final

from images_emulator.immutable import Immutable

MEDIA_TYPE: Final = "application/xml"
"""The media type of error bodies."""

_UNAUTHENTICATED: Final = (
    "Server failed to authenticate the request. Make sure the value of Authorization header is "
    "formed correctly including the signature."
)

_ERRORS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("InvalidInput", "One of the request inputs is not valid."),
    403: ("AuthenticationFailed", _UNAUTHENTICATED),
    404: ("BlobNotFound", "The specified blob does not exist."),
    405: ("UnsupportedHttpVerb", "The resource doesn't support the specified HTTP verb."),
    409: (
        "PublicAccessNotPermitted",
        "Public access is not permitted on this storage account.",
    ),
    416: (
        "InvalidRange",
        "The range specified is invalid for the current size of the resource.",
    ),
    500: ("InternalError", "The server encountered an internal error. Please retry the request."),
    503: (
        "ServerBusy",
        "The server is currently unable to receive requests. Please retry your request.",
    ),
}
"""Code and message by HTTP status."""

_STATUS_OF_API: Final[Mapping[int, int]] = {401: 403, 429: 503}
"""The blob storage's status for statuses that only the API has."""

_SERVER: Final = "Microsoft-HTTPAPI/2.0"
_ANONYMOUS_SERVER: Final = "Blob Service Version 1.0 Microsoft-HTTPAPI/2.0"


class StorageError(Exception):
    """An error of the blob storage: HTTP *status*, *code*, *message*, and for failed authentication
    a *detail*.

    *anonymous*: the call has no signature, so the answer has the headers of the service's first
    versions. *headers* are added to the answer's other headers.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        detail: str | None = None,
        *,
        anonymous: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.detail = detail
        self.anonymous = anonymous
        self.headers: Mapping[str, str] = headers or {}

    def body(self, request_id: str, now: datetime) -> str:
        """The error as XML, for the request of that id at the UTC time *now*."""
        from html import escape  # noqa: PLC0415 - it delays the start

        code, message = escape(self.code, quote=False), escape(self.message, quote=False)
        time = f"{now:%Y-%m-%dT%H:%M:%S.%f}0Z"
        detail = (
            f"<AuthenticationErrorDetail>{escape(self.detail, quote=False)}"
            "</AuthenticationErrorDetail>"
            if self.detail
            else ""
        )
        return (
            '<?xml version="1.0" encoding="utf-8"?>'
            f"<Error><Code>{code}</Code><Message>{message}\nRequestId:{request_id}\n"
            f"Time:{time}</Message>{detail}</Error>"
        )

    def answer_headers(self, request_id: str) -> dict[str, str]:
        """The headers of the answer, except its content type and length."""
        if self.anonymous:
            # Recorded of anonymous calls, without `x-ms-error-code`.
            return {"Server": _ANONYMOUS_SERVER, "x-ms-request-id": request_id, **self.headers}
        return {
            "Server": _SERVER,
            "x-ms-request-id": request_id,
            **self.headers,
            "x-ms-error-code": self.code,
        }


def _error_of_status(status: int) -> StorageError:
    return StorageError(status, *_ERRORS[status])


def unsigned_url() -> StorageError:
    """The error for a URL without a signature."""
    return StorageError(409, *_ERRORS[409], anonymous=True)


def signature_mismatch() -> StorageError:
    """The error for a URL whose signature does not fit its path and query."""
    return StorageError(403, *_ERRORS[403], "Signature did not match.")


def outside_validity(start: str | None, expiry: str, now: datetime) -> StorageError:
    """The error for a URL that is not valid yet, or no longer. *start* and *expiry* are ISO 8601
    times, as the URL has them."""
    begins = _http_date(start) if start is not None else _http_date(now)
    ends, current = _http_date(expiry), _http_date(now)
    if start is None:
        # A URL without a start begins now (Azure/azure-speed-test, issues 12 and 15).
        detail = f"Signed expiry time [{ends}] must be after signed start time [{begins}]"
    else:
        detail = (
            f"Signature not valid in the specified time frame: Start [{begins}] "
            f"- Expiry [{ends}] - Current [{current}]"
        )
    return StorageError(403, *_ERRORS[403], detail)


def blob_not_found() -> StorageError:
    """The error for a valid URL whose image is no longer kept."""
    return _error_of_status(404)


def unsupported_verb() -> StorageError:
    """The error for every method but GET and HEAD."""
    return _error_of_status(405)


def preflight_failure() -> StorageError:
    """The error for a CORS preflight: the storage has no rules for other origins
    (Azure/Azurite#729)."""
    return StorageError(
        403,
        "CorsPreflightFailure",
        "CORS not enabled or no matching rule found for this request.",
    )


def invalid_range(size: int) -> StorageError:
    """The error for a range that begins behind the end of an image of *size* bytes."""
    return StorageError(416, *_ERRORS[416], headers={"Content-Range": f"bytes */{size}"})


_RANGE: Final = re.compile(r"bytes=(\d{1,18})-(\d{0,18})", re.ASCII)


def byte_range(text: str, size: int) -> tuple[int, int] | None:
    """The offsets of the first and the last byte that *text*, the value of a `Range` header, asks
    for, in an image of *size* bytes. None where the whole image is sent: the storage reads a header
    with one range that has a start, and ignores any other. Raises StorageError where the range
    starts behind the end."""
    match = _RANGE.fullmatch(text)
    if match is None:
        return None
    first = int(match[1])
    last = int(match[2]) if match[2] else None
    if last is not None and last < first:
        return None
    if first >= size:
        raise invalid_range(size)
    return first, size - 1 if last is None else min(last, size - 1)


class BlobVersion(Immutable):
    """The version of the image at *path*, which was *created* at that time and never changes."""

    path: str
    created: datetime

    @property
    def etag(self) -> str:
        """The entity tag, in the form of Azure Storage."""
        digest = blake2b(self.path.encode(), digest_size=7).hexdigest()
        return f'"0x8{digest.upper()}"'

    def headers(self) -> dict[str, str]:
        """The headers that tell the version."""
        return {"ETag": self.etag, "Last-Modified": _http_date(self.created)}

    def is_known(self, tags: str, since: str) -> bool:
        """Whether a client has it, by the *tags* of `If-None-Match` or, without any, by the time
        *since* of `If-Modified-Since`."""
        if tags:
            return any(tag.strip() in (self.etag, "*") for tag in tags.split(","))
        try:
            return bool(since) and self.created <= parsedate_to_datetime(since)
        except (OverflowError, TypeError, ValueError):
            return False


def error_in_place_of(
    status: int, code: str | None, message: str | None, headers: Mapping[str, str]
) -> StorageError:
    """The blob storage's error where the API would answer with *status*. *code* and *message*
    replace the storage's own. Of *headers*, only those that say when to retry are kept."""
    status = _STATUS_OF_API.get(status, status)
    own_code, own_message = _ERRORS.get(status, _ERRORS[500 if status >= 500 else 400])
    waits = {name: value for name, value in headers.items() if name.startswith("retry-after")}
    return StorageError(status, code or own_code, message or own_message, headers=waits)


def _http_date(moment: str | datetime) -> str:
    """*moment* as an HTTP date: `Thu, 26 Nov 2026 01:00:00 GMT`."""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return format_datetime(moment.astimezone(UTC), usegmt=True)

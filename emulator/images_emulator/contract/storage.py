"""What the blob store behind hosted pictures says when it fails, as Azure Storage documents it.

Source: "Common REST API error codes" and "Blob service error codes" of Azure Storage's reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EXPIRED: Final = "expired"
"""The name of the refusal of a URL that has expired, and the key in a call's state that asks for
it."""

UNREADABLE: Final = (
    "Server failed to authenticate the request. Make sure the value of Authorization header is "
    "formed correctly including the signature."
)
NOT_PUBLIC: Final = "Public access is not permitted on this storage account."
NOT_FOUND: Final = "The specified blob does not exist."

PREFLIGHT_FAILED: Final = "CORS not enabled or no matching rule found for this request."
WRONG_VERB: Final = "The resource doesn't support the specified HTTP verb."

FAILURES: Final[Mapping[int, tuple[str, str]]] = {
    400: ("InvalidInput", "One of the request inputs is not valid."),
    403: ("AuthenticationFailed", UNREADABLE),
    404: ("BlobNotFound", NOT_FOUND),
    405: ("UnsupportedHttpVerb", WRONG_VERB),
    409: ("PublicAccessNotPermitted", NOT_PUBLIC),
    500: ("InternalError", "The server encountered an internal error. Please retry the request."),
    503: (
        "ServerBusy",
        "The server is currently unable to receive requests. Please retry your request.",
    ),
}
"""Code and sentence by status."""

SAME_AS: Final[Mapping[int, int]] = {401: 403, 429: 503}
"""Statuses of the API's that the store has not, and what it answers for the same reason."""


class StorageError(Exception):
    """The storage service's refusal; its XML is the web layer's business.

    *anonymous* calls, without a signature, get the headers of the service's first versions.
    *headers* go out beside the standard ones.
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


def preflight_failure() -> StorageError:
    """What a store without rules for other origins says to each preflight (Azure/Azurite#729)."""
    return StorageError(403, "CorsPreflightFailure", PREFLIGHT_FAILED)


def storage_failure(
    status: int, code: str | None, message: str | None, headers: Mapping[str, str]
) -> StorageError:
    """How the store fails where the API would answer with *status*; *code* and *message* go before
    its own words, and of the *headers* those that say when to come back are kept."""
    status = SAME_AS.get(status, status)
    known_code, known_message = FAILURES.get(status, FAILURES[500 if status >= 500 else 400])
    waits = {name: value for name, value in headers.items() if name.startswith("retry-after")}
    return StorageError(status, code or known_code, message or known_message, headers=waits)

"""A client of a running server, by the standard library alone: a command has to start fast."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from images_emulator.cli.command_line import CommandError
from images_emulator.cli.server_address import ServerAddress

ADMIN_PREFIX: Final = "/_emulator"

TIMEOUT_SECONDS: Final = 60
"""For an answer; a fault may let a call wait."""


class UnreachableError(CommandError):
    """Nothing accepts connections at the address."""


class AdminClient:
    """Asks the server at *address*. *timeout* is in seconds."""

    def __init__(self, address: ServerAddress, timeout: float = TIMEOUT_SECONDS) -> None:
        self.address = address
        self.timeout = timeout

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """The JSON at *path* of the admin API. Raises CommandError."""
        return self._admin("GET", path, query)

    def post(self, path: str, body: Any = None) -> Any:
        """The JSON that answers *body* at *path* of the admin API. Raises CommandError."""
        return self._admin("POST", path, body=body)

    def _admin(
        self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None
    ) -> Any:
        target = f"{ADMIN_PREFIX}/{quote(path)}"
        if query:
            target += f"?{urlencode(query, doseq=True)}"
        headers = {"accept": "application/json"}
        if self.address.token is not None:
            headers["authorization"] = f"Bearer {self.address.token}"
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["content-type"] = "application/json"
        response = self.request(method, target, headers, data)
        with response:
            text = read(response, self.address.url)
        document = parse_json(text)
        if response.status >= 400:
            raise CommandError(self._sentence(response.status, document))
        if document is None:
            raise CommandError(f"what answers at {self.address.url} is no images-emulator")
        return document

    def request(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> HTTPResponse:
        """The answer to a call of any path, whose body is not read. Raises CommandError where there
        is no answer, and UnreachableError where there is no server."""
        parts = urlsplit(self.address.url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = kind(parts.netloc, timeout=self.timeout)
        try:
            connection.connect()
        except OSError as error:
            raise UnreachableError(
                f"no server answers at {self.address.url} ({_reason(error)}); "
                "'images-emulator serve' starts one, --url names another one"
            ) from None
        try:
            connection.request(method, target, body, {**headers, "connection": "close"})
            return connection.getresponse()
        except (OSError, HTTPException) as error:
            connection.close()
            raise CommandError(f"{self.address.url} did not answer ({_reason(error)})") from None

    def _sentence(self, status: int, document: Any) -> str:
        """What the server says of a refusal."""
        error = document.get("error") if isinstance(document, dict) else None
        if not isinstance(error, dict) or not isinstance(error.get("message"), str):
            return f"{self.address.url} answered {status}, as no images-emulator does"
        hint = " (--admin-token)" if error.get("code") == "admin_token_required" else ""
        return f"{error['message']}{hint}"


def read(response: HTTPResponse, url: str) -> bytes:
    """The body of *response* from *url*. Raises CommandError where it breaks off."""
    try:
        return response.read()
    except (OSError, HTTPException) as error:
        raise CommandError(f"the answer of {url} broke off ({_reason(error)})") from None


def parse_json(text: bytes) -> Any:
    """*text* as JSON; None where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _reason(error: Exception) -> str:
    """Why a connection failed, in a few words."""
    strerror = error.strerror if isinstance(error, OSError) else None
    return strerror or str(error) or type(error).__name__

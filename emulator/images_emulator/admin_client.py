"""A client of a running server. It needs the standard library alone, because commands and pytest
have to start fast."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from images_emulator.admin_prefix import ADMIN_PREFIX
from images_emulator.client_errors import ServerError, UnreachableError
from images_emulator.environment import API_KEY
from images_emulator.namespace_names import DEFAULT_NAMESPACE, path_of, split_path
from images_emulator.setting_definition import ENVIRONMENT_PREFIX
from images_emulator.setting_values import without_credentials

TIMEOUT_SECONDS: Final = 60
"""The seconds to wait for an answer. A fault may let a call wait."""


class ServerAddress(NamedTuple):
    """The address of a server, with its admin token and an API key."""

    url: str
    """The URL, such as `http://127.0.0.1:8080`."""
    token: str | None = None
    """The admin token."""
    key: str = API_KEY
    """An API key that the server accepts."""
    is_default: bool = False
    """Whether neither the command line nor the variable named the server."""
    namespace: str = DEFAULT_NAMESPACE
    """The name of the namespace."""

    @property
    def namespace_url(self) -> str:
        """The URL of the namespace, such as `http://127.0.0.1:8080/ns/NAME`."""
        return self.url + path_of(self.namespace)


def parse_address(url: str) -> tuple[str, str]:
    """Split *url*, often a `base_url`, into the URL of the server without a path, and the namespace
    in the path. Raises ValueError."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        valid = valid and parts.username is None
    except ValueError:
        valid = False
    if not valid:
        raise ValueError(
            "expected the URL of a server, such as http://127.0.0.1:8080, not "
            f"'{without_credentials(url)}'"
        )
    split = split_path(parts.path)
    return f"{parts.scheme}://{parts.netloc}", split[0] if split else DEFAULT_NAMESPACE


class AdminClient:
    """Asks the server at *address*. *timeout* is in seconds."""

    def __init__(self, address: ServerAddress, timeout: float = TIMEOUT_SECONDS) -> None:
        self.address = address
        self.timeout = timeout

    def connect(self) -> None:
        """Check that the server accepts connections. Raises UnreachableError where it does not."""
        with self._connection():
            pass

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """Get *path* of the admin API, and return the JSON of the answer. Raises ServerError."""
        return self._admin("GET", path, query)

    def post(self, path: str, body: Any = None) -> Any:
        """Post *body* to *path* of the admin API, and return the JSON of the answer. Raises
        ServerError."""
        return self._admin("POST", path, body=body)

    def put(self, path: str, body: Any) -> Any:
        """Put *body* at *path* of the admin API, and return the JSON of the answer. Raises
        ServerError."""
        return self._admin("PUT", path, body=body)

    def patch(self, path: str, body: Any) -> Any:
        """Change *path* of the admin API by *body*, and return the JSON of the answer. Raises
        ServerError."""
        return self._admin("PATCH", path, body=body)

    def delete(self, path: str) -> Any:
        """Delete *path* of the admin API, and return the JSON of the answer. Raises ServerError."""
        return self._admin("DELETE", path)

    def _admin(
        self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None
    ) -> Any:
        target = f"{ADMIN_PREFIX}/{quote(path)}"
        if query:
            target += f"?{urlencode(query, doseq=True)}"
        headers = {"accept": "application/json", **self._auth_headers()}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["content-type"] = "application/json"
        with self.request(method, target, headers, data) as response:
            document = parse_json(read(response, self.address.url))
        if response.status >= 400:
            raise ServerError(self._sentence(response.status, document), response.status)
        if document is None:
            raise ServerError(f"what answers at {self.address.url} is no images-emulator")
        return document

    @contextmanager
    def events(self, path: str) -> Iterator[Iterator[ServerSentEvent]]:
        """The server-sent events at *path* of the admin API from now on, until the server ends
        them. Raises ServerError where the server does not answer, or the stream breaks off."""
        with self.request("GET", f"{ADMIN_PREFIX}/{path}", self._auth_headers()) as response:
            if response.status >= 400:
                document = parse_json(read(response, self.address.url))
                raise ServerError(self._sentence(response.status, document), response.status)
            # The server has registered this reader once it sends the first line, which is no event.
            response.readline()
            yield server_sent_events(response, self.address.url)

    def _auth_headers(self) -> dict[str, str]:
        token = self.address.token
        return {} if token is None else {"authorization": f"Bearer {token}"}

    @contextmanager
    def request(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Iterator[HTTPResponse]:
        """The answer to a call of any path in the namespace, with its body unread. Raises
        ServerError where there is no answer, and UnreachableError where there is no server."""
        with self._connection() as connection:
            try:
                target = path_of(self.address.namespace) + target
                connection.request(method, target, body, dict(headers))
                response = connection.getresponse()
            except (OSError, HTTPException) as error:
                reason = _reason(error)
                raise ServerError(f"{self.address.url} did not answer ({reason})") from None
            except ValueError:
                # The error's own text has the value, which may be the token.
                raise ServerError(
                    "no header can carry the admin token or the API key: either has a character "
                    "that is not visible ASCII"
                ) from None
            with response:
                yield response

    @contextmanager
    def _connection(self) -> Iterator[HTTPConnection]:
        """A connection to the server. Raises UnreachableError where there is none."""
        parts = urlsplit(self.address.url)
        connection_class = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        with closing(connection_class(parts.netloc, timeout=self.timeout)) as connection:
            try:
                connection.connect()
            except OSError as error:
                sentence = f"no server answers at {self.address.url} ({_reason(error)})"
                raise UnreachableError(sentence) from None
            yield connection

    def _sentence(self, status: int, document: Any) -> str:
        """The message in the server's refusal."""
        error = document.get("error") if isinstance(document, dict) else None
        if not isinstance(error, dict) or not isinstance(error.get("message"), str):
            return f"{self.address.url} answered {status}, as no images-emulator does"
        if error.get("code") == "admin_token_required":
            url, variable = self.address.url, f"{ENVIRONMENT_PREFIX}ADMIN_TOKEN"
            if self.address.token is not None:
                return f"{url} has another admin token than the one of --admin-token or {variable}"
            return f"{url} wants its admin token: --admin-token, or the variable {variable}"
        return str(error["message"])


class ServerSentEvent(NamedTuple):
    """One event of a stream: its name and its JSON."""

    name: str
    data: Any


def server_sent_events(response: HTTPResponse, url: str) -> Iterator[ServerSentEvent]:
    """The events in the answer of *url*, without comments. Raises ServerError where the answer
    breaks off."""
    name, data = "message", b""
    try:
        for line in response:
            field, _, value = line.rstrip(b"\r\n").partition(b": ")
            if field == b"event":
                name = value.decode()
            elif field == b"data":
                data += value
            elif line in (b"\n", b"\r\n") and data:
                yield ServerSentEvent(name, parse_json(data))
                name, data = "message", b""
    except (OSError, HTTPException, ValueError) as error:
        raise ServerError(f"the answer of {url} broke off ({_reason(error)})") from None


def read(response: HTTPResponse, url: str) -> bytes:
    """The body of *response* from *url*. Raises ServerError where the response breaks off."""
    try:
        return response.read()
    except (OSError, HTTPException) as error:
        raise ServerError(f"the answer of {url} broke off ({_reason(error)})") from None


def parse_json(text: bytes) -> Any:
    """The value of JSON *text*; None where *text* is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _reason(error: Exception) -> str:
    """The reason why a connection failed, in a few words."""
    strerror = error.strerror if isinstance(error, OSError) else None
    return strerror or str(error) or type(error).__name__

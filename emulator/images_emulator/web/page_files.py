"""The page at `/_emulator/`: its files, which are in the folder `page`, and the way to it."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from images_emulator.contract import admin_errors
from images_emulator.contract.refusal import APIError
from images_emulator.web.json_responses import error_response_without_exchange

FOLDER: Final = Path(__file__).with_name("page")
"""The folder of the page's files."""

MEDIA_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Media types by the suffix of a file. Other files are not served."""

CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        # No text can become HTML: the browser refuses `innerHTML` and its like.
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
"""The policy of the page, which loads and calls only what this server has."""

HEADERS: Final = {
    # The file is asked for anew each time, and sent only if it is another one: files of two
    # releases never meet in one page.
    "Cache-Control": "no-cache",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""The headers of each answer with a file of the page."""


class PageFile(NamedTuple):
    """A file of the page as it was at *changed*, in nanoseconds since 1970."""

    changed: int
    content: bytes
    etag: str


class PageFiles:
    """ASGI application for the page: `PREFIX/`, its files `PREFIX/page/NAME`, and the two paths
    that lead there, `PREFIX` and `/`. It reads a file when it is first asked for, and again when it
    has changed.

    The files tell nothing of the emulator, and need no admin token.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._files: dict[str, PageFile] = {}

    def has(self, path: str) -> bool:
        """Whether *path* is one of the page's."""
        rest = path.removeprefix(self.prefix)
        return path == "/" or rest in ("", "/") or rest.startswith("/page/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = self._response(scope)
        except APIError as error:
            response = error_response_without_exchange(error)
        await response(scope, receive, send)

    def _response(self, scope: Scope) -> Response:
        """The response to a call. Raises APIError for a path without a file, and for a method other
        than GET and HEAD."""
        path, method = scope["path"], scope["method"]
        if method not in ("GET", "HEAD"):
            error = admin_errors.wrong_method(path=path, method=method)
            error.headers = {**error.headers, "Allow": "GET, HEAD"}
            raise error
        if path in ("/", self.prefix):
            # Relative, as all links of the page: a proxy may have the server below another path.
            headers = {"Cache-Control": "no-cache", "Vary": "Accept"}
            return RedirectResponse(f"{self.prefix.removeprefix('/')}/", 302, headers)
        rest = path.removeprefix(f"{self.prefix}/")
        name = rest.removeprefix("page/") if rest else "index.html"
        media_type = MEDIA_TYPES.get(Path(name).suffix)
        if media_type is None or "/" in name or "\\" in name or "\0" in name:
            raise admin_errors.no_such_path(path=path)
        try:
            file = self._file(name)
        except OSError:
            raise admin_errors.no_such_path(path=path) from None
        headers = {**HEADERS, "ETag": file.etag}
        if_none_match = Headers(scope=scope).get("if-none-match", "")
        if file.etag in {each.strip().removeprefix("W/") for each in if_none_match.split(",")}:
            return Response(status_code=304, headers=headers)
        return Response(file.content, headers=headers, media_type=media_type)

    def _file(self, name: str) -> PageFile:
        """The file *name*. Raises OSError where there is none."""
        path = FOLDER / name
        changed = path.stat().st_mtime_ns
        file = self._files.get(name)
        if file is None or file.changed != changed:
            content = path.read_bytes()
            file = PageFile(changed, content, f'"{sha256(content).hexdigest()[:20]}"')
            self._files[name] = file
        return file


def is_browser_navigation(scope: Scope) -> bool:
    """Whether a browser asks for something to show; a client of the API asks for no HTML."""
    return scope["method"] in ("GET", "HEAD") and any(
        name == b"accept" and b"text/html" in value.lower() for name, value in scope["headers"]
    )

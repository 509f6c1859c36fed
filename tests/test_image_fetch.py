"""Pictures by address: drawn, refused, or fetched from a host that is allowed."""

from __future__ import annotations

import base64
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from select import select
from typing import Any

import httpx2
import pytest
from PIL import Image

from images_emulator import Server, Settings
from images_emulator.contract.refusal import APIError
from images_emulator.web.image_fetch import fetcher
from tests.pictures import BLUE, half_clear, png

ASKED = threading.Event()
"""Set when `/held` is asked for."""

RELEASED = threading.Event()
"""Set when the host may answer `/held`."""


class Shelf(BaseHTTPRequestHandler):
    """A host of pictures, of redirects, and of trouble."""

    def do_GET(self) -> None:
        if self.path == "/blue.png":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(png((64, 64), "RGB", BLUE))
        elif self.path == "/mask.png":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(half_clear((64, 64)))
        elif self.path.startswith("/to?"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to?"))
            self.end_headers()
        elif self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                while True:
                    self.wfile.write(bytes(2**20))
        elif self.path == "/held":
            ASKED.set()
            RELEASED.wait(30)
            self.send_error(404)
        elif self.path == "/slow-head":
            self.drip(b"HTTP/1.0 200 OK\r\nX-Slow: ")
        elif self.path == "/slow-body":
            self.drip(b"HTTP/1.0 200 OK\r\n\r\n")
        elif self.path == "/slow-redirect":
            self.drip(b"HTTP/1.0 302 Found\r\nLocation: /blue.png\r\n\r\n")
        else:
            self.send_error(404)

    def drip(self, start: bytes) -> None:
        """A byte now and then, each well before the client's socket would time out."""
        self.wfile.write(start)
        while not select([self.connection], [], [], 0.02)[0]:
            self.wfile.write(b"x")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def shelf() -> Iterator[str]:
    """Where the host is, as HOST:PORT."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shelf)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@contextmanager
def editing(**settings: Any) -> Iterator[Any]:
    with (
        Server(Settings(port=0, **settings)) as server,
        httpx2.Client(base_url=server.url, headers={"Authorization": "Bearer x"}) as http,
    ):

        def edit(url: str, **more: Any) -> httpx2.Response:
            images = [{"image_url": url}]
            body = {"model": "gpt-image-2", "prompt": "x", "size": "1024x1024", "images": images}
            return http.post("/v1/images/edits", json=body | more)

        yield edit


def refusal(answer: httpx2.Response) -> str:
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["param"], error["code"]) == ("url", "invalid_value")
    message: str = error["message"]
    return message.removeprefix("Error while downloading file. Upstream status code: ")


@pytest.mark.slow
def test_an_allowed_host_is_fetched_from(shelf: str) -> None:
    with editing(remote_images="fetch", allow_host=(shelf,)) as edit:
        base = f"http://{shelf}"
        mask = {"image_url": f"{base}/mask.png"}
        for url in (f"{base}/blue.png", f"{base}/to?{base}/blue.png"):
            answer = edit(url, mask=mask)
            data = base64.b64decode(answer.json()["data"][0]["b64_json"])
            assert Image.open(BytesIO(data)).getpixel((1000, 500)) == BLUE


@pytest.mark.slow
def test_a_slow_host_does_not_hold_up_what_else_runs_in_threads(
    shelf: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ASKED.clear()
    RELEASED.clear()
    monkeypatch.setattr("images_emulator.http_server.MAX_THREADS", 1)
    with (
        editing(remote_images="fetch", allow_host=(shelf,)) as edit,
        ThreadPoolExecutor(1) as pool,
    ):
        url = str(edit("http://elsewhere.example/a").request.url).removesuffix("/v1/images/edits")
        held = pool.submit(edit, f"http://{shelf}/held")
        try:
            assert ASKED.wait(30)
            # This one waits in a thread, too.
            reset = httpx2.post(f"{url}/_emulator/clock", json={"reset": True})
            assert reset.status_code == 200
            assert not held.done()
        finally:
            RELEASED.set()


def test_a_fetch_ends_in_time_however_slow_the_name_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    released, waits = threading.Event(), []
    getaddrinfo = socket.getaddrinfo

    def slow(host: Any, *arguments: Any, **named: Any) -> Any:
        if host == "slow.example":
            waits.append(released.wait(20))
            raise socket.gaierror
        return getaddrinfo(host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    fetch = fetcher(Settings(remote_images="fetch", allow_host=("slow.example",)), seconds=0.2)
    try:
        with pytest.raises(APIError, match=r"Upstream status code: 502\."):
            fetch("http://slow.example/a.png")
        assert waits == []
    finally:
        released.set()


def test_a_fetch_goes_through_no_proxy(shelf: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    fetch = fetcher(Settings(remote_images="fetch", allow_host=(shelf,)))
    assert fetch(f"http://{shelf}/blue.png") == png((64, 64), "RGB", BLUE)


def test_hosts_are_compared_in_any_case(shelf: str) -> None:
    port = shelf.partition(":")[2]
    fetch = fetcher(Settings(remote_images="fetch", allow_host=(f"LocalHost:{port}",)))
    assert fetch(f"http://localHOST:{port}/blue.png") == png((64, 64), "RGB", BLUE)


@pytest.mark.slow
def test_failed_fetch_is_refused(shelf: str) -> None:
    with editing(remote_images="fetch", allow_host=(shelf,)) as edit:
        base = f"http://{shelf}"
        assert refusal(edit(f"{base}/none.png")) == "404."
        assert refusal(edit("http://localhost:1/a.png")) == "403."
        assert refusal(edit("https://[::1")) == "403."
        assert refusal(edit(f"{base}/to?http://localhost:1/a.png")) == "403."
        assert refusal(edit(f"{base}/to?file:///etc/passwd")) == "403."
        loop = f"{base}/to?/to?/to?/to?/to?/blue.png"
        assert refusal(edit(loop)) == "302."


@pytest.mark.slow
def test_a_fetched_body_past_the_limit_of_an_upload_is_refused(shelf: str) -> None:
    with editing(remote_images="fetch", allow_host=(shelf,)) as edit:
        assert refusal(edit(f"http://{shelf}/endless")) == "413."


def test_without_an_allowed_host_nothing_is_fetched(shelf: str) -> None:
    with editing(remote_images="fetch") as edit:
        assert refusal(edit(f"http://{shelf}/blue.png")) == "403."


def test_addresses_can_be_refused_altogether(shelf: str) -> None:
    with editing(remote_images="refuse", allow_host=(shelf,)) as edit:
        assert refusal(edit(f"http://{shelf}/blue.png")) == "403."


def test_by_default_a_drawing_stands_in(shelf: str) -> None:
    with editing(allow_host=(shelf,)) as edit:
        answer = edit(f"http://{shelf}/blue.png")
        data = base64.b64decode(answer.json()["data"][0]["b64_json"])
        assert Image.open(BytesIO(data)).getpixel((1000, 500)) != BLUE


@pytest.mark.slow
@pytest.mark.parametrize("path", ["slow-head", "slow-body"])
def test_a_fetch_ends_in_time_however_slow_the_host(shelf: str, path: str) -> None:
    fetch = fetcher(Settings(remote_images="fetch", allow_host=(shelf,)), seconds=0.2)
    for url in (f"http://{shelf}/{path}", f"http://{shelf}/to?/{path}"):
        with pytest.raises(APIError, match=r"Upstream status code: 502\."):
            fetch(url)


def test_the_body_of_a_redirect_is_not_read(shelf: str) -> None:
    fetch = fetcher(Settings(remote_images="fetch", allow_host=(shelf,)), seconds=5)
    assert fetch(f"http://{shelf}/slow-redirect") == png((64, 64), "RGB", BLUE)


def test_fetching_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx2", None)
    with pytest.raises(ValueError, match=r"pip install 'openai-images-emulator\[fetch\]'"):
        Settings(remote_images="fetch")
    Settings(remote_images="refuse")


def test_no_fetch_begins_when_its_time_is_up(shelf: str) -> None:
    fetch = fetcher(Settings(remote_images="fetch", allow_host=(shelf,)), seconds=0)
    with pytest.raises(APIError, match=r"Upstream status code: 502\."):
        fetch(f"http://{shelf}/blue.png")

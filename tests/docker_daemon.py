"""A stand-in for Docker's daemon: as much of its API as a container of the emulator needs. The
container is a server in this process, with the container's variables as settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final
from urllib.parse import urlsplit

from images_emulator import Server, Settings
from images_emulator.cli.configuration import parse_variables

ID: Final = "c0ffee" * 10 + "c0ff"
"""Id of the one container."""

VERSION: Final = {"Version": "28.0.0", "ApiVersion": "1.44", "MinAPIVersion": "1.24", "Os": "linux"}


class DockerDaemon:
    """What was asked of the daemon."""

    def __init__(self) -> None:
        self.created: dict[str, Any] = {}
        """The body of the call that makes a container."""
        self.image: str | None = None
        """The image that was looked for."""
        self.server: Server | None = None
        """The server in the container, while it runs."""
        self._running = ExitStack()

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """The status and the JSON for a call; *path* has no version in front."""
        match method, path.strip("/").split("/"):
            case "GET", ["version"]:
                return 200, VERSION
            case "GET", ["images", *name, "json"]:
                self.image = "/".join(name)
                return 200, {"Id": "sha256:0", "RepoTags": [self.image]}
            case "POST", ["containers", "create"]:
                self.created = body
                return 201, {"Id": ID, "Warnings": []}
            case "POST", ["containers", _, "start"]:
                variables = dict(each.split("=", 1) for each in body_list(self.created["Env"]))
                server = Server(Settings(port=0, **parse_variables(variables)))
                self.server = self._running.enter_context(server)
                return 204, None
            case "GET", ["containers", _, "json"]:
                return 200, self._state()
            case "DELETE", ["containers", _]:
                self.end()
                return 204, None
        return 404, {"message": f"there is no {method} {path} here"}

    @property
    def has_ended(self) -> bool:
        """Whether no container runs."""
        return self.server is None

    def end(self) -> None:
        """Close the server in the container."""
        self.server = None
        self._running.close()

    def _state(self) -> dict[str, Any]:
        port = str(self.server.port) if self.server else ""
        ports = {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": port}]}
        return {
            "Id": ID,
            "Name": "/emulator",
            "Image": "sha256:0",
            "State": {"Status": "running" if self.server else "exited"},
            "Config": {"Image": self.image, "Labels": {}},
            "NetworkSettings": {"Ports": ports, "Networks": {}},
        }


def body_list(value: Any) -> list[str]:
    """*value* as a list of texts; an absent one is empty."""
    return [*(value or [])]


@contextmanager
def docker_daemon() -> Iterator[tuple[DockerDaemon, str]]:
    """A daemon, with its address for `DOCKER_HOST`."""
    daemon = DockerDaemon()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(size) or b"null")
            path = urlsplit(self.path).path
            if path.startswith("/v1."):
                path = path[path.index("/", 1) :]
            status, document = daemon.answer(self.command, path, body)
            content = b"" if document is None else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = answer  # noqa: N815 - the names that the library looks for

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = Thread(target=http.serve_forever)
        thread.start()
        try:
            yield daemon, f"tcp://127.0.0.1:{http.server_port}"
        finally:
            http.shutdown()
            thread.join()
            daemon.end()

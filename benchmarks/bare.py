"""The smallest uvicorn app: it reads the body and answers prebuilt bytes.

    python -m benchmarks.bare PORT HTTP LOOP FOLDER

answers each path with the file of that name in FOLDER.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send


def create_app(folder: Path) -> ASGIApp:
    """An app that answers each path with the file of that name in *folder*, read now."""
    answers = {f"/{file.name}": file.read_bytes() for file in folder.iterdir()}
    starts: dict[str, Any] = {
        path: {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(body)),
            ],
        }
        for path, body in answers.items()
    }

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        path = scope["path"]
        await send(starts[path])
        await send({"type": "http.response.body", "body": answers[path]})

    return app


if __name__ == "__main__":
    port, http, loop, folder = sys.argv[1:]
    uvicorn.run(
        create_app(Path(folder)),
        port=int(port),
        http=http,
        loop=loop,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
    )

"""What is the emulator's own, under `/_emulator`."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from emulator.contract.tables import as_json
from emulator.web.recorder import OWN


async def health(request: Request) -> Response:
    """Answers as soon as the server accepts connections."""
    return JSONResponse({"status": "ok"})


async def models(request: Request) -> Response:
    """Each model's dates, and its JSON Schema for each endpoint."""
    return JSONResponse(as_json())


def routes() -> list[Route]:
    return [Route(f"{OWN}/health", health), Route(f"{OWN}/models", models)]

"""OpenAI's other paths, which this emulator does not serve, and says so."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from images_emulator.contract import errors
from images_emulator.contract.calendar import Policy
from images_emulator.web.authentication import Handler

PATHS: Final = (
    *("/responses", "/chat/completions", "/completions", "/embeddings", "/moderations"),
    *("/audio", "/batches", "/uploads", "/fine_tuning", "/assistants", "/threads"),
    *("/vector_stores", "/evals", "/realtime", "/containers", "/conversations", "/videos"),
)


def not_served(paths: list[str]) -> Handler:
    """A handler that names the *paths* that are served."""

    async def refused(request: Request, policy: Policy) -> Response:
        raise errors.not_served(
            method=request.method, path=request.url.path, paths=", ".join(paths)
        )

    return refused

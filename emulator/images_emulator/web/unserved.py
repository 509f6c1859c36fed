"""The answer at paths of OpenAI's API that this emulator does not serve."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from images_emulator.contract import emulator_errors
from images_emulator.contract.policy import Policy
from images_emulator.web.endpoints import Handler


def unserved_handler(paths: Sequence[str]) -> Handler:
    """A handler that refuses every call with a 404 that names the *paths* that are served."""

    async def raise_not_served(request: Request, policy: Policy) -> Response:
        raise emulator_errors.not_served(
            method=request.method, path=request.scope["path"], paths=", ".join(paths)
        )

    return raise_not_served

"""The routes: what path and method leads to which handler, and through which gate."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from http import HTTPMethod

from starlette.routing import Route

from emulator.contract.models import RETIRED
from emulator.contract.request import Endpoint
from emulator.state.emulator import Emulator
from emulator.state.hosting import PREFIX
from emulator.web import models
from emulator.web.azure import AzureGate
from emulator.web.elsewhere import PATHS, not_served
from emulator.web.files import FilesAPI
from emulator.web.gate import Gate, Handler
from emulator.web.images import Images, Named

ANY = list(HTTPMethod)
"""The gate looks at the method, after the key."""


def _handlers(
    emulator: Emulator, images: Images, named: Named | None = None
) -> Iterator[tuple[str, dict[str, Handler], date | None]]:
    files = FilesAPI(emulator)
    yield "/models", {"GET": models.list_models}, None
    yield "/models/{model:path}", {"GET": models.retrieve_model}, None
    yield "/files", {"GET": files.list_all, "POST": files.create}, None
    yield "/files/{file}", {"GET": files.retrieve, "DELETE": files.delete}, None
    yield "/files/{file}/content", {"GET": files.content}, None
    for endpoint in Endpoint:
        path = f"/images/{endpoint.value}"
        yield path, {"POST": images.handler(endpoint, named)}, RETIRED.get(endpoint)


def _azure(gate: AzureGate, images: Images) -> Iterator[Route]:
    """`AzureOpenAI` puts the deployment into the path, others the model into the body."""
    for endpoint in (Endpoint.GENERATIONS, Endpoint.EDITS):
        entered = gate.versioned({"POST": images.handler(endpoint, gate.deployed)})
        for path in (
            f"/openai/deployments/{{deployment}}/images/{endpoint.value}",
            f"/openai/images/{endpoint.value}",
        ):
            yield Route(path, entered, methods=ANY)


def routes(emulator: Emulator) -> list[Route]:
    """All routes but the emulator's own. Raises ValueError for a setting that they cannot use."""
    images, gate, azure = Images(emulator), Gate(emulator), AzureGate(emulator)
    doors: list[tuple[str, Gate, Named | None]] = [
        ("/v1", gate, None),
        ("", gate, None),
        ("/openai/v1", azure, azure.deployed),
    ]
    served = [f"/v1{path.replace(':path', '')}" for path, _, _ in _handlers(emulator, images)]
    elsewhere: dict[str, Handler] = dict.fromkeys(map(str, HTTPMethod), not_served(served))
    return [
        *(
            Route(prefix + path, door.guarded(methods, retired), methods=ANY)
            for prefix, door, named in doors
            for path, methods, retired in _handlers(emulator, images, named)
        ),
        *_azure(azure, images),
        *(
            Route(f"{prefix}{path}{rest}", door.guarded(elsewhere), methods=ANY)
            for prefix, door, _ in doors
            for path in PATHS
            for rest in ("", "/{rest:path}")
        ),
        Route(
            "/openai/deployments/{deployment}/{rest:path}", azure.guarded(elsewhere), methods=ANY
        ),
        Route(f"{PREFIX}{{name:path}}", images.hosted, methods=["GET"]),
    ]

"""The routes: what path and method leads to which handler, and through which gate."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from http import HTTPMethod

from starlette.routing import Route

from emulator.contract.azure import OPERATIONS
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
    for endpoint in OPERATIONS if named else Endpoint:
        path = f"/images/{endpoint.value}"
        yield path, {"POST": images.handler(endpoint, named)}, RETIRED.get(endpoint)


def _deployments(gate: AzureGate, images: Images) -> Iterator[Route]:
    """The operations of Azure's deployments, by endpoint."""
    for endpoint in OPERATIONS:
        entered = gate.versioned(endpoint, images.handler(endpoint, gate.model_of_deployment))
        yield Route(f"/openai/deployments/{{deployment}}/images/{endpoint}", entered, methods=ANY)


def routes(emulator: Emulator) -> list[Route]:
    """All routes but the emulator's own. Raises ValueError for a setting that they cannot use."""
    images, gate, azure = Images(emulator), Gate(emulator), AzureGate(emulator)
    doors: list[tuple[str, Gate, Named | None]] = [
        ("/v1", gate, None),
        ("", gate, None),
        ("/openai/v1", azure, azure.model_of_deployment),
    ]
    served = [f"/v1{path.replace(':path', '')}" for path, _, _ in _handlers(emulator, images)]
    elsewhere: dict[str, Handler] = dict.fromkeys(map(str, HTTPMethod), not_served(served))
    return [
        *(
            Route(prefix + path, door.guarded(methods, retired), methods=ANY)
            for prefix, door, named in doors
            for path, methods, retired in _handlers(emulator, images, named)
        ),
        *_deployments(azure, images),
        *(
            Route(f"{prefix}{path}{rest}", door.guarded(elsewhere), methods=ANY)
            for prefix, door in (
                *((prefix, door) for prefix, door, _ in doors),
                ("/openai/deployments/{deployment}", azure),
            )
            for path in PATHS
            for rest in ("", "/{rest:path}")
        ),
        Route(f"{PREFIX}{{name:path}}", images.hosted, methods=["GET"]),
    ]

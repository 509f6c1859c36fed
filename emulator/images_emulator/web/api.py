"""The routes: what path and method leads to which handler, and through which gate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from http import HTTPMethod
from typing import Final, NamedTuple

from starlette.routing import Route

from images_emulator.contract.azure import OPERATIONS
from images_emulator.contract.models import RETIRED
from images_emulator.contract.request import Endpoint
from images_emulator.state.emulator import Emulator
from images_emulator.state.hosting import PREFIX
from images_emulator.web import models
from images_emulator.web.authentication import ApiAuth, Handler
from images_emulator.web.azure import AzureAuth
from images_emulator.web.elsewhere import PATHS, not_served
from images_emulator.web.files import FilesAPI
from images_emulator.web.images import Images, Named

ANY = list(HTTPMethod)
"""The gate looks at the method, after the key."""

DEPLOYMENTS: Final = "/openai/deployments/{deployment}"


class RouteGroup(NamedTuple):
    """The paths under one prefix: the gate in front of them, the operations of the Images API among
    them, and who says the model where the body does not."""

    prefix: str
    gate: ApiAuth
    endpoints: Iterable[Endpoint]
    named: Named | None = None


def _handlers(
    emulator: Emulator, images: Images, group: RouteGroup
) -> Iterator[tuple[str, dict[str, Handler], date | None]]:
    files = FilesAPI(emulator)
    yield "/models", {"GET": models.list_models}, None
    yield "/models/{model:path}", {"GET": models.retrieve_model}, None
    yield "/files", {"GET": files.list_all, "POST": files.create}, None
    yield "/files/{file}", {"GET": files.retrieve, "DELETE": files.delete}, None
    yield "/files/{file}/content", {"GET": files.content}, None
    for endpoint in group.endpoints:
        path = f"/images/{endpoint.value}"
        yield path, {"POST": images.handler(endpoint, group.named)}, RETIRED.get(endpoint)


def _deployments(gate: AzureAuth, images: Images) -> Iterator[Route]:
    """The operations of Azure's deployments, by endpoint."""
    for endpoint in OPERATIONS:
        entered = gate.versioned(endpoint, images.handler(endpoint, gate.model_of_deployment))
        yield Route(f"{DEPLOYMENTS}/images/{endpoint}", entered, methods=ANY)


def _elsewhere(prefix: str, gate: ApiAuth, served: list[str]) -> Iterator[Route]:
    """OpenAI's other paths under *prefix*, where an answer names those that are *served*."""
    refused: dict[str, Handler] = dict.fromkeys(map(str, HTTPMethod), not_served(served))
    for path in PATHS:
        for rest in ("", "/{rest:path}"):
            yield Route(f"{prefix}{path}{rest}", gate.guarded(refused), methods=ANY)


def routes(emulator: Emulator) -> list[Route]:
    """All routes but the emulator's own. Raises ValueError for a setting that they cannot use."""
    images, gate, azure = Images(emulator), ApiAuth(emulator), AzureAuth(emulator)
    openai = RouteGroup("/v1", gate, Endpoint)
    azure_v1 = RouteGroup("/openai/v1", azure, OPERATIONS, azure.model_of_deployment)

    def served(group: RouteGroup) -> list[str]:
        handlers = _handlers(emulator, images, group)
        return [f"{group.prefix}{path.replace(':path', '')}" for path, _, _ in handlers]

    deployments = list(_deployments(azure, images))
    azure_served = [*(route.path for route in deployments), *served(azure_v1)]
    return [
        *(
            Route(group.prefix + path, group.gate.guarded(methods, retired), methods=ANY)
            for group in (openai, openai._replace(prefix=""), azure_v1)
            for path, methods, retired in _handlers(emulator, images, group)
        ),
        *deployments,
        *_elsewhere("/v1", gate, served(openai)),
        *_elsewhere("", gate, served(openai)),
        *_elsewhere("/openai/v1", azure, azure_served),
        *_elsewhere(DEPLOYMENTS, azure, azure_served),
        Route(f"{PREFIX}{{name:path}}", images.hosted, methods=()),
    ]

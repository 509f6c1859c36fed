"""The API's routes: each operation of each mount, with the endpoint of the mount's provider. A new
endpoint begins with a row in `contract/operations.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPMethod

from images_emulator.contract.operations import (
    CREATE_FILE,
    DELETE_FILE,
    DOWNLOAD_FILE,
    LIST_FILES,
    LIST_MODELS,
    MOUNTS,
    RETRIEVE_FILE,
    RETRIEVE_MODEL,
    UNSERVED_SUBPATHS,
    Mount,
    Operation,
    Provider,
)
from images_emulator.state.emulator import Emulator
from images_emulator.state.hosting import DOWNLOAD_PREFIX
from images_emulator.web import models_api
from images_emulator.web.azure_endpoints import AzureEndpoints
from images_emulator.web.downloads_api import DownloadsAPI
from images_emulator.web.endpoints import Handler, OpenAIEndpoints, ServedMethod
from images_emulator.web.files_api import FilesAPI
from images_emulator.web.images_api import ImagesAPI
from images_emulator.web.route import Route
from images_emulator.web.unserved import unserved_handler


def _handlers(emulator: Emulator) -> Mapping[Operation, Handler]:
    """The handlers of the operations that are no image operations."""
    files = FilesAPI(emulator)
    return {
        LIST_MODELS: models_api.list_models,
        RETRIEVE_MODEL: models_api.retrieve_model,
        LIST_FILES: files.list_all,
        CREATE_FILE: files.create,
        RETRIEVE_FILE: files.retrieve,
        DELETE_FILE: files.delete,
        DOWNLOAD_FILE: files.content,
    }


def _by_subpath(operations: Sequence[Operation]) -> Mapping[str, Sequence[Operation]]:
    """*operations* by their subpaths. Operations with different methods may share one."""
    by_subpath: dict[str, list[Operation]] = {}
    for operation in operations:
        by_subpath.setdefault(operation.subpath, []).append(operation)
    return by_subpath


def paths_of(provider: Provider) -> list[str]:
    """The paths at which *provider* serves operations, with parameters in braces, each once.
    OpenAI's paths without a prefix are left out, because they are the same operations again."""
    mounts = [mount for mount in MOUNTS if mount.provider is provider and mount.prefix]
    paths = (mount.prefix + each.subpath for mount in mounts for each in mount.operations)
    return [*dict.fromkeys(path.replace(":path", "") for path in paths)]


def routes(emulator: Emulator) -> list[Route]:
    """The routes of the API and of hosted pictures. Raises LookupError for an
    operation without a handler."""
    images, handlers = ImagesAPI(emulator), _handlers(emulator)
    azure = AzureEndpoints(emulator)
    endpoints = {Provider.OPENAI: OpenAIEndpoints(emulator), Provider.AZURE: azure}

    def handler(mount: Mount, operation: Operation) -> Handler:
        if not operation.image_kind:
            if operation not in handlers:
                raise LookupError(
                    f"`_handlers` of web/route_table.py needs an entry for {operation}"
                )
            return handlers[operation]
        if mount.provider is Provider.OPENAI:
            return images.handler()
        return images.handler(azure.model_of_deployment)

    def served(mount: Mount) -> Iterator[Route]:
        for subpath, operations in _by_subpath(mount.operations).items():
            methods = {each.method: ServedMethod(handler(mount, each), each) for each in operations}
            yield Route(mount.prefix + subpath, endpoints[mount.provider].endpoint_of(methods))

    def unserved(mount: Mount) -> Iterator[Route]:
        refuse = ServedMethod(unserved_handler(paths_of(mount.provider)))
        endpoint = endpoints[mount.provider].endpoint_of(
            dict.fromkeys(map(str, HTTPMethod), refuse)
        )
        for subpath in UNSERVED_SUBPATHS:
            for rest in ("", "/{rest:path}"):
                yield Route(f"{mount.prefix}{subpath}{rest}", endpoint)

    return [
        *(route for mount in MOUNTS for route in served(mount)),
        *(route for mount in MOUNTS for route in unserved(mount)),
        Route(f"{DOWNLOAD_PREFIX}{{name:path}}", DownloadsAPI(emulator).download),
    ]

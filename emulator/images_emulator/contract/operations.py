"""The operations table, with one row for each operation of the API. An operation is an HTTP method
at a path, which documentation calls an endpoint. A new endpoint begins here. All that it touches is
in `.github/CONTRIBUTING.md`.

A row has its path, the media types of bodies, default models, event names, and the days on which
all of that holds. Routes, validation, faults, journal, schemas and tests read it. `MOUNTS` has the
prefixes under which OpenAI and Azure serve operations. The rules of a model at an operation are in
`models.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from datetime import date
from enum import Enum
from typing import Final, NamedTuple

from images_emulator.contract import errors
from images_emulator.contract.calendar import (
    ALWAYS,
    JSON_EDITS_SINCE,
    LAST_DAY_OF_OLDER_STACK,
    AsOf,
    Day,
    Period,
    is_before_gateway,
)
from images_emulator.contract.message_format import Words
from images_emulator.immutable import Immutable

JSON: Final = "application/json"
FORM: Final = "multipart/form-data"
"""The media types of bodies."""

DALLE_SHUTDOWN: Final = date(2026, 5, 12)
"""The day on which dall-e-2 and dall-e-3 were shut down, and with them variations, which only
dall-e-2 served."""

JSON_EDITS_DAYS: Final = Period(since=JSON_EDITS_SINCE)
"""The days on which edits read JSON."""

DefaultModels = Sequence[tuple[Period, tuple[str, ...]]]
"""The default models of calls that name no model, by period. A call gets the first model, or a
later one where it has a parameter that only the later one takes. Under `any` the first period
counts. On a day in no period, `model` is required."""


class ImageKind(Enum):
    """How the pictures of an operation are made; `imaging/render.py` has a function for each."""

    FROM_PROMPT = "from prompt"
    EDIT = "edit"
    VARIATION = "variation"


class RequestBody(NamedTuple):
    """A media type that an operation reads: the days on which the operation reads it, and the
    default models of such bodies."""

    period: Period = ALWAYS
    default_models: DefaultModels = ()


class AzureOperation(NamedTuple):
    """An operation at Azure: its name in Azure's messages, and the date of the first `api-version`
    that has it."""

    name: str
    since: date


class Operation(Immutable, kw_only=True, eq=False):
    """One operation of the API. Rows are compared by identity, also after pickling."""

    name: str
    """A word that no other row has; of image operations it is the last segment of the path."""
    method: str
    """The HTTP method, in capitals. A GET row answers HEAD too."""
    subpath: str
    """The path behind a provider's prefix (see `MOUNTS`), with parameters as in Starlette's
    routes: `/files/{file}`."""
    bodies: Mapping[str, RequestBody] = field(default_factory=dict)
    """The request bodies that it reads, by media type."""
    image_kind: ImageKind | None = None
    """How the operation's pictures are made. None for an operation that makes none: whatever its
    path, it is no image operation, and `_handlers` of `web/route_table.py` names its handler."""
    event_name: str | None = None
    """The beginning of the names of its events; None where it has no streams."""
    only_model: str | None = None
    """The model that serves every call. A call that names another one is refused. None where
    `model` decides."""
    period: Period = ALWAYS
    """The days on which the operation exists. On other days its path is answered as an unknown one,
    before the key is checked."""
    stayed_on_older_stack: bool = False
    """Whether it is an image operation that never moved to the gateway. Then its errors have the
    older stack's messages, key order and final newline on all days; see `GATEWAY_SINCE`."""
    azure: AzureOperation | None = None
    """This operation at Azure, if Azure has it under a deployment's path."""
    is_on_azure_v1: bool = False
    """Whether Azure has it under `/openai/v1`, too."""

    def __str__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Callable[[str], Operation], tuple[str]]:
        return _row_of_name, (self.name,)

    @property
    def path(self) -> str:
        """The path at OpenAI."""
        return f"/v1{self.subpath}"

    @property
    def reads_uploads(self) -> bool:
        """Whether calls may carry files."""
        return FORM in self.bodies

    def accepted_media_type(self, content_type: str, as_of: AsOf) -> str:
        """The media type that the header *content_type* names, in lower case. Raises APIError where
        no such body is read on that day."""
        name = content_type.partition(";")[0].strip()
        body = self.bodies.get(name.lower())
        if body and as_of in body.period:
            return name.lower()
        accepted = Words(each for each, body in self.bodies.items() if as_of in body.period)
        raise errors.unsupported_content_type(content_type=name, listed=accepted)

    def message_day(self, day: Day) -> Day:
        """The day whose messages the operation's errors have on *day*; None for the newest ones.
        For an operation that stayed on the older stack, it is that stack's last day at most."""
        return (
            min(day or LAST_DAY_OF_OLDER_STACK, LAST_DAY_OF_OLDER_STACK)
            if self.stayed_on_older_stack
            else day
        )

    def is_on_older_stack(self, day: Day) -> bool:
        """Whether the older stack judges the operation's calls on *day*. It judged the calls of all
        operations once, and judges those of an operation that stayed on it on all days."""
        return is_before_gateway(self.message_day(day))


# The documentation named a default model until 2026-10, but a missing one was recorded as refused
# on 2026-08-29, "since the DALL·E retirement".
_DALLE_DAYS: Final = Period(until=DALLE_SHUTDOWN)

GENERATIONS: Final = Operation(
    name="generations",
    method="POST",
    subpath="/images/generations",
    bodies={JSON: RequestBody(default_models=[(_DALLE_DAYS, ("dall-e-2", "gpt-image-1"))])},
    image_kind=ImageKind.FROM_PROMPT,
    event_name="image_generation",
    azure=AzureOperation("ImageGenerations_Create", date(2023, 6, 1)),
    is_on_azure_v1=True,
)

EDITS: Final = Operation(
    name="edits",
    method="POST",
    subpath="/images/edits",
    bodies={
        FORM: RequestBody(
            default_models=[
                (Period(until=date(2026, 2, 10)), ("dall-e-2", "gpt-image-1")),
                (Period(date(2026, 2, 10), DALLE_SHUTDOWN), ("gpt-image-1.5",)),
            ]
        ),
        JSON: RequestBody(JSON_EDITS_DAYS, [(_DALLE_DAYS, ("gpt-image-1.5",))]),
    },
    image_kind=ImageKind.EDIT,
    event_name="image_edit",
    # The name was not recorded; it is the reference's heading "Image generations - Edit".
    azure=AzureOperation("ImageGenerations_Edit", date(2025, 4, 1)),
    is_on_azure_v1=True,
)

VARIATIONS: Final = Operation(
    name="variations",
    method="POST",
    subpath="/images/variations",
    bodies={FORM: RequestBody(default_models=[(_DALLE_DAYS, ("dall-e-2",))])},
    image_kind=ImageKind.VARIATION,
    only_model="dall-e-2",
    period=_DALLE_DAYS,
    # Recorded until 2025-09.
    stayed_on_older_stack=True,
)

LIST_MODELS: Final = Operation(
    name="list_models", method="GET", subpath="/models", is_on_azure_v1=True
)
RETRIEVE_MODEL: Final = Operation(
    name="retrieve_model", method="GET", subpath="/models/{model:path}", is_on_azure_v1=True
)

LIST_FILES: Final = Operation(
    name="list_files", method="GET", subpath="/files", is_on_azure_v1=True
)
CREATE_FILE: Final = Operation(
    name="create_file",
    method="POST",
    subpath="/files",
    bodies={FORM: RequestBody()},
    is_on_azure_v1=True,
)
RETRIEVE_FILE: Final = Operation(
    name="retrieve_file", method="GET", subpath="/files/{file}", is_on_azure_v1=True
)
DELETE_FILE: Final = Operation(
    name="delete_file", method="DELETE", subpath="/files/{file}", is_on_azure_v1=True
)
DOWNLOAD_FILE: Final = Operation(
    name="download_file", method="GET", subpath="/files/{file}/content", is_on_azure_v1=True
)
OPERATIONS: Final[Mapping[str, Operation]] = {
    operation.name: operation
    for operation in (
        LIST_MODELS,
        RETRIEVE_MODEL,
        LIST_FILES,
        CREATE_FILE,
        RETRIEVE_FILE,
        DELETE_FILE,
        DOWNLOAD_FILE,
        GENERATIONS,
        EDITS,
        VARIATIONS,
    )
}
"""All rows, by name, in the order in which answers list the paths."""

IMAGE_OPERATIONS: Final[Mapping[str, Operation]] = {
    name: operation for name, operation in OPERATIONS.items() if operation.image_kind
}
"""The operations that make pictures, by name."""


def _row_of_name(name: str) -> Operation:
    return OPERATIONS[name]


AZURE_PREFIX: Final = "/openai/"
"""The beginning of all Azure paths, and of no other path."""

DEPLOYMENTS_PREFIX: Final = f"{AZURE_PREFIX}deployments/"
"""The part of a path before the name of the deployment."""


class Provider(Enum):
    """A provider of the API, with its own paths, checks of keys, and refusals."""

    OPENAI = "OpenAI"
    AZURE = "Azure"


def provider_at(path: str) -> Provider:
    """The provider that serves *path*."""
    return Provider.AZURE if path.startswith(AZURE_PREFIX) else Provider.OPENAI


class Mount(NamedTuple):
    """A prefix under which a provider serves operations. In it, `{deployment}` stands for one
    segment, the name of a deployment of one model. Paths of deployments need an `api-version`."""

    prefix: str
    provider: Provider
    operations: Sequence[Operation]

    @property
    def names_deployment(self) -> bool:
        """Whether paths under the prefix name a deployment."""
        return "{deployment}" in self.prefix


UNSERVED_SUBPATHS: Final = (
    "/responses",
    "/chat/completions",
    "/completions",
    "/embeddings",
    "/moderations",
    "/audio",
    "/batches",
    "/uploads",
    "/fine_tuning",
    "/assistants",
    "/threads",
    "/vector_stores",
    "/evals",
    "/realtime",
    "/containers",
    "/conversations",
    "/videos",
)
"""Subpaths of OpenAI's other endpoints. The emulator refuses them and all paths below them. A
subpath that gets an endpoint must be removed from here."""

_ON_AZURE: Final = [operation for operation in OPERATIONS.values() if operation.azure]

MOUNTS: Final[Sequence[Mount]] = (
    Mount("/v1", Provider.OPENAI, [*OPERATIONS.values()]),
    # For clients whose base URL lacks the version.
    Mount("", Provider.OPENAI, [*OPERATIONS.values()]),
    Mount(f"{DEPLOYMENTS_PREFIX}{{deployment}}", Provider.AZURE, _ON_AZURE),
    Mount(
        f"{AZURE_PREFIX}v1",
        Provider.AZURE,
        [operation for operation in OPERATIONS.values() if operation.is_on_azure_v1],
    ),
)
"""The prefixes of the API. Each path of the API is one of these prefixes and a row's `subpath`."""

_BY_PATH: Final[Mapping[str, Operation]] = {
    mount.prefix + operation.subpath: operation
    for mount in MOUNTS
    if not mount.names_deployment
    for operation in mount.operations
    if operation.image_kind
}
_BY_SUBPATH_OF_DEPLOYMENT: Final = {each.subpath: each for each in _ON_AZURE if each.image_kind}


def image_operation_at(path: str) -> Operation | None:
    """The image operation at *path*; None for every other path. Neither the method nor the day of
    the call is looked at."""
    operation = _BY_PATH.get(path)
    if operation is None and path.startswith(DEPLOYMENTS_PREFIX):
        deployment, slash, rest = path[len(DEPLOYMENTS_PREFIX) :].partition("/")
        return _BY_SUBPATH_OF_DEPLOYMENT.get(slash + rest) if deployment else None
    return operation

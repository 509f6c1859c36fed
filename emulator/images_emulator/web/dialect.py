"""The dialect of a call, and what its sentences name of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

from starlette.types import Scope

from images_emulator.contract import azure
from images_emulator.contract.azure import AZURE
from images_emulator.contract.dialect import OPENAI, Dialect
from images_emulator.contract.operations import Operation

DEPLOYMENT: Final = re.compile(rf"{azure.PREFIX}deployments/([^/]+)/")


def dialect_at(path: str) -> Dialect:
    """The dialect that is spoken at *path*."""
    return AZURE if path.startswith(azure.PREFIX) else OPENAI


def dialect_of(scope: Scope) -> Dialect:
    """The dialect that the recorder noted for this call; OpenAI's for what is no call."""
    dialect: Dialect = scope.get("state", {}).get("dialect", OPENAI)
    return dialect


def api_version(scope: Scope) -> str:
    """The `api-version` in the query, or nothing."""
    text: str = scope["query_string"].decode("latin-1")
    query = parse_qs(text)
    return query.get("api-version", [""])[0]


def deployment_of(scope: Scope, model: object) -> str:
    """The deployment that the path names, or else the body as its *model*."""
    match = DEPLOYMENT.match(scope["path"])
    return match.group(1) if match else str(model or "")


def admit(scope: Scope, deployment: str | None = None) -> None:
    """Note that this call came past Azure's gateway, and to which *deployment*."""
    scope["state"].update(admitted=True, deployment=deployment)


def sentence_facts(
    scope: Scope, operation: Operation | None, deployment: str, model: str
) -> Mapping[str, str]:
    """What the sentences of its dialect name of this call beside what OpenAI's do."""
    return dialect_of(scope).facts(operation, deployment, model, api_version(scope))

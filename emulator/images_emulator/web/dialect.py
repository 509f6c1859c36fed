"""The dialect of a path, and what its sentences name of a call."""

from __future__ import annotations

from collections.abc import Mapping

from images_emulator.contract import azure
from images_emulator.contract.azure import AZURE
from images_emulator.contract.dialect import OPENAI, Dialect
from images_emulator.contract.operations import AZURE_PREFIX
from images_emulator.exchange.exchange import Exchange


def dialect_at(path: str) -> Dialect:
    """The dialect that is spoken at *path*."""
    return AZURE if path.startswith(AZURE_PREFIX) else OPENAI


def deployment_of(exchange: Exchange, model: object) -> str:
    """The deployment that the path names, or else the body as its *model*."""
    return azure.deployment_in(exchange.path) or str(model or "")


def dialect_fields(exchange: Exchange, deployment: str, model: str) -> Mapping[str, str]:
    """What the sentences of its dialect name of this call beside what OpenAI's do."""
    head, dialect = exchange.head, exchange.dialect
    return dialect.error_fields(exchange.operation, deployment, model, head.api_version)

"""Which dialect a call meets: OpenAI's (`dialect.py`) or Azure's (`azure.py`)."""

from __future__ import annotations

from images_emulator.contract.azure import AZURE
from images_emulator.contract.dialect import OPENAI, Dialect, HostedURLs
from images_emulator.contract.operations import Provider, provider_at


def dialect_at(path: str) -> Dialect:
    """The dialect of the answers at *path*."""
    return AZURE if provider_at(path) is Provider.AZURE else OPENAI


def hosted_urls_of(name: str) -> HostedURLs:
    """The form, Azure's or OpenAI's, of the URLs of the hosted picture at `/private/` + *name*."""
    beginning, _, _ = AZURE.hosted_urls.path.partition("{")
    return AZURE.hosted_urls if name.startswith(beginning) else OPENAI.hosted_urls

"""Servers that share a store in Redis, and calls of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import httpx2

from images_emulator import Server
from tests.conftest import KEY
from tests.redis_server import new_store_name, shared_redis

NOW: Final = datetime(2026, 11, 26, 12, tzinfo=UTC)
BODY: Final = {"model": "dall-e-2", "prompt": "x", "size": "256x256"}

RECOVERY_SECONDS: Final = 10
"""Seconds in which a test expects what takes a quarter of one on a machine that is not busy."""

Replicas = tuple[Server, Server]


def replicas_of(url: str, **settings: Any) -> Iterator[Replicas]:
    settings = {"store": url, "store_name": new_store_name(), **settings}
    with Server(**settings) as one, Server(**settings) as other:
        yield one, other


def two_replicas() -> Iterator[Replicas]:
    """Two servers on the Redis of all tests; for a fixture `replicas`."""
    yield from replicas_of(shared_redis().url)


def client_with_key() -> Iterator[httpx2.Client]:
    """A client of any server; for a fixture `http`."""
    with httpx2.Client(headers={"Authorization": f"Bearer {KEY}"}, timeout=30) as http:
        yield http


def generate(http: httpx2.Client, server: Server, **fields: Any) -> httpx2.Response:
    return http.post(f"{server.base_url}/images/generations", json={**BODY, **fields})

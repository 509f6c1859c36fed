"""One real server on a free port for all tests, emptied before each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest
import pytest_asyncio
from openai import AsyncOpenAI, OpenAI

from emulator import Emulator, Server, Settings

pytest_plugins = ("emulator.pytest_plugin", "pytester")

KEY = "sk-test"


@pytest.fixture(scope="session")
def running() -> Iterator[Server]:
    with Server(Settings(port=0)) as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    running.emulator.reset()
    return running


@pytest.fixture
def emulator(server: Server) -> Emulator:
    return server.emulator


@pytest.fixture(scope="session")
def connected(running: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=running.base_url, api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture
def client(server: Server, connected: OpenAI) -> OpenAI:
    return connected


@pytest_asyncio.fixture
async def async_client(server: Server) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture(scope="session")
def plain_http(running: Server) -> Iterator[httpx2.Client]:
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx2.Client(base_url=running.url, headers=headers, timeout=60) as client:
        yield client


@pytest.fixture
def http(server: Server, plain_http: httpx2.Client) -> httpx2.Client:
    """Plain HTTP with a key, for what the SDK does not let pass."""
    return plain_http

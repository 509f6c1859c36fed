"""One real server on a free port for all tests, emptied before each of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from openai import AsyncOpenAI, OpenAI

from emulator import Emulator, Server, Settings

pytest_plugins = ("emulator.pytest_plugin", "pytester")

KEY = "sk-test"

ENVIRONMENT = dict(os.environ)
"""The variables as they were, for programs that speak TLS."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that may take more than the usual time come first: a worker of pytest-xdist that began
    one of them last would keep the others waiting."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)


Node = Callable[..., Any]
"""Runs a script for Node.js with arguments; what it prints, from JSON."""


@pytest.fixture(scope="session", autouse=True)
def no_certificates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No client here speaks TLS, and each new one would read all the system's certificates, which
    takes longer than most tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SSL_CERT_FILE", raising=False)
        patch.setenv("SSL_CERT_DIR", str(tmp_path_factory.mktemp("certificates")))
        yield


@pytest.fixture(scope="session")
def running() -> Iterator[Server]:
    with Server(Settings(port=0)) as server:
        yield server


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    """Node.js with OpenAI's SDK, and with Vercel's AI SDK for Azure."""
    npm, runtime = shutil.which("npm"), shutil.which("node")
    if not npm or not runtime:
        pytest.skip("needs Node.js")
    folder = tmp_path_factory.mktemp("node")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    packages = ["openai@6.49.0", "ai@6.0.326", "@ai-sdk/azure@3.0.128"]
    install = [npm, "install", "--silent", "--no-audit", "--no-fund", *packages]
    subprocess.run(install, cwd=folder, check=True, env=ENVIRONMENT)

    def run(script: str, *arguments: str) -> Any:
        (folder / "client.js").write_text(script)
        command = [runtime, "client.js", *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


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

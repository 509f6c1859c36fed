"""One real server on a free port for all tests, emptied before each of them."""

from __future__ import annotations

import gc
import inspect
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache, partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, groupby, islice
from operator import attrgetter
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from reliability import flakes

# The process that hands out tests to the workers of pytest-xdist loads this file as well: what only
# tests need is imported by the fixtures.
if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI, OpenAI
    from playwright.async_api import Browser, Page

    from images_emulator import Emulator, Server
    from images_emulator.state.store import Store

pytest_plugins = ("images_emulator.pytest_plugin", "pytester", "tests.socket_origins")

KEY = "sk-test"

PATIENCE_SECONDS = 60.0
"""Seconds that a client waits which is given no other time."""

ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name not in flakes.CLOCK_VARIABLES
}
"""The variables as they were, for programs that speak TLS, whose certificates are valid by the real
clock, also where the tests run on another day."""

ROOT = Path(__file__).parent.parent

CACHE = ROOT / ".pytest_cache"
"""What sessions leave for the next ones; pytest makes it, and keeps it out of git."""

if sys.dont_write_bytecode:
    # Each worker of pytest-xdist would compile the tests and the emulator again, which takes five
    # seconds, and each of the many processes that the tests start would compile the emulator, which
    # takes a third of a server's start. No file appears beside a module for it.
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(CACHE / "bytecode")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--store",
        choices=("memory", "redis"),
        default="memory",
        help="the store of the emulators that tests make in their own process: memory, or a Redis"
        " that the session starts, with a name for each of them (default: memory)",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.option.store == "redis":
        from tests.redis_server import missing_part  # noqa: PLC0415 - only tests need it

        if missing := missing_part():
            raise pytest.UsageError(f"--store redis {missing}")
        # Connections of an application that a test calls on an event loop of its own are not
        # closed. In memory there are none, and a test that leaves something else open fails.
        for message in ("unclosed", "loop is closed"):
            config.addinivalue_line("filterwarnings", f"ignore:{message}:ResourceWarning")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Collect the connections of the last tests, while their warnings are ignored."""
    if session.config.option.store == "redis":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Half as many again as cores: slow tests wait for processes, signals and sockets, and each
    worker has to import and collect all. A worker that is done takes tests from the others."""
    if config.option.dist == "no":
        config.option.dist = "worksteal"
    if os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS"):
        return None
    cores = os.cpu_count() or 1
    return cores if config.option.markexpr == "not slow" else 3 * cores // 2


def pytest_collection_finish() -> None:
    """What has been imported and collected stays; the garbage collector need not look at it."""
    gc.collect()
    gc.freeze()


MAKES_EMULATOR = re.compile(r"\b(Emulator|Server|create_app|running)\(")
"""A module of tests that has this makes emulators of its own."""


SERVER_FIXTURES = frozenset({"running", "images_emulator_server", "play"})
"""The fixtures that start servers, of the session or of `tests/replays.py`."""


@cache
def _has_maker(path: Path) -> bool:
    return bool(MAKES_EMULATOR.search(path.read_text()))


def _makes_emulator(item: pytest.Item) -> bool:
    """Whether *item* calls a server of a fixture, or its module may make an emulator."""
    fixtures = item.fixturenames if isinstance(item, pytest.Function) else ()
    return not SERVER_FIXTURES.isdisjoint(fixtures) or _has_maker(item.path)


def _select_for_redis(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out of *items* those that make no emulator in their process, which are the same with
    any store, and skip those with the marker `not_on_redis`."""
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        if marker := item.get_closest_marker("not_on_redis"):
            item.add_marker(pytest.mark.skip(reason=f"not on Redis: {marker.args[0]}"))
        (kept if marker or _makes_emulator(item) else left_out).append(item)
    config.hook.pytest_deselected(items=left_out)
    items[:] = kept


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not for the store of the option `--store`.

    Long tests come first in the share of each worker of pytest-xdist, module by module: one that
    was begun last would keep the other workers waiting. Shares are the equal parts, one after the
    other, that each worker gets at first."""
    if config.option.store != "memory":
        _select_for_redis(config, items)
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long: list[pytest.Item] = []
    short: list[pytest.Item] = []
    for item in items:
        is_long = any(map(item.get_closest_marker, ("slow", "timeout")))
        (long if is_long else short).append(item)
    rest = iter(short)
    shares: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for number, (_, module) in enumerate(groupby(long, key=attrgetter("path"))):
        shares[number % workers].extend(module)
    left = len(items)
    for number, share in enumerate(shares):
        share.extend(islice(rest, max(0, left // (workers - number) - len(share))))
        left -= len(share)
    items[:] = [*chain(*shares), *rest]


CHROMIUM_FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    # The first two load a page of the browser's own beside each new page, which takes as much of
    # the processor. This replaces the list of Playwright, to which the others belong.
    "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup,AimEnabled,LensOverlay,MediaRouter,"
    "HttpsUpgrades,HttpsFirstBalancedModeAutoEnable,OptimizationHints,PaintHolding,"
    "PreconnectToSearch,DestroyProfileOnBrowserClose,ThirdPartyStoragePartitioning,"
    "AvoidUnnecessaryBeforeUnloadCheckSync",
]

Node = Callable[..., Any]
"""Runs a script for Node.js with arguments; what it prints, from JSON."""


@pytest.fixture(scope="session", autouse=True)
def no_certificates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No client here speaks TLS, and each new one would read all the system's certificates, which
    takes longer than most tests. Only REMOTE_BASE_URL may lead to a server that has one."""
    if "REMOTE_BASE_URL" in os.environ:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SSL_CERT_FILE", raising=False)
        patch.setenv("SSL_CERT_DIR", str(tmp_path_factory.mktemp("certificates")))
        yield


@pytest.fixture(scope="session", autouse=True)
def patient_clients() -> Iterator[None]:
    """HTTPX waits five seconds, in which a server that has a tenth of a core may not load what its
    first call needs."""
    import httpx2  # noqa: PLC0415 - only tests need it

    # The default value of all its functions is this one object.
    default = inspect.signature(httpx2.get).parameters["timeout"].default
    with pytest.MonkeyPatch.context() as patch:
        for phase in ("connect", "read", "write", "pool"):
            patch.setattr(default, phase, PATIENCE_SECONDS)
        yield


@pytest.fixture(autouse=True)
def same_log_levels() -> Iterator[None]:
    """A log of the command sets the levels of loggers for the rest of its process."""
    names = ("images_emulator", "images_emulator.recordings", "images_emulator.admin")
    loggers = [*map(logging.getLogger, (*names, "python_multipart", "uvicorn.error"))]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        if logger.level != level:
            logger.setLevel(level)


@pytest.fixture
def lasting_modules() -> Iterator[dict[str, ModuleType]]:
    """Modules that stay loaded, whatever the fixtures that ask for this one do as they end."""
    modules: dict[str, ModuleType] = {}
    yield modules
    for name, module in modules.items():
        sys.modules.setdefault(name, module)


@pytest.fixture
def pytester(
    lasting_modules: dict[str, ModuleType], pytester: pytest.Pytester
) -> Iterator[pytest.Pytester]:
    """The plugin's own forgets the modules that were first imported in its test. All tests here run
    pytest in another process, and HTTPX that imports HTTPCore a second time does not know the
    errors of the first."""
    yield pytester
    lasting_modules.update(sys.modules)


@pytest.fixture(scope="session", autouse=True)
def chosen_store(request: pytest.FixtureRequest) -> Iterator[None]:
    """Emulators without a store of their own have the one of the option `--store`. A Redis has 30
    seconds for a reply to a server of this process: other tests have the machine, too. See
    `RedisServer.patient_url` for other processes."""
    from tests.redis_server import missing_part  # noqa: PLC0415 - only tests need it

    if missing_part():
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("images_emulator.state.redis.redis_pool.TIMEOUT_SECONDS", 30)
        patch.setattr("images_emulator.state.redis.redis_subscription.CONNECT_SECONDS", 30)
        if request.config.option.store != "memory":
            _choose_redis(patch)
        yield


def _choose_redis(patch: pytest.MonkeyPatch) -> None:
    from tests.stores import redis_store  # noqa: PLC0415 - only tests need it

    def open_store(url: str | None, store_name: str) -> Store:
        return redis_store() if url is None else RedisStore(url, store_name)

    from images_emulator.state.redis.redis_store import RedisStore  # noqa: PLC0415 - an extra

    patch.setattr("images_emulator.state.emulator.open_store", open_store)


@pytest.fixture(scope="session")
def running(chosen_store: None) -> Iterator[Server]:
    from images_emulator import Server, Settings  # noqa: PLC0415 - only tests need it

    with pytest.MonkeyPatch.context() as patch, Server(Settings(port=0)) as server:
        # Each test begins with a reset; servers of their own show that one gives memory back.
        patch.setattr("images_emulator.state.emulator.trim_memory", lambda: None)
        yield server


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with the fixture `store` runs on each of `tests/stores.py`."""
    if "store" in metafunc.fixturenames:
        from tests.stores import STORES  # noqa: PLC0415 - only tests need it

        metafunc.parametrize("store", STORES, indirect=True)


@pytest.fixture
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """Each store that there is, empty."""
    from tests.stores import STORES  # noqa: PLC0415 - only tests need it

    store = STORES[request.param]()
    yield store
    await store.disconnect()
    store.close()


NPM_PACKAGES = (
    *("openai@6.49.0", "ai@6.0.326", "@ai-sdk/azure@3.0.128", "esbuild@0.28.2"),
    *("typescript@7.0.2", "@types/node@22.20.5", "tsx@4.23.15", "axe-core@4.14.1"),
)


@pytest.fixture(scope="session")
def npm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose `node_modules` have OpenAI's SDK, Vercel's AI SDK for Azure, what makes a file
    for browsers of them, what checks types and how accessible the page is, and what runs
    TypeScript."""
    npm = shutil.which("npm")
    if not npm:
        pytest.skip("needs Node.js with npm")
    folder = tmp_path_factory.mktemp("node")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    (folder / "node_modules").symlink_to(npm_packages(npm, *NPM_PACKAGES), target_is_directory=True)
    return folder


def npm_packages(npm: str, *packages: str) -> Path:
    """The `node_modules` with *packages*, each with its version. The first worker of the first
    session installs them; they are kept like the bytecode."""
    import fcntl  # noqa: PLC0415 - not on Windows

    folder = CACHE / "npm" / sha256(" ".join(packages).encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # npm writes it last.
        if not (folder / "package-lock.json").exists():
            (folder / "package.json").write_text('{"private": true}')
            install = [npm, "install", "--silent", "--no-audit", "--no-fund", *packages]
            subprocess.run(install, cwd=folder, check=True, env=ENVIRONMENT)
    return folder / "node_modules"


@pytest.fixture(scope="session")
def node(npm_folder: Path) -> Node:
    """Node.js with OpenAI's SDK, and with Vercel's AI SDK for Azure."""
    runtime = shutil.which("node")
    if not runtime:
        pytest.skip("needs Node.js")

    def run(script: str, *arguments: str) -> Any:
        (npm_folder / "client.js").write_text(script)
        command = [runtime, "client.js", *arguments]
        done = subprocess.run(command, cwd=npm_folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="session")
def site(npm_folder: Path) -> Iterator[str]:
    """The URL of a page of another origin than the emulator's; OpenAI's SDK is its global
    `openai`."""
    folder = npm_folder / "site"
    folder.mkdir()
    (npm_folder / "sdk.js").write_text(
        'export * from "openai"; export { default } from "openai";\n'
    )
    bundle = ["node_modules/.bin/esbuild", "sdk.js", "--bundle", "--format=iife"]
    options = ["--global-name=openai", "--outfile=site/openai.js", "--log-level=error"]
    subprocess.run([*bundle, *options], cwd=npm_folder, check=True)
    (folder / "index.html").write_text(
        '<!doctype html><link rel="icon" href="data:,"><script src="openai.js"></script>'
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as web:
        thread = Thread(target=web.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{web.server_port}/"
        web.shutdown()
        thread.join()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """The system's Chromium. Tests that use it share the session's event loop with it:
    `pytestmark = pytest.mark.asyncio(loop_scope="session")`."""
    from playwright.async_api import async_playwright  # noqa: PLC0415 - only tests need it

    executable = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if not executable:
        pytest.skip("needs Chromium: apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=CHROMIUM_FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(chromium: Browser, site: str) -> AsyncIterator[Page]:
    """The page of `site`, in a window that shares nothing with others."""
    context = await chromium.new_context()
    page = await context.new_page()
    await page.goto(site)
    yield page
    await context.close()


@pytest.fixture
def server(running: Server) -> Server:
    running.emulator.reset()
    return running


@pytest.fixture
def emulator(server: Server) -> Emulator:
    return server.emulator


@pytest.fixture(scope="session")
def connected(running: Server) -> Iterator[OpenAI]:
    from openai import OpenAI  # noqa: PLC0415 - only tests need it

    with OpenAI(base_url=running.base_url, api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture
def client(server: Server, connected: OpenAI) -> OpenAI:
    return connected


@pytest_asyncio.fixture
async def async_client(server: Server) -> AsyncIterator[AsyncOpenAI]:
    from openai import AsyncOpenAI  # noqa: PLC0415 - only tests need it

    async with AsyncOpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture(scope="session")
def plain_http(running: Server) -> Iterator[httpx2.Client]:
    import httpx2  # noqa: PLC0415 - only tests need it

    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx2.Client(base_url=running.url, headers=headers, timeout=60) as client:
        yield client


@pytest.fixture
def http(server: Server, plain_http: httpx2.Client) -> httpx2.Client:
    """Plain HTTP with a key, for what the SDK does not let pass."""
    return plain_http

"""The pytest plugin: fixtures, a marker, and what a failed test has called.

It is loaded wherever the package is installed, so the server is imported when a test wants it, or
with `images_emulator = session` when pytest starts.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from images_emulator.environment import sdk_environment

if TYPE_CHECKING:
    from images_emulator.exchange.exchange import Exchange
    from images_emulator.server import Server
    from images_emulator.settings import Settings

MARKER: Final = "images_emulator"
"""Name of the marker."""

FIXTURE: Final = "images_emulator"
"""Name of the fixture of one test."""

WIDER_FIXTURES: Final = tuple(f"{FIXTURE}_{scope}" for scope in ("class", "module", "session"))
"""Names of the fixtures of wider scopes."""

OPTION: Final = "images_emulator"
"""Name of the option in pytest's settings."""

TITLE: Final = "Calls to the images emulator"
"""Title of the calls in the report of a failed test."""

MODES: Final = ("fixture", "session")
"""When the server starts: with the first test that wants it, or before pytest looks for tests."""

MAX_REPORTED_CALLS: Final = 50
"""Calls that a report shows; the latest ones."""

MAX_REPORTED_PROMPT_CHARS: Final = 200
"""Characters of a prompt that a report shows."""

MAX_REPORTED_MESSAGE_CHARS: Final = 1000
"""Characters of an error's message that a report shows: all of it, but for one that quotes."""


class _Session:
    """The session's server, and how many fixtures have it at the moment."""

    def __init__(self) -> None:
        self.server: Server | None = None
        self.early = False
        """Whether the server was started before the collection of tests."""
        self.environment = ExitStack()
        """Restores the variables that an early server has set."""
        self.users = 0

    def start(self, settings: Settings | None = None) -> Server:
        """Serve early, or with *settings* in place of those from before, on the same port."""
        from images_emulator.server import Server  # noqa: PLC0415 - most sessions start none

        if self.server and settings:
            settings = replace(settings, port=settings.port or self.server.port)
            self.stop()
        self.server = Server(settings).__enter__()
        self.early = True
        self.environment.enter_context(sdk_environment(self.server.url, self.server.settings))
        return self.server

    def stop(self) -> None:
        self.environment.close()
        if self.server:
            self.server.close()


_SESSION: Final = pytest.StashKey[_Session]()
_BEFORE: Final = pytest.StashKey["list[Exchange]"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option `--images-emulator` and the setting of its name."""
    help_text = (
        "start the images emulator for the tests that want it (fixture), or before tests are "
        "looked for and for all of them (session)"
    )
    parser.addini(OPTION, help_text, default=MODES[0])
    parser.getgroup("images emulator").addoption(
        "--images-emulator", dest=OPTION, choices=MODES, default=None, help=help_text
    )


def _start_early(config: pytest.Config, flag: str | None) -> None:
    mode = flag or config.getini(OPTION)
    if mode not in MODES:
        raise pytest.UsageError(f"{OPTION}: expected {' or '.join(MODES)}, not '{mode}'")
    if _SESSION in config.stash:
        return
    session = config.stash[_SESSION] = _Session()
    config.add_cleanup(session.stop)
    if mode == "session":
        session.start()


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Before a conftest.py can make a client."""
    _start_early(early_config, getattr(early_config.known_args_namespace, OPTION))


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and start the server in session mode."""
    # The second attempt is for a plugin that a conftest.py names.
    _start_early(config, config.getoption(OPTION))
    config.addinivalue_line(
        "markers",
        f"{MARKER}(scenario=None, as_of=None, validation=None): for one test, the faults and "
        "answers that its calls meet (a file, seen from the root directory, or a mapping), the day "
        "on which the API is asked, and strict or lenient validation",
    )


def pytest_report_header(config: pytest.Config) -> str | None:
    """The line with the server's address, in session mode."""
    session = config.stash[_SESSION]
    return f"images emulator: {session.server.url}" if session.early and session.server else None


def pytest_itemcollected(item: pytest.Item) -> None:
    """A marked test has the fixture, also where it does not name it; with an early server each
    test has it."""
    names = getattr(item, "fixturenames", None)
    if names is None or FIXTURE in names:
        return
    if item.config.stash[_SESSION].early or item.get_closest_marker(MARKER):
        # After those of wider scope, so that the environment is restored in the reverse order.
        wider = [at for at, name in enumerate(names, 1) if name in WIDER_FIXTURES]
        names.insert(max(wider, default=0), FIXTURE)


@pytest.fixture(scope="session")
def images_emulator_settings() -> Settings:
    """The settings of the session's server; have a fixture of this name for others."""
    from images_emulator.settings import Settings  # noqa: PLC0415 - most sessions want none

    return Settings()


@pytest.fixture(scope="session")
def images_emulator_server(
    pytestconfig: pytest.Config, images_emulator_settings: Settings
) -> Iterator[Server]:
    """One server for the session, and one for each worker of pytest-xdist."""
    session = pytestconfig.stash[_SESSION]
    if session.early and session.server:
        same = session.server.settings == images_emulator_settings
        yield session.server if same else session.start(images_emulator_settings)
        return
    from images_emulator.server import Server  # noqa: PLC0415 - most sessions start none

    with Server(images_emulator_settings) as server:
        yield server


def _images_emulator(
    request: pytest.FixtureRequest, images_emulator_server: Server
) -> Iterator[Server]:
    """The server that `openai.OpenAI()` and `openai.AzureOpenAI()` lead to. It is emptied at the
    start and at the end, unless a fixture of wider scope has it."""
    server, session = images_emulator_server, request.config.stash[_SESSION]
    session.server = server
    before = server.emulator.settings
    with sdk_environment(server.url, server.settings):
        if not session.users:
            server.reset()
        session.users += 1
        try:
            marker = (
                request.node.get_closest_marker(MARKER) if request.scope == "function" else None
            )
            if marker:
                _prepare_for(marker, server, request.config.rootpath)
            yield server
        finally:
            session.users -= 1
            if not session.users:
                server.reset()
            elif marker:
                server.emulator.configure(as_of=before.as_of, validation=before.validation)
                server.emulator.scenario.reset()


images_emulator = pytest.fixture()(_images_emulator)
images_emulator_class = pytest.fixture(scope="class")(_images_emulator)
images_emulator_module = pytest.fixture(scope="module")(_images_emulator)
images_emulator_session = pytest.fixture(scope="session")(_images_emulator)
"""The fixtures, which are one function in four scopes: see `_images_emulator`."""


def _prepare_for(marker: pytest.Mark, server: Server, root: Path) -> None:
    try:
        arguments = signature(_prepare).bind(server, root, *marker.args, **marker.kwargs)
        _prepare(*arguments.args, **arguments.kwargs)
    except (TypeError, ValueError) as error:
        sentence = f"pytest.mark.{MARKER}: {error}"
        # In place of `pytest.fail`, which would be raised "during handling of" the error.
        raise pytest.fail.Exception(sentence, pytrace=False) from None


def _prepare(
    server: Server,
    root: Path,
    *,
    scenario: str | Path | Mapping[str, Any] | None = None,
    as_of: str | None = None,
    validation: str | None = None,
) -> None:
    """Apply the settings of the marker until the next reset. Raises ValueError."""
    server.emulator.configure(as_of=as_of, validation=validation)
    if isinstance(scenario, Mapping):
        server.emulator.scenario.load(scenario, root)
    elif scenario is not None:
        from images_emulator.scenarios import scenario_file  # noqa: PLC0415 - few tests need it

        server.emulator.scenario.read(scenario_file(scenario, root))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Remember which calls are not this test's."""
    server = item.config.stash[_SESSION].server
    item.stash[_BEFORE] = server.requests[-1:] if server else []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the calls of a failed test to its report."""
    report = yield
    server = item.config.stash[_SESSION].server
    # Another plugin's hook may have failed the test before its setup came here.
    before = item.stash.get(_BEFORE, [])
    if report.failed and server and (calls := _calls_since(before, server.requests)):
        lines = (
            [f"… and {len(calls) - MAX_REPORTED_CALLS} before"]
            if len(calls) > MAX_REPORTED_CALLS
            else []
        )
        text = "\n".join([*lines, *map(_report_lines, calls[-MAX_REPORTED_CALLS:])])
        report.sections.append((TITLE, text))
    return report


def _calls_since(before: list[Exchange], calls: list[Exchange]) -> list[Exchange]:
    """The *calls* after those of *before*, some of which a reset may have removed from *calls*."""
    return calls[calls.index(before[0]) + 1 :] if before and before[0] in calls else calls


def _report_lines(call: Exchange) -> str:
    """A call in a line. Indented lines have its prompt, error, fault and near misses."""
    error = call.error or {}
    fields = {
        "prompt": _report_text(call.prompt, MAX_REPORTED_PROMPT_CHARS),
        "param": error.get("param"),
        "message": _report_text(error.get("message"), MAX_REPORTED_MESSAGE_CHARS),
        "fault": call.fault,
        "near miss": next(iter(call.near_misses), None),
        "retry": call.retries or None,
    }
    lines = [f"    {name}: {value}" for name, value in fields.items() if value is not None]
    return "\n".join([str(call), *lines])


def _report_text(text: str | None, max_chars: int) -> str | None:
    """*text* in one line, without its end where it is longer than *max_chars*."""
    if text is None:
        return None
    line = " ".join(text.split())
    return line if len(line) <= max_chars else f"{line[:max_chars]}…"

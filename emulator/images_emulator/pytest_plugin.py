"""The pytest plugin: its hooks, a marker and the fixtures. `pytest_session.py` has the server of a
session, `pytest_report.py` the calls of a failed test.

The plugin is loaded wherever the package is installed. The server is therefore only imported when a
test wants it, or when pytest starts with `images_emulator = session`. With `images_emulator_url` no
server is started: tests have namespaces of a running server, which others use, too.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from functools import partial, reduce
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Unpack

import pytest

from images_emulator.changeable_settings import CHANGEABLE, SettingChanges
from images_emulator.client_errors import ServerError
from images_emulator.environment import URL_VARIABLE, sdk_environment
from images_emulator.pytest_report import TITLE, calls_since, report_of_calls
from images_emulator.pytest_session import (
    URL_OPTION,
    ServerSession,
    WiderSteps,
    apply_settings,
    open_namespace,
    with_settings,
)

if TYPE_CHECKING:
    from images_emulator.pytest_session import AnyServer
    from images_emulator.settings import Settings

MARKER: Final = "images_emulator"
"""The name of the marker."""

FIXTURE: Final = "images_emulator"
"""The name of the fixture for one test."""

WIDER_FIXTURES: Final = tuple(f"{FIXTURE}_{scope}" for scope in ("class", "module", "session"))
"""The names of the fixtures for wider scopes."""

OPTION: Final = "images_emulator"
"""The name of the option in pytest's settings."""

MODES: Final = ("fixture", "session")
"""The times at which the server may start: with the first test that wants it, or before pytest
looks for tests."""

OCCUPIED_SCENARIO: Final = (
    f"pytest.mark.{MARKER}: its scenario would replace the steps that a fixture of wider scope has "
    "injected or begun; inject in this test instead, or leave that fixture out of it"
)
"""The failure of a test whose marker has a scenario, where a fixture has steps of its own."""


_SESSION: Final = pytest.StashKey[ServerSession]()
_LAST_CALL_BEFORE: Final = pytest.StashKey["str | None"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option `--images-emulator`, the setting of its name, and `images_emulator_url`."""
    help_text = (
        "start the images emulator for the tests that want it (fixture), or before tests are "
        "looked for and for all of them (session)"
    )
    parser.addini(OPTION, help_text, default=MODES[0])
    parser.addini(
        URL_OPTION,
        f"the URL of an images emulator that tests share, each in a namespace of its own, in place "
        f"of one that pytest starts; the variable {URL_VARIABLE} goes before it",
        default="",
    )
    parser.getgroup("images emulator").addoption(
        "--images-emulator", dest=OPTION, choices=MODES, default=None, help=help_text
    )


def _begin_session(config: pytest.Config, flag: str | None) -> None:
    mode = flag or config.getini(OPTION)
    if mode not in MODES:
        raise pytest.UsageError(f"{OPTION}: expected {' or '.join(MODES)}, not '{mode}'")
    if _SESSION in config.stash:
        return
    url = os.environ.get(URL_VARIABLE) or config.getini(URL_OPTION) or None
    session = config.stash[_SESSION] = ServerSession(url)
    config.add_cleanup(session.stop)
    if mode == "session":
        try:
            session.start()
        except pytest.fail.Exception as error:
            raise pytest.UsageError(str(error)) from None


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Start an early server before a conftest.py can make a client."""
    _begin_session(early_config, getattr(early_config.known_args_namespace, OPTION))


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and start the server in session mode."""
    # This second attempt is for a plugin that a conftest.py names.
    _begin_session(config, config.getoption(OPTION))
    config.addinivalue_line(
        "markers",
        f"{MARKER}(scenario=None, {', '.join(f'{name}=None' for name in CHANGEABLE)}): for one "
        "test, the faults and answers that its calls meet (a file, seen from the root directory, "
        "or a mapping), and settings of the server",
    )


def pytest_report_header(config: pytest.Config) -> str | None:
    """The header line with the server's address, where it is known."""
    session = config.stash[_SESSION]
    url = session.server.url if session.early and session.server else session.url
    return f"images emulator: {url}" if url else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the fixture to marked tests that do not name it; with an early server, give it to each
    test. Other plugins have marked their tests before."""
    for item in items:
        names = getattr(item, "fixturenames", None)
        if names is None or FIXTURE in names:
            continue
        if item.config.stash[_SESSION].early or item.get_closest_marker(MARKER):
            # It follows the fixtures of wider scope, so that the environment is restored in
            # reverse order.
            wider = [at for at, name in enumerate(names, 1) if name in WIDER_FIXTURES]
            place = max(wider, default=0)
            # A list of its own: all tests of a parametrised function share the one that it has.
            item.fixturenames = [*names[:place], FIXTURE, *names[place:]]  # type: ignore[attr-defined] # a function has it


@pytest.fixture(scope="session")
def images_emulator_settings() -> Settings:
    """The settings of the session's server; define a fixture of this name to change them."""
    from images_emulator.settings import Settings  # noqa: PLC0415 - most sessions want none

    return Settings()


@pytest.fixture(scope="session")
def images_emulator_server(
    pytestconfig: pytest.Config, images_emulator_settings: Settings
) -> Iterator[AnyServer]:
    """One server for the session, and one for each worker of pytest-xdist. With
    `images_emulator_url` a namespace for each."""
    session = pytestconfig.stash[_SESSION]
    if session.early and session.server:
        yield with_settings(session, session.server, images_emulator_settings)
    elif session.url:
        with closing(open_namespace(session.url, "session", images_emulator_settings)) as server:
            yield server
    else:
        from images_emulator.server import Server  # noqa: PLC0415 - most sessions start none

        with Server(images_emulator_settings) as own_server:
            yield own_server


def _images_emulator(
    request: pytest.FixtureRequest, images_emulator_settings: Settings
) -> Iterator[AnyServer]:
    """The server that `openai.OpenAI()` and `openai.AzureOpenAI()` call. It is emptied when the
    first of these fixtures begins, and when the last one ends. With `images_emulator_url` it is a
    namespace: that of the session, or else one that is deleted when the last one ends."""
    session = request.config.stash[_SESSION]
    with session.use(partial(_begin_use, request, images_emulator_settings)) as server:
        yield from _with_marker(_FixtureUse(request, session, server, images_emulator_settings))


def _begin_use(request: pytest.FixtureRequest, settings: Settings, stack: ExitStack) -> AnyServer:
    """The server for the first fixture that has it, emptied. *stack* undoes what is done to the
    environment, and empties the server again."""
    session = request.config.stash[_SESSION]
    server: AnyServer
    if not session.url or session.early:
        server = request.getfixturevalue("images_emulator_server")
    else:
        title = request.node.nodeid or "session"
        server = stack.enter_context(closing(open_namespace(session.url, title, settings)))
        stack.callback(setattr, session, "server", None)
    # The server of an overridden fixture has settings of its own.
    own: Settings = getattr(server, "settings", settings)
    stack.enter_context(sdk_environment(server.url, own.api_key))

    def reset() -> None:
        # Namespaces other than the session's begin empty and are deleted.
        if session.early or not session.url:
            server.reset()
            if session.url:
                apply_settings(settings, server)

    reset()
    stack.callback(reset)
    return server


class _FixtureUse(NamedTuple):
    """What one fixture has to do with its server."""

    request: pytest.FixtureRequest
    session: ServerSession
    server: AnyServer
    settings: Settings

    @property
    def is_of_test(self) -> bool:
        """Whether the fixture is of one test, and not of wider scope."""
        return bool(self.request.scope == "function")

    @property
    def marker(self) -> pytest.Mark | None:
        """The marker of the test, with what those of its class and module have beside it; None
        for a fixture of wider scope."""
        if not self.is_of_test:
            return None
        closest_last = [*self.request.node.iter_markers(MARKER)][::-1]
        return reduce(pytest.Mark.combined_with, closest_last) if closest_last else None


def _with_marker(use: _FixtureUse) -> Iterator[AnyServer]:
    """The server with the settings of the marker. Where another fixture has the server longer, it
    gets back the settings and the scenario that it had."""
    request, session, server, settings = use
    if not use.is_of_test and session.wider_steps is None:
        session.wider_steps = WiderSteps(server.current_steps())
    marker = use.marker
    before = server.changeable_settings if marker else {}
    wider_steps = session.wider_steps if use.is_of_test else None
    has_own_scenario = False
    try:
        if wider_steps:
            wider_steps.begin_test(server.current_steps())
        if marker:
            if marker.kwargs.get("scenario") is not None:
                if wider_steps and wider_steps.are_left:
                    raise pytest.fail.Exception(OCCUPIED_SCENARIO, pytrace=False)
                has_own_scenario = True
            _apply_marker_or_fail(marker, server, request.config.rootpath)
        yield server
    finally:
        if marker and session.users > 1:
            server.configure(**before)
            if has_own_scenario:
                server.reset_scenario()
                if session.url and settings.scenario is not None:
                    server.begin_scenario(settings.scenario)
        if wider_steps:
            wider_steps.end_test(server.current_steps())


images_emulator = pytest.fixture()(_images_emulator)
images_emulator_class = pytest.fixture(scope="class")(_images_emulator)
images_emulator_module = pytest.fixture(scope="module")(_images_emulator)
images_emulator_session = pytest.fixture(scope="session")(_images_emulator)
"""The fixtures: one function in four scopes, see `_images_emulator`."""


def _apply_marker_or_fail(marker: pytest.Mark, server: AnyServer, root: Path) -> None:
    try:
        arguments = signature(_apply_marker).bind(server, root, *marker.args, **marker.kwargs)
        _apply_marker(*arguments.args, **arguments.kwargs)
    except (TypeError, ValueError) as error:
        sentence = f"pytest.mark.{MARKER}: {error}"
        # `pytest.fail` would raise this "during handling of" the error.
        raise pytest.fail.Exception(sentence, pytrace=False) from None


def _apply_marker(
    server: AnyServer,
    root: Path,
    *,
    scenario: str | Path | Mapping[str, Any] | None = None,
    **changes: Unpack[SettingChanges],
) -> None:
    """Apply the settings of the marker until the next reset. Raises ValueError for an invalid
    value, TypeError for another setting."""
    server.configure(**changes)
    if scenario is not None:
        server.begin_scenario(scenario, root)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Remember the calls that are not of this test."""
    server = item.config.stash[_SESSION].server
    item.stash[_LAST_CALL_BEFORE] = None
    if server:
        with suppress(ServerError):
            item.stash[_LAST_CALL_BEFORE] = server.last_call_id


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the calls of a failed test to its report."""
    report = yield
    server = item.config.stash[_SESSION].server
    if not (report.failed and server):
        return report
    # Another plugin's hook may have failed the test before this plugin's setup.
    before = item.stash.get(_LAST_CALL_BEFORE, None)
    try:
        calls = calls_since(before, server.requests)
    except ServerError as error:
        report.sections.append((TITLE, str(error)))
        return report
    if calls:
        report.sections.append((TITLE, report_of_calls(calls)))
    return report

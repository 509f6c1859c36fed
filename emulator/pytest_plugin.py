"""The pytest plugin: fixtures, a marker, and what a failed test has called.

It is loaded wherever the package is installed, so the server is imported when a test wants it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from emulator.server import Server

MARKER: Final = "images_emulator"
FIXTURE: Final = "images_emulator"
KEY: Final = "sk-test"
TITLE: Final = "Calls to the images emulator"

MOST: Final = 50
"""Calls that a report shows; the latest ones."""

_SERVER: Final = pytest.StashKey["Server"]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"{MARKER}(scenario=None, as_of=None, validation=None): for one test, the faults that its "
        "calls meet (a file, seen from the root directory, or a mapping), the day on which the API "
        "is asked, and strict or lenient validation",
    )


def pytest_itemcollected(item: pytest.Item) -> None:
    """A marked test has the fixture, also where it does not name it."""
    names = getattr(item, "fixturenames", None)
    if names is not None and FIXTURE not in names and item.get_closest_marker(MARKER):
        names.insert(0, FIXTURE)


@pytest.fixture(scope="session")
def images_emulator_server() -> Iterator[Server]:
    """One server for the session, and one for each worker of pytest-xdist."""
    from emulator.server import Server  # noqa: PLC0415 - see above

    with Server() as server:
        yield server


@pytest.fixture
def images_emulator(
    request: pytest.FixtureRequest,
    images_emulator_server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Server]:
    """The server, empty, and where `openai.OpenAI()` finds it."""
    server = images_emulator_server
    server.reset()
    request.node.stash[_SERVER] = server
    marker = request.node.get_closest_marker(MARKER)
    if marker:
        try:
            root = request.config.rootpath
            given = signature(_prepare).bind(server, root, *marker.args, **marker.kwargs)
            _prepare(*given.args, **given.kwargs)
        except (TypeError, ValueError) as error:
            pytest.fail(f"pytest.mark.{MARKER}: {error}", pytrace=False)
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", next(iter(server.settings.api_key), KEY))
    yield server
    server.reset()


def _prepare(
    server: Server,
    root: Path,
    *,
    scenario: str | Path | Mapping[str, Any] | None = None,
    as_of: str | None = None,
    validation: str | None = None,
) -> None:
    """What the marker asks for, until the next reset. Raises ValueError."""
    server.emulator.configure(as_of=as_of, validation=validation)
    if isinstance(scenario, Mapping):
        server.emulator.scenario.load(scenario)
    elif scenario is not None:
        server.emulator.scenario.read(str(root / scenario))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what a failed test has called."""
    report = yield
    server = item.stash.get(_SERVER, None)
    if report.failed and server and (calls := server.requests):
        lines = [f"… and {len(calls) - MOST} before"] if len(calls) > MOST else []
        report.sections.append((TITLE, "\n".join([*lines, *map(str, calls[-MOST:])])))
    return report

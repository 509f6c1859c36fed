"""Every client does what it can, and the docs say of each what that is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.clients.catalogue import CLIENTS, OPERATIONS
from tests.clients.client_bugs import CLIENT_BUGS, bug_outcome
from tests.clients.client_run import ClientRun, outcome, run_client
from tests.clients.environments import NEWEST, write_pins
from tests.clients.results import results, write_result

pytestmark = [pytest.mark.clients, pytest.mark.timeout(900)]

WRITE = bool(os.environ.get("CLIENTS_WRITE"))
"""Whether the results of the run take the place of those in `results.json`."""


Runs = Mapping[str, Future[ClientRun]]

EACH_CLIENT = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.heavy] if client.heavy else [])
        for name, client in CLIENTS.items()
    ],
)


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest) -> Iterator[Runs]:
    """The runs of all clients that the session has tests of, two at once, in the tests' order."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    names = dict.fromkeys(
        str(item.callspec.params["name"])
        for item in items
        if item.module is request.module and hasattr(item, "callspec")
    )
    with ThreadPoolExecutor(max_workers=2) as pool:
        yield {name: pool.submit(run_client, CLIENTS[name]) for name in names}


def outcome_of(run: ClientRun, operation: str) -> str:
    return bug_outcome(run, operation) or outcome(run, operation)


@pytest.mark.parametrize("operation", OPERATIONS)
@EACH_CLIENT
def test_client_does_an_operation_or_says_why_not(name: str, operation: str, runs: Runs) -> None:
    assert outcome_of(runs[name].result(), operation)


@EACH_CLIENT
def test_results_in_the_docs_are_those_of_the_run(name: str, runs: Runs) -> None:
    run = runs[name].result()
    outcomes = {operation: outcome_of(run, operation) for operation in OPERATIONS}
    if WRITE:
        write_result(name, run.versions, outcomes)
        if NEWEST:
            write_pins(run.client, run.environment)
    stored = results()[name]
    assert stored["outcomes"] == outcomes
    if run.client.pins and not NEWEST:
        assert stored["versions"] == run.versions


def test_bugs_are_of_clients_and_operations_that_there_are() -> None:
    for name, operation in CLIENT_BUGS:
        assert name in CLIENTS
        assert operation in OPERATIONS

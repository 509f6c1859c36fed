"""Which calls of pytest collect the tests of clients."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.conftest import FOLDER, asks_for_clients


@pytest.mark.parametrize(
    ("markers", "argument", "collects"),
    [
        ("clients and not heavy", "tests", True),
        ("not clients", "tests", False),
        ("", "tests", False),
        ("", "tests/clients", True),
        ("", "tests/clients/test_client_programs.py::test_x[curl]", True),
        ("", "tests/test_clients.py", False),
        ("", "/home/clients/emulator/tests", False),
    ],
)
def test_tests_of_clients_are_collected_where_they_are_asked_for(
    markers: str, argument: str, collects: bool
) -> None:
    root: Path = FOLDER.parent.parent
    assert asks_for_clients(markers, [argument], root) is collects

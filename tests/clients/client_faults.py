"""What clients do wrong, whatever server answers them: for each, the request that was really sent.

A check has the client's run, and raises AssertionError where the client does otherwise by now. Its
docstring is the reason in the table.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Final

from tests.clients.client_run import ClientRun

Check = Callable[[ClientRun], None]

CLIENT_FAULTS: Final[dict[tuple[str, str], Check]] = {}
"""By the name of the client and the operation."""


def fault_outcome(run: ClientRun, operation: str) -> str | None:
    """`fault: WHY` where the client is known to do an *operation* wrong, and did so."""
    check = CLIENT_FAULTS.get((run.client.name, operation))
    if not check:
        return None
    check(run)
    return f"fault: {' '.join((inspect.getdoc(check) or '').split())}"

"""A plugin that names the origin of a socket which nobody has closed. The garbage collector finds
such a socket at some time, and fails the test that runs then, which may be another one than the
test that made the socket."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Generator
from itertools import islice
from traceback import StackSummary, walk_stack
from typing import Any

import pytest

MAX_FRAMES = 12
"""The most frames of an origin: the innermost ones."""

UNCLOSED = re.compile(r"<socket\.socket fd=(\d+),")
"""A socket in the report of a test."""

_ORIGINS: dict[int, tuple[str, StackSummary]] = {}
"""The test and the frames that made the newest socket of each file descriptor. No descriptor is
used again while its socket is open."""


def pytest_configure() -> None:
    """Note the origin of each socket from now on."""
    make = socket.socket.__init__

    def make_and_note(made: socket.socket, *arguments: Any, **options: Any) -> None:
        make(made, *arguments, **options)
        frames = islice(walk_stack(sys._getframe(1)), MAX_FRAMES)
        # The lines are read when they are shown, if ever.
        origin = StackSummary.extract(frames, lookup_lines=False)
        _ORIGINS[made.fileno()] = os.environ.get("PYTEST_CURRENT_TEST", "no test"), origin

    setattr(socket.socket, "__init__", make_and_note)  # noqa: B010 - mypy refuses the other form


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the origins of the sockets in the report of a failed test."""
    report = yield
    add_section = getattr(report.longrepr, "addsection", None)
    if report.failed and add_section:
        for number in sorted({int(each) for each in UNCLOSED.findall(report.longreprtext)}):
            if number in _ORIGINS:
                test, origin = _ORIGINS[number]
                text = "".join(reversed(origin.format()))
                add_section(f"The socket with fd {number} is of {test}", text)
    return report

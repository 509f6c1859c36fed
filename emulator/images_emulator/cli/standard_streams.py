"""The standard streams of the command: those that are closed, and an output that takes no more."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import Final

STANDARD_DESCRIPTORS: Final = range(3)
"""Standard input, output and error."""


def prepare_standard_streams() -> None:
    """Open the null device in place of each standard stream that is closed. Otherwise the next
    file or connection of the process has its descriptor, and gets what is written to the stream.

    Characters that the encoding of a stream does not have are written as escapes."""
    for fd in STANDARD_DESCRIPTORS:
        try:
            os.fstat(fd)
        except OSError:
            # The lowest descriptor that is free: this one.
            os.open(os.devnull, os.O_RDWR)
            # Other programs that this one starts have it, too.
            os.set_inheritable(fd, True)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - until the end
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - until the end
    if isinstance(sys.stdout, io.TextIOWrapper):
        # It looks for its place in what was a file when Python started; errors are set by then.
        with suppress(OSError):
            sys.stdout.reconfigure(errors="backslashreplace")


def print_if_read(text: str) -> None:
    """Write *text* to standard output in one write, which `print` does not promise: a reader may
    close the pipe after one line. What cannot be written is left out."""
    data = text.encode(sys.stdout.encoding, "backslashreplace")
    with suppress(OSError):
        while data:
            data = data[os.write(sys.stdout.fileno(), data) :]


def discard_output() -> None:
    """Let standard output lead nowhere from now on. What could not be written so far is written
    there: Python tries again in the end, and would fail."""
    with suppress(OSError), open(os.devnull, "w") as null:
        os.dup2(null.fileno(), sys.stdout.fileno())

"""Prepares the standard streams of the command: closed ones, and an output that takes no more."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import Final

STANDARD_DESCRIPTORS: Final = range(3)
"""Standard input, output and error."""


def prepare_standard_streams() -> None:
    """Open the null device in place of each closed standard stream. Otherwise the next file or
    connection of the process would get its descriptor, and with it everything that is written to
    the stream.

    Characters that the encoding of a stream does not have are written as escapes.
    """
    for fd in STANDARD_DESCRIPTORS:
        try:
            os.fstat(fd)
        except OSError:
            # The system opens it as the lowest free descriptor, which is this one.
            os.open(os.devnull, os.O_RDWR)
            # Programs that this one starts get it, too.
            os.set_inheritable(fd, True)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - until the end
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - until the end
    if isinstance(sys.stdout, io.TextIOWrapper):
        # This seeks in what was a file when Python started, and may fail; the error handler is set
        # by then.
        with suppress(OSError):
            sys.stdout.reconfigure(errors="backslashreplace")


def print_if_read(text: str) -> None:
    """Write *text* to standard output in one write, because a reader may close the pipe after one
    line. `print` does not promise one write. Text that cannot be written is left out."""
    data = text.encode(sys.stdout.encoding, "backslashreplace")
    with suppress(OSError):
        while data:
            data = data[os.write(sys.stdout.fileno(), data) :]


def discard_output() -> None:
    """Discard all output to standard output from now on, including what could not be written so
    far. Python would otherwise try again at its end, and fail."""
    with suppress(OSError), open(os.devnull, "w") as null:
        os.dup2(null.fileno(), sys.stdout.fileno())

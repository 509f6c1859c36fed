"""The sentence about a port, or a store, that `images-emulator serve` cannot have."""

from __future__ import annotations

import errno
from typing import Final

from images_emulator.cli.command_line import CommandError

PORT_HINT: Final = (
    "; -p 0 takes a free one, and 'images-emulator healthcheck' tells whether an emulator has it"
)
"""Ends the sentence about a port that is taken."""


def port_error(error: OSError) -> CommandError:
    """The sentence about a port or a store that cannot be had."""
    hint = PORT_HINT if error.errno == errno.EADDRINUSE else ""
    return CommandError(f"{error.strerror}{hint}")

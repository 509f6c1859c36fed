"""The sentence about a port, or a store, that `images-emulator serve` cannot have."""

from __future__ import annotations

import errno
from typing import Final

from images_emulator.cli.command_line import CommandError

PORT_HINT: Final = (
    "; -p 0 takes a free one, and 'images-emulator healthcheck' tells whether an emulator has it"
)
"""Ends the sentence about a port that is taken."""


STORE_HINT: Final = (
    "; --store is the URL of a Redis that runs, and without it the server has its own memory"
)
"""Ends the sentence about a store that cannot be had."""


def port_error(error: OSError) -> CommandError:
    """The sentence about a port or a store that cannot be had."""
    sentence = (error.strerror or str(error)).removesuffix(".")
    if error.errno == errno.EADDRINUSE:
        sentence += PORT_HINT
    elif sentence.startswith("store: "):
        sentence += STORE_HINT
    return CommandError(sentence)

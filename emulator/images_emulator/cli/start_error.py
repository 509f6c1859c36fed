"""The sentence that `images-emulator serve` prints where it cannot start: its port is taken, or its
store is not available."""

from __future__ import annotations

import errno
from typing import Final

from images_emulator.cli.command_line import CommandError

PORT_HINT: Final = (
    "; -p 0 takes a free one, and 'images-emulator healthcheck' tells whether an emulator has it"
)
"""The end of the sentence about a port that is taken."""

STORE_HINT: Final = (
    "; --store is the URL of a Redis that runs, and without it the server has its own memory"
)
"""The end of the sentence about a store that is not available."""


def start_error(error: OSError) -> CommandError:
    """The sentence about a port or a store that is not available."""
    sentence = (error.strerror or str(error)).removesuffix(".")
    if error.errno == errno.EADDRINUSE:
        sentence += PORT_HINT
    elif sentence.startswith("store: "):
        sentence += STORE_HINT
    return CommandError(sentence)

"""Random names in the API's form. They are no secrets. Every answer has two, and the system's
random source would take ten times as long."""

from __future__ import annotations

import os
import string
from random import Random
from typing import Final

from images_emulator.contract.wire import uuid_text

_CHANCE: Final = Random()  # noqa: S311 - no secrets, as said

if hasattr(os, "register_at_fork"):
    # Processes that were forked, such as those of `gunicorn --preload`, must not have equal ids.
    os.register_at_fork(after_in_child=_CHANCE.seed)


def random_id(length: int = 24) -> str:
    """Letters and digits, as in the ids of organizations, users, files and images."""
    return "".join(_CHANCE.choices(string.ascii_letters + string.digits, k=length))


def random_digits() -> str:
    """32 hexadecimal digits."""
    return f"{_CHANCE.getrandbits(128):032x}"


def random_uuid() -> str:
    """A random UUID of version 4."""
    return uuid_text(random_digits())

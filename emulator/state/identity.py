"""Random names in the API's form."""

from __future__ import annotations

import secrets
import string
from os import urandom


def random_id(length: int = 24) -> str:
    """Letters and digits, as in the ids of organizations, users, files and images."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(length))


def random_uuid() -> str:
    """A UUID of version 4, as `str(uuid4())` in a fifth of the time."""
    digits = urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) % 4]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"

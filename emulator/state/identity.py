"""Random names in the API's form."""

from __future__ import annotations

import secrets
import string


def random_id(length: int = 24) -> str:
    """Letters and digits, as in the ids of organizations, users, files and images."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(length))

"""Names of namespaces. A call names its own in a header, in its path, in the query of the admin
API, or by its API key."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final
from urllib.parse import quote, unquote

NAMESPACE_HEADER: Final = "x-emulator-namespace"
"""The request header that names the namespace of a call."""

NAMESPACE_PARAMETER: Final = "namespace"
"""The query parameter of the admin API that names a namespace."""

NAMESPACE_PREFIX: Final = "/ns/"
"""The beginning of a path that names the namespace of a call, `/ns/NAME/v1/…`. It is for clients
that can only be given a base URL."""

DEFAULT_NAMESPACE: Final = "default"
"""The namespace of calls that name none."""

MAX_CHARS: Final = 128
"""The most characters of a name."""

MAX_SHOWN_CHARS: Final = 40
"""The most characters of a wrong name that an error repeats."""

_DIGEST_CHARS: Final = 8


def check_name(name: str) -> str:
    """Return *name*, which must be printable, without a space at either end. Raises ValueError for
    any other, and for `.` and `..`, which cannot stand in a path."""
    right = 0 < len(name) <= MAX_CHARS and name.isprintable() and name == name.strip()
    if right and name not in (".", ".."):
        return name
    shown = name if len(name) <= MAX_SHOWN_CHARS else f"{name[:MAX_SHOWN_CHARS]}…"
    raise ValueError(f"expected 1 to {MAX_CHARS} printable characters, not {shown!r}")


def name_of_key(key: str, masked: str) -> str:
    """The name of the namespace of an API *key*. Where error messages mask the key, as in *masked*,
    the name does not tell the key either. Such a name, used as a key, gives itself."""
    if masked == key or re.fullmatch(rf".*\*\*\*.{{4}}-[0-9a-f]{{{_DIGEST_CHARS}}}", key):
        return key
    digest = sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{re.sub(r'[*]+', '***', masked)}-{digest[:_DIGEST_CHARS]}"


def path_of(name: str) -> str:
    """The path of the namespace *name* on a server; empty for the default namespace."""
    return "" if name == DEFAULT_NAMESPACE else NAMESPACE_PREFIX + quote(name, safe="")


def split_path(path: str) -> tuple[str, str] | None:
    """The name in the URL-encoded *path*, and the path after it; None where *path* names no
    namespace. Raises ValueError for a name that is not allowed."""
    if not path.startswith(NAMESPACE_PREFIX):
        return None
    encoded, slash, rest = path.removeprefix(NAMESPACE_PREFIX).partition("/")
    try:
        name = unquote(encoded, errors="strict")
    except UnicodeDecodeError:
        raise ValueError(f"expected a name in UTF-8, not {encoded!r}") from None
    return check_name(name), slash + rest

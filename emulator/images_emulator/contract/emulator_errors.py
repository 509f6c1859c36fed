"""Errors of the emulator itself, in the form of the API's errors. Paths of the API answer with
them; errors of a namespace, the store and connections are sent at paths of `/_emulator`, too.
`admin_errors.py` has the errors of `/_emulator` and `/metrics` alone."""

from __future__ import annotations

from images_emulator.contract.admin_errors import ERROR_TYPE
from images_emulator.contract.refusal import Refusal

not_served = Refusal(
    "This emulator does not serve {method} {path}. It serves {paths}.",
    code="not_served",
    status=404,
)
bad_override = Refusal(
    "Invalid header '{header}': {reason}.",
    param="{header}",
    code="invalid_header",
)
bad_namespace = Refusal(
    "Invalid namespace in '{place}': {reason}.",
    param="{place}",
    code="invalid_namespace",
)
too_many_namespaces = Refusal(
    "All {count} namespaces that the server may have are being called, or were within the last "
    "minute. "
    "DELETE /_emulator/namespaces/NAME forgets one, and --max-namespaces allows more.",
    code="too_many_namespaces",
    type=ERROR_TYPE,
    status=503,
    headers={"Retry-After": "1"},
)
unavailable_namespace = Refusal(
    "The namespace '{name}' cannot begin: {reason}.",
    code="unavailable_namespace",
    type=ERROR_TYPE,
    status=503,
    headers={"Retry-After": "1"},
)
too_many_connections = Refusal(
    "The server has {count} open connections, and --max-connections allows {limit}.",
    code="too_many_connections",
    type=ERROR_TYPE,
    status=503,
    headers={"Retry-After": "1"},
)
bad_directive = Refusal(
    "Invalid directive in 'prompt': {reason}.",
    param="prompt",
    code="invalid_directive",
)
unusable_own_picture = Refusal(
    "The own picture '{name}' cannot answer this call: it {reason}.",
    code="unusable_own_picture",
)
upstream_key_for_foreign_host = Refusal(
    "'{host}' may be another site's, whose pages must not use this server's key of the upstream. "
    "Without that key, each call is forwarded with its own.",
    param="host",
    code="foreign_host",
    status=403,
)
upstream_key_for_foreign_page = Refusal(
    "Pages of other sites may not use this server's key of the upstream. Without that key, each "
    "call is forwarded with its own.",
    param="origin",
    code="foreign_origin",
    status=403,
)
upstream_failed = Refusal(
    "The upstream {url} {problem}: {reason}.",
    code="upstream_failed",
    type=ERROR_TYPE,
    status=502,
)
no_recording = Refusal(
    "The emulator is to answer with recordings alone, and {reason}.",
    code="no_recording",
    status=404,
    # Some clients repeat a call that is refused so.
    headers={"x-should-retry": "false"},
)
failed_answer = Refusal(
    "The function of the answer '{name}' failed: {reason}.",
    code="failed_answer",
)
store_unavailable = Refusal(
    "The store {url} cannot be used: {reason}.",
    code="store_unavailable",
    type=ERROR_TYPE,
    status=503,
    headers={"Retry-After": "1"},
)

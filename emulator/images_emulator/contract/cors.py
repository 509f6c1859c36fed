"""CORS (cross-origin resource sharing): the headers that let pages of other origins call the API.

Preflights were recorded on 2026-07-29, 2026-08-14 and 2026-09-19 on another endpoint, and on
2026-09-04 on `/v1/images/edits`; that they are the same on all paths is inferred.
"""

from __future__ import annotations

from typing import Final

from images_emulator.contract.calendar import GATEWAY_SINCE, Period, StackDays

ALLOW_ORIGIN: Final = (b"access-control-allow-origin", b"*")
"""The header of every answer of the API to a call that has an `Origin`, errors included. Downloads
of hosted pictures have none."""

METHODS: Final = ("GET", "OPTIONS", "POST")
"""The methods that the answer to every preflight allows."""

MAX_AGE_SECONDS: Final = 86_400
"""Time for which a browser may cache the answer to a preflight."""

ALLOW_ORIGIN_DAYS: Final = StackDays(gateway=Period(until=GATEWAY_SINCE))
"""The days on which answers have `ALLOW_ORIGIN` without an `Origin` in the call, too. At
generations and edits the last such recording is of 2025-04-12, the first without the header of
2025-04-18; at variations all recordings have it, to the last, of 2026-02-23."""


def preflight_headers(method: str, headers: str | None) -> dict[str, str]:
    """The headers of the answer to a preflight for a *method* with *headers* (None: without)."""
    methods = METHODS if method in METHODS else (*METHODS, method)
    name, value = ALLOW_ORIGIN
    answer = {
        name.decode(): value.decode(),
        "access-control-allow-methods": ", ".join(methods),
        "access-control-max-age": str(MAX_AGE_SECONDS),
    }
    return answer if headers is None else {**answer, "access-control-allow-headers": headers}

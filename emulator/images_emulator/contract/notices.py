"""Notices: what the emulator says of a call in its log and in the header `x-emulator-notice`."""

from __future__ import annotations

from typing import Final

from images_emulator.settings import Settings, shown_setting

NOTICE_HEADER: Final = b"x-emulator-notice"
"""The header of an answer with the notices of its call."""

WRONG_PATH: Final = (
    "There is no {path}; {suggestion} is probably meant. Look at the base URL of the client."
)
"""The notice for a call of a path that is almost one of the API's."""

MODEL_SHUT_DOWN: Final = "{model} was shut down on {day}; use {replacement}"
"""The notice for a call that is answered by a model that is shut down by the day of the call."""

NO_NAMESPACE: Final = "There is no namespace '{name}': no call has named it yet."
"""The notice for a call that looks into a namespace that has not begun, and finds it empty."""

NO_METRICS: Final = "There are no metrics: start the server with --metrics."
"""The notice for a call to the path of the metrics where the setting is off."""

LIMIT_EXCEEDED: Final = "The emulator refuses {what} that the API might take: it is past {limit}."
"""The notice for a call with an image, a form or a body that is past a limit of the settings. Such
an image gets the error of a file that is no image, such a form the error of a malformed form."""

TOO_MANY_AT_ONCE: Final = (
    "No wait helps: the call asks for {requested} images, and {limit} never grants so many at once."
)
"""The notice for a call that asks for more images than the rate limit has room for."""

EMULATOR_FAILED: Final = "the emulator itself has failed; the reason stands in its log"
"""The notice for a call whose `server_error` comes neither from a fault of the scenario nor from
the API."""

OTHER_PICTURE: Final = "'{name}' is sent as it is: it {difference}"
"""The notice for a call that a verbatim own picture answers, though it is not what the call asks
for."""


def limit_notice(what: str, settings: Settings, name: str) -> str:
    """The notice that *what* is past the limit that the setting *name* sets."""
    return LIMIT_EXCEEDED.format(what=what, limit=shown_setting(settings, name))

"""The line of a notice or an error in the log."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from typing import Final

from images_emulator.cli.terminal import Part, printable, render

MAX_RECORD_CHARS: Final = 20_000
"""The most characters that are shown of a notice or an error."""


def notice_line(
    text: str,
    level: int,
    created: float,
    *,
    call_id: str | None = None,
    is_json: bool,
    colours: bool,
) -> str:
    """The line of *text*. *level* is a level of the standard library, *created* the time of the
    notice in seconds since the epoch. *call_id* is the id of the call that it is about, if there is
    one."""
    name = logging.getLevelName(level).lower()
    if is_json:
        time = datetime.fromtimestamp(created).astimezone()
        head = {"time": time.isoformat(timespec="milliseconds"), "level": name}
        return f"{json.dumps({**head, 'event': 'log', 'id': call_id, 'message': text})}\n"
    style = "dim" if level < logging.WARNING else "yellow"
    style = style if level < logging.ERROR else "red"
    # Lines of a traceback are indented, so that none can pass as a line of the log.
    lines = [printable(line, MAX_RECORD_CHARS) for line in text.split("\n")]
    part = Part("\n  ".join(lines), style)
    return f"{render([part], colours=colours, columns=None)}\n"

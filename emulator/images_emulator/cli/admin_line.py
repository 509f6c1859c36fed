"""The line of the log about a call of the admin API that changed something or was refused."""

from __future__ import annotations

import json
import logging
from datetime import datetime

from images_emulator.cli.call_line import DURATION_COLUMNS, GAP, duration_text
from images_emulator.cli.terminal import Part, printable, render
from images_emulator.web.admin.admin_audit import AdminAction


def admin_line(
    action: AdminAction, level: int, *, is_json: bool, colours: bool, columns: int | None
) -> str:
    """The line of *action*, with a line end. *level* is a level of the standard library. As text,
    the line has the columns of a call's line, and is dim unless the action was refused."""
    time = datetime.fromtimestamp(action.time).astimezone()
    if is_json:
        head = {
            "time": time.isoformat(timespec="milliseconds"),
            "level": logging.getLevelName(level).lower(),
            "event": "admin",
        }
        values = action._asdict()
        del values["time"]
        values["duration_ms"] = round(action.duration_ms, 3)
        return f"{json.dumps(head | values)}\n"
    style = "dim" if (action.status or 500) < 400 else "yellow"
    namespace = f"[{printable(action.namespace)}] " if action.namespace else ""
    duration = f"{duration_text(action.duration_ms):>{DURATION_COLUMNS}}"
    parts = [
        Part(f"{time:%H:%M:%S} ", "dim"),
        Part(str(action.status or "---"), style),
        Part(f"{duration} {namespace}{action.method} {printable(action.path)}", "dim"),
    ]
    if action.detail:
        parts.append(Part(f"{GAP}{printable(action.detail)}", style))
    parts.append(Part(f"{GAP}from {action.client or 'a socket'}", "dim"))
    return f"{render(parts, colours=colours, columns=columns)}\n"

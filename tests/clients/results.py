"""What the last run of each client found, in `results.json`, and the table of the docs."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tests.clients.catalogue import CLIENTS, OPERATIONS, snippets

RESULTS: Final = Path(__file__).parent / "results.json"

HEADINGS: Final = {"inputs": "several inputs", "retry": "429, then retry"}
"""The headings of operations that are not their names."""


def results() -> dict[str, dict[str, Any]]:
    """By the name of a client: its `versions`, the day of its `run`, and its `outcomes`."""
    loaded: dict[str, dict[str, Any]] = json.loads(RESULTS.read_text())
    return loaded


def write_result(name: str, versions: str, outcomes: Mapping[str, str]) -> None:
    """Write what a run of the client *name* found. Several processes may do so at once."""
    with RESULTS.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        stored = json.load(file)
        today = datetime.now(UTC).date().isoformat()
        stored[name] = {"versions": versions, "run": today, "outcomes": dict(outcomes)}
        ordered = {each: stored[each] for each in CLIENTS if each in stored}
        file.seek(0)
        file.truncate()
        file.write(json.dumps(ordered, indent=2, ensure_ascii=False) + "\n")


def clients_table() -> str:
    """A row for each client, in the order of the catalogue."""
    names = [HEADINGS.get(name, name) for name in OPERATIONS]
    rows = [f"| client | version | {' | '.join(names)} | run |", "|---" * (len(names) + 3) + "|"]
    for name, result in results().items():
        cells = [_cell(result["outcomes"][operation]) for operation in OPERATIONS]
        client = f"{CLIENTS[name].title} | {result['versions']}"
        rows.append(f"| {client} | {' | '.join(cells)} | {result['run']} |")
    return "\n".join(rows) + "\n"


def clients_code() -> str:
    """For each program the lines that the docs show of it, and what its clients cannot do."""
    programs = dict.fromkeys(client.program for client in CLIENTS.values())
    parts = []
    for program in programs:
        for title, language, text in snippets(program):
            parts.append(f"### {title}\n\n```{language}\n{text}```\n")
        parts += _notes(program)
    return "\n".join(parts)


def _cell(outcome: str) -> str:
    return {"works": "yes", "cannot": "no", "in part": "in part", "bug": "**its bug**"}[
        outcome.partition(":")[0]
    ]


def _notes(program: str) -> list[str]:
    """Why cells of the clients with this *program* are no `yes`, a row for each reason."""
    reasons: dict[tuple[str, str], list[str]] = {}
    clients = {
        name: result for name, result in results().items() if CLIENTS[name].program == program
    }
    for name, result in clients.items():
        for operation, outcome in result["outcomes"].items():
            kind, _, reason = outcome.partition(": ")
            if kind != "works":
                title = f"{CLIENTS[name].title} {result['versions']}"
                reasons.setdefault((operation, f"{_cell(kind)}: {reason}"), []).append(title)
    rows: dict[tuple[str, str], list[str]] = {}
    for (operation, text), titles in reasons.items():
        whose = "all" if len(titles) == len(clients) else "; ".join(titles)
        rows.setdefault((whose, text), []).append(HEADINGS.get(operation, operation))
    lines = [f"| {', '.join(names)} | {whose} | {text} |" for (whose, text), names in rows.items()]
    head = ["| operation | client | why |", "|---|---|---|"]
    return ["\n".join([*head, *lines, ""])] if lines else []

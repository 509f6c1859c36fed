"""One run of a client's program against a server of its own, and what came of each operation."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

from images_emulator import Server, read_recipe
from images_emulator.environment import sdk_variables
from images_emulator.exchange.exchange import Exchange
from tests.clients.catalogue import HOME, OPERATIONS, PROGRAMS, Client
from tests.clients.environments import Environment, environment_of
from tests.conftest import ENVIRONMENT
from tests.pictures import BLUE, half_clear, opened, png

INPUTS: Final = {
    "lighthouse.png": png(),
    "harbour.png": png(colour=BLUE),
    "mask.png": half_clear(),
}
"""The files in the folder of a program. The mask has the size of the lighthouse."""

UPLOADS: Final[Mapping[str, tuple[str, ...]]] = {
    "edit": ("lighthouse.png",),
    "mask": ("lighthouse.png", "mask.png"),
    "inputs": ("lighthouse.png", "harbour.png"),
}
"""The files that an operation sends, in their order."""

PARTIAL_IMAGES: Final = 2
"""As many a stream is asked for."""

TIMEOUT: Final = 300
"""Seconds that a program may take; the slowest imports its library for twenty where it is alone."""

ERROR_PARTS: Final = ("message", "status", "code", "param")
"""What a client may tell of an error."""


@dataclass
class ClientRun:
    """What a program has printed, and the calls that the server has had of it."""

    client: Client
    environment: Environment
    reports: dict[str, dict[str, Any]]
    """The line of each operation."""
    calls: Mapping[str, Sequence[Exchange]]
    """The calls of each operation, by its prompt."""
    uploads: dict[str, list[tuple[str, bytes]]]
    """The field and the file of each upload of each operation's last call."""
    output: str
    """All that it has printed, to be shown where something is wrong."""

    @property
    def versions(self) -> str:
        """The versions of the client, as the table has them."""
        versions = self.environment.versions
        names = self.client.versions or ("",)
        if len(names) == 1:
            return versions[names[0]]
        return ", ".join(f"{name} {versions[name]}" for name in names)


def run_client(client: Client) -> ClientRun:
    """Run the program of *client*, once."""
    environment = environment_of(client)
    with Server() as server, tempfile.TemporaryDirectory(prefix="client-") as name:
        server.inject("rate_limit_exceeded", retry_after_ms=1, match={"prompt": "A rate limit"})
        folder = Path(name)
        _fill(folder, client, environment, server.url)
        done = subprocess.run(
            [*environment.command, client.program, *client.arguments],
            cwd=folder,
            env=_variables(client, environment, server.url, folder),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith('{"operation"')]
        reports = {report.pop("operation"): report for report in map(json.loads, lines)}
        calls = {
            operation: [call for call in server.requests if (call.prompt or "").startswith(prompt)]
            for operation, prompt in OPERATIONS.items()
        }
        uploads = {
            operation: _uploads(server, of_operation[-1])
            for operation, of_operation in calls.items()
            if of_operation
        }
    return ClientRun(client, environment, reports, calls, uploads, _shortened(done))


def outcome(run: ClientRun, operation: str) -> str:
    """What came of an *operation*: `works`, `cannot: WHY`, or for an error `in part: WHAT`. Raises
    AssertionError for anything else."""
    assert operation in run.reports, f"nothing is printed of {operation}\n{run.output}"
    report, calls = run.reports[operation], run.calls[operation]
    if "cannot" in report:
        assert not calls, f"{operation} is said not to be there, and is called"
        return f"cannot: {report['cannot']}"
    assert calls, f"the server has no call of {operation}: {report}"
    if operation == "error":
        return _error_outcome(report, calls)
    statuses = [call.status for call in calls]
    if operation == "retry" and statuses == [429]:
        return "cannot: makes no second attempt"
    assert statuses == ([429, 200] if operation == "retry" else [200]), (report, statuses)
    _check_request(run, operation)
    _check_answer(operation, report, calls[-1])
    return "works"


def _error_outcome(report: Mapping[str, Any], calls: Sequence[Exchange]) -> str:
    (call,) = calls
    assert call.error, call
    error = {**call.error, "status": call.status}
    told = report["answer"]["error"] | report if "answer" in report else report
    for part in ERROR_PARTS:
        # The library's own words may stand around the message.
        value = told.get(part)
        right = value in (None, error[part]) or (part == "message" and error[part] in value)
        assert right, f"{part}: {value!r} is not {error[part]!r}"
    seen = [part for part in ERROR_PARTS if told.get(part) is not None]
    missing = [part for part in ERROR_PARTS if error[part] is not None and part not in seen]
    assert "message" in seen or "code" in seen, f"the error is not told: {report}"
    return f"in part: tells {', '.join(seen)} alone" if missing else "works"


def _check_request(run: ClientRun, operation: str) -> None:
    """The last call of *operation* is what was meant."""
    call = run.calls[operation][-1]
    edits = operation in UPLOADS
    assert call.path.endswith("/images/edits" if edits else "/images/generations"), call.path
    assert call.model == run.client.model
    assert [data for _, data in run.uploads[operation]] == [
        INPUTS[name] for name in UPLOADS.get(operation, ())
    ], [upload.field for upload in call.uploads]
    fields = [field for field, _ in run.uploads[operation]]
    assert fields.count("mask") == (operation == "mask"), fields
    if operation == "stream":
        assert call.parameters["stream"] is True
        assert call.parameters["partial_images"] == PARTIAL_IMAGES


def _check_answer(operation: str, report: Mapping[str, Any], call: Exchange) -> None:
    """The client has got the pictures of the answer, whole, and the events of a stream."""
    assert "raised" not in report, f"{report['raised']}\n{report.get('traceback')}"
    images = report.get("images")
    if images is None:
        images = [image["b64_json"] for image in report["answer"]["data"]]
    assert [opened(image).size for image in images] == [
        (sent.width, sent.height) for sent in call.pictures
    ]
    assert images
    for image in images:
        recipe = read_recipe(b64decode(image))
        assert recipe
        assert recipe["prompt"] == call.prompt
    if operation == "stream":
        assert report["events"] == [
            *["image_generation.partial_image"] * PARTIAL_IMAGES,
            "image_generation.completed",
        ]


def _fill(folder: Path, client: Client, environment: Environment, url: str) -> None:
    """Lay the program, what it imports, and its pictures into *folder*."""
    helpers = [path.name for path in PROGRAMS.glob(f"report{Path(client.program).suffix}")]
    for name in [client.program, *helpers]:
        text = (PROGRAMS / name).read_text()
        (folder / name).write_text(text.replace(HOME, url))
    for name, data in INPUTS.items():
        (folder / name).write_bytes(data)
    if environment.node_modules:
        (folder / "node_modules").symlink_to(environment.node_modules, target_is_directory=True)


def _variables(client: Client, environment: Environment, url: str, folder: Path) -> dict[str, str]:
    """The environment of a program: no settings of the user's, and no proxy."""
    paths = [str(environment.commands)] if environment.commands else []
    return {
        "PATH": os.pathsep.join([*paths, ENVIRONMENT["PATH"]]),
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "PYTHONPATH": str(folder),
        **sdk_variables(url),
        **client.variables,
    }


def _uploads(server: Server, call: Exchange) -> list[tuple[str, bytes]]:
    files = []
    for index, upload in enumerate(call.uploads):
        with urlopen(f"{server.url}/_emulator/requests/{call.id}/uploads/{index}") as file:
            files.append((upload.field, file.read()))
    return files


def _shortened(done: subprocess.CompletedProcess[str]) -> str:
    lines = f"{done.stdout}\n{done.stderr}".splitlines()
    return "\n".join([*(line[:500] for line in lines[-60:]), f"exit status {done.returncode}"])

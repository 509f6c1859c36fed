"""The clients that are tested, and the operations that each of them is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Final

FOLDER: Final = Path(__file__).parent
PROGRAMS: Final = FOLDER / "programs"
PINS: Final = FOLDER / "pins"

HOME: Final = "http://127.0.0.1:8080"
"""The server's address in the programs; that of the test's server takes its place."""

OPERATIONS: Final[Mapping[str, str]] = {
    "generate": "A lighthouse",
    "edit": "By night",
    "mask": "A red door",
    "inputs": "Both on one shelf",
    "stream": "A ship",
    "error": "A mistake",
    "retry": "A rate limit",
}
"""What a program does, and the prompt of each: its calls are found by it."""


@dataclass(frozen=True, kw_only=True)
class Client:
    """A row of the table: a program of `programs/` with its packages."""

    name: str
    """By which it is run, such as `openai-python-3-async`."""
    title: str
    """What stands in front of the version in the table."""
    program: str
    arguments: tuple[str, ...] = ()
    pins: str | None = None
    """The file of `pins/` with its packages, without its suffix. Without it the program is for an
    interpreter of the machine."""
    versions: tuple[str, ...] = ()
    """The packages whose versions the table tells."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Of its environment, beside the SDKs'."""
    heavy: bool = False
    """Whether CI leaves it to the weekly run."""


def _openai_python(major: int) -> tuple[Client, ...]:
    return tuple(
        Client(
            name=f"openai-python-{major}{suffix}",
            title=f"openai-python, `{cls}`",
            program="openai_python_async.py" if cls == "AsyncOpenAI" else "openai_python.py",
            arguments=(cls,),
            pins=f"openai-python-{major}",
            versions=("openai",),
        )
        for cls, suffix in {"OpenAI": "", "AsyncOpenAI": "-async", "AzureOpenAI": "-azure"}.items()
    )


def _openai_node(major: int) -> tuple[Client, ...]:
    return tuple(
        Client(
            name=f"openai-node-{major}{suffix}",
            title=f"openai-node, `{cls}`",
            program="openai_node.mjs",
            arguments=(cls,),
            pins=f"openai-node-{major}",
            versions=("openai",),
        )
        for cls, suffix in {"OpenAI": "", "AzureOpenAI": "-azure"}.items()
    )


def _ai_sdk(pins: str, major: str) -> tuple[Client, ...]:
    return tuple(
        Client(
            name=f"{pins}-{provider}",
            title=f"AI SDK, `@ai-sdk/{provider}`",
            program="ai_sdk.mjs",
            arguments=(provider, major),
            pins=pins,
            versions=("ai",),
        )
        for provider in ("openai", "azure")
    )


CLIENTS: Final = {
    client.name: client
    for client in (
        Client(name="curl", title="curl", program="curl.sh"),
        *_openai_python(1),
        *_openai_python(2),
        *_openai_python(3),
        *_openai_node(6),
        *_openai_node(7),
        *_ai_sdk("ai-sdk-5", "5"),
        *_ai_sdk("ai-sdk", "newest"),
    )
}


def snippets(program: str) -> dict[str, str]:
    """The lines of a *program* that the docs show: those between the comments `snippet:
    TITLE` and `end`."""
    found: dict[str, str] = {}
    title = None
    lines: list[str] = []
    for line in (PROGRAMS / program).read_text().splitlines():
        mark = line.strip().removeprefix("# ").removeprefix("// ")
        if mark.startswith("snippet: "):
            title, lines = mark.removeprefix("snippet: "), []
        elif mark == "end" and title:
            found[title] = dedent("\n".join(lines))
            title = None
        elif title:
            lines.append(line)
    return found

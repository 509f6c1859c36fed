"""The machine of a run: processor, system, versions of libraries."""

from __future__ import annotations

import contextlib
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

LIBRARIES: Final = (
    "fastapi",
    "httptools",
    "isal",
    "pillow",
    "pydantic",
    "python-multipart",
    "sse-starlette",
    "starlette",
    "uvicorn",
    "uvloop",
)


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(library: str) -> str:
    try:
        return f"{library} {version(library)}"
    except PackageNotFoundError:
        return f"no {library}"


def description(parser: str, loop: str) -> list[str]:
    """Lines that describe it; *parser* and *loop* are those of the emulator's server."""
    return [
        f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"{platform.python_implementation()} {platform.python_version()}",
        ", ".join(_version(library) for library in LIBRARIES),
        f"the emulator's parser is {parser}, its loop {loop}, the bare server's too",
    ]

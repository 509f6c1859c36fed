"""Formats lines that set variables, for shells and files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from shlex import quote
from typing import Final


def _fish_quoted(text: str) -> str:
    if quote(text) == text:
        return text
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _powershell_quoted(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"'{escaped}'"


LINE_WRITERS: Final[Mapping[str, Callable[[str, str], str]]] = {
    "sh": lambda name, value: f"export {name}={quote(value)}",
    "fish": lambda name, value: f"set -gx {name} {_fish_quoted(value)}",
    "powershell": lambda name, value: f"$env:{name} = {_powershell_quoted(value)}",
    "dotenv": lambda name, value: f"{name}={quote(value)}",
    "github": lambda name, value: f"{name}={value}",
}
"""The functions that write the line which sets a variable, by the name of a shell or a kind of
file."""


def shell_of(environment: Mapping[str, str], os_name: str = os.name) -> str:
    """The key of `LINE_WRITERS` for the shell that called a command, as far as it is known."""
    if os_name == "nt":
        return "powershell"
    return "fish" if environment.get("SHELL", "").endswith("/fish") else "sh"

"""These tests install packages, and are collected where they are asked for alone: by `-m` with
their marker, or by their folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

FOLDER: Final = Path(__file__).parent


def asks_for_clients(markers: str, arguments: Sequence[str], start: Path) -> bool:
    """Whether the expression of *markers* has the one of clients, or an argument of pytest, which
    was called in the folder *start*, names this folder or what is in it."""
    paths = [(start / each.partition("::")[0]).resolve() for each in arguments]
    has_marker = re.search(r"(?<!not )\bclients\b", markers)
    return bool(has_marker) or any(path.is_relative_to(FOLDER) for path in paths)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Whether nobody has asked for the tests of clients."""
    start = config.invocation_params.dir
    return None if asks_for_clients(config.option.markexpr, config.args, start) else True

"""These tests install packages, and are collected where they are asked for alone: by `-m` with
their marker, or by their folder."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Whether nobody has asked for the tests of clients."""
    asked = "clients" in config.option.markexpr or any("clients" in each for each in config.args)
    return None if asked else True

"""The README's recipes are true: each runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.test_docs import RECIPES, printed

FOUND = dict(re.findall(r"## (.*?)\n.*?```python\n(.*?)```", RECIPES, re.DOTALL))


@pytest.mark.parametrize(
    "name",
    [
        "Retry on 429",
        "Give up on no credit",
        "A stream that dies",
        "An expired URL",
        "A moderated prompt",
        "A slow answer",
    ],
)
def test_readme_recipe_runs(name: str, tmp_path: Path) -> None:
    printed(FOUND[name], tmp_path)

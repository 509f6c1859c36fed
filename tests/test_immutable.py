"""Immutable values behave as frozen dataclasses do."""

from __future__ import annotations

import copy
import pickle
from abc import ABC, abstractmethod
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from typing import Any

import pytest

from images_emulator.immutable import Immutable


class Shape(Immutable, ABC, kw_only=True):
    colour: str = "red"

    @abstractmethod
    def area(self) -> int: ...


class Box(Shape):
    width: int
    height: int = 1
    tags: list[str] = field(default_factory=list)
    note: str = field(default="", compare=False)

    def area(self) -> int:
        return self.width * self.height


class Cube(Box):
    depth: int = 1


class Named(Immutable, eq=False):
    name: str


@dataclass(frozen=True)
class DataclassBox:
    """What `Box` is compared with."""

    colour: str = field(default="red", kw_only=True)
    width: int
    height: int = 1
    tags: list[str] = field(default_factory=list)
    note: str = field(default="", compare=False)


CALLS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((), {}),
    ((2,), {}),
    ((2, 3), {"colour": "blue"}),
    ((2, 3, ["x"], "y"), {}),
    ((2, 3, [], "", 5), {}),
    ((2,), {"width": 2}),
    ((), {"width": 2, "note": "y"}),
    ((2,), {"hue": 1}),
]


@pytest.mark.parametrize(("values", "keywords"), CALLS)
def test_an_immutable_takes_the_values_that_a_dataclass_takes(
    values: tuple[Any, ...], keywords: dict[str, Any]
) -> None:
    try:
        expected = DataclassBox(*values, **keywords)
    except TypeError:
        with pytest.raises(TypeError, match="Box"):
            Box(*values, **keywords)
        return
    value = Box(*values, **keywords)
    assert [each.name for each in fields(value)] == [each.name for each in fields(expected)]
    assert repr(value) == repr(expected).removeprefix("Dataclass")


def test_an_immutable_is_frozen() -> None:
    value = Box(2)
    with pytest.raises(FrozenInstanceError):
        value.width = 3  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del value.width
    assert value == Box(2)


def test_immutables_are_compared_by_class_and_fields() -> None:
    assert Box(2, 3) == Box(2, 3, note="other")
    assert Box(2, 3) != Box(2, 4)
    assert Box(2, 3) != Cube(2, 3)
    assert Cube(2, 3, depth=4) != Cube(2, 3)
    assert Box(2, 3, ()) == Box(2, 3, ())  # type: ignore[arg-type]
    assert hash(Box(2, 3, ())) == hash(Box(2, 3, (), note="other"))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unhashable"):
        hash(Box(2))


def test_immutables_without_equality_are_compared_by_identity() -> None:
    one, other = Named("a"), Named("a")
    assert one == one  # noqa: PLR0124 - this is what is tested
    assert one != other
    assert len({one, other, one}) == 2


def test_an_immutable_is_replaced_copied_and_pickled_with_its_values() -> None:
    value = Cube(2, 3, ["x"], "y", depth=4, colour="blue")
    assert replace(value, height=5) == Cube(2, 5, ["x"], "y", depth=4, colour="blue")
    assert copy.deepcopy(value) == value
    assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301 - our own bytes


def test_an_immutable_may_be_abstract() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Shape()  # type: ignore[abstract]
    assert Box(2, 3).area() == 6


def test_values_of_a_default_factory_are_not_shared() -> None:
    assert Box(1).tags is not Box(1).tags


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("widht", "Box has no field 'widht'; 'width' is probably meant"),
        ("q", "Box has no field 'q'"),
    ],
)
def test_unknown_name_is_refused_with_the_one_meant(name: str, sentence: str) -> None:
    values: dict[str, Any] = {name: 1}
    with pytest.raises(TypeError, match=f"^{sentence}$"):
        Box(2, **values)

"""Rows: the immutable values that the tables are made of."""

from __future__ import annotations

from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from typing import Any, ClassVar, dataclass_transform


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Row:
    """The base class of rows. A subclass declares its fields as a dataclass does. With *kw_only*
    they are passed by name; without *eq* its rows are compared by identity.

    A row is a frozen dataclass to `replace`, `fields` and type checkers. But `@dataclass` writes
    and compiles six methods for each class, which took an eighth of the server's start. All rows
    share the methods here. These take longer, about 2 µs to make a row, so what each call makes is
    a `@dataclass`.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def __init_subclass__(cls, *, kw_only: bool = False, eq: bool = True) -> None:
        super().__init_subclass__()
        dataclass(init=False, repr=False, eq=False, match_args=False, kw_only=kw_only)(cls)
        if not eq:
            cls.__eq__, cls.__hash__ = object.__eq__, object.__hash__  # type: ignore[method-assign]

    def __init__(self, *values: Any, **named: Any) -> None:
        """Raises TypeError unless every field has one value, and no other name has any."""
        own = fields(self)
        names = [each.name for each in own if not each.kw_only]
        given = dict(zip(names, values, strict=False))
        if len(values) > len(names) or not given.keys().isdisjoint(named):
            raise TypeError(f"{type(self).__name__}: too many values")
        given |= named
        for each in own:
            if each.name in given:
                value = given.pop(each.name)
            elif each.default_factory is not MISSING:
                value = each.default_factory()
            elif each.default is not MISSING:
                value = each.default
            else:
                raise TypeError(f"{type(self).__name__}: {each.name} is missing")
            object.__setattr__(self, each.name, value)
        if given:
            raise TypeError(f"{type(self).__name__} has no {', '.join(given)}")

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenInstanceError(f"{type(self).__name__}.{name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"{type(self).__name__}.{name} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self is other or _compared(self) == _compared(other)

    def __hash__(self) -> int:
        return hash(_compared(self))

    def __repr__(self) -> str:
        values = (f"{each.name}={getattr(self, each.name)!r}" for each in fields(self))
        return f"{type(self).__name__}({', '.join(values)})"


def _compared(row: Row) -> tuple[Any, ...]:
    return tuple(getattr(row, each.name) for each in fields(row) if each.compare)

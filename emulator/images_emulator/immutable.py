"""Immutable values, as `@dataclass(frozen=True)` makes them, but without compiling code for each
class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from typing import Any, ClassVar, dataclass_transform

from images_emulator.spelling import suggestion


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Immutable:
    """The base class of values with fields, such as the rows of the tables. A subclass declares its
    fields as a dataclass does. With *kw_only* they are passed by name; without *eq* its objects are
    compared by identity.

    For `replace`, `fields` and type checkers, the objects are frozen dataclasses. But `@dataclass`
    writes and compiles six methods for each class, which took a fifth of the server's start; here
    all classes share the same methods.

    An object takes more memory than one with slots, and more time to make and to hash. A value that
    each call makes, keeps or looks up is therefore a `@dataclass(slots=True)`.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    _positional: ClassVar[tuple[str, ...]] = ()
    _defaults: ClassVar[Mapping[str, Any]] = {}
    _factories: ClassVar[Mapping[str, Any]] = {}

    def __init_subclass__(cls, *, kw_only: bool = False, eq: bool = True) -> None:
        super().__init_subclass__()
        dataclass(init=False, repr=False, eq=False, match_args=False, kw_only=kw_only)(cls)
        own = fields(cls)
        cls._positional = tuple(each.name for each in own if not each.kw_only)
        cls._defaults = {each.name: each.default for each in own if each.default is not MISSING}
        cls._factories = {
            each.name: each.default_factory for each in own if each.default_factory is not MISSING
        }
        if not eq:
            cls.__eq__, cls.__hash__ = object.__eq__, object.__hash__  # type: ignore[method-assign]

    def __init__(self, *values: Any, **keywords: Any) -> None:
        """Set the fields. Raises TypeError unless every field gets exactly one value, and no other
        name gets any."""
        attributes = self.__dict__
        attributes.update(self._defaults)
        attributes.update(zip(self._positional, values, strict=False))
        attributes.update(keywords)
        for name in self._factories:
            if name not in attributes:
                attributes[name] = self._factories[name]()
        names = self.__dataclass_fields__.keys()
        twice = keywords.keys() & self._positional[: len(values)] if keywords else ()
        if attributes.keys() != names or len(values) > len(self._positional) or twice:
            for name in keywords.keys() - names:
                raise TypeError(self._unknown(name))
            wrong = ", ".join(sorted(twice or attributes.keys() ^ names)) or "so many values"
            raise TypeError(f"{type(self).__name__} lacks, or does not take: {wrong}")
        self.__post_init__()

    @classmethod
    def _unknown(cls, name: str) -> str:
        """The sentence that refuses *name*, which is not the name of a field."""
        meant = suggestion(name, cls.__dataclass_fields__, quote="'")
        return f"{cls.__name__} has no field '{name}'{meant}"

    def __post_init__(self) -> None:
        """Check or complete the object. Called when all fields have their values."""

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenInstanceError(f"{type(self).__name__}.{name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"{type(self).__name__}.{name} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self is other or _compared_values(self) == _compared_values(other)

    def __hash__(self) -> int:
        return hash(_compared_values(self))

    def __repr__(self) -> str:
        shown = (each.name for each in fields(self) if each.repr)
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
        return f"{type(self).__name__}({values})"


def _compared_values(value: Immutable) -> tuple[Any, ...]:
    return tuple(getattr(value, each.name) for each in fields(value) if each.compare)

"""Conflicts: combinations of parameters that a model refuses, as data.

A conflict has a condition for each of its parameters. A call that meets all conditions is refused.
Validation, the JSON Schemas and the tables of the docs read the same conflicts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

from images_emulator.contract.calendar import ALWAYS, Day, Period
from images_emulator.contract.refusal import APIError, Refusal
from images_emulator.contract.rules import Choice, Rule, Rules
from images_emulator.immutable import Immutable


class Condition(Immutable, ABC):
    """A test of one parameter's value, after defaults and `auto` are resolved. The value is None
    where neither the call nor a default gives one."""

    @abstractmethod
    def holds(self, value: Any) -> bool:
        """Whether *value* meets the condition."""

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """JSON Schema of the values, other than null, that meet the condition."""

    @abstractmethod
    def __str__(self) -> str:
        """The text after the parameter's name in a table: `above 1`."""

    def schema_within(self, rule: Rule) -> dict[str, Any] | None:
        """JSON Schema of the values that *rule* accepts and that meet the condition; None where
        there are none."""
        if not isinstance(rule, Choice):
            return self.schema()
        words = [
            word
            for word in (*rule.words, *rule.unlisted)
            if self.holds(rule.resolve(word, None, {}))
        ]
        return {"enum": words} if words else None


class Equal(Condition):
    """The value is *value*."""

    value: str | int

    def holds(self, value: Any) -> bool:
        return bool(value == self.value)

    def schema(self) -> dict[str, Any]:
        return {"const": self.value}

    def __str__(self) -> str:
        return str(self.value).lower()


class OtherThan(Condition):
    """The value is not *value*."""

    value: str | int

    def holds(self, value: Any) -> bool:
        return bool(value != self.value)

    def schema(self) -> dict[str, Any]:
        return {"not": {"const": self.value}}

    def __str__(self) -> str:
        return f"other than {self.value}"


class Above(Condition):
    """The value is a number greater than *limit*."""

    limit: int

    def holds(self, value: Any) -> bool:
        return value is not None and bool(value > self.limit)

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "exclusiveMinimum": self.limit}

    def __str__(self) -> str:
        return f"above {self.limit}"


class Below(Condition):
    """The value is a number less than *limit*."""

    limit: int

    def holds(self, value: Any) -> bool:
        return value is not None and bool(value < self.limit)

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "exclusiveMaximum": self.limit}

    def __str__(self) -> str:
        return f"below {self.limit}"


class Present(Condition):
    """The call has a value."""

    def holds(self, value: Any) -> bool:
        return value is not None

    def schema(self) -> dict[str, Any]:
        return {}

    def __str__(self) -> str:
        return ""


class Conflict(Immutable):
    """Parameters that exclude each other: a call in which all conditions of *when* hold is refused.

    The placeholders of *refusal* may be `{name}`, which is the first parameter of *when*, and the
    name of any parameter with an `Equal` or `OtherThan`, which is that condition's value. Outside
    its *period* the parameters do not exclude each other.
    """

    when: Mapping[str, Condition]
    refusal: Refusal
    period: Period = ALWAYS

    def __str__(self) -> str:
        parts = (f"`{name}` {condition}".rstrip() for name, condition in self.when.items())
        return " with ".join(parts)

    @property
    def yielding(self) -> str:
        """The parameter that is dropped where mistakes are forgiven: the first one."""
        return next(iter(self.when))

    def is_in_force(self, day: Day) -> bool:
        """Whether the model refuses the combination on *day*. Where that is None, a conflict that
        ends is not in force, because the newest rules are those after its end."""
        return day in self.period and (day is not None or self.period.until is None)

    def check(self, values: Mapping[str, Any]) -> None:
        """Raises APIError where the resolved *values* exclude each other."""
        for name, condition in self.when.items():
            if not condition.holds(values.get(name)):
                return
        raise self.error()

    def error(self) -> APIError:
        """The error that refuses the combination."""
        values = {
            name: condition.value
            for name, condition in self.when.items()
            if isinstance(condition, Equal | OtherThan)
        }
        return self.refusal(**{"name": self.yielding, **values})

    def schema(self, rules: Rules) -> dict[str, Any] | None:
        """JSON Schema of the calls without this conflict, among the calls that *rules* accept. None
        where no call can meet all conditions."""
        properties: dict[str, Any] = {}
        required = []
        for name, condition in self.when.items():
            rule = rules.get(name)
            if not condition.holds(rule and rule.resolve(None, None, {})):
                required.append(name)
            schema = condition.schema_within(rule) if rule else None
            if schema is not None:
                properties[name] = schema
            elif name in required:
                return None
            elif rule:
                properties[name] = False
        return {
            "description": self.error().newest.message,
            "not": {"properties": properties, "required": required},
        }


def conflicts_within(rules: Rules, conflicts: Iterable[Conflict], day: Day) -> list[Conflict]:
    """The *conflicts* that are in force on *day* and possible in a call that *rules* accept."""
    return [each for each in conflicts if each.is_in_force(day) and each.schema(rules)]

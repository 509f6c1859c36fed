"""The vocabulary in which the table says what one parameter may be."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from images_emulator.contract import errors
from images_emulator.contract.calendar import ALWAYS, AsOf, Period, version_on
from images_emulator.contract.errors import APIError, Words, json_type, python_repr, quoted_list

Values = Mapping[str, Any]


def wrong_scalar(name: str, value: object, expected: str, kind: str) -> APIError:
    """The refusal of a *value* of another type than the parameter *name* has: *expected* in today's
    words (`a string`), *kind* in those of the older stack (`string`)."""
    return errors.wrong_scalar(
        name=name, expected=expected, got=json_type(value), value=python_repr(value), kind=kind
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What one parameter may be; the base accepts anything.

    `null` counts as omitted unless *nullable* is off. *default* stands in where nothing is sent.
    Outside its *period* the parameter is unknown. *earlier* has the rules that held before this one
    as `(until, rule)`, the oldest first.
    """

    period: Period = ALWAYS
    earlier: tuple[tuple[date, Rule], ...] = ()
    required: bool = False
    nullable: bool = True
    default: Any = None

    def coerce(self, name: str, text: str) -> Any:
        """Turn the *text* of a form field into the value that JSON would have carried.

        An empty field and the text `null` are what clients send for "not given".
        """
        return None if text in ("", "null") else self.convert(name, text)

    def convert(self, name: str, text: str) -> Any:
        return text

    def from_form(self, name: str, value: Any) -> Any:
        """What a form has under *name*, as JSON would have carried it."""
        return self.coerce(name, value) if isinstance(value, str) else value

    def check(self, name: str, value: Any) -> None:
        """The gateway's look: type, range, word. Raises APIError."""

    def check_supported(self, name: str, value: Any, model: str, others: Values) -> None:
        """The image service's look: what *model* cannot do, beside the *others*. Raises
        APIError."""

    def resolve(self, value: Any, source: tuple[int, int] | None, others: Values) -> Any:
        """The value that a valid request works with, given the first upload's size in pixels and
        the *others* as they were sent."""
        return self.default if value is None else value

    def at(self, day: AsOf) -> Rule:
        """The version of the rule that held on *day*; None for the newest one."""
        return version_on(day, self, self.earlier)

    def schema(self) -> dict[str, Any]:
        """JSON Schema, for people."""
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Rule):
    """A string, measured in characters. A *loose* one takes any scalar (`user: 123` passes)."""

    longest: int | None = None
    shortest: int = 0
    loose: bool = False

    def coerce(self, name: str, text: str) -> str:
        return text

    def check(self, name: str, value: Any) -> None:
        if self.loose and isinstance(value, (bool, int, float)):
            return
        if not isinstance(value, str):
            raise wrong_scalar(name, value, "a string", "string")
        if len(value) < self.shortest:
            raise errors.empty_string(name=name)
        if self.longest is not None and len(value) > self.longest:
            raise errors.string_too_long(
                name=name, value=value, limit=self.longest, length=len(value)
            )

    def resolve(self, value: Any, source: tuple[int, int] | None, others: Values) -> str | None:
        return value if value is None or isinstance(value, str) else json.dumps(value)

    def schema(self) -> dict[str, Any]:
        bounds = {"minLength": self.shortest or None, "maxLength": self.longest}
        return {"type": "string"} | {key: bound for key, bound in bounds.items() if bound}


@dataclass(frozen=True, slots=True, kw_only=True)
class Integer(Rule):
    """A whole number from *least* to *most*, both included."""

    least: int
    most: int | None = None

    def convert(self, name: str, text: str) -> int:
        # Ten digits hold every limit there is, and `int` refuses to read thousands of them.
        if not re.fullmatch(r"[+-]?[0-9]{1,10}", text.strip()):
            raise errors.unconvertible(
                name=name, expected="an integer", value=python_repr(text), kind="integer"
            )
        return int(text)

    def check(self, name: str, value: Any) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            raise wrong_scalar(name, value, "an integer", "integer")
        if value < self.least:
            raise errors.integer_too_small(name=name, limit=self.least, value=value)
        if self.most is not None and value > self.most:
            raise errors.integer_too_large(name=name, limit=self.most, value=value)

    def schema(self) -> dict[str, Any]:
        bounds = {"minimum": self.least, "maximum": self.most, "default": self.default}
        return {"type": "integer"} | {k: bound for k, bound in bounds.items() if bound is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag(Rule):
    """True or false."""

    def convert(self, name: str, text: str) -> bool:
        if text not in ("true", "false"):
            raise errors.unconvertible(
                name=name, expected="a boolean", value=python_repr(text), kind="boolean"
            )
        return text == "true"

    def check(self, name: str, value: Any) -> None:
        if not isinstance(value, bool):
            raise wrong_scalar(name, value, "a boolean", "boolean")

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean", "default": bool(self.default)}


@dataclass(frozen=True, slots=True)
class Choice(Rule):
    """One of *words*, in the order in which the API lists them.

    *unlisted* words pass too, though the refusal does not name them. *auto* is what the word
    `auto`, or nothing at all, comes down to. *refusal* speaks where another sentence than the
    usual one was recorded; it gets the parameter's name.
    """

    words: tuple[str, ...]
    unlisted: tuple[str, ...] = ()
    auto: str | None = None
    refusal: Callable[..., APIError] | None = None

    def check(self, name: str, value: Any) -> None:
        if not isinstance(value, str):
            expected = quoted_list(self.words, last="or")
            expected = f"one of {expected}" if len(self.words) > 1 else expected
            raise wrong_scalar(name, value, expected, "string")
        if value in self.words or value in self.unlisted:
            return
        if self.refusal:
            raise self.refusal(name=name)
        said = errors.value_not_listed if len(self.words) > 1 else errors.value_not_this
        raise said(name=name, value=value, listed=Words(self.words))

    def resolve(self, value: Any, source: tuple[int, int] | None, others: Values) -> Any:
        return (self.auto or self.default) if value in (None, "auto") else value

    def schema(self) -> dict[str, Any]:
        words = [*self.words, *self.unlisted]
        default = self.default or ("auto" if "auto" in words else None)
        return {"type": "string", "enum": words} | ({"default": default} if default else {})


@dataclass(frozen=True, slots=True)
class Object(Rule):
    """A JSON object, or the form fields `name[field]`."""

    fields: Mapping[str, Rule]

    def coerce(self, name: str, text: str) -> Any:
        return None if text in ("", "null") else text

    def from_form(self, name: str, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return Rule.from_form(self, name, value)
        values = {
            key: self.fields[key].from_form(f"{name}.{key}", inner) if key in self.fields else inner
            for key, inner in value.items()
        }
        # Of empty fields nothing is left.
        return {key: inner for key, inner in values.items() if inner is not None} or None

    def check(self, name: str, value: Any) -> None:
        if not isinstance(value, Mapping):
            raise errors.wrong_type(name=name, expected="an object", got=json_type(value))
        for key, inner in value.items():
            if key not in self.fields:
                raise errors.unknown_parameter(name=f"{name}.{key}")
            rule = self.fields[key]
            if inner is not None or not rule.nullable:
                rule.check(f"{name}.{key}", inner)
        for key, rule in self.fields.items():
            if rule.required and value.get(key) is None:
                raise errors.missing_parameter(name=f"{name}.{key}")

    def schema(self) -> dict[str, Any]:
        properties = {name: rule.schema() for name, rule in self.fields.items()}
        required = [name for name, rule in self.fields.items() if rule.required]
        return {
            "type": "object",
            "properties": properties,
            **({"required": required} if required else {}),
            "additionalProperties": False,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsupported(Rule):
    """A parameter that the gateway knows and the model refuses, whatever its value."""

    like: Rule

    def convert(self, name: str, text: str) -> Any:
        return self.like.convert(name, text)

    def check(self, name: str, value: Any) -> None:
        self.like.check(name, value)

    def check_supported(self, name: str, value: Any, model: str, others: Values) -> None:
        raise errors.parameter_not_supported(model=model, name=name)

    def schema(self) -> dict[str, Any]:
        return {"not": {}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowed(Rule):
    """A parameter of the older stack: *shared* is the schema of all its models, *own* what the
    model takes of that. *refusal* answers what only the schema takes; it gets the facts of the
    error that *own* raises."""

    shared: Rule
    own: Rule
    refusal: Callable[..., APIError]

    def convert(self, name: str, text: str) -> Any:
        return self.own.convert(name, text)

    def from_form(self, name: str, value: Any) -> Any:
        return self.own.from_form(name, value)

    def check(self, name: str, value: Any) -> None:
        self.shared.check(name, value)

    def check_supported(self, name: str, value: Any, model: str, others: Values) -> None:
        try:
            self.own.check(name, value)
        except APIError as error:
            raise self.refusal(**error.facts) from None

    def resolve(self, value: Any, source: tuple[int, int] | None, others: Values) -> Any:
        return self.own.resolve(value, source, others)

    def schema(self) -> dict[str, Any]:
        return self.own.schema()


Rules = Mapping[str, Rule]
"""What a model takes at an operation: the rule of each parameter, in the order in which they are
checked."""


def narrowed(shared: Rule, own: Rule, refusal: Callable[..., APIError]) -> Narrowed:
    """*own*, and *refusal* where it refuses what *shared* takes."""
    return Narrowed(
        required=own.required,
        nullable=own.nullable,
        default=own.default,
        shared=shared,
        own=own,
        refusal=refusal,
    )

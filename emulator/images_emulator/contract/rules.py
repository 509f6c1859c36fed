"""Rules: the values that one parameter may have.

Two services check a value in turn: the gateway (`check_at_gateway`), then the image service behind
it (`check_at_service`). Then `resolve` gives the value that the request has. Rules for `size` are
in `sizes.py`, rules for images in `image_rules.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from typing import Any

from images_emulator.contract import errors
from images_emulator.contract.calendar import ALWAYS, AsOf, Day, Period, version_on
from images_emulator.contract.message_format import Words, json_type, python_repr, quoted_list
from images_emulator.contract.refusal import APIError, Refusal
from images_emulator.immutable import Immutable

Values = Mapping[str, Any]
"""Parameters of a call, by name."""

Pixels = tuple[int, int]
"""Width and height."""


def wrong_scalar_error(name: str, value: object, expected: str, older_type: str) -> APIError:
    """The error for a *value* whose type the parameter *name* does not take. *expected* is the
    right type in today's words (`a string`), *older_type* in the older stack's (`string`)."""
    return errors.wrong_scalar(
        name=name,
        expected=expected,
        got=json_type(value),
        value=python_repr(value),
        kind=older_type,
    )


class Rule(Immutable, kw_only=True):
    """The rule of one parameter. The base class accepts every value.

    A call without a *required* parameter is refused. A *nullable* rule treats `null` as an omitted
    value. *default* is the value of an omitted parameter; `Text` has none. Outside *period* the
    parameter is unknown. *earlier* has the former versions of the rule as `(until, rule)`, the
    oldest first; the day *until* is not included."""

    period: Period = ALWAYS
    earlier: tuple[tuple[date, Rule], ...] = ()
    required: bool = False
    nullable: bool = True
    default: Any = None

    def from_text(self, name: str, text: str) -> Any:
        """The JSON value of the *text* of a form field. An empty field gives None, and so does
        `null`, which clients send for an omitted field. The rules of texts keep both. Raises
        APIError."""
        return None if text in ("", "null") else self.parse_text(name, text)

    def parse_text(self, name: str, text: str) -> Any:
        """The value of a *text* that is not empty. Raises APIError."""
        return text

    def from_form(self, name: str, value: Any) -> Any:
        """The JSON value of the *value* that a form has under *name*. Raises APIError."""
        return self.from_text(name, value) if isinstance(value, str) else value

    def json_rule(self, as_of: AsOf) -> Rule | None:
        """The rule for the parameter in JSON, where this is its rule in a form; None where the
        model reads no JSON on that day."""
        return self

    def check_at_gateway(self, name: str, value: Any) -> None:
        """Check type, range and word of *value*, as the gateway does. Raises APIError."""

    def check_at_service(self, name: str, value: Any, model_id: str, parameters: Values) -> None:
        """Check whether the model *model_id* supports *value* in a call with these *parameters*, of
        which it is one, as the image service does after the gateway. The input images are not
        decoded yet, so a rule cannot refuse a value because of their size. Raises APIError."""

    def value_when_lenient(self, parameters: Values) -> Any:
        """The value in place of an omitted `size` or of `auto`, where lenient validation has
        forgiven a mistake of the call; None for the usual value. Called for `size` only.
        *parameters* are those of the call."""
        return None

    def resolve(self, value: Any, source: Pixels | None, parameters: Values) -> Any:
        """The value in the validated request. None becomes the default, `auto` the value that it
        stands for. Called after both checks; refuses nothing. *source* is the size of the first
        input image in pixels; None where no image is there or decoded yet. *parameters* are those
        that the call sends, *value* among them."""
        return self.default if value is None else value

    def version_on(self, day: Day) -> Rule:
        """The version of the rule that held on *day*; None for the newest one."""
        return version_on(day, self, self.earlier)

    def schema(self) -> dict[str, Any]:
        """JSON Schema of the accepted values."""
        return {}


class Text(Rule, kw_only=True):
    """A string of *min_length* to *max_length* characters (None: any length); with *any_scalar*
    also a number or a boolean."""

    max_length: int | None = None
    min_length: int = 0
    any_scalar: bool = False

    def from_text(self, name: str, text: str) -> str:
        return text

    def check_at_gateway(self, name: str, value: Any) -> None:
        if self.any_scalar and isinstance(value, (bool, int, float)):
            return
        if not isinstance(value, str):
            raise wrong_scalar_error(name, value, "a string", "string")
        if len(value) < self.min_length:
            raise errors.empty_string(name=name)
        if self.max_length is not None and len(value) > self.max_length:
            raise errors.string_too_long(
                name=name, value=value, limit=self.max_length, length=len(value)
            )

    def resolve(self, value: Any, source: Pixels | None, parameters: Values) -> str | None:
        return value if value is None or isinstance(value, str) else json.dumps(value)

    def schema(self) -> dict[str, Any]:
        bounds = {"minLength": self.min_length or None, "maxLength": self.max_length}
        return {"type": "string"} | {key: bound for key, bound in bounds.items() if bound}


class Integer(Rule, kw_only=True):
    """A whole number from *minimum* to *maximum*, both included (None: no maximum)."""

    minimum: int
    maximum: int | None = None

    def parse_text(self, name: str, text: str) -> int:
        if re.fullmatch(r"[+-]?[0-9]{1,4300}", text.strip()):
            # `int` refuses to read more than 4,300 digits, as the parser of JSON does, or more than
            # PYTHONINTMAXSTRDIGITS.
            with suppress(ValueError):
                return int(text)
        raise errors.unconvertible(
            name=name, expected="an integer", value=python_repr(text), kind="integer"
        )

    def check_at_gateway(self, name: str, value: Any) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            raise wrong_scalar_error(name, value, "an integer", "integer")
        if value < self.minimum:
            raise errors.integer_too_small(name=name, limit=self.minimum, value=value)
        if self.maximum is not None and value > self.maximum:
            raise errors.integer_too_large(name=name, limit=self.maximum, value=value)

    def schema(self) -> dict[str, Any]:
        bounds = {"minimum": self.minimum, "maximum": self.maximum, "default": self.default}
        return {"type": "integer"} | {k: bound for k, bound in bounds.items() if bound is not None}


class Flag(Rule, kw_only=True):
    """A boolean."""

    def parse_text(self, name: str, text: str) -> bool:
        if text not in ("true", "false"):
            raise errors.unconvertible(
                name=name, expected="a boolean", value=python_repr(text), kind="boolean"
            )
        return text == "true"

    def check_at_gateway(self, name: str, value: Any) -> None:
        if not isinstance(value, bool):
            raise wrong_scalar_error(name, value, "a boolean", "boolean")

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean", "default": bool(self.default)}


class Choice(Rule):
    """One of *words*, which errors list in this order, or of *unlisted*, which they do not list.

    `auto` and an omitted value resolve to *auto*, or to *default* if that is None. *refusal* is the
    error for any other word; None for the usual error. It may name `{name}`, `{value}` and
    `{listed}`."""

    words: tuple[str, ...]
    unlisted: tuple[str, ...] = ()
    auto: str | None = None
    refusal: Refusal | None = None

    def check_at_gateway(self, name: str, value: Any) -> None:
        if not isinstance(value, str):
            expected = quoted_list(self.words, last="or")
            expected = f"one of {expected}" if len(self.words) > 1 else expected
            raise wrong_scalar_error(name, value, expected, "string")
        if value in self.words or value in self.unlisted:
            return
        usual = errors.value_not_listed if len(self.words) > 1 else errors.value_not_the_only_one
        raise (self.refusal or usual)(name=name, value=value, listed=Words(self.words))

    def resolve(self, value: Any, source: Pixels | None, parameters: Values) -> Any:
        return (self.auto or self.default) if value in (None, "auto") else value

    def schema(self) -> dict[str, Any]:
        words = [*self.words, *self.unlisted]
        default = self.default or ("auto" if "auto" in words else None)
        return {"type": "string", "enum": words} | ({"default": default} if default else {})


class Object(Rule):
    """A JSON object, or the form fields `name[field]`, with a rule for each of its *fields*."""

    fields: Mapping[str, Rule]

    def from_text(self, name: str, text: str) -> Any:
        return None if text in ("", "null") else text

    def from_form(self, name: str, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return Rule.from_form(self, name, value)
        values = {
            key: self.fields[key].from_form(f"{name}.{key}", inner) if key in self.fields else inner
            for key, inner in value.items()
        }
        # An object whose fields are all empty counts as omitted.
        return {key: inner for key, inner in values.items() if inner is not None} or None

    def check_at_gateway(self, name: str, value: Any) -> None:
        if not isinstance(value, Mapping):
            raise errors.wrong_type(name=name, expected="an object", got=json_type(value))
        for key, inner in value.items():
            if key not in self.fields:
                raise errors.unknown_field(name=f"{name}.{key}")
            rule = self.fields[key]
            if inner is not None or not rule.nullable:
                rule.check_at_gateway(f"{name}.{key}", inner)
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


class UnsupportedParameter(Rule, kw_only=True):
    """A parameter that the model refuses with any value. Before that, the gateway checks the value
    by the rule *like*."""

    like: Rule

    def parse_text(self, name: str, text: str) -> Any:
        return self.like.parse_text(name, text)

    def check_at_gateway(self, name: str, value: Any) -> None:
        self.like.check_at_gateway(name, value)

    def check_at_service(self, name: str, value: Any, model_id: str, parameters: Values) -> None:
        raise errors.parameter_not_supported(model=model_id, name=name)

    def schema(self) -> dict[str, Any]:
        return {"not": {}}


class SharedThenOwnRule(Rule, kw_only=True):
    """A parameter that is checked by a rule *shared* with other models (`check_at_gateway`), then
    by the model's *own* rule (`check_at_service`). A value that only *shared* accepts is refused
    with *refusal*, which may name the values of the error that *own* raises, and the model."""

    shared: Rule
    own: Rule
    refusal: Refusal

    def parse_text(self, name: str, text: str) -> Any:
        return self.own.parse_text(name, text)

    def from_form(self, name: str, value: Any) -> Any:
        return self.own.from_form(name, value)

    def check_at_gateway(self, name: str, value: Any) -> None:
        self.shared.check_at_gateway(name, value)

    def check_at_service(self, name: str, value: Any, model_id: str, parameters: Values) -> None:
        try:
            self.own.check_at_gateway(name, value)
        except APIError as error:
            raise self.refusal(**{**error.values, "model": model_id}) from None

    def resolve(self, value: Any, source: Pixels | None, parameters: Values) -> Any:
        return self.own.resolve(value, source, parameters)

    def schema(self) -> dict[str, Any]:
        return self.own.schema()


Rules = Mapping[str, Rule]
"""The rules of a model at an operation, by parameter. Validation checks the parameters in this
order."""


def shared_then_own_rule(shared: Rule, own: Rule, refusal: Refusal) -> SharedThenOwnRule:
    """A `SharedThenOwnRule` that takes *required*, *nullable* and *default* from *own*."""
    return SharedThenOwnRule(
        required=own.required,
        nullable=own.nullable,
        default=own.default,
        shared=shared,
        own=own,
        refusal=refusal,
    )

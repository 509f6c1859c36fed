"""The definition of settings. A setting is a field of a class of settings, with its checks.
`Setting` describes it to the command line, the variables, the settings file and the docs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import field, fields
from datetime import date
from types import NoneType
from typing import Any, Final, NamedTuple, get_args, get_type_hints

from images_emulator.immutable import Immutable
from images_emulator.setting_values import BOOLEANS, Bounds, Need, parse_byte_size, size_text
from images_emulator.spelling import suggestion

ENVIRONMENT_PREFIX: Final = "IMAGES_EMULATOR_"
"""The prefix of the environment variables."""


def setting(
    default: Any,
    metavar: str,
    help: str,
    *,
    command_default: Any = None,
    minimum: int | None = None,
    maximum: int | None = None,
    above: int | None = None,
    needs: Sequence[Need] = (),
    command: str | None = None,
    check: Callable[[Any], object] | None = None,
    choices: Sequence[str] = (),
    secret: bool = False,
    is_size: bool = False,
    is_path: bool = False,
) -> Any:
    """A field of a class of settings, with its *default*. *metavar* and *help* are for the help.

    *command_default* is the default of the flag and the variable, if it differs; see
    `command_defaults`. *minimum*, *maximum* and *above* bound a number: see `Bounds`.

    A server ignores the setting unless all of its *needs* are met. The *command* of this name reads
    it, too, whatever it needs. *check* raises ValueError for a text or a switch that the setting
    cannot have; it gets each text of a repeatable one.

    *choices* are values that a shell completes. The admin API does not show the values of a
    *secret* setting. For *is_size* and *is_path* see `size_setting` and `path_setting`.
    """
    command_value = default if command_default is None else command_default
    metadata = {
        "metavar": metavar,
        "help": help,
        "command_default": command_value,
        "bounds": Bounds(minimum, maximum, above),
        "needs": tuple(needs),
        "command": command,
        "check": check,
        "choices": tuple(choices),
        "secret": secret,
        "is_size": is_size,
        "is_path": is_path,
    }
    return field(default=default, metadata=metadata)


def size_setting(default: int, help: str, *, minimum: int) -> Any:
    """A field for a number of bytes. A text such as `64MB` is converted to one."""
    return setting(default, "SIZE", help, minimum=minimum, is_size=True)


def path_setting(metavar: str, help: str) -> Any:
    """A field for the path of a file or folder, unset by default. A relative path in the settings
    file starts at the folder of that file."""
    return setting(None, metavar, help, is_path=True)


_TYPES_IN_WORDS: Final[Mapping[type[Any], str]] = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a text",
}
"""The types that a setting's value can have, as errors name them."""


class Setting(Immutable):
    """One setting, as the command line, the variables, the file and the docs show it."""

    name: str
    """The name of the field, and the key in the settings file."""
    command_default: Any
    """The default of the command: of the flag, the variable and the file. That of `Settings` may be
    another one."""
    metavar: str
    """The word in capitals that stands for the value in the help."""
    help: str
    """The help: sentences with the unit, and the meaning of an unset value."""
    repeatable: bool
    """Whether the setting has any number of values."""
    type: type[Any]
    """The type of one value: text, a whole or another number, or a switch (bool)."""
    choices: tuple[str, ...]
    """The values that a shell completes; there may be others."""
    secret: bool
    """Whether the values are credentials, which the admin API does not show."""
    is_size: bool
    """Whether the value is a number of bytes, which texts such as `64MB` name."""
    is_path: bool
    """Whether the value is the path of a file or folder."""
    bounds: Bounds
    """The bounds of a number; no bounds for another value."""
    needs: tuple[Need, ...]
    """The needs without which the setting has no effect on a server."""
    command: str | None
    """A command other than `serve` that reads the setting, whatever it needs."""
    check_value: Callable[[Any], object] | None
    """The function that raises ValueError, with a sentence without a subject, for a text or a
    switch that is no value; None where all are values."""

    @property
    def flag(self) -> str:
        """The flag as it is shown. A switch takes no value, and its flag is the one that changes
        its default: `--no-page`. The other flag, `--page`, is there to undo a variable."""
        no = "no-" if self.command_default is True else ""
        return f"--{no}{self.name.replace('_', '-')}"

    @property
    def shown_default(self) -> str:
        """The default as help and docs show it; empty where there is none."""
        if isinstance(self.command_default, bool):
            return str(self.command_default).lower()
        if self.command_default in (None, ()):
            return ""
        if isinstance(self.command_default, float):
            return f"{self.command_default:g}"
        return size_text(self.command_default) if self.is_size else str(self.command_default)

    @property
    def range(self) -> str:
        """The range of a number, such as `1 to 256` or `1KiB or more`; empty for another value."""
        return self.bounds.text(size_text if self.is_size else str)

    @property
    def full_help(self) -> str:
        """The help, with the way to give several values, and with the needs of the setting."""
        sentences = [self.help]
        if self.repeatable:
            sentences.append("Repeatable; commas separate several in the variable.")
        if needs := " and ".join(f"`{each}`" for each in self.needs if each.of is None):
            command = f", and for the command `{self.command}`" if self.command else ""
            sentences.append(f"Only with {needs}{command}.")
        sentences += [f"`{each.of}` only with `{each}`." for each in self.needs if each.of]
        return " ".join(sentences)

    def unmet_needs(self, values: Mapping[str, Any]) -> tuple[Need, ...]:
        """The needs that the setting lacks to have an effect on a server. *values* are the values
        of all settings, by their names. At its default it lacks nothing, because the default has
        its usual effect."""
        value = values[self.name]
        if value == self.command_default:
            return ()
        needs = (each for each in self.needs if each.of in (None, value))
        return tuple(each for each in needs if not each.is_met(values))

    @property
    def variable(self) -> str:
        """The environment variable."""
        return ENVIRONMENT_PREFIX + self.name.upper()

    def check(self, value: Any, subject: str) -> None:
        """Raises ValueError about the *subject* for a *value* that the setting cannot have."""
        if self.repeatable and not isinstance(value, tuple):
            raise ValueError(f"{subject}: expected a list of texts, not {value!r}")
        for one in value if self.repeatable else (value,):
            if one is None and self.command_default is None:
                continue
            if self.is_size and isinstance(one, str):
                parse_value(subject, parse_byte_size, one)
            is_whole = self.type is float and type(one) is int
            # A bool is an int in Python.
            is_stray_bool = isinstance(one, bool) and self.type is not bool
            if is_stray_bool or not (is_whole or isinstance(one, self.type)):
                raise ValueError(f"{subject}: expected {_TYPES_IN_WORDS[self.type]}, not {one!r}")
            if self.check_value:
                try:
                    self.check_value(one)
                except ValueError as error:
                    raise ValueError(f"{subject}: {error}") from None
            if isinstance(one, int | float):
                parse_value(subject, self.bounds.check, one)

    def parse_one(self, text: str) -> Any:
        """The value that a flag's *text* means. Raises ValueError, with a sentence without a
        subject."""
        if self.type is bool:
            try:
                return BOOLEANS[text.strip().lower()]
            except KeyError:
                raise ValueError(f"must be true or false, not {text!r}") from None
        if self.is_size:
            return parse_byte_size(text)
        try:
            return self.type(text)
        except ValueError:
            raise ValueError(f"must be a number, not {text!r}") from None

    def parse(self, text: str) -> Any:
        """The value that a variable's *text* means; commas separate those of a repeatable setting.
        Raises ValueError, with a sentence without a subject."""
        if self.repeatable:
            return tuple(part.strip() for part in text.split(",") if part.strip())
        return self.parse_one(text)

    def parse_toml(self, value: Any) -> Any:
        """The value that a *value* of the settings file means. Raises ValueError, with a sentence
        without a subject."""
        if self.repeatable:
            values = value if isinstance(value, list) else [value]
            if all(isinstance(each, str) for each in values):
                return tuple(values)
            raise ValueError(f"must be an array of texts, not {value!r}")
        if isinstance(value, str):
            return self.parse_one(value)
        if self.type is str and isinstance(value, date):  # a date needs no quotes in TOML
            return value.isoformat()
        if self.type is float and type(value) is int:
            return float(value)
        if type(value) is not self.type:
            raise ValueError(f"must be {_TYPES_IN_WORDS[self.type].lower()}, not {value!r}")
        return value


def _value_type(name: str, hint: Any) -> type[Any]:
    """The type of one value of the setting *name*. The type *hint* may add None, or be a sequence.
    Raises TypeError unless it is text, a number or bool."""
    types = {*get_args(hint)} - {NoneType} or {hint}
    for value_type in _TYPES_IN_WORDS:
        if types == {value_type}:
            return value_type
    raise TypeError(f"setting {name}: a value is a text, a number or a bool, not {hint}")


def settings_of(settings: type[Immutable]) -> tuple[Setting, ...]:
    """The settings that are the fields of a class of *settings*, in their order. Raises TypeError
    for a field whose type no setting can have."""
    hints = get_type_hints(settings)
    return tuple(
        Setting(
            name=setting_field.name,
            command_default=setting_field.metadata["command_default"],
            metavar=setting_field.metadata["metavar"],
            help=setting_field.metadata["help"],
            repeatable=isinstance(setting_field.default, tuple),
            type=_value_type(setting_field.name, hints[setting_field.name]),
            choices=setting_field.metadata["choices"],
            secret=setting_field.metadata["secret"],
            bounds=setting_field.metadata["bounds"],
            needs=setting_field.metadata["needs"],
            command=setting_field.metadata["command"],
            check_value=setting_field.metadata["check"],
            is_size=setting_field.metadata["is_size"],
            is_path=setting_field.metadata["is_path"],
        )
        for setting_field in fields(settings)
    )


# --- what a class of settings does with its values


class Contradiction(NamedTuple):
    """A setting whose value needs other settings to have other values. *name* is its name, *reason*
    a clause without a subject."""

    name: str
    reason: str


def no_contradictions(_values: Mapping[str, Any]) -> Iterable[Contradiction]:
    """No contradictions, for settings that do not depend on each other."""
    return ()


def convert_values(settings: Any) -> None:
    """Convert values of *settings* in their `__post_init__`: a list or a single text to the tuple
    of a repeatable setting, a text to a size, a `Path` to a text. A value that cannot be converted
    stays, for `check_values`."""
    for setting_field in fields(settings):
        value = before = getattr(settings, setting_field.name)
        if isinstance(setting_field.default, tuple):
            if isinstance(value, str):
                value = (value,)
            elif isinstance(value, Iterable) and not isinstance(value, bytes | Mapping):
                value = tuple(value)
        elif setting_field.metadata["is_size"] and isinstance(value, str):
            with suppress(ValueError):
                value = parse_byte_size(value)
        elif setting_field.metadata["is_path"] and isinstance(value, os.PathLike):
            value = os.fspath(value)
        if value is not before:
            object.__setattr__(settings, setting_field.name, value)


def check_values(
    settings: Any,
    definitions: Sequence[Setting],
    contradictions: Callable[[Mapping[str, Any]], Iterable[Contradiction]] = no_contradictions,
) -> None:
    """Raise ValueError, with a line for each value of *settings* that its setting, one of
    *definitions*, cannot have. If there is none, raise it with a line for each of the
    *contradictions* between values."""
    values = {each.name: getattr(settings, each.name) for each in definitions}
    mistakes = []
    for definition in definitions:
        try:
            definition.check(values[definition.name], definition.name)
        except ValueError as error:
            mistakes.append(str(error))
    if mistakes := mistakes or [f"{each.name}: {each.reason}" for each in contradictions(values)]:
        raise ValueError("\n".join(mistakes))


# --- errors that name a setting


def parse_value(subject: str, parse: Callable[[Any], Any], value: Any) -> Any:
    """The value that *parse* makes of *value*. Raises ValueError about the *subject*."""
    try:
        return parse(value)
    except ValueError as error:
        raise ValueError(f"{subject} {error}") from None


def unknown_setting_sentence(name: str, names: Iterable[str]) -> str:
    """The sentence that refuses *name*, which is none of the *names* of settings."""
    meant = suggestion(name, names, quote="'")
    return f"there is no setting '{name}'{meant}"

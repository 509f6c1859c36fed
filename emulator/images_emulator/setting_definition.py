"""The definition of a setting: the field of a class of settings, with its checks, and `Setting`, by
which the command line, the variables, the settings file and the docs read and show it."""

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
"""Prefix of the environment variables."""


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
    parse: Callable[[Any], object] | None = None,
    choices: Sequence[str] = (),
    secret: bool = False,
    is_size: bool = False,
    is_path: bool = False,
) -> Any:
    """A field of a class of settings, with its *default*. *metavar* and *help* are for the help.

    *command_default* is the default of the flag and the variable where it is another one; see
    `command_defaults`. *minimum*, *maximum* and *above* bound a number: see `Bounds`. Without all
    of its *needs* it has no effect on a server; one that the *command* of this name reads, too, has
    one there. *parse* reads a text, each of a repeatable setting, and raises ValueError where it
    cannot. *choices* are values that a shell completes. The admin API does not show the values of
    a *secret* one. For *is_size* and *is_path* see `size_setting` and `path_setting`.
    """
    shown = default if command_default is None else command_default
    metadata = {
        "metavar": metavar,
        "help": help,
        "shown": shown,
        "bounds": Bounds(minimum, maximum, above),
        "needs": tuple(needs),
        "command": command,
        "parse": parse,
        "choices": tuple(choices),
        "secret": secret,
        "is_size": is_size,
        "is_path": is_path,
    }
    return field(default=default, metadata=metadata)


def size_setting(default: int, help: str, *, minimum: int) -> Any:
    """A field for a number of bytes. A text such as `64MB` is read as one."""
    return setting(default, "SIZE", help, minimum=minimum, is_size=True)


def path_setting(metavar: str, help: str) -> Any:
    """A field for the path of a file or folder, unset by default. In the settings file it is seen
    from the folder of that file."""
    return setting(None, metavar, help, is_path=True)


_TYPES_IN_WORDS: Final[Mapping[type[Any], str]] = {
    bool: "True or False",
    int: "a number",
    float: "a number",
    str: "a text",
}
"""The types that a setting's value can have, as errors name them."""


class Setting(Immutable):
    """One setting as the command line, the variables, the file and the docs show it."""

    name: str
    """Name of the field, and key of the settings file."""
    default: Any
    """Default of the flag and the variable."""
    metavar: str
    """The word in capitals that stands for the value in the help."""
    help: str
    """Sentences with the unit and what an unset one means."""
    repeatable: bool
    """Whether it has any number of values."""
    type: type[Any]
    """Type of one value: text, a whole or another number, or a switch (bool)."""
    choices: tuple[str, ...]
    """Values that a shell completes; there may be others."""
    secret: bool
    """Whether its values are credentials, which the admin API does not show."""
    is_size: bool
    """Whether it is a number of bytes, which texts such as `64MB` name."""
    is_path: bool
    """Whether it is the path of a file or folder."""
    bounds: Bounds
    """Bounds of a number; without any where the value is none."""
    needs: tuple[Need, ...]
    """What it has no effect on a server without."""
    command: str | None
    """Another command than `serve` that reads it, too, whatever it needs."""
    check_text: Callable[[Any], object] | None
    """Raises ValueError, whose sentence has no subject, for a text or a switch that is no value;
    None where all are."""

    @property
    def flag(self) -> str:
        """The flag as it is shown. That of a switch, which takes no value, is the one that changes
        its default: `--no-page`. The other one, `--page`, is there for a variable that did."""
        no = "no-" if self.default is True else ""
        return f"--{no}{self.name.replace('_', '-')}"

    @property
    def shown_default(self) -> str:
        """The default as help and docs show it; empty where there is none."""
        if isinstance(self.default, bool):
            return str(self.default).lower()
        if self.default in (None, ()):
            return ""
        if isinstance(self.default, float):
            return f"{self.default:g}"
        return size_text(self.default) if self.is_size else str(self.default)

    @property
    def range(self) -> str:
        """The numbers that it can be; empty for other values: `1 to 256`, `1KiB or more`."""
        return self.bounds.text(size_text if self.is_size else str)

    @property
    def full_help(self) -> str:
        """The help, how several values are given, and what the setting needs to have an effect."""
        sentences = [self.help]
        if self.repeatable:
            sentences.append("Repeatable; commas separate several in the variable.")
        if needs := " and ".join(f"`{each}`" for each in self.needs if each.of is None):
            command = f", and for the command `{self.command}`" if self.command else ""
            sentences.append(f"Only with {needs}{command}.")
        sentences += [f"`{each.of}` only with `{each}`." for each in self.needs if each.of]
        return " ".join(sentences)

    def unmet_needs(self, values: Mapping[str, Any]) -> tuple[Need, ...]:
        """What it lacks to have an effect on a server with the *values* of all settings, by their
        names. At its default it lacks nothing: it then has the effect that it always has."""
        value = values[self.name]
        if value == self.default:
            return ()
        needs = (each for each in self.needs if each.of in (None, value))
        return tuple(each for each in needs if not each.is_met(values))

    @property
    def variable(self) -> str:
        """The environment variable."""
        return ENVIRONMENT_PREFIX + self.name.upper()

    def check(self, value: Any, subject: str) -> None:
        """Raises ValueError about the *subject* for a *value* that the setting cannot have."""
        for one in value if self.repeatable else (value,):
            if one is None and self.default is None:
                continue
            if self.is_size and isinstance(one, str):
                parse_value(subject, parse_byte_size, one)
            is_whole = self.type is float and type(one) is int
            if not (is_whole or isinstance(one, self.type)):
                raise ValueError(f"{subject}: expected {_TYPES_IN_WORDS[self.type]}, not {one!r}")
            if self.check_text:
                try:
                    self.check_text(one)
                except ValueError as error:
                    raise ValueError(f"{subject}: {error}") from None
            if isinstance(one, int | float):
                parse_value(subject, self.bounds.check, one)

    def parse_one(self, text: str) -> Any:
        """One value in a flag's *text*. Raises ValueError, whose sentence has no subject."""
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
        """The value in a variable's *text*; commas separate those of a repeatable setting. Raises
        ValueError, whose sentence has no subject."""
        if self.repeatable:
            return tuple(part.strip() for part in text.split(",") if part.strip())
        return self.parse_one(text)

    def parse_toml(self, value: Any) -> Any:
        """The value in a *value* of the settings file. Raises ValueError, whose sentence has no
        subject."""
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
    """The type of one value of the setting *name*, whose type *hint* may add None or be a sequence.
    Raises TypeError for other types than text, numbers and bool."""
    types = {*get_args(hint)} - {NoneType} or {hint}
    for each in _TYPES_IN_WORDS:
        if types == {each}:
            return each
    raise TypeError(f"setting {name}: a value is a text, a number or a bool, not {hint}")


def settings_of(settings: type[Immutable]) -> tuple[Setting, ...]:
    """The settings that are the fields of a class of *settings*, in their order. Raises TypeError
    for a field whose type no setting can have."""
    hints = get_type_hints(settings)
    return tuple(
        Setting(
            name=each.name,
            default=each.metadata["shown"],
            metavar=each.metadata["metavar"],
            help=each.metadata["help"],
            repeatable=isinstance(each.default, tuple),
            type=_value_type(each.name, hints[each.name]),
            choices=each.metadata["choices"],
            secret=each.metadata["secret"],
            bounds=each.metadata["bounds"],
            needs=each.metadata["needs"],
            command=each.metadata["command"],
            check_text=each.metadata["parse"],
            is_size=each.metadata["is_size"],
            is_path=each.metadata["is_path"],
        )
        for each in fields(settings)
    )


# --- what a class of settings does with its values


class Contradiction(NamedTuple):
    """A setting, by its *name*, whose value needs others to have other ones, and the *reason*: a
    clause without a subject."""

    name: str
    reason: str


def no_contradictions(_values: Mapping[str, Any]) -> Iterable[Contradiction]:
    """No contradictions: none of the settings depends on another."""
    return ()


def convert_values(settings: Any) -> None:
    """Replace values of *settings* in their `__post_init__` that stand for others: a list or a
    single text for the tuple of a repeatable setting, a text for a size, a `Path` for a text. A
    text that is no size stays, for `check_values`."""
    for each in fields(settings):
        value = before = getattr(settings, each.name)
        if isinstance(each.default, tuple):
            value = (value,) if isinstance(value, str) else tuple(value)
        elif each.metadata["is_size"] and isinstance(value, str):
            with suppress(ValueError):
                value = parse_byte_size(value)
        elif each.metadata["is_path"] and isinstance(value, os.PathLike):
            value = os.fspath(value)
        if value is not before:
            object.__setattr__(settings, each.name, value)


def check_values(
    settings: Any,
    definitions: Sequence[Setting],
    contradictions: Callable[[Mapping[str, Any]], Iterable[Contradiction]] = no_contradictions,
) -> None:
    """Raises ValueError, with a line for each value of *settings* that its setting, one of the
    *definitions*, cannot have; where there is none, for each of the *contradictions* between the
    values."""
    values = {each.name: getattr(settings, each.name) for each in definitions}
    mistakes = []
    for each in definitions:
        try:
            each.check(values[each.name], each.name)
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


def no_setting(name: str, names: Iterable[str]) -> str:
    """The sentence that refuses *name*, which is none of the *names* of settings."""
    meant = suggestion(name, names, quote="'")
    return f"there is no setting '{name}'{meant}"

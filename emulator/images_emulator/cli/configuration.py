"""The sources of a command's settings: its flags, the variables, the settings file and the
defaults. An earlier source goes before a later one."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar

from images_emulator.environment import API_KEY, URL_VARIABLE
from images_emulator.setting_definition import (
    ENVIRONMENT_PREFIX,
    Setting,
    parse_value,
    unknown_setting_sentence,
)
from images_emulator.setting_values import Need, check_header_secret
from images_emulator.settings import command_defaults, command_settings, contradictions
from images_emulator.spelling import suggestion

T = TypeVar("T")

SETTINGS_FILE: Final = "images-emulator.toml"
"""The settings file that is read if it is in the working directory."""


CONFIG_VARIABLE: Final = f"{ENVIRONMENT_PREFIX}CONFIG"
"""The variable that names the settings file."""

_OTHER_VARIABLES: Final = (CONFIG_VARIABLE, URL_VARIABLE)
"""Variables with the prefix that are no settings."""

_AZURE_HOST: Final = re.compile(r"\.azure\.com(?=[:/]|$)", re.IGNORECASE)
"""The end of the host in a URL of Azure."""

_ORCHESTRATED: Final = re.compile(r"SERVICE_(HOST|PORT)(_\w+)?|PORT_\d+_(TCP|UDP)(_\w+)?")
"""Variables that Kubernetes sets in each pod for a service of the name `images-emulator`."""


def setting_help(name: str, *, full: bool = False) -> str:
    """The help of a setting: its first sentence and its default. In *full*, it has all sentences,
    and the variable."""
    setting = _by_name()[name]
    default = setting.shown_default
    if full:
        shown = f" Default: {default}." if default else ""
        numbers = f" Range: {setting.range}." if setting.range else ""
        text = f"{setting.full_help}{shown}{numbers} [{setting.variable}]"
    else:
        text = setting.help.partition(". ")[0].removesuffix(".") + (
            f" [{default}]" if default else ""
        )
    return text.replace("%", "%%").replace("`", "")


def add_setting(
    parser: Any, setting: Setting, *, help: str, short: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Add the flag of *setting* to a *parser*, or to one of its groups. *short* may have a short
    flag by the setting's name. The option is missing where the flag is not given."""
    if setting.type is bool:
        parser.add_argument(
            f"--{setting.name.replace('_', '-')}",
            dest=setting.name,
            action=argparse.BooleanOptionalAction,
            default=argparse.SUPPRESS,
            help=help,
        )
        return
    parser.add_argument(
        *([short[setting.name]] if setting.name in short else []),
        setting.flag,
        dest=setting.name,
        metavar=setting.metavar,
        type=argument_type(setting.parse_one),
        action="append" if setting.repeatable else "store",
        default=argparse.SUPPRESS,
        help=help,
    )


def add_log_level(
    group: Any, setting: Setting, help: str, switches: Mapping[tuple[str, str], str]
) -> None:
    """Add the flag of the log's level to a *group*, with *switches*: flags that stand for a level,
    with their help. Only one of all these flags may be given."""
    one_of = group.add_mutually_exclusive_group()
    add_setting(one_of, setting, help=help)
    for flags, text in switches.items():
        one_of.add_argument(*flags, action="store_true", help=text)


def argument_type(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """*parse* as the type of an argument. The sentence of its ValueError is shown."""

    def read(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def path_text(text: str) -> str:
    """The type of an argument that is the path of a file or a folder. The value is a text. Shells
    complete the path."""
    return text


def add_config(parser: Any, help: str | None = None) -> None:
    """Add the flag that names the settings file."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=path_text,
        default=argparse.SUPPRESS,
        help=help or f"Settings file in place of {SETTINGS_FILE}",
    )


class SettingsFile(NamedTuple):
    """A settings file that was read."""

    path: str
    """The absolute path of the file."""
    in_effect: Sequence[str]
    """The names of the file's settings whose values are in effect."""
    overridden: Mapping[str, str]
    """The flag or variable that overrides each of the file's other settings."""

    def __str__(self) -> str:
        """The start-up line about the file: `config=/app/images-emulator.toml: port, as_of`."""
        parts = [", ".join(self.in_effect) or "sets nothing"]
        parts += [f"{name} is that of {source}" for name, source in self.overridden.items()]
        return f"config={self.path}: {'; '.join(parts)}"


class Configuration(NamedTuple):
    """The values that the sources give to settings, by their names."""

    flags: dict[str, Any]
    variables: dict[str, Any]
    document: dict[str, Any]
    path: str | None
    """The settings file of the *document*; None where there is none."""
    lines: Mapping[str, int]
    """The lines of the settings in that file, from 1."""

    @classmethod
    def read(cls, flags: Mapping[str, Any], *, for_server: bool = False) -> Configuration:
        """Read all sources. *flags* are the values from the command line; `config` among them names
        the settings file.

        Where *for_server*, every value must be one that its setting can have, and none may
        contradict another: a server uses all of them. Raises ValueError, with a line for each
        mistake that names the flag, the variable, or the file with its line.
        """
        given = dict(flags)
        path = given.pop("config", None) or os.environ.get(CONFIG_VARIABLE) or None
        if path is None and os.path.exists(SETTINGS_FILE):
            path = SETTINGS_FILE
        mistakes: list[str] = []
        if for_server:
            for name, value in given.items():
                setting = _by_name()[name]
                _collect(mistakes, setting.check, value, setting.flag)
        variables = _collect(mistakes, parse_variables, os.environ, check=for_server) or {}
        document: dict[str, Any] = {}
        lines: Mapping[str, int] = {}
        if path and (read := _collect(mistakes, _read_file, path, check=for_server)):
            document, lines = read
        configuration = cls(given, variables, document, path, lines)
        if for_server and not mistakes:
            mistakes = [
                f"{configuration.subject(each.name)}: {each.reason}"
                for each in contradictions(configuration.values())
            ]
        if mistakes:
            raise ValueError("\n".join(mistakes))
        return configuration

    @property
    def file(self) -> SettingsFile | None:
        """The settings file; None where there is none."""
        if self.path is None:
            return None
        before = self.variables | self.flags
        return SettingsFile(
            os.path.abspath(self.path),
            [name for name in self.document if name not in before],
            {name: self.subject(name) for name in self.document if name in before},
        )

    def subject(self, name: str) -> str:
        """The source of the value of the setting *name*, as errors name it: `--port`,
        `IMAGES_EMULATOR_PORT`, `images-emulator.toml:3: port`."""
        setting = _by_name()[name]
        if name in self.flags:
            return setting.flag
        if name in self.variables:
            return setting.variable
        return f"{self.path}:{self.lines[name]}: {name}" if name in self.document else name

    def values(self) -> dict[str, Any]:
        """The values of all settings of the command, by their names."""
        return {**command_defaults(), **self.document, **self.variables, **self.flags}

    def ineffective_settings(self) -> list[str]:
        """A sentence for each variable and each key of the file that has no effect on a server,
        because of other settings. A setting that another command reads is left out, as it may be
        meant for that command.

        Raises ValueError for such a flag. Nobody gives a server a flag that it should ignore, and a
        line among others is easily missed.
        """
        values = self.values()
        sentences, mistakes = [], []
        for setting in command_settings():
            needs = setting.unmet_needs(values)
            if not needs:
                continue
            if setting.name in self.flags:
                flag = f"{setting.flag} {needs[0].of}" if needs[0].of else setting.flag
                lacking = " and ".join(map(_as_flag, needs))
                mistakes.append(f"{flag} has no effect without {lacking}")
            elif setting.command is None:
                name = self.subject(setting.name) + (f"={needs[0].of}" if needs[0].of else "")
                lacking = " and ".join(map(str, needs))
                sentences.append(f"{name} has no effect without the setting {lacking}")
        if mistakes:
            raise ValueError("\n".join(mistakes))
        return sentences


def _as_flag(need: Need) -> str:
    """A *need* as flags of the command line: `--store`, `--remote-images fetch`."""
    flag = f"--{need.name.replace('_', '-')}"
    return f"{flag} {need.value}" if isinstance(need.value, str) else flag


def read_settings(**flags: Any) -> dict[str, Any]:
    """The values of the command's settings, by their names. *flags* are as in `Configuration.read`.
    Raises ValueError."""
    return Configuration.read(flags).values()


def add_upstream_key(parser: Any) -> None:
    """Add the flag `--api-key`, the upstream's key for a command that only calls an upstream."""
    (setting,) = (each for each in command_settings() if each.name == "upstream_api_key")
    parser.add_argument(
        "--api-key",
        metavar=setting.metavar,
        dest=setting.name,
        default=argparse.SUPPRESS,
        help=f"Key in place of each call's own [{setting.variable}]",
    )


def upstream_key(values: Mapping[str, Any]) -> str | None:
    """The key for the upstream: from the settings' *values*, else from the variable that the SDKs
    read. The dummy key that leads to an emulator counts as none. Raises ValueError for a key that
    no header can carry."""
    source, key = "the key for the upstream", values["upstream_api_key"]
    if not key:
        source = _key_variable(values["upstream"])
        key = os.environ.get(source)
        if not key or key == API_KEY:
            return None
    try:
        check_header_secret(key)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    return str(key)


def missing_upstream_key_sentence(upstream: str) -> str:
    """The sentence for a command that calls *upstream* and has no key for it: see
    `upstream_key`."""
    variable = _key_variable(upstream)
    (setting,) = (each for each in command_settings() if each.name == "upstream_api_key")
    dummy = f"; {API_KEY} in {variable} is the emulator's, and is not sent to others"
    return (
        f"there is no key to send to {upstream}: give it as --api-key, or in the variable "
        f"{setting.variable} or {variable}{dummy if os.environ.get(variable) == API_KEY else ''}"
    )


def _key_variable(upstream: str | None) -> str:
    """The variable in which the SDKs find their key for *upstream*."""
    return "AZURE_OPENAI_API_KEY" if _AZURE_HOST.search(upstream or "") else "OPENAI_API_KEY"


def _read_file(path: str, *, check: bool) -> tuple[dict[str, Any], dict[str, int]]:
    """The values in a settings file, and their lines. Raises ValueError, in which each line names
    the file and its line; see `parse_document`."""
    import tomllib  # noqa: PLC0415 - few starts have such a file

    from images_emulator.document_file import line_of_key, parse_file  # noqa: PLC0415 - as above

    try:
        text, document = parse_file(path, tomllib.loads)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    lines = {key: line_of_key(text, key) for key in document}
    values = parse_document(document, check=check, place=lambda key: f"{path}:{lines[key]}: ")
    for setting in command_settings():
        if setting.is_path and setting.name in values:
            values[setting.name] = _resolve_path(path, setting, values[setting.name])
    return values, lines


def parse_variables(environment: Mapping[str, str], *, check: bool = False) -> dict[str, Any]:
    """The values of the `IMAGES_EMULATOR_*` variables, by the names of the settings. An empty
    variable counts as unset.

    Raises ValueError. It has a line for each variable that is no setting, and for each value that
    cannot be read; with *check*, also for each value that its setting cannot have.
    """
    settings = {each.variable: each for each in command_settings()}
    values: dict[str, Any] = {}
    mistakes: list[str] = []
    for name, text in environment.items():
        if not name.startswith(ENVIRONMENT_PREFIX) or name in _OTHER_VARIABLES:
            continue
        if name in settings:
            setting = settings[name]
            # Kubernetes sets it, too: `tcp://10.0.0.7:8080`.
            if text and not (setting.name == "port" and "://" in text):
                read = partial(_read_value, setting, setting.parse, check=check)
                values[setting.name] = _collect(mistakes, read, text, name)
        elif not _ORCHESTRATED.fullmatch(name.removeprefix(ENVIRONMENT_PREFIX)):
            variables = [*settings, *_OTHER_VARIABLES]
            meant = suggestion(name, variables, prefix=ENVIRONMENT_PREFIX)
            mistakes.append(f"there is no variable {name}{meant}")
    if mistakes:
        raise ValueError("\n".join(mistakes))
    return values


def parse_document(
    document: Mapping[str, Any],
    *,
    check: bool = False,
    place: Callable[[str], str] = lambda _key: "",
) -> dict[str, Any]:
    """The values of a settings file, by the names of the settings. *place* makes the beginning of
    the line about a key.

    Raises ValueError. It has a line for each key that is no setting, and for each value that cannot
    be read; with *check*, also for each value that its setting cannot have.
    """
    settings = _by_name()
    values: dict[str, Any] = {}
    mistakes: list[str] = []
    for key, value in document.items():
        if key in settings:
            read = partial(_read_value, settings[key], settings[key].parse_toml, check=check)
            values[key] = _collect(mistakes, read, value, f"{place(key)}{key}")
        else:
            mistakes.append(f"{place(key)}{unknown_setting_sentence(key, settings)}")
    if mistakes:
        raise ValueError("\n".join(mistakes))
    return values


def _read_value(
    setting: Setting, parse: Callable[[Any], Any], value: Any, subject: str, *, check: bool
) -> Any:
    """Return what *parse* makes of the *value* of a *setting*. Raises ValueError about the
    *subject* where *parse* fails, and with *check* where the setting cannot have that value."""
    parsed = parse_value(subject, parse, value)
    if check:
        setting.check(parsed, subject)
    return parsed


def _collect(
    mistakes: list[str], read: Callable[..., T], *arguments: Any, **options: Any
) -> T | None:
    """Return what *read* makes of the arguments. Where it raises ValueError, return None, and add
    the error's sentences to the *mistakes*."""
    try:
        return read(*arguments, **options)
    except ValueError as error:
        mistakes.append(str(error))
        return None


def _by_name() -> dict[str, Setting]:
    """The settings of the command, by their names."""
    return {each.name: each for each in command_settings()}


def _resolve_path(path: str, setting: Setting, name: str) -> str:
    """The file or folder *name*, which the settings file *path* gives to *setting*, seen from the
    folder of *path*. The name of a ready scenario stays as it is, unless that folder has such a
    file."""
    from images_emulator.scenarios import ready_scenarios  # noqa: PLC0415 - few files have one

    file = Path(path).parent / name
    is_ready = setting.name == "scenario" and name in ready_scenarios() and not file.exists()
    return name if is_ready else str(file)

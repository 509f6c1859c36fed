"""The settings: each field is a flag, an environment variable and a row of the docs' table."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, fields
from datetime import date
from functools import cache
from types import NoneType
from typing import Any, Final, get_args, get_type_hints
from urllib.parse import urlsplit

from images_emulator.immutable import Immutable
from images_emulator.setting_values import (
    BOOLEANS,
    VALIDATIONS,
    Bounds,
    NamespaceBy,
    Need,
    OnMiss,
    RemoteImages,
    ReplayMatch,
    check_metrics,
    check_otel,
    check_remote_images,
    check_store,
    check_store_name,
    choice_of,
    parse_byte_size,
    parse_day,
    parse_lenient,
    parse_rate,
    size_text,
)
from images_emulator.spelling import suggestion

ENVIRONMENT_PREFIX: Final = "IMAGES_EMULATOR_"
"""Prefix of the environment variables."""

FILE: Final = "FILE"
"""Stands in the help for the value of a setting that is a file."""

FOLDER: Final = "DIR"
"""Stands in the help for the value of a setting that is a folder."""

PATHS: Final = (FILE, FOLDER)
"""What stands in the help for the values of settings that are paths. In the settings file they are
seen from its folder."""

SIZE: Final = "SIZE"
"""Stands in the help for the value of a setting that is a number of bytes."""


def _setting(
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
    changeable: bool = False,
) -> Any:
    """A field of `Settings`. *command_default* is the default of the flag and the variable where
    it is another one; see `command_defaults`. *minimum*, *maximum* and *above* bound a number: see
    `Bounds`. Without all of its *needs* it has no effect on a server; one that the *command* of
    this name reads, too, has one there. *parse* reads a text and raises ValueError where it cannot.
    *choices* are values that a shell completes. The admin API does not show the values of a
    *secret* one, and changes those of a *changeable* one.
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
        "changeable": changeable,
    }
    return field(default=default, metadata=metadata)


def _as_tuple(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _check_texts(settings: Any) -> None:
    """Raises ValueError for a text that the setting's `parse` cannot read."""
    for each in fields(settings):
        parse, value = each.metadata["parse"], getattr(settings, each.name)
        try:
            if parse and value is not None:
                parse(value)
        except ValueError as error:
            raise ValueError(f"{each.name}: {error}") from None


def _check_bounds(settings: Any) -> None:
    """Raises ValueError for a number that is not within the setting's bounds."""
    for each in fields(settings):
        value = getattr(settings, each.name)
        if isinstance(value, int | float):
            parse_value(each.name, each.metadata["bounds"].check, value)


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


_KINDS: Final[Mapping[type[Any], str]] = {
    bool: "True or False",
    int: "a number",
    float: "a number",
    str: "a text",
}
"""The types that a setting's value can have, as errors name them."""


MAX_OPENED_PIXELS: Final = 89_478_485
"""Pixels of a picture that Pillow opens without a warning."""


class Settings(Immutable, kw_only=True):
    """The settings of an emulator. Raises ValueError for a value that a setting cannot have.

    A repeatable setting is a tuple; a list or a single text becomes one. A size is a number of
    bytes; a text such as `64MB` becomes one. A path is a text; a `Path` becomes one. Those of
    `CHANGEABLE` change at run time: see `Emulator.configure`.
    """

    host: str = _setting("127.0.0.1", "ADDRESS", "Address to listen on.")
    port: int = _setting(
        0,
        "PORT",
        "TCP port to listen on. 0: any free port.",
        command_default=8080,
        minimum=0,
        maximum=65535,
    )
    api_key: Sequence[str] = _setting(
        (),
        "KEY",
        "API key that is accepted. Each has uploaded files of its own. Unset: every key is, and "
        "all have the same files. Repeatable.",
        secret=True,
    )
    public_url: str | None = _setting(
        None,
        "URL",
        "Base of the URLs in answers, behind a proxy. Unset: the host that the client called.",
    )

    as_of: str = _setting(
        "any",
        "DATE",
        "Day it emulates: `YYYY-MM-DD`, `today` or `any`. `any`: every model and "
        "parameter that was ever documented is accepted; where two days contradict, the newer "
        "rule holds.",
        parse=parse_day,
        choices=("any", "today"),
        changeable=True,
    )
    validation: str = _setting(
        "strict",
        "MODE",
        "`strict` as the API, or `lenient` to mistakes. `lenient` forgives those that it can, "
        "and the header `x-emulator-violations` names them.",
        parse=parse_lenient,
        choices=VALIDATIONS,
        changeable=True,
    )

    remote_images: str = _setting(
        "placeholder",
        "MODE",
        "What an `image_url` gives. `placeholder`: a drawn image. `refuse`: the error of a failed "
        "download. `fetch`: the image there, from allowed hosts; it needs the extra `[fetch]`.",
        parse=check_remote_images,
        choices=tuple(RemoteImages),
    )
    allow_host: Sequence[str] = _setting(
        (),
        "HOST",
        "Host from which images may be fetched. Repeatable.",
        needs=[Need("remote_images", RemoteImages.FETCH)],
    )
    deployment: Sequence[str] = _setting(
        (),
        "NAME=MODEL",
        "Azure deployment and its model. Unset: a deployment has the model of its name. "
        "Repeatable.",
    )

    journal_entries: int = _setting(
        1000, "COUNT", "Calls in the journal. Past it the oldest are dropped.", minimum=0
    )
    journal_bytes: int = _setting(
        64 * 2**20,
        SIZE,
        "Memory of the journal. Past it the bodies of the oldest calls are dropped, "
        "then the calls.",
        minimum=0,
    )
    admin_token: str | None = _setting(
        None,
        "TOKEN",
        "Bearer token that `/_emulator` requires. Unset: no token is required.",
        secret=True,
    )

    page: bool = _setting(
        True,
        "",
        "The page at `/_emulator/`, which shows calls and pictures in a browser.",
    )

    scenario: str | None = _setting(
        None,
        FILE,
        "Scenario to start with: a file, or a ready one. A file is TOML or JSON.",
    )
    replay: str | None = _setting(
        None,
        FOLDER,
        "Folder of recordings. A call that one of them matches gets the recorded answer.",
    )
    replay_match: str = _setting(
        ReplayMatch.REQUEST,
        "LEVEL",
        "How alike a call and a recording must be. `exact`: in all fields, as they were sent. "
        "`request`: in operation, model, prompt, every parameter after its default, and the "
        "pixels of uploads. `prompt`: in operation, prompt and uploads. `operation`: in that "
        "alone.",
        needs=[Need("replay")],
        parse=choice_of(ReplayMatch),
        choices=tuple(ReplayMatch),
    )
    on_miss: str = _setting(
        OnMiss.EMULATE,
        "MODE",
        "What becomes of a call that no recording matches. `emulate`: the emulator answers it. "
        "`refuse`: it is refused, with the nearest recording and what is different. `record`: it "
        "is forwarded to the upstream, and recorded; that needs the extra `[record]`.",
        parse=choice_of(OnMiss),
        choices=tuple(OnMiss),
    )
    upstream: str | None = _setting(
        None,
        "URL",
        "API that answers where no recording does.",
        needs=[Need("on_miss", OnMiss.RECORD)],
        command="record",
    )
    upstream_api_key: str | None = _setting(
        None,
        "KEY",
        "API key in place of each call's own, for the upstream. The command takes it from "
        "`OPENAI_API_KEY`, too, as the SDKs do.",
        needs=[Need("on_miss", OnMiss.RECORD)],
        command="record",
        secret=True,
    )
    delay: bool = _setting(
        True,
        "",
        "Whether a recorded answer comes as late, part by part, as it came when it was recorded.",
        needs=[Need("replay")],
    )
    speed: float = _setting(
        1.0,
        "FACTOR",
        "How many times as fast as it was recorded a recorded answer comes.",
        above=0,
        needs=[Need("replay"), Need("delay", value=True)],
    )
    pictures: str | None = _setting(
        None,
        FOLDER,
        "Folder whose pictures answer prompts by their names. `a-red-fox.png` answers the prompt "
        "`A red fox`; `pictures.toml` in it can say more.",
    )
    rate_limit: str | None = _setting(
        None,
        "RATE",
        "Images per API key and model: `5/min`, `1/s`, `100/hour`. Unset: no limit.",
        parse=parse_rate,
    )

    rate_limit_keys: int = _setting(
        100_000,
        "COUNT",
        "Keys and models whose rate limits are counted. Past it the one that was used longest ago "
        "is forgotten, and has its limit anew.",
        minimum=1,
        needs=[Need("rate_limit")],
    )

    store: str | None = _setting(
        None,
        "URL",
        "Redis whose state several servers share. They have the same URL, `redis://`, `rediss://`, "
        "`unix://`, `redis+sentinel://` or `redis+cluster://`, and the same `store_name`. It needs "
        "the extra `[redis]`. Unset: the memory of the server.",
        parse=check_store,
    )
    store_name: str = _setting(
        "default",
        "NAME",
        "Name of the state in the store. Servers with another name are another emulator.",
        needs=[Need("store")],
        parse=check_store_name,
    )

    metrics: bool = _setting(
        False,
        "",
        "Answer `GET /metrics` with figures for Prometheus. It needs the extra `[metrics]`.",
        parse=check_metrics,
    )
    namespace_by: str = _setting(
        NamespaceBy.HEADER,
        "WAY",
        "What decides the namespace of a call, in which it has journal, scenario, clock, settings "
        "and files of its own. `header`: the header `x-emulator-namespace`, or a base URL with "
        "`/ns/NAME`. `key`: where neither is there, its API key.",
        parse=choice_of(NamespaceBy),
        choices=tuple(NamespaceBy),
    )
    max_namespaces: int = _setting(
        1000,
        "COUNT",
        "Namespaces of calls. Past it the one that was called longest ago is forgotten, if that "
        "was a minute ago; otherwise a further one is refused.",
        minimum=1,
    )
    namespace_idle: int = _setting(
        3600,
        "SECONDS",
        "After how long without a call a namespace of calls is forgotten.",
        minimum=1,
    )

    otel: bool = _setting(
        False,
        "",
        "Send traces of calls by OTLP/HTTP, to where the variables `OTEL_…` say. It needs the "
        "extra `[otel]`.",
        parse=check_otel,
    )

    hosted_bytes: int = _setting(
        128 * 2**20,
        SIZE,
        "Memory of the pictures behind URLs, which are kept as their requests. Past it the oldest "
        "URLs answer 404.",
        minimum=0,
    )
    files_bytes: int = _setting(
        512 * 2**20,
        SIZE,
        "Memory of the files of the Files API. Past it the oldest are dropped.",
        minimum=0,
    )

    max_body: int = _setting(
        17 * 50 * 2**20,
        SIZE,
        "Largest request body. The default has room for 16 images and a mask of 50 MB each.",
        minimum=1,
    )
    max_head: int = _setting(
        256 * 2**10,
        SIZE,
        "Largest request line with its headers. A larger one is answered 431.",
        minimum=1024,
    )
    max_parts: int = _setting(
        2**20,
        "COUNT",
        "Parts of a form. One of more is refused as no form. A form with an image as one part for "
        "each byte, as the Node SDK sends a Buffer, is refused in the words of the API.",
        minimum=1,
    )
    max_part_head: int = _setting(
        16 * 2**10,
        SIZE,
        "Largest headers of a part of a form. With larger ones the form is refused as none.",
        minimum=256,
    )
    max_pixels: int = _setting(
        64_000_000,
        "COUNT",
        "Pixels of an uploaded picture. One of more is refused as no image. The API documents no "
        "limit.",
        minimum=1,
        maximum=MAX_OPENED_PIXELS,
    )
    max_call_pixels: int = _setting(
        17 * 64_000_000,
        "COUNT",
        "Pixels of all pictures of one call together. The one that passes them is refused as no "
        "image. The default has room for 16 images and a mask.",
        minimum=1,
    )
    decode_bytes: int = _setting(
        320 * 2**20,
        SIZE,
        "Memory that the decoding of a picture may take; one is decoded at a time. A picture that "
        "takes more is refused as no image: a WebP of more than 25 million pixels, or a "
        "progressive JPEG without subsampling of more than 41.",
        minimum=1,
    )
    max_scans: int = _setting(
        100,
        "COUNT",
        "Scans of a JPEG, each a pass over all pixels; a progressive one has ten. A picture with "
        "more is refused as no image.",
        minimum=1,
    )
    max_chunks: int = _setting(
        10_000,
        "COUNT",
        "Segments of a JPEG, chunks of a PNG or WebP. A picture with more is refused as no image.",
        minimum=1,
    )

    max_connections: int = _setting(
        10_000,
        "COUNT",
        "Open connections of a process, of which each open stream has one. A call on one more gets "
        "a 503, and the connection is closed.",
        minimum=1,
    )
    idle_timeout: int = _setting(
        620,
        "SECONDS",
        "How long a connection may be idle: between two calls, and where the rest of a call does "
        "not come. Then it is closed, after a 408 if a call has begun. The default is longer than "
        "proxies keep theirs, the longest for 600: a connection that is closed while a proxy sends "
        "a call on it makes a 502.",
        minimum=1,
    )

    cache: int = _setting(
        12 * 2**20,
        SIZE,
        "Memory of the image cache. The caches of validated requests and of thumbnails have a "
        "quarter as much each beside it. 0 disables all three.",
        minimum=0,
    )
    render_processes: int = _setting(
        1,
        "COUNT",
        "Extra render processes, started only while requests queue for the render thread and CPU "
        "cores are free. 0 disables them.",
        minimum=0,
    )

    @classmethod
    def _unknown(cls, name: str) -> str:
        return no_setting(name, [each.name for each in fields(cls)])

    def _check_types(self) -> None:
        for each in all_settings():
            value = getattr(self, each.name)
            unset = value is None and each.default is None
            is_whole = each.type is float and type(value) is int
            if not (unset or each.repeatable or is_whole or isinstance(value, each.type)):
                raise ValueError(f"{each.name}: expected {_KINDS[each.type]}, not {value!r}")

    def _check_replay(self) -> None:
        """Raises ValueError where misses are to be recorded without a folder or an upstream, and
        where `on_miss` would do nothing. An upstream alone may be meant for `record`, which reads
        the same variables and file."""
        if self.on_miss == OnMiss.RECORD and not (self.replay and self.upstream):
            raise ValueError("on_miss: 'record' needs the settings 'replay' and 'upstream'")
        if self.on_miss == OnMiss.REFUSE and not self.replay:
            raise ValueError("on_miss: 'refuse' needs the setting 'replay'")

    def __post_init__(self) -> None:
        for name in (each.name for each in fields(self) if isinstance(each.default, tuple)):
            object.__setattr__(self, name, _as_tuple(getattr(self, name)))
        for each in fields(self):
            value = getattr(self, each.name)
            if each.metadata["metavar"] == SIZE and isinstance(value, str):
                object.__setattr__(self, each.name, parse_value(each.name, parse_byte_size, value))
            elif each.metadata["metavar"] in PATHS and isinstance(value, os.PathLike):
                object.__setattr__(self, each.name, os.fspath(value))
        self._check_types()
        for pair in self.deployment:
            if not all(pair.partition("=")):
                raise ValueError(f"deployment: expected NAME=MODEL, not '{pair}'")
        _check_texts(self)
        if self.admin_token == "":
            raise ValueError("admin_token must not be empty")
        self._check_replay()
        _check_bounds(self)
        if self.public_url is not None:
            parts = urlsplit(self.public_url)
            if parts.scheme not in ("http", "https") or not parts.netloc:
                raise ValueError(f"public_url must be an http or https URL, not {self.public_url}")


LOG_LEVELS: Final = ("debug", "info", "warning", "error")
"""Values of the `log_level` setting, each of which logs more than the next."""

LOG_FORMATS: Final = ("text", "json")
"""Values of the `log_format` setting."""


CHANGEABLE: Final = tuple(each.name for each in fields(Settings) if each.metadata["changeable"])
"""The names of the settings that may change while the server runs, until a reset."""


class LogSettings(Immutable, kw_only=True):
    """The settings of the command `serve` that a `Server` in Python does not have: what the
    terminal shows. Raises ValueError for a value that a setting cannot have."""

    log_level: str = _setting(
        "info",
        "LEVEL",
        "`info` shows a line a call, `debug` more of it. `warning` shows only calls that went "
        "wrong, and notices; `error` only errors of the emulator.",
        parse=choice_of(LOG_LEVELS),
        choices=LOG_LEVELS,
    )
    log_format: str = _setting(
        "text",
        "FORMAT",
        "`text`, or `json` with an object a line.",
        parse=choice_of(LOG_FORMATS),
        choices=LOG_FORMATS,
    )

    def __post_init__(self) -> None:
        _check_texts(self)


MAX_WORKERS: Final = 256
"""The most processes of one server. Each takes some 40 MB, and as many as that only exhaust a
machine."""


class ProcessSettings(Immutable, kw_only=True):
    """The settings of the command `serve` that say how many processes serve. Raises ValueError for
    a value that a setting cannot have."""

    workers: int = _setting(
        1,
        "COUNT",
        "Processes that serve as one emulator. 0: one for each CPU core. More than one share a "
        "Redis: that of `store`, or one of their own.",
        minimum=0,
        maximum=MAX_WORKERS,
    )

    def __post_init__(self) -> None:
        _check_bounds(self)


class Setting(Immutable):
    """One setting as the command line, the variables, the file and the docs show it."""

    name: str
    """Name of the field of `Settings`, `LogSettings` or `ProcessSettings`, and key of the file."""
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
    bounds: Bounds
    """Bounds of a number; without any where the value is none."""
    needs: tuple[Need, ...]
    """What it has no effect on a server without."""
    command: str | None
    """Another command than `serve` that reads it, too, whatever it needs."""

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
        return size_text(self.default) if self.metavar == SIZE else str(self.default)

    @property
    def range(self) -> str:
        """The numbers that it can be; empty for other values: `1 to 256`, `1KiB or more`."""
        return self.bounds.text(size_text if self.metavar == SIZE else str)

    @property
    def full_help(self) -> str:
        """The help, and what the setting needs to have an effect."""
        if not self.needs:
            return self.help
        needs = " and ".join(f"`{each}`" for each in self.needs)
        return f"{self.help} Only with {needs}" + (
            f", and for the command `{self.command}`." if self.command else "."
        )

    def unmet_needs(self, values: Mapping[str, Any]) -> tuple[Need, ...]:
        """What it lacks to have an effect on a server with the *values* of all settings, by their
        names. At its default it lacks nothing: it then has the effect that it always has."""
        if values[self.name] == self.default:
            return ()
        return tuple(each for each in self.needs if not each.is_met(values))

    @property
    def variable(self) -> str:
        """The environment variable."""
        return ENVIRONMENT_PREFIX + self.name.upper()

    def parse_one(self, text: str) -> Any:
        """One value in a flag's *text*. Raises ValueError, whose sentence has no subject."""
        if self.type is bool:
            try:
                return BOOLEANS[text.strip().lower()]
            except KeyError:
                raise ValueError(f"must be true or false, not {text!r}") from None
        if self.metavar == SIZE:
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
            raise ValueError(f"must be {_KINDS[self.type].lower()}, not {value!r}")
        return value


def _value_type(name: str, hint: Any) -> type[Any]:
    """The type of one value of the setting *name*, whose type *hint* may add None or be a sequence.
    Raises TypeError for other types than text, numbers and bool."""
    types = {*get_args(hint)} - {NoneType} or {hint}
    for each in _KINDS:
        if types == {each}:
            return each
    raise TypeError(f"setting {name}: a value is a text, a number or a bool, not {hint}")


def _settings_of(settings: type[Settings | LogSettings | ProcessSettings]) -> tuple[Setting, ...]:
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
        )
        for each in fields(settings)
    )


@cache
def all_settings() -> tuple[Setting, ...]:
    """The settings of an emulator in their order."""
    return _settings_of(Settings)


@cache
def command_settings() -> tuple[Setting, ...]:
    """The settings of the command: those of an emulator, of its processes and of its log."""
    groups = ProcessSettings, LogSettings
    return (*all_settings(), *(each for group in groups for each in _settings_of(group)))


def command_defaults() -> dict[str, Any]:
    """The defaults of the command's settings, by their names."""
    return {each.name: each.default for each in command_settings()}

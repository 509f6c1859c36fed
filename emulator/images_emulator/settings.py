"""Every setting once: its name, default and help become a flag, a variable and a line of the
README."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from enum import StrEnum
from functools import cache
from typing import Any, Final, NamedTuple, get_type_hints
from urllib.parse import urlsplit

PREFIX: Final = "IMAGES_EMULATOR_"


def parse_as_of(text: str, today: date) -> date | None:
    """`any` (None), `today` or YYYY-MM-DD. Raises ValueError for anything else."""
    if text == "any":
        return None
    if text == "today":
        return today
    try:
        # Python reads other forms of ISO 8601 too; all of them are shorter or have a week.
        return date.fromisoformat(text if len(text) == 10 and "W" not in text else "")
    except ValueError:
        raise ValueError(f"expected 'any', 'today' or a date as YYYY-MM-DD, not '{text}'") from None


VALIDATIONS: Final = ("strict", "lenient")


class RemoteImages(StrEnum):
    """The values of the `remote_images` setting: what becomes of an `image_url`."""

    PLACEHOLDER = "placeholder"
    """A drawn image stands in for it; nothing is fetched."""
    REFUSE = "refuse"
    """The call is refused, as if the download had failed."""
    FETCH = "fetch"
    """It is fetched, if `allow_host` has its host."""


def parse_lenient(text: str) -> bool:
    """Whether this *text* of the `validation` setting is `lenient`. Raises ValueError."""
    if text not in VALIDATIONS:
        raise ValueError(f"expected 'strict' or 'lenient', not '{text}'")
    return text == "lenient"


def _check_remote_images(text: str) -> None:
    if text not in {*RemoteImages}:
        raise ValueError(f"expected 'placeholder', 'refuse' or 'fetch', not '{text}'")


class RateUnit(NamedTuple):
    """A unit of time that a rate can be per."""

    name: str
    """In full, as the API's sentences have it."""
    seconds: int


RATE_UNITS: Final[Mapping[str, RateUnit]] = {
    "s": RateUnit("second", 1),
    "min": RateUnit("minute", 60),
    "hour": RateUnit("hour", 3600),
}
"""By the name that settings and sentences abbreviate them to."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate limit: *limit* images per *unit*, a key of `RATE_UNITS` that lasts *seconds*."""

    limit: int
    unit: str
    seconds: int


def parse_rate(text: str) -> Rate:
    """`5/min`, `1/s`, `100/hour`. Raises ValueError for anything else."""
    count, _, unit = text.partition("/")
    if not (count.isascii() and count.isdigit() and int(count)) or unit not in RATE_UNITS:
        raise ValueError(f"expected a rate as 5/min, 1/s or 100/hour, not '{text}'")
    return Rate(int(count), unit, RATE_UNITS[unit].seconds)


def _setting(default: Any, metavar: str, help: str, *, command_default: Any = None) -> Any:
    """A field of `Settings`. *command_default* goes before *default* where a flag or a variable
    could say otherwise: see `from_environment`."""
    shown = default if command_default is None else command_default
    return field(default=default, metadata={"metavar": metavar, "help": help, "shown": shown})


def _as_tuple(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _parse_day(text: str) -> date | None:
    return parse_as_of(text, date.max)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How an emulator behaves. Raises ValueError for a value that it cannot have.

    A setting that may be given more than once is a tuple; a list or a single text becomes one.
    """

    host: str = _setting("127.0.0.1", "ADDRESS", "address to listen on")
    port: int = _setting(0, "PORT", "port to listen on; 0 takes a free one", command_default=8080)
    api_key: Sequence[str] = _setting(
        (), "KEY", "accept this API key and no other; may be given more than once"
    )
    public_url: str | None = _setting(
        None, "URL", "where clients reach this server, for the URLs in answers"
    )

    as_of: str = _setting(
        "any",
        "DATE",
        "answer as the API did on that day: YYYY-MM-DD, today, or any for all it ever was",
    )
    validation: str = _setting(
        "strict", "MODE", "strict refuses what the API refuses, lenient forgives what it can"
    )

    remote_images: str = _setting(
        "placeholder",
        "MODE",
        "for an image_url: placeholder draws a picture in its place, refuse, or fetch",
    )
    allow_host: Sequence[str] = _setting(
        (), "HOST", "a host that pictures may be fetched from; may be given more than once"
    )
    deployment: Sequence[str] = _setting(
        (), "NAME=MODEL", "an Azure deployment and its model; may be given more than once"
    )

    journal_entries: int = _setting(1000, "COUNT", "calls that the journal keeps; the oldest go")
    journal_bytes: int = _setting(
        64 * 2**20,
        "BYTES",
        "what the journal may hold; the bodies of the oldest calls go first, then the calls",
    )
    admin_token: str | None = _setting(
        None, "TOKEN", "what /_emulator asks for, as a bearer token; without it, nothing"
    )

    scenario: str | None = _setting(
        None, "FILE", "let calls meet the faults of this scenario, in TOML or JSON"
    )
    rate_limit: str | None = _setting(
        None, "RATE", "pictures per key and model that are answered: 5/min, 1/s, 100/hour"
    )

    max_body: int = _setting(
        17 * 50 * 2**20,
        "BYTES",
        "the largest body that is read; by default sixteen of the largest pictures and a mask",
    )

    cache: int = _setting(
        12 * 2**20,
        "BYTES",
        "cache of pictures drawn lately; a quarter as much again is for whole answers; 0 for none",
    )
    render_processes: int = _setting(
        1,
        "COUNT",
        "processes that join in the drawing while more pictures are asked for than the server's "
        "own thread can draw, where there are cores for them; 0 for none",
    )

    def _check_types(self) -> None:
        for each in all_settings():
            value, kind = getattr(self, each.name), "number" if each.type is int else "text"
            unset = value is None and each.default is None
            if not (unset or each.repeatable or isinstance(value, each.type)):
                raise ValueError(f"{each.name}: expected a {kind}, not {value!r}")

    def __post_init__(self) -> None:
        for name in (each.name for each in fields(self) if isinstance(each.default, tuple)):
            object.__setattr__(self, name, _as_tuple(getattr(self, name)))
        self._check_types()
        for pair in self.deployment:
            if not all(pair.partition("=")):
                raise ValueError(f"deployment: expected NAME=MODEL, not '{pair}'")
        parsers: tuple[tuple[str, Callable[[str], object]], ...] = (
            ("as_of", _parse_day),
            ("validation", parse_lenient),
            ("remote_images", _check_remote_images),
            ("rate_limit", parse_rate),
        )
        for name, parse in parsers:
            try:
                if getattr(self, name) is not None:
                    parse(getattr(self, name))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port must be between 0 and 65535, not {self.port}")
        if self.admin_token == "":
            raise ValueError("admin_token must not be empty")
        leasts = (
            *(("max_body", 1), ("cache", 0), ("render_processes", 0)),
            *(("journal_entries", 0), ("journal_bytes", 0)),
        )
        for name, least in leasts:
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, not {getattr(self, name)}")
        if self.public_url is not None:
            parts = urlsplit(self.public_url)
            if parts.scheme not in ("http", "https") or not parts.netloc:
                raise ValueError(f"public_url must be an http or https URL, not {self.public_url}")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as the command line, the variables and the README show it."""

    name: str
    default: Any
    metavar: str
    help: str
    repeatable: bool
    type: type[Any]

    @property
    def flag(self) -> str:
        return f"--{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        return PREFIX + self.name.upper()

    def parse(self, text: str) -> Any:
        """A variable's text as a value; a comma separates those of a repeatable one."""
        if self.repeatable:
            return tuple(part.strip() for part in text.split(",") if part.strip())
        try:
            return self.type(text)
        except ValueError:
            raise ValueError(f"{self.variable} must be a number, not {text!r}") from None


@cache
def all_settings() -> tuple[Setting, ...]:
    """The settings in their order."""
    hints = get_type_hints(Settings)
    return tuple(
        Setting(
            name=each.name,
            default=each.metadata["shown"],
            metavar=each.metadata["metavar"],
            help=each.metadata["help"],
            repeatable=isinstance(each.default, tuple),
            type=int if hints[each.name] is int else str,
        )
        for each in fields(Settings)
    )


def from_environment(environment: Mapping[str, str], **given: Any) -> Settings:
    """The command's settings, from the `IMAGES_EMULATOR_*` variables; *given* ones go before them.

    Where neither names a port it is 8080. A `Server` made in Python takes a free one: tests that
    run side by side need one each.
    """
    values = {
        each.name: each.parse(environment[each.variable])
        if environment.get(each.variable)
        else each.default
        for each in all_settings()
    }
    return Settings(**(values | given))

"""The values of settings: reads them from texts, and finds what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from enum import StrEnum
from importlib.util import find_spec
from math import inf
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

from images_emulator.immutable import Immutable

SIZE_UNITS: Final[Mapping[str, int]] = {
    "GiB": 2**30,
    "MiB": 2**20,
    "KiB": 2**10,
    "GB": 10**9,
    "MB": 10**6,
    "kB": 10**3,
    "B": 1,
}
"""The units of sizes, in bytes. They are read in any case."""


def parse_byte_size(text: str) -> int:
    """The number of bytes in `67108864`, `64MiB` or `64 MB`. Raises ValueError for any other
    text."""
    match = re.fullmatch(r"(\d+)\s*([a-z]*)", text.strip(), re.IGNORECASE | re.ASCII)
    units = {unit.lower(): size for unit, size in SIZE_UNITS.items()} | {"": 1}
    if not match or match[2].lower() not in units:
        raise ValueError(f"must be a size such as 64MB, 64MiB or 67108864, not {text!r}")
    return int(match[1]) * units[match[2].lower()]


def size_text(size: int) -> str:
    """*size* in the largest of the binary units that divides it: `64MiB`."""
    for unit in ("GiB", "MiB", "KiB"):
        if size and size % SIZE_UNITS[unit] == 0:
            return f"{size // SIZE_UNITS[unit]}{unit}"
    return str(size)


API_SINCE: Final = date(2022, 11, 3)
"""The first day of the API: that of its first model."""


def parse_as_of(text: str, today: date) -> date | None:
    """The day that *text* means: `any` (None), `today` or YYYY-MM-DD, from the API's first day on.
    Raises ValueError for any other text."""
    if text == "any":
        return None
    if text == "today":
        return today
    try:
        # Python reads other forms of ISO 8601, too; they are all shorter, or have a week.
        day = date.fromisoformat(text if len(text) == 10 and "W" not in text else "")
    except ValueError:
        raise ValueError(f"expected 'any', 'today' or a date as YYYY-MM-DD, not '{text}'") from None
    if day < API_SINCE:
        raise ValueError(f"expected a date from {API_SINCE} on, the API's first day, not '{text}'")
    return day


VALIDATIONS: Final = ("strict", "lenient")
"""Values of the `validation` setting."""


class RemoteImages(StrEnum):
    """The values of the `remote_images` setting: what becomes of an `image_url`."""

    PLACEHOLDER = "placeholder"
    """A drawn image stands in for it; nothing is fetched."""
    REFUSE = "refuse"
    """The call is refused, as if the download had failed."""
    FETCH = "fetch"
    """The image is fetched, if `allow_host` has its host."""


def parse_lenient(text: str) -> bool:
    """Whether this *text* of the `validation` setting is `lenient`. Raises ValueError."""
    if text not in VALIDATIONS:
        raise ValueError(f"expected 'strict' or 'lenient', not '{text}'")
    return text == "lenient"


_API_KEY: Final = re.compile(r"[^\s,\"'\[\]{}]+")


def check_api_key(text: str) -> None:
    """Raise ValueError where *text* is no API key, for instance several keys in one text. The
    sentence does not show *text*, which may be a credential."""
    if not _API_KEY.fullmatch(text):
        raise ValueError(
            "expected a key without blanks, commas, quotes and brackets; commas separate several "
            "in a variable, and in the settings file they are an array"
        )


_HEADER_SECRET: Final = re.compile(r"[!-~]+")


def check_header_secret(text: str) -> None:
    """Raise ValueError where *text* is no token or key that a header can carry. The sentence does
    not show *text*."""
    if not _HEADER_SECRET.fullmatch(text):
        raise ValueError(
            "expected visible ASCII characters, without blanks and line ends"
            if text
            else "expected a text that is not empty"
        )


def check_public_url(text: str) -> None:
    """Raise ValueError where *text* is no URL of HTTP."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError(f"expected an http or https URL, not '{text}'")


def check_deployment(text: str) -> None:
    """Raise ValueError where *text* is no `NAME=MODEL`."""
    if not all(text.partition("=")):
        raise ValueError(f"expected NAME=MODEL, not '{text}'")


def check_remote_images(text: str) -> None:
    """Raise ValueError where *text* is no value of `remote_images`, or an extra is missing."""
    if text not in {*RemoteImages}:
        raise ValueError(f"expected 'placeholder', 'refuse' or 'fetch', not '{text}'")
    if text == RemoteImages.FETCH:
        try:
            import httpx2  # noqa: F401, PLC0415 - an extra
        except ImportError:
            command = "pip install 'openai-images-emulator[fetch]'"
            raise ValueError(f"'fetch' needs an HTTP client: {command}") from None


class ReplayMatch(StrEnum):
    """The values of the `replay_match` setting: the likeness that a call and a recording must have,
    from the strictest to the loosest. Each level includes the stricter ones."""

    EXACT = "exact"
    """Method, target and fields are the same, as they were sent."""
    REQUEST = "request"
    """The request is the same: operation, model, prompt, every parameter after its default, and the
    pixels of the uploads."""
    PROMPT = "prompt"
    """Operation, prompt and uploads are the same. Of several recordings, the nearest answers."""
    OPERATION = "operation"
    """The operation is the same. Of several recordings, the nearest answers."""


class OnMiss(StrEnum):
    """The values of the `on_miss` setting: what becomes of a call that no recording answers."""

    EMULATE = "emulate"
    """The emulator answers the call."""
    REFUSE = "refuse"
    """The call is refused, with the nearest recording and its differences from the call."""
    RECORD = "record"
    """The call is forwarded to the upstream, and its recording is added to the folder."""


class NamespaceBy(StrEnum):
    """The values of the `namespace_by` setting: where the namespace of a call comes from."""

    HEADER = "header"
    """A header of the call, or its path."""
    KEY = "key"
    """The API key of the call, where neither header nor path names a namespace."""


_URL: Final = re.compile(r"([A-Za-z][\w+.-]*:/+)?([^?#]*)(.*)", re.DOTALL)
_ODD_PORT: Final = re.compile(r"[^/\[\]]*:(?!\d*(?:[,/]|$))")


def without_credentials(url: str) -> str:
    """*url*, which may be malformed, without what may be a secret: user, password and query. They
    are taken for such up to the last `@`, since a password may hold any character."""
    scheme, address, query = _URL.findall(url)[0]
    if _ODD_PORT.match(address) and "@" in query:
        return f"{scheme}{re.split('[?#]', query.rpartition('@')[2])[0]}"
    return f"{scheme}{address.rpartition('@')[2]}"


def _check_redis(url: SplitResult) -> None:
    """Raise ValueError where *url* names no Redis, or its extra is missing."""
    for host in url.netloc.rpartition("@")[2].split(","):
        if urlsplit(f"//{host}").port == 0:  # a port that is none raises ValueError
            raise ValueError("port 0 is none")
    if url.scheme.endswith("+sentinel") and not url.path.strip("/"):
        raise ValueError("the path of sentinels is the name of the master, such as /mymaster")
    if not (find_spec("redis") and find_spec("hiredis")):
        command = "pip install 'openai-images-emulator[redis]'"
        raise ValueError(f"it needs a client of Redis: {command}")


REDIS_SCHEMES: Final = (
    "redis",
    "rediss",
    "unix",
    "redis+sentinel",
    "rediss+sentinel",
    "redis+cluster",
    "rediss+cluster",
)
"""The schemes of URLs that name Redis, which are all that the setting `store` takes; some are for
several nodes."""


def check_store(text: str) -> None:
    """Raise ValueError where *text* is no URL of a store, or its extra is missing."""
    url = urlsplit(text)
    if url.scheme not in REDIS_SCHEMES or not (url.netloc or url.path):
        *others, last = (f"{scheme}://" for scheme in REDIS_SCHEMES)
        raise ValueError(f"expected a URL that begins with {', '.join(others)} or {last}")
    _check_redis(url)


def check_metrics(on: bool) -> None:
    """Raise ValueError where the extra of `metrics` is missing."""
    if on and find_spec("prometheus_client") is None:
        command = "pip install 'openai-images-emulator[metrics]'"
        raise ValueError(f"it needs a client of Prometheus: {command}")


def check_otel(on: bool) -> None:
    """Raise ValueError where the extra of `otel` is missing."""
    modules = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
    if on and not all(map(_is_installed, modules)):
        command = "pip install 'openai-images-emulator[otel]'"
        raise ValueError(f"it needs OpenTelemetry: {command}")


def _is_installed(module: str) -> bool:
    """Whether *module* is installed. Its parents may be missing, too."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def check_store_name(text: str) -> None:
    """Raise ValueError where *text* is no name of the state in a store."""
    if not re.fullmatch(r"[\w.-]{1,64}", text, re.ASCII):
        raise ValueError(
            f"expected up to 64 letters, digits, dots, dashes and underscores, not {text!r}"
        )


def choice_of(values: Iterable[str]) -> Callable[[str], object]:
    """A function that raises ValueError for a text that is none of *values*."""
    words = [*values]
    quoted = [f"'{each}'" for each in words]
    listed = f"{', '.join(quoted[:-1])} or {quoted[-1]}"

    def check(text: str) -> None:
        if text not in words:
            raise ValueError(f"expected {listed}, not '{text}'")

    return check


class Bounds(NamedTuple):
    """The range of a setting's number: from *minimum* to *maximum*, if given, or greater than
    *above*, and then finite."""

    minimum: int | None = None
    maximum: int | None = None
    above: int | None = None

    def check(self, number: float) -> None:
        """Raise ValueError where *number* is outside of the range. The sentence has no subject."""
        if self.above is not None and not self.above < number < inf:
            raise ValueError(f"must be a number above {self.above}, not {number}")
        if self.minimum is not None and number < self.minimum:
            raise ValueError(f"must be at least {self.minimum}, not {number}")
        if self.maximum is not None and number > self.maximum:
            raise ValueError(f"must be at most {self.maximum}, not {number}")

    def text(self, shown: Callable[[int], str] = str) -> str:
        """The range as a text: `1 to 256`, `1 or more`, `above 0`; empty for any number. *shown*
        makes the text of a bound."""
        if self.above is not None:
            return f"above {shown(self.above)}"
        if self.minimum is None:
            return "" if self.maximum is None else f"up to {shown(self.maximum)}"
        if self.maximum is None:
            return f"{shown(self.minimum)} or more"
        return f"{shown(self.minimum)} to {shown(self.maximum)}"


class Need(NamedTuple):
    """A need of a setting: another setting, *name*, must have the *value*; None stands for any
    value but unset. With *of*, only this value of the needing setting has the need."""

    name: str
    value: str | bool | None = None
    of: str | None = None

    def is_met(self, values: Mapping[str, Any]) -> bool:
        """Whether *values*, the values of all settings by their names, meet the need."""
        value = values[self.name]
        return value not in (None, ()) if self.value is None else value == self.value

    def __str__(self) -> str:
        """The need as a text: `store`, `remote_images=fetch`."""
        if self.value is None:
            return self.name
        return f"{self.name}={str(self.value).lower()}"


class RateUnit(NamedTuple):
    """A unit of time for rates."""

    name: str
    """The full name of the unit, as the API's messages have it."""
    seconds: int


RATE_UNITS: Final[Mapping[str, RateUnit]] = {
    "s": RateUnit("second", 1),
    "min": RateUnit("minute", 60),
    "hour": RateUnit("hour", 3600),
}
"""The units, by their abbreviations in settings and messages."""


class Rate(Immutable):
    """A rate limit: *limit* images per *unit*, a key of `RATE_UNITS` that lasts *seconds*."""

    limit: int
    unit: str
    seconds: int


def parse_rate(text: str) -> Rate:
    """The rate that *text* means, such as `5/min`, `1/s` or `100/hour`. Raises ValueError for any
    other text."""
    count, _, unit = text.partition("/")
    if not (count.isascii() and count.isdigit() and int(count)) or unit not in RATE_UNITS:
        raise ValueError(f"expected a rate as 5/min, 1/s or 100/hour, not '{text}'")
    return Rate(int(count), unit, RATE_UNITS[unit].seconds)


def check_as_of(text: str) -> None:
    """Check the *text* of the `as_of` setting. Raises ValueError."""
    parse_as_of(text, date.max)


BOOLEANS: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("1", "on", "true", "yes"), True),
    **dict.fromkeys(("0", "off", "false", "no"), False),
}
"""The texts, in lower case, by which a variable switches something on or off."""

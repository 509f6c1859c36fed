"""The settings (configuration). Each field is a flag (command-line option), an environment
variable, a key of the settings file and a row of the docs' table. A new setting is a new field. If
it is a limit (a whole number whose unit is COUNT, SIZE or SECONDS), it also has a row in
`tests/limits.py`, unless it is a field of `ProcessSettings`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache
from typing import Any, Final

from images_emulator.immutable import Immutable
from images_emulator.setting_definition import (
    Contradiction,
    Setting,
    check_values,
    convert_values,
    path_setting,
    setting,
    settings_of,
    size_setting,
    unknown_setting_sentence,
)
from images_emulator.setting_values import (
    VALIDATIONS,
    NamespaceBy,
    Need,
    OnMiss,
    RemoteImages,
    ReplayMatch,
    check_api_key,
    check_as_of,
    check_deployment,
    check_header_secret,
    check_metrics,
    check_otel,
    check_public_url,
    check_remote_images,
    check_store,
    check_store_name,
    choice_of,
    parse_lenient,
    parse_rate,
    size_text,
)

MAX_OPENED_PIXELS: Final = 89_478_485
"""The most pixels of a picture that Pillow opens without a warning."""


class Settings(Immutable, kw_only=True):
    """The settings of an emulator. Raises ValueError for a value that a setting cannot have.

    A repeatable setting is a tuple, a size is a number of bytes, and a path is a text. A list or a
    single text becomes a tuple, a text such as `64MB` a number of bytes, and a `Path` a text. The
    settings in `changeable_settings.py` change at run time: see `Emulator.configure`.
    """

    host: str = setting("127.0.0.1", "ADDRESS", "Address to listen on.")
    port: int = setting(
        0,
        "PORT",
        "TCP port to listen on. 0: any free port.",
        command_default=8080,
        minimum=0,
        maximum=65535,
    )
    api_key: Sequence[str] = setting(
        (),
        "KEY",
        "API key that is accepted. Each has uploaded files of its own. Unset: every key is "
        "accepted, and all keys share their files.",
        check=check_api_key,
        secret=True,
    )
    public_url: str | None = setting(
        None,
        "URL",
        "Base of the URLs in answers, behind a proxy. Unset: the host that the client called.",
        check=check_public_url,
    )

    as_of: str = setting(
        "any",
        "DATE",
        "Day it emulates: `YYYY-MM-DD`, `today` or `any`. `any`: every model and "
        "parameter that was ever documented is accepted; where two days contradict, the newer "
        "rule holds.",
        check=check_as_of,
        choices=("any", "today"),
    )
    validation: str = setting(
        "strict",
        "MODE",
        "`strict` as the API, or `lenient` to mistakes. `lenient` forgives those that it can, "
        "and the header `x-emulator-violations` names them.",
        check=parse_lenient,
        choices=VALIDATIONS,
    )

    remote_images: str = setting(
        "placeholder",
        "MODE",
        "What an `image_url` gives. `placeholder`: a drawn image. `refuse`: the error of a failed "
        "download. `fetch`: the image there, from allowed hosts; it needs the extra `[fetch]`.",
        needs=[Need("allow_host", of=RemoteImages.FETCH)],
        check=check_remote_images,
        choices=tuple(RemoteImages),
    )
    allow_host: Sequence[str] = setting(
        (),
        "HOST",
        "Host from which images may be fetched.",
        needs=[Need("remote_images", RemoteImages.FETCH)],
    )
    deployment: Sequence[str] = setting(
        (),
        "NAME=MODEL",
        "Azure deployment and its model. Unset: a deployment has the model of its name.",
        check=check_deployment,
    )

    journal_entries: int = setting(
        1000, "COUNT", "Calls in the journal. Past it the oldest are dropped.", minimum=0
    )
    journal_bytes: int = size_setting(
        64 * 2**20,
        "Memory of the journal. Past it the bodies of the oldest calls are dropped, "
        "then the calls.",
        minimum=0,
    )
    admin_token: str | None = setting(
        None,
        "TOKEN",
        "Bearer token that `/_emulator` requires. Unset: no token is required.",
        check=check_header_secret,
        secret=True,
    )

    page: bool = setting(
        True,
        "",
        "The page at `/_emulator/`, which shows calls and pictures in a browser.",
    )

    scenario: str | None = path_setting(
        "FILE",
        "Scenario to start with: a file, or a ready one. A file is TOML or JSON.",
    )
    replay: str | None = path_setting(
        "DIR",
        "Folder of recordings. A call that one of them matches gets the recorded answer.",
    )
    replay_match: str = setting(
        ReplayMatch.REQUEST,
        "LEVEL",
        "How alike a call and a recording must be. `exact`: in all fields, as they were sent. "
        "`request`: in operation, model, prompt, every parameter (its default where it was not "
        "sent), and the pixels of uploads. `prompt`: in operation, prompt and uploads. "
        "`operation`: in the operation alone.",
        needs=[Need("replay")],
        check=choice_of(ReplayMatch),
        choices=tuple(ReplayMatch),
    )
    on_miss: str = setting(
        OnMiss.EMULATE,
        "MODE",
        "What becomes of a call that no recording matches. `emulate`: the emulator answers it. "
        "`refuse`: it is refused, with the nearest recording and what is different. `record`: it "
        "is forwarded to the upstream, and recorded; that needs the extra `[record]`.",
        check=choice_of(OnMiss),
        choices=tuple(OnMiss),
    )
    upstream: str | None = setting(
        None,
        "URL",
        "API that answers where no recording does.",
        needs=[Need("on_miss", OnMiss.RECORD)],
        command="record",
    )
    upstream_api_key: str | None = setting(
        None,
        "KEY",
        "API key in place of each call's own, for the upstream. The command takes it from "
        "`OPENAI_API_KEY`, too, as the SDKs do.",
        needs=[Need("on_miss", OnMiss.RECORD)],
        command="record",
        check=check_header_secret,
        secret=True,
    )
    delay: bool = setting(
        True,
        "",
        "Whether each part of a recorded answer is sent as late as it came in the recording.",
        needs=[Need("replay")],
    )
    speed: float = setting(
        1.0,
        "FACTOR",
        "The speed of recorded answers: with 2 they come twice as fast as they were recorded.",
        above=0,
        needs=[Need("replay"), Need("delay", value=True)],
    )
    pictures: str | None = path_setting(
        "DIR",
        "Folder whose pictures answer prompts by their names. `a-red-fox.png` answers the prompt "
        "`A red fox`; `pictures.toml` in it can say more.",
    )
    rate_limit: str | None = setting(
        None,
        "RATE",
        "Images per API key and model: `5/min`, `1/s`, `100/hour`. Unset: no limit.",
        check=parse_rate,
    )

    rate_limit_keys: int = setting(
        100_000,
        "COUNT",
        "Pairs of a key and a model whose rate limits are counted. Past it the pair whose last "
        "images were granted longest ago is forgotten, and has its whole limit again.",
        minimum=1,
        needs=[Need("rate_limit")],
    )

    store: str | None = setting(
        None,
        "URL",
        "Redis whose state several servers share. They have the same URL, `redis://`, `rediss://`, "
        "`unix://`, `redis+sentinel://` or `redis+cluster://`, and the same `store_name`. It needs "
        "the extra `[redis]`. Unset: the memory of the server.",
        check=check_store,
    )
    store_name: str = setting(
        "default",
        "NAME",
        "Name of the state in the store. Servers with another name are another emulator.",
        needs=[Need("store")],
        check=check_store_name,
    )

    metrics: bool = setting(
        False,
        "",
        "Answer `GET /metrics` with figures for Prometheus. It needs the extra `[metrics]`.",
        check=check_metrics,
    )
    namespace_by: str = setting(
        NamespaceBy.HEADER,
        "WAY",
        "What decides the namespace of a call. A namespace has journal, scenario, clock, settings "
        "and files of its own. `header`: the header `x-emulator-namespace`, or a base URL with "
        "`/ns/NAME`. `key`: where a call has neither, its API key.",
        check=choice_of(NamespaceBy),
        choices=tuple(NamespaceBy),
    )
    max_namespaces: int = setting(
        1000,
        "COUNT",
        "Namespaces beside the default one. Past it the one that was called longest ago is "
        "forgotten, if its last call was a minute ago or more; otherwise a further one is refused. "
        "With --store it is how many a process has open, and how many are listed: the state of the "
        "others stays in the store.",
        minimum=1,
    )
    namespace_idle: int = setting(
        3600,
        "SECONDS",
        "After how long without a call a namespace of calls is forgotten.",
        minimum=1,
    )

    otel: bool = setting(
        False,
        "",
        "Send traces of calls by OTLP/HTTP, to where the variables `OTEL_…` say. It needs the "
        "extra `[otel]`.",
        check=check_otel,
    )

    hosted_bytes: int = size_setting(
        128 * 2**20,
        "Memory of the pictures behind URLs, which are kept as their requests. Past it the oldest "
        "URLs answer 404.",
        minimum=0,
    )
    files_bytes: int = size_setting(
        512 * 2**20,
        "Memory of the files of the Files API. Past it the oldest are dropped.",
        minimum=0,
    )

    max_body: int = size_setting(
        17 * 50 * 2**20,
        "Largest request body. The default has room for 16 images and a mask of 50 MB each.",
        minimum=1,
    )
    max_head: int = size_setting(
        256 * 2**10,
        "Largest request line with its headers. A larger one is answered 431.",
        minimum=1024,
    )
    max_parts: int = setting(
        2**20,
        "COUNT",
        "Parts of a form. A form with more is refused as no form. A form with an image as one part "
        "for each byte, as the Node SDK sends a Buffer, is refused in the words of the API.",
        minimum=1,
    )
    max_part_head: int = size_setting(
        16 * 2**10,
        "Largest headers of a part of a form. A form with larger ones is refused as no form.",
        minimum=256,
    )
    max_pixels: int = setting(
        64_000_000,
        "COUNT",
        "Pixels of an uploaded picture. A picture with more is refused as no image. The API "
        "documents no limit.",
        minimum=1,
        maximum=MAX_OPENED_PIXELS,
    )
    max_call_pixels: int = setting(
        17 * 64_000_000,
        "COUNT",
        "Pixels of all pictures of one call together. The picture that exceeds them is refused as "
        "no image. The default has room for 16 images and a mask.",
        minimum=1,
    )
    decode_bytes: int = size_setting(
        320 * 2**20,
        "Memory that the decoding of a picture may take; one is decoded at a time. A picture that "
        "takes more is refused as no image: a WebP of more than 25 million pixels, or a "
        "progressive JPEG without subsampling of more than 41 million.",
        minimum=1,
    )
    max_scans: int = setting(
        100,
        "COUNT",
        "Scans of a JPEG, each a pass over all pixels; a progressive one has ten. A picture with "
        "more is refused as no image.",
        minimum=1,
    )
    max_chunks: int = setting(
        10_000,
        "COUNT",
        "Segments of a JPEG, chunks of a PNG or WebP. A picture with more is refused as no image.",
        minimum=1,
    )

    max_connections: int = setting(
        10_000,
        "COUNT",
        "Open connections of a process, of which each open stream has one. A call on one more gets "
        "a 503, and the connection is closed.",
        minimum=1,
    )
    idle_timeout: int = setting(
        620,
        "SECONDS",
        "How long a connection may be idle: between two calls, and where the rest of a call does "
        "not come. Then it is closed, after a 408 if a call has begun. The default is longer than "
        "proxies keep idle connections, 600 at most: where the server closes a connection while a "
        "proxy sends a call on it, the proxy answers 502.",
        minimum=1,
    )

    cache: int = size_setting(
        12 * 2**20,
        "Memory of the image cache. The caches of validated requests and of thumbnails have a "
        "quarter as much each, in addition. With `replay`, the caches of recorded answers and of "
        "pictures behind URLs have as much as the image cache each. 0 disables all of them.",
        minimum=0,
    )
    render_processes: int = setting(
        1,
        "COUNT",
        "Extra render processes, started only while requests queue for the render thread and CPU "
        "cores are free. 0 disables them.",
        minimum=0,
    )

    @classmethod
    def _unknown(cls, name: str) -> str:
        return unknown_setting_sentence(name, [each.name for each in fields(cls)])

    def __post_init__(self) -> None:
        convert_values(self)
        check_values(self, all_settings(), contradictions)


def contradictions(values: Mapping[str, Any]) -> Iterator[Contradiction]:
    """The contradictions among the *values* of settings, by their names: an `on_miss` without
    effect, and one that records without a folder or an upstream. An upstream alone is no
    contradiction: it may be meant for `record`, which reads the same variables and file."""
    if values["on_miss"] == OnMiss.RECORD and not (values["replay"] and values["upstream"]):
        yield Contradiction("on_miss", "'record' needs the settings 'replay' and 'upstream'")
    if values["on_miss"] == OnMiss.REFUSE and not values["replay"]:
        yield Contradiction("on_miss", "'refuse' needs the setting 'replay'")


LOG_LEVELS: Final = ("debug", "info", "warning", "error")
"""The values of the `log_level` setting. Each logs more than the next one."""

LOG_FORMATS: Final = ("text", "json")
"""Values of the `log_format` setting."""


class LogSettings(Immutable, kw_only=True):
    """The settings of the terminal's output, which the command `serve` has and a `Server` in Python
    does not. Raises ValueError for a value that a setting cannot have."""

    log_level: str = setting(
        "info",
        "LEVEL",
        "`info` shows a line a call, `debug` more of it. `warning` shows only calls that went "
        "wrong, and notices; `error` only errors of the emulator.",
        check=choice_of(LOG_LEVELS),
        choices=LOG_LEVELS,
    )
    log_format: str = setting(
        "text",
        "FORMAT",
        "`text`, or `json` with an object a line.",
        check=choice_of(LOG_FORMATS),
        choices=LOG_FORMATS,
    )

    def __post_init__(self) -> None:
        check_values(self, settings_of(LogSettings))


MAX_WORKERS: Final = 256
"""The most processes of one server. Each takes some 40 MB; more would only exhaust a machine."""


class ProcessSettings(Immutable, kw_only=True):
    """The settings of the command `serve` about the number of processes. Raises ValueError for a
    value that a setting cannot have."""

    workers: int = setting(
        1,
        "COUNT",
        "Processes that serve as one emulator. 0: one for each CPU core. More than one share a "
        "Redis: that of `store`, or one of their own.",
        minimum=0,
        maximum=MAX_WORKERS,
    )

    def __post_init__(self) -> None:
        check_values(self, settings_of(ProcessSettings))


@cache
def all_settings() -> tuple[Setting, ...]:
    """The settings of an emulator, in their order."""
    return settings_of(Settings)


@cache
def command_settings() -> tuple[Setting, ...]:
    """The settings of the command: those of the emulator, of its processes and of its log."""
    groups = ProcessSettings, LogSettings
    return (*all_settings(), *(each for group in groups for each in settings_of(group)))


def shown_setting(settings: Settings, name: str) -> str:
    """The setting *name* with its value, as the command line has it: `--max-pixels 64000000`."""
    (setting,) = (each for each in all_settings() if each.name == name)
    value = getattr(settings, name)
    return f"{setting.flag} {size_text(value) if setting.is_size else value}"


def command_defaults() -> dict[str, Any]:
    """The defaults of the command's settings, by their names."""
    return {each.name: each.command_default for each in command_settings()}

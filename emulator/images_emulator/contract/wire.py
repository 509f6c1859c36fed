"""Bodies of answers (responses), and stream events: their keys, the order of the keys, and the days
of each key.

In the body of an answer with images, `created` comes first, and the other keys follow in
alphabetical order. In an event, the keys of `EVENT_KEYS` come first, and the other keys follow in
alphabetical order. Both leave out keys without a value, except for `safety_identifier` in
`Model.null_identifier_period`. An error has all of its keys."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time
from functools import lru_cache, partial
from hashlib import blake2b
from itertools import count
from types import MappingProxyType
from typing import Any, Final

from images_emulator.contract.answer_replacement import NO_OVERRIDES, AnswerOverrides
from images_emulator.contract.calendar import (
    ALWAYS,
    SAFETY_IDENTIFIER_DAYS,
    Day,
    Period,
    version_on,
)
from images_emulator.contract.events import event
from images_emulator.contract.model import Model
from images_emulator.contract.refusal import IMAGE_SERVICE_TYPE, OLDER_ENVELOPE, ErrorAnswer
from images_emulator.contract.request import ImageRequest
from images_emulator.contract.templates import SlotValues, Template, number_slot, string_slot
from images_emulator.contract.usage import SvgUsage, Usage, svg_usage_of

# Recorded on that day; absent on 2025-05-22.
_ECHOED_PARAMETERS_DAYS: Final = Period(since=date(2025, 6, 3))

# The events of a capture of 2025-10 differ from those of 2026. The day of the change is not known;
# this one is the turn of the year.
_EVENTS_SINCE: Final = date(2026, 1, 1)

KEY_PERIODS: Final[Mapping[str, Period]] = {
    "generation_id": Period(since=date(2026, 9, 16)),
    "sequence_number": Period(since=_EVENTS_SINCE),
    "background": _ECHOED_PARAMETERS_DAYS,
    "output_format": _ECHOED_PARAMETERS_DAYS,
    "quality": _ECHOED_PARAMETERS_DAYS,
    "size": _ECHOED_PARAMETERS_DAYS,
    "safety_identifier": SAFETY_IDENTIFIER_DAYS,
    # A key of models. Every shutdown so far had been announced before this day.
    "shutdown_date": Period(since=date(2026, 8, 14)),
}
"""The days on which answers have a key, for the keys that answers have not always had. The days of
`output_tokens_details` depend on the model: `Model.output_details_period`."""

ECHOED_PARAMETERS: Final = ("background", "output_format", "quality", "size")
"""The parameters that answers of a GPT image model repeat, beside `safety_identifier`."""

EVENT_KEYS: Final = ("created_at", "type")
"""The first keys of an event, in their order; the others follow in alphabetical order."""

EARLIER_EVENT_KEYS: Final = (
    (
        _EVENTS_SINCE,
        (
            "type",
            "partial_image_index",
            "b64_json",
            "created_at",
            "usage",
            "size",
            "quality",
            "background",
            "output_format",
            "input_tokens",
            "output_tokens",
            "total_tokens",
            "input_tokens_details",
            "text_tokens",
            "image_tokens",
        ),
    ),
)
"""`EVENT_KEYS` until some day (see `version_on`), with the keys of `usage` behind them."""

MAX_CACHED_TEMPLATE_CHARS: Final = 4096
"""The longest body, without its images, whose template is cached."""


def _keys_of_day(values: dict[str, Any], day: Day) -> dict[str, Any]:
    """*values* without the keys that answers did not have on that day."""
    return {key: value for key, value in values.items() if day in KEY_PERIODS.get(key, ALWAYS)}


def _in_order_of_event(values: Mapping[str, Any], day: Day) -> dict[str, Any]:
    """*values*, which are an event or an object within it, with the keys in the order of that
    day."""
    keys = version_on(day, EVENT_KEYS, EARLIER_EVENT_KEYS)
    positions = {key: index for index, key in enumerate(keys)}
    return {
        key: values[key]
        for key in sorted(values, key=lambda key: (positions.get(key, len(keys)), key))
    }


def _indent(body: Any) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False)


def pretty(body: Any) -> bytes:
    """*body* as the API writes JSON: indented by two spaces, without a newline at the end."""
    return _indent(body).encode()


def _usage(usage: Usage, request: ImageRequest) -> dict[str, Any]:
    values: dict[str, Any] = {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "image_tokens": usage.input_image,
            "text_tokens": usage.input_text,
        },
        "output_tokens": usage.output_tokens,
    }
    if request.day in request.model.output_details_period:
        values["output_tokens_details"] = {
            "image_tokens": usage.output_image,
            "text_tokens": usage.output_text,
        }
    return values | {"total_tokens": usage.total_tokens}


def _usage_of_event(usage: Usage, request: ImageRequest) -> dict[str, Any]:
    day = request.day
    values = {
        key: _in_order_of_event(value, day) if isinstance(value, dict) else value
        for key, value in _usage(usage, request).items()
    }
    return _in_order_of_event(values, day)


def _svg_usage(usage: SvgUsage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "model": usage.model,
        "output_tokens": usage.output_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def _parameters(request: ImageRequest) -> dict[str, Any]:
    """The parameters that answers of a GPT image model repeat, with their resolved values."""
    values = {name: getattr(request, name) for name in ECHOED_PARAMETERS}
    values["size"] = "{}x{}".format(*request.size)
    if identifier := request.effective_safety_identifier:
        values["safety_identifier"] = identifier
    return _keys_of_day(values, request.day)


def revised_prompt(request: ImageRequest) -> str:
    """The `revised_prompt` of an answer: a phrase for the style, and the prompt as it was sent. The
    API itself had the prompt rewritten. The documentation calls the styles "hyper-real and
    dramatic" and "more natural, less hyper-real looking"."""
    phrase = "A vivid, hyper-real and dramatic picture"
    if request.style == "natural":
        phrase = "A natural, unembellished photograph"
    return f"{phrase} of the following: {request.prompt}"


def images_response(
    request: ImageRequest,
    usage: Usage | None,
    first_file_bytes: int = 0,
    annotations: Mapping[str, Any] = MappingProxyType({}),
    overrides: AnswerOverrides = NO_OVERRIDES,
) -> Template:
    """The body that answers *request*, with slots for `created`, each `image` (base64 or a URL, as
    the call asks) and each `generation_id`.

    - *usage* is None for models that count no tokens.
    - *first_file_bytes* is the length of the first file. Only the usage of an SVG depends on it.
    - *annotations* are further keys of every image.
    - *overrides* replace values of the body, except `created`: its slot is filled by the caller.
    """
    item: dict[str, Any] = {request.response_format: string_slot("image"), **annotations}
    if overrides.revised_prompt is not None:
        item["revised_prompt"] = overrides.revised_prompt
    elif request.model.revises_prompt:
        item["revised_prompt"] = revised_prompt(request)
    if usage:
        item["generation_id"] = string_slot("generation_id")
    item = dict(sorted(_keys_of_day(item, request.day).items()))
    body: dict[str, Any] = {"data": [item] * request.n}
    if usage:
        body |= _parameters(request) | {"usage": _usage(usage, request)}
        null_period = request.model.null_identifier_period
        if null_period and request.day in null_period:
            body.setdefault("safety_identifier", None)
        if counts := svg_usage_of(request, first_file_bytes):
            body["svg_usage"] = _svg_usage(counts)
    if overrides.usage is not None:
        body["usage"] = overrides.usage
    body = {"created": number_slot("created")} | dict(sorted(body.items()))
    # The older stack's bodies end with a newline. This was recorded for generations until 2024-04
    # and no longer in 2025-06, and for variations up to the last recording.
    end = OLDER_ENVELOPE.end if request.operation.is_on_older_stack(request.day) else ""
    text = json.dumps(body, ensure_ascii=False)
    make = _cached_template if len(text) <= MAX_CACHED_TEMPLATE_CHARS else _template
    return make(text, end)


def _template(text: str, end: str) -> Template:
    """The template of the compact JSON *text*, indented, with *end* behind it."""
    return Template(_indent(json.loads(text)) + end)


_cached_template = lru_cache(maxsize=256)(_template)
"""Templates by their arguments. Bodies of calls with different prompts are often equal, and
indenting JSON takes longer than the rest of a new answer. Nothing but the arguments decides a
template, so nothing empties the cache."""


def slot_values(
    created: datetime, images: Iterable[bytes], request_id: str | None = None
) -> SlotValues:
    """The values for the slots of an answer or an event: the time *created* in whole seconds, the
    *images* in their order (base64 or URLs), and with a *request_id* a `generation_id` for each
    image. The *request_id* decides these ids, so that the journal can make the answer again."""
    values: dict[str, Callable[[], bytes]] = {
        "created": lambda: b"%d" % created.timestamp(),
        "image": iter(images).__next__,
    }
    if request_id is not None:
        values["generation_id"] = map(partial(_generation_id, request_id), count()).__next__
    return values


def uuid_text(digits: str) -> str:
    """The text of a UUID of version 4 with these 32 hexadecimal *digits*; the six bits that mark
    the version are replaced. It takes a fifth of the time of `str(uuid4())`."""
    variant = "89ab"[int(digits[16], 16) % 4]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def _generation_id(request_id: str, index: int) -> bytes:
    """The `generation_id` of image *index* of an answer."""
    digest = blake2b(f"{request_id} {index}".encode(), digest_size=16)
    return uuid_text(digest.hexdigest()).encode()


def partial_image_event(request: ImageRequest, index: int) -> Template:
    """The event of partial image *index* (from 0). Its slots are `created` and `image`."""
    parameters = _parameters(request)
    parameters.pop("safety_identifier", None)
    return _image_event(
        request, "partial_image", index, {**parameters, "partial_image_index": index}
    )


def completed_event(
    request: ImageRequest, usage: Usage | None, overrides: AnswerOverrides = NO_OVERRIDES
) -> Template:
    """The last event of a stream, which has the final image. Its slots are `created` and `image`.
    *usage* is None for models that count no tokens. A usage in *overrides* replaces it."""
    values = _parameters(request)
    if usage:
        values["usage"] = _usage_of_event(usage, request)
    if overrides.usage is not None:
        values["usage"] = overrides.usage
    return _image_event(request, "completed", request.partial_images, values)


def _image_event(
    request: ImageRequest, suffix: str, index: int, values: Mapping[str, Any]
) -> Template:
    """Event *index* (from 0) of a stream, with *values* beside its head and its image. *suffix* is
    the end of the event's name."""
    name = f"{request.operation.event_name}.{suffix}"
    image = {"b64_json": string_slot("image"), "sequence_number": index}
    head = {"created_at": number_slot("created"), "type": name}
    values = {**head, **_keys_of_day(image, request.day), **values}
    return Template(event(name, _in_order_of_event(values, request.day)))


def error_event(error: ErrorAnswer, index: int, day: Day) -> bytes:
    """The last event of a stream that fails on *day*, as event *index* (from 0). An event with a
    user error was recorded with its index, one with `image_generation_failed` without it."""
    inner = {"type": error.type, "code": error.code, "message": error.message, "param": error.param}
    values: dict[str, Any] = {"type": "error", "error": inner}
    if error.type == IMAGE_SERVICE_TYPE:
        values["sequence_number"] = index
    return event("error", _keys_of_day(values, day)).encode()


def model_object(model: Model, day: Day) -> dict[str, Any]:
    """An entry of `GET /v1/models` on *day*."""
    midnight = datetime.combine(model.released, time(), UTC)
    values = {
        "id": model.id,
        "object": "model",
        "created": model.created or int(midnight.timestamp()),
        "owned_by": "system",
        "shutdown_date": model.shutdown.isoformat() if model.shutdown else None,
    }
    return _keys_of_day(values, day)


def model_list(models: Iterable[Model], day: Day) -> dict[str, Any]:
    """The body of `GET /v1/models` on *day*."""
    listed = [model_object(model, day) for model in models if model.is_listed]
    return {"object": "list", "data": listed}

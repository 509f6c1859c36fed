"""The shapes on the wire, with the API's keys in the API's order.

In a body the keys are alphabetical after `created`, in an event after `created_at` and `type`;
what does not apply is left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from images_emulator.contract.calendar import ALWAYS, AsOf, Period
from images_emulator.contract.events import event
from images_emulator.contract.request import ImageRequest, Model
from images_emulator.contract.templates import SlotValues, Template, number_slot, string_slot
from images_emulator.contract.usage import SvgUsage, Usage, svg_usage

DESCRIBED: Final = Period(since=date(2025, 6, 25))
"""Recorded on that day; the SDK has them from the next one on."""

GAINED: Final[Mapping[str, Period]] = {
    "generation_id": Period(since=date(2026, 9, 16)),
    # On no event of a capture of 2025-10, on all of those of 2026; the turn of the year stands for
    # the day between them, which is not known.
    "sequence_number": Period(since=date(2026, 1, 1)),
    "background": DESCRIBED,
    "output_format": DESCRIBED,
    "quality": DESCRIBED,
    "size": DESCRIBED,
    "output_tokens_details": Period(since=date(2025, 12, 16)),
    "safety_identifier": Period(since=date(2026, 10, 16)),
}
"""Keys that answers have not always had."""

SHORT: Final = 4096
"""Characters of a body without its pictures that is worth keeping."""


def _dated(told: dict[str, Any], as_of: AsOf) -> dict[str, Any]:
    """*told* without the keys that there were not yet."""
    return {key: value for key, value in told.items() if as_of in GAINED.get(key, ALWAYS)}


def _pretty(body: Mapping[str, Any]) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False)


def pretty(body: Mapping[str, Any]) -> bytes:
    """JSON as the API writes it: two spaces, no newline at the end."""
    return _pretty(body).encode()


def _usage(usage: Usage, as_of: AsOf) -> dict[str, Any]:
    told = {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"image_tokens": usage.image, "text_tokens": usage.text},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"image_tokens": usage.output, "text_tokens": usage.output_text},
        "total_tokens": usage.total_tokens,
    }
    return _dated(told, as_of)


def _svg_usage(spent: SvgUsage) -> dict[str, Any]:
    return {
        "input_tokens": spent.input_tokens,
        "model": spent.model,
        "output_tokens": spent.output_tokens,
        "reasoning_tokens": spent.reasoning_tokens,
        "total_tokens": spent.input_tokens + spent.output_tokens,
    }


def _described(request: ImageRequest) -> dict[str, Any]:
    """What a GPT image model says of its picture."""
    told = {
        "background": request.background,
        "output_format": request.output_format,
        "quality": request.quality,
        "size": "{}x{}".format(*request.size),
    }
    identifier = request.effective_safety_identifier
    told |= {"safety_identifier": identifier} if identifier else {}
    return _dated(told, request.as_of)


def revised_prompt(request: ImageRequest) -> str:
    """The prompt as dall-e-3 would have rewritten it: in one style's words, which the
    documentation calls "hyper-real and dramatic" and "more natural, less hyper-real looking"."""
    manner = {"natural": "A natural, unembellished photograph"}.get(request.style or "")
    return f"{manner or 'A vivid, hyper-real and dramatic picture'} of the following: " + (
        request.prompt
    )


def images_response(
    request: ImageRequest,
    usage: Usage | None,
    weight: int = 0,
    annotations: Mapping[str, Any] = MappingProxyType({}),
) -> Template:
    """The body that answers *request*, with holes for `created`, each `picture` (base64 or a URL,
    as it asks) and each `generation_id`; each picture has the *annotations* too. An SVG's first
    file has *weight* bytes."""
    item: dict[str, Any] = {request.response_format: string_slot("image"), **annotations}
    if request.model.revises_prompt:
        item["revised_prompt"] = revised_prompt(request)
    if usage:
        item["generation_id"] = string_slot("generation_id")
    item = dict(sorted(_dated(item, request.as_of).items()))
    body: dict[str, Any] = {"data": [item] * request.n}
    if usage:
        body |= _described(request) | {"usage": _usage(usage, request.as_of)}
        if spent := svg_usage(request, weight):
            body["svg_usage"] = _svg_usage(spent)
    told = {"created": number_slot("created")} | dict(sorted(body.items()))
    # The older stack ends its bodies with a newline, as recorded to the last.
    end = "\n" if request.operation.older_stack else ""
    unique = "generation_id" in item or request.response_format == "url"
    text = json.dumps(told, ensure_ascii=False)
    return (_short if len(text) <= SHORT else _long)(text, end, unique)


def _long(text: str, end: str, unique: bool) -> Template:
    return Template(_pretty(json.loads(text)) + end, unique=unique)


_short = lru_cache(maxsize=256)(_long)
"""Most bodies differ in a few counts, and indented JSON is what takes longest in a new answer."""


def slot_values(
    created: datetime, images: Iterable[bytes], new_uuid: Callable[[], str]
) -> SlotValues:
    """The values for the slots of an answer: its second, its *images* in their order (base64 or
    URLs), and a `generation_id` from *new_uuid* for each of them."""
    return {
        "created": lambda: b"%d" % created.timestamp(),
        "image": iter(images).__next__,
        "generation_id": lambda: new_uuid().encode(),
    }


def image_event(request: ImageRequest, number: int, usage: Usage | None) -> Template:
    """Event *number* of a stream, the completed one where *usage* is given, else a partial one,
    with holes for `created` and `picture`."""
    name = f"{request.operation.event_name}.{'completed' if usage else 'partial_image'}"
    extra = {"usage": _usage(usage, request.as_of)} if usage else {"partial_image_index": number}
    told = {"b64_json": string_slot("image"), "sequence_number": number}
    told = _dated(told, request.as_of) | _described(request) | extra
    if not usage:
        told.pop("safety_identifier", None)
    head = {"created_at": number_slot("created"), "type": name}
    return Template(event(name, head | dict(sorted(told.items()))))


def model_object(model: Model) -> dict[str, Any]:
    """An entry of `GET /v1/models`."""
    return {
        "id": model.id,
        "object": "model",
        "created": int(datetime.combine(model.released, time(), UTC).timestamp()),
        "owned_by": "system",
        "shutdown_date": model.shutdown.isoformat() if model.shutdown else None,
    }


def model_list(models: Iterable[Model]) -> dict[str, Any]:
    """The body of `GET /v1/models`."""
    return {"object": "list", "data": [model_object(model) for model in models]}

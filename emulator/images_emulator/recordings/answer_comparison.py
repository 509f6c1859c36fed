"""Compares the answers of a server with recorded answers."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from images_emulator.contract.http_headers import HeaderPairs
from images_emulator.exchange.answer_json import json_value
from images_emulator.immutable import Immutable
from images_emulator.recordings.document import (
    EVENT_STREAM,
    decoded_body,
    header,
    plain_fields,
)
from images_emulator.recordings.recorded_files import suffix_of
from images_emulator.recordings.recording import (
    ANY,
    RecordedResponse,
    Recording,
)

DifferenceKind = Literal[
    "status",
    "header",
    "body",
    "event",
    "key",
    "order",
    "length",
    "item",
    "type",
    "form",
    "code",
    "sentence",
    "value",
]
"""A key of `KINDS`."""

KINDS: Final[Mapping[DifferenceKind, str]] = {
    "status": "another status",
    "header": "a header of the API is missing, or the content type is another one",
    "body": "another text, or a stream in place of JSON, or the other way round",
    "event": "other events of a stream, or in another order",
    "key": "a key is missing, or is new",
    "order": "the keys of an object, or objects with an `id`, come in another order",
    "length": "a list has more or fewer items",
    "item": "a list has no object with that `id`, or has a new one",
    "type": "a value has another type",
    "form": "a picture has another format, or a URL is none",
    "code": "an error has another type, code or parameter",
    "sentence": "an error has another message",
    "value": "any other value differs",
}
"""The kinds of differences, and what each means."""

LATER_KEYS: Final = frozenset(
    {
        "generation_id",
        "background",
        "output_format",
        "quality",
        "size",
        "usage",
        "output_tokens_details",
        "safety_identifier",
    }
)
"""Keys that the API gained after some answers with an `Expectation` were recorded."""

CHOSEN_KEYS: Final = frozenset({"size", "quality", "background"})
"""Parameters that an answer repeats, and that the API chooses where the request does not."""

REQUIRED_HEADERS: Final = frozenset(
    {"content-type", "x-request-id", "openai-version", "openai-processing-ms"}
)
"""Headers that an answer must have where the recorded one has them. Only the media type of
`content-type` is compared; the values of the other headers are not."""

_INDEX: Final = re.compile(r"\[\d+\]")
_EVENT: Final = re.compile(r"\r\n\r\n|\n\n|\r\r")

_LINE_END: Final = re.compile(r"\r\n|\n|\r")
"""The end of a line of an event. `str.splitlines` also splits at characters that JSON may have in a
text, such as U+2028."""

_VOLATILE_PARTS: Final[Mapping[str, re.Pattern[str]]] = {
    "a URL": re.compile(r"\bhttps?://[^\s\"']+"),
    "an id": re.compile(r"\b(?:req|file|img|user|org|proj)[-_](?=[\w-]*\d)[\w-]{6,}"),
    "a key": re.compile(r"\bsk-[\w*.-]+|\*{4,}[\w*]*|<[A-Z][A-Z_]+>"),
    "a UUID": re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"),
    "a time": re.compile(
        r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"
    ),
    "a duration": re.compile(r"\b\d+(?:\.\d+)?\s?(?:ms|s|m|h)\b(?:\d+(?:\.\d+)?s\b)?"),
}
"""The parts of a text that are new in each answer, by the words that replace them. URLs are
replaced first, because a URL may contain the other parts."""

_FREE_TEXTS: Final = frozenset({"revised_prompt"})
"""Keys of texts that are written anew for each answer."""

_PICTURE_KEYS: Final = frozenset({"b64_json"})
"""Keys whose values are pictures in base64."""

_HEAD_CHARS: Final = 400
"""Characters of base64 that show the format of a picture; a multiple of four."""


class AnswerDifference(Immutable):
    """One difference between an answer and the recorded one."""

    kind: DifferenceKind
    where: str
    """The place in the answer, such as `body.data[0].url`."""
    recorded: str
    """The recorded value there, in words or as JSON."""
    actual: str
    """The server's value there."""

    @property
    def path_pattern(self) -> str:
        """*where* without the indexes of items, such as `body.data[].url`: it is the same in many
        answers."""
        return _INDEX.sub("[]", self.where)

    def __str__(self) -> str:
        return f"{self.where}: {self.actual}, recorded {self.recorded}"


class ComparisonRules(Immutable, kw_only=True):
    """The rules of a comparison. By default, every value except `ANY` must equal the recorded
    one."""

    later_keys: frozenset[str] = frozenset()
    """Keys that an object may have beside the recorded ones."""
    only_shapes: bool = False
    """Whether values that are new in each answer – ids, times, pictures, URLs, token counts – are
    compared by type and shape only."""
    chosen_keys: frozenset[str] = frozenset()
    """Keys of texts that the request left for the API to choose. With *only_shapes*, these texts
    are compared by type."""


def answer_differences(
    recording: Recording, actual: RecordedResponse, *, only_shapes: bool = False
) -> Iterator[AnswerDifference]:
    """Yield the differences of *actual* from the answer of *recording*, which must have one.

    Where the statuses differ, that is the only difference reported. Otherwise the headers are
    compared as `REQUIRED_HEADERS` says, and the bodies without the layout of JSON. *only_shapes* is
    as in `ComparisonRules`.
    """
    recorded = recording.response
    assert recorded
    gains_keys = recording.expectation and recorded.status < 400
    rules = ComparisonRules(
        later_keys=LATER_KEYS if gains_keys else frozenset(),
        only_shapes=only_shapes,
        chosen_keys=_chosen_keys(recording) if only_shapes else frozenset(),
    )
    if actual.status != recorded.status:
        yield AnswerDifference("status", "status", f"{recorded.status}", _with_status(actual))
        return
    present = recording.expectation.headers_present if recording.expectation else ()
    yield from _header_differences(recorded.headers, present, actual.headers)
    was, now = _is_stream(recorded), _is_stream(actual)
    if was != now:
        words = {True: "a stream", False: "no stream"}
        yield AnswerDifference("body", "body", words[was], words[now])
    elif was:
        yield from _stream_differences(recorded, actual, rules)
    else:
        yield from _body_differences(recorded, actual, rules)


def _with_status(response: RecordedResponse) -> str:
    text = error_text(response)
    return f"{response.status} ({text})" if text else f"{response.status}"


def error_text(response: RecordedResponse) -> str:
    """The error message in an answer, or else the beginning of the body."""
    body = _decode_body(response)
    value = _json(body)
    error = value.get("error") if isinstance(value, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return message if isinstance(message, str) else shortened(body.decode(errors="replace"), 100)


def _chosen_keys(recording: Recording) -> frozenset[str]:
    """The keys of `CHOSEN_KEYS` whose value in the request is missing or `auto`."""
    fields = plain_fields(recording.request)
    return frozenset(key for key in CHOSEN_KEYS if fields.get(key, "auto") in ("auto", None))


def _header_differences(
    recorded: HeaderPairs, present: Iterable[str], actual: HeaderPairs
) -> Iterator[AnswerDifference]:
    names = {name.lower() for name, _ in recorded} | {name.lower() for name in present}
    sent = {name.lower() for name, _ in actual}
    for name in sorted((names & REQUIRED_HEADERS) - sent):
        yield AnswerDifference("header", f"header {name}", "present", "missing")
    was, now = _media_type(recorded), _media_type(actual)
    if was and now and was != now:
        yield AnswerDifference("header", "header content-type", was, now)


def _body_differences(
    recorded: RecordedResponse, actual: RecordedResponse, rules: ComparisonRules
) -> Iterator[AnswerDifference]:
    was, now = _decode_body(recorded), _decode_body(actual)
    old, new = _json(was), _json(now)
    if old is None or new is None:
        if not _is_picture(recorded) and was != now:
            yield AnswerDifference("body", "body", _show_body(was), _show_body(now))
        return
    yield from _json_differences(old, new, "body", rules=rules)


def _stream_differences(
    recorded: RecordedResponse, actual: RecordedResponse, rules: ComparisonRules
) -> Iterator[AnswerDifference]:
    """Yield the differences of two streams. The number of consecutive events of one name is not
    compared, because the number of partial images is up to the API. Each event is compared with the
    recorded one in its place, or else with the last recorded one of that name."""
    recorded_runs, runs = _runs(_decode_body(recorded)), _runs(_decode_body(actual))
    names = [[name for name, _ in each] for each in (recorded_runs, runs)]
    if names[0] != names[1]:
        yield AnswerDifference("event", "events", ", ".join(names[0]), ", ".join(names[1]))
        return
    for (name, events), (_, others) in zip(recorded_runs, runs, strict=True):
        for number, other in enumerate(others):
            event = events[min(number, len(events) - 1)]
            yield from _json_differences(event, other, f"event {name}[{number}]", rules=rules)


def _runs(body: bytes) -> list[tuple[str, list[Any]]]:
    """The events of a stream, with consecutive events of one name grouped. Each group is the name
    and the events' data, parsed where it is JSON."""
    runs: list[tuple[str, list[Any]]] = []
    for event in _EVENT.split(body.decode(errors="replace")):
        fields = [line.partition(":")[::2] for line in _LINE_END.split(event) if line]
        if not fields:
            continue
        data = "\n".join(value.removeprefix(" ") for field, value in fields if field == "data")
        value = _json(data.encode()) if data else data
        value = data if value is None else value
        name = next((text.strip() for field, text in fields if field == "event"), "")
        if not name and isinstance(value, Mapping):
            name = str(value.get("type", ""))
        if runs and runs[-1][0] == (name or "data"):
            runs[-1][1].append(value)
        else:
            runs.append((name or "data", [value]))
    return runs


def _json_differences(
    recorded: Any, actual: Any, where: str, *, rules: ComparisonRules, key: str = ""
) -> Iterator[AnswerDifference]:
    """Yield the differences of the JSON value *actual* from *recorded*, in which `ANY` stands for
    any value. *key* is the name under which both values are stored."""
    if recorded == ANY:
        return
    if isinstance(recorded, dict) and isinstance(actual, dict):
        yield from _object_differences(recorded, actual, where, rules)
    elif isinstance(recorded, list) and isinstance(actual, list):
        yield from _list_differences(recorded, actual, where, rules, key)
    elif (was := _type_of(recorded)) != (now := _type_of(actual)):
        # The parameter and the code of an error may be null.
        is_in_error = "null" in (was, now) and _is_in_error(where)
        kind: DifferenceKind = _kind_of(where, key) if is_in_error else "type"
        yield AnswerDifference(kind, where, shown(recorded), shown(actual))
    elif isinstance(recorded, str):
        yield from _text_differences(recorded, actual, where, rules, key)
    elif recorded != actual and not (rules.only_shapes and _type_of(recorded) == "number"):
        yield AnswerDifference("value", where, shown(recorded), shown(actual))


def _object_differences(
    recorded: Mapping[str, Any], actual: Mapping[str, Any], where: str, rules: ComparisonRules
) -> Iterator[AnswerDifference]:
    for key in (key for key in actual if key not in recorded and key not in rules.later_keys):
        yield AnswerDifference("key", f"{where}.{key}", "no such key", shown(actual[key]))
    for key in (key for key in recorded if key not in actual):
        yield AnswerDifference("key", f"{where}.{key}", shown(recorded[key]), "no such key")
    orders = [key for key in recorded if key in actual], [key for key in actual if key in recorded]
    if orders[0] != orders[1]:
        yield AnswerDifference("order", where, *(f"keys {', '.join(each)}" for each in orders))
    for key in recorded:
        if key in actual:
            yield from _json_differences(
                recorded[key], actual[key], f"{where}.{key}", rules=rules, key=key
            )


def _list_differences(
    recorded: Sequence[Any], actual: Sequence[Any], where: str, rules: ComparisonRules, key: str
) -> Iterator[AnswerDifference]:
    recorded_items, actual_items = _items_by_id(recorded), _items_by_id(actual)
    if recorded_items is None or actual_items is None:
        if len(recorded) != len(actual):
            yield AnswerDifference("length", where, f"{len(recorded)}", f"{len(actual)} items")
        for number, (each, other) in enumerate(zip(recorded, actual, strict=False)):
            yield from _json_differences(each, other, f"{where}[{number}]", rules=rules, key=key)
        return
    for item_id in (each for each in actual_items if each not in recorded_items):
        yield AnswerDifference("item", where, "no such item", shown(item_id))
    for item_id in (each for each in recorded_items if each not in actual_items):
        yield AnswerDifference("item", where, shown(item_id), "no such item")
    common = [item_id for item_id in recorded_items if item_id in actual_items]
    if common != [item_id for item_id in actual_items if item_id in recorded_items]:
        yield AnswerDifference("order", where, "in another order", "the same items")
    for number, (item_id, item) in enumerate(recorded_items.items()):
        if item_id in actual_items:
            yield from _json_differences(
                item, actual_items[item_id], f"{where}[{number}]", rules=rules
            )


def _items_by_id(items: Sequence[Any]) -> dict[str, Any] | None:
    """The objects of a list, such as models, by their `id`; None unless each has an `id` of its
    own."""
    by_id = {
        item["id"]: item
        for item in items
        if isinstance(item, dict) and isinstance(item.get("id"), str) and ANY not in item["id"]
    }
    return by_id if len(by_id) == len(items) else None


def _text_differences(
    recorded: str, actual: str, where: str, rules: ComparisonRules, key: str
) -> Iterator[AnswerDifference]:
    if ANY in recorded:
        pattern = ".*".join(re.escape(part) for part in recorded.split(ANY))
        if not re.fullmatch(pattern, actual, re.DOTALL):
            yield AnswerDifference(_kind_of(where, key), where, shown(recorded), shown(actual))
    elif rules.only_shapes and key in rules.chosen_keys:
        return
    elif rules.only_shapes:
        was, now = shape_of(recorded, key), shape_of(actual, key)
        if was != now and (key in _PICTURE_KEYS or _is_url(recorded) or _is_url(actual)):
            yield AnswerDifference("form", where, was, now)
        elif was != now:
            yield AnswerDifference(_kind_of(where, key), where, shown(recorded), shown(actual))
    elif recorded != actual:
        yield AnswerDifference(_kind_of(where, key), where, shown(recorded), shown(actual))


def _kind_of(where: str, key: str) -> DifferenceKind:
    """The kind of a difference of the values under *key*."""
    if not _is_in_error(where):
        return "value"
    return "sentence" if key == "message" else "code"


def _is_in_error(where: str) -> bool:
    return ".error." in where


def shape_of(value: str, key: str = "") -> str:
    """*value* without the parts that are new in each answer."""
    if key in _FREE_TEXTS:
        return "a text"
    if key in _PICTURE_KEYS:
        return _picture_shape(value)
    if value.startswith("data:"):
        return value.partition(",")[0]
    for name, pattern in _VOLATILE_PARTS.items():
        value = pattern.sub(name, value)
    return value


def _picture_shape(value: str) -> str:
    try:
        head = base64.b64decode(value[:_HEAD_CHARS])
    except (binascii.Error, ValueError):
        return "no base64"
    return f"base64 of {suffix_of(head)[1:].upper() or 'no picture'}"


def _is_url(value: str) -> bool:
    return value.startswith(("http://", "https://", "data:"))


def _type_of(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def shown(value: Any) -> str:
    """A JSON *value* as a sentence shows it, cut to 300 characters."""
    return shortened(json.dumps(value, ensure_ascii=False), 300)


def shortened(text: str, length: int) -> str:
    """*text*, or its first *length* characters and an ellipsis."""
    return text if len(text) <= length else f"{text[:length]}…"


def _decode_body(response: RecordedResponse) -> bytes:
    """The body without its content coding, or the coded body where the coding cannot be read."""
    body, coding = response.body, header(response.headers, "content-encoding").strip().lower()
    return (decoded_body(body, coding) if coding else None) or body


def _json(body: bytes) -> Any:
    """The object or array in *body*; None where *body* is anything else."""
    value = json_value(body)
    return value if isinstance(value, dict | list) else None


def _show_body(body: bytes) -> str:
    return shown(body.decode(errors="replace")) if body else "empty"


def _media_type(headers: HeaderPairs) -> str:
    return header(headers, "content-type").partition(";")[0].strip().lower()


def _is_stream(response: RecordedResponse) -> bool:
    """Whether *response* is a stream: by its content type, or by its body where no type is
    recorded."""
    media_type = _media_type(response.headers)
    return media_type == EVENT_STREAM or (
        not media_type and response.body.startswith((b"event:", b"data:"))
    )


def _is_picture(response: RecordedResponse) -> bool:
    return _media_type(response.headers).startswith("image/")

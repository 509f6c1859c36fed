"""Answers whose bytes are known before they are sent, such as recorded ones, as the journal shows
them."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from images_emulator.contract.own_picture import OwnPicture
from images_emulator.contract.request import ImageRequest
from images_emulator.contract.rules import Pixels
from images_emulator.contract.usage import Usage
from images_emulator.contract.wire import ECHOED_PARAMETERS
from images_emulator.exchange.answer_json import image_items, is_image, json_value, usage_in
from images_emulator.exchange.sent_file import FileKey, SentFile, with_shortened_base64

_SIZE: Final = re.compile(r"([0-9]{1,6})x([0-9]{1,6})")


@dataclass(frozen=True, slots=True)
class KnownAnswer:
    """An answer as the journal shows it. It is worked out once for all calls that get it."""

    is_stream: bool
    image_indexes: tuple[int, ...] = ()
    """The indexes of the images in it, when it has been sent whole."""
    usage: Usage | None = None
    texts: tuple[bytes, ...] = ()
    """The text of each part of the body, with only the beginning of each image; empty for a body
    that is no text."""
    files: Mapping[FileKey, SentFile] = field(default_factory=dict)
    """See `CallAnswer.files`."""
    urls: tuple[bytes, ...] = ()
    """The URLs in it, in place of files."""
    pictures: tuple[OwnPicture, ...] = ()
    """The pictures in it, with their partial images."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """The parameters that it repeats."""

    def request_as_answered(self, request: ImageRequest) -> ImageRequest:
        """*request* with the pictures of this answer, and with the parameters that the answer
        repeats. For `auto` the API may have chosen other values than the emulator."""
        changes: dict[str, Any] = {**self.parameters}
        size = _pixels(changes.pop("size", ""))
        if size:
            changes["size"] = size
        if self.pictures:
            changes["own_pictures"] = self.pictures
        return replace(request, **changes) if changes else request


def known_answer(
    parts: Sequence[bytes], content_type: str, downloads: Mapping[str, bytes]
) -> KnownAnswer:
    """The answer of that *content_type*, which is in lower case, as the journal shows it. *parts*
    are its body, not compressed; the parts of a stream are its events. *downloads* are the files at
    its URLs."""
    if content_type.startswith("text/event-stream"):
        return _known_stream(parts)
    if not content_type.startswith(("application/json", "text/")):
        return KnownAnswer(is_stream=False)
    body = b"".join(parts)
    answer = json_value(body)
    items = [*image_items(answer)]
    files = {index: item["b64_json"] for index, item in items if _has_file(item)}
    urls = tuple(str(item["url"]) for _, item in items if not _has_file(item))
    pictures: list[bytes | None] = [_from_base64(each) for each in files.values()]
    if not files:
        pictures = [downloads.get(url) for url in urls]
    return KnownAnswer(
        is_stream=False,
        image_indexes=tuple(index for index, _ in items),
        usage=usage_in(answer),
        texts=(with_shortened_base64(body),),
        files={
            FileKey(index): SentFile.from_base64(each.encode()) for index, each in files.items()
        },
        urls=tuple(map(str.encode, urls)),
        # Only where each image has its own picture: a request repeats its pictures.
        pictures=tuple(OwnPicture(each, verbatim=True) for each in pictures if each)
        if all(pictures)
        else (),
        parameters=_parameters(answer),
    )


def _known_stream(events: Sequence[bytes]) -> KnownAnswer:
    """The stream of *events* as the journal shows it."""
    files: dict[FileKey, SentFile] = {}
    partials: list[bytes] = []
    final_image, final_payload = b"", None
    for event in events:
        payload = _payload(event)
        if not (is_image(payload) and _has_file(payload)):
            continue
        encoded = payload["b64_json"]
        if "partial_image_index" in payload:
            partials.append(_from_base64(encoded))
        else:
            final_image, final_payload = _from_base64(encoded), payload
            files[FileKey(0)] = SentFile.from_base64(encoded.encode())
    data = final_image or (partials[-1] if partials else b"")
    picture = OwnPicture(data, verbatim=True, partials=tuple(partials))
    return KnownAnswer(
        is_stream=True,
        image_indexes=(0,) if final_payload else (),
        usage=usage_in(final_payload),
        texts=tuple(map(with_shortened_base64, events)),
        files=files,
        pictures=(picture,) if data and all(partials) else (),
        parameters=_parameters(final_payload),
    )


def _has_file(image: Mapping[str, Any]) -> bool:
    """Whether *image*, an item of the answer, has the file, and not a URL. Some servers name both,
    and one of them is null."""
    return isinstance(image.get("b64_json"), str)


def _from_base64(encoded: str) -> bytes:
    """The file in base64; nothing where it is malformed."""
    try:
        return b64decode(encoded, validate=True)
    except ValueError:
        return b""


def _payload(event: bytes) -> Any:
    """The JSON in the data of an *event*."""
    return json_value(
        b"\n".join(line[5:] for line in event.splitlines() if line.startswith(b"data:"))
    )


def _parameters(answer: Any) -> Mapping[str, str]:
    """The parameters that an answer repeats."""
    if not isinstance(answer, Mapping):
        return {}
    values = {name: answer.get(name) for name in ECHOED_PARAMETERS}
    return {
        name: value for name, value in values.items() if isinstance(value, str) and value.isascii()
    }


def _pixels(size: str) -> Pixels | None:
    match = _SIZE.fullmatch(size)
    return (int(match[1]), int(match[2])) if match else None

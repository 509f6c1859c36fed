"""The bodies of answers as the journal shows them: as text, with only the beginning of each image.

The journal keeps no bodies with images. A body that no fault could change is made again from the
request. Except for the images, it is exactly the body that left.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from images_emulator.contract import wire
from images_emulator.contract.answer_replacement import AnswerOverrides
from images_emulator.contract.dialect import Dialect
from images_emulator.contract.request import ImageRequest
from images_emulator.contract.usage import Usage
from images_emulator.exchange.sent_answer import SentAnswer
from images_emulator.exchange.sent_file import FileKey, SentFile

_CREATED: Final = re.compile(rb'"created_at":(\d+)')


def images_body(
    request: ImageRequest,
    images: Sequence[SentFile] | Sequence[bytes],
    usage: Usage | None,
    dialect: Dialect,
    overrides: AnswerOverrides,
    *,
    request_id: str,
    time: datetime,
) -> bytes:
    """The body of the answer to the call that arrived at that *time*, with *images*, which are
    files or URLs. *overrides* replace values of the body."""
    files = [image for image in images if isinstance(image, SentFile)]
    template = wire.images_response(
        request,
        usage if files else None,
        files[0].base64_chars * 3 // 4 if files else 0,
        dialect.annotations(request),
        overrides,
    )
    texts = [image.shortened_base64() if isinstance(image, SentFile) else image for image in images]
    created = overrides.created_on(time.replace(microsecond=0))
    return template.fill(wire.slot_values(created, texts, request_id))


def stream_body(
    request: ImageRequest,
    files: Mapping[FileKey, SentFile],
    usage: Usage | None,
    sent: SentAnswer,
    overrides: AnswerOverrides,
) -> bytes:
    """The events of a stream that have left, with *files*. *overrides* replace values of the
    events."""
    return b"".join(_events(request, files, usage, sent, overrides))


def _events(
    request: ImageRequest,
    files: Mapping[FileKey, SentFile],
    usage: Usage | None,
    sent: SentAnswer,
    overrides: AnswerOverrides,
) -> Iterator[bytes]:
    for number, event in enumerate(sent.kept_events):
        is_last = number == request.partial_images
        second = _CREATED.search(event.head)
        file = files.get(FileKey(0, None if is_last else number))
        if second is None or file is None:
            # The error that ended the stream.
            yield sent.error_body
            continue
        created = datetime.fromtimestamp(int(second[1]), UTC)
        values = wire.slot_values(created, [file.shortened_base64()])
        if is_last:
            template = wire.completed_event(request, usage, overrides)
        else:
            template = wire.partial_image_event(request, number)
        yield template.fill(values)

"""The parts of a call that the journal keeps, and their weight in bytes.

The journal calls these functions: `drop_unkept` and `weigh_draft` on the event loop of the server,
`drop_body_and_pictures` where an entry is added or completed. Other threads may read the exchange
meanwhile. The functions set its attributes in an order that is safe for these threads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from sys import getsizeof

from images_emulator import imaging
from images_emulator.contract.request import ImageRequest
from images_emulator.exchange.call_details import details_of
from images_emulator.exchange.exchange import (
    EXCHANGE_OVERHEAD_BYTES,
    MAX_REPARSE_BYTES,
    Exchange,
)
from images_emulator.exchange.served_exchange import ServedExchange


def drop_unkept(exchange: ServedExchange, *, copied: bool = False) -> None:
    """Drop everything that only the answer needed, and set `weight` to the bytes that are left,
    about: `EXCHANGE_OVERHEAD_BYTES`, and those of the head, the body, the pictures, and what is
    kept of details and answer. *copied* is true where the journal keeps a copy, as in a shared
    store. Own pictures then count whole; otherwise calls share them.

    The parsed body is dropped. It is many times as large as the body, and perhaps no test ever
    reads it.
    """
    exchange.head.pack_headers()
    held_bytes = exchange.body_bytes + exchange.head.packed_bytes
    if (
        exchange.cached_details is None
        and exchange.cached_call
        and (exchange.body_bytes > MAX_REPARSE_BYTES or exchange.fault_label is not None)
    ):
        # Set before `cached_call` is dropped, because `Exchange.details` reads that call first.
        exchange.cached_details = details_of(exchange.cached_call, exchange.request)
        held_bytes += getsizeof(repr(exchange.cached_details))
    if request := exchange.request:
        weigh = imaging.decoder.copy_weight if copied else imaging.decoder.add_and_weigh_holder
        held_bytes += weigh(request)
        if request.images:
            exchange.request = imaging.decoder.without_pixels(request)
    answer = exchange.answer
    if exchange.near_misses or answer.sent.needs_parts or answer.image_urls:
        held_bytes += _answer_bytes(exchange)
    exchange.cached_call = exchange.parse_error = None
    exchange.fault_message_values = exchange.replacement = exchange.answer.known_answer = None
    exchange.weight = EXCHANGE_OVERHEAD_BYTES + held_bytes


def body_and_picture_bytes(exchange: Exchange) -> int:
    """The bytes that body and pictures take in a copy of an open call, about."""
    pictures = imaging.decoder.copy_weight(exchange.request) if exchange.request else 0
    return exchange.body_bytes + pictures


def weigh_draft(exchange: Exchange) -> None:
    """Set `weight` to the bytes that a copy of an open call takes, about."""
    exchange.weight = (
        EXCHANGE_OVERHEAD_BYTES + body_and_picture_bytes(exchange) + _answer_bytes(exchange)
    )


def drop_body_and_pictures(exchange: Exchange) -> None:
    """Drop body and pictures, and set `weight` to the bytes that are left."""
    details, usage = exchange.details, exchange.usage
    request = exchange.request if exchange.request and not exchange.request.has_files else None
    details_to_weigh = details
    exchange.head.pack_headers()
    exchange.weight = EXCHANGE_OVERHEAD_BYTES + exchange.head.packed_bytes + _answer_bytes(exchange)
    if request:
        # These two texts do not change the drawing, and may be as long as a body.
        request = replace(request, user=None, safety_identifier=None)
        exchange.weight += imaging.decoder.add_and_weigh_holder(request)
        details_to_weigh = replace(details, prompt=None)
    exchange.weight += getsizeof(repr(details_to_weigh))
    exchange.dropped = tuple(_dropped_parts(exchange, request))
    # Set before the request and the chunks are dropped, because `Exchange.details` and
    # `Exchange.usage` read those first.
    exchange.cached_details, exchange.answer.cached_usage = details, usage
    exchange.request = request
    exchange.chunks = None
    exchange.body_bytes = 0


def _dropped_parts(exchange: Exchange, request: ImageRequest | None) -> Iterator[str]:
    """The parts that are not kept any more where only *request* is left."""
    if exchange.chunks or "body" in exchange.dropped:
        yield "body"
    if exchange.image_indexes and (request is None or "pictures" in exchange.dropped):
        yield "pictures"


def _answer_bytes(exchange: Exchange) -> int:
    """Bytes of the kept parts of the answer, and of the near misses."""
    answer = exchange.answer
    urls = sum(map(getsizeof, answer.image_urls))
    return answer.sent.weight + urls + sum(miss.weight for miss in exchange.near_misses)

"""Retry chains: the attempts that an SDK makes of one call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from images_emulator.exchange.exchange import Exchange
from images_emulator.exchange.form_parser import boundary_of

_LENGTH: Final = b"content-length"


def retry_chain(exchanges: Iterable[Exchange], exchange: Exchange) -> list[Exchange]:
    """The attempts among *exchanges* (oldest first) that belong to *exchange*, which is one of
    them; none where it is alone. An attempt follows the last equal call for which the SDK has
    counted one retry less."""
    chains: list[list[Exchange]] = []
    own: list[Exchange] = []
    for other in exchanges:
        if other.is_download or not (other.id == exchange.id or _repeats(other, exchange)):
            continue
        retries = other.retries
        earlier = (chain for chain in reversed(chains) if chain[-1].retries == retries - 1)
        chain = next(earlier, None) if retries else None
        if chain is None:
            chain = []
            chains.append(chain)
        chain.append(other)
        if other.id == exchange.id:
            own = chain
    return own if len(own) > 1 else []


def possible_attempts(exchanges: Iterable[Exchange], exchange: Exchange) -> list[Exchange]:
    """The *exchanges* that may belong to the retry chain of *exchange*, by their heads alone; none
    where there was no retry."""
    similar = [
        other
        for other in exchanges
        if not other.is_download and (other.id == exchange.id or _has_same_head(other, exchange))
    ]
    return similar if any(each.retries for each in similar) else []


def _has_same_head(exchange: Exchange, other: Exchange) -> bool:
    head, others = exchange.head, other.head
    length, other_length = head.header(_LENGTH), others.header(_LENGTH)
    return (
        (head.method, head.path, head.query_string, head.api_key)
        == (others.method, others.path, others.query_string, others.api_key)
    ) and (length == other_length or not (length and other_length))


def _repeats(exchange: Exchange, other: Exchange) -> bool:
    """Whether the two calls ask for the same with the same key. A form may have another boundary
    each time. Where a body is not kept any more, only the lengths are compared."""
    if not _has_same_head(exchange, other):
        return False
    chunks, other_chunks = exchange.chunks, other.chunks
    if chunks is not None and other_chunks is not None:
        if exchange.body_bytes != other.body_bytes:
            return False
        return chunks == other_chunks or _without_boundary(exchange) == _without_boundary(other)
    return exchange.head.header(_LENGTH) == other.head.header(_LENGTH)


def _without_boundary(exchange: Exchange) -> bytes:
    """The body of a form without its boundary; of another body the whole body."""
    body = exchange.body or b""
    boundary = boundary_of(exchange.head.header(b"content-type"))
    return body.replace(boundary, b"") if boundary else body

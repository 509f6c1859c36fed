"""Authentication: which API key a call has, whether the settings accept it, and whose files it may
use."""

from __future__ import annotations

from hashlib import sha256

from images_emulator.exchange.served_exchange import ServedExchange
from images_emulator.settings import Settings


def accept_key(exchange: ServedExchange, settings: Settings) -> bool:
    """Whether the call has an accepted API key. That key becomes its `accepted_key`. The *settings*
    may name the accepted keys; if they name none, every key is accepted."""
    if exchange.accepted_key is None:
        key = exchange.head.api_key
        if key and (not settings.api_key or key in settings.api_key):
            exchange.accepted_key = key
    return exchange.accepted_key is not None


def file_owner(exchange: ServedExchange, settings: Settings) -> str:
    """The owner of the files that an authenticated call makes and may use. Each key that the
    *settings* name has files of its own; where every key is accepted, all have the same ones."""
    if not settings.api_key or exchange.accepted_key is None:
        return ""
    return sha256(exchange.accepted_key.encode("utf-8", "surrogatepass")).hexdigest()

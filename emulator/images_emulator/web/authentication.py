"""Authentication: which API key a call has, and whether the settings accept it."""

from __future__ import annotations

from images_emulator.exchange.exchange import Exchange
from images_emulator.settings import Settings


def authenticate(exchange: Exchange, settings: Settings) -> bool:
    """Whether the call has an accepted API key. The key becomes the call's principal. The
    *settings* may name the accepted keys; if they name none, every key is accepted."""
    if exchange.principal is None:
        key = exchange.head.api_key
        if key and (not settings.api_key or key in settings.api_key):
            exchange.principal = key
    return exchange.principal is not None

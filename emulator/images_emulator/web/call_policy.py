"""The policy of a call: the day that judges it, and whether validation is lenient. The settings say
it for all calls, two headers for one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import date
from functools import lru_cache
from typing import Final, TypeVar

from images_emulator.contract import emulator_errors
from images_emulator.contract.policy import Policy
from images_emulator.contract.refusal import APIError
from images_emulator.exchange.request_head import RequestHead
from images_emulator.exchange.served_exchange import ServedExchange
from images_emulator.setting_values import parse_as_of, parse_lenient
from images_emulator.settings import Settings

T = TypeVar("T")

AS_OF_HEADER: Final = "x-emulator-as-of"
"""The header with the day of one call, in place of the setting `as_of`."""

VALIDATION_HEADER: Final = "x-emulator-validation"
"""The header with the validation of one call, in place of the setting `validation`."""

POLICY_HEADERS: Final = frozenset({AS_OF_HEADER.encode(), VALIDATION_HEADER.encode()})
"""The names of both headers, as bytes."""


@lru_cache
def _policy_of_settings(as_of: str, validation: str, today: date) -> Policy:
    return Policy(parse_as_of(as_of, today), parse_lenient(validation), today)


def policy_of(exchange: ServedExchange, settings: Settings) -> Policy:
    """The policy that judges the call, from the *settings* and the headers that override them for
    one call. Raises APIError for a header whose value is invalid."""
    if exchange.policy is None:
        exchange.policy = _policy(exchange.head, exchange.time.date(), settings)
    return exchange.policy


def has_valid_policy_headers(exchange: ServedExchange, settings: Settings) -> bool:
    """Whether `policy_of` gives a policy. This sets none, because the clock of a shared store may
    still set the time of the call. The value of a header is valid on all days or on none."""
    if POLICY_HEADERS.isdisjoint(exchange.head.by_name):
        return True
    try:
        _policy(exchange.head, exchange.time.date(), settings)
    except APIError:
        return False
    return True


def set_policy_if_valid(exchange: ServedExchange, settings: Settings) -> None:
    """Set `ServedExchange.policy`, unless it is set already or the headers are invalid."""
    if exchange.policy is None:
        with suppress(APIError):
            policy_of(exchange, settings)


def _policy(head: RequestHead, today: date, settings: Settings) -> Policy:
    if POLICY_HEADERS.isdisjoint(head.by_name):
        return _policy_of_settings(settings.as_of, settings.validation, today)

    def read(header: str, default: str, parse: Callable[[str], T]) -> T:
        name = header.encode()
        try:
            return parse(head.header(name) if name in head else default)
        except ValueError as error:
            raise emulator_errors.bad_override(header=header, reason=str(error)) from None

    return Policy(
        as_of=read(AS_OF_HEADER, settings.as_of, lambda text: parse_as_of(text, today)),
        is_lenient=read(VALIDATION_HEADER, settings.validation, parse_lenient),
        today=today,
    )

"""Rate limits: pictures per key and model, in token buckets that the emulator's clock fills."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from hashlib import blake2b
from threading import Lock
from types import MappingProxyType
from typing import Any, Final

from images_emulator.contract import service_errors
from images_emulator.contract.errors import Refusal
from images_emulator.contract.request import ImageRequest
from images_emulator.settings import parse_rate
from images_emulator.state.clock import Clock

MAX_BUCKETS: Final = 100_000
"""Keys and models whose buckets are remembered; past it those go that were used the longest ago."""


class RateLimits:
    """The buckets of one account; none are there where *rate* is None, and so is the attribute.
    Any thread may reset them."""

    def __init__(self, rate: str | None, clock: Clock, organization: str) -> None:
        self._clock = clock
        self._organization = organization
        self.rate = parse_rate(rate) if rate else None
        self._lock = Lock()
        self._buckets: OrderedDict[tuple[bytes, str], Any] = OrderedDict()

    def admit(
        self,
        key: str,
        request: ImageRequest,
        refusal: Refusal | None = None,
        deployment: str | None = None,
        facts: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        """Take the pictures of *request* from the bucket of its *key* and *deployment*, or else
        its model. Raises APIError where there are not enough in it: *refusal*, which may name
        *facts* beside the figures, or the model's own."""
        if not self.rate:
            return
        # The library is the one whose step takes the time as an argument: the others read the
        # system's. It is imported only where there are limits.
        from pyrate_limiter import Rate, TokenBucket  # noqa: PLC0415 - see above

        rates = [Rate(self.rate.limit, self.rate.seconds * 1000)]
        bucket = TokenBucket()
        # A key may be as long as a head; its hash is not.
        digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        held = digest, deployment or request.model.id
        now = int(self._clock.now().timestamp() * 1000)
        with self._lock:
            state = self._buckets.get(held) or bucket.initial(rates)
            if bucket.consumed(rates, state, now) > self.rate.limit:
                # Emptier than empty: the clock has been moved back since.
                state = bucket.initial(rates)
            self._buckets[held], decision = bucket.step(rates, state, now, request.n)
            self._buckets.move_to_end(held)
            if len(self._buckets) > MAX_BUCKETS:
                self._buckets.popitem(last=False)
        if decision.allowed:
            return
        used = bucket.consumed(rates, state, now)
        # More than the bucket ever holds: no wait helps, and the API's words for it are not known.
        wait = decision.retry_after_ms or self.rate.seconds * 1000
        figures = {
            "model": request.model.id,
            "organization": self._organization,
            "limit": self.rate.limit,
            "used": used,
            "requested": request.n,
            "current": used + request.n,
            "unit": self.rate.unit,
            "unit_in_full": service_errors.UNITS[self.rate.unit],
            "wait": service_errors.waiting(wait),
            "seconds": service_errors.waiting_seconds(wait),
            "whole_seconds": -(-wait // 1000),
        }
        refusal = (refusal or request.model.limited).on(request.as_of or self._clock.now().date())
        error = refusal(**(figures | dict(facts)))
        error.headers = service_errors.retry_headers(wait)
        raise error

    def reset(self) -> None:
        with self._lock:
            self._buckets.clear()

"""Rate limits (throttling): images per API key and model, in token buckets that the emulator's
clock fills."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import NamedTuple

from images_emulator.contract import operational_errors
from images_emulator.contract.notices import TOO_MANY_AT_ONCE
from images_emulator.contract.refusal import APIError, Refusal
from images_emulator.contract.request import ImageRequest
from images_emulator.setting_values import parse_rate
from images_emulator.state.account import Account
from images_emulator.state.clock import Clock
from images_emulator.state.store import PendingTake, Register, Store, TakeOutcome


class Admission(NamedTuple):
    """The tokens that a call has to take. *error_of* makes the error of a call that does not get
    them."""

    pending_take: PendingTake
    error_of: Callable[[TakeOutcome], APIError]

    async def admit(self) -> None:
        """Take the tokens. Raises APIError where there are not enough."""
        self.check(await self.pending_take.take())

    def check(self, take: TakeOutcome) -> None:
        """Raises APIError where the bucket refuses."""
        if not take.granted:
            raise self.error_of(take)


class RateLimits:
    """The rate limit of an *account*. *rate* is the setting; None: unlimited. Each pair of a key
    and a model or deployment has a bucket; at most *max_buckets* buckets are kept."""

    def __init__(
        self,
        rate: str | None,
        clock: Clock,
        account: Register[Account],
        store: Store,
        max_buckets: int,
    ) -> None:
        self.rate = parse_rate(rate) if rate else None
        self._clock = clock
        self._account = account
        self._buckets = store.buckets("rate-limits", max_buckets)

    def admission(
        self,
        key: str,
        request: ImageRequest,
        refusal: Refusal,
        deployment: str | None,
        message_values: Mapping[str, object],
    ) -> Admission:
        """The admission of *request*, which takes its images from the bucket of *key* and
        *deployment*, or else of *key* and the model. The message of *refusal* may name
        *message_values*, too. The caller has checked that there is a limit."""
        rate = self.rate
        assert rate, "asked before"
        # A key may be as long as a request's head; its hash is not.
        digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        bucket = f"{digest}:{deployment or request.model.id}"
        pending_take = PendingTake(
            self._buckets, bucket, request.n, rate.limit, rate.seconds, self._clock.now()
        )

        def error_of(take: TakeOutcome) -> APIError:
            # No wait is long enough for more images than a bucket holds. OpenAI says so of GPT
            # image models. What DALL·E models and Azure answer then is not known: here the error of
            # any other call past the limit, with the time in which the bucket fills as the wait.
            is_too_large = take.wait_ms is None
            wait_ms = take.wait_ms or rate.seconds * 1000
            values = {
                "model": request.model.id,
                "organization": self._account.value.organization_id,
                **operational_errors.rate_limit_values(
                    limit=rate.limit,
                    used=take.used,
                    requested=request.n,
                    unit=rate.unit,
                    wait_ms=wait_ms,
                ),
                **message_values,
            }
            if is_too_large and refusal is operational_errors.rate_limited:
                error = operational_errors.request_too_large(**values)
            else:
                error = refusal(**values)
                error.headers = operational_errors.retry_headers(wait_ms)
            if is_too_large:
                limit = f"--rate-limit {rate.limit}/{rate.unit}"
                error.add_notice(TOO_MANY_AT_ONCE.format(requested=request.n, limit=limit))
            return error

        return Admission(pending_take, error_of)

    async def clear(self) -> None:
        """Fill all buckets."""
        await self._buckets.clear()

"""Operational errors: rate limits, credit, moderation, outages. A call without a mistake can meet
them. `errors.py` has the errors of calls with mistakes.

A fault names one of them, or a refused API key. The words are the API's own, as recorded; a comment
marks words that no recording shows. `fixtures/exchanges/service-error-*` name the source of each
error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Final

from images_emulator.contract import errors
from images_emulator.contract.refusal import (
    API_MANAGEMENT_ENVELOPE,
    IMAGE_SERVICE_TYPE,
    OLDER_ENVELOPE,
    Refusal,
    older_stack_versions,
)
from images_emulator.setting_values import RATE_UNITS

_BILLING: Final = "https://platform.openai.com/settings/organization/billing/"
_QUOTA_TYPE: Final = "insufficient_quota"

# "input-images" was recorded for pictures from text, too. Captures end at "Visit https://"; the
# rest is from other endpoints. The day of the change is not known: it lies between 2025-06 and
# 2026-04.
# Type and code of the earlier version are not known.
rate_limited = Refusal(
    "Rate limit reached for {model} (for limit gpt-image) in organization "
    "{organization} on input-images per {unit}: Limit {limit}, Used {used}, Requested "
    "{requested}. Please try again in {wait}. Visit "
    "https://platform.openai.com/account/rate-limits to learn more.",
    code="rate_limit_exceeded",
    type="input-images",
    status=429,
    earlier=(
        (
            date(2025, 10, 6),
            Refusal(
                "You've exceeded the rate limit, please slow down and try again after {seconds} "
                "seconds.",
                code="rate_limit_exceeded",
                type=IMAGE_SERVICE_TYPE,
                status=429,
            ),
        ),
    ),
)
# The words are from a client's test, which has a message of gpt-image-2 to an account whose limit
# is 0. That message ends with advice to such accounts; here it ends like other rate limits. No wait
# helps, so the message names none. For earlier days, only the message of `rate_limited` is known.
request_too_large = replace(
    rate_limited,
    message="Request too large for {model} (for limit gpt-image) in organization {organization} on "
    "input-images per {unit}: Limit {limit}, Requested {requested}. Visit "
    "https://platform.openai.com/account/rate-limits to learn more.",
)
# Recorded for DALL·E: the figures carry the unit, and `Current` counts the refused call, too.
rate_limited_dalle = Refusal(
    "Rate limit exceeded for images per {unit_in_full} in organization {organization}. "
    "Limit: {limit}/1{unit}. Current: {current}/1{unit}. Please visit "
    "https://platform.openai.com/docs/guides/rate-limits to learn how to increase your "
    "rate limit.",
    code="rate_limit_exceeded",
    type="requests",
    status=429,
    envelope=OLDER_ENVELOPE,
)
# Recorded on other endpoints.
quota_exceeded = Refusal(
    "You exceeded your current quota, please check your plan and billing details. For "
    "more information on this error, read the docs: "
    "https://platform.openai.com/docs/guides/error-codes/api-errors.",
    code="insufficient_quota",
    type=_QUOTA_TYPE,
    status=429,
)
no_credit = Refusal(
    f"You have no credits remaining. Add credits to continue using the API at {_BILLING}.",
    code="credit_balance_exhausted",
    type=_QUOTA_TYPE,
    status=429,
)
# The codes were recorded on 2026-10-02 without words. The words have the form of `no_credit`.
spend_limited = Refusal(
    f"You have reached your {{which}}. Raise it to continue using the API at {_BILLING}.",
    code="{code}",
    type=_QUOTA_TYPE,
    status=429,
)
_BILLING_LIMIT: Final = "Billing hard limit has been reached"
billing_limit = Refusal(
    _BILLING_LIMIT,
    code="billing_hard_limit_reached",
    type=IMAGE_SERVICE_TYPE,
    earlier=older_stack_versions(_BILLING_LIMIT, "billing_hard_limit_reached"),
)
# *safety_violations* was recorded both empty and as ` safety_violations=[sexual].`.
moderated = Refusal(
    "Your request was rejected by the safety system. If you believe this is an error, "
    "contact us at help.openai.com and include the request ID {request_id}.{safety_violations}",
    code="moderation_blocked",
    type=IMAGE_SERVICE_TYPE,
)
_REJECTED: Final = "Your request was rejected as a result of our safety system. "
_DESCRIPTIONS: Final = (
    f"{_REJECTED}Image descriptions generated from your prompt may contain text that is "
    "not allowed by our safety system. If you believe this was done in error, your "
    "request may succeed if retried, or by adjusting your prompt."
)
# Recorded of dall-e-3.
content_policy = Refusal(
    _DESCRIPTIONS,
    code="content_policy_violation",
    earlier=older_stack_versions(_DESCRIPTIONS, "content_policy_violation"),
)
_PROMPT: Final = (
    f"{_REJECTED}Your prompt may contain text that is not allowed by our safety system."
)
content_policy_dalle_2 = Refusal(
    _PROMPT,
    earlier=older_stack_versions(_PROMPT),
)
unverified = Refusal(
    "Your organization must be verified to use the model `{model}`. Please go to: "
    "https://platform.openai.com/settings/organization/general and click on Verify "
    "Organization. If you just verified, it can take up to 15 minutes for access to "
    "propagate.",
    status=403,
)
# A capture through a proxy shows the end of the message and the code.
missing_scope = Refusal(
    "You have insufficient permissions for this operation. Missing scopes: "
    "api.model.images.request. Check that you have the correct role in your "
    "organization (Reader, Writer, Owner) and project (Member, Owner), and if you're "
    "using a restricted API key, that it has the necessary scopes.",
    code="insufficient_scope",
    status=401,
)
# Both errors changed on this day, by the changelog and the error codes guide.
_LOAD_ERRORS_CHANGED: Final = date(2026, 9, 2)
_UNAVAILABLE_TYPE: Final = "service_unavailable_error"
# Recorded on Responses, 2026-09-16. The earlier version was documented, not recorded.
overloaded = Refusal(
    "Our servers are currently overloaded. Please try again later.",
    code="server_is_overloaded",
    type=_UNAVAILABLE_TYPE,
    status=503,
    earlier=(
        (
            _LOAD_ERRORS_CHANGED,
            Refusal(
                "Model temporarily overloaded",
                code="server_is_overloaded",
                type=_UNAVAILABLE_TYPE,
                status=503,
            ),
        ),
    ),
)
# Not recorded; in the words of the remedy that the guide names.
_SLOW_DOWN: Final = (
    "Slow down. Please reduce your request rate to its original level, maintain a "
    "consistent rate for at least 15 minutes, and then gradually increase it."
)
slow_down = Refusal(
    _SLOW_DOWN,
    code="slow_down",
    type="rate_limit_error",
    status=429,
    earlier=(
        (
            _LOAD_ERRORS_CHANGED,
            Refusal(
                _SLOW_DOWN,
                code="slow_down",
                type=_UNAVAILABLE_TYPE,
                status=503,
            ),
        ),
    ),
)
# Sent by Azure only.
temporarily_blocked = Refusal(
    "Your resource has been temporarily blocked because we detected behavior that may "
    "violate our content policy. For more details on Azure OpenAI service content "
    "policy, please visit https://aka.ms/aoaicodeofconduct",
    code="Forbidden",
    status=403,
    envelope=API_MANAGEMENT_ENVELOPE,
)

generation_failed = Refusal(
    "Image generation failed",
    code="image_generation_failed",
    type="image_generation_server_error",
    status=500,
)
server_error = Refusal(
    "The server had an error processing your request. Sorry about that! You can retry "
    "your request, or contact us through our help center at help.openai.com if you "
    "encounter this error repeatedly.",
    type="server_error",
    status=500,
)

AZURE_ERRORS_BY_NAME: Final[Mapping[str, Refusal]] = {"temporarily_blocked": temporarily_blocked}
"""The errors of `ERRORS_BY_NAME` that Azure alone sends. On OpenAI's paths a fault sends the same
message."""

ERRORS_BY_NAME: Final[Mapping[str, Refusal]] = {
    "rate_limit_exceeded": rate_limited,
    "insufficient_quota": quota_exceeded,
    "credit_balance_exhausted": no_credit,
    "project_spend_limit_exceeded": spend_limited,
    "organization_spend_limit_exceeded": spend_limited,
    "organization_usage_limit_exceeded": spend_limited,
    "billing_hard_limit_reached": billing_limit,
    "moderation_blocked": moderated,
    "content_policy_violation": content_policy,
    "invalid_api_key": errors.incorrect_key,
    "organization_must_be_verified": unverified,
    "missing_scope": missing_scope,
    "server_error": server_error,
    "server_is_overloaded": overloaded,
    "image_generation_failed": generation_failed,
    "slow_down": slow_down,
    **AZURE_ERRORS_BY_NAME,
}
"""The errors by the names that faults give them, in snake_case. The name is the error's code where
the code is in snake_case and no other error has it; the exception is `missing_scope`. `test_faults`
and the docs' table go through this mapping."""


def rate_limit_values(
    *, limit: int, used: int, requested: int, unit: str, wait_ms: int
) -> dict[str, object]:
    """The values that the messages of a rate limit name. Of *limit* images per *unit* (a key of
    `RATE_UNITS`), *used* are gone. After *wait_ms* milliseconds, *requested* more fit in."""
    seconds = f"{wait_ms / 1000:g}"
    return {
        "limit": limit,
        "used": used,
        "requested": requested,
        "current": used + requested,
        "unit": unit,
        "unit_in_full": RATE_UNITS[unit].name,
        # Recorded: `12s`, `7.5s`, `467ms`.
        "wait": f"{wait_ms}ms" if wait_ms < 1000 else f"{seconds}s",
        # Recorded: `51.81557421875`.
        "seconds": seconds,
        "whole_seconds": _whole_seconds(wait_ms),
    }


def retry_headers(wait_ms: int) -> dict[str, str]:
    """The two headers that say when to retry: `retry-after` in whole seconds, `retry-after-ms`."""
    return {"retry-after": str(_whole_seconds(wait_ms)), "retry-after-ms": str(wait_ms)}


def _whole_seconds(milliseconds: int) -> int:
    """*milliseconds* in seconds, rounded up."""
    return -(-milliseconds // 1000)


def safety_violations(categories: Sequence[str]) -> str:
    """The end of the moderation message, which names the *categories*. It is empty for a bare
    `other`, as recorded."""
    names = [category for category in categories if category != "other"]
    return f" safety_violations=[{', '.join(names)}]." if names else ""

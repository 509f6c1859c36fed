"""What OpenAI's SDKs make of each fault: for Python all of them, for Node.js the main ones. Tests
inject each fault and compare; `reference_pages.py` makes tables of these for the docs."""

from __future__ import annotations

import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import openai
from PIL import UnidentifiedImageError

PARTIAL: Final = "image_generation.partial_image"
COMPLETED: Final = "image_generation.completed"
FIRST_PARTIAL: Final = (PARTIAL,)
WHOLE: Final = (PARTIAL, PARTIAL, COMPLETED)


@dataclass(frozen=True)
class Seen:
    """What became of a call of the SDK for Python, which tries twice: the *error* that was raised
    and its *cause*, its *code*, how many *requests* met the fault, and the *events* that came
    before."""

    error: type[Exception] | None = None
    cause: str | None = None
    code: str | None = None
    requests: int = 1
    events: tuple[str, ...] = ()


LOST: Final = openai.APIConnectionError

ANSWERS: Final[Mapping[str, Seen]] = {
    "error;status=418;code=teapot": Seen(openai.APIStatusError, code="teapot"),
    "error;status=502": Seen(openai.InternalServerError, requests=2),
    "error;status=400;should_retry=true": Seen(openai.BadRequestError, requests=2),
    "server_error;should_retry=false": Seen(openai.InternalServerError),
    "latency;seconds=0.01;jitter=0.01": Seen(),
    "latency;realistic=true;scale=0.001": Seen(),
    "timeout": Seen(openai.APITimeoutError, "ReadTimeout", requests=2),
    "slow_body;bytes_per_second=5000000": Seen(),
    "connection_reset": Seen(LOST, "ReadError", requests=2),
    "connection_reset;after_bytes=1000": Seen(LOST, "ReadError", requests=2),
    "truncated": Seen(LOST, "RemoteProtocolError", requests=2),
    "truncated;after_bytes=0": Seen(LOST, "RemoteProtocolError", requests=2),
    # The SDK passes on what its JSON parser says.
    "malformed": Seen(json.JSONDecodeError),
    "malformed;what=base64": Seen(binascii.Error),
    "malformed;what=picture": Seen(UnidentifiedImageError),
    "empty_data": Seen(),
    "fewer_images": Seen(),
    "stream_error": Seen(requests=0),
    "stream_cut": Seen(requests=0),
    "stall": Seen(requests=0),
    "unknown_event": Seen(requests=0),
    "fewer_partials": Seen(requests=0),
    "expired": Seen(requests=0),
}
"""What becomes of a call without `stream` under a fault."""

STREAMS: Final[Mapping[str, Seen]] = {
    "error;status=500": Seen(openai.InternalServerError, requests=2),
    "latency;seconds=0": Seen(events=WHOLE),
    "latency;realistic=true;scale=0.001": Seen(events=WHOLE),
    "timeout": Seen(openai.APITimeoutError, "ReadTimeout", requests=2),
    "slow_body;bytes_per_second=20000000": Seen(events=WHOLE),
    "connection_reset": Seen(LOST, "ReadError", requests=2),
    # Once a stream has begun, the SDK does not try again.
    "connection_reset;after_bytes=0": Seen(LOST, "ReadError"),
    "truncated": Seen(LOST, "RemoteProtocolError"),
    "malformed": Seen(json.JSONDecodeError),
    "malformed;what=base64": Seen(events=WHOLE),
    "malformed;what=picture": Seen(events=WHOLE),
    "empty_data": Seen(events=WHOLE),
    "fewer_images": Seen(events=WHOLE),
    "stream_error": Seen(openai.APIError, code="image_generation_failed", events=FIRST_PARTIAL),
    "stream_error;after=0;name=moderation_blocked": Seen(
        openai.APIError, code="moderation_blocked"
    ),
    "stream_error;after=3": Seen(openai.APIError, code="image_generation_failed", events=WHOLE),
    "stream_error;after=4": Seen(events=WHOLE),
    "stream_cut": Seen(LOST, "RemoteProtocolError", events=FIRST_PARTIAL),
    "stream_cut;after=2;reset=true": Seen(LOST, "ReadError", events=(PARTIAL, PARTIAL)),
    "stream_cut;after=0": Seen(LOST, "RemoteProtocolError"),
    "stall": Seen(openai.APITimeoutError, "ReadTimeout", events=FIRST_PARTIAL),
    "stall;after=2;seconds=0.01": Seen(events=WHOLE),
    "unknown_event": Seen(
        events=(PARTIAL, "image_generation.keepalive", PARTIAL, COMPLETED),
    ),
    "fewer_partials": Seen(events=(COMPLETED,)),
    "expired": Seen(requests=0, events=WHOLE),
    "fewer_partials;keep=1": Seen(events=(PARTIAL, COMPLETED)),
}
"""What becomes of a stream with two partial images."""

CODES: Final[Mapping[str, tuple[type[openai.APIStatusError], str | None, int]]] = {
    "rate_limit_exceeded": (openai.RateLimitError, "rate_limit_exceeded", 2),
    "insufficient_quota": (openai.RateLimitError, "insufficient_quota", 2),
    "credit_balance_exhausted": (openai.RateLimitError, "credit_balance_exhausted", 2),
    "project_spend_limit_exceeded": (openai.RateLimitError, "project_spend_limit_exceeded", 2),
    "organization_spend_limit_exceeded": (
        openai.RateLimitError, "organization_spend_limit_exceeded", 2,
    ),
    "organization_usage_limit_exceeded": (
        openai.RateLimitError, "organization_usage_limit_exceeded", 2,
    ),
    "billing_hard_limit_reached": (openai.BadRequestError, "billing_hard_limit_reached", 1),
    "moderation_blocked": (openai.BadRequestError, "moderation_blocked", 1),
    "content_policy_violation": (openai.BadRequestError, "content_policy_violation", 1),
    "invalid_api_key": (openai.AuthenticationError, "invalid_api_key", 1),
    "organization_must_be_verified": (openai.PermissionDeniedError, None, 1),
    "missing_scope": (openai.AuthenticationError, "insufficient_scope", 1),
    "server_error": (openai.InternalServerError, None, 2),
    "server_is_overloaded": (openai.InternalServerError, "server_is_overloaded", 2),
    "image_generation_failed": (openai.InternalServerError, "image_generation_failed", 2),
    "slow_down": (openai.RateLimitError, "slow_down", 2),
    "temporarily_blocked": (openai.PermissionDeniedError, "Forbidden", 1),
}  # fmt: skip
"""The exception that the SDK raises for a named error, its code, and the requests it makes."""


@dataclass(frozen=True)
class SeenInNode:
    """What became of a call of the SDK for Node.js, which tries twice: the class of the *error*,
    its *message*, in which an ellipsis stands for any text, its *code*, how many *requests* were
    made, the *events* that came before, and whether it was *aborted* because it did not end.
    *fetched* is what `fetch` alone gets: the first key of the answer, the events of the stream, or
    the error."""

    fetched: str | tuple[str, ...]
    error: str | None = None
    message: str | None = None
    code: str | None = None
    requests: int = 1
    events: tuple[str, ...] = ()
    aborted: bool = False


BROKEN: Final = "broken"
"""Stands for two codes of a broken connection, which `error.cause` has: which of them it is depends
on whether the end or the bytes before it are read first."""

NODE: Final[Mapping[tuple[str, str], SeenInNode]] = {
    ("answer", "rate_limit_exceeded"): SeenInNode(
        "error", "RateLimitError", "429 Rate limit reached for gpt-image-2 …",
        "rate_limit_exceeded", requests=2,
    ),
    ("answer", "insufficient_quota"): SeenInNode(
        "error", "RateLimitError", "429 You exceeded your current quota, …",
        "insufficient_quota", requests=2,
    ),
    ("answer", "moderation_blocked"): SeenInNode(
        "error", "BadRequestError", "400 Your request was rejected by the safety system. …",
        "moderation_blocked",
    ),
    ("answer", "server_error"): SeenInNode(
        "error", "InternalServerError",
        "500 The server had an error processing your request. …", requests=2,
    ),
    ("answer", "timeout"): SeenInNode(
        "TimeoutError", "APIConnectionTimeoutError", "Request timed out.", requests=2
    ),
    ("answer", "connection_reset"): SeenInNode(
        BROKEN, "APIConnectionError", "Connection error.", BROKEN, requests=2
    ),
    # Once the head of the answer is there, the SDK passes on what `fetch` says.
    ("answer", "connection_reset;after_bytes=1000"): SeenInNode(
        BROKEN, "TypeError", "terminated", BROKEN
    ),
    ("answer", "truncated"): SeenInNode(BROKEN, "TypeError", "terminated", BROKEN),
    ("answer", "malformed"): SeenInNode(
        "SyntaxError", "SyntaxError", "Unterminated string in JSON at position …"
    ),
    ("answer", "empty_data"): SeenInNode("created"),
    ("stream", "connection_reset"): SeenInNode(
        BROKEN, "APIConnectionError", "Connection error.", BROKEN, requests=2
    ),
    ("stream", "stream_cut"): SeenInNode(
        BROKEN, "TypeError", "terminated", BROKEN, events=FIRST_PARTIAL
    ),
    ("stream", "stream_cut;after=2;reset=true"): SeenInNode(
        BROKEN, "TypeError", "terminated", BROKEN, events=(PARTIAL, PARTIAL)
    ),
    ("stream", "stream_error"): SeenInNode(
        (PARTIAL, "error"), "APIError", "Image generation failed", "image_generation_failed",
        events=FIRST_PARTIAL,
    ),
    ("stream", "stream_error;after=0;name=moderation_blocked"): SeenInNode(
        ("error",), "APIError", "Your request was rejected by the safety system. …",
        "moderation_blocked",
    ),
    ("stream", "stall"): SeenInNode("TimeoutError", events=FIRST_PARTIAL, aborted=True),
}  # fmt: skip
"""What becomes of a call in Node.js, by what it asks for and the fault."""

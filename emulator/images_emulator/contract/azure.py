"""Azure OpenAI's dialect: its sentences and bodies, headers, URLs, and how its models differ.

Sources: the recordings of `Azure/azure-sdk-assets`, Azure's documentation, and reports of its
users, which comments name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from images_emulator.contract import service_errors
from images_emulator.contract.dialect import Answer, Dialect, Header, HostedURLs
from images_emulator.contract.errors import APIError, Envelope, Refusal
from images_emulator.contract.operations import Operation
from images_emulator.contract.rules import Choice, Rule

if TYPE_CHECKING:
    from images_emulator.contract.request import ImageRequest

PREFIX: Final = "/openai/"
"""Where its paths begin."""


V1: Final = "v1"
"""The version of `/openai/v1/…`, where none has to be named."""

REGION: Final = "East US 2"
TIER: Final = "AIServices S0"

_OWN: Final = Envelope(("code", "message"))
"""What the gateway says for itself."""

# fmt: off
access_denied = Refusal(
    "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active "
    "subscription and use a correct regional API endpoint for your resource.", None, "401", status=401, envelope=_OWN)
not_found = Refusal("Resource not found", None, "404", status=404, envelope=_OWN)
no_deployment = Refusal(
    "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, please "
    "wait a moment and try again.", None, "DeploymentNotFound", status=404, envelope=_OWN)
rate_limited = Refusal(
    f"Your requests{{subject}} in {REGION} have exceeded the call rate limit for your current {TIER} "
    "pricing tier. This request was{purpose} under Azure OpenAI API version {version}. Please retry after {whole_seconds} "
    "seconds. To increase your default rate limit, visit https://aka.ms/oai/quotaincrease.",
    None, "RateLimitReached", status=429, envelope=_OWN)
content_policy = replace(
    service_errors.content_policy_dalle_2, code="content_policy_violation", envelope=Envelope(("code", "message", "type")), earlier=())
moderated = replace(
    service_errors.moderated, message=service_errors.moderated.message.replace("help.openai.com", "Azure support ticket"))
server_error = Refusal(  # recorded on other endpoints
    "The server had an error processing your request. Sorry about that! You can retry your request, or contact us through an "
    "Azure support request at: https://go.microsoft.com/fwlink/?linkid=2213926 if you keep seeing this error. (Please include "
    "the request ID {request_id} in your email.)", type="server_error", status=500)
# fmt: on

_DETAILS: Final[Mapping[str | None, Mapping[str, Any]]] = {
    "content_policy_violation": {
        "inner_error": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_results": {"jailbreak": {"detected": False, "filtered": False}},
        }
    }
}
"""Further fields of errors, by their codes."""

_BLANKS: Final[Mapping[str | None, tuple[str, str]]] = {
    # Recorded so, and the second with its length of 198 bytes (microsoft/semantic-kernel#4464).
    "404": ('"message":', '"message": '),
    "DeploymentNotFound": (',"message"', ', "message"'),
}
"""Where a body that is compact otherwise has a blank."""


def _error_body(error: APIError) -> bytes:
    """Compact JSON; of errors that the service behind the gateway says, in OpenAI's order of keys
    (openai/openai-python#2749)."""
    told = error.body()["error"]
    if details := _DETAILS.get(error.code):
        told = dict(sorted({**told, **details}.items()))
    text = json.dumps({"error": told}, separators=(",", ":"), ensure_ascii=False)
    return text.replace(*_BLANKS.get(error.code, ("", "")), 1).encode()


def _headers(answer: Answer) -> Sequence[Header]:
    """The gateway itself sends one header, what is behind it the others. Left out is
    `strict-transport-security`, which a browser would keep for all of localhost."""
    identity = answer.request_id.encode()
    headers = [(b"apim-request-id", identity)]
    if answer.status == 401:
        return headers
    if answer.admitted:
        headers += [
            (b"x-content-type-options", b"nosniff"),
            (b"x-ms-region", REGION.encode()),
            (b"x-ms-client-request-id", answer.client_request_id or b"Not-Set"),
        ]
    if answer.deployment:
        deployment = answer.deployment.encode("latin-1", "replace")
        headers += [(b"x-ms-deployment-name", deployment), (b"x-request-id", identity)]
    return headers


def _facts(
    operation: Operation | None, deployment: str, model: str, version: str
) -> Mapping[str, str]:
    """What the sentences name of a call. Of calls to no deployment, or to none of the operations,
    no sentence is known: it leaves out what they have not."""
    named = {"deployment": deployment, "model": model} if deployment else {}
    return {
        **named,
        "subject": f" to {deployment} for {model}" if deployment else "",
        "purpose": f" for {operation.azure.name}" if operation and operation.azure else "",
        "version": version or V1,
    }


_SAFE: Final = {"filtered": False, "severity": "safe"}
_CONTENT: Final = {"hate": _SAFE, "self_harm": _SAFE, "sexual": _SAFE, "violence": _SAFE}
_PROMPT: Final = dict(
    sorted({**_CONTENT, "profanity": {"detected": False, "filtered": False}}.items())
)


def _annotations(request: ImageRequest) -> Mapping[str, Any]:
    """The filters' results: "The GPT-image-1 model doesn't return content filtering
    annotations"."""
    if not request.model.content_filters:
        return {}
    return {"content_filter_results": _CONTENT, "prompt_filter_results": _PROMPT}


def _rule(name: str, rule: Rule) -> Rule:
    """Of every GPT image model Azure documents that "WEBP images are not supported" and that "the
    default value is `high`"; recorded: `'png' and 'jpeg'` on gpt-image-2."""
    if not isinstance(rule, Choice):
        return rule
    if name == "output_format":
        return replace(rule, words=tuple(word for word in rule.words if word != "webp"))
    if name == "quality" and "high" in rule.words:
        return replace(rule, auto="high")
    return rule


_DAY: Final = timedelta(days=1)
_SERVICE_VERSION: Final = "2020-10-02"

AZURE: Final = Dialect(
    request_id=lambda digits: str(UUID(hex=digits, version=4)),
    headers=_headers,
    error_body=_error_body,
    hosted=HostedURLs(
        life=_DAY,
        path="images/{request_id}/generated_{index:02}.png",
        # The signer and the tenant are the same in every URL that was seen.
        query={
            "se": "{expiry}",
            "sig": "{signature}",
            "ske": "{key_expiry}",
            "skoid": "e52d5ed7-0657-4f62-bc12-7e5dbb260a96",
            "sks": "b",
            "skt": "{key_start}",
            "sktid": "33e01921-4d64-4f8c-a055-5bdaffd5e33d",
            "skv": _SERVICE_VERSION,
            "sp": "r",
            "spr": "https",
            "sr": "b",
            "sv": _SERVICE_VERSION,
        },
        key_start=-_DAY,
        key_expiry=6 * _DAY,
    ),
    own_errors={
        "rate_limit_exceeded": rate_limited,
        "content_policy_violation": content_policy,
        "moderation_blocked": moderated,
        "invalid_api_key": access_denied,
        "server_error": server_error,
    },
    unknown_path=not_found,
    wrong_method=not_found,
    rule=_rule,
    annotations=_annotations,
    facts=_facts,
)

_VERSION: Final = re.compile(r"(\d{4}-\d\d-\d\d)(-preview)?", re.ASCII)


def serves(operation: Operation, version: str) -> bool:
    """Whether the `api-version` *version* has *operation*: the version of its first day or a later
    one. A text that is no version has no operations."""
    match = _VERSION.fullmatch(version)
    if match is None or operation.azure is None:
        return False
    try:
        return date.fromisoformat(match[1]) >= operation.azure.since
    except ValueError:
        return False

"""Azure OpenAI's dialect: error messages and bodies, headers, URLs, and the values that models at
Azure refuse. Where a new error of Azure goes:

- an error about what a call asks: a `Refusal` here, which `web/azure_endpoints.py` raises
- an error about the state of the service, which only a fault sends: `operational_errors.py`, with
  its name in `AZURE_ERRORS_BY_NAME`
- Azure's words for an error that OpenAI has, too: a `Refusal` here, in `error_overrides` of `AZURE`

Sources: the recordings of `Azure/azure-sdk-assets`, Azure's documentation, and reports of its
users, which comments name.

Most errors here come from Azure API Management, the proxy in front of Azure's service.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, Final

from images_emulator.contract import operational_errors
from images_emulator.contract.dialect import AnswerFacts, Dialect, Header, HostedURLs, MessageFacts
from images_emulator.contract.operations import DEPLOYMENTS_PREFIX, Operation
from images_emulator.contract.refusal import API_MANAGEMENT_ENVELOPE, Envelope, ErrorAnswer, Refusal
from images_emulator.contract.request import ImageRequest
from images_emulator.contract.rules import Choice, Rule
from images_emulator.contract.wire import uuid_text

V1: Final = "v1"
"""The API version that messages name for `/openai/v1/…`, where a call names none."""

REGION: Final = "East US 2"
"""The region that headers and the message of a rate limit name."""

TIER: Final = "AIServices S0"
"""The pricing tier that the message of a rate limit names."""

access_denied = Refusal(
    "Access denied due to invalid subscription key or wrong API endpoint. Make sure to "
    "provide a valid key for an active subscription and use a correct regional API "
    "endpoint for your resource.",
    code="401",
    status=401,
    envelope=API_MANAGEMENT_ENVELOPE,
)
not_found = Refusal(
    "Resource not found",
    code="404",
    status=404,
    # Recorded so.
    envelope=replace(API_MANAGEMENT_ENVELOPE, blank_behind='"message":'),
)
no_deployment = Refusal(
    "The API deployment for this resource does not exist. If you created the "
    "deployment within the last 5 minutes, please wait a moment and try again.",
    code="DeploymentNotFound",
    status=404,
    # Recorded with its length of 198 bytes (microsoft/semantic-kernel#4464).
    envelope=replace(API_MANAGEMENT_ENVELOPE, blank_behind='"DeploymentNotFound",'),
)
rate_limited = Refusal(
    f"Your requests{{subject}} in {REGION} have exceeded the call rate limit for your "
    f"current {TIER} pricing tier. This request was{{purpose}} under Azure OpenAI API "
    "version {version}. Please retry after {whole_seconds} seconds. To increase "
    "your default rate limit, visit https://aka.ms/oai/quotaincrease.",
    code="RateLimitReached",
    status=429,
    envelope=API_MANAGEMENT_ENVELOPE,
)
# Azure sends one version on all days, so neither error has OpenAI's earlier versions.
content_policy = replace(
    operational_errors.content_policy_dalle_2,
    code="content_policy_violation",
    envelope=Envelope(
        ("code", "inner_error", "message", "type"),
        constants={
            "inner_error": {
                "code": "ResponsibleAIPolicyViolation",
                "content_filter_results": {"jailbreak": {"detected": False, "filtered": False}},
            }
        },
    ),
    earlier=(),
)
moderated = replace(
    operational_errors.moderated,
    earlier=(),
    message=operational_errors.moderated.message.replace("help.openai.com", "Azure support ticket"),
)
# Recorded on other endpoints.
server_error = Refusal(
    "The server had an error processing your request. Sorry about that! You can retry "
    "your request, or contact us through an Azure support request at: "
    "https://go.microsoft.com/fwlink/?linkid=2213926 if you keep seeing this error. "
    "(Please include the request ID {request_id} in your email.)",
    type="server_error",
    status=500,
)


def _azure_error_body(error: ErrorAnswer) -> bytes:
    """Compact JSON. The service behind API Management has OpenAI's order of keys
    (openai/openai-python#2749)."""
    text = json.dumps(error.body(), separators=(",", ":"), ensure_ascii=False)
    if text_before := error.envelope.blank_behind:
        text = text.replace(text_before, f"{text_before} ", 1)
    return text.encode()


def _azure_headers(facts: AnswerFacts) -> Sequence[Header]:
    """API Management sends one header, the service behind it the others. The emulator leaves out
    `strict-transport-security`, which a browser would apply to all of localhost."""
    request_id = facts.request_id.encode()
    headers = [(b"apim-request-id", request_id)]
    if facts.status == 401:
        return headers
    if facts.passed_api_management:
        headers += [
            (b"x-content-type-options", b"nosniff"),
            (b"x-ms-region", REGION.encode()),
            (b"x-ms-client-request-id", facts.client_request_id or b"Not-Set"),
        ]
    if facts.deployment:
        deployment = facts.deployment.encode("latin-1", "replace")
        headers += [(b"x-ms-deployment-name", deployment), (b"x-request-id", request_id)]
    return headers


def _azure_message_values(facts: MessageFacts) -> Mapping[str, str]:
    """The values of a call that error messages name. No real message is known for a call without a
    deployment or an operation, so the emulator's message leaves out the missing value."""
    operation, deployment, model, api_version = facts
    names = {"deployment": deployment, "model": model} if deployment else {}
    return {
        **names,
        "subject": f" to {deployment} for {model}" if deployment else "",
        "purpose": f" for {operation.azure.name}" if operation and operation.azure else "",
        "version": api_version or V1,
    }


_SAFE: Final = {"filtered": False, "severity": "safe"}
_CONTENT: Final = {"hate": _SAFE, "self_harm": _SAFE, "sexual": _SAFE, "violence": _SAFE}
_PROMPT: Final = dict(
    sorted({**_CONTENT, "profanity": {"detected": False, "filtered": False}}.items())
)


def _annotations(request: ImageRequest) -> Mapping[str, Any]:
    """The results of the content filters, for DALL·E alone: "The GPT-image-1 model doesn't return
    content filtering annotations"."""
    if not request.model.has_content_filters:
        return {}
    return {"content_filter_results": _CONTENT, "prompt_filter_results": _PROMPT}


def _adapt_rule(name: str, rule: Rule) -> Rule:
    """*rule* without WebP, and with the quality `high` by default. Azure documents both of every
    GPT image model: "WEBP images are not supported" and "the default value is `high`". Recorded on
    gpt-image-2: `'png' and 'jpeg'`."""
    if not isinstance(rule, Choice):
        return rule
    if name == "output_format":
        return replace(rule, words=tuple(word for word in rule.words if word != "webp"))
    if name == "quality" and "high" in rule.words:
        return replace(rule, auto="high")
    return rule


_DAY: Final = timedelta(days=1)

# The URLs of hosted pictures are as recorded.
AZURE: Final = Dialect(
    request_id=uuid_text,
    headers=_azure_headers,
    error_body=_azure_error_body,
    hosted_urls=HostedURLs(
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
            "skv": "{service_version}",
            "sp": "r",
            "spr": "https",
            "sr": "b",
            "sv": "{service_version}",
        },
        service_version="2020-10-02",
        key_start=-_DAY,
        key_expiry=6 * _DAY,
    ),
    error_overrides={
        "rate_limit_exceeded": rate_limited,
        "content_policy_violation": content_policy,
        "moderation_blocked": moderated,
        "invalid_api_key": access_denied,
        "server_error": server_error,
    },
    unknown_path=not_found,
    wrong_method=not_found,
    adapt_rule=_adapt_rule,
    annotations=_annotations,
    message_values=_azure_message_values,
)


DEPLOYMENT_PATH: Final = re.compile(rf"{DEPLOYMENTS_PREFIX}([^/]+)/")
"""The beginning of a path that names a deployment."""


def deployment_in(path: str) -> str | None:
    """The deployment that *path* names, or None."""
    match = DEPLOYMENT_PATH.match(path)
    return match.group(1) if match else None


_VERSION: Final = re.compile(r"(\d{4}-\d\d-\d\d)(-preview)?", re.ASCII)


def version_has(operation: Operation, version: str) -> bool:
    """Whether the `api-version` *version* has *operation*: whether it is the operation's first
    version or a later one. A text that is no version has no operations."""
    match = _VERSION.fullmatch(version)
    if match is None or operation.azure is None:
        return False
    try:
        return date.fromisoformat(match[1]) >= operation.azure.since
    except ValueError:
        return False

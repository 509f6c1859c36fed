"""The fault that refuses a call, with a named error or with an error from its settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator
from starlette.types import ASGIApp, Receive, Scope, Send

from images_emulator.contract import operational_errors
from images_emulator.contract.message_format import key_in_message
from images_emulator.contract.models import MODELS, NEWEST_MODEL
from images_emulator.contract.operational_errors import ERRORS_BY_NAME
from images_emulator.contract.refusal import APIError, ErrorAnswer
from images_emulator.contract.tables_of_day import tables_on
from images_emulator.exchange.served_exchange import ServedExchange
from images_emulator.faults.base import MAX_WAIT_SECONDS, BaseFault
from images_emulator.spelling import suggestion

DEFAULT_RETRY_AFTER_MS: Final = 100
"""Milliseconds of `retry-after-ms` where the fault has none. The API was recorded with 12 seconds,
for which a test need not wait."""

IMAGES_PER_MINUTE: Final = 5
"""The limit that the recorded message names."""


def _check_name(name: str) -> str:
    if name not in ERRORS_BY_NAME:
        meant = suggestion(name, ERRORS_BY_NAME, quote="'")
        raise ValueError(f"there is no error '{name}'{meant}; `images-emulator faults` lists them")
    return name


ErrorName = Annotated[
    str,
    AfterValidator(_check_name),
    WithJsonSchema({"type": "string", "enum": [*ERRORS_BY_NAME]}),
]
"""A key of `ERRORS_BY_NAME`."""


def _count(n: Any) -> int:
    """The number of images of a call, from its *n* in JSON or a form; 1 where *n* is no number of
    images."""
    try:
        return max(int(n), 1) if isinstance(n, (int, str)) else 1
    except ValueError:
        return 1


def _model_name(exchange: ServedExchange) -> str | None:
    """The name of the model that the call goes to; None where the call has no model."""
    policy = exchange.policy
    tables = tables_on(policy.as_of if policy else None, exchange.dialect, exchange.day)
    return tables.model_name(exchange.cached_call) if exchange.cached_call else None


def _split(value: Any) -> Any:
    return value.split(",") if isinstance(value, str) else value


class ErrorFault(BaseFault):
    """Refuses the call: with an error by its name, or with a status and words of one's own."""

    kind: Literal["error"] = "error"
    name: ErrorName | None = Field(
        default=None, description="Name of the error, which gives the other fields their values."
    )
    status: int | None = Field(
        default=None, ge=400, le=599, description="HTTP status; needed without a name."
    )
    type: str | None = Field(default=None, description="`type` of the error object.")
    code: str | None = Field(default=None, description="`code` of the error object.")
    message: str | None = Field(default=None, description="Sentence of the error object.")
    param: str | None = Field(default=None, description="`param` of the error object.")
    retry_after: float | None = Field(
        default=None,
        ge=0,
        le=MAX_WAIT_SECONDS,
        description="Seconds in the header `retry-after`.",
    )
    retry_after_ms: int | None = Field(
        default=None,
        ge=0,
        le=MAX_WAIT_SECONDS * 1000,
        description="Milliseconds in the header `retry-after-ms`.",
    )
    should_retry: bool | None = Field(
        default=None,
        description="The header `x-should-retry`, which the SDKs obey; unset: none is sent.",
    )
    stage: Literal["input", "output", "unknown"] = Field(
        default="input", description="What moderation refused; only for `moderation_blocked`."
    )
    categories: Annotated[list[str], BeforeValidator(_split)] = Field(
        default=["other"],
        description="Why moderation refused it; only for `moderation_blocked`.",
    )

    @model_validator(mode="after")
    def _check_status(self) -> Self:
        if not (self.name or self.status):
            raise ValueError("an error has a name or a status")
        return self

    @property
    def label(self) -> str:
        return self.name or self.kind

    async def __call__(
        self, app: ASGIApp, exchange: ServedExchange, scope: Scope, receive: Receive, send: Send
    ) -> None:
        raise APIError(self.answer(exchange))

    def answer(self, exchange: ServedExchange) -> ErrorAnswer:
        """The error of the call, in the words of its day, with the settings of the fault."""
        if self.name:
            model_name = _model_name(exchange) or NEWEST_MODEL.id
            refusal = exchange.dialect.refusal(self.name, MODELS.get(model_name, NEWEST_MODEL))
            answer = exchange.error_answer(refusal(**self._message_values(exchange, model_name)))
        else:
            answer = ErrorAnswer(None, type=self._type_of_status())
        names = ("status", "type", "code", "message", "param")
        changes = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        if self.name == "moderation_blocked":
            details = {"moderation_stage": self.stage, "categories": self.categories}
            changes["details"] = {"moderation_details": details}
        return replace(answer, headers={**answer.headers, **self._retry_headers()}, **changes)

    def _type_of_status(self) -> str:
        return "server_error" if (self.status or 0) >= 500 else "invalid_request_error"

    def _retry_headers(self) -> dict[str, str]:
        headers = {}
        if self.retry_after is not None:
            headers["retry-after"] = f"{self.retry_after:g}"
        if self.retry_after_ms is not None:
            headers["retry-after-ms"] = str(self.retry_after_ms)
        if self.name == "rate_limit_exceeded" and not headers:
            headers = operational_errors.retry_headers(DEFAULT_RETRY_AFTER_MS)
        if self.should_retry is not None:
            headers["x-should-retry"] = str(self.should_retry).lower()
        return headers

    def _message_values(self, exchange: ServedExchange, model_name: str) -> dict[str, Any]:
        """Values of the call that the messages of errors may name."""
        call = exchange.cached_call
        wait_ms = self.retry_after_ms
        if wait_ms is None:
            seconds = self.retry_after
            wait_ms = DEFAULT_RETRY_AFTER_MS if seconds is None else round(seconds * 1000)
        return {
            "model": model_name,
            "request_id": exchange.id,
            "key": key_in_message(exchange.accepted_key or ""),
            **operational_errors.rate_limit_values(
                limit=IMAGES_PER_MINUTE,
                used=IMAGES_PER_MINUTE,
                requested=_count(call.fields.get("n") if call else None),
                unit="min",
                wait_ms=wait_ms,
            ),
            "which": (self.name or "").removesuffix("_exceeded").replace("_", " "),
            "code": self.name,
            "safety_violations": operational_errors.safety_violations(self.categories),
            **(exchange.fault_message_values or {}),
        }

"""The fault that is an answer: an error by name, or of one's own."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from starlette.types import ASGIApp, Receive, Scope, Send

from images_emulator.contract import service_errors
from images_emulator.contract.availability import availability_on
from images_emulator.contract.dialect import OPENAI, Dialect
from images_emulator.contract.errors import APIError, masked
from images_emulator.contract.models import MODELS, NEWEST_MODEL
from images_emulator.contract.service_errors import ERRORS_BY_NAME
from images_emulator.faults.base import DAY, BaseFault

SOON: Final = 100
"""Milliseconds after which a rate limit lets pass again, where the fault does not say it. The API
said 12 seconds; a test need not wait for them."""

LIMIT: Final = 5
"""Pictures in a minute, of which the recorded sentence speaks."""


def _named(name: str) -> str:
    if name not in ERRORS_BY_NAME:
        raise ValueError(f"no such error '{name}'; there are {', '.join(ERRORS_BY_NAME)}")
    return name


ErrorName = Annotated[str, AfterValidator(_named)]


def _count(n: Any) -> int:
    """The images that a call asks for by its *n*, as JSON or a form has it; 1 where it is none."""
    try:
        return (int(n) or 1) if isinstance(n, (int, str)) else 1
    except ValueError:
        return 1


def _split(given: Any) -> Any:
    return given.split(",") if isinstance(given, str) else given


class Error(BaseFault):
    """Refuses the call: with an error by its name, or with a status and words of one's own."""

    kind: Literal["error"] = "error"
    name: ErrorName | None = None
    status: int | None = Field(default=None, ge=400, le=599)
    type: str | None = None
    code: str | None = None
    message: str | None = None
    param: str | None = None
    retry_after: float | None = Field(default=None, ge=0, le=DAY)
    retry_after_ms: int | None = Field(default=None, ge=0, le=DAY * 1000)
    should_retry: bool | None = None
    stage: Literal["input", "output", "unknown"] = "input"
    categories: Annotated[list[str], BeforeValidator(_split)] = Field(default=["other"])

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.name or self.status):
            raise ValueError("an error has a name or a status")
        return self

    @property
    def label(self) -> str:
        return self.name or self.kind

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        raise self.refusal(scope)

    def refusal(self, scope: Scope) -> APIError:
        """The error for the call in *scope*, as its sentence needs its facts."""
        facts = self._facts(scope)
        dialect: Dialect = scope["state"].get("dialect", OPENAI)
        refusal = dialect.refusal(self.name) if self.name else None
        if refusal is service_errors.rate_limited:
            refusal = facts["limited"]
        elif refusal is service_errors.content_policy:
            refusal = facts["rejected"]
        told = (
            refusal.on(scope["state"].get("day"))(**facts)
            if refusal
            else APIError(None, type=self._kind_of_status())
        )
        for name in ("status", "type", "code", "message", "param"):
            if getattr(self, name) is not None:
                setattr(told, name, getattr(self, name))
        told.headers = {**told.headers, **self._headers()}
        if self.name == "moderation_blocked":
            details = {"moderation_stage": self.stage, "categories": self.categories}
            told.details = {"moderation_details": details}
        return told

    def _kind_of_status(self) -> str:
        return "server_error" if (self.status or 0) >= 500 else "invalid_request_error"

    def _headers(self) -> dict[str, str]:
        told = {}
        if self.retry_after is not None:
            told["retry-after"] = f"{self.retry_after:g}"
        if self.retry_after_ms is not None:
            told["retry-after-ms"] = str(self.retry_after_ms)
        if self.name == "rate_limit_exceeded" and not told:
            told = service_errors.retry_headers(SOON)
        if self.should_retry is not None:
            told["x-should-retry"] = str(self.should_retry).lower()
        return told

    def _facts(self, scope: Scope) -> dict[str, Any]:
        state, call = scope["state"], scope["state"].get("call")
        fields = call.fields if call else {}
        available = availability_on(state.get("as_of"), state.get("dialect", OPENAI))
        named = call and available.model_name(call)
        model = MODELS.get(named or "", NEWEST_MODEL)
        wait = self.retry_after_ms
        if wait is None:
            wait = SOON if self.retry_after is None else round(self.retry_after * 1000)
        return {
            "model": named or model.id,
            "limited": model.limited,
            "rejected": model.rejected,
            "organization": state.get("organization"),
            "request_id": state.get("request_id"),
            "key": masked(state.get("key", "")),
            **service_errors.rate_limit_facts(
                limit=LIMIT, used=LIMIT, requested=_count(fields.get("n")), unit="min", wait_ms=wait
            ),
            "which": (self.name or "").removesuffix("_exceeded").replace("_", " "),
            "code": self.name,
            "violations": service_errors.violations(self.categories),
            **state.get("facts", {}),
        }

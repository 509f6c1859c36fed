"""The base class of all faults. The fields of a fault are its settings, which JSON and TOML can
give. Its `__call__` wraps the application."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError
from pydantic_core.core_schema import ErrorType
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from images_emulator.exchange.served_exchange import ServedExchange
from images_emulator.spelling import suggestion

RESPONSE_START: Final = "http.response.start"
RESPONSE_BODY: Final = "http.response.body"
"""Types of ASGI messages: the head of an answer, and a part of its body."""

MAX_WAIT_SECONDS: Final = 86_400
"""The longest wait of a fault: a day."""


class StrictModel(BaseModel):
    """A model that is read from JSON or TOML. It converts no types and refuses unknown keys."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="wrap")
    @classmethod
    def _refuse_unknown_keys(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        unknown = (
            [key for key in value if key not in cls.model_fields] if isinstance(value, dict) else []
        )
        if not unknown:
            return handler(value)
        mistakes = [
            InitErrorDetails(type=cls._unknown(key, value), input=value[key]) for key in unknown
        ]
        try:
            handler({key: each for key, each in value.items() if key not in unknown})
        except ValidationError as error:
            mistakes += map(_anew, error.errors(include_url=False))
        raise ValidationError.from_exception_data(cls.__name__, mistakes)

    @classmethod
    def _unknown(cls, key: str, document: Mapping[str, Any]) -> PydanticCustomError:
        """The mistake of a *key* of *document* that the model does not have. The message leaves out
        `kind`, which is given already."""
        keys = [name for name in cls.model_fields if name != "kind"]
        return PydanticCustomError(
            "unknown_key",
            "unknown key '{key}'{hint}; it takes {listed}",
            {
                "key": key,
                "hint": suggestion(str(key), keys, quote="'"),
                "listed": ", ".join(keys) or "none",
            },
        )


def _anew(details: ErrorDetails) -> InitErrorDetails:
    """The mistake of *details*, to be raised in another `ValidationError`."""
    name, context = details["type"], details.get("ctx", {})
    is_own = name not in get_args(ErrorType)
    kind = PydanticCustomError(name, details["msg"], context) if is_own else name
    return InitErrorDetails(type=kind, loc=details["loc"], input=details["input"], ctx=context)


class BaseFault(StrictModel):
    """A fault: its settings are the fields, and `__call__` applies it to a call. Tables and help
    show the docstring of its class, and the `description` that each field has to have."""

    for_downloads: ClassVar[bool] = False
    """Whether the fault is for downloads of hosted pictures alone, and not for API calls."""

    for_streams: ClassVar[bool] = False
    """Whether the fault is for streams alone. The scenario then spares calls that ask for none."""

    changes_body: ClassVar[bool] = True
    """Whether the fault may change or cut the body of a good answer. False for a fault that
    changes no byte that it sends, such as one that waits, perhaps without end, or changes headers.
    The journal searches a body that may have changed for its images."""

    kind: str
    """The name of the fault in scenarios, headers and directives."""

    @property
    def label(self) -> str:
        """The name of the fault in the journal."""
        return self.kind

    @abstractmethod
    async def __call__(
        self, app: ASGIApp, exchange: ServedExchange, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer the call of *exchange* in place of *app*, or pass *app* a *send* that changes its
        answer. Raises APIError to refuse the call."""


def is_event_stream(start: Message) -> bool:
    """Whether the answer that *start* begins is a stream of events."""
    headers: dict[bytes, bytes] = dict(start["headers"])
    return headers.get(b"content-type", b"").startswith(b"text/event-stream")


def is_event(message: Message) -> bool:
    """Whether *message* is one event of a stream, and not a comment or the end of the stream."""
    return message["type"] == RESPONSE_BODY and bytes(message.get("body", b"")[:1]) not in {
        b"",
        b":",
    }

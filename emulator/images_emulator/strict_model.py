"""The base class of what is read from JSON and TOML: faults, answers, steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError
from pydantic_core.core_schema import ErrorType

from images_emulator.spelling import suggestion


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
            mistakes += map(_copy_details, error.errors(include_url=False))
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


def _copy_details(details: ErrorDetails) -> InitErrorDetails:
    """The mistake of *details*, to be raised in another `ValidationError`."""
    name, context = details["type"], details.get("ctx", {})
    is_own = name not in get_args(ErrorType)
    kind = PydanticCustomError(name, details["msg"], context) if is_own else name
    return InitErrorDetails(type=kind, loc=details["loc"], input=details["input"], ctx=context)

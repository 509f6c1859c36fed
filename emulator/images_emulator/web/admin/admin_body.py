"""Bodies of the admin API: their models, and the error for an unknown name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from images_emulator.contract import admin_errors
from images_emulator.contract.message_format import quoted_list
from images_emulator.contract.refusal import APIError
from images_emulator.spelling import suggestion


class AdminBody(BaseModel):
    """A body of the admin API. It converts no types. Raises APIError for an unknown key."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, value: Any) -> Any:
        keys = [*cls.model_fields]
        for key in value if isinstance(value, dict) else ():
            if key not in keys:
                raise unknown_input_error(key, keys)
        return value


def unknown_input_error(name: str, names: Sequence[str]) -> APIError:
    """The error for *name*, which is not among the accepted *names*."""
    meant = suggestion(name, names, quote="'")
    return admin_errors.unknown_input(name=name, meant=meant, listed=quoted_list(names))

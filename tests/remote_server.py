"""Another server that the recorded exchanges are replayed against: the real API, or an emulator.

REMOTE_BASE_URL=https://api.openai.com/v1 REMOTE_API_KEY=sk-… pytest tests/test_exchanges.py -rs
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import image_operation_at

COMPARED = ("message", "type", "param", "code")
"""The keys of an error that another server must have as recorded; of its headers, none."""


@dataclass(frozen=True, slots=True)
class Remote:
    """Where the other server is, and whether it may be asked for what costs money."""

    url: str
    """What precedes `/v1` in its URLs."""
    key: str
    costs: bool = False

    @classmethod
    def from_environment(cls) -> Remote | None:
        """The one that REMOTE_BASE_URL and REMOTE_API_KEY name, if any."""
        url = os.environ.get("REMOTE_BASE_URL", "").rstrip("/")
        if not url:
            return None
        if not url.endswith("/v1"):
            raise pytest.UsageError(f"REMOTE_BASE_URL must end with /v1, not be {url}")
        if not (key := os.environ.get("REMOTE_API_KEY")):
            raise pytest.UsageError("REMOTE_BASE_URL needs REMOTE_API_KEY, a key that is let in")
        return cls(url.removesuffix("/v1"), key, costs=os.environ.get("REMOTE_COSTS") == "1")

    def reason_to_skip(self, exchange: dict[str, Any]) -> str | None:
        """Why *exchange* is not compared, if it is not."""
        request, response = exchange["request"], exchange["response"]
        special = [name for name in ("settings", "broken") if name in exchange]
        special += [name for name in request.get("headers", {}) if name.startswith("x-emulator-")]
        if special:
            return f"only an emulator has {special[0]}"
        if "as_of" in exchange:
            return "the answer of another day"
        if not request["path"].startswith("/v1/"):
            return "outside of /v1"
        if "This emulator " in json.dumps(response["body"]):
            return "the emulator's own sentence"
        if retired := _retired_model(request):
            return f"{retired} was shut down"
        if request["method"] == "POST" and response["status"] < 300 and not self.costs:
            return "costs money; REMOTE_COSTS=1 asks for it"
        return None


def _retired_model(request: dict[str, Any]) -> str | None:
    """The model that *request* asks, where the API has it no more."""
    parts = {part["name"]: part.get("value") for part in request.get("form", ())}
    fields = request["json"] if isinstance(request.get("json"), dict) else parts
    operation = image_operation_at(request["path"])
    name = (operation and operation.only_model) or fields.get("model")
    model = MODELS.get(name) if isinstance(name, str) else None
    return model.id if model and not model.exists_on(datetime.now(UTC).date()) else None

"""Another server that the recorded exchanges are replayed against: the real API, or an emulator.

REMOTE_BASE_URL=https://api.openai.com/v1 REMOTE_API_KEY=sk-… pytest tests/test_exchanges.py -rs
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import image_operation_at
from images_emulator.recordings.document import plain_fields
from images_emulator.recordings.recording import RecordedRequest, Recording

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

    def reason_to_skip(self, recording: Recording) -> str | None:
        """Why *recording* is not compared, if it is not."""
        request, response = recording.request, recording.response
        assert response
        special = [name for name in ("settings", "broken") if getattr(recording, name)]
        special += [name for name, _ in request.headers if name.startswith("x-emulator-")]
        if special:
            return f"only an emulator has {special[0]}"
        if recording.as_of:
            return "the answer of another day"
        if not request.target.startswith("/v1/"):
            return "outside of /v1"
        if b"This emulator " in response.body:
            return "the emulator's own sentence"
        if retired := _retired_model(request):
            return f"{retired} was shut down"
        if request.method == "POST" and response.status < 300 and not self.costs:
            return "costs money; REMOTE_COSTS=1 asks for it"
        return None


def _retired_model(request: RecordedRequest) -> str | None:
    """The model that *request* asks, where the API has it no more."""
    operation = image_operation_at(request.target)
    name = (operation and operation.only_model) or plain_fields(request).get("model")
    model = MODELS.get(name) if isinstance(name, str) else None
    return model.id if model and not model.exists_on(datetime.now(UTC).date()) else None

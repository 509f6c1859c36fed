"""Calls that are made of the table of models: what its JSON Schemas take is answered with the
pictures that were asked for, and anything at all with a status that is documented, in its
envelope."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings

from images_emulator.contract.api_document import EVENTS, error_statuses
from images_emulator.contract.operations import JSON
from tests.answers import error_of
from tests.call_strategies import SentCall, any_calls, valid_calls
from tests.pictures import opened

PROFILE: dict[str, Any] = {
    "database": None,
    "derandomize": True,
    "deadline": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}

CLIENT_ERRORS = {status for status in error_statuses() if status < 500}


def completed(answer: httpx2.Response) -> list[Any]:
    """The pictures of a good answer, whose stream is whole."""
    if answer.headers["content-type"].partition(";")[0] == EVENTS:
        events = [json.loads(line[6:]) for line in answer.text.splitlines() if line[:6] == "data: "]
        assert all(event["type"].endswith(("partial_image", "completed")) for event in events)
        return [event for event in events if event["type"].endswith("completed")]
    assert answer.headers["content-type"] == JSON
    data: list[Any] = answer.json()["data"]
    return data


@pytest.mark.slow
@settings(max_examples=25, **PROFILE)
@given(valid_calls())
def test_call_that_the_json_schema_of_its_model_takes_gets_its_pictures(
    http: httpx2.Client, call: SentCall
) -> None:
    answer = call.send(http)
    assert answer.status_code == 200, answer.text
    pictures = completed(answer)
    assert len(pictures) == call.fields.get("n", 1)
    size, form = call.fields.get("size"), call.fields.get("output_format", "png")
    for picture in pictures:
        if "b64_json" not in picture:
            assert picture["url"]
        elif form != "svg":
            image = opened(picture["b64_json"])
            assert str(image.format).lower() == form
            assert size in (None, "auto", "{}x{}".format(*image.size))


@pytest.mark.slow
@settings(max_examples=60, **PROFILE)
@given(any_calls())
def test_any_call_gets_a_documented_answer_in_its_envelope(
    http: httpx2.Client, call: SentCall
) -> None:
    answer = call.send(http)
    if answer.status_code == 200:
        assert completed(answer)
    else:
        assert answer.status_code in CLIENT_ERRORS
        assert error_of(answer, answer.status_code)["message"]

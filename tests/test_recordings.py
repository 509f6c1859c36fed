"""The values of recordings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from images_emulator.recordings.recording import (
    RecordedPart,
    RecordedRequest,
    RecordedResponse,
    Recording,
)


def test_the_body_of_an_answer_is_the_bytes_of_its_parts() -> None:
    response = RecordedResponse(200, (), (RecordedPart(0.1, b"data: 1\n\n"), RecordedPart(1, b"x")))
    assert response.body == b"data: 1\n\nx"


def test_a_late_field_is_made_when_it_is_first_read_and_once() -> None:
    made = []

    def body() -> bytes:
        made.append(1)
        return b"{}"

    request = RecordedRequest.lazy({"body": body}, method="POST", target="/v1/images/generations")
    assert made == []
    assert (request.body, request.body, made) == (b"{}", b"{}", [1])


def test_a_late_value_equals_one_that_is_there() -> None:
    late = RecordedRequest.lazy({"body": lambda: b"{}"}, method="POST", target="/")
    assert late == RecordedRequest("POST", "/", (), b"{}")
    assert replace(late, method="PUT") == RecordedRequest("PUT", "/", (), b"{}")
    assert Recording(late, None) == Recording(RecordedRequest("POST", "/", (), b"{}"), None)


def test_an_unknown_field_of_a_late_value_is_no_attribute() -> None:
    late = RecordedRequest.lazy({"body": lambda: b"{}"}, method="POST", target="/")
    with pytest.raises(AttributeError, match="RecordedRequest has no attribute 'bodies'"):
        _ = late.bodies  # type: ignore[attr-defined]

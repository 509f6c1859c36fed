"""The OpenAPI documents name what can come, and the promise about them finds what they do not."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from images_emulator.contract import admin_errors
from images_emulator.contract.admin_errors import AdminRefusal
from images_emulator.contract.operations import OPERATIONS
from images_emulator.web.admin_api import create_admin_api
from reliability.documented_answers import mistake_of
from reliability.promise import Promise

OK: dict[str, Any] = {"content": {"application/json": {}}}
DOCUMENTED: dict[str, Any] = {"200": OK, "204": {}, "400": OK, "404": OK, "503": OK}
ENVELOPE = json.dumps(
    {"error": {"message": "x", "type": "x", "param": None, "code": None}}
).encode()


@pytest.mark.parametrize(
    ("status", "media_type", "body", "mistake"),
    [
        (200, "application/json", b"{}", ""),
        (204, "", b"", ""),
        (404, "", b"", ""),
        (400, "application/json", ENVELOPE, ""),
        (418, "application/json", ENVELOPE, "418 is not documented"),
        (503, "application/json", ENVELOPE, "503 "),
        (200, "text/html", b"<p>", "200 is of the type 'text/html'"),
        (200, "application/json", b"{", "200 has no JSON"),
        (200, "application/json", b"", "200 has no JSON"),
        (400, "application/json", b"{}", "400 is in no envelope"),
        (400, "application/json", b'{"error": "x"}', "400 is in no envelope"),
    ],
)
def test_answer_that_is_not_as_documented_is_a_mistake(
    status: int, media_type: str, body: bytes, mistake: str
) -> None:
    found = mistake_of(DOCUMENTED, status, media_type, body)
    assert found.startswith(mistake)
    assert bool(found) == bool(mistake)


def test_wildcard_documents_all_of_a_type() -> None:
    answers: dict[str, Any] = {"200": {"content": {"image/*": {}}}}
    assert not mistake_of(answers, 200, "image/webp", b"x")
    assert mistake_of(answers, 200, "text/plain", b"x")


def documented(document: dict[str, Any]) -> str:
    """All that the document says of errors."""
    return json.dumps(
        [
            operation["responses"]
            for methods in document["paths"].values()
            for operation in methods.values()
        ]
    )


def test_every_error_of_the_admin_api_is_documented_at_a_route() -> None:
    text = documented(create_admin_api().openapi())
    # These two are about what is no route.
    others = (admin_errors.no_such_path, admin_errors.wrong_method)
    for name, refusal in vars(admin_errors).items():
        if isinstance(refusal, AdminRefusal) and refusal not in others:
            assert json.dumps(refusal.message)[1:-1] in text, name


def test_errors_that_frameworks_describe_and_nobody_sends_are_not_documented() -> None:
    document = create_admin_api().openapi()
    assert "HTTPValidationError" not in json.dumps(document)
    assert {"Error"} <= {*document["components"]["schemas"]}


def test_document_of_the_api_has_every_operation_with_its_bodies(http: httpx2.Client) -> None:
    document = http.get("/_emulator/api").json()
    named = {
        operation["operationId"]: operation
        for methods in document["paths"].values()
        for operation in methods.values()
    }
    assert named.keys() == OPERATIONS.keys()
    for name, row in OPERATIONS.items():
        bodies = named[name].get("requestBody", {}).get("content", {})
        assert bodies.keys() == row.bodies.keys(), name
        assert {"200", "400", "401", "404", "413"} <= named[name]["responses"].keys()


def test_promise_without_its_package_says_what_is_missing() -> None:
    assert not Promise(name="x", text="x").missing_part
    assert not Promise(name="x", text="x", package="json").missing_part
    part = Promise(name="x", text="x", package="no_such_package").missing_part
    assert part == "no_such_package is not installed: pip install -e '.[reliability]'"

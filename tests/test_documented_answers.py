"""The OpenAPI documents name what can come, and the promise about them finds what they do not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import httpx2
import pytest
from jsonschema import Draft202012Validator

from images_emulator.contract import admin_errors
from images_emulator.contract.admin_errors import AdminRefusal
from images_emulator.contract.api_document import api_document
from images_emulator.contract.model_listing import models_json
from images_emulator.contract.operations import FORM, JSON, OPERATIONS
from images_emulator.web.admin.admin_api import create_admin_api
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


def exactly(**properties: Any) -> dict[str, Any]:
    """The schema of an object with these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }


def map_of(schema: Any, pattern: str) -> dict[str, Any]:
    """The schema of an object whose keys match *pattern* and whose values meet *schema*."""
    properties = {pattern: schema}
    return {"type": "object", "patternProperties": properties, "additionalProperties": False}


CONTENT = map_of(exactly(schema={"type": "object"}), "^[a-z]+/[a-z-]+$")
PARAMETER = exactly(
    **{"name": {"type": "string"}, "in": {"const": "path"}, "required": {"const": True}},
    schema={"const": {"type": "string", "minLength": 1}},
)
OPERATION = exactly(
    operationId={"type": "string"},
    responses=map_of(exactly(description={"type": "string"}, content=CONTENT), "^[2-5][0-9]{2}$"),
    requestBody=exactly(content=CONTENT, required={"const": True}),
    parameters={"type": "array", "items": PARAMETER},
) | {"required": ["operationId", "responses"]}
OPENAPI = exactly(
    openapi={"const": "3.1.0"},
    info=exactly(title={"type": "string", "pattern": "^OpenAI .* serves it$"}, version={}),
    paths=map_of(map_of(OPERATION, "^(get|post|delete)$"), "^/"),
    components=exactly(
        schemas=exactly(Error={"type": "object"}),
        securitySchemes=exactly(key={"const": {"type": "http", "scheme": "bearer"}}),
    ),
    security={"const": [{"key": []}]},
)
"""What the document has of OpenAPI 3.1, which allows more."""


def described() -> dict[str, dict[str, Any]]:
    """The operations of the document by their names."""
    paths = api_document("1.2.3")["paths"]
    return {
        operation["operationId"]: {"path": path, "method": method, **operation}
        for path, methods in paths.items()
        for method, operation in methods.items()
    }


def test_document_of_the_api_is_one_of_openapi() -> None:
    document = api_document("1.2.3")
    Draft202012Validator(OPENAPI).validate(document)
    assert document["info"]["version"] == "1.2.3"
    for name, operation in described().items():
        row = OPERATIONS[name]
        assert operation["method"] == row.method.lower()
        names = [parameter["name"] for parameter in operation.get("parameters", ())]
        assert operation["path"].format(**dict.fromkeys(names, "x")) == row.path.replace(
            ":path}", "}"
        ).format(**dict.fromkeys(names, "x"))
        assert ("{" in row.path) == bool(names)
        for status, answer in operation["responses"].items():
            assert answer["description"] == HTTPStatus(int(status)).phrase
            if status != "200":
                error = {"$ref": "#/components/schemas/Error"}
                assert answer["content"] == {JSON: {"schema": error}}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list_models", {JSON: "object"}),
        ("generations", {JSON: "object", "text/event-stream": "string"}),
        ("variations", {JSON: "object"}),
        ("download_file", {"application/octet-stream": "string"}),
    ],
)
def test_document_of_the_api_has_the_media_types_of_answers(
    name: str, content: dict[str, str]
) -> None:
    answers = described()[name]["responses"]["200"]["content"]
    assert {key: value["schema"]["type"] for key, value in answers.items()} == content


def _spoilt(value: Any) -> Iterator[Any]:
    """*value* with one thing that is missing or of no type of its own."""
    yield 1.5
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield {name: other for name, other in value.items() if name != key}
            yield from ({**value, key: other} for other in _spoilt(each))
    elif isinstance(value, list):
        yield []
        yield from ([other] for other in _spoilt(value[0]))


IMAGES = {"created": 1, "data": [{}]}
ERROR = {"message": "x", "type": "x", "param": "x", "code": "x"}


def schema_of(name: str) -> Any:
    """A schema of the document, by what it describes."""
    if name == "error":
        return api_document("")["components"]["schemas"]["Error"]
    operations = described()
    if name == "images":
        return operations["generations"]["responses"]["200"]["content"][JSON]["schema"]
    return operations["create_file"]["requestBody"]["content"][FORM]["schema"]


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("images", IMAGES),
        ("file", {"file": "x", "purpose": "vision"}),
        ("error", {"error": ERROR}),
        ("error", {"error": dict.fromkeys(ERROR)}),
    ],
)
def test_schemas_of_the_document_of_the_api_take_what_is_whole(name: str, good: Any) -> None:
    validator = Draft202012Validator(schema_of(name))
    validator.validate(good)
    for bad in _spoilt(good):
        assert not validator.is_valid(bad), bad


def test_document_of_the_api_has_the_bodies_of_each_model() -> None:
    operations = described()
    for model, row in models_json().items():
        for name, operation in operations.items():
            for media_type, schema in row["endpoints"].get(OPERATIONS[name].path, {}).items():
                body = operation["requestBody"]["content"][media_type]["schema"]["anyOf"]
                properties = {**schema["properties"], "model": {"const": model}}
                required = ["model", *schema["required"]]
                assert {**schema, "properties": properties, "required": required} in body
    assert schema_of("file")["properties"]["file"] == {"type": "string", "format": "binary"}


def test_an_array_of_files_has_one_at_least_and_no_more_than_its_model_takes() -> None:
    bodies = described()["edits"]["requestBody"]["content"][FORM]["schema"]["anyOf"]
    limits = {
        body["properties"]["model"]["const"]: (image["minItems"], image["maxItems"])
        for body in bodies
        if (image := body["properties"]["image"])["type"] == "array"
    }
    assert limits["gpt-image-2"] == (1, 16)
    assert {least for least, _ in limits.values()} == {1}


def test_promise_without_its_package_says_what_is_missing() -> None:
    assert not Promise(name="x", text="x").missing_part
    assert not Promise(name="x", text="x", package="json").missing_part
    part = Promise(name="x", text="x", package="no_such_package").missing_part
    assert part == "no_such_package is not installed: pip install -e '.[reliability]'"

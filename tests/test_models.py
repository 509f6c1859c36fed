"""`GET /v1/models`, and the table's own promises."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx2
import pytest
from openai import OpenAI

from images_emulator.contract.models import MODELS, NEWEST_MODEL
from images_emulator.contract.operations import IMAGE_OPERATIONS
from images_emulator.contract.rules import Choice


def test_the_list_has_every_model_of_the_table(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == list(MODELS)


@pytest.mark.parametrize("model", MODELS.values(), ids=str)
def test_a_model_object_tells_its_dates(http: httpx2.Client, model: object) -> None:
    body = http.get(f"/v1/models/{model}").json()
    assert list(body) == ["id", "object", "created", "owned_by", "shutdown_date"]
    entry = MODELS[body["id"]]
    assert datetime.fromtimestamp(body["created"], UTC).date() == entry.released
    assert body["shutdown_date"] == (entry.shutdown.isoformat() if entry.shutdown else None)


@pytest.mark.parametrize(
    ("path", "status"), [("models", 200), ("models/gpt-image-2", 200), ("models/x", 404)]
)
def test_head_answers_as_get_does_without_a_body(
    http: httpx2.Client, path: str, status: int
) -> None:
    head, get = http.head(f"/v1/{path}"), http.get(f"/v1/{path}")
    assert (head.status_code, head.content) == (status, b"")
    assert (get.status_code, len(get.content)) == (status, int(head.headers["content-length"]))


def test_a_models_row_is_found_by_its_own_name() -> None:
    assert all(name == model.id for name, model in MODELS.items())
    assert NEWEST_MODEL.id in MODELS


def test_the_default_models_of_an_operation_are_in_the_table() -> None:
    for operation in IMAGE_OPERATIONS.values():
        defaults = [body.default_models for body in operation.bodies.values()]
        names = {name for periods in defaults for _, each in periods for name in each}
        assert names | {operation.only_model or NEWEST_MODEL.id} <= MODELS.keys(), operation


def test_a_replacement_is_a_model_that_lives_on() -> None:
    for model in MODELS.values():
        assert bool(model.replacement) == bool(model.shutdown)
        for replacement in model.replacement.split(" or ") if model.replacement else ():
            assert MODELS[replacement].shutdown is None


@pytest.mark.parametrize("model", MODELS.values(), ids=str)
def test_every_auto_comes_down_to_a_word_that_may_be_asked_for(model: object) -> None:
    for rules in MODELS[str(model)].accepts.values():
        for name, rule in rules.items():
            if isinstance(rule, Choice) and "auto" in (*rule.words, *rule.unlisted):
                assert rule.auto in {*rule.words, *rule.unlisted}, name

"""`GET /v1/models`, and the table's own promises."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time

import httpx2
import pytest
from openai import OpenAI

from images_emulator.contract.azure import AZURE
from images_emulator.contract.dialect import OPENAI, Dialect
from images_emulator.contract.model import Model
from images_emulator.contract.model_rules import at_generations_and_edits
from images_emulator.contract.models import MODELS, NEWEST_MODEL
from images_emulator.contract.operational_errors import ERRORS_BY_NAME
from images_emulator.contract.operations import EDITS, GENERATIONS, IMAGE_OPERATIONS, Operation
from images_emulator.contract.rules import Choice, Rule, Text
from images_emulator.contract.tables_of_day import tables_on
from images_emulator.contract.token_rates import OutputFormula, TokenRates


def test_model_list_has_every_model_of_the_table(client: OpenAI) -> None:
    listed = [model.id for model in client.models.list()]
    assert listed == [name for name in MODELS if name != "gpt-image-1.5-2025-12-16"]


@pytest.mark.parametrize("model", MODELS.values(), ids=str)
def test_model_object_has_release_and_shutdown_dates(http: httpx2.Client, model: object) -> None:
    body = http.get(f"/v1/models/{model}").json()
    assert list(body) == ["id", "object", "created", "owned_by", "shutdown_date"]
    entry = MODELS[body["id"]]
    if entry.created is None:
        created = datetime.fromtimestamp(body["created"], UTC)
        assert (created.date(), created.time()) == (entry.released, time())
    else:
        assert body["created"] == entry.created
    assert body["shutdown_date"] == (entry.shutdown.isoformat() if entry.shutdown else None)


def test_shutdown_dates_are_shown_since_the_day_of_the_changelog(http: httpx2.Client) -> None:
    def keys(day: str) -> set[str]:
        headers = {"x-emulator-as-of": day}
        (*listed,) = http.get("/v1/models", headers=headers).json()["data"]
        listed.append(http.get("/v1/models/gpt-image-1.5", headers=headers).json())
        (names,) = {frozenset(each) for each in listed}
        return {*names}

    assert keys("2026-08-13") == {"id", "object", "created", "owned_by"}
    assert "shutdown_date" in keys("2026-08-14")


@pytest.mark.parametrize(
    ("path", "status"), [("models", 200), ("models/gpt-image-2", 200), ("models/x", 404)]
)
def test_head_answers_like_get_without_a_body(http: httpx2.Client, path: str, status: int) -> None:
    head, get = http.head(f"/v1/{path}"), http.get(f"/v1/{path}")
    assert (head.status_code, head.content) == (status, b"")
    assert (get.status_code, len(get.content)) == (status, int(head.headers["content-length"]))


def test_models_are_keyed_by_their_ids() -> None:
    assert all(name == model.id for name, model in MODELS.items())


def test_models_are_listed_in_order_of_release() -> None:
    families = dict.fromkeys(model.released for model in MODELS.values())
    assert [*families] == sorted(families), "MODELS: the newest model stands last"
    assert NEWEST_MODEL.released == max(families)


@pytest.mark.parametrize("day", [None, *sorted({each.released for each in MODELS.values()})])
@pytest.mark.parametrize("operation", IMAGE_OPERATIONS.values(), ids=str)
def test_unknown_model_is_checked_by_the_newest_of_the_day(
    operation: Operation, day: date | None
) -> None:
    accepting = [model for model in MODELS.values() if operation in model.rules]
    of_the_day = [model for model in accepting if model.exists_on(day)]
    newest = tables_on(day).newest_model(operation)
    assert newest in (of_the_day or accepting)
    assert newest.released == max(model.released for model in of_the_day or accepting[:1])


def test_default_models_of_operations_are_in_the_table() -> None:
    for operation in IMAGE_OPERATIONS.values():
        defaults = [body.default_models for body in operation.bodies.values()]
        names = {name for periods in defaults for _, each in periods for name in each}
        assert names | {operation.only_model or NEWEST_MODEL.id} <= MODELS.keys(), operation


def test_replacement_models_are_not_shut_down() -> None:
    for model in MODELS.values():
        assert bool(model.replacement) == bool(model.shutdown)
        for replacement in model.replacement.split(" or ") if model.replacement else ():
            assert MODELS[replacement].shutdown is None


def gaps(model: Model) -> Iterator[str]:
    """What the row of *model* lacks for answers to all that it accepts."""
    if not model.rules:
        yield "accepts: no operation"
    if bool(model.shutdown) != bool(model.replacement):
        yield "shutdown and replacement go together"
    for operation, rules in model.rules.items():
        quality = rules.get("quality", Rule())
        words = quality.schema().get("enum", ())
        for word in sorted({quality.resolve(word, None, {}) for word in words}):
            if word not in model.seconds:
                yield f"seconds: no figure for quality {word!r}, which {operation} takes"
            if model.token_rates and not has_rate(model.token_rates, word):
                yield f"tokens: no output rate for quality {word!r}, which {operation} takes"
        if not model.seconds:
            yield "seconds: no figure"
        if model.token_rates and not quality.schema():
            yield f"accepts: {operation} has no quality, by which tokens are counted"
        if not model.token_rates and "response_format" not in rules:
            yield f"tokens: {operation} answers with pictures alone, and so with usage"
        if "size" not in rules and not operation.reads_uploads:
            yield f"accepts: {operation} has neither a size nor an upload to take it from"


def has_rate(tokens: TokenRates, quality: str) -> bool:
    try:
        return tokens.output.tokens((1024, 1024), quality) > 0
    except KeyError:
        return False


@pytest.mark.parametrize("model", MODELS.values(), ids=str)
def test_model_row_is_complete(model: Model) -> None:
    missing = [*gaps(model)]
    assert not missing, f"{model} in contract/models.py: {'; '.join(missing)}"


def test_gaps_of_an_incomplete_model_row_are_named() -> None:
    newest = replace(NEWEST_MODEL, id="gpt-image-9", shutdown=date(2027, 1, 1))
    qualities = [word for word in newest.seconds if word != "low"]
    rates = OutputFormula({word: 16 for word in qualities if word != "high"})
    assert newest.token_rates
    row = replace(
        newest,
        rules={GENERATIONS: {**newest.rules[GENERATIONS]}},
        seconds={word: newest.seconds[word] for word in qualities},
        token_rates=replace(newest.token_rates, output=rates),
    )
    assert [*gaps(row)] == [
        "shutdown and replacement go together",
        "tokens: no output rate for quality 'high', which generations takes",
        "seconds: no figure for quality 'low', which generations takes",
        "tokens: no output rate for quality 'low', which generations takes",
    ]
    assert [*gaps(Model("gpt-image-9", released=newest.released, rules={GENERATIONS: {}}))] == [
        "seconds: no figure",
        "tokens: generations answers with pictures alone, and so with usage",
        "accepts: generations has neither a size nor an upload to take it from",
    ]


def test_rules_of_one_endpoint_alone_are_at_that_one_and_go_before_the_shared_ones() -> None:
    shared, own = Text(max_length=1), Text(max_length=2)
    accepts = at_generations_and_edits({"a": shared}, generations={"a": own, "b": own})
    assert (accepts[GENERATIONS]["a"], accepts[EDITS]["a"]) == (own, shared)
    assert ("b" in accepts[GENERATIONS], "b" in accepts[EDITS]) == (True, False)
    accepts = at_generations_and_edits({"a": shared}, edits={"a": own, "b": own})
    assert (accepts[GENERATIONS]["a"], accepts[EDITS]["a"]) == (shared, own)
    assert ("b" in accepts[GENERATIONS], "b" in accepts[EDITS]) == (False, True)


@pytest.mark.parametrize(
    "owner", [*MODELS.values(), OPENAI, AZURE], ids=[*MODELS, "openai", "azure"]
)
def test_errors_in_other_words_have_the_names_of_errors(owner: Model | Dialect) -> None:
    assert owner.error_overrides.keys() <= ERRORS_BY_NAME.keys()


@pytest.mark.parametrize("model", MODELS.values(), ids=str)
def test_auto_resolves_to_a_word_of_the_choice(model: object) -> None:
    for rules in MODELS[str(model)].rules.values():
        for name, rule in rules.items():
            if isinstance(rule, Choice) and "auto" in (*rule.words, *rule.unlisted):
                assert rule.auto in {*rule.words, *rule.unlisted}, name


GPT_1_SECONDS = {"low": 15, "medium": 26, "high": 34}
GPT_2_SECONDS = {"low": 15, "medium": 65, "high": 235}
GPT_2_5_SECONDS = {"low": 15, "medium": 23, "high": 65, "xhigh": 110, "max": 235}


@pytest.mark.parametrize(
    ("model", "seconds"),
    [
        ("dall-e-2", {"standard": 9}),
        ("dall-e-3", {"standard": 13, "hd": 26}),
        ("gpt-image-1", GPT_1_SECONDS),
        ("gpt-image-1-mini", GPT_1_SECONDS),
        ("gpt-image-1.5", GPT_1_SECONDS),
        ("gpt-image-2", GPT_2_SECONDS),
        ("gpt-image-2.5-sunburst", GPT_2_5_SECONDS),
        ("gpt-image-2.6-flare", GPT_2_5_SECONDS),
    ],
)
def test_seconds_of_a_call_are_those_of_recordings(model: str, seconds: dict[str, float]) -> None:
    assert MODELS[model].seconds == seconds

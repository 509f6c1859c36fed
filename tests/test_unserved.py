"""Paths of OpenAI that are not served: a JSON error that lists those that are."""

from __future__ import annotations

from collections.abc import Callable

import httpx2
import openai
import pytest
from openai import OpenAI

from images_emulator.contract.operations import UNSERVED_SUBPATHS


@pytest.mark.parametrize("path", UNSERVED_SUBPATHS)
@pytest.mark.parametrize("rest", ["", "/some-id"])
def test_unserved_path_names_the_served_paths(http: httpx2.Client, path: str, rest: str) -> None:
    answer = http.post(f"/v1{path}{rest}", json={})
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert error["code"] == "not_served"
    assert f"POST /v1{path}{rest}" in error["message"]
    for served in ("/v1/images/generations", "/v1/images/edits", "/v1/images/variations"):
        assert served in error["message"]


@pytest.mark.parametrize("path", ["/responses", "/openai/v1/responses"])
def test_unserved_path_under_other_prefixes(http: httpx2.Client, path: str) -> None:
    assert http.post(path, json={}).json()["error"]["code"] == "not_served"


@pytest.mark.parametrize("prefix", ["/openai/deployments/x", "/openai/v1"])
def test_unserved_path_at_azure_names_azures_paths(http: httpx2.Client, prefix: str) -> None:
    answer = http.post(f"{prefix}/chat/completions?api-version=1", json={})
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_served"
    served = answer.json()["error"]["message"].partition("It serves ")[2].rstrip(".").split(", ")
    assert "/openai/deployments/{deployment}/images/edits" in served
    assert "/openai/v1/images/generations" in served
    assert all(path.startswith("/openai/") for path in served)


SDK_CALLS: dict[str, Callable[[OpenAI], object]] = {
    "responses": lambda sdk: sdk.responses.create(model="gpt-5", input="x"),
    "chat": lambda sdk: sdk.chat.completions.create(model="gpt-5", messages=[]),
    "completions": lambda sdk: sdk.completions.create(model="gpt-5", prompt="x"),
    "embeddings": lambda sdk: sdk.embeddings.create(model="text-embedding-3-small", input="x"),
    "moderations": lambda sdk: sdk.moderations.create(input="x"),
    "audio": lambda sdk: sdk.audio.speech.create(model="tts-1", voice="alloy", input="x"),
    "batches": lambda sdk: sdk.batches.list(),
    "uploads": lambda sdk: sdk.uploads.cancel("x"),
    "fine-tuning": lambda sdk: sdk.fine_tuning.jobs.list(),
    "vector stores": lambda sdk: sdk.vector_stores.list(),
    "evals": lambda sdk: sdk.evals.list(),
    "containers": lambda sdk: sdk.containers.list(),
    "conversations": lambda sdk: sdk.conversations.retrieve("x"),
}


@pytest.mark.parametrize("name", SDK_CALLS)
def test_sdk_call_to_another_api_is_refused(client: OpenAI, name: str) -> None:
    with pytest.raises(openai.NotFoundError, match="/v1/images/generations") as refused:
        SDK_CALLS[name](client)
    assert refused.value.code == "not_served"

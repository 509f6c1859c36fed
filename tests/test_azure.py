"""The Azure form of the same calls, by the official SDK."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
from openai import AzureOpenAI, OpenAI

from emulator import Server, Settings
from tests.pictures import answered, png

KEY = "azure-key"
VERSION = "2025-04-01-preview"


@pytest.fixture(scope="module")
def azure() -> Iterator[Server]:
    settings = Settings(port=0, api_key=(KEY,), deployment=("drawings=gpt-image-2", "old=dall-e-3"))
    with Server(settings) as server:
        yield server


def client(server: Server, key: str = KEY) -> AzureOpenAI:
    return AzureOpenAI(azure_endpoint=server.url, api_key=key, api_version=VERSION, max_retries=0)


@pytest.mark.parametrize("deployment", ["drawings", "gpt-image-2"])
def test_a_deployment_generates_and_edits(azure: Server, deployment: str) -> None:
    with client(azure) as sdk:
        drawn = sdk.images.generate(model=deployment, prompt="x", size="1024x1024")
        assert answered(drawn)[0].size == (1024, 1024)
        image = ("a.png", png(), "image/png")
        edited = sdk.images.edit(model=deployment, image=image, prompt="x", size="1024x1024")
        assert answered(edited)[0].size == (1024, 1024)


def test_a_deployment_streams(azure: Server) -> None:
    with client(azure) as sdk:
        stream = sdk.images.generate(model="drawings", prompt="x", stream=True, partial_images=1)
        assert [event.type for event in stream] == [
            "image_generation.partial_image",
            "image_generation.completed",
        ]


def test_the_newer_form_has_the_model_in_the_body(azure: Server) -> None:
    base = f"{azure.url}/openai/v1/"
    with OpenAI(base_url=base, api_key=KEY) as sdk:
        assert answered(sdk.images.generate(model="gpt-image-2", prompt="x"))
        assert sdk.models.list().data
    answer = httpx2.get(f"{base}models", headers={"api-key": KEY})
    assert answer.status_code == 200


def test_the_newer_form_knows_the_deployments_too(azure: Server) -> None:
    with OpenAI(base_url=f"{azure.url}/openai/v1/", api_key=KEY) as sdk:
        assert answered(sdk.images.generate(model="drawings", prompt="x"))


def test_a_wrong_method_is_refused_in_azures_form(azure: Server) -> None:
    url = f"{azure.url}/openai/deployments/drawings/images/generations?api-version={VERSION}"
    answer = httpx2.get(url, headers={"api-key": KEY})
    assert answer.status_code == 405
    assert next(iter(answer.json()["error"])) == "code"


def test_a_body_may_do_without_a_model(azure: Server) -> None:
    url = f"{azure.url}/openai/deployments/old/images/generations?api-version={VERSION}"
    answer = httpx2.post(url, json={"prompt": "x"}, headers={"api-key": KEY})
    assert answer.json()["data"][0]["revised_prompt"]


def asked(server: Server, path: str, **body: Any) -> httpx2.Response:
    return httpx2.post(f"{server.url}{path}", json=body, headers={"api-key": KEY})


def test_errors_are_azures_own(azure: Server) -> None:
    path = "/openai/deployments/{}/images/generations"
    answer = asked(azure, path.format("nowhere") + f"?api-version={VERSION}", prompt="x")
    assert answer.status_code == 404
    assert list(answer.json()["error"]) == ["code", "message"]
    assert answer.json()["error"]["code"] == "DeploymentNotFound"
    answer = asked(azure, path.format("drawings"), prompt="x")
    assert answer.json() == {"error": {"code": "404", "message": "Resource not found"}}
    answer = asked(azure, path.format("drawings") + f"?api-version={VERSION}", prompt="x", n=0)
    assert answer.status_code == 400
    assert list(answer.json()["error"]) == ["code", "message", "param", "type"]
    assert answer.json()["error"]["param"] == "n"


def test_a_wrong_key_is_denied(azure: Server) -> None:
    with client(azure, "wrong") as sdk, pytest.raises(openai.AuthenticationError) as refused:
        sdk.images.generate(model="drawings", prompt="x")
    assert refused.value.code == "401"
    assert "Access denied due to invalid subscription key" in str(refused.value)


def test_a_deployment_of_no_model_is_no_setting() -> None:
    with pytest.raises(ValueError, match="'a' is to be 'b', which is no model"):
        Server(Settings(port=0, deployment=("a=b",)))
    with pytest.raises(ValueError, match="expected NAME=MODEL, not 'a'"):
        Settings(deployment=("a",))

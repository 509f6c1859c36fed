"""The Azure form of the same calls, by the official SDK."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import httpx2
import openai
import pytest
from openai import AzureOpenAI, OpenAI

from images_emulator import Server, Settings
from images_emulator.contract.azure import AZURE
from images_emulator.contract.operational_errors import AZURE_ERRORS_BY_NAME, ERRORS_BY_NAME
from images_emulator.contract.refusal import API_MANAGEMENT_ENVELOPE
from images_emulator.contract.rules import Choice
from images_emulator.imaging.formats import OUTPUT_FORMATS
from tests.pictures import answered, opened, png

KEY = "azure-key"
VERSION = "2025-04-01-preview"


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    settings = Settings(port=0, api_key=(KEY,), deployment=("drawings=gpt-image-2", "old=dall-e-3"))
    with Server(settings) as server:
        yield server


@pytest.fixture
def azure(running: Server) -> Server:
    running.reset()
    return running


def client(server: Server, key: str = KEY) -> AzureOpenAI:
    return AzureOpenAI(azure_endpoint=server.url, api_key=key, api_version=VERSION, max_retries=0)


@pytest.mark.parametrize("deployment", ["drawings", "gpt-image-2"])
def test_azure_deployment_generates_and_edits(azure: Server, deployment: str) -> None:
    with client(azure) as sdk:
        drawn = sdk.images.generate(model=deployment, prompt="x", size="1024x1024")
        assert answered(drawn)[0].size == (1024, 1024)
        image = ("a.png", png(), "image/png")
        edited = sdk.images.edit(model=deployment, image=image, prompt="x", size="1024x1024")
        assert answered(edited)[0].size == (1024, 1024)


def test_azure_deployment_streams(azure: Server) -> None:
    with client(azure) as sdk:
        stream = sdk.images.generate(model="drawings", prompt="x", stream=True, partial_images=1)
        assert [event.type for event in stream] == [
            "image_generation.partial_image",
            "image_generation.completed",
        ]


def test_azure_v1_takes_the_model_from_the_body(azure: Server) -> None:
    base = f"{azure.url}/openai/v1/"
    with OpenAI(base_url=base, api_key=KEY) as sdk:
        assert answered(sdk.images.generate(model="gpt-image-2", prompt="x"))
        assert sdk.models.list().data
    answer = httpx2.get(f"{base}models", headers={"api-key": KEY})
    assert answer.status_code == 200


def test_azure_v1_takes_a_deployment_as_model(azure: Server) -> None:
    with OpenAI(base_url=f"{azure.url}/openai/v1/", api_key=KEY) as sdk:
        assert answered(sdk.images.generate(model="drawings", prompt="x"))


NOT_FOUND = b'{"error":{"code":"404","message": "Resource not found"}}'


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/openai/deployments/drawings/images/generations"),
        ("POST", "/openai/deployments/drawings/images/variations"),
        ("POST", "/openai/deployments/drawings/images"),
        ("POST", "/openai/images/generations"),
        ("POST", "/openai/images/edits"),
        ("POST", "/openai/v1/images/variations"),
        ("DELETE", "/openai/v1/models"),
        ("GET", "/openai/v2/models"),
        ("PROPFIND", "/openai/v1/models"),
    ],
)
@pytest.mark.parametrize("key", [KEY, "wrong"])
def test_azure_path_without_an_operation_is_not_found(
    azure: Server, method: str, path: str, key: str
) -> None:
    url = f"{azure.url}{path}?api-version={VERSION}"
    answer = httpx2.request(method, url, headers={"api-key": key})
    assert (answer.status_code, answer.content) == (404, NOT_FOUND)
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("operation", "version", "served"),
    [
        ("generations", "2023-05-15", False),
        ("generations", "2023-06-01-preview", True),
        ("generations", "2024-02-01", True),
        ("generations", "2031-12-31-preview", True),
        ("edits", "2025-03-01-preview", False),
        ("edits", "2024-10-21", False),
        ("edits", "2025-04-01-preview", True),
        ("edits", "2025-04-15", True),
        ("edits", "2031-12-31", True),
        *(
            ("generations", version, False)
            for version in (
                "",
                "1",
                "preview",
                "2025-04",
                "2025-13-01",
                "2025-04-01-beta",
                "٢٠٢٥-٠٤-٠١",
            )
        ),
    ],
)
def test_azure_operation_needs_its_first_api_version(
    azure: Server, operation: str, version: str, served: bool
) -> None:
    answer = httpx2.post(
        f"{azure.url}/openai/deployments/drawings/images/{operation}",
        params={"api-version": version},
        headers={"api-key": KEY, "content-type": "application/json"},
        content=b"[]",
    )
    assert (answer.content != NOT_FOUND) == served
    assert answer.status_code == (400 if served else 404)


def test_azure_body_needs_no_model(azure: Server) -> None:
    url = f"{azure.url}/openai/deployments/old/images/generations?api-version={VERSION}"
    answer = httpx2.post(url, json={"prompt": "x"}, headers={"api-key": KEY})
    assert answer.json()["data"][0]["revised_prompt"]


def post(server: Server, path: str, **body: Any) -> httpx2.Response:
    return httpx2.post(f"{server.url}{path}", json=body, headers={"api-key": KEY})


def test_azure_errors_have_azures_messages(azure: Server) -> None:
    path = "/openai/deployments/{}/images/generations"
    answer = post(azure, path.format("nowhere") + f"?api-version={VERSION}", prompt="x")
    assert answer.status_code == 404
    assert list(answer.json()["error"]) == ["code", "message"]
    assert answer.json()["error"]["code"] == "DeploymentNotFound"
    answer = post(azure, path.format("drawings"), prompt="x")
    assert answer.content == NOT_FOUND
    answer = post(azure, path.format("drawings") + f"?api-version={VERSION}", prompt="x", n=0)
    assert answer.status_code == 400
    assert list(answer.json()["error"]) == ["message", "type", "param", "code"]
    assert answer.json()["error"]["param"] == "n"
    assert answer.content.startswith(b'{"error":{"message":"Invalid')


def test_azure_errors_have_letters_of_any_script_as_they_are(azure: Server) -> None:
    path = "/openai/deployments/drawings/images/generations"
    answer = httpx2.post(
        f"{azure.url}{path}?api-version={VERSION}",
        json={"prompt": "x", "größe": 1},
        headers={"api-key": KEY},
    )
    assert answer.status_code == 400
    assert "größe".encode() in answer.content


def test_azure_headers_are_azures_and_none_of_openais(azure: Server) -> None:
    path = "/openai/deployments/drawings/images/generations"
    url = f"{azure.url}{path}?api-version={VERSION}"
    headers = {"api-key": KEY, "x-ms-client-request-id": "mine"}
    answer = httpx2.post(url, json={"prompt": "x"}, headers=headers)
    identity = answer.headers["x-request-id"]
    assert UUID(identity).version == 4
    assert answer.headers["apim-request-id"] == identity
    assert answer.headers["x-ms-client-request-id"] == "mine"
    assert answer.headers["x-ms-deployment-name"] == "drawings"
    assert answer.headers["x-ms-region"] == "East US 2"
    assert httpx2.get(f"{azure.url}/_emulator/requests/{identity}").json()["status"] == 200
    refused = [
        httpx2.post(url, json={"prompt": "x", "n": 0}, headers={"api-key": KEY}),
        httpx2.post(url, json={"prompt": "x"}, headers={"api-key": "wrong"}),
        httpx2.post(url.replace("drawings", "nowhere"), json={}, headers={"api-key": KEY}),
        httpx2.post(f"{azure.url}{path}", json={}, headers={"api-key": KEY}),
    ]
    own = [{name for name in each.headers if name.startswith(("apim-", "x-"))} for each in refused]
    region = {
        *("apim-request-id", "x-content-type-options"),
        *("x-ms-region", "x-ms-client-request-id"),
    }
    assert own == [
        region | {"x-ms-deployment-name", "x-request-id"},
        {"apim-request-id"},
        region,
        {"apim-request-id"},
    ]
    assert refused[0].headers["x-ms-client-request-id"] == "Not-Set"
    for each in (answer, *refused):
        assert not [name for name in each.headers if name.startswith("openai-")]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("GET", "files", None), ("GET", "models", None), ("POST", "images/generations", {})],
)
def test_azure_fault_without_a_deployment_names_none(
    azure: Server, method: str, path: str, body: Any
) -> None:
    headers = {"api-key": KEY, "x-emulator-fault": "rate_limit_exceeded"}
    answer = httpx2.request(method, f"{azure.url}/openai/v1/{path}", json=body, headers=headers)
    assert answer.status_code == 429
    assert answer.text.startswith(
        '{"error":{"code":"RateLimitReached","message":"Your requests in East US 2 have exceeded'
    )
    assert "x-ms-deployment-name" not in answer.headers
    assert ("ImageGenerations_Create" in answer.text) == (method == "POST")


@pytest.mark.parametrize("operation", ["generations", "edits"])
@pytest.mark.parametrize(
    ("kind", "body"),
    [("text/plain", b"x"), ("application/json", b"{"), ("application/json", b"[]"), ("", b"")],
)
def test_azure_unknown_deployment_is_refused_before_the_body_is_read(
    azure: Server, operation: str, kind: str, body: bytes
) -> None:
    def sent(deployment: str) -> httpx2.Response:
        path = f"/openai/deployments/{deployment}/images/{operation}?api-version={VERSION}"
        headers = {"api-key": KEY, "content-type": kind}
        return httpx2.post(azure.url + path, content=body, headers=headers)

    assert sent("nowhere").json()["error"]["code"] == "DeploymentNotFound"
    answer = sent("drawings")
    assert answer.status_code == 400
    assert answer.headers["x-ms-deployment-name"] == "drawings"
    assert answer.headers["x-request-id"] == answer.headers["apim-request-id"]


SAFE = {"filtered": False, "severity": "safe"}
HARMS = ("hate", "self_harm", "sexual", "violence")


@pytest.mark.parametrize(("form", "last"), [("b64_json", "revised_prompt"), ("url", "url")])
def test_azure_dall_e_answers_with_content_filter_results(
    azure: Server, form: Any, last: str
) -> None:
    with client(azure) as sdk:
        answer = sdk.images.with_raw_response.generate(
            model="old", prompt="x", response_format=form
        )
    (item,) = answer.http_response.json()["data"]
    assert list(item)[-1] == last
    assert item["content_filter_results"] == dict.fromkeys(HARMS, SAFE)
    profanity = {"profanity": {"detected": False, "filtered": False}}
    assert item["prompt_filter_results"] == dict.fromkeys(HARMS, SAFE) | profanity


def test_azure_gpt_image_answers_without_content_filter_results(azure: Server) -> None:
    with client(azure) as sdk:
        answer = sdk.images.with_raw_response.generate(model="drawings", prompt="x")
    (item,) = answer.http_response.json()["data"]
    assert item.keys() == {"b64_json", "generation_id"}


def test_openai_dall_e_answers_without_content_filter_results(azure: Server) -> None:
    with OpenAI(base_url=azure.base_url, api_key=KEY) as sdk:
        drawn = sdk.images.generate(model="dall-e-3", prompt="x")
    assert not (drawn.data or [])[0].model_extra


def test_azure_hosted_image_url_works_for_a_day(azure: Server) -> None:
    with client(azure) as sdk:
        answer = sdk.images.with_raw_response.generate(model="old", prompt="x")
        url = (answer.parse().data or [])[0].url or ""
    parts = urlsplit(url)
    identity = answer.headers["apim-request-id"]
    assert parts.path == f"/private/images/{identity}/generated_00.png"
    query = dict(parse_qsl(parts.query))
    assert " ".join(query) == "se sig ske skoid sks skt sktid skv sp spr sr sv"
    created = answer.parse().created
    days = {"se": 1, "skt": -1, "ske": 6}
    times = {name: datetime.fromisoformat(query[name]).timestamp() for name in days}
    assert times == {name: created + 86_400 * count for name, count in days.items()}
    same = {name: query[name] for name in query if name not in {*days, "sig"}}
    assert same == {
        "sv": "2020-10-02",
        "skv": "2020-10-02",
        "sr": "b",
        "sks": "b",
        "sp": "r",
        "spr": "https",
        "skoid": "e52d5ed7-0657-4f62-bc12-7e5dbb260a96",
        "sktid": "33e01921-4d64-4f8c-a055-5bdaffd5e33d",
    }
    assert opened(httpx2.get(url).content).size == (1024, 1024)
    azure.clock.advance(hours=23.9)
    assert httpx2.get(url).status_code == 200
    azure.clock.advance(hours=0.2)
    expired = httpx2.get(url)
    assert (expired.status_code, expired.headers["x-ms-error-code"]) == (
        403,
        "AuthenticationFailed",
    )
    assert "must be after signed start time" in expired.text


def test_azure_hosted_image_urls_are_numbered(azure: Server) -> None:
    with client(azure) as sdk:
        drawn = sdk.images.generate(model="dall-e-2", prompt="x", n=2, size="256x256")
    names = [urlsplit(each.url or "").path.rpartition("/")[2] for each in drawn.data or []]
    assert names == ["generated_00.png", "generated_01.png"]


@pytest.mark.parametrize("model", ["gpt-image-1", "gpt-image-1.5", "gpt-image-2"])
def test_azure_refuses_webp_and_defaults_to_high_quality(azure: Server, model: str) -> None:
    with client(azure) as sdk:
        with pytest.raises(openai.BadRequestError, match="values are: 'png' and 'jpeg'"):
            sdk.images.generate(model=model, prompt="x", output_format="webp")
        assert sdk.images.generate(model=model, prompt="x").quality == "high"
        assert sdk.images.generate(model=model, prompt="x", quality="low").quality == "low"
    with OpenAI(base_url=azure.base_url, api_key=KEY) as sdk:
        assert sdk.images.generate(model=model, prompt="x", output_format="webp").data


def test_each_output_format_is_known_to_be_one_of_azure_or_not() -> None:
    rule = AZURE.adapt_rule("output_format", Choice(tuple(OUTPUT_FORMATS), default="png"))
    assert isinstance(rule, Choice)
    assert {*rule.words} == {"png", "jpeg", "gif", "svg"}, (
        "`_adapt_rule` of contract/azure.py takes a format out, or it is one more here"
    )


def test_azure_defaults_to_high_for_the_quality_of_gpt_image_models_alone(azure: Server) -> None:
    with client(azure) as sdk:
        sdk.images.generate(model="dall-e-3", prompt="x")
        sdk.images.edit(model="gpt-image-1", prompt="x", image=("a.png", png()))
    dall_e, gpt_image = azure.emulator.journal.find()
    assert dall_e.parameters["quality"] == "standard"
    assert gpt_image.parameters["quality"] == "high"
    assert gpt_image.parameters.get("input_fidelity") != "high"


def test_named_errors_in_the_form_of_api_management_are_marked_as_azures() -> None:
    names = {
        name
        for name, refusal in ERRORS_BY_NAME.items()
        if refusal.envelope == API_MANAGEMENT_ENVELOPE
    }
    assert names == AZURE_ERRORS_BY_NAME.keys()


@pytest.mark.parametrize("name", ERRORS_BY_NAME)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/openai/deployments/drawings/images/generations"),
        ("POST", "/openai/deployments/drawings/images/edits"),
        ("POST", "/openai/v1/images/edits"),
        ("GET", "/openai/v1/models"),
    ],
)
def test_azure_named_errors_have_azures_form(
    azure: Server, method: str, path: str, name: str
) -> None:
    answer = httpx2.request(
        method,
        f"{azure.url}{path}?api-version={VERSION}",
        json={"model": "drawings", "prompt": "x"},
        headers={"api-key": KEY, "x-emulator-fault": name},
    )
    assert answer.status_code == AZURE.refusal(name).status
    assert answer.content.startswith((b'{"error":{"code":', b'{"error":{"message":'))
    assert ("x-ms-region" in answer.headers) == (answer.status_code != 401)
    assert azure.requests[-1].fault == name


def test_azure_deployment_in_the_path_cannot_inject_headers(azure: Server) -> None:
    answer = httpx2.post(
        f"{azure.url}/openai/deployments/x%0D%0Aset-cookie:%20a=b/images/generations",
        json={"prompt": "x"},
        headers={"api-key": KEY, "x-emulator-fault": "rate_limit_exceeded"},
    )
    assert answer.status_code == 429
    assert "set-cookie" not in answer.headers
    assert "x-ms-deployment-name" not in answer.headers
    assert "requests to x\r\nset-cookie: a=b for" in answer.json()["error"]["message"]


def test_azure_rate_limit_fault_names_the_deployment_and_its_model(azure: Server) -> None:
    azure.inject({"kind": "error", "name": "rate_limit_exceeded", "retry_after": 1.5}, times=2)
    with client(azure) as sdk, pytest.raises(openai.RateLimitError) as refused:
        sdk.images.generate(model="drawings", prompt="x")
    assert refused.value.code == "RateLimitReached"
    assert refused.value.message.endswith(
        "Your requests to drawings for gpt-image-2 in East US 2 have exceeded the call rate limit "
        "for your current AIServices S0 pricing tier. This request was for ImageGenerations_Create "
        f"under Azure OpenAI API version {VERSION}. Please retry after 2 seconds. To increase "
        "your default rate limit, visit https://aka.ms/oai/quotaincrease."
    )
    with (
        OpenAI(base_url=f"{azure.url}/openai/v1/", api_key=KEY, max_retries=0) as newer,
        pytest.raises(openai.RateLimitError, match=r"to old for dall-e-3 in .* version v1\."),
    ):
        newer.images.generate(model="old", prompt="x")


def test_scenario_step_matches_the_model_behind_an_azure_deployment(azure: Server) -> None:
    azure.inject("server_error", match={"model": "gpt-image-*"})
    with client(azure) as sdk:
        assert sdk.images.generate(model="old", prompt="x").data
        with pytest.raises(openai.InternalServerError, match=r"fwlink/\?linkid=2213926") as broken:
            sdk.images.generate(model="drawings", prompt="x")
    assert broken.value.request_id
    assert broken.value.request_id in broken.value.message


def test_azure_rate_limit_counts_per_deployment() -> None:
    deployments = ("one=gpt-image-2", "two=gpt-image-2")
    settings = Settings(port=0, rate_limit="1/min", deployment=deployments)
    with Server(settings) as server, client(server) as sdk:
        for name in ("one", "two"):
            assert sdk.images.generate(model=name, prompt="x").data
        with pytest.raises(openai.RateLimitError, match="requests to two for gpt-image-2 in") as no:
            sdk.images.generate(model="two", prompt="x")
    seconds = no.value.response.headers["retry-after"]
    assert f"Please retry after {seconds} seconds." in no.value.message


def test_azure_wrong_key_is_denied(azure: Server) -> None:
    with client(azure, "wrong") as sdk, pytest.raises(openai.AuthenticationError) as refused:
        sdk.images.generate(model="drawings", prompt="x")
    assert refused.value.code == "401"
    assert "Access denied due to invalid subscription key" in str(refused.value)


def test_deployment_setting_of_an_unknown_model_is_refused() -> None:
    with pytest.raises(ValueError, match="'a' is to be 'b', which is no model"):
        Server(Settings(port=0, deployment=("a=b",)))
    with pytest.raises(ValueError, match="expected NAME=MODEL, not 'a'"):
        Settings(deployment=("a",))

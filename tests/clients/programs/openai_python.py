"""OpenAI's SDK for Python."""

import sys
from pathlib import Path

from openai import APIStatusError, AzureOpenAI, OpenAI
from report import run


def openai_client():
    # snippet: openai-python
    client = OpenAI(base_url="http://127.0.0.1:8080/v1", api_key="sk-test")
    # end
    return client


def azure_client():
    # snippet: openai-python for Azure
    client = AzureOpenAI(
        azure_endpoint="http://127.0.0.1:8080", api_key="test", api_version="2025-04-01-preview"
    )
    # end
    return client


client = {"OpenAI": openai_client, "AzureOpenAI": azure_client}[sys.argv[1]]()
MODEL = "gpt-image-2"


def images(answer):
    return [image.b64_json for image in answer.data]


def edit(prompt, image, **options):
    return images(client.images.edit(model=MODEL, prompt=prompt, image=image, **options))


def stream():
    events = [*client.images.generate(model=MODEL, prompt="A ship", stream=True, partial_images=2)]
    return {"events": [event.type for event in events], "images": [events[-1].b64_json]}


def error():
    try:
        client.images.generate(model=MODEL, prompt="A mistake", size="1000x1000")
    except APIStatusError as error:
        message = error.body["message"]
        return dict(status=error.status_code, code=error.code, param=error.param, message=message)


run(
    generate=lambda: images(client.images.generate(model=MODEL, prompt="A lighthouse")),
    edit=lambda: edit("By night", Path("lighthouse.png")),
    mask=lambda: edit("A red door", Path("lighthouse.png"), mask=Path("mask.png")),
    inputs=lambda: edit("Both on one shelf", [Path("lighthouse.png"), Path("harbour.png")]),
    stream=stream,
    error=error,
    retry=lambda: images(client.images.generate(model=MODEL, prompt="A rate limit")),
)

"""OpenAI's SDK for Python, asynchronous."""

from pathlib import Path

from openai import APIStatusError, AsyncOpenAI
from report import run

# snippet: openai-python, asynchronous
client = AsyncOpenAI(base_url="http://127.0.0.1:8080/v1", api_key="sk-test")
# end
MODEL = "gpt-image-2"


async def generate(prompt, **options):
    answer = await client.images.generate(model=MODEL, prompt=prompt, **options)
    return [image.b64_json for image in answer.data]


async def edit(prompt, image, **options):
    answer = await client.images.edit(model=MODEL, prompt=prompt, image=image, **options)
    return [image.b64_json for image in answer.data]


async def stream():
    answer = await client.images.generate(
        model=MODEL, prompt="A ship", stream=True, partial_images=2
    )
    events = [event async for event in answer]
    return {"events": [event.type for event in events], "images": [events[-1].b64_json]}


async def error():
    try:
        await generate("A mistake", size="1000x1000")
    except APIStatusError as error:
        message = error.body["message"]
        return dict(status=error.status_code, code=error.code, param=error.param, message=message)


run(
    generate=lambda: generate("A lighthouse"),
    edit=lambda: edit("By night", Path("lighthouse.png")),
    mask=lambda: edit("A red door", Path("lighthouse.png"), mask=Path("mask.png")),
    inputs=lambda: edit("Both on one shelf", [Path("lighthouse.png"), Path("harbour.png")]),
    stream=stream,
    error=error,
    retry=lambda: generate("A rate limit"),
)

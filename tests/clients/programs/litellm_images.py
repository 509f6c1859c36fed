"""LiteLLM."""

import litellm
from report import run

# snippet: LiteLLM
server = {"api_base": "http://127.0.0.1:8080/v1", "api_key": "sk-test"}


def generate(prompt, **options):
    answer = litellm.image_generation(prompt, model="openai/gpt-image-2", **server, **options)
    return [image.b64_json for image in answer.data]


def edit(prompt, *names, **options):
    files = [open(name, "rb") for name in names]
    answer = litellm.image_edit(files, prompt, model="openai/gpt-image-2", **server, **options)
    return [image.b64_json for image in answer.data]


# end


def stream():
    events = [
        *litellm.image_generation(
            "A ship", model="openai/gpt-image-2", stream=True, partial_images=2, **server
        )
    ]
    return {"events": [event.type for event in events], "images": [events[-1].b64_json]}


def error():
    try:
        generate("A mistake", size="1000x1000")
    except litellm.BadRequestError as error:
        return dict(
            status=error.status_code, code=error.code, param=error.param, message=error.message
        )


run(
    generate=lambda: generate("A lighthouse"),
    edit=lambda: edit("By night", "lighthouse.png"),
    mask=lambda: edit("A red door", "lighthouse.png", mask=open("mask.png", "rb")),
    inputs=lambda: edit("Both on one shelf", "lighthouse.png", "harbour.png"),
    stream=stream,
    error=error,
    retry=lambda: generate("A rate limit"),
)

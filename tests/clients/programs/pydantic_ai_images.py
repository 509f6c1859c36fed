"""Pydantic AI's image generation."""

from pathlib import Path

from pydantic_ai import BinaryImage
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.images import ImageGenerator
from pydantic_ai.images.openai import OpenAIImageGenerationModel
from pydantic_ai.providers.openai import OpenAIProvider
from report import run

# snippet: Pydantic AI
provider = OpenAIProvider(base_url="http://127.0.0.1:8080/v1", api_key="sk-test")
generator = ImageGenerator(OpenAIImageGenerationModel("gpt-image-2", provider=provider))
# end

LIGHTHOUSE, HARBOUR = (
    BinaryImage(Path(name).read_bytes(), media_type="image/png")
    for name in ("lighthouse.png", "harbour.png")
)


async def generate(prompt, **options):
    result = await generator.generate(prompt, **options)
    return [image.content.data for image in result.images]


async def error():
    try:
        await generate("A mistake", settings={"openai_size": "1000x1000"})
    except ModelHTTPError as error:
        body = error.body
        message, code, param = body["message"], body["code"], body["param"]
        return dict(status=error.status_code, code=code, param=param, message=message)


run(
    generate=lambda: generate("A lighthouse"),
    edit=lambda: generate("By night", images=[LIGHTHOUSE]),
    mask="`ImageGenerator.generate` takes pictures without a mask",
    inputs=lambda: generate("Both on one shelf", images=[LIGHTHOUSE, HARBOUR]),
    stream="`OpenAIImageGenerationModel` has no streams",
    error=error,
    retry=lambda: generate("A rate limit"),
)

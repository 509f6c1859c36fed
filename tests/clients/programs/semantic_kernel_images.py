"""Semantic Kernel's service for images."""

from openai import AsyncOpenAI
from report import run
from semantic_kernel.connectors.ai.open_ai import OpenAITextToImage
from semantic_kernel.exceptions import ServiceResponseException

# snippet: Semantic Kernel
client = AsyncOpenAI(base_url="http://127.0.0.1:8080/v1", api_key="sk-test")
service = OpenAITextToImage(ai_model_id="gpt-image-2", async_client=client)
# end


async def error():
    try:
        await service.generate_images("A mistake [[emulator: moderation_blocked]]")
    except ServiceResponseException as error:
        cause = error.__cause__
        return dict(
            status=cause.status_code, code=cause.code, param=cause.param, message=str(error)
        )


run(
    generate=lambda: service.generate_images("A lighthouse"),
    edit=lambda: service.edit_image("By night", image_paths=["lighthouse.png"]),
    mask=lambda: service.edit_image(
        "A red door", image_paths=["lighthouse.png"], mask_path="mask.png"
    ),
    inputs=lambda: service.edit_image(
        "Both on one shelf", image_paths=["lighthouse.png", "harbour.png"]
    ),
    stream="`generate_images` returns the pictures of a whole answer",
    error=error,
    retry=lambda: service.generate_images("A rate limit"),
)

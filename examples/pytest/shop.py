"""A shop that has posters drawn. It knows nothing of the emulator."""

from __future__ import annotations

import openai


def draw_poster(title: str) -> str:
    """The base64 of a poster in WebP, or of a plain one where the prompt is refused."""
    client = openai.OpenAI()
    prompts = (f"A poster for {title}", "A poster")
    for prompt in prompts:
        try:
            answer = client.images.generate(
                model="gpt-image-2", prompt=prompt, size="1024x1536", output_format="webp"
            )
        except openai.BadRequestError as error:
            if error.code != "moderation_blocked":
                raise
        else:
            return answer.data[0].b64_json
    raise ValueError("no poster is allowed")

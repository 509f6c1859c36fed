"""A shop that has posters drawn. It knows nothing of the emulator."""

from __future__ import annotations

import base64

import openai


def draw_poster(title: str) -> bytes:
    """A poster in PNG."""
    client = openai.OpenAI()
    answer = client.images.generate(model="gpt-image-2", prompt=f"A poster for {title}")
    return base64.b64decode(answer.data[0].b64_json)


def draw_by_night(poster: bytes) -> bytes:
    """The same poster by night."""
    client = openai.OpenAI()
    image = ("poster.png", poster, "image/png")
    answer = client.images.edit(model="gpt-image-2", prompt="By night", image=image)
    return base64.b64decode(answer.data[0].b64_json)

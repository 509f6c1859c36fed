"""`POST /posters` draws a poster and sends its previews as they come, as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator

import openai
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

app = FastAPI()


class Poster(BaseModel):
    """The poster that is asked for."""

    title: str


@app.post("/posters")
async def draw_poster(poster: Poster) -> StreamingResponse:
    return StreamingResponse(events(poster.title), media_type="text/event-stream")


async def events(title: str) -> AsyncIterator[str]:
    """Two previews and the poster; or one `failed` with the API's code."""
    async with openai.AsyncOpenAI() as client:
        try:
            stream = await client.images.generate(
                model="gpt-image-2",
                prompt=f"A poster for {title}",
                stream=True,
                partial_images=2,
            )
            async for event in stream:
                name = "poster" if event.type == "image_generation.completed" else "preview"
                yield f"event: {name}\ndata: {event.b64_json}\n\n"
        except openai.APIError as error:
            yield f"event: failed\ndata: {error.code}\n\n"

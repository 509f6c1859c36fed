"""A plain mock server to compare with: FastAPI, a pydantic body, Pillow's default PNG, base64 and a
dict. It draws the emulator's own images, so that only serving and encoding differ.

    python -m benchmarks.plain PORT
"""

from __future__ import annotations

import base64
import io
import sys
import time
from typing import Any, Literal

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, Field

from benchmarks.subject import draw, request_of

app = FastAPI()


class Body(BaseModel):
    model: str
    prompt: str = Field(min_length=1, max_length=32_000)
    n: int = Field(default=1, ge=1, le=10)
    size: str = "1024x1024"
    quality: Literal["auto", "low", "medium", "high"] = "auto"


@app.post("/v1/images/generations")
def create_image(body: Body) -> dict[str, Any]:
    request = request_of(body.model_dump())
    data = []
    for index in range(body.n):
        file = io.BytesIO()
        draw(request, index).convert("RGB").save(file, "PNG")
        data.append({"b64_json": base64.b64encode(file.getvalue()).decode()})
    return {"created": int(time.time()), "data": data}


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")

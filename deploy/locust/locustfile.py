"""Calls of many users to an emulator, as Locust makes them.

    pip install locust
    locust -f deploy/locust/locustfile.py --host http://localhost:8080 \
        --headless --users 64 --spawn-rate 64 --run-time 60s

Each kind of call has a tag, for `--tags` and `--exclude-tags`. Locust ends with status 1 where a
call failed: an answer that is none of 200, or has no picture.
"""

from __future__ import annotations

import base64
import json
import os
import struct
import zlib
from itertools import count
from time import perf_counter
from typing import Any

from locust import FastHttpUser, constant, tag, task

GENERATIONS = "/v1/images/generations"
EDITS = "/v1/images/edits"

PICTURE = {"model": "gpt-image-2", "size": "1024x1024", "quality": "low"}
BY_URL = {"model": "dall-e-3", "size": "1024x1024", "response_format": "url"}

_users = count()
_prompts = count()


def unique_prompt() -> str:
    """A prompt that no other call has, of this process of Locust or another one."""
    return f"A lighthouse, seen for the {next(_prompts)}th time by {os.getpid()}"


def rgba_png(edge: int, alpha: int) -> bytes:
    """A square picture of one colour with this *alpha*."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", crc)

    head = struct.pack("!2I5B", edge, edge, 8, 6, 0, 0, 0)
    rows = (b"\0" + bytes((40, 90, 160, alpha)) * edge) * edge
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


IMAGE, MASK = rgba_png(512, 255), rgba_png(512, 0)


def is_picture(data: bytes) -> bool:
    """Whether *data* begins as a PNG."""
    return data.startswith(b"\x89PNG")


class ImagesUser(FastHttpUser):
    """A client with an API key of its own, which makes call after call."""

    wait_time = constant(0)
    network_timeout = 60

    def on_start(self) -> None:
        self.headers = {"Authorization": f"Bearer sk-locust-{os.getpid()}-{next(_users)}"}

    def post(self, name: str, path: str = GENERATIONS, **arguments: Any) -> list[dict[str, str]]:
        """Make a call, which is called *name*, and return the images of its answer. They are
        checked."""
        with self.client.post(
            path, name=name, headers=self.headers, catch_response=True, **arguments
        ) as answer:
            if answer.status_code != 200:
                answer.failure(f"{answer.status_code}: {(answer.text or '')[:300]}")
                return []
            images: list[dict[str, str]] = answer.json()["data"]
            for image in images:
                if "b64_json" in image and not is_picture(base64.b64decode(image["b64_json"])):
                    answer.failure("no picture")
            return images

    @tag("repeated")
    @task(10)
    def repeated(self) -> None:
        """A picture that is in the cache."""
        self.post("repeated", json={**PICTURE, "prompt": "A lighthouse"})

    @tag("unique")
    @task(4)
    def unique(self) -> None:
        """A picture that is drawn."""
        self.post("unique", json={**PICTURE, "prompt": unique_prompt()})

    @tag("url")
    @task(2)
    def by_url(self) -> None:
        """A picture by URL, and its download."""
        for image in self.post("url", json={**BY_URL, "prompt": unique_prompt()}):
            with self.client.get(image["url"], name="download", catch_response=True) as answer:
                if answer.status_code != 200 or not is_picture(answer.content or b""):
                    answer.failure(f"{answer.status_code}: {(answer.text or '')[:300]}")

    @tag("edit")
    @task(1)
    def edit(self) -> None:
        """An upload with a mask."""
        files = {"image": ("a.png", IMAGE, "image/png"), "mask": ("m.png", MASK, "image/png")}
        self.post("edit", EDITS, data={**PICTURE, "prompt": unique_prompt()}, files=files)

    @tag("stream")
    @task(1)
    def stream(self) -> None:
        """A stream with three partial images. `first event` is the time to the first."""
        body = {**PICTURE, "prompt": unique_prompt(), "stream": True, "partial_images": 3}
        begun = perf_counter()
        with self.client.post(
            GENERATIONS,
            name="stream",
            headers=self.headers,
            json=body,
            stream=True,
            catch_response=True,
        ) as answer:
            text, first = b"", None
            while part := answer.stream.read(2**16) if answer.stream else b"":
                text += part
                if first is None and b"\n\n" in text:
                    first = perf_counter() - begun
            events = [
                json.loads(frame.partition(b"data: ")[2])
                for frame in text.split(b"\n\n")
                if b"data: " in frame
            ]
            pictures = [base64.b64decode(event.get("b64_json", "")) for event in events]
            if answer.status_code != 200 or [*map(is_picture, pictures)] != [True] * 4:
                answer.failure(f"{answer.status_code}: {text[:300]!r}")
            # Until the end, where Locust takes the time until the head.
            answer.request_meta["response_time"] = (perf_counter() - begun) * 1000
            if first is not None:
                self.environment.events.request.fire(
                    request_type="SSE",
                    name="first event",
                    response_time=first * 1000,
                    response_length=0,
                    exception=None,
                    context={},
                )

"""Examples that circulate in OpenAI's own documentation, old and new: what they get from a server
that accepts all that ever was, and what they get on 2026-11-21."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.answers import verdict
from tests.pictures import half_clear, png

TODAY = "2026-11-21"
GONE = "invalid_value model"
NO_MODEL = "missing_required_parameter model"
NO_PATH = "404"
URL_PARAMETER = "unknown_parameter response_format"

PICTURE = ("a.png", half_clear(), "image/png")
OPAQUE = ("a.png", png(), "image/png")
OBLONG = ("portrait.png", png((64, 96)), "image/png")
OCTETS = ("otter.png", png(), "application/octet-stream")
BUFFER = "buffer"
"""What the Node SDK makes of bytes that it cannot tell to be a file: a text for each."""
BUFFER_BYTES = png()[:64]
BUFFER_NAMES = ", ".join(sorted(f"'image[{at}]'" for at in range(len(BUFFER_BYTES))))

Fields = dict[str, Any]


NOT_SQUARE = (
    "Invalid input image - expected an image with equal width and height, got 64x96 instead."
)
NOT_A_FILE = "Invalid type for 'image': expected a file, but got an array instead."
"""The older stack, which answered variations, names no param."""


def dalle3(**more: Any) -> Fields:
    return {"model": "dall-e-3", "prompt": "x"} | more


def gpt1(**more: Any) -> Fields:
    return {"model": "gpt-image-1", "prompt": "x"} | more


GENERATIONS: dict[str, tuple[Fields, str, str]] = {
    "dall-e-3, hd, vivid, base64": (
        dalle3(size="1024x1024", quality="hd", style="vivid", response_format="b64_json", n=1),
        *("ok", "unknown_parameter style"),
    ),
    "gpt-image-1 with response_format": (
        gpt1(n=4, quality="high", response_format="b64_json"),
        *(URL_PARAMETER, URL_PARAMETER),
    ),
    "dall-e-2, standard, url": (
        {"model": "dall-e-2", "prompt": "x", "n": 2, "quality": "standard"},
        *("ok", "invalid_value quality"),
    ),
    "gpt-image-1, streamed": (gpt1(stream=True, quality="high", partial_images=2), "ok", GONE),
    "gpt-image-1": (gpt1(n=1, size="1024x1024"), "ok", GONE),
    "dall-e-2": ({"model": "dall-e-2", "prompt": "x"}, "ok", GONE),
    "gpt-image-1, streamed, no size": (gpt1(stream=True, partial_images=2), "ok", GONE),
    "mini": (
        {"model": "gpt-image-1-mini", "prompt": "x", "size": "1024x1024", "quality": "low"},
        *("ok", "ok"),
    ),
    "mini, 512": (
        {"model": "gpt-image-1-mini", "prompt": "x", "size": "512x512"},
        *("invalid_value size", "invalid_value size"),
    ),
    "dall-e-3": (dalle3(n=1, size="1024x1024"), "ok", GONE),
    "dall-e-3, wide": (dalle3(quality="hd", size="1792x1024"), "ok", "invalid_value quality"),
    "dall-e-3, natural": (dalle3(style="natural"), "ok", "unknown_parameter style"),
    "dall-e-3, base64": (dalle3(response_format="b64_json"), "ok", URL_PARAMETER),
    "dall-e-2, four": ({"model": "dall-e-2", "prompt": "x", "n": 4, "size": "512x512"}, "ok", GONE),
    "dall-e-3, long prompt": (dalle3(prompt="x" * 4000), "ok", GONE),
    "dall-e-3, standard": (dalle3(quality="standard"), "ok", "invalid_value quality"),
    "a prompt alone": ({"prompt": "x"}, "ok", NO_MODEL),
    "no model": ({"prompt": "x", "n": 1, "size": "1024x1024"}, "ok", NO_MODEL),
}

EDITS: dict[str, tuple[Fields, str, str]] = {
    "a Buffer": (
        gpt1(image=BUFFER, quality="high", response_format="b64_json"),
        *(URL_PARAMETER, URL_PARAMETER),
    ),
    "Buffers and fidelity": (
        gpt1(image=BUFFER, mask=BUFFER, input_fidelity="high", response_format="b64_json"),
        *(URL_PARAMETER, URL_PARAMETER),
    ),
    "a Buffer, three": (
        gpt1(image=BUFFER, n="3", output_format="png", response_format="b64_json"),
        *(URL_PARAMETER, URL_PARAMETER),
    ),
    "a Buffer, streamed": (
        gpt1(image=BUFFER, stream="true", partial_images="3", response_format="b64_json"),
        *(URL_PARAMETER, URL_PARAMETER),
    ),
    "a Buffer alone": (gpt1(image=BUFFER), "invalid_type image[0]", "invalid_type image[0]"),
    "dall-e-2 with a mask": (
        {"model": "dall-e-2", "prompt": "x", "image": OPAQUE, "mask": PICTURE},
        *("ok", GONE),
    ),
    "gpt-image-1, webp": (
        gpt1(image=OPAQUE, output_format="webp", quality="high", background="auto"),
        *("ok", GONE),
    ),
    "gpt-image-2, webp": (
        {"model": "gpt-image-2", "prompt": "x", "image": OPAQUE, "output_format": "webp"},
        *("ok", "ok"),
    ),
    "gpt-image-1, fidelity": (
        gpt1(image=OPAQUE, input_fidelity="high", output_format="png", size="1536x1024"),
        *("ok", GONE),
    ),
    "gpt-image-2, fidelity": (
        {"model": "gpt-image-2", "prompt": "x", "image": OPAQUE, "input_fidelity": "high"},
        *("invalid_input_fidelity_model input_fidelity",) * 2,
    ),
    "gpt-image-1, transparent": (
        gpt1(image=OPAQUE, background="transparent", output_format="png"),
        *("ok", GONE),
    ),
    "gpt-image-1, streamed": (gpt1(image=OPAQUE, stream="true", partial_images="3"), "ok", GONE),
    "gpt-image-1, compressed": (
        gpt1(image=OPAQUE, output_format="webp", output_compression="85", quality="medium"),
        *("ok", GONE),
    ),
    "no model and no mask": ({"prompt": "x", "image": PICTURE}, "ok", NO_MODEL),
    "no model": (
        {"prompt": "x", "image": OPAQUE, "mask": PICTURE, "n": "1", "size": "1024x1024"},
        *("ok", NO_MODEL),
    ),
}

VARIATIONS: dict[str, tuple[Fields, str, str]] = {
    "a Buffer, four": (
        {"model": "dall-e-2", "image": BUFFER, "n": "4", "response_format": "b64_json"},
        # Variations kept the older stack's words. It had no arrays, and sorted the names.
        *(f"Additional properties are not allowed ({BUFFER_NAMES} were unexpected)", NO_PATH),
    ),
    "four": (
        {"model": "dall-e-2", "image": OPAQUE, "n": "4", "response_format": "b64_json"},
        *("ok", NO_PATH),
    ),
    "a portrait": ({"image": OBLONG, "size": "256x256", "n": "2"}, NOT_SQUARE, NO_PATH),
    "a square portrait": ({"image": OPAQUE, "size": "256x256", "n": "2"}, "ok", NO_PATH),
    "three": ({"image": OPAQUE, "n": "3", "size": "1024x1024"}, "ok", NO_PATH),
    "base64": ({"image": OPAQUE, "response_format": "b64_json"}, "ok", NO_PATH),
    "one": ({"image": OPAQUE, "n": "1", "size": "1024x1024"}, "ok", NO_PATH),
    "a read stream": ({"image": OCTETS}, "ok", NO_PATH),
}


def sent(http: httpx2.Client, endpoint: str, fields: Fields, day: str) -> str:
    headers = {"x-emulator-as-of": day}
    path = f"/v1/images/{endpoint}"
    if endpoint == "generations":
        return verdict(http.post(path, json=fields, headers=headers))
    parts: list[tuple[str, Any]] = []
    for name, value in fields.items():
        if value == BUFFER:
            parts += [(f"{name}[{at}]", (None, str(byte))) for at, byte in enumerate(BUFFER_BYTES)]
        else:
            parts.append((name, value if isinstance(value, tuple) else (None, value)))
    return verdict(http.post(path, files=parts, headers=headers))


CASES = [
    pytest.param(endpoint, *case, id=f"{endpoint}: {name}")
    for endpoint, cases in (
        ("generations", GENERATIONS),
        ("edits", EDITS),
        ("variations", VARIATIONS),
    )
    for name, case in cases.items()
]


@pytest.mark.parametrize(("endpoint", "fields", "ever", "today"), CASES)
def test_example_has_its_recorded_outcome(
    http: httpx2.Client, endpoint: str, fields: Fields, ever: str, today: str
) -> None:
    assert sent(http, endpoint, fields, "any") == ever
    assert sent(http, endpoint, fields, TODAY) == today


def test_several_images_are_one_edit(http: httpx2.Client) -> None:
    parts = [("image[]", OPAQUE), ("image[]", OPAQUE)]
    data = {"model": "gpt-image-1", "prompt": "x", "output_format": "webp", "quality": "high"}
    assert verdict(http.post("/v1/images/edits", data=data, files=parts)) == "ok"

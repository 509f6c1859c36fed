"""The pictures of the page in `docs/images`, from calls of the SDK and in a real browser.

    .venv/bin/python -m tests.page_pictures

takes them anew. It needs Chromium and the port 8080.
"""

from __future__ import annotations

import asyncio
import base64
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from openai import APIError, OpenAI
from PIL import Image
from playwright.async_api import Browser, async_playwright

import images_emulator
from images_emulator import Server
from tests.conftest import CHROMIUM_FLAGS
from tests.pictures import encoded

FOLDER: Final = Path(__file__).parent.parent / "docs" / "images"

WIDE: Final = (1440, 900)
PHONE: Final = (390, 844)

ALL_IS_THERE: Final = """
  document.images.length > 5 && [...document.images].every(
    (image) => image.complete || image.getBoundingClientRect().top > innerHeight)
"""
"""Whether the calls are listed and the pictures that are seen are loaded."""

EDIT: Final = "The same harbour, with a fishing boat"
STREAM: Final = "A sailing ship between icebergs"


def draw(client: OpenAI, prompt: str, model: str = "gpt-image-2", **fields: Any) -> Any:
    """The answer to a call, None where it is refused."""
    with suppress(APIError):
        return client.images.generate(model=model, prompt=prompt, **fields)
    return None


def mask() -> bytes:
    """A mask whose right side has a transparent window."""
    image = Image.new("RGBA", (1536, 1024), "white")
    image.paste((0, 0, 0, 0), (880, 200, 1460, 960))
    return encoded(image)


def make_calls(server: Server) -> None:
    """Calls of all kinds: good and refused, an edit with a mask, a stream, a fault."""
    with OpenAI(max_retries=0) as client:
        draw(client, "A lighthouse at the end of the pier", quality="high")
        draw(client, "A storm at sea", size="1024x1536")
        draw(client, "A poster", size="1000x1000")
        harbour = draw(client, "A fishing harbour at dawn", size="1536x1024", output_format="webp")
        client.images.edit(
            model="gpt-image-2",
            prompt=EDIT,
            image=("harbour.webp", base64.b64decode(harbour.data[0].b64_json), "image/webp"),
            mask=("mask.png", mask(), "image/png"),
            size="1536x1024",
        )
        draw(client, "A sticker of a red fox", "gpt-image-2.6-flare", background="transparent")
        draw(client, "An isometric map of an island", "dall-e-3", style="vivid")
        list(draw(client, STREAM, size="1536x1024", stream=True, partial_images=3))
        server.inject("rate_limit_exceeded")
        draw(client, "Seven gulls over a breakwater")
        draw(client, "Seven gulls over a breakwater", quality="low")
        draw(client, "A woodcut of a lighthouse at dawn", "gpt-image-1.5", n=2)
        draw(client, "A keeper reading by the stove", quality="medium", size="1024x1536")


async def take(
    browser: Browser, address: str, name: str, size: Sequence[int], theme: Any, *, key: str = ""
) -> None:
    """Open *address*, press *key*, and write what is seen as the picture *name*."""
    width, height = size
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=theme,
        bypass_csp=True,  # which refuses that Playwright waits for an expression
    )
    page = await context.new_page()
    await page.goto(address)
    await page.wait_for_function(ALL_IS_THERE)
    if key:
        await page.keyboard.press(key)
    await page.wait_for_timeout(2000)  # tints of new calls fade
    await page.screenshot(path=FOLDER / f"{name}.png")
    await context.close()


async def main() -> None:
    with images_emulator.running(port=8080) as server:
        await asyncio.to_thread(make_calls, server)
        home = f"{server.url}/_emulator/"
        (edit,), (stream,) = (server.calls(prompt=prompt) for prompt in (EDIT, STREAM))
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS
            )
            await take(browser, home, "page", WIDE, "light")
            await take(browser, f"{home}#call={edit.id}", "edit", WIDE, "light")
            await take(browser, f"{home}#call={stream.id}", "stream", WIDE, "dark")
            await take(browser, home, "phone", PHONE, "light")
            server.inject({"kind": "stall", "seconds": 30}, match={"prompt": "ship"})
            await take(browser, home, "switches", WIDE, "light", key="w")
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main())

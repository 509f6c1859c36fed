"""The page of the emulator, opened in a browser, and what may never happen there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.async_api import Browser, ConsoleMessage, Locator, Page, Request

    from images_emulator import Server

Scheme = Literal["light", "dark"]


@asynccontextmanager
async def opened_page(
    browser: Browser,
    server: Server,
    address: str = "",
    *,
    size: tuple[int, int] = (1440, 900),
    scheme: Scheme = "light",
    errors: bool = False,
    script: str = "",
) -> AsyncIterator[Page]:
    """The page at *address*, the part behind the `#`, in a window that shares nothing with others.
    *script* runs before the page's own scripts.

    At the end no script has failed, nothing was asked of another host and, unless the test expects
    *errors* of the admin API, the console has no error.
    """
    context = await browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme
    )
    context.set_default_timeout(20_000)
    await context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = await context.new_page()
    if script:
        await page.add_init_script(script)
    mistakes: list[str] = []

    def read_console(message: ConsoleMessage) -> None:
        is_answer = message.text.startswith("Failed to load resource")
        if message.type == "error" and not (errors and is_answer):
            mistakes.append(f"{message.text} {message.location}")

    def read_request(request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme not in {"blob", "data"} and url.netloc != urlsplit(server.url).netloc:
            mistakes.append(f"asked for {request.url}")

    page.on("console", read_console)
    page.on("request", read_request)
    page.on("pageerror", lambda error: mistakes.append(str(error)))
    try:
        await page.goto(f"{server.url}/_emulator/#{address}")
        yield page
        assert mistakes == []
    finally:
        await context.close()


async def drawn_texts(elements: Locator) -> list[str]:
    """The texts of *elements*, once there is the first of them. The text of an element that the
    page has just replaced is without its lines and tabs: then all are read again."""
    await elements.first.wait_for()
    texts: list[str] | None = None
    while texts is None:
        texts = await elements.evaluate_all(
            """elements => elements.length && elements.every((element) => element.isConnected)
              ? elements.map((element) => element.innerText) : null"""
        )
    return texts


async def pictures_loaded(page: Page) -> None:
    """Wait until all pictures of the page are there. It waits for a function: an expression would
    be evaluated again each time, which the page's Content-Security-Policy refuses but for the
    first time."""
    await page.wait_for_function(
        "() => [...document.images].every((each) => each.complete && each.naturalWidth > 0)"
    )


async def serious_faults(page: Page, npm_folder: Path, within: str = "body") -> list[str]:
    """What axe-core finds in the element *within* that keeps people out, one line each."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate((npm_folder / "node_modules/axe-core/axe.min.js").read_text())
    violations: list[dict[str, Any]] = await page.evaluate(
        "async (within) => (await axe.run(within, { resultTypes: ['violations'] })).violations",
        within,
    )
    return [
        f"{each['id']}: {node['html']} {node['failureSummary']}"
        for each in violations
        if each["impact"] in {"serious", "critical"}
        for node in each["nodes"]
    ]

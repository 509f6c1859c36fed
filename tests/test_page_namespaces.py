"""The choice of a namespace in the head of the page, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from images_emulator import Server
from images_emulator.namespace_names import path_of
from tests.opened_page import opened_page, pictures_loaded, serious_faults

if TYPE_CHECKING:
    from playwright.async_api import Browser, Locator, Page

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.slow,
    pytest.mark.timeout(300),
]

NAME = "gw0 tests/test_x.py::test_y[é]"


@pytest.fixture
def shared() -> Iterator[Server]:
    """A server of the test's own."""
    with Server() as server:
        yield server


def generate(server: Server, namespace: str, prompt: str) -> None:
    answer = httpx2.post(
        f"{server.url}{path_of(namespace)}/v1/images/generations",
        json={"model": "dall-e-2", "prompt": prompt, "size": "256x256"},
        headers={"authorization": "Bearer k"},
    )
    assert answer.status_code == 200


def choice(page: Page) -> Locator:
    """The button in the head."""
    return page.get_by_role("banner").get_by_title("Namespace")


async def test_there_is_no_choice_without_namespaces(chromium: Browser, shared: Server) -> None:
    async with opened_page(chromium, shared) as page:
        await page.get_by_role("button", name="Live").wait_for()
        assert await choice(page).is_hidden()


async def test_a_namespace_that_begins_is_offered_chosen_and_left(
    chromium: Browser, shared: Server
) -> None:
    generate(shared, "default", "in the default one")
    async with opened_page(chromium, shared) as page:
        await page.get_by_role("button", name="Live").wait_for()
        generate(shared, NAME, "in a namespace")
        await choice(page).click()
        await page.get_by_role("menuitem", name=f"{NAME} · 1 call").click()
        await page.get_by_text("in a namespace").first.wait_for()
        assert page.url.startswith(f"{shared.url}{path_of(NAME)}/_emulator/")
        assert await page.get_by_text("in the default one").count() == 0
        assert await choice(page).inner_text() == NAME
        assert (await page.title()).startswith(NAME)
        # It is live, its pictures are its own, and so is the address for SDKs.
        generate(shared, NAME, "and another")
        await page.get_by_text("and another").first.wait_for()
        await pictures_loaded(page)
        await page.get_by_text(f"{shared.url}{path_of(NAME)}/v1").first.wait_for()
        # The address is kept when the page is loaded again.
        await page.reload()
        await page.get_by_text("and another").first.wait_for()
        await choice(page).click()
        await page.get_by_role("menuitem", name="default").click()
        await page.get_by_text("in the default one").first.wait_for()
        assert await page.get_by_text("in a namespace").count() == 0


async def test_panel_is_of_the_namespace(chromium: Browser, shared: Server) -> None:
    generate(shared, "a", "x")
    async with opened_page(chromium, shared) as page:
        await page.goto(f"{shared.url}/ns/a/_emulator/")
        await page.get_by_role("button", name="Switches", exact=True).click()
        panel = page.get_by_role("complementary", name="Switches")
        await panel.get_by_role("button", name="Lenient").click()
        await panel.get_by_role("button", name="Lenient", pressed=True).wait_for()
    settings = [
        httpx2.get(f"{shared.url}{path_of(name)}/_emulator/settings").json()["validation"]
        for name in ("a", "default")
    ]
    assert settings == ["lenient", "strict"]


async def test_downloads_in_a_namespace_are_listed_with_their_call(
    chromium: Browser, shared: Server
) -> None:
    answer = httpx2.post(
        f"{shared.url}{path_of('a')}/v1/images/generations",
        json={"model": "dall-e-2", "prompt": "x", "size": "256x256"},
        headers={"authorization": "Bearer k"},
    )
    (picture,) = answer.json()["data"]
    httpx2.get(picture["url"]).raise_for_status()
    async with opened_page(chromium, shared) as page:
        await page.goto(f"{shared.url}/ns/a/_emulator/")
        await page.get_by_role("option").click()
        await page.get_by_role("region", name="Downloads").locator("tbody tr").wait_for()


async def test_the_token_is_asked_for_once_for_all_namespaces(chromium: Browser) -> None:
    with Server(admin_token="secret") as server:
        generate(server, "a", "with a token")
        async with opened_page(chromium, server, errors=True) as page:
            await page.get_by_role("textbox", name="Admin token").fill("secret")
            await page.keyboard.press("Enter")
            await choice(page).click()
            await page.get_by_role("menuitem", name="a · 1 call").click()
            await page.get_by_text("with a token").first.wait_for()


@pytest.mark.parametrize("size", [(1440, 900), (390, 844)])
async def test_the_choice_keeps_nobody_out(
    chromium: Browser, shared: Server, npm_folder: Path, size: tuple[int, int]
) -> None:
    generate(shared, NAME, "x")
    async with opened_page(chromium, shared, size=size) as page:
        await choice(page).click()
        await page.get_by_role("menu").wait_for()
        assert await serious_faults(page, npm_folder) == []
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width <= size[0]

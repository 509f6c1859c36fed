"""The page of one server in a real browser, while another server with the same store answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from openai import OpenAI

from images_emulator import Server
from tests.conftest import KEY
from tests.opened_page import opened_page, pictures_loaded
from tests.redis_server import missing_part, new_store_name, shared_redis
from tests.test_page import generate, has_rows, is_live, tiles, until

if TYPE_CHECKING:
    from playwright.async_api import Browser

pytestmark = [
    pytest.mark.not_on_redis("its servers have a store of their own"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing_part()), reason=missing_part()),
]


@pytest.fixture
def servers() -> Iterator[tuple[Server, Server]]:
    settings: dict[str, Any] = {"store": shared_redis().url, "store_name": new_store_name()}
    with Server(**settings) as one, Server(**settings) as other:
        yield one, other


async def test_page_of_one_server_shows_the_calls_of_the_other(
    chromium: Browser, servers: tuple[Server, Server]
) -> None:
    one, other = servers
    async with opened_page(chromium, one) as page:
        await is_live(page)
        with OpenAI(base_url=other.base_url, api_key=KEY) as client:
            await asyncio.to_thread(generate, client, "a lighthouse elsewhere")
        await has_rows(page, "a lighthouse elsewhere")
        await until(page, "1 picture")
        assert await tiles(page).count() == 1
        await pictures_loaded(page)
        other.reset()
        await has_rows(page)


async def test_page_of_one_server_shows_a_stream_of_the_other_as_it_goes_on(
    chromium: Browser, servers: tuple[Server, Server]
) -> None:
    one, other = servers
    body = {"model": "gpt-image-2", "prompt": "a tower", "stream": True, "partial_images": 2}
    headers = {"authorization": f"Bearer {KEY}", "x-emulator-fault": "stall;after=1"}
    async with opened_page(chromium, one) as page, httpx2.AsyncClient(timeout=30) as http:
        await is_live(page)
        url = f"{other.base_url}/images/generations"
        # The first of these rows may be one that the page loaded when it came; the second shows
        # that it hears of the other server.
        for rows in (["a lake"], ["a ship", "a lake"]):
            call = {"model": "gpt-image-2", "prompt": rows[0]}
            await http.post(url, json=call, headers={"authorization": f"Bearer {KEY}"})
            await has_rows(page, *rows)
        async with http.stream("POST", url, json=body, headers=headers):
            await has_rows(page, "a tower", "a ship", "a lake")
            await page.wait_for_function(
                """() => [...document.images].some((each) =>
                  each.src.includes("/partials/0") && each.complete && each.naturalWidth > 0)"""
            )

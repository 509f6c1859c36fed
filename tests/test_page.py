"""The page's frame in a real browser: list and wall, search and filters, live, keys, themes and
sizes."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx2
import openai
import pytest
import pytest_asyncio
from openai import OpenAI

from images_emulator import Server
from reliability.ports import free_port
from tests.opened_page import Scheme, opened_page, pictures_loaded, serious_faults
from tests.pictures import half_clear, png
from tests.programs import run_python
from tests.waiting import until as wait_until

if TYPE_CHECKING:
    from playwright.async_api import Browser, Locator, Page, Route

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.slow,
    pytest.mark.timeout(300),
]

PHONE: Final = (390, 844)
FILE: Final = ("mug.png", png())
MASK: Final = ("mask.png", half_clear())
MARKUP: Final = "<img src=x onerror=document.title=1>"


def generate(client: OpenAI, prompt: str = "a lighthouse", **parameters: Any) -> Any:
    """A small picture; its request id is `_request_id`."""
    small = {"model": "gpt-image-2", "prompt": prompt, "size": "1024x1024", "quality": "low"}
    return client.images.generate(**small | parameters)


def refuse(client: OpenAI, prompt: str = "a refused one", **parameters: Any) -> None:
    with pytest.raises(openai.APIStatusError):
        generate(client, prompt, **{"size": "1000x1000"} | parameters)


@pytest_asyncio.fixture(loop_scope="session")
async def shown(chromium: Browser, server: Server) -> AsyncIterator[Page]:
    """The page of an emulator without calls, live."""
    async with opened_page(chromium, server) as page:
        await is_live(page)
        yield page


async def is_live(page: Page) -> None:
    await page.get_by_role("button", name="Live").wait_for()


def rows(page: Page) -> Locator:
    return page.get_by_role("option")


def tiles(page: Page) -> Locator:
    return page.get_by_role("region", name="Pictures").get_by_role("button")


async def has_rows(page: Page, *prompts: str) -> None:
    """Wait until the list has these calls, newest first, and no other ones."""
    await page.wait_for_function(
        """(prompts) => {
          const rows = [...document.querySelectorAll(".row")];
          rows.sort((a, b) => a.ariaPosInSet - b.ariaPosInSet);
          const shown = rows.map((row) => row.querySelector(".row-title").textContent);
          return JSON.stringify(shown) === JSON.stringify(prompts);
        }""",
        arg=list(prompts),
    )


async def until(page: Page, text: str | re.Pattern[str]) -> None:
    await page.get_by_text(text).first.wait_for()


# --- list and wall


async def test_gallery_fills_while_a_script_runs(shown: Page, client: OpenAI) -> None:
    prompts = [f"lighthouse number {number}" for number in range(6)]
    with ThreadPoolExecutor(1) as pool:
        script = pool.submit(lambda: [generate(client, prompt) for prompt in prompts])
        await has_rows(shown, *reversed(prompts))
        script.result()
    await until(shown, "6 pictures")
    assert await tiles(shown).count() == 6
    await pictures_loaded(shown)


async def test_row_says_what_the_call_was(shown: Page, client: OpenAI, http: httpx2.Client) -> None:
    usage = generate(client, "a harbour", size="1536x1024", output_format="webp").usage
    row = rows(shown).filter(has_text="tok")
    await row.wait_for()
    (call,) = http.get("/_emulator/requests").json()["requests"]
    facts = await row.locator(".row-facts > span").all_text_contents()
    assert facts == [
        "gpt-image-2", "1536×1024", "low", "webp", f"{usage.output_tokens:,} tok"
    ]  # fmt: skip
    cost = await row.locator(".row-cost").text_content()
    assert cost
    assert float(cost.removeprefix("$")) == pytest.approx(call["price_usd"], rel=0.05)
    assert re.fullmatch(r"\d\d:\d\d:\d\d", await row.locator(".row-time").inner_text())


async def test_no_number_of_a_row_is_cut(shown: Page, client: OpenAI) -> None:
    """What has no room is left out whole."""
    client.images.edit(
        model="gpt-image-2", prompt="a mug", image=[FILE], mask=MASK, size="1024x1024"
    )
    await shown.set_viewport_size({"width": 1000, "height": 800})
    await has_rows(shown, "a mug")
    cut = await shown.evaluate(
        """[...document.querySelectorAll(".row-facts > span:not(:first-child)")]
          .filter((each) => each.offsetTop < 18 && each.scrollWidth > each.offsetWidth).length"""
    )
    assert cut == 0


async def test_refused_call_stands_with_its_status_and_sentence(
    shown: Page, client: OpenAI
) -> None:
    refuse(client)
    await has_rows(shown, "a refused one")
    assert "400" in await rows(shown).first.locator(".thumb").inner_text()
    sentence = "Width and height must both be divisible by 16."
    assert sentence in await rows(shown).first.inner_text()
    assert sentence in await tiles(shown).first.inner_text()
    await until(shown, "1 refused")


async def test_notice_of_a_wrong_path_stands_in_its_row_and_tile(
    shown: Page, http: httpx2.Client
) -> None:
    """Live, and after the page is loaded anew."""
    http.post("/v2/images/generations", json={"model": "gpt-image-2", "prompt": "a fox"})
    sentence = "There is no /v2/images/generations; /v1/images/generations is probably meant."
    for _ in range(2):
        await has_rows(shown, "POST /v2/images/generations")
        assert sentence in await rows(shown).first.inner_text()
        assert await rows(shown).first.locator(".tag").count() == 0
        assert sentence in await tiles(shown).first.inner_text()
        await shown.reload()


async def test_row_of_a_call_with_a_notice_has_a_tag(
    shown: Page, client: OpenAI, http: httpx2.Client
) -> None:
    generate(client, "an old one", model="dall-e-3", quality="standard")
    await has_rows(shown, "an old one")
    (call,) = http.get("/_emulator/requests").json()["requests"]
    tag = rows(shown).first.locator(".tag")
    assert await tag.inner_text() == f"notice\nnotice: {call['notices'][0]}"


async def test_four_pictures_of_a_call_are_quarters(shown: Page, client: OpenAI) -> None:
    generate(client, "badges", n=4)
    await rows(shown).filter(has_text="tok").wait_for()
    assert await tiles(shown).first.locator("img").count() == 4
    assert await rows(shown).first.locator("img").count() == 4
    await pictures_loaded(shown)


async def test_stream_in_flight_shows_its_last_partial_image(
    shown: Page, client: OpenAI, server: Server
) -> None:
    server.inject({"kind": "stall", "after": 2, "seconds": 60})
    with ThreadPoolExecutor(1) as pool:
        script = pool.submit(lambda: [*generate(client, "a tram", stream=True, partial_images=3)])
        await until(shown, "Partial 2 of 3")
        row = rows(shown).first
        assert "2 of 4" in await row.inner_text()
        assert (await row.locator(".row-cost").inner_text()).endswith("…")
        await pictures_loaded(shown)
        server.clock.advance(seconds=61)
        assert len(script.result()) == 4
    await rows(shown).filter(has_text="tok").wait_for()
    await shown.get_by_text("Partial 2 of 3").wait_for(state="hidden")


async def test_cut_stream_shows_how_far_it_came(
    shown: Page, client: OpenAI, server: Server
) -> None:
    server.inject({"kind": "stream_cut", "after": 2})
    with pytest.raises(openai.OpenAIError):
        [*generate(client, "a tram", stream=True, partial_images=3)]
    await until(shown, "Cut after 2 partials")
    assert "cut at 2" in await rows(shown).first.inner_text()
    assert "stream cut" in await rows(shown).first.inner_text()
    await pictures_loaded(shown)


async def test_call_cut_before_its_answer_is_counted_and_has_a_tile(
    shown: Page, client: OpenAI, server: Server
) -> None:
    server.inject("connection_reset")
    with pytest.raises(openai.APIConnectionError):
        generate(client)
    row = rows(shown).filter(has_text="cut before the answer")
    await row.wait_for()
    assert await row.locator(".thumb").inner_text() == "cut"
    await until(shown, "1 cut")
    assert "before the answer" in await tiles(shown).inner_text()


NO_MORE_SIZES: Final = """
window.ResizeObserver = class extends ResizeObserver {
  constructor(told) { super((entries) => window.hasSettled || told(entries)); }
};
"""
"""An observer that tells of no size any more, once the page has settled. In a browser that is busy,
list and wall may go and come back within one frame, in which their size does not change."""


async def test_wall_that_comes_back_with_the_first_call_has_its_tile(
    chromium: Browser, server: Server, client: OpenAI
) -> None:
    async with opened_page(chromium, server, script=NO_MORE_SIZES) as page:
        await is_live(page)
        await page.evaluate("window.hasSettled = true")
        server.inject("server_error")
        with pytest.raises(openai.InternalServerError):
            generate(client)
        await tiles(page).first.wait_for()


async def test_failed_stream_is_called_failed(shown: Page, client: OpenAI, server: Server) -> None:
    server.inject({"kind": "stream_error", "after": 0})
    with pytest.raises(openai.APIError):
        list(generate(client, stream=True))
    await until(shown, "1 failed")
    assert await rows(shown).locator(".thumb").inner_text() == "failed"
    assert "200" not in await tiles(shown).inner_text()


async def test_pictures_that_arrive_fill_the_first_row(shown: Page, client: OpenAI) -> None:
    for number in range(7):
        generate(client, f"call {number}")
        await tiles(shown).nth(number).wait_for()
    tops = await tiles(shown).evaluate_all(
        "tiles => tiles.map((tile) => tile.getBoundingClientRect().top)"
    )
    assert tops.count(min(tops)) > 3


async def test_sentence_of_a_refusal_has_whole_lines(
    shown: Page, client: OpenAI, server: Server
) -> None:
    server.inject("moderation_blocked", times=6)
    for _ in range(6):
        refuse(client)
    await tiles(shown).nth(5).wait_for()
    heights: set[float] = set()
    for width in range(1380, 1400, 4):
        await shown.set_viewport_size({"width": width, "height": 800})
        # A sentence that has no room for its last line is lower than its lines.
        heights |= set(
            await shown.evaluate(
                """async () => {
                  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
                  const sentences = [...document.querySelectorAll(".tile-sentence")];
                  return sentences.map((each) => each.offsetHeight % 17);
                }"""
            )
        )
    assert heights == {0}


async def test_rows_in_view_stay_while_calls_arrive(
    shown: Page, client: OpenAI, http: httpx2.Client
) -> None:
    many(http, 40)
    # Those that came after the list is scrolled would be new calls, too.
    await shown.wait_for_function("() => document.querySelector('[aria-setsize=\"40\"]')")
    await shown.locator(".list-scroller").evaluate("(each) => { each.scrollTop = 600 }")
    place = "document.querySelector('[aria-posinset=\"15\"]').getBoundingClientRect().top"
    name = "document.querySelector('[aria-posinset=\"{}\"] .row-title').textContent"
    await shown.wait_for_function("() => document.querySelector('[aria-posinset=\"15\"]')")
    before = await shown.evaluate(f"[{place}, {name.format(15)}]")
    many(http, 3, "new")
    pill = shown.get_by_role("button", name="3 new calls")
    await pill.wait_for()
    after = await shown.evaluate(f"[{place.replace('15', '18')}, {name.format(18)}]")
    assert after == before
    covered = """pill => pill.getBoundingClientRect().bottom
      - document.querySelector('.list-scroller').getBoundingClientRect().top"""
    assert await pill.evaluate(covered) <= 0
    await pill.click()
    await shown.wait_for_function("() => document.querySelector('.list-scroller').scrollTop === 0")
    await pill.wait_for(state="hidden")


def many(http: httpx2.Client, number: int, prompt: str = "call") -> None:
    """Refused calls, which take a millisecond each."""
    for each in range(number):
        body = {"model": "gpt-image-2", "prompt": f"{prompt} {each}", "size": "1x1"}
        http.post("/v1/images/generations", json=body)


async def test_list_has_few_elements_and_pages_back(
    chromium: Browser, server: Server, http: httpx2.Client
) -> None:
    many(http, 260)
    async with opened_page(chromium, server) as page:
        await until(page, "260")
        assert await rows(page).count() < 40
        await page.locator(".list-scroller").evaluate("(each) => { each.scrollTop = 1e6 }")
        await page.wait_for_function(
            "() => document.querySelector('.rows').offsetHeight === 260 * 60"
        )
        await page.locator(".list-scroller").evaluate("(each) => { each.scrollTop = 1e6 }")
        await page.locator('[aria-posinset="260"]', has_text="call 0").wait_for()
        assert await rows(page).count() < 40


@contextmanager
def waiting_call(server: Server, prompt: str) -> Iterator[socket.socket]:
    """The connection of a call that waits for its answer until it is closed."""
    body = json.dumps({"model": "gpt-image-2", "prompt": prompt}).encode()
    head = b"POST /v1/images/generations HTTP/1.1\r\nAuthorization: Bearer k\r\n"
    head += b"x-emulator-fault: timeout\r\nContent-Type: application/json\r\n"
    head += b"Content-Length: %d\r\n\r\n" % len(body)
    with socket.create_connection((server.settings.host, server.port)) as client:
        client.sendall(head + body)
        wait_until(lambda: bool(server.requests and server.requests[-1].prompt == prompt))
        yield client


async def test_older_calls_are_loaded_though_the_oldest_ends_meanwhile(
    chromium: Browser, server: Server, http: httpx2.Client
) -> None:
    many(http, 30)
    with waiting_call(server, "the oldest that is loaded at first") as client:
        many(http, 99)

        async def answer_late(route: Route) -> None:
            """Once the page shows that the oldest of its calls has ended; other lists never."""
            if "before=" in route.request.url:
                listed = await route.fetch()
                client.close()
                await page.locator('[aria-posinset="100"]', has_text="client left").wait_for()
                await route.fulfill(response=listed)

        async with opened_page(chromium, server) as page:
            await until(page, "130")
            await page.route("**/_emulator/requests?*", answer_late)
            await page.locator(".list-scroller").evaluate("(each) => { each.scrollTop = 1e6 }")
            await page.wait_for_function(
                "() => document.querySelector('.rows').offsetHeight === 130 * 60"
            )


async def test_old_call_that_ends_is_loaded_with_the_others_of_its_time(
    chromium: Browser, server: Server, http: httpx2.Client
) -> None:
    with waiting_call(server, "the first of all") as client:
        many(http, 260)
        async with opened_page(chromium, server) as page:
            await until(page, "261")
            client.close()
            wait_until(lambda: server.requests[0].has_ended)
            many(http, 1, "last")
            await until(page, "last 0")
            await page.locator(".list-scroller").evaluate("(each) => { each.scrollTop = 1e6 }")
            await page.wait_for_function(
                "() => document.querySelector('.rows').offsetHeight === 262 * 60"
            )
            await page.locator(".list-scroller").evaluate("(each) => { each.scrollTop = 1e6 }")
            await page.locator('[aria-posinset="262"]', has_text="the first of all").wait_for()
            await until(page, "262 calls")


async def test_oldest_calls_are_let_go_and_that_is_said(chromium: Browser) -> None:
    with (
        Server(journal_entries=5) as server,
        httpx2.Client(base_url=server.url, headers={"Authorization": "Bearer k"}) as http,
    ):
        many(http, 7)
        async with opened_page(chromium, server) as page:
            await until(page, "oldest 2 let go")
            await is_live(page)
            many(http, 1, "another")
            await has_rows(page, "another 0", "call 6", "call 5", "call 4", "call 3")
            await until(page, "oldest 3 let go")


# --- search and filters


@pytest.fixture
def mixed(client: OpenAI, server: Server) -> None:
    """Five calls: two models, an edit with a mask, a fault and a refusal."""
    generate(client, "a lighthouse")
    generate(client, "a harbour", model="dall-e-2", size="256x256", quality="standard")
    client.images.edit(model="gpt-image-2", prompt="a mug", image=FILE, mask=MASK)
    server.inject("rate_limit_exceeded")
    refuse(client, "too many")
    refuse(client, "too small")


ALL = ("too small", "too many", "a mug", "a harbour", "a lighthouse")


SEARCHES: Final = (
    ("HARBOUR ", ("a harbour",), None),
    ("width both", ("too small",), None),
    ("model:dall-e-2 ", ("a harbour",), "model dall-e-2"),
    ("model:dall ", ("a harbour",), "model *dall*"),
    ("status:4xx ", ("too small", "too many"), "status 4xx"),
    ("status:429 ", ("too many",), "status 429"),
    ("status:refused small", ("too small",), "status refused"),
    ("has:mask ", ("a mug",), "has mask"),
    ("fault:rate_limit_exceeded ", ("too many",), "fault rate_limit_exceeded"),
    ("path:edits ", ("a mug",), "endpoint edits"),
    ("endpoint:edits ", ("a mug",), "endpoint edits"),
    ("outcome:refused prompt:small ", ("too small",), "status refused"),
    ("key:other ", (), "key *other*"),
    ("model:gpt-image-2 a mug", ("a mug",), "model gpt-image-2"),
)
"""What is typed, the calls that it finds, and the chip that is made of it."""


@pytest.mark.usefixtures("mixed")
async def test_search_takes_text_and_names(shown: Page) -> None:
    chips = shown.get_by_role("group", name="Filters").get_by_role("button")
    await has_rows(shown, *ALL)
    for typed, found, chip in SEARCHES:
        await shown.keyboard.press("/")
        await shown.keyboard.type(typed)
        await has_rows(shown, *found)
        names = [text.strip() for text in await chips.all_text_contents()]
        assert names == ([chip, "Clear all"] if chip else []), typed
        assert await shown.get_by_text("No call matches").is_visible() is not bool(found)
        await shown.keyboard.press("Escape")
        await shown.keyboard.press("Shift+X")
        await has_rows(shown, *ALL)


MISTAKES: Final = (
    ("stauts:4xx", "There is no filter stauts:; status: is probably meant."),
    ("status:4yy", "There is no status 4yy: it is a number as 429, a class as 4xx, or"),
    ("status:500,503", "A status is one value: status:500 status:503 finds either."),
    ("has:masc", "There is no has:masc; has:mask is probably meant."),
    ("method:GET", "There is no filter method:; there are status:, path:,"),
    ("constructor:x", "There is no filter constructor:; there are status:, path:,"),
)
"""What is typed, and the sentence below "No call matches"."""


async def test_mistake_in_the_search_is_named(shown: Page, client: OpenAI) -> None:
    refuse(client)
    await has_rows(shown, "a refused one")
    for typed, sentence in MISTAKES:
        await shown.keyboard.press("/")
        await shown.keyboard.type(f"{typed} ")
        await until(shown, sentence)
        await shown.keyboard.press("Escape")
        await shown.keyboard.press("Shift+X")
        await has_rows(shown, "a refused one")
    await shown.keyboard.press("/")
    await shown.keyboard.type("harbour")
    await until(shown, "No call matches")
    assert await shown.get_by_text("There is no").count() == 0


@pytest.mark.usefixtures("mixed")
async def test_filter_menu_counts_and_filters(shown: Page) -> None:
    await has_rows(shown, *ALL)
    await shown.get_by_role("button", name="Filter").click()
    menu = shown.get_by_role("dialog", name="Filter")
    refused = menu.get_by_label("refused 2")
    await refused.check()
    await has_rows(shown, "too small", "too many")
    await menu.get_by_label("400 1").check()
    await has_rows(shown, "too small", "too many")  # one name: or
    await menu.get_by_label("rate_limit_exceeded 1").check()
    await has_rows(shown, "too many")  # two names: and
    await until(shown, "1 of 5 calls")
    assert re.search("status=refused&status=400&fault=rate_limit_exceeded", shown.url)
    await shown.keyboard.press("Escape")
    await menu.wait_for(state="hidden")
    await shown.get_by_role("button", name="Remove filter fault").click()
    await has_rows(shown, "too small", "too many")
    await shown.get_by_role("button", name="Clear all").click()
    await has_rows(shown, *ALL)
    await shown.go_back()
    await has_rows(shown, "too small", "too many")


@pytest.mark.usefixtures("mixed")
async def test_address_holds_filters_and_call(chromium: Browser, server: Server) -> None:
    call = server.requests[0].id
    address = f"call={call}&model=gpt-image-2&status=answered"
    async with opened_page(chromium, server, address) as page:
        await has_rows(page, "a mug", "a lighthouse")
        assert await rows(page).nth(1).get_attribute("aria-selected") == "true"
        await page.get_by_role("region", name="Pictures").wait_for(state="hidden")
        await page.keyboard.press("Escape")
        await tiles(page).first.wait_for()
        assert page.url.endswith("#model=gpt-image-2&status=answered")


async def test_address_of_an_old_call_leads_to_its_row(
    chromium: Browser, server: Server, http: httpx2.Client
) -> None:
    many(http, 120)
    async with opened_page(chromium, server, f"call={server.requests[3].id}") as page:
        row = page.get_by_role("option", selected=True)
        await row.filter(has_text="call 3").wait_for()
        assert await row.get_attribute("aria-posinset") == "117"


@pytest.mark.usefixtures("mixed")
async def test_calls_that_arrive_are_filtered(shown: Page, client: OpenAI) -> None:
    await shown.keyboard.press("e")
    await has_rows(shown, "too small", "too many")
    generate(client, "a good one")
    refuse(client, "a bad one")
    await has_rows(shown, "a bad one", "too small", "too many")
    await until(shown, "3 of 7 calls")


# --- text stays text


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
async def test_markup_in_prompt_and_file_name_stays_text(
    shown: Page, client: OpenAI, server: Server
) -> None:
    generate(client, MARKUP)
    client.images.create_variation(
        image=(f"{MARKUP}.png", png(), "image/png"), size="256x256"
    )  # has no prompt: the file's name stands for it
    refuse(client, f"refused {MARKUP}", size=MARKUP)
    await has_rows(shown, f"refused {MARKUP}", f"Variation of {MARKUP}.png", MARKUP)
    await pictures_loaded(shown)
    await rows(shown).nth(1).click()
    await shown.get_by_role("button", name="Filter").click()
    assert await shown.title() == "images-emulator"
    assert await shown.locator('img[src="x"]').count() == 0


# --- live


@contextmanager
def restarted(server: Server) -> Iterator[Server]:
    """Another server at the address of this one, which is closed."""
    port = server.port
    server.close()
    with Server(port=port) as another:
        yield another


async def test_page_goes_on_after_the_server_was_away(chromium: Browser) -> None:
    with (
        Server(port=free_port()) as server,
        OpenAI(base_url=server.base_url, api_key="k") as client,
    ):
        async with opened_page(chromium, server, errors=True) as page:
            await is_live(page)
            generate(client, "before")
            await has_rows(page, "before")
            server.close()
            await until(page, re.compile("Reconnecting|Stopped"))
            await until(page, re.compile("The server has gone since"))
            await has_rows(page, "before")
            with restarted(server) as another:
                assert another.url == server.url
                await is_live(page)
                await until(page, "No calls yet.")
                generate(client, "after")
                await has_rows(page, "after")


async def test_call_of_a_server_that_has_gone_is_closed(chromium: Browser) -> None:
    with (
        Server(port=free_port()) as server,
        OpenAI(base_url=server.base_url, api_key="k") as client,
    ):
        generate(client, "before")
        call = server.requests[0].id
        async with opened_page(chromium, server, f"call={call}", errors=True) as page:
            await page.get_by_role("option", selected=True).wait_for()
            await is_live(page)
            with restarted(server):
                await page.wait_for_function("() => !location.hash.includes('call=')")
                await until(page, "No calls yet.")


async def test_call_that_ends_while_the_list_is_loaded_is_shown(
    shown: Page, client: OpenAI
) -> None:
    generate(client, "before")
    await has_rows(shown, "before")

    async def answer_late(route: Route) -> None:
        """Only once the page was told of a call that the answer does not have."""
        listed = await route.fetch()
        await shown.evaluate(
            """async () => {
              const source = new EventSource("events");
              window.told = new Promise((resolve) => source.addEventListener("completed", resolve));
              await new Promise((resolve) => { source.onopen = resolve; });
            }"""
        )
        generate(client, "meanwhile")
        await shown.evaluate("async () => { await window.told }")
        await route.fulfill(response=listed)

    await shown.route("**/_emulator/requests?*", answer_late)
    await shown.reload()
    await has_rows(shown, "meanwhile", "before")


async def test_paused_page_catches_up(shown: Page, client: OpenAI) -> None:
    generate(client, "first")
    await has_rows(shown, "first")
    await shown.keyboard.press("p")
    await until(shown, "Paused")
    generate(client, "second")
    generate(client, "third")
    await has_rows(shown, "first")
    await shown.keyboard.press("p")
    await is_live(shown)
    await has_rows(shown, "third", "second", "first")


async def test_hidden_page_lets_go_of_its_connection_and_catches_up(
    shown: Page, client: OpenAI
) -> None:
    hide = """(state) => {
      Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    generate(client, "seen")
    await has_rows(shown, "seen")
    await shown.evaluate(hide, "hidden")
    generate(client, "unseen")
    async with shown.expect_request(re.compile("/_emulator/events")):
        await shown.evaluate(hide, "visible")
    await has_rows(shown, "unseen", "seen")


async def test_reset_empties_the_page_and_says_when(
    chromium: Browser, client: OpenAI, server: Server
) -> None:
    # A thumbnail that is still loaded when the reset takes it away is not found.
    async with opened_page(chromium, server, errors=True) as page:
        generate(client)
        await has_rows(page, "a lighthouse")
        server.reset()
        await until(page, re.compile(r"Reset at \d\d:\d\d:\d\d"))
        generate(client, "another")
        await has_rows(page, "another")


async def test_reset_closes_the_open_call(
    chromium: Browser, client: OpenAI, server: Server
) -> None:
    # A picture that is still loaded when the reset takes it away is not found.
    async with opened_page(chromium, server, errors=True) as page:
        generate(client)
        await rows(page).click()
        view = page.get_by_role("article", name="Call")
        await view.get_by_role("region", name="Answer").wait_for()
        server.reset()
        await view.wait_for(state="hidden")
        assert "call=" not in page.url


async def test_reset_leaves_a_call_open_that_came_since(
    shown: Page, client: OpenAI, server: Server
) -> None:
    server.reset()
    generate(client, "since")
    await shown.evaluate("id => { location.hash = `call=${id}` }", server.requests[0].id)
    view = shown.get_by_role("article", name="Call")
    await view.get_by_role("region", name="Answer").wait_for()
    generate(client, "later")
    await has_rows(shown, "later", "since")
    assert await view.is_visible()


async def test_page_without_calls_still_shows_how_to_begin_after_a_reset(
    shown: Page, http: httpx2.Client, server: Server
) -> None:
    await until(shown, "No calls yet.")
    server.reset()
    http.post("/_emulator/clock", json={"advance": 3600})
    await until(shown, "Clock +1 h")  # told after the reset
    assert await shown.get_by_text("No calls yet.").is_visible()


async def test_rush_of_calls_leaves_no_gap(
    shown: Page, http: httpx2.Client, server: Server
) -> None:
    """More than are told one by one."""
    many(http, 1, "before")
    with ThreadPoolExecutor(4) as pool:
        [*pool.map(lambda number: many(http, 60, f"rush {number}"), range(4))]
    await until(shown, "241")
    numbers = "() => document.querySelector('.rows').offsetHeight === 241 * 60"
    await shown.wait_for_function(numbers)


async def test_calls_that_a_store_got_late_keep_their_place(shown: Page) -> None:
    """A module of the page, with calls by their names: 12 has that number,
    `x0` has none, and `x?` is not over."""
    orders = await shown.evaluate(
        """async () => {
          const { Calls } = await import("/_emulator/page/calls.js");
          const number = (id) => Number(id) || (id.endsWith("?") ? null : 0);
          const call = (id) => ({ id, number: number(id), outcome: "answered" });
          const batch = (text) => text.split(" ").map(call);
          const calls = new Calls(), orders = [];
          const note = () => orders.push(calls.ordered.map(({ id }) => id).join(" "));
          calls.replace(batch("10 a0 12 b0 c0 15"));
          note();
          calls.put(batch("d0"));
          calls.put(batch("17 w? e0 19"));
          calls.put(batch("f0 7 g0 9"), { areOldest: true });
          note();
          calls.put([{ ...call("a0"), outcome: "waiting" }, { ...call("b0"), status: 200 }]);
          calls.put(batch("h0"), { areOldest: true });
          note();
          calls.forgetOldest(3);
          note();
          const gaps = ["20", "21", "x0 21", "x0 22", "x0", "19 x0 y0 22"];
          orders.push(gaps.filter((text) => calls.hasGapBefore(batch(text))).join(", "));
          return orders;
        }"""
    )
    assert orders == [
        "10 a0 12 b0 c0 15",
        "f0 7 g0 9 10 a0 12 b0 c0 15 d0 17 e0 19 w?",
        "h0 f0 7 g0 9 10 a0 12 b0 c0 15 d0 17 e0 19 w?",
        "g0 9 10 a0 12 b0 c0 15 d0 17 e0 19 w?",
        "21, x0 22",
    ]


async def test_drawing_has_a_small_share_of_the_time(shown: Page) -> None:
    """A module of the page, by a clock of its own, by which each drawing takes 30 ms."""
    result = await shown.evaluate(
        """async () => {
          const { Pace } = await import("/_emulator/page/pace.js");
          let now = 1e6, timers = [];
          performance.now = () => now;
          window.requestAnimationFrame = (frame) => frame();
          window.setTimeout = (run, ms) => timers.push({ at: now + ms, run });
          window.clearTimeout = (id) => { timers[id - 1] = { at: Infinity }; };
          window.MessageChannel = class {
            port1 = { close() {} };
            port2 = { postMessage: () => this.port1.onmessage() };
          };
          const until = (end) => {
            for (;;) {
              const due = timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
              if (!due) break;
              now = Math.max(now, due.at);
              due.at = Infinity;
              due.run();
            }
            now = Math.max(now, end);
          };
          let drawn = 0;
          const rushes = [];
          const pace = new Pace({
            draw: () => { drawn += 1; now += 30; },
            onrush: (isRush) => rushes.push(isRush),
          });
          const draws = (seconds, every) => {
            drawn = 0;
            for (const end = now + 1000 * seconds; now < end; until(now + every)) pace.request();
            return drawn;
          };
          const rest = () => until(now + 60_000);
          const first = draws(1, 10), then = draws(20, 10);
          rest();
          const lone = draws(0.02, 10);
          rest();
          pace.rest();
          const skipped = draws(1, 10);
          rest();
          return { first, then, lone, skipped, rushes };
        }"""
    )
    assert result == {
        "first": 14,
        "then": 10,
        "lone": 1,
        "skipped": 1,
        "rushes": [True, False, True, False],
    }


async def test_top_bar_says_what_is_not_as_by_default(
    shown: Page, http: httpx2.Client, server: Server
) -> None:
    await shown.get_by_role("button", name="As of any").wait_for()
    http.patch("/_emulator/settings", json={"as_of": "2026-06-01", "validation": "lenient"})
    server.inject("server_error", times=2)
    http.post("/_emulator/clock", json={"advance": 3600})
    for name in ("As of 1 Jun 2026", "Lenient", "Clock +1 h", "1 fault armed"):
        button = shown.get_by_role("button", name=name)
        await button.wait_for()
        assert "amber" in (await button.get_attribute("class") or "")
    await shown.get_by_role("button", name="1 fault armed").click()
    await shown.get_by_role("complementary", name="Switches").wait_for()


# --- the first call


async def test_sample_of_the_empty_page_makes_the_first_call(shown: Page, tmp_path: Path) -> None:
    await until(shown, "No calls yet.")
    await shown.get_by_role("button", name="Copy", exact=True).nth(1).click()
    sample = await shown.evaluate("navigator.clipboard.readText()")
    done = await asyncio.to_thread(run_python, sample, tmp_path)
    assert done.returncode == 0, done.stderr
    await has_rows(shown, "A lighthouse at the end of the pier")


LINES: Final = {
    "Shell": "export OPENAI_BASE_URL={base}",
    "PowerShell": '$env:OPENAI_BASE_URL = "{base}"',
    ".env": "OPENAI_BASE_URL={base}",
    "JavaScript": 'const client = new OpenAI({{ baseURL: "{base}", apiKey: "sk-test" }});',
    "curl": "curl {base}/images/generations \\",
}
"""A line of each sample on the empty page, by the name of its tab."""


async def test_empty_page_has_lines_for_each_tool(shown: Page, server: Server) -> None:
    for tab, line in LINES.items():
        await shown.get_by_role("tab", name=tab, exact=True).click()
        panels = await shown.get_by_role("tabpanel").all_text_contents()
        assert line.format(base=server.base_url) in "\n".join(panels).splitlines()


async def test_base_url_is_copied_from_the_bar(shown: Page, server: Server) -> None:
    await shown.get_by_role("button", name="Copy the base URL http").click()
    await until(shown, "Copied the base URL")
    assert await shown.evaluate("navigator.clipboard.readText()") == server.base_url


# --- the token


async def test_page_asks_for_the_admin_token_once(chromium: Browser) -> None:
    with (
        Server(admin_token="secret") as server,
        OpenAI(base_url=server.base_url, api_key="k") as client,
    ):
        generate(client)
        async with opened_page(chromium, server, errors=True) as page:
            form = page.get_by_role("dialog", name="This emulator wants its admin token")
            await form.get_by_label("Admin token").fill("guess")
            await page.keyboard.press("Enter")
            await until(page, "That is not the token.")
            await until(page, "Locked")
            assert not await page.get_by_text("The server has gone").is_visible()
            await form.get_by_label("Admin token").fill("secret")
            await page.keyboard.press("Enter")
            await has_rows(page, "a lighthouse")
            await pictures_loaded(page)
            await is_live(page)
            await page.reload()
            await has_rows(page, "a lighthouse")


# --- keys, themes, sizes


@pytest.mark.usefixtures("mixed")
async def test_page_is_used_by_keys_alone(shown: Page, server: Server) -> None:
    # A reset that is told late would take the choice: what is told after it has come.
    server.clock.advance(hours=1)
    await until(shown, "Clock +1 h")
    await has_rows(shown, *ALL)

    async def press(*keys: str) -> None:
        for key in keys:
            await shown.keyboard.press(key)

    chosen = shown.get_by_role("option", selected=True)
    await press("j", "j", "j", "k", "Enter")
    await chosen.filter(has_text="too many").wait_for()
    await press("ArrowDown")
    await chosen.filter(has_text="a mug").wait_for()
    await press("g")
    await chosen.filter(has_text="too small").wait_for()
    await press("Escape")
    await tiles(shown).first.wait_for()
    assert await chosen.count() == 0
    await press("e")
    await has_rows(shown, "too small", "too many")
    await press("Escape")
    await has_rows(shown, *ALL)
    await press("f", "Escape", "j", "j", "Enter")
    await chosen.filter(has_text="a mug").wait_for()
    await press("f", "j")
    await chosen.filter(has_text="a harbour").wait_for()
    await press("Escape", "Escape")
    await press("f", "ArrowDown", "Space")
    await has_rows(shown, "too small", "too many")
    await press("Escape", "Shift+X")
    await has_rows(shown, *ALL)
    await press("w")
    await shown.get_by_role("complementary", name="Switches").wait_for()
    await press("Escape")
    await shown.get_by_role("complementary", name="Switches").wait_for(state="hidden")
    await press("?")
    help = shown.get_by_role("dialog", name="Keyboard")
    await help.get_by_text("Only refused calls").wait_for()
    await press("e", "Escape")
    await help.wait_for(state="hidden")
    await has_rows(shown, *ALL)


async def test_keys_are_off_in_a_field_and_with_control(shown: Page, client: OpenAI) -> None:
    generate(client, "epic")
    await has_rows(shown, "epic")
    await shown.keyboard.press("/")
    await shown.keyboard.type("epwi")
    await until(shown, "No call matches")
    assert await shown.get_by_role("searchbox").input_value() == "epwi"
    await is_live(shown)
    await shown.keyboard.press("Escape")
    await shown.keyboard.press("Control+e")
    assert "status" not in shown.url


async def test_list_is_one_stop_of_the_tab_key(shown: Page, client: OpenAI) -> None:
    generate(client, "one")
    generate(client, "two")
    await has_rows(shown, "two", "one")
    await shown.get_by_role("button", name="Filter").focus()
    await shown.keyboard.press("Tab")
    await shown.keyboard.press("ArrowDown")
    box = shown.get_by_role("listbox")
    assert await box.evaluate("(each) => each === document.activeElement")
    row = await box.get_attribute("aria-activedescendant")
    assert "two" in await shown.locator(f"id={row}").inner_text()
    await shown.keyboard.press("Tab")
    assert not await box.evaluate("(each) => each.contains(document.activeElement)")


BACKGROUND = "getComputedStyle(document.body).backgroundColor"


@pytest.mark.parametrize(
    ("scheme", "own", "other"),
    [
        ("light", "rgb(247, 248, 249)", "rgb(14, 16, 19)"),
        ("dark", "rgb(14, 16, 19)", "rgb(247, 248, 249)"),
    ],
)
async def test_theme_is_the_systems_until_one_is_chosen(
    chromium: Browser, server: Server, scheme: Scheme, own: str, other: str
) -> None:
    async with opened_page(chromium, server, scheme=scheme) as page:
        await is_live(page)
        assert await page.evaluate(BACKGROUND) == own
        await page.keyboard.press("t")
        assert await page.evaluate(BACKGROUND) == other
        await page.reload()
        await is_live(page)
        assert await page.evaluate(BACKGROUND) == other


@pytest.mark.usefixtures("mixed")
async def test_phone_shows_one_column_at_a_time(chromium: Browser, server: Server) -> None:
    async with opened_page(chromium, server, size=PHONE) as page:
        await has_rows(page, *ALL)
        pictures = page.get_by_role("region", name="Pictures")
        assert not await pictures.is_visible()
        await page.get_by_role("button", name="Show pictures").click()
        await tiles(page).first.wait_for()
        assert not await page.get_by_role("searchbox").is_visible()
        await pictures_loaded(page)
        await page.get_by_role("button", name="List").click()
        await rows(page).first.click()
        await page.get_by_role("searchbox").wait_for(state="hidden")
        await page.go_back()
        await page.get_by_role("searchbox").wait_for()
        width = "document.documentElement.scrollWidth"
        assert await page.evaluate(width) == PHONE[0]
        size = await page.get_by_role("searchbox").evaluate("(e) => getComputedStyle(e).fontSize")
        assert size == "16px"


async def test_nothing_moves_where_motion_is_reduced(shown: Page, client: OpenAI) -> None:
    await shown.emulate_media(reduced_motion="reduce")
    for prompt in ("first", "second"):  # the first one is not among others
        generate(client, prompt)
        await rows(shown).filter(has_text=prompt).wait_for()
    assert await shown.evaluate("document.getAnimations().length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.usefixtures("mixed")
async def test_page_keeps_no_one_out(
    chromium: Browser, server: Server, npm_folder: Path, scheme: Scheme
) -> None:
    async with opened_page(chromium, server, scheme=scheme) as page:
        await has_rows(page, *ALL)
        assert await serious_faults(page, npm_folder) == []
        await page.keyboard.press("e")
        await page.keyboard.press("f")
        await page.get_by_role("dialog", name="Filter").wait_for()
        assert await serious_faults(page, npm_folder) == []
        await page.keyboard.press("Escape")
        await page.keyboard.press("?")
        assert await serious_faults(page, npm_folder) == []
        await page.keyboard.press("Escape")
        await page.keyboard.press("j")
        await page.keyboard.press("p")
        await until(page, "Paused")
        await page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        assert await serious_faults(page, npm_folder) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_empty_page_keeps_no_one_out(
    chromium: Browser, server: Server, npm_folder: Path, scheme: Scheme
) -> None:
    async with opened_page(chromium, server, scheme=scheme) as page:
        await until(page, "No calls yet.")
        assert await serious_faults(page, npm_folder) == []

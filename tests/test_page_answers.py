"""A picture that is dropped onto a call of the page, or chosen for it, answers such calls."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx2
import pytest
import pytest_asyncio
from openai import OpenAI
from PIL import Image

from images_emulator import Server
from tests.opened_page import Scheme, drawn_texts, opened_page, serious_faults
from tests.pictures import BLUE, RED, answered, png

if TYPE_CHECKING:
    from playwright.async_api import Browser, JSHandle, Locator, Page

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.slow,
    pytest.mark.timeout(300),
]

FOX: Final = "A red fox"
FILE: Final = "fox.png"
MARKUP: Final = "<img src=x onerror=document.title=1>.png"


def drawn(client: OpenAI, prompt: str = FOX) -> Image.Image:
    """The picture that answers a call."""
    small: Any = {"model": "gpt-image-2", "size": "1024x1024", "quality": "low"}
    (picture,) = answered(client.images.generate(prompt=prompt, **small))
    return picture


def is_red(picture: Image.Image) -> bool:
    colours = picture.convert("RGB").getcolors()
    return colours == [(1024 * 1024, RED)]


@pytest_asyncio.fixture(loop_scope="session")
async def shown(chromium: Browser, server: Server, client: OpenAI) -> AsyncIterator[Page]:
    """The page with one call."""
    drawn(client)
    async with opened_page(chromium, server) as page:
        await page.get_by_role("button", name="Live").wait_for()
        await row(page).wait_for()
        yield page


def row(page: Page) -> Locator:
    return page.get_by_role("listbox").get_by_role("option").last


def toast(page: Page) -> Locator:
    return page.get_by_role("status").locator(".toast")


async def dragged(page: Page, *files: tuple[str, bytes]) -> JSHandle:
    """What a browser gives to a page where *files* are dragged over it."""
    return await page.evaluate_handle(
        """(files) => {
          const transfer = new DataTransfer();
          for (const [name, data] of files) {
            const bytes = Uint8Array.from(atob(data), (each) => each.charCodeAt(0));
            transfer.items.add(new File([bytes], name));
          }
          return transfer;
        }""",
        [(name, base64.b64encode(data).decode()) for name, data in files],
    )


async def drop(target: Locator, *files: tuple[str, bytes]) -> None:
    transfer = await dragged(target.page, *files)
    await target.dispatch_event("dragover", {"dataTransfer": transfer})
    await target.dispatch_event("drop", {"dataTransfer": transfer})


async def confirm(page: Page) -> None:
    await page.get_by_role("button", name="Answer with it").click()
    await page.get_by_role("dialog").wait_for(state="hidden")


def answers(http: httpx2.Client) -> list[dict[str, Any]]:
    """The answers that wait for calls."""
    return [each for each in http.get("/_emulator/scenario").json()["steps"] if each["answer"]]


async def test_picture_dropped_on_a_call_answers_such_calls(
    shown: Page, client: OpenAI, http: httpx2.Client
) -> None:
    await drop(row(shown), (FILE, png()))
    dialog = shown.get_by_role("dialog", name="Answer with this picture")
    await dialog.get_by_text("64 × 64").wait_for()
    assert await dialog.get_by_label("Calls to").input_value() == "*/images/generations"
    assert await dialog.get_by_label("Prompt has").input_value() == FOX
    await dialog.get_by_text("1 call here is like that.").wait_for()
    await confirm(shown)
    await toast(shown).get_by_text("fox.png answers such calls").wait_for()
    assert is_red(drawn(client))
    assert not is_red(drawn(client, "A ship"))
    await shown.get_by_role("option", name="answered by fox.png").wait_for()
    await shown.get_by_text("1 answer", exact=True).wait_for()

    await toast(shown).get_by_role("button", name="Undo").click()
    await shown.get_by_text("1 answer", exact=True).wait_for(state="hidden")
    assert answers(http) == []
    assert not is_red(drawn(client))


@pytest.mark.parametrize("prompt", ["line one\nline two", "line one\r\nline two\r"])
async def test_picture_dropped_on_a_call_answers_a_prompt_of_several_lines(
    shown: Page, client: OpenAI, http: httpx2.Client, prompt: str
) -> None:
    drawn(client, prompt)
    call = shown.get_by_role("listbox").get_by_role("option", name="line one")
    await drop(call, (FILE, png()))
    dialog = shown.get_by_role("dialog")
    assert await dialog.get_by_label("Prompt has").input_value() == re.sub("\\r\\n?", "\\n", prompt)
    await dialog.get_by_text("1 call here is like that.").wait_for()
    await confirm(shown)
    assert [each["match"]["prompt"] for each in answers(http)] == [prompt]
    assert is_red(drawn(client, prompt))


async def test_picture_that_answers_no_call_of_the_page_has_a_warning(
    shown: Page, client: OpenAI
) -> None:
    await drop(row(shown), (FILE, png()))
    dialog = shown.get_by_role("dialog")
    await dialog.get_by_label("Prompt has").fill("A blue fox")
    await dialog.get_by_text("No call here is like that.").wait_for()
    await dialog.get_by_label("Prompt has").fill("a RED fox")
    await dialog.get_by_text("1 call here is like that.").wait_for()
    await confirm(shown)
    assert is_red(drawn(client))


@pytest.mark.parametrize("place", ["row", "tile", "call"])
async def test_place_of_the_drop_says_which_calls_are_answered(shown: Page, place: str) -> None:
    if place == "call":
        await row(shown).click()
    target = {
        "row": row(shown).locator(".row-title"),
        "tile": shown.get_by_role("region", name="Pictures").get_by_role("button"),
        "call": shown.get_by_role("article", name="Call").get_by_role("heading", name=FOX),
    }[place]
    transfer = await dragged(shown, (FILE, png()))
    await target.dispatch_event("dragover", {"dataTransfer": transfer})
    hint = shown.locator(".drop-hint")
    await hint.get_by_text(f"Answers generations with the prompt “{FOX}”").wait_for()
    assert await shown.locator(".takes-picture").count() == 1
    await shown.get_by_role("banner").dispatch_event("dragover", {"dataTransfer": transfer})
    await hint.get_by_text("Drop the picture on a call").wait_for()
    assert await shown.locator(".takes-picture").count() == 0
    await target.dispatch_event("drop", {"dataTransfer": transfer})
    await shown.get_by_role("dialog", name="Answer with this picture").wait_for()
    assert await hint.is_hidden()


async def test_picture_answers_any_prompt_where_that_is_chosen(
    shown: Page, client: OpenAI, http: httpx2.Client
) -> None:
    await drop(row(shown), (FILE, png()))
    dialog = shown.get_by_role("dialog", name="Answer with this picture")
    await dialog.get_by_label("Any prompt").check()
    assert await dialog.get_by_label("Prompt has").is_disabled()
    await confirm(shown)
    assert [each["match"] for each in answers(http)] == [{"path": "*/images/generations"}]
    assert is_red(drawn(client, "A ship"))


async def test_picture_is_chosen_by_keys_alone(shown: Page, client: OpenAI) -> None:
    for key in ("j", "Enter"):
        await shown.keyboard.press(key)
    # The keys of a call count once all of it is there.
    await shown.get_by_role("article", name="Call").get_by_role("region", name="Answer").wait_for()
    async with shown.expect_file_chooser() as choosing:
        # Without it the key would be sooner than what takes the place of the browser's window.
        await shown.evaluate("() => new Promise(requestAnimationFrame)")
        await shown.keyboard.press("a")
    chooser = await choosing.value
    await chooser.set_files({"name": FILE, "mimeType": "image/png", "buffer": png()})
    await shown.get_by_role("dialog", name="Answer with this picture").wait_for()
    await shown.keyboard.press("Enter")
    await toast(shown).get_by_text("answers such calls").wait_for()
    assert is_red(drawn(client))


async def test_picture_is_chosen_on_a_phone(
    chromium: Browser, server: Server, client: OpenAI
) -> None:
    drawn(client)
    async with opened_page(chromium, server, size=(390, 844)) as page:
        await row(page).click()
        button = page.get_by_role("button", name="Answer with…")
        box = await button.bounding_box()
        assert box
        assert min(box["width"], box["height"]) >= 36
        async with page.expect_file_chooser() as choosing:
            await button.click()
        await (await choosing.value).set_files(
            {"name": FILE, "mimeType": "image/png", "buffer": png()}
        )
        await confirm(page)
    assert is_red(drawn(client))


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ([("notes.txt", b"no picture")], "notes.txt is no picture. It has to be a PNG, a JPEG"),
        ([("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>")], "drawing.svg is no pict"),
        ([("empty.png", b"")], "empty.png is no picture."),
        ([(FILE, png()), ("b.png", png())], "These are 2 files. One picture at a time, please."),
        ([(MARKUP, b"x")], f"{MARKUP} is no picture."),
    ],
    ids=["text", "svg", "empty", "several", "markup"],
)
async def test_what_is_no_picture_is_refused_with_a_sentence(
    shown: Page, http: httpx2.Client, files: list[tuple[str, bytes]], sentence: str
) -> None:
    await drop(row(shown), *files)
    await toast(shown).get_by_text(sentence).wait_for()
    assert await shown.get_by_role("dialog").count() == 0
    assert answers(http) == []
    assert await shown.title() == "images-emulator"


async def test_picture_too_large_for_the_server_is_refused(chromium: Browser) -> None:
    with (
        Server(max_body=20_000) as server,
        OpenAI(base_url=f"{server.url}/v1", api_key="sk-test") as client,
    ):
        drawn(client)
        async with opened_page(chromium, server) as page:
            await drop(row(page), ("huge.png", png() + bytes(30_000)))
            await toast(page).get_by_text("huge.png has").wait_for()
            await toast(page).get_by_text("a picture may have 12 KB.").wait_for()


async def test_picture_that_cannot_be_opened_is_refused_by_the_server(
    chromium: Browser, server: Server, client: OpenAI, http: httpx2.Client
) -> None:
    drawn(client)
    async with opened_page(chromium, server, errors=True) as page:
        await drop(row(page), ("cut.png", png()[:40]))
        await page.get_by_role("button", name="Answer with it").click()
        await page.get_by_role("alert").get_by_text("'cut.png'").wait_for()
        assert await page.get_by_role("dialog").is_visible()
        assert answers(http) == []


async def test_picture_beside_all_calls_is_let_go(shown: Page) -> None:
    await drop(shown.get_by_role("banner"), (FILE, png()))
    assert await shown.locator(".drop-hint").is_hidden()
    assert await shown.get_by_role("dialog").count() == 0


async def test_panel_lists_answers_beside_faults(
    shown: Page, client: OpenAI, http: httpx2.Client
) -> None:
    await shown.get_by_role("button", name="Switches", exact=True).click()
    panel = shown.get_by_role("complementary", name="Switches")
    async with shown.expect_file_chooser() as choosing:
        await panel.get_by_role("button", name="Answer with a picture…").click()
    await (await choosing.value).set_files(
        {"name": MARKUP, "mimeType": "image/png", "buffer": png(colour=BLUE)}
    )
    assert await shown.get_by_label("Calls to").input_value() == ""
    await confirm(shown)
    await drop(row(shown), (FILE, png()))
    await confirm(shown)
    await panel.get_by_role("button", name="429").click()
    await panel.get_by_text("1 armed").wait_for()
    rows = panel.get_by_role("list", name="Answers").get_by_role("listitem")
    texts = [" ".join(text.split()) for text in await drawn_texts(rows)]
    assert texts == [
        f"fox.png 0 met generations · prompt has {FOX}",
        f"{MARKUP} 0 met any call",
    ]
    await shown.wait_for_function(
        """() => [...document.querySelectorAll(".answer-step img")].map(
          (each) => each.complete && each.naturalWidth).join() === "64,64" """
    )
    await panel.get_by_role("button", name="Clear all").click()
    await panel.get_by_text("1 armed").wait_for(state="hidden")
    assert is_red(drawn(client))
    await rows.first.get_by_text("1 met").wait_for()
    await panel.get_by_role("button", name="Remove fox.png").click()
    await rows.nth(1).wait_for(state="hidden")
    assert [each["answer"]["image"][0]["name"] for each in answers(http)] == [MARKUP]
    assert await shown.title() == "images-emulator"


async def test_call_says_why_it_met_no_answer(
    shown: Page, http: httpx2.Client, client: OpenAI
) -> None:
    url = f"data:image/png;name=red_fox-2.png;base64,{base64.b64encode(png()).decode()}"
    step = {"answer": {"image": url}, "match": {"size": "1536x1024"}}
    http.post("/_emulator/inject", json=step).raise_for_status()
    drawn(client, "A ship")
    await shown.get_by_role("option", name="A ship").click()
    misses = shown.get_by_role("region", name="Near misses")
    await misses.get_by_text("red_fox-2.png", exact=True).wait_for()
    await misses.get_by_text("size '1024x1024' is not '1536x1024'").wait_for()


async def test_facts_of_a_call_name_the_picture_that_answered(
    shown: Page, http: httpx2.Client, client: OpenAI
) -> None:
    url = f"data:image/png;name={FILE};base64,{base64.b64encode(png()).decode()}"
    http.post("/_emulator/inject", json={"answer": {"image": url}}).raise_for_status()
    drawn(client)
    await shown.get_by_role("option", name="answered by fox.png").click()
    facts = shown.get_by_role("complementary", name="Facts")
    await facts.get_by_text("Answered by").wait_for()
    assert await facts.get_by_text(FILE, exact=True).is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1440, 900), (390, 844)], ids=["wide", "phone"])
async def test_answers_keep_no_one_out(  # noqa: PLR0917 - two of them are what it is tried with
    chromium: Browser,
    server: Server,
    client: OpenAI,
    npm_folder: Path,
    scheme: Scheme,
    size: tuple[int, int],
) -> None:
    drawn(client)
    async with opened_page(chromium, server, scheme=scheme, size=size) as page:
        await drop(row(page), (FILE, png()))
        await page.get_by_role("dialog").get_by_text("64 × 64").wait_for()
        assert await serious_faults(page, npm_folder) == []
        await confirm(page)
        await toast(page).wait_for()
        await page.get_by_role("button", name="Switches", exact=True).click()
        await page.get_by_role("list", name="Answers").wait_for()
        assert await serious_faults(page, npm_folder) == []

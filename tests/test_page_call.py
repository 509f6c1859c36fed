"""The page's view of one call, and of two pictures side by side, in a real browser."""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest
import pytest_asyncio
from openai import OpenAI
from PIL import Image

from images_emulator import Server
from images_emulator.recordings.folder import RecordingFolder
from tests.opened_page import Scheme, drawn_texts, opened_page, serious_faults
from tests.pictures import half_clear, png
from tests.wire import exchange

if TYPE_CHECKING:
    from playwright.async_api import Browser, Locator, Page

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.slow,
    pytest.mark.timeout(300),
]

HOSTILE = "<img src=x onerror=alert(1)>"
SIZE = (256, 256)


@pytest_asyncio.fixture(loop_scope="session")
async def page(chromium: Browser, server: Server) -> AsyncIterator[Page]:
    async with opened_page(chromium, server) as page:
        yield page


def generate(client: OpenAI, prompt: str = "a lighthouse", **parameters: Any) -> Any:
    return client.images.generate(
        **{"model": "gpt-image-2", "prompt": prompt, "size": "1024x1024"} | parameters
    )


def edit(client: OpenAI, **parameters: Any) -> Any:
    """An edit with a mask, whose left half is to be drawn."""
    parameters = {
        "model": "gpt-image-2",
        "prompt": "a blue door",
        "image": ("door.png", png(SIZE)),
        "mask": ("left-half.png", half_clear(SIZE)),
        "size": "1024x1024",
    } | parameters
    return client.images.edit(**parameters)


def stream(client: OpenAI, **parameters: Any) -> None:
    for _ in generate(client, **{"stream": True, "partial_images": 2} | parameters):
        pass


async def show(page: Page, server: Server, place: int = -1, more: str = "") -> Locator:
    """Open a call by its place in the journal, and wait until all of it is there."""
    call = server.requests[place]
    await page.evaluate("hash => { location.hash = hash }", f"call={call.id}{more}")
    view = page.get_by_role("article", name="Call")
    await view.get_by_role("region", name="Answer").wait_for()
    return view


async def are_drawn(pictures: Locator) -> bool:
    """Whether all of some pictures are decoded and have pixels, once there is the first of them."""
    await pictures.first.wait_for(state="attached")
    answer: bool = await pictures.evaluate_all(
        """async pictures => {
            await Promise.all(pictures.map((picture) => picture.decode()));
            return pictures.length > 0 && pictures.every((picture) => picture.naturalWidth > 1);
        }"""
    )
    return answer


async def copied(page: Page) -> str:
    await page.get_by_text(re.compile("^Copied")).wait_for()
    text: str = await page.evaluate("navigator.clipboard.readText()")
    return text


async def test_masked_edit_has_a_slider_mask_and_sources(
    page: Page, server: Server, client: OpenAI
) -> None:
    edit(client)
    view = await show(page, server)
    stage = view.get_by_role("region", name="Picture")
    assert await stage.get_by_role("button", name="Before / after", pressed=True).is_visible()
    assert await are_drawn(stage.locator(".slide img"))
    slider = stage.get_by_role("slider", name="Before and After")
    after = stage.locator(".slide-after")
    clip = await after.evaluate("element => getComputedStyle(element).clipPath")
    await slider.fill("75")
    assert await after.evaluate("element => getComputedStyle(element).clipPath") != clip
    assert await slider.get_attribute("aria-valuetext") == "75 % Before, 25 % After"
    figures = stage.locator(".strip .figure")
    assert await drawn_texts(figures) == [
        "door.png\n256 × 256, " + (await figures.nth(0).inner_text()).partition(", ")[2],
        "left-half.png\n256 × 256, " + (await figures.nth(1).inner_text()).partition(", ")[2],
        "Result\n1024 × 1024, " + (await figures.nth(2).inner_text()).partition(", ")[2],
    ]
    assert await are_drawn(figures.locator("img"))


async def test_actions_of_a_picture_are_inside_its_card(
    page: Page, server: Server, client: OpenAI
) -> None:
    edit(client)
    await page.set_viewport_size({"width": 1280, "height": 800})
    view = await show(page, server)
    stage = view.get_by_role("region", name="Picture")
    card = await stage.bounding_box()
    button = await stage.locator(".stage-actions > :last-child").bounding_box()
    assert card
    assert button
    assert button["x"] + button["width"] <= card["x"] + card["width"]


async def test_mask_marks_what_is_to_be_drawn(page: Page, server: Server, client: OpenAI) -> None:
    edit(client)
    view = await show(page, server, more="&view=mask")
    stage = view.get_by_role("region", name="Picture")
    await stage.get_by_role("button", name="Mask", exact=True, pressed=True).wait_for()
    frame = stage.locator(".stage-view .frame")
    assert await are_drawn(frame.locator("img"))
    await page.wait_for_load_state("networkidle")
    shot = Image.open(BytesIO(await frame.screenshot())).convert("RGB")
    width, height = shot.size
    striped, plain = (
        {shot.getpixel((x, height // 2)) for x in range(start, start + width // 4)}
        for start in (width // 8, width * 5 // 8)
    )
    assert len(striped) > 2  # stripes over the left half
    assert len(plain) == 1


async def test_picture_in_json_is_shown_as_a_source(
    page: Page, server: Server, http: httpx2.Client
) -> None:
    url = f"data:image/png;base64,{b64encode(png(SIZE)).decode()}"
    body = {"model": "gpt-image-2", "prompt": "a door", "images": [{"image_url": url}]}
    http.post("/v1/images/edits", json=body).raise_for_status()
    view = await show(page, server)
    figures = view.locator(".strip .figure")
    assert re.search("256 × 256, ", await figures.nth(0).inner_text())
    assert await are_drawn(figures.locator("img"))
    assert (
        '"image_url": "data:image/png;base64,'
        in await view.get_by_role("group", name="Request body").inner_text()
    )


async def test_form_lists_its_parts_with_pixels(page: Page, server: Server, client: OpenAI) -> None:
    edit(client)
    view = await show(page, server)
    request = view.get_by_role("region", name="Request")
    text = await request.get_by_role("group", name="Form").inner_text()
    assert re.search(r"prompt\s+a blue door", text)
    assert re.search(r"door\.png image/png, 256 × 256, ", text)
    assert re.search(r"left-half\.png image/png, 256 × 256, ", text)
    await request.get_by_role("button", name="Settled").click()
    text = await request.get_by_role("group", name="Parameters in force").inner_text()
    assert re.search(r"size\s+1024x1024\n", text)
    assert re.search(r"output_format\s+png default", text)
    await request.get_by_role("button", name="Headers").click()
    assert "multipart/form-data" in await request.inner_text()


async def test_facts_and_answer_of_a_picture(page: Page, server: Server, client: OpenAI) -> None:
    answer = generate(client, quality="low", output_format="webp")
    view = await show(page, server)
    facts = await view.get_by_role("complementary", name="Facts").inner_text()
    for fact in (
        r"Model\s+gpt-image-2\n", r"Size\s+1024×1024", r"Quality\s+low", r"Format\s+WEBP [\d.]+ KB",
        rf"Input tokens\s+{answer.usage.input_tokens} text {answer.usage.input_tokens}",
        rf"Output tokens\s+{answer.usage.output_tokens}", r"Would have cost\s+\$0\.\d+",
        r"Answered in", r"Key\s+sk-test", r"SDK\s+openai-python",
    ):  # fmt: skip
        assert re.search(fact, facts), (fact, facts)
    body = view.get_by_role("group", name="Answer body")
    assert '"b64_json": "' in await body.inner_text()
    assert re.search(r"[\d,]+ characters\)", await body.inner_text())
    region = view.get_by_role("region", name="Answer")
    await region.get_by_role("button", name="Headers").click()
    assert "x-request-id" in await region.inner_text()


@pytest.mark.parametrize("output_format", ["png", "gif", "svg"])
async def test_picture_is_shown_and_saved(
    page: Page, server: Server, client: OpenAI, output_format: str
) -> None:
    model = "gpt-image-2" if output_format == "png" else "gpt-image-2.6-flare"
    generate(
        client, "A paper plane, circling!", model=model, size="816x816", quality="low",
        extra_body={"output_format": output_format},
    )  # fmt: skip
    view = await show(page, server)
    assert await are_drawn(view.locator(".stage-view img"))
    assert await page.locator("iframe, object, embed, article svg image").count() == 0
    async with page.expect_download() as download:
        await view.get_by_role("link", name="Save").click()
    value = await download.value
    assert value.suggested_filename == f"a-paper-plane-circling.{output_format}"
    await view.get_by_role("button", name="Full").click()
    dialog = page.get_by_role("dialog", name="Picture in full size")
    assert await are_drawn(dialog.locator("img"))
    assert await dialog.locator("img").evaluate("picture => picture.clientWidth") == 816
    await page.keyboard.press("Escape")
    await dialog.wait_for(state="detached")


async def test_stream_shows_its_pictures_in_order(
    page: Page, server: Server, client: OpenAI
) -> None:
    stream(client)
    view = await show(page, server)
    stage = view.get_by_role("region", name="Picture")
    figures = stage.locator(".timeline .figure")
    titles = [text.partition("\n")[0] for text in await drawn_texts(figures)]
    assert titles == ["Partial 1", "Partial 2", "Completed"]
    assert await are_drawn(figures.locator("img"))
    assert await stage.locator(".knob").count() == 3
    assert await stage.locator(".knob.square").count() == 0
    places = await stage.locator(".knob").evaluate_all(
        "knobs => knobs.map((knob) => parseFloat(knob.style.insetInlineStart))"
    )
    assert places == sorted(places)
    (call,) = server.requests
    assert all(0 < place <= 100 for place in places), call
    await page.keyboard.press("ArrowLeft")
    await stage.get_by_text(re.compile(r"^Partial 2, \+")).wait_for()
    await figures.nth(0).click()
    await stage.get_by_text(re.compile(r"^Partial 1, \+")).wait_for()
    assert await are_drawn(stage.locator(".stage-view img"))
    assert await figures.nth(0).get_attribute("aria-current") == "true"
    rows = view.get_by_role("region", name="Events").locator("tbody tr")
    types = [text.split("\t")[3] for text in await drawn_texts(rows)]
    assert types == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]


async def test_stream_beside_the_panel_is_not_cut(
    page: Page, server: Server, client: OpenAI
) -> None:
    stream(client, partial_images=3)
    view = await show(page, server)
    await page.keyboard.press("w")
    timeline = view.locator(".timeline")
    assert await timeline.locator(".figure").count() == 4
    assert await timeline.evaluate("each => each.scrollWidth <= each.clientWidth")


async def test_stream_in_flight_fills_as_it_goes_on(
    page: Page, server: Server, client: OpenAI
) -> None:
    server.inject({"kind": "latency", "realistic": True, "scale": 100})
    call = asyncio.create_task(asyncio.to_thread(stream, client, quality="low"))
    await page.get_by_role("option", name="a lighthouse").click()
    view = page.get_by_role("article", name="Call")
    await view.get_by_text("Waiting for the first picture").wait_for()
    stage = view.get_by_role("region", name="Picture")
    figures = stage.locator("button.figure")
    await stage.locator(".figure.waiting").nth(2).wait_for()
    for number, title in enumerate(("Partial 1", "Partial 2", "Completed"), 1):
        # Each event waits for a third of 1,500 seconds by the emulator's clock.
        while not server.emulator.clock._waits:  # noqa: ASYNC110 - nothing tells when a wait begins
            await asyncio.sleep(0.01)
        await asyncio.to_thread(server.emulator.clock.advance, minutes=10)
        await stage.get_by_text(re.compile(f"^{title}, ")).wait_for()
        assert await figures.count() == number
        assert await are_drawn(stage.locator(".stage-view img"))
        if title != "Completed":
            assert await view.get_by_text("in flight").first.is_visible()
            assert await stage.locator(".figure.waiting").count() == 3 - number
    await view.get_by_text("in flight").first.wait_for(state="hidden")
    await view.get_by_role("region", name="Answer").get_by_text("200", exact=True).wait_for()
    await call


async def test_stream_is_copied_as_events(page: Page, server: Server, client: OpenAI) -> None:
    stream(client)
    view = await show(page, server)
    await view.get_by_role("button", name="Copy as text/event-stream").click()
    text = await copied(page)
    assert text.count("event: image_generation.partial_image\ndata: {") == 2
    assert text.count("event: image_generation.completed\ndata: {") == 1


async def test_stream_plays(page: Page, server: Server, client: OpenAI) -> None:
    stream(client)
    view = await show(page, server)
    stage = view.get_by_role("region", name="Picture")
    await stage.get_by_role("button", name="Play").click()
    await stage.get_by_role("button", name="Frames", pressed=True).wait_for()
    assert await stage.locator(".figure[aria-current]").inner_text() != ""
    await stage.get_by_text(re.compile("^Completed, ")).wait_for()


async def test_cut_stream_ends_in_a_red_square_without_a_final_picture(
    page: Page, server: Server, client: OpenAI
) -> None:
    server.inject({"kind": "stream_cut", "after": 2})
    with pytest.raises((openai.APIError, httpx2.HTTPError)):
        stream(client)
    view = await show(page, server)
    assert await view.get_by_text("200, cut", exact=True).is_visible()
    stage = view.get_by_role("region", name="Picture")
    titles = [text.split("\n")[0] for text in await drawn_texts(stage.locator("button.figure"))]
    assert titles == ["Partial 1", "Partial 2"]
    assert await stage.locator(".knob.square").count() == 1
    assert await stage.get_by_text("No picture").is_visible()
    assert await view.get_by_text("Completed").count() == 0


async def test_failed_stream_shows_its_sentence(page: Page, server: Server, client: OpenAI) -> None:
    server.inject({"kind": "stream_error", "after": 1})
    with pytest.raises(openai.APIError) as failure:
        stream(client)
    view = await show(page, server)
    assert await view.get_by_text("200, failed", exact=True).is_visible()
    assert await view.get_by_text(failure.value.message).first.is_visible()
    assert await view.locator(".knob.square").count() == 1


async def test_refused_call_marks_the_parameter_and_says_what_is_taken(
    page: Page, server: Server, client: OpenAI
) -> None:
    with pytest.raises(openai.BadRequestError) as failure:
        generate(client, model="gpt-image-1.5", quality="standard")
    assert isinstance(failure.value.body, dict)
    view = await show(page, server)
    card = view.get_by_role("region", name="Error")
    text = " ".join((await card.inner_text()).split())
    assert str(failure.value.body["message"]) in text
    assert "type invalid_request_error param quality code invalid_value" in text
    assert re.search(
        r"gpt-image-1\.5 takes low medium high auto You sent standard which is for .*dall-e-3", text
    )
    (marked,) = await view.locator(".line.marked").all()
    lines = (await marked.inner_text()).split("\n")
    assert lines[-2].strip() == '"quality": "standard",'
    assert lines[-1] == "gpt-image-1.5 takes low, medium, high and auto"
    # Not by colour alone.
    assert await marked.evaluate("line => getComputedStyle(line).borderInlineStartWidth") == "3px"


async def test_notice_stands_above_the_call(
    page: Page, server: Server, client: OpenAI, http: httpx2.Client
) -> None:
    http.post("/v2/images/generations", json={"model": "gpt-image-2", "prompt": "a fox"})
    view = await show(page, server)
    notice = view.get_by_role("region", name="Notice")
    assert (await notice.inner_text()).endswith(server.requests[-1].notices[0])
    generate(client, model="dall-e-3")
    view = await show(page, server)
    await notice.get_by_text("dall-e-3 was shut down on ").wait_for()
    assert await view.get_by_role("region", name="Picture").is_visible()
    generate(client)
    view = await show(page, server)
    await notice.wait_for(state="detached")


@pytest.mark.parametrize(
    ("request_body", "words"),
    [
        ({"content": b"{}"}, "The body was not read"),
        ({"content": [b"{}"]}, "The body was not read"),
        ({"content": b""}, "Without a body"),
        ({}, "Without a body"),
    ],
)
async def test_body_that_was_not_read_is_not_called_none(
    page: Page, server: Server, http: httpx2.Client, request_body: dict[str, Any], words: str
) -> None:
    http.post("/v2/images/generations", **request_body)
    view = await show(page, server)
    request = view.get_by_role("region", name="Request")
    assert await request.locator(".card-note").inner_text() == words
    answer = view.get_by_role("region", name="Answer")
    assert await answer.locator(".card-note").inner_text() == "Without a body"


async def test_empty_body_that_was_read_is_called_none(
    page: Page, server: Server, http: httpx2.Client
) -> None:
    http.post("/v1/images/generations", content=b"")
    assert server.requests[-1].body == b""
    view = await show(page, server)
    request = view.get_by_role("region", name="Request")
    assert await request.locator(".card-note").inner_text() == "Without a body"


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"n": 20}, r"gpt-image-2 takes 1 to 10"),
        ({"size": "1000x1000"}, r"gpt-image-2 takes Both edges divisible by 16"),
        ({"model": "gpt-image-9"}, r"This endpoint takes .*gpt-image-2\b.*You sent gpt-image-9"),
        ({"model": "constructor", "n": 20}, r"type invalid_request_error param n"),
        ({"extra_body": {"constructor": 1}}, r"gpt-image-2 has no constructor"),
        ({"extra_body": {"style": "vivid"}}, r"gpt-image-2 has no style which is for dall-e-3"),
    ],
)
async def test_refused_call_says_what_else_is_taken(
    page: Page, server: Server, client: OpenAI, parameters: dict[str, Any], words: str
) -> None:
    with pytest.raises(openai.BadRequestError):
        generate(client, **parameters)
    view = await show(page, server)
    text = " ".join((await view.get_by_role("region", name="Error").inner_text()).split())
    assert re.search(words, text), text


async def test_refused_mask_shows_its_pixels(page: Page, server: Server, client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        edit(client, mask=("small.png", half_clear((128, 128))))
    view = await show(page, server)
    figures = view.locator(".strip .figure")
    await figures.nth(1).wait_for()
    strip = await drawn_texts(figures)
    assert [text.split(", ")[0] for text in strip] == [
        "door.png\n256 × 256",
        "small.png\n128 × 128",
    ]


async def test_forgiven_parameters_are_marked(
    page: Page, server: Server, client: OpenAI, http: httpx2.Client
) -> None:
    http.patch("/_emulator/settings", json={"validation": "lenient"}).raise_for_status()
    generate(client, quality="hd", style="vivid")
    view = await show(page, server)
    notes = await drawn_texts(view.locator(".line.marked.warn .line-note"))
    assert sorted(notes) == [
        "forgiven: gpt-image-2 has no such parameter, ignored",
        "forgiven: not a value of gpt-image-2, read as low",
    ]
    facts = await view.get_by_role("complementary", name="Facts").inner_text()
    assert "style: unknown_parameter" in facts
    assert "quality: invalid_value" in facts


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("curl", "curl "),
        ("Python", "client = openai.OpenAI("),
        ("JavaScript", 'from "openai"'),
        ("pytest test", "def test_"),
        ("Request body", '"a lighthouse"'),
        ("Request id", "req_"),
    ],
)
async def test_call_is_copied_as_code(
    page: Page, server: Server, client: OpenAI, item: str, words: str
) -> None:
    generate(client)
    view = await show(page, server)
    await view.get_by_role("button", name="Copy as", exact=True).click()
    await page.get_by_role("menuitem", name=item).click()
    assert words in await copied(page)


async def test_two_pictures_stand_side_by_side(page: Page, server: Server, client: OpenAI) -> None:
    generate(client, "a lighthouse", quality="low")
    generate(client, "a harbour", quality="high")
    view = await show(page, server, 0)
    await view.get_by_role("button", name="Compare").click()
    await view.get_by_role("button", name="Marked", pressed=True).wait_for()
    view = await show(page, server, 1)
    await view.get_by_role("button", name="Compare", pressed=False).click()
    await page.get_by_role("heading", name="Two pictures").wait_for()
    for name in ("Picture A", "Picture B"):
        assert await are_drawn(page.get_by_role("region", name=name).locator("img"))
    assert await page.get_by_text("Marked. Choose").count() == 0
    table = page.get_by_role("region", name="What differs")
    rows = [text.split("\t") for text in await drawn_texts(table.locator("tbody tr"))]
    assert ["Prompt", "a lighthouse", "a harbour"] in rows
    assert ["Quality", "low", "high"] in rows
    assert "Model" not in [row[0] for row in rows]
    await table.get_by_role("button", name="Show what is alike").click()
    await table.get_by_text("gpt-image-2").first.wait_for()
    await page.get_by_role("button", name="Swap").click()
    await page.get_by_role("region", name="Picture A").get_by_text("a harbour").wait_for()
    await page.get_by_role("button", name="Slide over").click()
    assert await page.get_by_role("slider", name="A and B").is_visible()
    await page.get_by_role("button", name="Difference").click()
    assert await are_drawn(page.locator(".difference img"))
    await page.get_by_role("button", name="Close the comparison").click()
    await page.get_by_role("region", name="Request").wait_for()


async def test_two_pictures_are_compared_by_keys(
    page: Page, server: Server, client: OpenAI
) -> None:
    generate(client, n=2, quality="low")
    view = await show(page, server)
    await page.keyboard.press("v")
    await view.get_by_role("button", name="Marked", pressed=True).wait_for()
    await page.keyboard.press("ArrowRight")
    await view.get_by_text(re.compile("^2 of 2, ")).wait_for()
    await page.keyboard.press("v")
    await page.get_by_role("region", name="Picture B").wait_for()
    table = page.get_by_role("region", name="What differs")
    assert "Picture\t1\t2" in await drawn_texts(table.locator("tbody tr"))
    await page.keyboard.press("Escape")
    await view.get_by_role("region", name="Request").wait_for()


async def test_chosen_tab_stays_when_the_call_ends(
    page: Page, server: Server, client: OpenAI
) -> None:
    server.inject({"kind": "latency", "seconds": 3600})
    call = asyncio.create_task(asyncio.to_thread(generate, client))
    await page.get_by_role("option", name="a lighthouse").click()
    view = page.get_by_role("article", name="Call")
    request = view.get_by_role("region", name="Request")
    await request.get_by_role("button", name="Headers").click()
    await view.get_by_text("Not answered yet").wait_for()
    await asyncio.to_thread(server.emulator.clock.advance, hours=2)
    await view.get_by_role("region", name="Answer").get_by_text("200", exact=True).wait_for()
    assert await are_drawn(view.locator(".stage-view img"))
    assert await request.get_by_role("button", name="Headers", pressed=True).is_visible()
    await call


async def test_pictures_of_one_call_are_gone_through(
    page: Page, server: Server, client: OpenAI
) -> None:
    generate(client, n=3, quality="low")
    view = await show(page, server)
    stage = view.get_by_role("region", name="Picture")
    await stage.get_by_text(re.compile("^1 of 3, 1024 × 1024 PNG")).wait_for()
    first = await stage.locator(".stage-view img").get_attribute("src")
    await stage.get_by_role("button", name="Result 3").click()
    await stage.get_by_text(re.compile("^3 of 3, ")).wait_for()
    assert await stage.locator(".stage-view img").get_attribute("src") != first
    assert await are_drawn(stage.locator("img"))


async def test_near_misses_stand_in_order_and_spent_ones_behind_a_button(
    page: Page, server: Server, client: OpenAI, http: httpx2.Client
) -> None:
    document = {
        "steps": [
            {"fault": "server_error", "times": 1},
            {"fault": "rate_limit_exceeded", "match": {"model": "dall-e-3"}},
            {"fault": "latency", "match": {"prompt": "kite"}},
        ]
    }
    http.put("/_emulator/scenario", json=document).raise_for_status()
    with pytest.raises(openai.InternalServerError):
        generate(client)
    generate(client)
    view = await show(page, server)
    misses = view.get_by_role("region", name="Near misses")
    lines = [text.split("\n")[:2] for text in await drawn_texts(misses.get_by_role("listitem"))]
    assert lines == [
        ["rate limit exceeded", "model 'gpt-image-2' is not 'dall-e-3'"],
        ["latency", "the prompt does not have 'kite'"],
    ]
    await misses.get_by_role("button", name="Show 1 spent").click()
    assert await misses.get_by_role("listitem").count() == 3


async def test_recording_stands_among_the_facts_and_the_nearest_one_among_the_misses(
    chromium: Browser, server: Server, client: OpenAI, tmp_path: Path
) -> None:
    body = {"model": "gpt-image-2", "prompt": "a fox", "size": "1024x1024"}
    path = "/v1/images/generations"
    name = RecordingFolder(tmp_path).add(exchange(server.url, "POST", path, body)).stem
    with Server(replay=tmp_path, delay=False) as player:
        for prompt in ("a fox", "a hare"):
            exchange(player.url, "POST", path, {**body, "prompt": prompt})
        async with opened_page(chromium, player) as page:
            view = await show(page, player, 0)
            await view.get_by_role("definition").get_by_text(name, exact=True).wait_for()
            assert await are_drawn(view.get_by_role("region", name="Picture").locator("img"))
            view = await show(page, player, 1)
            misses = view.get_by_role("region", name="Near misses").get_by_role("listitem")
            lines = (await misses.inner_text()).split("\n")
            assert lines == [name, "prompt 'a hare' is not 'a fox'", "recording"]


async def test_attempts_of_a_retried_call_are_linked(page: Page, server: Server) -> None:
    server.inject("rate_limit_exceeded")
    with OpenAI(base_url=server.base_url, api_key="sk-test", max_retries=1) as client:
        generate(client)
    view = await show(page, server)
    facts = view.get_by_role("complementary", name="Facts")
    await facts.get_by_role("button", name="1: 429").click()
    await view.get_by_text("429 Too Many Requests").wait_for()
    assert await facts.get_by_role("button", name="2: 200").is_visible()


async def test_downloads_of_a_hosted_picture_are_listed(
    page: Page, server: Server, client: OpenAI, http: httpx2.Client
) -> None:
    url = generate(client, model="dall-e-3", response_format="url").data[0].url
    http.get(url).raise_for_status()
    view = await show(page, server, 0)
    assert await page.get_by_role("listbox").get_by_role("option").count() == 1
    downloads = view.get_by_role("region", name="Downloads")
    row = downloads.locator("tbody tr")
    assert "200" in await row.inner_text()
    await row.get_by_role("button").click()
    await view.get_by_text("download", exact=True).wait_for()
    picture = view.get_by_role("region", name="Picture").get_by_role("link")
    await picture.locator("img").wait_for()
    shown = await page.evaluate("document.querySelector('.hosted img').decode().then(() => 1)")
    assert shown == 1
    address = await picture.get_attribute("href") or ""
    assert http.get(address).content == http.get(url).content


async def test_a_download_of_the_open_call_is_listed_when_it_comes(
    page: Page, server: Server, client: OpenAI, http: httpx2.Client
) -> None:
    url = generate(client, model="dall-e-3", response_format="url").data[0].url
    view = await show(page, server, 0)
    await view.get_by_text("Not downloaded yet").wait_for()
    http.get(url).raise_for_status()
    await view.get_by_role("region", name="Downloads").locator("tbody tr").wait_for()


async def test_what_is_not_kept_any_more_is_said(chromium: Browser) -> None:
    with Server(journal_bytes=200_000) as server:
        with OpenAI(base_url=server.base_url, api_key="sk-test") as client:
            for number in range(4):
                edit(
                    client,
                    prompt=f"door {number}",
                    image=("noise.png", noise()),
                    mask=openai.omit,
                    quality="low",
                )
        async with opened_page(chromium, server) as page:
            view = await show(page, server, 0)
            await view.get_by_text("Not kept any more").first.wait_for()


def noise() -> bytes:
    """A PNG that does not get smaller."""
    image = Image.effect_noise((256, 256), 90).convert("RGB")
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


async def test_markup_stays_text(chromium: Browser, server: Server, client: OpenAI) -> None:
    """A prompt, a file's name, a revised prompt and the sentence of an error."""
    edit(client, prompt=HOSTILE, image=(f"{HOSTILE}.png", png(SIZE)))
    generate(client, HOSTILE, model="dall-e-3", response_format="b64_json")
    with pytest.raises(openai.BadRequestError):
        generate(client, HOSTILE, extra_body={HOSTILE: 1, "quality": HOSTILE})
    async with opened_page(chromium, server) as page:
        await page.evaluate("() => { window.alert = () => { throw new Error('a script ran') } }")
        for place in range(3):
            view = await show(page, server, place)
            assert HOSTILE in await view.inner_text()
            assert HOSTILE in await view.get_by_role("heading", level=1).inner_text()
        assert HOSTILE in await view.get_by_role("region", name="Error").inner_text()
        assert await page.locator("img[src=x], img[onerror]").count() == 0


async def test_call_is_gone_through_by_keyboard_alone(
    page: Page, server: Server, client: OpenAI
) -> None:
    edit(client)
    view = await show(page, server)
    stage = view.get_by_role("region", name="Picture")
    await page.keyboard.press("m")
    await stage.get_by_role("button", name="Mask", exact=True, pressed=True).wait_for()
    await page.keyboard.press("b")
    slider = stage.get_by_role("slider")
    await slider.focus()
    await page.keyboard.press("ArrowRight")
    assert await slider.input_value() == "51"
    await slider.blur()
    await page.keyboard.press("c")
    assert (await copied(page)).startswith("curl")
    await page.keyboard.press("o")
    await page.get_by_role("dialog", name="Picture in full size").wait_for()
    await page.keyboard.press("Escape")
    await page.get_by_role("dialog", name="Picture in full size").wait_for(state="detached")
    await page.keyboard.press("v")
    await stage.get_by_role("button", name="Marked", pressed=True).wait_for()
    await page.keyboard.press("Shift+C")
    await page.get_by_role("menu").wait_for()
    await page.keyboard.press("Escape")


@pytest.fixture
def calls_of_all_kinds(client: OpenAI, server: Server, http: httpx2.Client) -> None:
    """A masked edit, a stream, a cut stream, a refused and a lenient call, and one to a wrong
    path."""
    edit(client)
    stream(client)
    server.inject({"kind": "stream_cut"})
    with pytest.raises((openai.APIError, httpx2.HTTPError)):
        stream(client)
    server.inject("latency", match={"prompt": "kite"})
    with pytest.raises(openai.BadRequestError):
        generate(client, quality="standard")
    http.patch("/_emulator/settings", json={"validation": "lenient"}).raise_for_status()
    generate(client, quality="hd")
    http.post("/v2/images/generations", json={"prompt": "a fox"})


@pytest.mark.usefixtures("calls_of_all_kinds")
@pytest.mark.parametrize(
    ("scheme", "size"),
    [("light", (1440, 900)), ("dark", (1440, 900)), ("light", (390, 844))],
)
async def test_call_keeps_nobody_out(
    chromium: Browser, server: Server, npm_folder: Path, scheme: Scheme, size: tuple[int, int]
) -> None:
    async with opened_page(chromium, server, size=size, scheme=scheme) as page:
        for place in (5, *range(5)):
            await show(page, server, place)
            assert await serious_faults(page, npm_folder, ".call-view") == []
        await page.get_by_role("button", name="Full").click()
        assert await serious_faults(page, npm_folder, "dialog") == []
        await page.keyboard.press("Escape")
        one, other = server.requests[0].id, server.requests[4].id
        await page.evaluate("hash => { location.hash = hash }", f"compare={one}/0,{other}/0")
        await page.get_by_role("region", name="Picture B").wait_for()
        assert await serious_faults(page, npm_folder, ".call-view") == []

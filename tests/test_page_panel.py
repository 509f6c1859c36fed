"""The page's panel: faults, clock, as-of, validation and reset, in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest
import pytest_asyncio
from openai import OpenAI

from images_emulator import Server
from tests.opened_page import Scheme, opened_page, serious_faults

if TYPE_CHECKING:
    from playwright.async_api import Browser, Locator, Page

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.slow,
    pytest.mark.timeout(300),
]


async def open_panel(page: Page) -> Locator:
    await page.get_by_role("button", name="Switches", exact=True).click()
    panel = page.get_by_role("complementary", name="Switches")
    # The state of the emulator is there.
    await (
        panel.get_by_role("button", name="Strict", pressed=True)
        .or_(panel.get_by_role("button", name="Lenient", pressed=True))
        .wait_for()
    )
    return panel


@pytest_asyncio.fixture(loop_scope="session")
async def panel(chromium: Browser, server: Server) -> AsyncIterator[Locator]:
    async with opened_page(chromium, server) as page:
        yield await open_panel(page)


async def until(panel: Locator, text: str | re.Pattern[str]) -> None:
    """Wait until the panel shows *text*."""
    await panel.get_by_text(text).first.wait_for()


def steps(http: httpx2.Client) -> list[dict[str, Any]]:
    """The steps that can strike."""
    return [each for each in http.get("/_emulator/scenario").json()["steps"] if not each["spent"]]


def generate(client: OpenAI, prompt: str = "a lighthouse", **parameters: Any) -> Any:
    return client.images.generate(
        **{"model": "gpt-image-2", "prompt": prompt, "size": "1024x1024"} | parameters
    )


async def test_one_click_makes_the_next_call_fail(panel: Locator, client: OpenAI) -> None:
    for label, status, code in (
        ("429", 429, "rate_limit_exceeded"),
        ("500", 500, None),
        ("503", 503, None),
        ("Blocked", 400, "moderation_blocked"),
    ):
        await panel.get_by_role("button", name=label, exact=True).click()
        await until(panel, "1 armed")
        with pytest.raises(openai.APIStatusError) as failure:
            generate(client)
        assert failure.value.status_code == status
        assert code is None or failure.value.code == code
        generate(client)
        clear = panel.get_by_role("button", name="Clear all")
        await clear.click()
        # The fault was spent already, so that none is armed before the page has heard the answer.
        await clear.wait_for(state="hidden")


async def test_one_click_injects_waits_and_cut_streams(panel: Locator, http: httpx2.Client) -> None:
    for label in ("Timeout", "Late 2 s", "Cut stream"):
        await panel.get_by_role("button", name=label).click()
    await until(panel, "3 armed")
    assert [(each["fault"], each["times"]) for each in steps(http)] == [
        ({"kind": "timeout"}, 1),
        ({"kind": "latency", "seconds": 2}, 1),
        ({"kind": "stream_cut"}, 1),
    ]


async def test_words_of_the_faults_keep_clear_of_their_edges(panel: Locator) -> None:
    margins = await panel.get_by_role("group", name="Next call meets").evaluate(
        """group => [...group.querySelectorAll("button")].flatMap((button) => {
          const range = document.createRange(), box = button.getBoundingClientRect();
          range.selectNodeContents(button);
          const words = range.getBoundingClientRect();
          const room = group.clientWidth - group.scrollWidth;
          return [words.left - box.left, box.right - words.right, room];
        })"""
    )
    assert len(margins) == 24
    assert min(margins[0::3] + margins[1::3]) >= 5
    assert min(margins[2::3]) >= 0


async def custom(panel: Locator, fault: str) -> Locator:
    """The form, with *fault* chosen."""
    await panel.get_by_role("button", name="Custom").click()
    form = panel.get_by_role("form", name="Custom fault")
    await form.get_by_label("Fault", exact=True).select_option(fault)
    return form


async def test_custom_fault_meets_the_calls_that_match(panel: Locator, client: OpenAI) -> None:
    form = await custom(panel, "error:insufficient_quota")
    await form.get_by_label("prompt has").fill("harbour")
    await form.get_by_label("times").fill("2")
    await form.get_by_role("button", name="Inject").click()
    await until(panel, "prompt has harbour")
    generate(client, "a lighthouse")
    for shown in ("1 of 2", "1 spent"):
        with pytest.raises(openai.RateLimitError) as failure:
            generate(client, "a harbour at dawn")
        assert failure.value.code == "insufficient_quota"
        await until(panel, shown)
    generate(client, "a harbour at dawn")


async def test_custom_fault_has_its_settings_and_conditions(
    panel: Locator, http: httpx2.Client
) -> None:
    form = await custom(panel, "stream_cut")
    await form.get_by_label("after").fill("2")
    await form.get_by_label("reset").select_option("yes")
    await form.get_by_label("times").fill("")
    for label, value in (
        ("model", "gpt-image-2*"), ("path", "*/edits"), ("key", "sk-test"), ("retry", "1"),
        ("lets pass first", "3"), ("probability", "0.5"),
    ):  # fmt: skip
        await form.get_by_label(label, exact=True).fill(value)
    await form.get_by_role("button", name="Inject").click()
    await until(panel, "1 armed")
    (step,) = steps(http)
    assert step["fault"] == {"kind": "stream_cut", "after": 2, "reset": True}
    assert step["match"] == {
        "model": "gpt-image-2*", "path": "*/edits", "api_key": "sk-test", "retry_count": 1
    }  # fmt: skip
    assert (step["times"], step["after"], step["probability"]) == (None, 3, 0.5)
    await until(panel, "0 met")


async def test_custom_fault_out_of_bounds_is_marked(panel: Locator, http: httpx2.Client) -> None:
    form = await custom(panel, "fewer_partials")
    keep = form.get_by_label("keep")
    await keep.fill("7")
    await form.get_by_role("button", name="Inject").click()
    assert await keep.get_attribute("aria-invalid") == "true"
    assert await keep.evaluate("input => input === document.activeElement")
    assert "3" in await form.locator(".bad:visible").inner_text()
    assert steps(http) == []
    await keep.fill("2")
    assert await keep.get_attribute("aria-invalid") is None


async def test_custom_fault_is_copied_as_a_command(panel: Locator) -> None:
    form = await custom(panel, "error:server_error")
    await form.get_by_label("prompt has").fill("a mason's yard")
    await form.get_by_role("button", name="Copy as curl").click()
    await panel.page.get_by_text("Copied").wait_for()
    command = await panel.page.evaluate("navigator.clipboard.readText()")
    assert "/_emulator/inject' -H 'content-type: application/json' --data '" in command
    document = command.partition("--data '")[2].removesuffix("'").replace("'\\''", "'")
    assert json.loads(document) == {
        "fault": {"kind": "error", "name": "server_error"},
        "times": 1,
        "match": {"prompt": "a mason's yard"},
    }


async def test_error_of_the_api_stands_beside_the_control(
    chromium: Browser, server: Server, http: httpx2.Client
) -> None:
    async with opened_page(chromium, server, errors=True) as page:
        panel = await open_panel(page)
        form = await custom(panel, "unknown_event")
        await form.get_by_label("name").fill("<img src=x onerror=alert(1)>")
        await form.get_by_role("button", name="Inject").click()
        alert = form.get_by_role("alert")
        await alert.wait_for()
        assert "unknown_event: name" in await alert.inner_text()
        assert await page.locator("img[src=x]").count() == 0
        assert steps(http) == []


async def test_step_is_removed_alone(panel: Locator, http: httpx2.Client) -> None:
    for label in ("429", "500"):
        await panel.get_by_role("button", name=label, exact=True).click()
    await until(panel, "2 armed")
    await panel.get_by_role("button", name="Remove rate limit exceeded").click()
    await until(panel, "1 armed")
    assert [each["fault"]["name"] for each in steps(http)] == ["server_error"]


async def test_ready_scenario_is_chosen_and_left(
    panel: Locator, http: httpx2.Client, client: OpenAI
) -> None:
    scenario = panel.get_by_label("Scenario")
    await scenario.locator("option", has_text="rate-limit-then-ok").wait_for(state="attached")
    await scenario.select_option("rate-limit-then-ok")
    await until(panel, "0 of 2")
    with pytest.raises(openai.RateLimitError):
        generate(client)
    await scenario.select_option("")
    await panel.get_by_text("1 armed").wait_for(state="hidden")
    assert steps(http) == []


async def test_spent_step_is_behind_a_button(
    chromium: Browser, server: Server, client: OpenAI
) -> None:
    server.inject("server_error")
    with pytest.raises(openai.InternalServerError):
        generate(client)
    async with opened_page(chromium, server) as page:
        panel = await open_panel(page)
        await panel.get_by_role("button", name="1 spent").click()
        spent = panel.get_by_role("list", name="Spent faults")
        assert await spent.get_by_text("server error").is_visible()
        assert await spent.get_by_text("1 of 1").is_visible()


async def test_clock_that_moves_on_expires_a_hosted_picture(
    panel: Locator, client: OpenAI, http: httpx2.Client
) -> None:
    url = generate(client, model="dall-e-3", response_format="url").data[0].url
    await until(panel, re.compile("^1 hosted picture, expires at"))
    assert http.get(url).status_code == 200
    await panel.get_by_role("button", name="+1 h").click()
    await until(panel, re.compile("^1 h ahead of this machine"))
    await until(panel, "No hosted pictures, 1 expired")
    await panel.get_by_role("button", name="+1 min").click()
    await until(panel, re.compile("^1 h 1 min ahead of this machine"))
    assert http.get(url).status_code == 403
    await panel.get_by_role("button", name="Back to its time").click()
    await panel.get_by_text("ahead of this machine").wait_for(state="hidden")
    assert http.get("/_emulator/clock").json()["offset_seconds"] == 0


async def test_clock_is_frozen_set_and_resumed(panel: Locator, http: httpx2.Client) -> None:
    def clock() -> dict[str, Any]:
        answer: dict[str, Any] = http.get("/_emulator/clock").json()
        return answer

    await panel.get_by_role("button", name="Freeze").click()
    await until(panel, "Frozen")
    assert clock()["frozen"]
    await panel.get_by_role("button", name="Set…").click()
    await panel.get_by_label("Time", exact=True).fill("2031-05-06T07:08:09")
    await panel.get_by_role("button", name="Set", exact=True).click()
    await until(panel, "6 May 2031")
    await until(panel, "07:08:09")
    moment = await panel.page.evaluate("new Date('2031-05-06T07:08:09').getTime()")
    now = datetime.fromisoformat(clock()["now"])
    assert now == datetime.fromtimestamp(moment / 1000, UTC)
    await panel.get_by_role("button", name="Resume").click()
    await panel.get_by_role("button", name="Freeze").wait_for()
    assert not clock()["frozen"]
    assert datetime.fromisoformat(clock()["now"]) - now < timedelta(minutes=1)


async def test_clock_out_of_its_years_shows_the_sentence(chromium: Browser, server: Server) -> None:
    async with opened_page(chromium, server, errors=True) as page:
        panel = await open_panel(page)
        await panel.get_by_role("button", name="Set…").click()
        await panel.get_by_label("Time", exact=True).fill("1999-01-01T00:00:00")
        await panel.get_by_role("button", name="Set", exact=True).click()
        await until(panel, re.compile("the clock goes from 2000"))


async def test_as_of_a_date_refuses_a_later_model(panel: Locator, client: OpenAI) -> None:
    await until(panel, re.compile(r"^\d+ models answer, \d+ of them shut down by now$"))
    await panel.get_by_role("button", name="Date", exact=True).click()
    await panel.get_by_label("Date").fill("2025-06-01")
    await until(panel, re.compile("^3 models of 1 Jun 2025 answer$"))
    with pytest.raises(openai.BadRequestError):
        generate(client, model="gpt-image-2")
    generate(client, model="gpt-image-1")
    await panel.get_by_role("button", name="Any", exact=True).click()
    await until(panel, re.compile("shut down by now$"))
    generate(client, model="gpt-image-2")


async def test_lenient_validation_forgives(panel: Locator, client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        generate(client, quality="hd")
    await panel.get_by_role("button", name="Lenient").click()
    await until(panel, "Mistakes are forgiven")
    assert generate(client, quality="hd").data


async def test_reset_asks_once_and_says_what_goes(
    chromium: Browser, server: Server, client: OpenAI
) -> None:
    generate(client)
    server.inject("server_error")
    server.emulator.clock.advance(hours=1)
    async with opened_page(chromium, server) as page:
        panel = await open_panel(page)
        await panel.get_by_role("button", name="Reset everything").click()
        await until(panel, re.compile("^Forgets 1 call, 1 armed fault, pictures and files;"))
        await panel.get_by_role("button", name="Keep all").click()
        assert len(server.requests) == 1
        await panel.get_by_role("button", name="Reset everything").click()
        await panel.get_by_role("button", name="Reset", exact=True).click()
        await panel.get_by_role("button", name="Reset everything").wait_for()
        assert await panel.get_by_text("armed").filter(visible=True).count() == 0
        assert await panel.get_by_text("ahead of this machine").count() == 0
    assert not server.requests
    generate(client)


async def test_panel_is_used_by_keyboard_alone(
    chromium: Browser, server: Server, client: OpenAI
) -> None:
    async with opened_page(chromium, server) as page:
        button = page.get_by_role("button", name="Switches", exact=True)
        await button.focus()
        await page.keyboard.press("Enter")
        panel = page.get_by_role("complementary", name="Switches")
        assert await panel.get_by_role("button", name="Close switches").evaluate(
            "button => button === document.activeElement"
        )
        await panel.get_by_role("button", name="Strict", pressed=True).wait_for()
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.textContent") == "429"
        await page.keyboard.press("Enter")
        await until(panel, "1 armed")
        with pytest.raises(openai.RateLimitError):
            generate(client)
        await page.get_by_role("button", name="Switches", exact=True, pressed=True).wait_for()
        await panel.get_by_role("button", name="Close switches").focus()
        await page.keyboard.press("Enter")
        assert await panel.is_hidden()
        await page.get_by_role("button", name="Switches", exact=True, pressed=False).wait_for()
        assert await button.evaluate("button => button === document.activeElement")


@pytest.mark.parametrize(
    ("scheme", "size"),
    [("light", (1440, 900)), ("dark", (1440, 900)), ("light", (390, 844))],
)
async def test_panel_keeps_nobody_out(
    chromium: Browser, server: Server, npm_folder: Path, scheme: Scheme, size: tuple[int, int]
) -> None:
    server.inject("moderation_blocked", match={"prompt": "battle"}, times=3)
    server.emulator.clock.advance(hours=1)
    async with opened_page(chromium, server, size=size, scheme=scheme) as page:
        panel = await open_panel(page)
        await custom(panel, "stream_cut")
        await panel.get_by_role("button", name="Set…").click()
        await panel.get_by_role("button", name="Reset everything").click()
        assert await serious_faults(page, npm_folder, "#panel") == []

"""OpenAI's npm package in a page of another origin, in a real browser."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest

from images_emulator import Server
from tests.pictures import opened, png

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.slow,
    pytest.mark.timeout(300),
]

CLIENT = """
const client = new openai.OpenAI({
  baseURL: url + "/v1", apiKey: "sk-test", maxRetries: 0, dangerouslyAllowBrowser: true });
"""


async def in_page(page: Page, server: Server, script: str, **values: str) -> Any:
    """What *script* returns, the body of an async function that knows `url`, a `client` and the
    *values*."""
    names = ", ".join(["url", *values])
    return await page.evaluate(
        f"async ({{{names}}}) => {{{CLIENT}{script}}}", {"url": server.url, **values}
    )


async def test_browser_generates_from_another_origin(page: Page, server: Server) -> None:
    answer = await in_page(
        page,
        server,
        """
        const { data, response } = await client.images.generate(
          { model: "gpt-image-2", prompt: "a lighthouse", size: "1024x1024" }).withResponse();
        return { image: data.data[0].b64_json, id: response.headers.get("x-request-id") };
        """,
    )
    assert opened(answer["image"]).size == (1024, 1024)
    (call,) = server.requests
    assert (call.method, call.id) == ("POST", answer["id"])
    assert call.headers["origin"] in page.url


async def test_browser_edits_a_file(page: Page, server: Server) -> None:
    image = await in_page(
        page,
        server,
        """
        const bytes = Uint8Array.from(atob(file), (character) => character.charCodeAt(0));
        const answer = await client.images.edit({
          model: "gpt-image-2", prompt: "a lighthouse", size: "1024x1024",
          image: new File([bytes], "a.png", { type: "image/png" }) });
        return answer.data[0].b64_json;
        """,
        file=b64encode(png()).decode(),
    )
    assert opened(image).size == (1024, 1024)
    assert [call.path for call in server.requests] == ["/v1/images/edits"]


async def test_browser_streams(page: Page, server: Server) -> None:
    types = await in_page(
        page,
        server,
        """
        const stream = await client.images.generate(
          { model: "gpt-image-2", prompt: "a lighthouse", stream: true, partial_images: 2 });
        const types = [];
        for await (const event of stream) types.push(event.type);
        return types;
        """,
    )
    assert types == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]


REFUSED = """
try {
  await client.images.generate({ model: "gpt-image-2", prompt: "x", size: "1000x1000" });
} catch (error) {
  return [error.constructor.name, error.status, error.code, error.message, error.requestID];
}
"""


async def test_browser_reads_an_error(page: Page, server: Server) -> None:
    name, status, code, message, request_id = await in_page(page, server, REFUSED)
    assert (status, code) == (400, "invalid_value")
    assert message.endswith("Width and height must both be divisible by 16.")
    assert request_id == server.requests[-1].id
    assert name


async def test_browser_reads_an_injected_error(page: Page, server: Server) -> None:
    server.inject("rate_limit_exceeded")
    _, status, code, *_ = await in_page(page, server, REFUSED)
    assert (status, code) == (429, "rate_limit_exceeded")


async def test_browser_calls_azure(page: Page, server: Server) -> None:
    answer = await in_page(
        page,
        server,
        """
        const azure = new openai.AzureOpenAI({ endpoint: url, apiKey: "k", maxRetries: 0,
          apiVersion: "2025-04-01-preview", dangerouslyAllowBrowser: true });
        const request = { model: "gpt-image-2", prompt: "x", size: "1024x1024" };
        const answer = await azure.images.generate(request);
        try {
          await azure.images.generate({ ...request, size: "1x1" });
        } catch (error) {
          return [answer.data[0].b64_json, error.status];
        }
        """,
    )
    assert opened(answer[0]).size == (1024, 1024)
    assert answer[1] == 400


async def test_browser_shows_a_hosted_image_and_cannot_read_it(page: Page, server: Server) -> None:
    shown = await in_page(
        page,
        server,
        """
        const answer = await client.images.generate(
          { model: "dall-e-2", prompt: "x", size: "256x256" });
        const image = new Image();
        image.src = answer.data[0].url;
        await image.decode();
        const error = await fetch(image.src).catch((error) => error.constructor.name);
        return [image.naturalWidth, error];
        """,
    )
    assert shown == [256, "TypeError"]


@pytest.mark.parametrize("path", ["settings", "health", "requests"])
async def test_browser_cannot_read_the_admin_api_from_another_origin(
    page: Page, server: Server, path: str
) -> None:
    with pytest.raises(Exception, match="Failed to fetch"):
        await in_page(page, server, f"await fetch(url + '/_emulator/{path}')")


async def test_browser_cannot_reset_from_another_origin(page: Page, server: Server) -> None:
    script = """
    await client.models.list();
    await fetch(url + "/_emulator/reset", { method: "POST", mode: "no-cors" });
    await fetch(url + "/_emulator/reset", { method: "POST", headers: { "x-a": "b" } });
    """
    with pytest.raises(Exception, match="Failed to fetch"):
        await in_page(page, server, script)
    assert [call.path for call in server.requests] == ["/v1/models"]

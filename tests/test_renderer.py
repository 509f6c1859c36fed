"""The renderer: single flight, the cache of image files, and the first image of a process."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from threading import Event, current_thread

import httpx2
import pytest

from images_emulator import Emulator, Server, Settings
from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import GENERATIONS
from images_emulator.contract.request import ImageRequest
from images_emulator.exchange.trace_context import CALL_ID
from images_emulator.imaging.render import render_image
from images_emulator.rendering.renderer import Renderer
from tests.test_streams import read_events
from tests.waiting import until


def request(prompt: str = "a lighthouse", partials: int = 0) -> ImageRequest:
    return ImageRequest(
        operation=GENERATIONS,
        model=next(iter(MODELS.values())),
        prompt=prompt,
        size=(256, 256),
        partial_images=partials,
    )


@pytest.fixture
def renderer() -> Iterator[Renderer]:
    renderer = Renderer(cache_bytes=2**20, max_processes=0)
    yield renderer
    renderer.close()


async def test_concurrent_calls_for_one_image_share_one_rendering(renderer: Renderer) -> None:
    barrier, begun = Event(), Event()

    def hold() -> bool:
        begun.set()
        return barrier.wait()

    held = asyncio.create_task(renderer.run_in_pool(hold))
    await asyncio.to_thread(begun.wait)
    waiting = [asyncio.create_task(renderer.render_base64(request(), 0)) for _ in range(8)]
    other = asyncio.create_task(renderer.render_base64(request("a fox"), 0))
    await asyncio.sleep(0)
    assert len(renderer.pool._jobs) == 2
    waiting[0].cancel()
    barrier.set()
    images = await asyncio.gather(*waiting[1:])
    assert {base64.b64decode(each) for each in images} == {render_image(request(), 0)}
    assert await other != images[0]
    assert await held


async def test_a_fetch_has_the_context_of_its_call_and_threads_that_end(renderer: Renderer) -> None:
    CALL_ID.set("req_1")
    assert await renderer.run_in_fetcher(CALL_ID.get) == "req_1"
    thread = await renderer.run_in_fetcher(current_thread)
    renderer.close()
    await asyncio.to_thread(until, lambda: not thread.is_alive())


async def test_images_of_one_request_are_rendered_apart(renderer: Renderer) -> None:
    images = await asyncio.gather(*(renderer.render_base64(request(), index) for index in range(3)))
    rendered = [render_image(request(), index) for index in range(3)]
    assert [base64.b64decode(each) for each in images] == rendered


async def test_a_cached_image_is_not_rendered_again(renderer: Renderer) -> None:
    assert renderer.cache_misses == 0
    first = await renderer.render_base64(request(), 0)
    assert renderer.cached_image(request(), 0) is first
    assert await renderer.render_base64(request(), 0) is first
    assert renderer.cache_misses == 1
    assert renderer.cached_image(request(), 1) is None


async def test_a_stream_is_rendered_once_and_ends_in_the_plain_image(renderer: Renderer) -> None:
    first = await renderer.render_base64(request(partials=3), 0, partial=0)
    rest = [renderer.cached_image(request(partials=3), 0, number) for number in (1, 2, None)]
    assert None not in rest
    assert len({first, *rest}) == 4
    assert rest[-1] == await renderer.render_base64(request(), 0)


async def test_without_a_cache_every_call_renders() -> None:
    renderer = Renderer(cache_bytes=0, max_processes=0)
    first = await renderer.render_base64(request(partials=2), 0, partial=0)
    assert renderer.cached_image(request(), 0) is None
    assert await renderer.render_base64(request(partials=2), 0, partial=0) == first
    renderer.close()


async def test_a_failed_rendering_is_raised_to_all_and_not_cached(renderer: Renderer) -> None:
    broken = ImageRequest(operation=GENERATIONS, model=next(iter(MODELS.values())), size=(0, -1))
    results = await asyncio.gather(
        *(renderer.render_base64(broken, 0) for _ in range(2)), return_exceptions=True
    )
    assert all(isinstance(result, Exception) for result in results)
    assert await renderer.render_base64(request(), 0)


def test_equal_calls_get_equal_images_and_their_own_ids(http: httpx2.Client) -> None:
    body = {"model": "gpt-image-2.6-sunburst", "prompt": "twice", "n": 2, "size": "1024x1024"}
    first, second = (http.post("/v1/images/generations", json=body).json() for _ in range(2))
    identities = {
        item.pop("generation_id") for answer in (first, second) for item in answer["data"]
    }
    assert len(identities) == 4
    assert first["data"] == second["data"]
    assert first["data"][0] != first["data"][1]
    assert first["usage"] == second["usage"]


def test_text_that_looks_like_a_template_placeholder_stays_text(http: httpx2.Client) -> None:
    body = {"model": "gpt-image-2.6-sunburst", "prompt": "x", "safety_identifier": "#created"}
    assert http.post("/v1/images/generations", json=body).json()["safety_identifier"] == "#created"


def test_a_cache_size_of_zero_changes_no_answer() -> None:
    body = {"model": "gpt-image-2", "prompt": "x", "stream": True, "partial_images": 3}
    images = []
    for cache in (0, 2**25):
        with (
            Server(emulator=Emulator(Settings(port=0, cache=cache))) as server,
            httpx2.Client(base_url=server.base_url, headers={"Authorization": "Bearer x"}) as http,
        ):
            answer = http.post("/images/generations", json=body)
            images.append([event["b64_json"] for _, event in read_events(answer.text)])
    assert images[0] == images[1]
    assert len(images[0]) == len({*images[0]}) == 4


# --- warming up


def fail(_: object) -> None:
    raise ImportError("no module has this name")


def test_a_warm_up_that_fails_is_logged_and_done_again(
    renderer: Renderer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("images_emulator.rendering.renderer._warm_up", fail)
        assert not renderer.warm_up()
        assert renderer._warm_up
        assert isinstance(renderer._warm_up.exception(60), ImportError)
    assert not renderer.warm_up()
    assert "no module has this name" in caplog.text
    until(renderer.warm_up)


def test_a_warm_up_that_is_cancelled_is_done_again(renderer: Renderer) -> None:
    begun, go_on = Event(), Event()

    def wait() -> None:
        begun.set()
        go_on.wait(60)

    renderer.pool.executor.submit(wait)
    begun.wait(60)
    assert not renderer.warm_up()
    renderer.pool.cancel_all()
    assert not renderer.warm_up()
    go_on.set()
    until(renderer.warm_up)


def test_a_renderer_that_is_closed_before_its_warm_up_is_not_warm() -> None:
    renderer = Renderer(cache_bytes=0, max_processes=0)
    renderer.close()
    for _ in range(2):
        assert not renderer.warm_up()
        assert renderer._warm_up is None

"""Processes that draw: the same pictures, whatever becomes of one, and none left behind."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from dataclasses import replace
from subprocess import Popen

import httpx2
import pytest

from emulator import Server, Settings
from emulator.contract.models import MODELS
from emulator.contract.request import Endpoint, ImageRequest
from emulator.imaging import synthesis, uploads
from emulator.imaging.formats import FORMATS
from emulator.imaging.worker import Worker, draw
from tests.pictures import encoded, half_clear, halves
from tests.test_streams import frames

CALL = {"model": "gpt-image-2", "prompt": "a lighthouse", "size": "1024x1024"}


ASKED = ImageRequest(
    endpoint=Endpoint.GENERATIONS,
    model=[*MODELS.values()][-1],
    prompt="灯台 a lighthouse",
    size=(256, 256),
)


def edit() -> ImageRequest:
    """An edit with a mask, whose source is decoded already."""
    source, mask = uploads.develop(encoded(halves())), uploads.develop(half_clear())
    assert source
    return replace(ASKED, endpoint=Endpoint.EDITS, images=(source,), mask=mask)


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.close()


def process_of(worker: Worker) -> Popen[bytes]:
    assert worker._process
    return worker._process


@pytest.mark.parametrize(
    "asked",
    [edit(), *(replace(ASKED, output_format=name) for name in FORMATS)],
    ids=["edit", *FORMATS],
)
def test_a_process_draws_what_a_thread_draws(worker: Worker, asked: ImageRequest) -> None:
    assert worker.draw(asked, 1, None) == [(None, synthesis.render(asked, 1))]


def test_a_process_draws_a_stream_at_once(worker: Worker) -> None:
    request = replace(ASKED, partial_images=3)
    drawn = worker.draw(request, 0, 1)
    assert [number for number, _ in drawn] == [1, 2, None]
    assert drawn == draw(request, 0, 1)


def test_a_process_that_was_killed_has_a_successor(worker: Worker) -> None:
    first = worker.draw(ASKED, 0, None)
    killed = process_of(worker)
    killed.kill()
    assert worker.draw(ASKED, 0, None) == first
    assert killed.returncode is not None


def test_a_broken_drawing_is_told_and_the_process_goes_on(worker: Worker) -> None:
    first = worker.draw(ASKED, 0, None)
    process = process_of(worker)
    with pytest.raises(RuntimeError, match="ValueError"):
        worker.draw(replace(ASKED, size=(0, -1)), 0, None)
    assert worker.draw(ASKED, 0, None) == first
    assert process_of(worker) is process


def test_a_process_that_was_let_go_draws_no_more(worker: Worker) -> None:
    worker.draw(ASKED, 0, None)
    process = process_of(worker)
    worker.close()
    assert process.returncode is not None
    with pytest.raises(RuntimeError, match="let go"):
        worker.draw(ASKED, 0, None)


async def test_a_server_draws_in_processes_and_leaves_none_behind() -> None:
    headers = {"Authorization": "Bearer x"}
    bodies = [CALL | {"prompt": f"a lighthouse {number}"} for number in range(12)]
    stream = CALL | {"stream": True, "partial_images": 2}
    with Server(Settings(port=0)) as server:
        async with httpx2.AsyncClient(base_url=server.base_url, headers=headers) as http:
            plain = [(await http.post("/images/generations", json=each)).json() for each in bodies]
            events = (await http.post("/images/generations", json=stream)).text
    with Server(Settings(port=0, render_processes=2)) as server:
        async with httpx2.AsyncClient(base_url=server.base_url, headers=headers) as http:
            calls = [http.post("/images/generations", json=each) for each in bodies]
            answers = [answer.json() for answer in await asyncio.gather(*calls)]
            same = (await http.post("/images/generations", json=stream)).text
        processes = [process_of(each) for each in server.emulator.studio._workers]
        assert [each.poll() for each in processes] == [None, None]
    assert [each.poll() is None for each in processes] == [False, False]
    assert [each["data"][0]["b64_json"] for each in answers] == [
        each["data"][0]["b64_json"] for each in plain
    ]
    assert [event["b64_json"] for _, event in frames(same)] == [
        event["b64_json"] for _, event in frames(events)
    ]
    assert base64.b64decode(answers[0]["data"][0]["b64_json"]).startswith(b"\x89PNG")


@pytest.mark.parametrize(("processes", "times"), [(0, 1), (2, 2)])
async def test_a_server_is_ready_when_all_who_draw_have_drawn(processes: int, times: int) -> None:
    with Server(Settings(port=0, render_processes=processes)) as server:
        async with httpx2.AsyncClient(base_url=server.url) as http:
            while (await http.get("/_emulator/ready")).status_code == 503:
                pass
        studio = server.emulator.studio
        assert [each.exception() for each in studio._rehearsals] == [None] * times
        assert len(studio._workers) == processes

"""Processes that draw: the same pictures, whatever becomes of one, and none left behind."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from subprocess import Popen
from threading import Event

import httpx2
import pytest

from images_emulator import Emulator, Server, Settings
from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import EDITS, GENERATIONS
from images_emulator.contract.request import ImageRequest
from images_emulator.imaging import decoder, render
from images_emulator.imaging.formats import OUTPUT_FORMATS
from images_emulator.rendering.cores import spare_cores
from images_emulator.rendering.pool import BUSY_JOBS, RenderPool
from images_emulator.rendering.process import Drawn, RenderProcess, draw
from tests.pictures import encoded, half_clear, halves

CALL = {"model": "gpt-image-2", "prompt": "a lighthouse", "size": "1024x1024"}


ASKED = ImageRequest(
    operation=GENERATIONS,
    model=[*MODELS.values()][-1],
    prompt="灯台 a lighthouse",
    size=(256, 256),
)


def edit() -> ImageRequest:
    """An edit with a mask, whose source is decoded already."""
    source, mask = decoder.decode(encoded(halves())), decoder.decode(half_clear())
    assert source
    return replace(ASKED, operation=EDITS, images=(source,), mask=mask)


@pytest.fixture
def worker() -> Iterator[RenderProcess]:
    worker = RenderProcess()
    yield worker
    worker.close()


def process_of(worker: RenderProcess) -> Popen[bytes]:
    assert worker._process
    return worker._process


@pytest.mark.parametrize(
    "asked",
    [edit(), *(replace(ASKED, output_format=name) for name in OUTPUT_FORMATS)],
    ids=["edit", *OUTPUT_FORMATS],
)
def test_a_process_draws_what_a_thread_draws(worker: RenderProcess, asked: ImageRequest) -> None:
    assert worker.draw(asked, 1, None) == [(None, render.render_image(asked, 1))]


def test_a_process_draws_a_stream_at_once(worker: RenderProcess) -> None:
    request = replace(ASKED, partial_images=3)
    drawn = worker.draw(request, 0, 1)
    assert [number for number, _ in drawn] == [1, 2, None]
    assert drawn == draw(request, 0, 1)


def test_a_process_that_was_killed_has_a_successor(worker: RenderProcess) -> None:
    first = worker.draw(ASKED, 0, None)
    killed = process_of(worker)
    killed.kill()
    assert worker.draw(ASKED, 0, None) == first
    assert killed.returncode is not None


def test_a_broken_drawing_is_told_and_the_process_goes_on(worker: RenderProcess) -> None:
    first = worker.draw(ASKED, 0, None)
    process = process_of(worker)
    with pytest.raises(RuntimeError, match="ValueError"):
        worker.draw(replace(ASKED, size=(0, -1)), 0, None)
    assert worker.draw(ASKED, 0, None) == first
    assert process_of(worker) is process


def test_a_process_that_was_let_go_draws_no_more(worker: RenderProcess) -> None:
    worker.draw(ASKED, 0, None)
    process = process_of(worker)
    worker.close()
    assert process.returncode is not None
    with pytest.raises(RuntimeError, match="let go"):
        worker.draw(ASKED, 0, None)


@pytest.fixture
def pool() -> Iterator[RenderPool]:
    """Two processes that may join, and a thread of its own that is held up."""
    pool, gate = RenderPool(2), Event()
    pool.submit(lambda _: gate.wait(60))
    yield pool
    gate.set()
    pool.close()


def drawn(pool: RenderPool, number: int) -> Future[Drawn]:
    return pool.submit(lambda means: means(numbered(number), 0, None))


def numbered(number: int) -> ImageRequest:
    return replace(ASKED, prompt=f"lighthouse {number}")


def test_processes_join_where_jobs_queue(pool: RenderPool) -> None:
    jobs = [drawn(pool, number) for number in range(BUSY_JOBS + 3)]
    assert [job.result(60) for job in jobs] == [
        draw(numbered(number), 0, None) for number in range(len(jobs))
    ]
    # What a process has done leaves nothing for the thread that was to do it.
    assert pool.executor._work_queue.qsize() <= 1
    # They are free again, and come at once where somebody waits once more.
    first, second = pool.submit(lambda means: means is draw), drawn(pool, 0)
    assert not first.result(60)
    assert second.result(60) == jobs[0].result()


def test_no_process_is_started_for_a_few_jobs() -> None:
    pool = RenderPool(1)
    assert all(drawn(pool, number).result(60) for number in range(BUSY_JOBS + 1))
    burst = [drawn(pool, number) for number in range(BUSY_JOBS)]
    assert all(job.result(60) for job in burst)
    assert [worker._process for worker in pool.processes] == [None]
    pool.close()


@pytest.mark.parametrize("executable", ["", "/nowhere/python"])
def test_where_no_process_can_be_had_the_thread_draws_all(
    monkeypatch: pytest.MonkeyPatch, executable: str
) -> None:
    monkeypatch.setattr("sys.executable", executable)
    pool = RenderPool(1)
    jobs = [drawn(pool, number) for number in range(2 * BUSY_JOBS)]
    assert all(job.result(60) for job in jobs)
    assert pool.processes[0]._process is None
    pool.close()


def test_a_job_of_a_process_that_cannot_be_had_again_is_drawn_all_the_same(
    pool: RenderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for job in [drawn(pool, number) for number in range(BUSY_JOBS + 3)]:
        job.result(60)
    monkeypatch.setattr("sys.executable", "")
    for worker in pool.processes:
        process_of(worker).kill()
    jobs = [drawn(pool, number) for number in range(2)]
    assert [job.result(60) for job in jobs] == [
        draw(numbered(number), 0, None) for number in range(2)
    ]


def test_where_no_thread_can_be_had_the_first_one_draws_all() -> None:
    pool = RenderPool(1)
    pool._threads = ThreadPoolExecutor(1)
    pool._threads.shutdown()
    jobs = [drawn(pool, number) for number in range(2 * BUSY_JOBS)]
    assert all(job.result(60) for job in jobs)
    pool.close()


def test_what_waits_when_all_are_let_go_is_called_off(pool: RenderPool) -> None:
    job = drawn(pool, 0)
    pool.close()
    assert job.cancelled()


def test_who_was_let_go_takes_no_more_jobs(pool: RenderPool) -> None:
    never_begun = RenderPool(0)
    for each in (pool, never_begun):
        each.close()
        with pytest.raises(RuntimeError, match="after shutdown"):
            drawn(each, 1)
        with pytest.raises(RuntimeError, match="after shutdown"):
            _ = each.executor


@pytest.mark.skipif(not spare_cores(), reason="one core is the server's own")
async def test_a_server_under_load_draws_in_processes_and_leaves_none_behind() -> None:
    headers = {"Authorization": "Bearer x"}
    bodies = [CALL | {"prompt": f"a lighthouse {number}"} for number in range(BUSY_JOBS + 4)]
    with Server(Settings(port=0, render_processes=0)) as server:
        async with httpx2.AsyncClient(base_url=server.base_url, headers=headers) as http:
            plain = [(await http.post("/images/generations", json=each)).json() for each in bodies]
    with Server(Settings(port=0)) as server:
        pool, gate = server.emulator.renderer.pool, Event()
        pool.submit(lambda _: gate.wait(60))
        try:
            async with httpx2.AsyncClient(
                base_url=server.base_url, headers=headers, timeout=60
            ) as http:
                calls = [http.post("/images/generations", json=each) for each in bodies]
                answers = [answer.json() for answer in await asyncio.gather(*calls)]
        finally:
            gate.set()
        (process,) = (process_of(each) for each in pool.processes)
        assert process.poll() is None
    assert process.poll() is not None
    assert [each["data"][0]["b64_json"] for each in answers] == [
        each["data"][0]["b64_json"] for each in plain
    ]
    assert base64.b64decode(answers[0]["data"][0]["b64_json"]).startswith(b"\x89PNG")


async def test_a_server_is_ready_when_it_has_drawn() -> None:
    with Server(Settings(port=0)) as server:
        async with httpx2.AsyncClient(base_url=server.url) as http:
            while (await http.get("/_emulator/ready")).status_code == 503:
                pass
        rehearsal = server.emulator.renderer._warm_up
        assert rehearsal
        assert rehearsal.exception() is None


def test_no_process_joins_where_there_is_one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0}, raising=False)
    assert Emulator(Settings(render_processes=3)).renderer.pool.processes == []

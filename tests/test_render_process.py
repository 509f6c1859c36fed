"""Render processes and the pool: the same files as in the server, whatever becomes of a process."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from subprocess import Popen
from threading import Event, Thread
from typing import IO, Any

import httpx2
import pytest

from images_emulator import Emulator, Server, Settings
from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import EDITS, GENERATIONS
from images_emulator.contract.request import ImageRequest
from images_emulator.imaging.decoder import decode, without_pixels
from images_emulator.imaging.formats import OUTPUT_FORMATS
from images_emulator.imaging.render import render_image
from images_emulator.rendering import render_process
from images_emulator.rendering.cores import spare_cores
from images_emulator.rendering.render_pool import BUSY_SUBMISSIONS, RenderPool
from images_emulator.rendering.render_process import RenderedFiles, RenderProcess, render_files
from images_emulator.threads import DaemonThreadPool
from tests.pictures import RED, encoded, half_clear, halves, plain, png
from tests.waiting import until

pytestmark = pytest.mark.not_on_redis("is about drawing")

CALL = {"model": "gpt-image-2", "prompt": "a lighthouse", "size": "1024x1024"}


REQUEST = ImageRequest(
    operation=GENERATIONS,
    model=[*MODELS.values()][-1],
    prompt="灯台 a lighthouse",
    size=(256, 256),
)


def edit(*files: bytes, mask: bytes = half_clear()) -> ImageRequest:
    """An edit whose uploads are decoded already."""
    images = tuple(image for file in files if (image := decode(file)))
    assert len(images) == len(files)
    return replace(REQUEST, operation=EDITS, images=images, mask=decode(mask))


def with_palette(transparency: int) -> bytes:
    return encoded(halves().convert("RGB").quantize(8), transparency=transparency)


REQUESTS_WITH_UPLOADS = {
    "true colour": edit(encoded(halves())),
    "palette": edit(with_palette(1)),
    "transparent colour": edit(encoded(plain(), transparency=RED)),
    "JPEG": edit(encoded(plain(), "JPEG")),
    "three of two": edit(encoded(halves()), png(), encoded(halves())),
    "pixels released": without_pixels(edit(encoded(halves()))),
}
"""Uploads whose pixels go to the process in each of the ways that there are."""


@pytest.fixture
def process() -> Iterator[RenderProcess]:
    process = RenderProcess()
    yield process
    process.close()


def system_process(process: RenderProcess) -> Popen[bytes]:
    assert process._process
    return process._process


@pytest.mark.slow
@pytest.mark.parametrize("output_format", OUTPUT_FORMATS)
def test_a_process_renders_the_same_file_as_a_thread(
    process: RenderProcess, output_format: str
) -> None:
    request = replace(REQUEST, output_format=output_format)
    assert process.render_files(request, 1, None) == [(None, render_image(request, 1))]


@pytest.mark.slow
def test_a_process_renders_the_same_edits_as_a_thread(process: RenderProcess) -> None:
    for name, request in REQUESTS_WITH_UPLOADS.items():
        assert process.render_files(request, 1, None) == [(None, render_image(request, 1))], name


@pytest.mark.slow
def test_a_process_renders_all_partial_images_at_once(process: RenderProcess) -> None:
    request = replace(REQUEST, partial_images=3)
    rendered = process.render_files(request, 0, 1)
    assert [number for number, _ in rendered] == [1, 2, None]
    assert rendered == render_files(request, 0, 1)


@pytest.mark.slow
def test_a_killed_process_is_started_again(process: RenderProcess) -> None:
    first = process.render_files(REQUEST, 0, None)
    killed = system_process(process)
    killed.kill()
    assert process.render_files(REQUEST, 0, None) == first
    assert killed.returncode is not None


def test_a_process_that_is_at_work_is_killed_by_close(
    process: RenderProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "images_emulator.rendering.render_process._COMMAND", "{}\nimport time; time.sleep(60)"
    )
    at_work = process._get_or_start()
    process.close()
    assert at_work.returncode == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "waitid"), reason="the system does not tell")
def test_a_stopped_process_is_replaced(process: RenderProcess) -> None:
    first = process.render_files(REQUEST, 0, None)
    stopped = system_process(process)
    stopped.send_signal(signal.SIGSTOP)
    assert process.render_files(REQUEST, 0, None) == first
    assert stopped.returncode == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize("function", ["_read", "_write"])
def test_no_job_is_answered_by_the_answer_to_the_job_before(
    process: RenderProcess, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    process.start()
    first = process._process

    def failing(pipe: IO[bytes], *message: Any) -> Any:
        if message:
            pipe.write(b"half a message")
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(render_process, function, failing)
        with pytest.raises(MemoryError):
            process.render_files(numbered(1), 0, None)
    assert process.render_files(numbered(2), 0, None) == render_files(numbered(2), 0, None)
    assert process._process is not first


@pytest.mark.slow
def test_a_failed_rendering_raises_and_the_process_goes_on(process: RenderProcess) -> None:
    first = process.render_files(REQUEST, 0, None)
    running = system_process(process)
    with pytest.raises(RuntimeError, match="ValueError"):
        process.render_files(replace(REQUEST, size=(0, -1)), 0, None)
    assert process.render_files(REQUEST, 0, None) == first
    assert system_process(process) is running


@pytest.mark.slow
def test_a_program_that_closes_no_process_ends_all_the_same() -> None:
    program = (
        "from images_emulator.rendering.render_process import RenderProcess\n"
        "process = RenderProcess()\n"
        "assert process.start()\n"
        "print(process.is_running)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    assert run.stdout == "True\n"


@pytest.mark.slow
def test_a_closed_process_renders_no_more(process: RenderProcess) -> None:
    process.render_files(REQUEST, 0, None)
    running = system_process(process)
    process.close()
    assert running.returncode is not None
    with pytest.raises(RuntimeError, match="let go"):
        process.render_files(REQUEST, 0, None)


@pytest.fixture
def pool() -> Iterator[RenderPool]:
    """Two processes that may join, and a thread of its own that is held up."""
    pool, begun, barrier = RenderPool(2), Event(), Event()

    def hold(_: object) -> bool:
        begun.set()
        return barrier.wait(60)

    pool.submit(hold)
    assert begun.wait(60)
    yield pool
    barrier.set()
    pool.close()


def submitted(pool: RenderPool, number: int) -> Future[RenderedFiles]:
    return pool.submit(lambda means: means(numbered(number), 0, None))


def numbered(number: int) -> ImageRequest:
    return replace(REQUEST, prompt=f"lighthouse {number}")


@pytest.mark.slow
def test_processes_join_while_jobs_queue(pool: RenderPool) -> None:
    jobs = [submitted(pool, number) for number in range(BUSY_SUBMISSIONS + 3)]
    assert [job.result(60) for job in jobs] == [
        render_files(numbered(number), 0, None) for number in range(len(jobs))
    ]
    # What a process has done leaves nothing for the thread that was to do it.
    executor = pool.executor
    assert isinstance(executor, DaemonThreadPool)
    assert executor._queue.empty()
    # They are free again, and come at once where somebody waits once more.
    until(lambda: len(pool._idle) == 2)
    first, second = pool.submit(lambda render: render is render_files), submitted(pool, 0)
    assert not first.result(60)
    assert second.result(60) == jobs[0].result()


def test_no_process_is_started_for_a_few_jobs() -> None:
    pool = RenderPool(1)
    assert all(submitted(pool, number).result(60) for number in range(BUSY_SUBMISSIONS + 1))
    burst = [submitted(pool, number) for number in range(BUSY_SUBMISSIONS)]
    assert all(job.result(60) for job in burst)
    assert [process._process for process in pool.processes] == [None]
    pool.close()


def test_no_process_is_started_once_the_load_is_over() -> None:
    pool = RenderPool(1)
    begun, barrier = Event(), Event()

    def hold(_: object) -> bool:
        begun.set()
        return barrier.wait(60)

    for count in (BUSY_SUBMISSIONS + 1, 2):
        begun.clear()
        barrier.clear()
        first = pool.submit(hold)
        assert begun.wait(60)
        jobs = [submitted(pool, number) for number in range(count)]
        barrier.set()
        assert first.result(60)
        assert all(job.result(60) for job in jobs)
    assert not pool.processes[0].has_process
    pool.close()


@pytest.mark.slow
@pytest.mark.parametrize("executable", ["", "/nowhere/python"])
def test_without_a_process_the_thread_renders_everything(
    monkeypatch: pytest.MonkeyPatch, executable: str
) -> None:
    monkeypatch.setattr("sys.executable", executable)
    pool = RenderPool(1)
    jobs = [submitted(pool, number) for number in range(2 * BUSY_SUBMISSIONS)]
    assert all(job.result(60) for job in jobs)
    assert pool.processes[0]._process is None
    pool.close()


@pytest.mark.slow
def test_the_job_of_a_process_that_cannot_start_again_is_rendered_all_the_same(
    pool: RenderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for job in [submitted(pool, number) for number in range(BUSY_SUBMISSIONS + 3)]:
        job.result(60)
    monkeypatch.setattr("sys.executable", "")
    for process in pool.processes:
        system_process(process).kill()
    jobs = [submitted(pool, number) for number in range(2)]
    assert [job.result(60) for job in jobs] == [
        render_files(numbered(number), 0, None) for number in range(2)
    ]


@pytest.mark.slow
def test_without_a_second_thread_the_first_renders_everything() -> None:
    pool = RenderPool(1)
    pool._threads = ThreadPoolExecutor(1)
    pool._threads.shutdown()
    jobs = [submitted(pool, number) for number in range(2 * BUSY_SUBMISSIONS)]
    assert all(job.result(60) for job in jobs)
    pool.close()


def test_close_cancels_queued_jobs(pool: RenderPool) -> None:
    job = submitted(pool, 0)
    pool.close()
    assert job.cancelled()


def test_a_closed_pool_starts_no_process(pool: RenderPool) -> None:
    pool.close()
    pool._add_process()
    assert pool._threads is None


@pytest.mark.slow
def test_process_whose_thread_cannot_be_started_joins_later(
    pool: RenderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(Thread, "start", failing)
        jobs = [submitted(pool, number) for number in range(2 * BUSY_SUBMISSIONS)]
    jobs.append(submitted(pool, 0))
    assert all(job.result(60) for job in jobs)
    assert any(process.is_running for process in pool.processes)


def test_process_that_another_thread_has_taken_is_not_taken_twice(pool: RenderPool) -> None:
    pool._idle.clear()
    pool._add_process()
    assert pool._threads is None


def test_a_closed_pool_takes_no_jobs(pool: RenderPool) -> None:
    never_begun = RenderPool(0)
    for each in (pool, never_begun):
        each.close()
        with pytest.raises(RuntimeError, match="after shutdown"):
            submitted(each, 1)
        with pytest.raises(RuntimeError, match="after shutdown"):
            _ = each.executor


@pytest.mark.slow
@pytest.mark.skipif(not spare_cores(), reason="one core is the server's own")
async def test_a_server_under_load_renders_in_processes_and_leaves_none_behind() -> None:
    headers = {"Authorization": "Bearer x"}
    bodies = [CALL | {"prompt": f"a lighthouse {number}"} for number in range(BUSY_SUBMISSIONS + 4)]
    with Server(Settings(port=0, render_processes=0)) as server:
        async with httpx2.AsyncClient(base_url=server.base_url, headers=headers) as http:
            plain = [(await http.post("/images/generations", json=each)).json() for each in bodies]
    with Server(Settings(port=0)) as server:
        pool, barrier = server.emulator.renderer.pool, Event()
        pool.submit(lambda _: barrier.wait(60))
        try:
            async with httpx2.AsyncClient(
                base_url=server.base_url, headers=headers, timeout=60
            ) as http:
                calls = [http.post("/images/generations", json=each) for each in bodies]
                answers = [answer.json() for answer in await asyncio.gather(*calls)]
        finally:
            barrier.set()
        (process,) = (system_process(each) for each in pool.processes)
        assert process.poll() is None
    assert process.poll() is not None
    assert [each["data"][0]["b64_json"] for each in answers] == [
        each["data"][0]["b64_json"] for each in plain
    ]
    assert base64.b64decode(answers[0]["data"][0]["b64_json"]).startswith(b"\x89PNG")


async def test_a_server_is_ready_once_it_has_rendered() -> None:
    with Server(Settings(port=0)) as server:
        async with httpx2.AsyncClient(base_url=server.url, timeout=30) as http:
            while (await http.get("/_emulator/ready")).status_code == 503:
                pass
        warm_up = server.emulator.renderer._warm_up
        assert warm_up
        assert warm_up.exception() is None


def test_no_process_is_started_on_one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0}, raising=False)
    assert Emulator(Settings(render_processes=3)).renderer.pool.processes == []

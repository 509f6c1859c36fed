"""Threads that nobody waits for."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from concurrent.futures import CancelledError

import httpx2
import pytest

from images_emulator import create_app
from images_emulator.threads import DaemonThreadPool
from tests.waiting import until


def test_pool_call_returns_or_raises_where_awaited() -> None:
    pool = DaemonThreadPool(1, thread_name_prefix="test")
    assert pool.submit(divmod, 7, 2).result() == (3, 1)
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 1, 0).result()
    assert list(pool.map(abs, [-1, -2])) == [1, 2]
    pool.shutdown()


def test_pool_starts_no_more_threads_than_needed_or_allowed() -> None:
    prepared: list[str] = []
    pool = DaemonThreadPool(
        2,
        thread_name_prefix="test",
        initializer=lambda: prepared.append(threading.current_thread().name),
    )
    for _ in range(3):
        pool.submit(int).result()
        # The thread is free a moment later.
        until(lambda: not pool._ended.empty())
    assert prepared == ["test_0"]
    begun, go = threading.Semaphore(0), threading.Event()

    def wait() -> None:
        begun.release()
        go.wait()

    waiting = [pool.submit(wait) for _ in range(5)]
    assert pool._started == 2
    for _ in range(2):
        begun.acquire()
    go.set()
    for each in waiting:
        each.result()
    assert sorted(prepared) == ["test_0", "test_1"]
    pool.shutdown()


def test_pool_shutdown_waits_for_nothing_and_refuses_calls() -> None:
    pool = DaemonThreadPool(1, thread_name_prefix="test")
    go, begun = threading.Event(), threading.Event()

    def wait() -> bool:
        begun.set()
        return go.wait()

    running, queued = pool.submit(wait), pool.submit(int)
    begun.wait()
    pool.shutdown(wait=True, cancel_futures=True)
    assert not running.done()
    with pytest.raises(CancelledError):
        queued.result()
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(int)
    go.set()
    assert running.result()


def test_pool_shutdown_finishes_submitted_calls() -> None:
    pool = DaemonThreadPool(1, thread_name_prefix="test")
    results = [pool.submit(int, text) for text in "123"]
    pool.shutdown()
    assert [each.result() for each in results] == [1, 2, 3]


def test_threads_end_with_a_garbage_collected_pool() -> None:
    pool = DaemonThreadPool(2, thread_name_prefix="dropped")
    meeting = threading.Barrier(2)
    threads = {each.result() for each in [pool.submit(_met, meeting) for _ in range(2)]}
    assert len(threads) == 2
    del pool
    gc.collect()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def _met(meeting: threading.Barrier) -> threading.Thread:
    meeting.wait()
    return threading.current_thread()


def test_garbage_collected_pool_finishes_submitted_calls() -> None:
    pool = DaemonThreadPool(1, thread_name_prefix="dropped")
    results = [pool.submit(int, text) for text in "123"]
    del pool
    gc.collect()
    assert [each.result() for each in results] == [1, 2, 3]


async def test_garbage_collected_emulator_leaves_no_thread() -> None:
    before = {*threading.enumerate()}
    transport = httpx2.ASGITransport(create_app())
    async with httpx2.AsyncClient(transport=transport, base_url="http://x") as http:
        body = {"model": "gpt-image-2", "prompt": "x", "size": "1024x1024"}
        headers = {"authorization": "Bearer x"}
        answer = await http.post("/v1/images/generations", json=body, headers=headers)
        assert answer.status_code == 200
    del transport, http
    begun = {*threading.enumerate()} - before
    assert begun
    gc.collect()
    for thread in begun:
        thread.join(30)
        assert not thread.is_alive()


@pytest.mark.slow
def test_process_exits_beside_a_hanging_call() -> None:
    code = """
import asyncio, threading
from images_emulator.threads import DaemonThreadPool

async def main():
    begun = threading.Event()
    asyncio.get_running_loop().set_default_executor(DaemonThreadPool(1, thread_name_prefix="x"))

    def hang():
        begun.set()
        threading.Event().wait()

    waiting = asyncio.ensure_future(asyncio.to_thread(hang))
    while not begun.is_set():
        await asyncio.sleep(0)

asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

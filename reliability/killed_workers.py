"""Workers of which one is killed again and again: a call may fail only as its connection does, and
only when a worker was killed."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Final

import httpx2

from images_emulator.state.journal import Journal
from images_emulator.state.redis.redis_store import RedisStore
from reliability.mixed_calls import FAULT_WORD, FAULTS, KEY, Result, mix
from reliability.promise import Effort, Figure, Outcome

CLIENTS: Final = 32

KILL_SECONDS: Final = 30.0
"""Seconds between two kills, in a run of minutes."""

REPLACEMENT_SECONDS: Final = 20.0
POLL_SECONDS: Final = 0.25

JOURNAL_ENTRIES: Final = 5000
JOURNAL_BYTES: Final = 256 * 2**20

FLAGS: Final = (
    *("--journal-entries", str(JOURNAL_ENTRIES), "--journal-bytes", str(JOURNAL_BYTES)),
    *("--log-level", "warning"),
    *("--api-key", KEY, "--port", "0"),
)


@contextlib.asynccontextmanager
async def _workers(count: int, result: Result) -> AsyncIterator[tuple[str, int]]:
    """The URL and the process of a server with *count* workers. It has to end well."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "images_emulator", "serve", "--workers", str(count), *FLAGS),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout
    assert process.stderr
    line = (await process.stdout.readline()).decode().strip()
    notices = asyncio.ensure_future(process.stderr.read())
    try:
        if not line:
            raise RuntimeError((await notices).decode())
        yield line.removeprefix("Listening on "), process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.stdout.read()
        status = await process.wait()
        text = (await notices).decode()
        result.replacements = text.count("was ended by SIGKILL")
        if status or "Traceback" in text:
            result.mistakes.append(f"the server ended with {status}: {text[-2000:]}")


def _worker_pids(supervisor: int) -> list[int]:
    """The processes of the workers, which the supervisor has started."""
    done = subprocess.run(
        ["ps", "-Aww", "-o", "pid=,ppid=,command="],  # noqa: S607 - it is in another place on macOS
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split(None, 2) for line in done.stdout.splitlines()]
    return [
        int(pid)
        for pid, parent, command in rows
        if int(parent) == supervisor and "worker_process" in command
    ]


async def _replacement(supervisor: int, killed: int, workers: int) -> None:
    """Wait until the supervisor has replaced the worker *killed*, for `REPLACEMENT_SECONDS` at
    most. At the stop of the server no worker is replaced, and a busy machine takes its time."""
    for _ in range(round(REPLACEMENT_SECONDS / POLL_SECONDS)):
        pids = _worker_pids(supervisor)
        if killed not in pids and len(pids) == workers:
            return
        await asyncio.sleep(POLL_SECONDS)


async def run(
    seconds: float, *, kill_seconds: float, clients: int = 32, workers: int = 2
) -> Result:
    """Run *clients* for so many *seconds*. A worker, one after the other, is killed each
    *kill_seconds*."""
    result = Result()
    async with _workers(workers, result) as (url, supervisor), httpx2.AsyncClient() as http:
        fault = {"fault": "server_error", "times": FAULTS, "match": {"prompt": FAULT_WORD}}
        (await http.post(f"{url}/_emulator/inject", json=fault)).raise_for_status()
        address = (await http.get(f"{url}/_emulator/settings")).json()["store"]
        # All clients are one process, which is busy with pictures for longer than a server ever is.
        store = RedisStore(f"{address}?socket_timeout=60")
        journal = Journal(store, max_entries=JOURNAL_ENTRIES, max_bytes=JOURNAL_BYTES)
        calls = asyncio.ensure_future(mix(url, seconds, clients, result, journal))
        # None at the very end, where its replacement would be ended before it serves.
        for _ in range(math.ceil(seconds / kill_seconds) - 1):
            await asyncio.sleep(kill_seconds)
            pids = _worker_pids(supervisor)
            result.kills += 1
            killed = pids[result.kills % len(pids)]
            os.kill(killed, signal.SIGKILL)
            await _replacement(supervisor, killed, workers)
        await calls
        count = await journal.arrived_count()
        if count < result.checked:
            result.mistakes.append(f"the journal counts {count} calls of {result.checked}")
        await store.disconnect()
        store.close()
    judge(result, clients)
    return result


def judge(result: Result, clients: int) -> None:
    """Add the mistakes that only the end shows."""
    if result.failures[0]:
        result.mistakes.append(f"{result.failures[0]} calls failed before a worker was killed")
    for kill, count in result.failures.items():
        # Each client has one call at a time; some connections had just been opened to the worker.
        if count > 2 * clients:
            result.mistakes.append(f"{count} calls failed after kill {kill}")
    if result.replacements != result.kills:
        result.mistakes.append(f"{result.replacements} workers were replaced of {result.kills}")
    made = result.calls["calls that a fault is for"]
    lost = result.failures.total()
    if not min(made, FAULTS) - lost <= result.faults <= FAULTS:
        result.mistakes.append(f"{result.faults} faults were met, and {FAULTS} injected")


async def killed_workers(effort: Effort, _: str) -> Outcome:
    """See `run`."""
    seconds = effort.seconds
    result = await run(seconds, kill_seconds=min(KILL_SECONDS, seconds / 3), clients=CLIENTS)
    return Outcome(
        [
            Figure(sum(result.calls.values()), "calls", least=1),
            Figure(result.kills, "workers killed", least=1),
            Figure(result.failures.total(), "calls whose connection failed"),
            Figure(result.faults, f"of {FAULTS} faults met"),
        ],
        result.mistakes,
    )

"""Servers that are killed and started again, and a thousand of them in one process."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Final

from reliability.load import each_of
from reliability.mixed_calls import KEY
from reliability.ports import free_port
from reliability.promise import Effort, Figure, Outcome
from reliability.raw_calls import GENERATIONS, RawAnswer, ask, connected, post_json, read_all
from reliability.server_process import ServerProcess

KILLS: Final = 20
"""Times that a server is killed and started again."""

OPEN_CALLS: Final = 30
"""Calls that are open when a server is killed, and the connections that wait."""

SERVERS: Final = 1000
"""Servers of one process, one after the other."""

MAX_SERVERS_MB: Final = 20.0
"""Megabytes that those after the first tenth may add."""

ORPHAN_SECONDS: Final = 10.0
"""Seconds in which the render processes of a killed server end."""

BEGUN_SECONDS: Final = 0.1
"""Seconds of a processor that a render process takes to begin, and more."""

SMALL: Final = {
    "model": "dall-e-2",
    "prompt": "A lighthouse, ein Leuchtturm, маяк, 灯塔 🌊",
    "size": "256x256",
    "response_format": "b64_json",
}

LARGE: Final = {"model": "gpt-image-2", "size": "3840x2160", "quality": "low"}


def picture_of(answer: RawAnswer) -> str:
    """The picture of an answer, in base64. Raises ValueError where there is none."""
    if answer.status != 200:
        raise ValueError(f"{answer.status} {answer.body[:300]!r}")
    return str(answer.json()["data"][0]["b64_json"])


def children(process: int) -> set[int]:
    """The processes that *process* has started and that have not ended."""
    found: set[int] = set()
    for thread in Path(f"/proc/{process}/task").iterdir():
        with suppress(OSError):
            found |= {*map(int, (thread / "children").read_text().split())}
    return found


def _runs(process: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def _waits(process: int) -> bool:
    """Whether *process* has begun, and waits for something."""
    with suppress(OSError):
        state, *rest = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        used = int(rest[10]) / os.sysconf("SC_CLK_TCK")
        return state == "S" and used > BEGUN_SECONDS
    return False


async def _until(condition: Callable[[], object]) -> None:
    """Wait until *condition* is met, `ORPHAN_SECONDS` at most."""
    end = monotonic() + ORPHAN_SECONDS
    while not condition() and monotonic() < end:  # noqa: ASYNC110 - the system has no event for it
        await asyncio.sleep(0.05)


async def _ended(processes: set[int]) -> int:
    """How many of *processes* still run after `ORPHAN_SECONDS`."""
    await _until(lambda: not any(map(_runs, processes)))
    return sum(map(_runs, processes))


async def _left_open(port: int, number: int) -> None:
    """Make a call that is not answered before the server is killed: a slow stream, a large picture
    or half of an upload."""
    stream = {**LARGE, "prompt": f"open {number}", "stream": True, "partial_images": 3}
    data = post_json(GENERATIONS, stream, x_emulator_fault="latency;realistic=true")
    async with connected(port) as (reader, writer):
        writer.write(data if number % 2 else data[: len(data) // 2])
        with suppress(OSError):
            await read_all(reader)


async def killed_and_started(effort: Effort, loop: str) -> Outcome:
    """Each time a server has open calls and render processes, and starts on the port of the one
    before at once."""
    count = effort.count(KILLS, least=2)
    port = str(free_port())
    flags = ("--api-key", KEY, "--log-level", "error", "--port", port, "--render-processes", "1")
    right, orphans, mistakes = 0, 0, []
    expected = ""
    for _ in range(count):
        server = ServerProcess(*flags, loop=loop)
        try:
            picture = picture_of(await ask(server.port, post_json(GENERATIONS, SMALL)))
            expected = expected or picture
            right += picture == expected
            calls = [asyncio.ensure_future(_left_open(server.port, n)) for n in range(OPEN_CALLS)]
            await _until(partial(children, server.pid))
            started = children(server.pid)
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
            await asyncio.wait(calls)
        finally:
            server.stop()
        mistakes += [each for each in server.mistakes if "with -9" not in each]
        orphans += await _ended(started)
    return Outcome(
        [
            Figure(count, "servers killed"),
            Figure(right, "started again on the same port, with the same picture", least=count),
            Figure(orphans, "render processes left", most=0),
        ],
        mistakes,
    )


RENDER_KILLS: Final = 10
"""Times that a render process is stopped, and that one is killed, while pictures wait."""

WAITING: Final = 100
"""Pictures that are asked for each time."""


async def failing_render_processes(effort: Effort, loop: str) -> Outcome:
    """By turns, a process is killed and stopped while pictures wait for it."""
    count = 2 * effort.count(RENDER_KILLS)
    done = {signal.SIGKILL: 0, signal.SIGSTOP: 0}
    flags = ("--api-key", KEY, "--log-level", "error", "--render-processes", "1")
    answered, mistakes = 0, []
    numbers = itertools.count()
    with ServerProcess(*flags, loop=loop) as server:

        async def call(prompt: str) -> None:
            nonlocal answered
            fields = {**LARGE, "prompt": prompt, "size": "1024x1024"}
            picture_of(await ask(server.port, post_json(GENERATIONS, fields)))
            answered += 1

        for turn in range(count):
            # One that is killed twice before it has begun is not started again. It begins with
            # pictures of its own: what was asked for before is not drawn again.
            while not (processes := {*filter(_waits, children(server.pid))}):
                prompts = [f"before {next(numbers)}" for _ in range(40)]
                mistakes += await each_of(prompts, len(prompts), call)
                await asyncio.sleep(0.5)
            waiting = [f"{turn} {number}" for number in range(WAITING)]
            calls = asyncio.ensure_future(each_of(waiting, WAITING, call))
            await asyncio.sleep(0.01 * turn)
            sent = (signal.SIGKILL, signal.SIGSTOP)[turn % 2]
            for process in processes:
                os.kill(process, sent)
            done[sent] += 1
            mistakes += await calls
        started = children(server.pid)
    orphans = await _ended(started)
    return Outcome(
        [
            Figure(done[signal.SIGKILL], "render processes killed", least=1),
            Figure(done[signal.SIGSTOP], "stopped", least=1),
            Figure(answered, "pictures answered", least=count * WAITING),
            Figure(orphans, "render processes left", most=0),
        ],
        [*mistakes, *server.mistakes],
    )


_MANY_SERVERS: Final = """
import gc, json, os, sys, threading, urllib.request
from images_emulator import Server

def counts():
    gc.collect()
    pages = int(open("/proc/self/statm").read().split()[1])
    memory = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    return memory, len(os.listdir("/proc/self/fd")), threading.active_count()

count = int(sys.argv[1])
body = json.dumps({"model": "dall-e-2", "prompt": "x", "size": "256x256"}).encode()
head = {"authorization": "Bearer k", "content-type": "application/json"}
answered = 0
for number in range(count):
    with Server(as_of="2024-01-01") as server:
        url = f"{server.base_url}/images/generations"
        with urllib.request.urlopen(urllib.request.Request(url, body, head)) as answer:
            picture = json.load(answer)["data"][0]["url"]
        with urllib.request.urlopen(picture) as answer:
            answered += answer.read(4) == b"\\x89PNG"
    if number + 1 == max(1, count // 10):
        before = counts()
print(json.dumps([answered, *(b - a for a, b in zip(before, counts()))]))
"""


async def many_servers(effort: Effort, _: str) -> Outcome:
    """Each answers a call and a download."""
    count = effort.count(SERVERS, least=10)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _MANY_SERVERS, str(count)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    output, errors = await process.communicate()
    mistakes = [errors.decode()[-2000:]] if errors else []
    answered, memory, descriptors, threads = json.loads(output or "[0, 0, 0, 0]")
    return Outcome(
        [
            Figure(answered, "servers answered, one after the other", least=count),
            Figure(memory, "MB more memory", most=MAX_SERVERS_MB),
            Figure(descriptors, "more descriptors", most=0),
            Figure(threads, "more threads", most=0),
        ],
        mistakes,
    )

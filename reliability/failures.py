"""Failures that are injected into the server: memory that is not there, a store and a socket that
fail. And resources that are short, and odd surroundings."""

from __future__ import annotations

import asyncio
import base64
import io
import resource
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from PIL import Image

from reliability.flakes import other_clock
from reliability.load import each_of
from reliability.mixed_calls import KEY
from reliability.promise import Effort, Figure, Outcome
from reliability.raw_calls import (
    EDITS,
    FORM,
    GENERATIONS,
    BrokenAnswerError,
    ask,
    connected,
    form,
    parsed,
    post_json,
    read_all,
    request,
)
from reliability.server_process import ServerProcess
from reliability.stopping import LARGE, SMALL, picture_of


class Failing(NamedTuple):
    """A function that fails, as `Probe.fail` names it, with an exception."""

    target: str
    error: str


FAILING: Final = (
    *(Failing(f"PIL.Image:{name}", "MemoryError") for name in ("open", "new", "merge")),
    *(
        Failing(f"PIL.Image:Image.{name}", "MemoryError")
        for name in ("load", "convert", "resize", "paste", "tobytes", "copy", "crop")
    ),
    Failing("images_emulator.imaging.decoder:_decode", "MemoryError"),
    Failing("images_emulator.imaging.render:render_image", "MemoryError"),
    *(
        Failing(f"images_emulator.state.memory_store:{name}", "OSError")
        for name in ("MemoryLog.append", "MemoryLog.amend")
    ),
    Failing("images_emulator.buffered_transport:BufferedTransport.write", "OSError"),
)
"""Functions that decode and draw, keep, and send."""

MAX_USES: Final = 40
"""Uses of one function in one call, each of which fails once."""

SHORT_DESCRIPTORS: Final = 64
"""Descriptors that a server may have, and fewer than its clients."""

CONNECTIONS: Final = 300
"""Connections that are open at once to a server with few descriptors."""

SURROUNDINGS: Final[Sequence[Mapping[str, str]]] = (
    {},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"LC_ALL": "tr_TR.UTF-8"},
    {"LC_ALL": "xx_XX", "LANG": ""},
    {"PYTHONIOENCODING": "ascii"},
    {"TZ": "Pacific/Kiritimati"},
    {"TZ": "America/St_Johns"},
    {"TZ": "nonsense/zone"},
    {"HOME": "/nonexistent", "PATH": ""},
    {"PYTHONHASHSEED": "7", "PYTHONOPTIMIZE": "1"},
)
"""Environment variables of servers that answer alike."""

JUMPS: Final = (
    datetime(2026, 7, 1),
    datetime(2099, 12, 31),
    datetime(1999, 1, 1),
    datetime(2038, 2, 1),
    datetime(2025, 5, 1),
)
"""Times of the system's clock, one after the other."""


def _calls() -> Mapping[str, bytes]:
    file = io.BytesIO()
    Image.new("RGBA", (300, 300), "teal").save(file, "PNG")
    fields = {"prompt": "x", "response_format": "b64_json", "size": "256x256"}
    edit = form({**fields, "model": "dall-e-2"}, {"image": file.getvalue()})
    jpeg = {"model": "gpt-image-2", "prompt": "x", "quality": "low", "output_format": "jpeg"}
    return {
        "generation": post_json(GENERATIONS, SMALL),
        "edit": request("POST", EDITS, edit, content_type=FORM),
        "JPEG": post_json(GENERATIONS, jpeg),
    }


async def _picture(port: int, call: bytes) -> str:
    return picture_of(await ask(port, call))


async def injected_failures(effort: Effort, loop: str) -> Outcome:
    """Each use of each function in each call fails once. The call ends in an answer or with its
    connection, and the same call after it is right."""
    statuses: Counter[int] = Counter()
    failures, right, mistakes = 0, 0, []
    flags = ("--api-key", KEY, "--log-level", "error", "--cache", "0", "--render-processes", "0")
    most = effort.count(MAX_USES, least=3)
    with ServerProcess(*flags, loop=loop) as server:
        for name, call in _calls().items():
            expected = await _picture(server.port, call)
            for target, error in FAILING:
                for use in range(1, most + 1):
                    server.ask("fail", target, use, error)
                    try:
                        async with connected(server.port) as (reader, writer):
                            writer.write(call)
                            data = await read_all(reader)
                        statuses[parsed(data).status if data else 0] += 1
                    except (ConnectionResetError, BrokenAnswerError):
                        statuses[0] += 1
                    except TimeoutError:
                        mistakes.append(f"{name} hangs where use {use} of {target} fails")
                    if server.ask("mend") < use:
                        break
                    failures += 1
                    try:
                        again = await _picture(server.port, call)
                    except (OSError, TimeoutError, ValueError, BrokenAnswerError) as wrong:
                        again = f"{wrong}"
                    if again == expected:
                        right += 1
                    else:
                        mistakes.append(f"{name} after use {use} of {target}: {again[:300]}")
        server.stop()
    # That the server tells of a failure is right.
    mistakes += [each for each in server.mistakes if "wrote to stderr" not in each]
    return Outcome(
        [
            Figure(failures, "failures injected", least=1),
            Figure(statuses[0], "of them closed the connection"),
            Figure(statuses[500], "were answered 500"),
            Figure(right, "calls after them were right", least=failures),
        ],
        mistakes,
    )


async def few_descriptors(effort: Effort, loop: str) -> Outcome:
    """More clients connect than the server has descriptors for; then all but one leave."""
    count = effort.count(CONNECTIONS, least=2 * SHORT_DESCRIPTORS)
    limits = {"NOFILE": SHORT_DESCRIPTORS}
    call = post_json(GENERATIONS, SMALL)
    flags = ("--api-key", KEY, "--log-level", "error")
    with ServerProcess(*flags, loop=loop, limits=limits) as server:
        expected = await _picture(server.port, call)
        answered = 0
        async with AsyncExitStack() as stack:
            for _ in range(count):
                _, writer = await stack.enter_async_context(connected(server.port))
                writer.write(call[:20])
            await asyncio.sleep(1)
        # Without a free descriptor libuv resets the connections that wait, also those of new
        # clients. So the server has to notice first that the others have left.
        for _ in range(1000):
            if server.descriptors() < SHORT_DESCRIPTORS - 10:
                break
            await asyncio.sleep(0.01)

        async def again(_: int) -> None:
            nonlocal answered
            picture = await _picture(server.port, call)
            answered += picture == expected

        mistakes = await each_of(range(20), 4, again)
        server.stop()
    mistakes += [each for each in server.mistakes if "Traceback" in each or "stderr" not in each]
    return Outcome(
        [
            Figure(count, f"connections to a server with {SHORT_DESCRIPTORS} descriptors"),
            Figure(answered, "calls answered right after them", least=20),
        ],
        mistakes,
    )


async def odd_surroundings(_: Effort, loop: str) -> Outcome:
    """Servers with other variables of the environment draw the same picture, and end well."""
    pictures: Counter[str] = Counter()
    mistakes = []
    for variables in SURROUNDINGS:
        # At its usual level the server writes a line for each call.
        with ServerProcess("--api-key", KEY, loop=loop, variables=variables) as server:
            call = {**SMALL, "model": "gpt-image-2", "quality": "low", "size": "1024x1024"}
            del call["response_format"]
            pictures[await _picture(server.port, post_json(GENERATIONS, call))] += 1
        mistakes += [f"{variables}: {each}" for each in server.mistakes]
    return Outcome(
        [
            Figure(pictures.total(), "surroundings", least=len(SURROUNDINGS)),
            Figure(len(pictures), "different pictures", most=1),
        ],
        mistakes,
    )


async def little_memory(_: Effort, loop: str) -> Outcome:
    """A server gets no more memory than it has, until calls of each kind were made."""
    statuses: Counter[int] = Counter()
    flags = ("--api-key", KEY, "--log-level", "error", "--cache", "0", "--render-processes", "0")
    large = post_json(GENERATIONS, {**LARGE, "prompt": "x"})
    calls = _calls()
    right, mistakes = 0, []
    with ServerProcess(*flags, loop=loop) as server:
        expected = {name: await _picture(server.port, call) for name, call in calls.items()}
        unlimited = resource.prlimit(server.pid, resource.RLIMIT_AS)
        most = server.address_space(), unlimited[1]
        resource.prlimit(server.pid, resource.RLIMIT_AS, most)
        for call in (large, *calls.values()):
            try:
                answer = await ask(server.port, call)
            except (ConnectionResetError, BrokenAnswerError):
                statuses[0] += 1
                continue
            statuses[answer.status] += 1
            if answer.status not in (200, 500) or b"Traceback" in answer.body:
                mistakes.append(f"{answer.status} {answer.body[:300]!r}")
        resource.prlimit(server.pid, resource.RLIMIT_AS, unlimited)
        for name, call in calls.items():
            right += await _picture(server.port, call) == expected[name]
        picture_of(await ask(server.port, large))
        server.stop()
    mistakes += [each for each in server.mistakes if "wrote to stderr" not in each]
    return Outcome(
        [
            Figure(statuses[500] + statuses[0], "calls for which memory was short", least=1),
            Figure(right, "calls right once there was more", least=len(calls)),
        ],
        mistakes,
    )


async def jumping_clock(_: Effort, loop: str) -> Outcome:
    """The system's clock jumps, far ahead and far back, between the calls to one server."""
    right, mistakes = 0, []
    flags = ("--api-key", KEY, "--log-level", "error")
    by_url = {**SMALL, "response_format": "url"}
    fault = {"x_emulator_fault": "latency;seconds=0.05"}
    with (
        other_clock(JUMPS[0]) as variables,
        ServerProcess(*flags, loop=loop, variables=variables) as server,
    ):
        expected = await _picture(server.port, post_json(GENERATIONS, SMALL))
        for day in JUMPS:
            server.ask("show_time", round((day - datetime.now()).total_seconds()))
            answer = await ask(server.port, post_json(GENERATIONS, by_url, **fault))
            document = answer.json()
            shown = datetime.fromtimestamp(document["created"])
            if abs(shown - day) > timedelta(days=1):
                mistakes.append(f"on {day} the call was answered on {shown}")
            path = urlsplit(document["data"][0]["url"])
            file = await ask(server.port, request("GET", f"{path.path}?{path.query}"))
            picture = await _picture(server.port, post_json(GENERATIONS, SMALL))
            right += picture == expected == base64.b64encode(file.body).decode()
        calls = (await ask(server.port, request("GET", "/_emulator/requests"))).json()
    return Outcome(
        [
            Figure(len(JUMPS), "times of the system's clock"),
            Figure(right, "with the same picture, also by its URL", least=len(JUMPS)),
            Figure(calls["total"], "calls in the journal", least=2 * len(JUMPS) + 1),
        ],
        [*mistakes, *server.mistakes],
    )

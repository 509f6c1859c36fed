"""Clients with mixed calls, against workers of which one is killed again and again.

    python -m benchmarks.reliability --minutes 10

Each client makes one call after the other, and checks the answer: its status, its message, the
picture by the recipe in it. Then it looks the call up in the journal, in the Redis of the workers.
A call may fail only as its connection does, and only when a worker was killed. Exits with 1
otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from random import Random
from time import monotonic
from typing import Any, Final

import httpx2
from PIL import Image

from images_emulator import read_recipe
from images_emulator.state.journal import Journal
from images_emulator.state.redis_store import RedisStore

KEY: Final = "sk-reliability"
TIMEOUT_SECONDS: Final = 60.0
"""Seconds for one call; one that takes longer is a mistake."""

FAULTS: Final = 40
"""How often the injected fault is met."""

FAULT_WORD: Final = "fails"
"""The word in a prompt that meets it."""

JOURNAL_ENTRIES: Final = 5000
JOURNAL_BYTES: Final = 256 * 2**20

FLAGS: Final = (
    *("--journal-entries", str(JOURNAL_ENTRIES), "--journal-bytes", str(JOURNAL_BYTES)),
    *("--log-level", "warning"),
    *("--api-key", KEY, "--port", "0"),
)

CONNECTION_ERRORS: Final = (httpx2.NetworkError, httpx2.RemoteProtocolError)
"""The exceptions of a call whose connection fails. A timeout is none of them."""

MAX_MISTAKES: Final = 20
"""Mistakes that are told one by one."""


@dataclass(slots=True)
class Result:
    """The outcome of a run. *mistakes* are sentences; *failures* calls whose connection failed, by
    the number of kills before them, *checked* those that were answered and are in the journal."""

    kills: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    checked: int = 0
    failures: Counter[int] = field(default_factory=Counter)
    mistakes: list[str] = field(default_factory=list)
    faults: int = 0
    replacements: int = 0
    """The notices of replaced workers."""

    def text(self) -> str:
        """The outcome in words."""
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in self.calls.most_common())
        lines = [
            f"{sum(self.calls.values()):,} calls: {kinds}",
            f"{self.checked:,} answered, each as it should be and in the journal",
            f"{self.kills} workers killed, {self.replacements} replaced; "
            f"{self.failures.total()} calls failed with their connection, "
            f"at most {max(self.failures.values(), default=0)} beside one kill",
            f"{self.faults} of {FAULTS} faults met",
            f"{len(self.mistakes)} mistakes",
            *self.mistakes[:MAX_MISTAKES],
        ]
        return "\n".join(lines)


class WrongAnswerError(AssertionError):
    """An answer is not as it should be."""


def _check(condition: object, answer: httpx2.Response, what: str) -> None:
    if not condition:
        raise WrongAnswerError(f"{what}: {answer.status_code} {answer.content[:300]!r}")


def _check_picture(data: bytes, prompt: str, size: tuple[int, int]) -> None:
    with Image.open(BytesIO(data)) as image:
        image.load()
        drawn = image.size
    recipe = read_recipe(data) or {}
    if drawn != size or recipe.get("prompt") != prompt:
        raise WrongAnswerError(f"a picture of {prompt!r}: {drawn}, {recipe}")


def _upload() -> bytes:
    file = BytesIO()
    Image.new("RGBA", (256, 256), "teal").save(file, "PNG")
    return file.getvalue()


class Client:
    """One client: its calls, of all kinds, each with another prompt."""

    def __init__(self, number: int, url: str, journal: Journal, result: Result) -> None:
        self._url = url
        self._journal = journal
        self._number = number
        self._random = Random(number)
        self._result = result
        self._count = 0
        self._upload = _upload()
        headers = {"authorization": f"Bearer {KEY}"}
        self._http = httpx2.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT_SECONDS)
        self._kinds: Sequence[tuple[str, Callable[[str], Awaitable[str]]]] = (
            ("pictures", self._generation),
            ("repeated pictures", self._repeated),
            ("pictures by URL", self._by_url),
            ("streams", self._stream),
            ("edits", self._edit),
            ("refusals", self._refusal),
            ("lists of models", self._models),
            ("files", self._file),
            ("calls that a fault is for", self._fault),
        )

    async def run(self, end: float) -> None:
        """Make calls until the time *end* of `monotonic`."""
        async with self._http:
            while monotonic() < end:
                await self._call()

    async def _call(self) -> None:
        result = self._result
        name, call = self._random.choice(self._kinds)
        self._count += 1
        result.calls[name] += 1
        try:
            identity = await call(f"client {self._number} call {self._count}")
        except (
            httpx2.ConnectError,
            httpx2.ReadError,
            httpx2.WriteError,
            httpx2.RemoteProtocolError,
        ):
            result.failures[result.kills] += 1
            return
        except (WrongAnswerError, httpx2.HTTPError, ValueError, KeyError, OSError) as error:
            result.mistakes.append(f"{name}: {type(error).__name__}: {error}")
            return
        try:
            await self._look_up(identity)
        except WrongAnswerError as error:
            result.mistakes.append(f"{name}: {error}")
        else:
            result.checked += 1

    async def _look_up(self, identity: str) -> None:
        """Find the call in the journal. Raises WrongAnswerError."""
        entry = await self._journal.get(identity)
        if entry is None:
            raise WrongAnswerError(f"{identity} is not in the journal")
        if entry.duration_ms is None:
            raise WrongAnswerError(f"{identity} is in the journal without its answer")

    async def _post(self, status: int, fields: Mapping[str, Any]) -> httpx2.Response:
        answer = await self._http.post("/v1/images/generations", json=fields)
        _check(answer.status_code == status, answer, f"{fields}")
        return answer

    async def _generation(self, prompt: str) -> str:
        fields = {"model": "gpt-image-2", "prompt": prompt, "size": "1024x1024", "quality": "low"}
        return self._checked_picture(await self._post(200, fields), prompt, (1024, 1024))

    async def _repeated(self, _: str) -> str:
        prompt = f"the same {self._random.randrange(4)}"
        fields = {"model": "dall-e-2", "prompt": prompt, "size": "256x256"}
        answer = await self._post(200, fields | {"response_format": "b64_json"})
        return self._checked_picture(answer, prompt, (256, 256))

    def _checked_picture(self, answer: httpx2.Response, prompt: str, size: tuple[int, int]) -> str:
        (picture,) = answer.json()["data"]
        _check_picture(base64.b64decode(picture["b64_json"]), prompt, size)
        return str(answer.headers["x-request-id"])

    async def _by_url(self, prompt: str) -> str:
        fields = {"model": "dall-e-2", "prompt": prompt, "size": "256x256"}
        answer = await self._post(200, fields)
        (picture,) = answer.json()["data"]
        download = await self._http.get(picture["url"])
        _check(download.status_code == 200, download, "a hosted picture")
        _check_picture(download.content, prompt, (256, 256))
        return str(answer.headers["x-request-id"])

    async def _stream(self, prompt: str) -> str:
        fields = {"model": "gpt-image-2", "prompt": prompt, "stream": True, "partial_images": 2}
        answer = await self._post(200, fields | {"quality": "low"})
        events = [json.loads(line[6:]) for line in answer.text.splitlines() if line[:6] == "data: "]
        types = [event["type"].rpartition(".")[2] for event in events]
        _check(types == ["partial_image", "partial_image", "completed"], answer, f"{types}")
        _check_picture(base64.b64decode(events[-1]["b64_json"]), prompt, (1024, 1024))
        return str(answer.headers["x-request-id"])

    async def _edit(self, prompt: str) -> str:
        answer = await self._http.post(
            "/v1/images/edits",
            data={"model": "dall-e-2", "prompt": prompt, "response_format": "b64_json"}
            | {"size": "256x256"},
            files={"image": ("a.png", self._upload, "image/png")},
        )
        _check(answer.status_code == 200, answer, "an edit")
        return self._checked_picture(answer, prompt, (256, 256))

    async def _refusal(self, prompt: str) -> str:
        answer = await self._post(400, {"model": "gpt-image-2", "prompt": prompt, "n": 99})
        error = answer.json()["error"]
        _check(error["param"] == "n", answer, "a refusal")
        return str(answer.headers["x-request-id"])

    async def _models(self, _: str) -> str:
        answer = await self._http.get("/v1/models")
        _check(answer.status_code == 200 and answer.json()["data"], answer, "the list of models")
        return str(answer.headers["x-request-id"])

    async def _file(self, prompt: str) -> str:
        content = prompt.encode()
        answer = await self._http.post(
            "/v1/files", data={"purpose": "user_data"}, files={"file": ("a.txt", content)}
        )
        _check(answer.status_code == 200, answer, "an upload")
        path = f"/v1/files/{answer.json()['id']}"
        read = await self._http.get(f"{path}/content")
        _check(read.content == content, read, "the content of a file")
        deleted = await self._http.delete(path)
        _check(deleted.status_code == 200, deleted, "the end of a file")
        return str(answer.headers["x-request-id"])

    async def _fault(self, prompt: str) -> str:
        fields = {"model": "dall-e-2", "prompt": f"{prompt} {FAULT_WORD}", "size": "256x256"}
        answer = await self._http.post("/v1/images/generations", json=fields)
        _check(answer.status_code in (200, 500), answer, "a call that a fault is for")
        self._result.faults += answer.status_code == 500
        return str(answer.headers["x-request-id"])


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


async def run(
    seconds: float, *, kill_seconds: float, clients: int = 32, workers: int = 2
) -> Result:
    """Run *clients* for so many *seconds*. A worker, one after the other, is killed each
    *kill_seconds*."""
    result = Result()
    async with _workers(workers, result) as (url, supervisor), httpx2.AsyncClient() as http:
        fault = {"fault": "server_error", "times": FAULTS, "match": {"prompt": FAULT_WORD}}
        (await http.post(f"{url}/_emulator/inject", json=fault)).raise_for_status()
        store = RedisStore((await http.get(f"{url}/_emulator/settings")).json()["store"])
        journal = Journal(store, max_entries=JOURNAL_ENTRIES, max_bytes=JOURNAL_BYTES)
        end = monotonic() + seconds
        calls = [
            asyncio.ensure_future(Client(number, url, journal, result).run(end))
            for number in range(clients)
        ]
        while monotonic() + kill_seconds < end:
            await asyncio.sleep(kill_seconds)
            pids = _worker_pids(supervisor)
            result.kills += 1
            os.kill(pids[result.kills % len(pids)], signal.SIGKILL)
        await asyncio.gather(*calls)
        count = await journal.count()
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


def main() -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser("python -m benchmarks.reliability", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long")
    parser.add_argument("--kill-seconds", type=float, default=30.0, help="between two kills")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    result = asyncio.run(
        run(
            60 * arguments.minutes,
            kill_seconds=arguments.kill_seconds,
            clients=arguments.clients,
            workers=arguments.workers,
        )
    )
    print(result.text())
    return int(bool(result.mistakes))


if __name__ == "__main__":
    sys.exit(main())

"""Clients that make calls of all kinds, and check each answer.

Each client makes one call after the other, and checks the answer: its status, its message, the
picture by the recipe in it. Then it looks the call up in the journal.
"""

from __future__ import annotations

import base64
import json
import ssl
from asyncio import gather
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from random import Random
from time import monotonic
from typing import Any, Final

import httpx2
from PIL import Image

from images_emulator import read_recipe
from images_emulator.state.journal import Journal

KEY: Final = "sk-reliability"
TIMEOUT_SECONDS: Final = 60.0
"""Seconds for one call; one that takes longer is a mistake."""

FAULTS: Final = 40
"""How often the injected fault is met."""

FAULT_WORD: Final = "fails"
"""The word in a prompt that meets it."""

_NO_CERTIFICATES: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Makes clients quick to create: no call here has TLS."""


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

    def __init__(
        self, number: int, url: str, result: Result, journal: Journal | None = None
    ) -> None:
        """*journal* is that of the server, where another one than by its admin API is quicker."""
        self._url = url
        self._journal = journal
        self._number = number
        self._random = Random(number)
        self._result = result
        self._count = 0
        self._upload = _upload()
        headers = {"authorization": f"Bearer {KEY}"}
        self._http = httpx2.AsyncClient(
            base_url=url, headers=headers, timeout=TIMEOUT_SECONDS, verify=_NO_CERTIFICATES
        )
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
        except (WrongAnswerError, httpx2.HTTPError) as error:
            result.mistakes.append(f"{name}: {error}")
        else:
            result.checked += 1

    async def _look_up(self, identity: str) -> None:
        """Find the call in the journal. Raises WrongAnswerError."""
        if self._journal:
            entry = await self._journal.get(identity)
            found, whole = entry is not None, entry and entry.has_ended
        else:
            answer = await self._http.get(f"/_emulator/requests/{identity}")
            found = answer.status_code == 200
            whole = found and answer.json()["duration_ms"] is not None
        if not found:
            raise WrongAnswerError(f"{identity} is not in the journal")
        if not whole:
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
        fields = {"model": "gpt-image-2", "prompt": prompt, "size": "1024x1024", "quality": "low"}
        answer = await self._post(200, fields | {"stream": True, "partial_images": 2})
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


async def mix(
    url: str, seconds: float, clients: int, result: Result, journal: Journal | None = None
) -> None:
    """Let so many *clients* make calls for so many *seconds*. Adds what came of it to *result*."""
    all_clients = [Client(number, url, result, journal) for number in range(clients)]
    end = monotonic() + seconds
    await gather(*(client.run(end) for client in all_clients))

"""Hosted pictures: the blob storage behind `response_format: url`. URLs live an hour or a day.

A dialect gives the URLs the form of recorded URLs. What is kept of a picture is not its file, but a
value from which the caller can draw it again. So an hour of answers takes little memory.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar
from urllib.parse import parse_qsl, quote

from images_emulator.contract import blob_storage
from images_emulator.contract.calendar import Day, version_on
from images_emulator.contract.dialect import OPENAI, HostedURLs
from images_emulator.state.account import Account
from images_emulator.state.clock import Clock
from images_emulator.state.random_ids import random_id
from images_emulator.state.store import Codec, ContainerSize, Register, Store

T = TypeVar("T")

LIFE: Final = OPENAI.hosted_urls.life
"""How long OpenAI's URLs are valid; also the `max-age` of a download."""

DOWNLOAD_PREFIX: Final = "/private/"
"""The beginning of the paths of all hosted pictures."""


def _iso_time(time: datetime) -> str:
    """A time as queries have it, such as `2026-11-01T12:00:00Z`."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Hosting(Generic[T]):
    """The hosted pictures of an *account*, each as a value of type T, by the paths of their URLs.
    Publishing drops the oldest pictures: those past the *budget* of bytes, and those up to the
    first that has not expired. Any thread may use it."""

    def __init__(
        self,
        clock: Clock,
        store: Store,
        account: Register[Account],
        codec: Codec[T],
        budget: int,
    ) -> None:
        self._clock = clock
        self._account = account
        self._pictures = store.records("hosted", budget, codec)

    def publish(
        self,
        contents: Sequence[T],
        weight: int,
        created: datetime,
        urls: HostedURLs = OPENAI.hosted_urls,
        *,
        request_id: str = "",
        day: Day = None,
    ) -> tuple[list[str], Coroutine[Any, Any, None]]:
        """Host the pictures of the call *request_id*, each of about *weight* bytes, for the life of
        *urls* from *created* on. Return the paths and queries of their URLs, which have the service
        version of *day*, and the coroutine that stores the pictures. A shared store stores them
        together with its next operation."""
        account = self._account.value
        common = {
            "account": account.blob_folder,
            "request_id": request_id,
            "start": _iso_time(created - urls.life),
            "expiry": _iso_time(created + urls.life),
            "key_start": _iso_time(created + urls.key_start),
            "key_expiry": _iso_time(created + urls.key_expiry),
            "signer": account.signer_id,
            "service_version": version_on(day, urls.service_version, urls.earlier_versions),
            "signature": "",
        }
        targets, paths = [], []
        for index in range(len(contents)):
            parts = {**common, "index": index, "random": random_id()}
            path = DOWNLOAD_PREFIX + urls.path.format_map(parts)
            query = {name: value.format_map(parts) for name, value in urls.query.items()}
            query["sig"] = self._signature(path, query)
            # Recorded URLs escape colons, but no slashes.
            pairs = (f"{key}={quote(value, safe='/')}" for key, value in query.items())
            paths.append(path)
            targets.append(f"{path}?{'&'.join(pairs)}")
        stored = self._pictures.put(
            dict(zip(paths, contents, strict=True)),
            weight,
            now=self._clock.now(),
            expiry=created + urls.life,
            soon=True,
        )
        return targets, stored

    async def peek(self, path: str) -> T | None:
        """The content under *path*, whatever its URL's query; None where there is none."""
        return await self._pictures.get(path)

    async def find(
        self, path: str, query: str, *, is_expired: bool = False, content: T | None = None
    ) -> T:
        """The content under *path* and *query*; *content* is given where `peek` has found it.
        Raises StorageError for a URL that is wrong or expired, or has no content. With *is_expired*
        any right URL counts as expired."""
        parameters = dict(parse_qsl(query))
        if not parameters.get("sig"):
            raise blob_storage.unsigned_url()
        if not self.is_signed(path, query):
            raise blob_storage.signature_mismatch()
        now = self._clock.now()
        if is_expired:
            now = max(now, datetime.fromisoformat(parameters["se"]) + timedelta(seconds=1))
        if not parameters.get("st", "") <= _iso_time(now) <= parameters["se"]:
            raise blob_storage.outside_validity(parameters.get("st"), parameters["se"], now)
        if content is None:
            content = await self._pictures.get(path)
        if content is None:
            raise blob_storage.blob_not_found()
        return content

    def is_signed(self, path: str, query: str) -> bool:
        """Whether *query* has the signature of this *path*, even if the URL has expired."""
        parameters = dict(parse_qsl(query))
        signature = parameters.pop("sig", "").encode()
        # The signed text joins path and query by line ends. So a path with line ends may have the
        # signature of another URL, whose first parameters it contains; `se` may be one of them.
        is_right = hmac.compare_digest(signature, self._signature(path, parameters).encode())
        return is_right and "se" in parameters

    async def expiries(self) -> list[datetime]:
        """The expiry times of the URLs of pictures that can still be downloaded, in no order."""
        return await self._pictures.expiries(self._clock.now())

    async def size(self) -> ContainerSize:
        """The number of pictures and their bytes. Expired ones count until they are dropped."""
        return await self._pictures.size()

    async def clear(self) -> None:
        """Remove all pictures; their URLs answer 404 from then on."""
        await self._pictures.clear()

    def _signature(self, path: str, query: dict[str, str]) -> str:
        signed = "\n".join(
            [path, *(f"{key}={query[key]}" for key in sorted(query) if key != "sig")]
        )
        digest = hmac.digest(self._account.value.secret, signed.encode(), hashlib.sha256)
        return base64.b64encode(digest).decode()

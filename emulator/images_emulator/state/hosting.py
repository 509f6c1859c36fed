"""Pictures by URL, for an hour or a day: the blob store behind `response_format: url`.

URLs have the shape of the recorded ones, which a dialect knows. What is kept is whatever the caller
can draw the picture from again, so an hour of answers costs little; past the budget the oldest go.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Final, Generic, TypeVar
from urllib.parse import parse_qsl, quote
from uuid import uuid4

from images_emulator.contract import storage
from images_emulator.contract.dialect import OPENAI, HostedURLs
from images_emulator.state.clock import Clock
from images_emulator.state.identity import random_id

T = TypeVar("T")

LIFE: Final = OPENAI.hosted.life
BUDGET: Final = 128 * 2**20
"""Bytes that all hosted pictures together may weigh."""

PREFIX: Final = "/private/"


@dataclass(frozen=True, slots=True)
class _Hosted(Generic[T]):
    content: T
    weight: int
    expiry: datetime


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Hosting(Generic[T]):
    """What has been published and can still be had. Any thread may reset it."""

    def __init__(self, clock: Clock, budget: int = BUDGET) -> None:
        self._clock = clock
        self._budget = budget
        self._secret = secrets.token_bytes(32)
        self._account = f"org-{random_id()}/user-{random_id()}"
        self._signer = str(uuid4())
        self._hosted: OrderedDict[str, _Hosted[T]] = OrderedDict()
        self._weight = 0
        self._lock = Lock()

    def publish(
        self,
        content: T,
        weight: int,
        created: datetime,
        urls: HostedURLs = OPENAI.hosted,
        *,
        request_id: str = "",
        index: int = 0,
    ) -> str:
        """Host *content*, which holds about *weight* bytes, for the life of *urls* from *created*
        on, as picture *index* (from 0) of the call *request_id*; the path and query of its URL."""
        parts = {
            "account": self._account,
            "request_id": request_id,
            "random": random_id(),
            "index": index,
            "start": _stamp(created - urls.life),
            "expiry": _stamp(created + urls.life),
            "key_start": _stamp(created + urls.key_start),
            "key_expiry": _stamp(created + urls.key_expiry),
            "signer": self._signer,
            "signature": "",
        }
        path = PREFIX + urls.path.format_map(parts)
        query = {name: value.format_map(parts) for name, value in urls.query.items()}
        query["sig"] = self._sign(path, query)
        self._keep(path, _Hosted(content, weight, created + urls.life))
        # In the recorded URLs slashes stand as they are and colons do not.
        pairs = (f"{key}={quote(value, safe='/')}" for key, value in query.items())
        return f"{path}?{'&'.join(pairs)}"

    def peek(self, path: str) -> T | None:
        """What was published under this *path*, whether its URL is right or not; None for what is
        not kept."""
        hosted = self._hosted.get(path)
        return hosted.content if hosted else None

    def find(self, path: str, query: str, *, expired: bool = False) -> T:
        """What was published under this *path* and *query*. Raises StorageError, for a right URL
        also where it is to count as *expired*."""
        given = dict(parse_qsl(query))
        if not given.get("sig"):
            raise storage.unsigned_url()
        if not self.is_signed(path, query):
            raise storage.signature_mismatch()
        now = self._clock.now()
        if expired:
            now = max(now, datetime.fromisoformat(given["se"]) + timedelta(seconds=1))
        if not given.get("st", "") <= _stamp(now) <= given["se"]:
            raise storage.outside_validity(given.get("st"), given["se"], now)
        hosted = self._hosted.get(path)
        if hosted is None:
            raise storage.blob_not_found()
        return hosted.content

    def is_signed(self, path: str, query: str) -> bool:
        """Whether *query* has the signature of this *path*, be the URL expired or not."""
        given = dict(parse_qsl(query))
        signature = given.pop("sig", "").encode()
        return hmac.compare_digest(signature, self._sign(path, given).encode())

    def reset(self) -> None:
        with self._lock:
            self._hosted.clear()
            self._weight = 0

    def _sign(self, path: str, query: dict[str, str]) -> str:
        signed = "\n".join(
            [path, *(f"{key}={query[key]}" for key in sorted(query) if key != "sig")]
        )
        digest = hmac.digest(self._secret, signed.encode(), hashlib.sha256)
        return base64.b64encode(digest).decode()

    def _keep(self, path: str, hosted: _Hosted[T]) -> None:
        now = self._clock.now()
        with self._lock:
            self._hosted[path] = hosted
            self._weight += hosted.weight
            while self._hosted:
                oldest = next(iter(self._hosted.values()))
                if self._weight <= self._budget and oldest.expiry >= now:
                    break
                self._hosted.popitem(last=False)
                self._weight -= oldest.weight

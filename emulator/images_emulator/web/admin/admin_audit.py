"""The audit of the admin API: a log record for each call whose method is not safe, whether it
changes something or is refused, and for each call that is refused access. Any other call has
none."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from time import monotonic, perf_counter, time
from typing import Final, NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from images_emulator.admin_prefix import ADMIN_PREFIX, SAFE_METHODS
from images_emulator.contract.message_format import mask_key
from images_emulator.exchange.credentials import redacted_text
from images_emulator.namespace_names import name_of_key
from images_emulator.setting_values import NamespaceBy
from images_emulator.settings import Settings

logger: Final = logging.getLogger("images_emulator.admin")

REPEAT_SECONDS: Final = 60.0
"""Seconds for which a client's further refusals for the same reason are counted, not logged."""

MAX_REPEATS: Final = 100
"""The most pairs of a client and a reason whose refusals are counted."""

_NAMESPACES: Final = f"{ADMIN_PREFIX}/namespaces/"


class AdminAction(NamedTuple):
    """A call of the admin API, as the attribute `action` of its log record. It has no
    credentials."""

    time: float
    """The time at which its answer began, in seconds since the epoch."""
    client: str | None
    """The address of the peer; None for a socket that has none."""
    method: str
    path: str
    namespace: str | None
    """The namespace in which it was called; None for the default one."""
    status: int | None
    """The status of the answer; None where the client left before."""
    duration_ms: float
    detail: str | None
    """The change that it made, or why it was refused; None where the path says all."""


class _CallDetail:
    """The detail of the call that is being handled."""

    text: str | None = None


_DETAIL: Final = ContextVar[_CallDetail | None]("detail of the audit", default=None)


def note_detail(text: str | None) -> None:
    """Tell the audit what the current call does. *text* has no credentials; it may have texts of
    the client."""
    if call_detail := _DETAIL.get():
        call_detail.text = text


class AuditLog:
    """The log records of a server or of its *namespace*; None for the default one."""

    def __init__(self, settings: Settings, namespace: str | None) -> None:
        self.settings = settings
        self.namespace = namespace

    def write(self, scope: Scope, status: int | None, seconds: float, detail: str | None) -> None:
        """Log the call of *scope*, which took so many *seconds*."""
        is_wrong = status is None or status in (401, 403) or status >= 500
        level = logging.WARNING if is_wrong else logging.INFO
        if not logger.isEnabledFor(level):
            return
        action = AdminAction(
            time=time(),
            client=_client(scope),
            method=scope["method"],
            path=_shown_path(scope["path"], self.settings),
            namespace=self.namespace,
            status=status,
            duration_ms=1000 * seconds,
            detail=detail,
        )
        client = f"from {action.client or 'a socket'}"
        words = [action.method, action.path, client, str(status), detail]
        logger.log(level, "%s", " ".join(filter(None, words)), extra={"action": action})


class AdminAudit:
    """Wraps the admin API of one emulator, behind the check of access. It logs the calls that may
    have changed something."""

    def __init__(self, app: ASGIApp, log: AuditLog) -> None:
        self.app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] in SAFE_METHODS:
            await self.app(scope, receive, send)
            return
        begun, call_detail, is_logged = perf_counter(), _CallDetail(), False

        def log(status: int | None) -> None:
            nonlocal is_logged
            is_logged = True
            self._log.write(scope, status, perf_counter() - begun, call_detail.text)

        async def send_logged(message: Message) -> None:
            # Before the answer leaves: a client that has the answer finds the record.
            if message["type"] == "http.response.start":
                log(message["status"])
            await send(message)

        before = _DETAIL.set(call_detail)
        try:
            await self.app(scope, receive, send_logged)
        finally:
            _DETAIL.reset(before)
            if not is_logged:
                log(None)


class RefusalLog:
    """Logs the calls that are refused access. Refusals of one client for one reason are logged once
    in `REPEAT_SECONDS`: a page that has no token yet asks for several things at once."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log
        self._told: dict[tuple[str | None, str], tuple[float, int]] = {}
        """By client and reason: the time of the last record, by `monotonic`, and the number of
        refusals since then."""

    def log(self, scope: Scope, status: int, reason: str) -> None:
        """Log a call that was refused with *status*."""
        key, now = (_client(scope), reason), monotonic()
        last, count = self._told.get(key, (-REPEAT_SECONDS, 0))
        if now - last < REPEAT_SECONDS:
            self._told[key] = last, count + 1
            return
        if len(self._told) >= MAX_REPEATS:
            self._told.clear()
        self._told[key] = now, 0
        more = f"; so were {count} more calls before" if count else ""
        self._log.write(scope, status, 0.0, reason + more)


def _client(scope: Scope) -> str | None:
    """The address of the peer."""
    client = scope.get("client")
    return client[0] if client else None


def _shown_path(path: str, settings: Settings) -> str:
    """The *path* without API keys: the name of a namespace may be one."""
    name = path.removeprefix(_NAMESPACES)
    if name != path and settings.namespace_by == NamespaceBy.KEY:
        return _NAMESPACES + name_of_key(name, mask_key(name))
    return redacted_text(path)

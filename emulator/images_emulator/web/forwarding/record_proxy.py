"""The proxy that records: it forwards each call to the upstream, and keeps the exchange."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from images_emulator.contract.refusal import APIError
from images_emulator.recordings.recording import (
    RecordedDownload,
    RecordedRequest,
    RecordedResponse,
    Recording,
)
from images_emulator.recordings.redaction import Redactor
from images_emulator.threads import DaemonThreadPool
from images_emulator.web.forwarding.upstream import ForwardedCall, UpstreamClient, error_messages
from images_emulator.web.forwarding.upstream_pictures import (
    PictureFetchError,
    fetch_picture,
    picture_urls,
)
from images_emulator.web.server_names import ServerNames

DOWNLOADS_GRACE_SECONDS: Final = 5.0
"""Seconds that downloads of pictures get to finish when the server stops."""

MAX_NOTED_BYTES: Final = 64 * 2**20
"""The longest answer that is read again before its last part is sent."""

SaveRecording = Callable[[Recording], Path | None]
"""Saves a recording that has no credentials. Returns its file, or None where it is not to be saved.
It may raise OSError, and is called in one thread."""


class RecordingResult(NamedTuple):
    """What became of the recording of a call, which may not have been forwarded."""

    recording: Recording
    """The recording without credentials; without headers and bodies where it was not saved."""
    status: int | None
    """The status that the client got; None where there was no answer."""
    duration_ms: float
    file: Path | None
    """The file; None where it was not saved."""
    problem: str = ""
    """Why a recording that was to be saved could not be, in a sentence; else empty."""


class RecordProxy:
    """An ASGI application that forwards calls to *upstream*. It gives their recordings, without
    credentials, to *save*, one after the other. Then it calls *on_result* with the result, in the
    same thread. All recordings are searched for the credentials in *keys*. A call that did not
    reach the upstream is not saved.

    Where *upstream* gives its own API key to calls, a page of another site could use that key: with
    *names*, calls of such pages are refused.

    A call that the stop of the server interrupts is saved as far as it came.
    """

    def __init__(
        self,
        upstream: UpstreamClient,
        save: SaveRecording,
        on_result: Callable[[RecordingResult], None] = lambda result: None,
        keys: tuple[str, ...] = (),
        names: ServerNames | None = None,
    ) -> None:
        self._upstream = upstream
        self._save = save
        self._on_result = on_result
        self._names = names
        self._redactor = Redactor(keys)
        # One thread, so that no two long bodies are in memory at the same time.
        self._writer = DaemonThreadPool(1, thread_name_prefix="recordings")
        self._saving: set[asyncio.Future[None]] = set()
        self._last: asyncio.Future[None] | None = None
        """The future that was added to `_saving` last; it may have ended."""
        self._downloading: set[asyncio.Future[RecordedDownload]] = set()
        self._is_finishing = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if self._names:
            try:
                self._names.check_page(scope["headers"])
            except APIError as error:
                await self._answer_unforwarded(error, scope, send)
                return
        await self.forward(scope, receive, send)

    async def forward(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        on_end: Callable[[], None] = lambda: None,
        on_answer: Callable[[Recording], Awaitable[None]] | None = None,
        on_cut: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Forward a call, whatever page it is of. *on_answer* is awaited with the recording, which
        has credentials, before the last message of a whole answer of at most `MAX_NOTED_BYTES`.
        *on_cut* is awaited before the client's connection is closed because the upstream's was.
        *on_end* is called on the event loop when the recording is saved, or is not to be saved, or
        could not be: maybe long after the answer."""
        call = self._upstream.call(scope)

        async def send_after_answer(message: Message) -> None:
            is_last = message["type"] == "http.response.body" and call.is_answered
            if on_answer and is_last and call.answer_bytes <= MAX_NOTED_BYTES:
                await on_answer(call.recording())
            await send(message)

        try:
            with suppress(ClientDisconnect):
                await call.forward(receive, send_after_answer, on_cut)
        finally:
            if call.is_recordable or call.status is not None:
                record = self._record if call.is_recordable else self._tell_of_part
                saving = asyncio.ensure_future(record(call, self._last))
                self._last = saving
                self._saving.add(saving)
                saving.add_done_callback(self._saving.discard)
                saving.add_done_callback(lambda _: on_end())
            else:
                call.close()
                on_end()

    async def _answer_unforwarded(self, error: APIError, scope: Scope, send: Send) -> None:
        """Answer a call with *error* in place of forwarding it, and tell `on_result`."""
        for message in error_messages(error):
            await send(message)
        status = error.newest.status
        summary = Recording(
            RecordedRequest(scope["method"], scope["path"]), RecordedResponse(status)
        )
        result = RecordingResult(summary, status, 0.0, None, f"not forwarded: {error}")
        await asyncio.get_running_loop().run_in_executor(self._writer, self._on_result, result)

    async def finish(self) -> None:
        """Wait until all recordings are saved, and close the connections to the upstream."""
        if self._saving:
            await asyncio.wait([*self._saving], timeout=DOWNLOADS_GRACE_SECONDS)
        self._is_finishing = True
        for each in [*self._downloading]:
            each.cancel()
        while self._saving:
            await asyncio.wait([*self._saving])
        await self._upstream.close()
        self._writer.shutdown()

    async def _record(self, call: ForwardedCall, before: asyncio.Future[None] | None) -> None:
        """Download the pictures that the answer of *call* names. Then keep the call, once *before*
        is kept: recordings are in the order in which their answers ended."""
        loop = asyncio.get_running_loop()
        recording = call.recording()
        if "json" in call.content_type:
            # The URLs are read from a second recording: the first one must not have its bodies in
            # memory while it waits.
            urls: Sequence[str] = ()
            results: list[RecordedDownload | str] = []
            try:
                urls = await loop.run_in_executor(self._writer, picture_urls, call.recording())
            except Exception as error:  # noqa: BLE001 - whatever it is, `_finish_call` has to run
                results.append(f"The pictures were not looked for: {_reason(error)}.")
            results += await asyncio.gather(*map(self._download, urls))
            problems = [each for each in results if isinstance(each, str)]
            pictures = [each for each in results if not isinstance(each, str)]
            recording = replace(recording, downloads=tuple(pictures), note=" ".join(problems))
        if before:
            await asyncio.wait([before])
        await loop.run_in_executor(self._writer, self._finish_call, call, recording)

    async def _tell_of_part(self, call: ForwardedCall, before: asyncio.Future[None] | None) -> None:
        """Tell of a *call* that was answered before its request was whole, as an API may answer a
        body that is too long."""
        summary = _summary(call.recording())
        problem = "not recorded: the answer came before the request was whole"
        call.close()
        if before:
            await asyncio.wait([before])
        part = RecordingResult(summary, call.status, call.duration_ms, None, problem)
        await asyncio.get_running_loop().run_in_executor(self._writer, self._on_result, part)

    async def _download(self, url: str) -> RecordedDownload | str:
        """The download of *url*, or a sentence that says why it is not known."""
        if self._is_finishing:
            return f"{url} was not downloaded: the server was stopped."
        downloading = asyncio.ensure_future(fetch_picture(url, self._upstream))
        self._downloading.add(downloading)
        try:
            return await downloading
        except PictureFetchError as error:
            return f"{url} {error}."
        except asyncio.CancelledError:
            return f"{url} was not downloaded: the server was stopped."
        except Exception as error:  # noqa: BLE001 - whatever it is, the call is recorded
            return f"{url} was not downloaded: {_reason(error)}."
        finally:
            self._downloading.discard(downloading)

    def _finish_call(self, call: ForwardedCall, recording: Recording) -> None:
        """Save *recording*, and report the result."""
        file, problem = None, ""
        try:
            redacted = self._redactor.redact(recording)
            file = self._save(redacted) if call.has_reached else None
        except Exception as error:  # noqa: BLE001 - whatever it is, the next call is recorded
            redacted = _summary(recording)
            problem = f"not recorded: {_reason(error)}"
        finally:
            call.close()
        self._on_result(RecordingResult(redacted, call.status, call.duration_ms, file, problem))


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _summary(recording: Recording) -> Recording:
    """The part of a *recording* with credentials that may be shown: the request line without its
    query, and the status."""
    request, response = recording.request, recording.response
    path = request.target.partition("?")[0]
    return Recording(
        RecordedRequest(request.method, path),
        RecordedResponse(response.status, end=response.end) if response else None,
        recorded_at=recording.recorded_at,
    )

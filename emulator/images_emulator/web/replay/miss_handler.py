"""What becomes of a call that no recording answers, by the setting `on_miss`."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Final

from starlette.types import ASGIApp, Receive, Scope, Send

from images_emulator.contract import emulator_errors
from images_emulator.contract.http_headers import header_value
from images_emulator.contract.request import ImageRequest
from images_emulator.exchange.near_miss import NearMiss
from images_emulator.exchange.served_exchange import ServedExchange, exchange_of
from images_emulator.recordings.recording_index import Miss
from images_emulator.setting_values import OnMiss
from images_emulator.state.emulator import Emulator
from images_emulator.state.replay import Replay
from images_emulator.web.answer_notice import with_notice
from images_emulator.web.replay.recording_search import RecordingSearch

if TYPE_CHECKING:
    from images_emulator.web.replay.miss_recorder import MissRecorder

MAX_NOTICE_CHARS: Final = 1024
"""The longest notice of a miss, in a header."""


class MissHandler:
    """Handles the calls that no recording answers. Where they are forwarded, their recordings join
    *replay*, and *search* drops what it has cached."""

    def __init__(self, emulator: Emulator, replay: Replay, search: RecordingSearch) -> None:
        self.emulator = emulator
        self._recorder: MissRecorder | None = None
        if emulator.settings.on_miss == OnMiss.RECORD:
            from images_emulator.web.replay.miss_recorder import MissRecorder  # noqa: PLC0415 - an extra

            self._recorder = MissRecorder(emulator, replay, search.clear)
            emulator.cleanup_callbacks = (*emulator.cleanup_callbacks, self._recorder.finish)

    async def wait_for_recordings(
        self, group: Hashable, exchange: ServedExchange, receive: Receive
    ) -> bool:
        """Where misses are forwarded, wait for the recordings that may answer a call of this
        *group* of `group_of` and are still to be kept, and read those that other processes have
        added. Return False where the client leaves meanwhile. Raises APIError where a recording
        cannot be read: the call may be recorded already, and the upstream may ask money for it."""
        recorder = self._recorder
        if recorder is None:
            return True
        if not await recorder.wait_for_pending(group, receive):
            return False
        try:
            await self.emulator.renderer.run_in_background(recorder.read_new_files)
        except (OSError, ValueError) as error:
            sentence = f"the recordings cannot be read: {error}"
            exchange.recording_miss = sentence
            raise emulator_errors.no_recording(reason=sentence) from error
        return True

    async def handle(
        self,
        miss: Miss,
        app: ASGIApp,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        request: ImageRequest | None,
        group: Hashable = None,
    ) -> None:
        """Note why no recording answers the call, which makes *request*. Then refuse it, forward it
        to the upstream, or let *app* answer it, with a notice. *group* is that of a call that no
        recording matches. Raises APIError where it is refused."""
        exchange = exchange_of(scope)
        sentence = str(miss)
        exchange.recording_miss = sentence
        exchange.near_misses = (*exchange.near_misses, *_near_misses(miss))
        if self.emulator.settings.on_miss == OnMiss.REFUSE:
            raise emulator_errors.no_recording(reason=sentence)
        if self._recorder:
            self._recorder.check(exchange)
            exchange.recording_miss = f"{sentence}; it is forwarded to {self._recorder.host}"
            await self._recorder.forward(request, scope, receive, send, group=group)
            return
        notice = header_value(sentence, MAX_NOTICE_CHARS)
        await app(scope, receive, with_notice(send, notice))


def _near_misses(miss: Miss) -> list[NearMiss]:
    """The nearest recordings, and what differs in them."""
    return [
        NearMiss(
            step=recording.name,
            name="recording",
            label=recording.name,
            kind="recording",
            reason=recording.reason,
            spent=False,
        )
        for recording in miss.nearest
    ]

"""The notice of the emulator in the head of an answer."""

from __future__ import annotations

from starlette.types import Message, Send

from images_emulator.contract.notices import NOTICE_HEADER


def with_notice(send: Send, notice: bytes) -> Send:
    """*send* for an answer that has the *notice* in a header."""

    async def send_noticed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [*message.get("headers", ()), (NOTICE_HEADER, notice)]
            message = {**message, "headers": headers}
        await send(message)

    return send_noticed

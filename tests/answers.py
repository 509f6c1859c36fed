"""What an answer comes to: in a word or two, as an error, or as the messages of the application."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any, Final

import httpx2

from images_emulator import create_app
from images_emulator.contract.models import MODELS
from images_emulator.contract.operations import GENERATIONS, Operation
from images_emulator.contract.rules import Choice
from images_emulator.contract.sizes import FlexibleSize

ORDER: Final = {
    "today": ["message", "type", "param", "code"],
    "older": ["code", "message", "param", "type"],
}
"""The keys of an error, and those of the older stack, which variations kept."""


def verdict(answer: httpx2.Response) -> str:
    """`ok`, the code and the param of a refusal, its sentence where it has neither, or the status
    of an empty one."""
    if answer.status_code == 200:
        return "ok"
    if not answer.content:
        return str(answer.status_code)
    error = answer.json()["error"]
    if not error["code"] and not error["param"]:
        return str(error["message"])
    return f"{error['code']} {error['param']}"


def error_of(answer: httpx2.Response, status: int = 400) -> dict[str, Any]:
    """The error in *answer*, which has the API's own shape."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert list(body) == ["error"]
    older = list(body["error"]) == ORDER["older"]
    assert older or list(body["error"]) == ORDER["today"]
    assert answer.text.endswith("\n") == older
    assert not older or answer.request.url.path.endswith("/images/variations")
    error: dict[str, Any] = body["error"]
    assert error["message"]
    return error


async def messages_for(
    *chunks: bytes, sent: Callable[[MutableMapping[str, Any]], None] = lambda _: None
) -> Sequence[MutableMapping[str, Any]]:
    """What an application sends when a JSON body for generations comes in those *chunks*; *sent*
    is told each message when it is sent."""
    arriving = [
        {"type": "http.request", "body": chunk, "more_body": left > 0}
        for left, chunk in zip(reversed(range(len(chunks))), chunks, strict=True)
    ]
    messages: list[MutableMapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if arriving:
            return arriving.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: MutableMapping[str, Any]) -> None:
        messages.append(message)
        sent(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/images/generations",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"authorization", b"Bearer x")],
    }
    await create_app()(scope, receive, send)
    return messages


def model_that_writes(output_format: str, operation: Operation = GENERATIONS) -> str:
    """The id of the newest model that answers *operation* with pictures in that format, of any
    proportions."""
    names = [
        (model.released, name)
        for name, model in MODELS.items()
        if isinstance(model.rules.get(operation, {}).get("size"), FlexibleSize)
        if isinstance(rule := model.rules[operation].get("output_format"), Choice)
        if output_format in rule.words
    ]
    assert names, f"no model of flexible sizes writes {output_format}"
    return max(names)[1]

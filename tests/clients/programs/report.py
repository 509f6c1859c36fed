"""What a program in Python prints: one line of JSON for each operation."""

from __future__ import annotations

import asyncio
import base64
import inspect
import json
import traceback
from collections.abc import Callable
from typing import Any
from urllib.request import urlopen


def run(**operations: Callable[[], Any] | str) -> None:
    """Run each operation, and print what it gives: a list of pictures (bytes or base64), or a
    mapping. A text in place of a function is the reason why the client has no such operation. What
    an operation raises is printed, and the others go on."""
    with asyncio.Runner() as runner:
        for name, operation in operations.items():
            result: Any
            if isinstance(operation, str):
                result = {"cannot": operation}
            else:
                try:
                    result = operation()
                    if inspect.isawaitable(result):
                        result = runner.run(_awaited(result))
                except Exception as error:  # noqa: BLE001 - whatever a client raises is its result
                    result = {"raised": f"{type(error).__name__}: {error}"[:2000]}
                    result["traceback"] = traceback.format_exc()[-4000:]
            if isinstance(result, list):
                result = {"images": result}
            print(json.dumps({"operation": name} | result, default=_base64), flush=True)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


async def _awaited(value: Any) -> Any:
    return await value


def download(url: str) -> bytes:
    """The picture at *url*, where the client gives an address alone."""
    with urlopen(url) as picture:
        return picture.read()

"""Recorded exchanges of the real API, and others in their form, replayed against a real server.

An exchange is a file of `fixtures/exchanges`, described in the README beside them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image

from emulator import Server, Settings
from tests.pictures import encoded

FOLDER = Path(__file__).parent.parent / "fixtures" / "exchanges"
FILES = sorted(FOLDER.glob("*.json"))
KEY = "sk-replay"

# Fields that the API gained after an exchange was recorded.
LATER = {
    *("generation_id", "background", "output_format", "quality", "size", "usage"),
    "output_tokens_details",
}
HEADERS = {"content-type", "x-request-id", "openai-version", "openai-processing-ms"}


@pytest.fixture(scope="module")
def guarded() -> Iterator[httpx2.Client]:
    """A server that takes one key only."""
    with (
        Server(Settings(port=0, api_key=(KEY,))) as server,
        httpx2.Client(base_url=server.url, timeout=60) as client,
    ):
        yield client


def picture(told: dict[str, Any]) -> bytes:
    """A picture as described: its upper left quarter is transparent where its mode has alpha."""
    width, height = map(int, told["size"].split("x"))
    image = Image.new("RGBA", (width, height), (51, 102, 153, 255))
    if not told.get("opaque"):
        image.paste((153, 102, 51, 0), (0, 0, width // 2, height // 2))
    return encoded(image.convert(told["mode"]), told["format"])


def filled(value: Any) -> Any:
    """*value* with its pictures in place of their descriptions."""
    if isinstance(value, dict):
        if value.keys() == {"data_url"}:
            kind = value["data_url"]["format"].lower()
            data = base64.b64encode(picture(value["data_url"])).decode()
            return f"data:image/{kind};base64,{data}"
        if value.keys() == {"repeat", "times"}:
            return value["repeat"] * value["times"]
        return {key: filled(inner) for key, inner in value.items()}
    return [filled(inner) for inner in value] if isinstance(value, list) else value


def form_of(parts: list[dict[str, Any]]) -> tuple[bytes, str]:
    body = BytesIO()
    for part in parts:
        head = f'--exchange\r\nContent-Disposition: form-data; name="{part["name"]}"'
        if "filename" in part:
            head += f'; filename="{part["filename"]}"'
        if part.get("content_type"):
            head += f"\r\nContent-Type: {part['content_type']}"
        data = picture(part["image"]) if "image" in part else filled(part["value"]).encode()
        body.write(f"{head}\r\n\r\n".encode() + data + b"\r\n")
    return body.getvalue() + b"--exchange--\r\n", "multipart/form-data; boundary=exchange"


def body_of(request: dict[str, Any]) -> tuple[bytes, str]:
    if "form" in request:
        return form_of(request["form"])
    if "json" in request:
        return json.dumps(filled(request["json"])).encode(), "application/json"
    return filled(request.get("body", "")).encode(), request.get("content_type", "")


def differences(want: Any, got: Any, where: str, *, error: bool) -> Iterator[str]:
    if want == "<any>":
        return
    if isinstance(want, dict) and isinstance(got, dict):
        extra = got.keys() - want.keys() - (set() if error else LATER)
        if extra:
            yield f"{where}: unexpected {sorted(extra)}"
        if [key for key in got if key in want] != list(want):
            yield f"{where}: keys {list(got)}, recorded {list(want)}"
        for key in want.keys() & got.keys():
            yield from differences(want[key], got[key], f"{where}.{key}", error=error)
    elif isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        for number, (wanted, found) in enumerate(zip(want, got, strict=True)):
            yield from differences(wanted, found, f"{where}[{number}]", error=error)
    elif want != got:
        yield f"{where}: {got!r}, recorded {want!r}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_exchange_is_answered_as_recorded(file: Path, guarded: httpx2.Client) -> None:
    exchange = json.loads(file.read_text())
    assert exchange["source"]
    request, response = exchange["request"], exchange["response"]
    body, kind = body_of(request)
    headers = {"Content-Type": kind} if kind else {}
    if "as_of" in exchange:
        headers["x-emulator-as-of"] = exchange["as_of"]
    key = request.get("key", KEY if request["authorised"] else "fake_key")
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    answer = guarded.request(request["method"], request["path"], content=body, headers=headers)
    assert answer.status_code == response["status"], answer.text
    assert HEADERS & set(response.get("headers_present", ())) <= set(answer.headers)
    if response["body"] is None:
        assert answer.content == b""
        return
    assert answer.text.startswith('{\n  "')
    error = answer.status_code >= 400
    assert not list(differences(response["body"], answer.json(), "body", error=error))

"""What Node.js sees of broken connections and streams: plain `fetch`, and OpenAI's SDK; and that a
reset is a true one."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from images_emulator import Server
from tests.conftest import Node

SCRIPT = """
import OpenAI from "openai";

const [url, ...faults] = process.argv.slice(2);
const client = new OpenAI({ baseURL: url + "/v1", apiKey: "sk-test", maxRetries: 0 });
const fields = {
  answer: { model: "gpt-image-2", prompt: "x" },
  stream: { model: "gpt-image-2", prompt: "x", stream: true, partial_images: 2 },
};

// Which of the two it is depends on whether the end or the bytes before it are read first.
const lost = (code) => (["ECONNRESET", "UND_ERR_SOCKET"].includes(code) ? "lost" : code);

async function fetched(fault, body) {
  try {
    const answer = await fetch(url + "/v1/images/generations", {
      method: "POST",
      body: JSON.stringify(body),
      headers: {
        "content-type": "application/json",
        authorization: "Bearer sk-test",
        "x-emulator-fault": fault,
      },
    });
    const text = await answer.text();
    return body.stream ? text.match(/(?<=^event: ).*/gm) : Object.keys(JSON.parse(text))[0];
  } catch (error) {
    return lost(error.cause?.code) ?? error.name;
  }
}

async function called(fault, body) {
  const seen = [];
  try {
    const results = await client.images.generate(body, { headers: { "x-emulator-fault": fault } });
    if (body.stream) for await (const event of results) seen.push(event.type);
  } catch (error) {
    const code = error.code ?? lost(error.cause?.cause?.code ?? error.cause?.code) ?? null;
    seen.push(error.constructor.name, code);
  }
  return seen;
}

const results = {};
for (const line of faults) {
  const [kind, ...rest] = line.split(" ");
  const fault = rest.join(" ");
  results[line] = [await fetched(fault, fields[kind]), await called(fault, fields[kind])];
}
console.log(JSON.stringify(results));
"""

PARTIAL = "image_generation.partial_image"
LOST = "lost"

NODE: dict[str, list[Any]] = {
    "answer connection_reset": [LOST, ["APIConnectionError", LOST]],
    # Once the head of the answer is there, the SDK passes on what `fetch` says.
    "answer connection_reset;after_bytes=1000": [LOST, ["TypeError", LOST]],
    "answer truncated": [LOST, ["TypeError", LOST]],
    "answer malformed": ["SyntaxError", ["SyntaxError", None]],
    "stream connection_reset": [LOST, ["APIConnectionError", LOST]],
    "stream stream_cut": [LOST, [PARTIAL, "TypeError", LOST]],
    "stream stream_cut;after=2;reset=true": [LOST, [PARTIAL, PARTIAL, "TypeError", LOST]],
    "stream stream_error": [
        [PARTIAL, "error"],
        [PARTIAL, "APIError", "image_generation_failed"],
    ],
    "stream stream_error;after=0;name=moderation_blocked": [
        ["error"],
        ["APIError", "moderation_blocked"],
    ],
}
"""By what is asked for and the fault: what `fetch` gets, and the SDK's events and error."""


@pytest.fixture(scope="module")
def seen(node: Node, running: Server) -> dict[str, Any]:
    running.emulator.reset()
    results: dict[str, Any] = node(SCRIPT, running.url, *NODE)
    return results


@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", NODE)
def test_node_fetch_and_sdk_see_a_fault(seen: dict[str, Any], fault: str) -> None:
    assert seen[fault] == NODE[fault]


@pytest.mark.parametrize(
    ("fault", "stream", "end", "body"),
    [
        ({"kind": "connection_reset"}, False, "reset", None),
        ({"kind": "connection_reset", "after_bytes": 10_000}, False, "reset", 10_000),
        ({"kind": "truncated", "after_bytes": 10_000}, False, "closed", 10_000),
        ({"kind": "stream_cut", "after": 0}, True, "closed", 0),
        ({"kind": "stream_cut", "after": 0, "reset": True}, True, "reset", 0),
    ],
)
def test_connection_reset_sends_rst_and_a_cut_closes(
    server: Server, fault: dict[str, Any], stream: bool, end: str, body: int | None
) -> None:
    server.inject(fault)
    fields = json.dumps({"model": "gpt-image-2", "prompt": "x", "stream": stream})
    head = (
        "POST /v1/images/generations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-test\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(fields)}\r\n\r\n"
    )
    received, ended = b"", "closed"
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall((head + fields).encode())
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except ConnectionResetError:
            ended = "reset"
    assert ended == end
    assert len(received.partition(b"\r\n\r\n")[2]) == (body or 0)
    assert received.startswith(b"HTTP/1.1 200 OK") == (body is not None)

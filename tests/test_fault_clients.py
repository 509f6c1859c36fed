"""What Node.js sees of broken connections and streams: plain `fetch`, and OpenAI's SDK; and that a
reset is a true one."""

from __future__ import annotations

import json
import socket
from dataclasses import asdict
from typing import Any

import pytest

from images_emulator import Server
from tests.conftest import Node
from tests.fault_outcomes import NODE

SCRIPT = """
import OpenAI from "openai";

const [url, cases] = process.argv.slice(2);
const fields = {
  answer: { model: "gpt-image-2", prompt: "x", quality: "low" },
  stream: { model: "gpt-image-2", prompt: "x", quality: "low", stream: true, partial_images: 2 },
};
const PATIENCE = 200;

const broken = (code) => (["ECONNRESET", "UND_ERR_SOCKET"].includes(code) ? "broken" : code);

class Eager extends OpenAI {
  calculateDefaultRetryTimeoutMillis() { return 1; }
}

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
      signal: ["timeout", "stall"].includes(fault) ? AbortSignal.timeout(PATIENCE) : null,
    });
    const text = await answer.text();
    return body.stream ? text.match(/(?<=^event: ).*/gm) : Object.keys(JSON.parse(text))[0];
  } catch (error) {
    return broken(error.cause?.code) ?? error.name;
  }
}

async function called(fault, body) {
  const seen = { error: null, message: null, code: null, requests: 0, events: [], aborted: false };
  const client = new Eager({
    baseURL: url + "/v1", apiKey: "sk-test", maxRetries: 1,
    fetch: (...request) => { seen.requests += 1; return fetch(...request); },
    ...(fault === "timeout" ? { timeout: PATIENCE } : {}),
  });
  const abort = new AbortController();
  try {
    const options = { headers: { "x-emulator-fault": fault }, signal: abort.signal };
    const results = await client.images.generate(body, options);
    if (body.stream) for await (const event of results) {
      seen.events.push(event.type);
      if (fault === "stall")
        setTimeout(() => { seen.aborted = true; abort.abort(); }, PATIENCE);
    }
  } catch (error) {
    seen.error = error.constructor.name;
    seen.message = error.message;
    seen.code = error.code ?? broken(error.cause?.cause?.code ?? error.cause?.code) ?? null;
  }
  return seen;
}

const results = JSON.parse(cases).map(async ([kind, fault]) => {
  const [byFetch, bySdk] = [fetched(fault, fields[kind]), called(fault, fields[kind])];
  return { fetched: await byFetch, ...(await bySdk) };
});
console.log(JSON.stringify(await Promise.all(results)));
"""


@pytest.fixture(scope="module")
def seen(node: Node, running: Server) -> dict[tuple[str, str], dict[str, Any]]:
    running.emulator.reset()
    results = node(SCRIPT, running.url, json.dumps([*NODE]))
    return dict(zip(NODE, results, strict=True))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("case", NODE, ids=" ".join)
def test_node_fetch_and_sdk_see_a_fault(
    seen: dict[tuple[str, str], dict[str, Any]], case: tuple[str, str]
) -> None:
    expected = json.loads(json.dumps(asdict(NODE[case])))
    begin, ellipsis, _ = (expected["message"] or "").partition("…")
    if ellipsis and seen[case]["message"].startswith(begin):
        expected["message"] = seen[case]["message"]
    assert seen[case] == expected


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

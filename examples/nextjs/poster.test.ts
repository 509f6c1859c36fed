import { beforeEach, expect, test } from "vitest";

import { POST } from "./app/api/poster/route";

/** Asks the emulator's admin API. */
async function emulator(path: string, body?: object): Promise<Response> {
  const url = new URL(`/_emulator/${path}`, process.env.OPENAI_BASE_URL);
  return fetch(url, {
    method: body ? "POST" : "GET",
    body: body && JSON.stringify(body),
    headers: { "content-type": "application/json" },
  });
}

function asked(title: string): Request {
  return new Request("http://test/api/poster", {
    method: "POST",
    body: JSON.stringify({ title }),
  });
}

beforeEach(async () => {
  await emulator("reset", {});
});

test("a poster is a picture of its title", async () => {
  const answer = await POST(asked("The Lighthouse"));
  expect(answer.headers.get("content-type")).toBe("image/webp");
  const { requests } = await (await emulator("requests")).json();
  expect(requests.map((call: { prompt: string }) => call.prompt)).toEqual([
    "A poster for The Lighthouse",
  ]);
});

test("a blocked title is told", async () => {
  await emulator("inject", { fault: "moderation_blocked" });
  const answer = await POST(asked("The Lighthouse"));
  expect(answer.status).toBe(422);
  expect(await answer.json()).toEqual({ error: "moderation_blocked" });
});

test("a server error is tried again", async () => {
  await emulator("inject", { fault: "server_error", times: 1 });
  expect((await POST(asked("The Lighthouse"))).status).toBe(200);
});

import { beforeEach, expect, test } from "vitest";

import { POST } from "./app/api/poster/route.ts";
import { emulator } from "./emulator.ts";

function asked(title: string): Request {
  return new Request("http://test/api/poster", {
    method: "POST",
    body: JSON.stringify({ title }),
  });
}

beforeEach(() => emulator.reset());

test("a poster is a picture of its title", async () => {
  const answer = await POST(asked("The Lighthouse"));
  expect(answer.headers.get("content-type")).toBe("image/webp");
  const prompts = (await emulator.calls()).map((call) => call.prompt);
  expect(prompts).toEqual(["A poster for The Lighthouse"]);
});

test("a blocked title is told", async () => {
  await emulator.inject("moderation_blocked");
  const answer = await POST(asked("The Lighthouse"));
  expect(answer.status).toBe(422);
  expect(await answer.json()).toEqual({ error: "moderation_blocked" });
});

test("a server error is tried again", async () => {
  await emulator.inject({ kind: "error", name: "server_error", retry_after_ms: 1 }, { times: 1 });
  expect((await POST(asked("The Lighthouse"))).status).toBe(200);
  const statuses = (await emulator.calls()).map((call) => call.status);
  expect(statuses).toEqual([500, 200]);
});

import { BadRequestError } from "openai";
import { beforeEach, expect, test, vi } from "vitest";

import { emulator } from "./emulator.ts";
import { draw, previews, repaint } from "./lib/pictures.ts";

beforeEach(() => emulator.reset());

test("previews come before the picture", async () => {
  const pictures: Buffer[] = [];
  for await (const picture of previews("A ship")) pictures.push(picture);
  expect(pictures).toHaveLength(3);
  const [call] = await emulator.calls({ prompt: "ship" });
  expect(call?.parameters).toMatchObject({ stream: true, partial_images: 2 });
});

test("a stream that breaks off has sent its first preview", async () => {
  await emulator.inject({ kind: "stream_cut", after: 1 });
  const stream = previews("A ship");
  expect((await stream.next()).value).toBeInstanceOf(Buffer);
  await expect(stream.next()).rejects.toThrow("terminated");
});

test("an edit has the picture and the mask", async () => {
  const house = await draw("A house");
  const mask = await draw("A door", "transparent");
  expect(await repaint(house, mask, "A red door")).not.toEqual(house);
  const edits = await emulator.calls({ has: "mask" });
  expect(edits.map((call) => call.prompt)).toEqual(["A red door"]);
});

test("a picture that takes a minute is waited for", async () => {
  await emulator.inject({ kind: "latency", seconds: 60 });
  const picture = draw("A ship");
  await vi.waitFor(async () => expect(await emulator.calls()).toHaveLength(1), 10_000);
  await emulator.advance(60);
  expect(await picture).toBeInstanceOf(Buffer);
});

test("nothing is drawn after the last day of the model", async () => {
  await emulator.configure({ as_of: "2026-12-01" });
  await expect(draw("A ship")).rejects.toThrow(BadRequestError);
});

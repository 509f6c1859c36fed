import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";

import { ImagesEmulatorContainer, urlOf } from "./emulator.js";

let container;
let client;

before(async () => {
  container = await new ImagesEmulatorContainer("images-emulator", { AS_OF: "today" }).start();
  client = new OpenAI({ baseURL: `${urlOf(container)}/v1`, apiKey: "sk-test" });
});

after(async () => {
  await container?.stop();
});

test("a poster is drawn", async () => {
  const answer = await client.images.generate({
    model: "gpt-image-2", prompt: "A poster", size: "1024x1024",
  });
  assert.equal(answer.size, "1024x1024");
});

// OpenAI's SDK for Node.js.
import fs from "node:fs";
import OpenAI, { APIError, AzureOpenAI, toFile } from "openai";
import { run } from "./report.mjs";

const model = "gpt-image-2";

function openaiClient() {
  // snippet: openai-node
  const client = new OpenAI({ baseURL: "http://127.0.0.1:8080/v1", apiKey: "sk-test" });
  // end
  return client;
}

function azureClient() {
  // snippet: openai-node for Azure
  const client = new AzureOpenAI({
    endpoint: "http://127.0.0.1:8080", apiKey: "test", apiVersion: "2025-04-01-preview",
    deployment: "gpt-image-2", // edits without it go to a path that is not there, at Azure as here
    baseURL: null, // OPENAI_BASE_URL, where it is set, would be refused beside the endpoint
  });
  // end
  return client;
}

const client = { OpenAI: openaiClient, AzureOpenAI: azureClient }[process.argv[2]]();

const images = (answer) => answer.data.map((image) => image.b64_json);
const file = (name) => toFile(fs.createReadStream(name), name, { type: "image/png" });
const edit = async (prompt, options) =>
  images(await client.images.edit({ model, prompt, ...options }));

await run({
  generate: async () => images(await client.images.generate({ model, prompt: "A lighthouse" })),
  edit: async () => edit("By night", { image: await file("lighthouse.png") }),
  mask: async () =>
    edit("A red door", { image: await file("lighthouse.png"), mask: await file("mask.png") }),
  inputs: async () =>
    edit("Both on one shelf", { image: [await file("lighthouse.png"), await file("harbour.png")] }),
  stream: async () => {
    const events = [];
    const options = { model, prompt: "A ship", stream: true, partial_images: 2 };
    for await (const event of await client.images.generate(options)) events.push(event);
    return { events: events.map((event) => event.type), images: [events.at(-1).b64_json] };
  },
  error: async () => {
    try {
      await client.images.generate({ model, prompt: "A mistake", size: "1000x1000" });
    } catch (error) {
      if (!(error instanceof APIError)) throw error;
      const { status, code, param, message } = error;
      return { status, code, param, message };
    }
  },
  retry: async () => images(await client.images.generate({ model, prompt: "A rate limit" })),
});

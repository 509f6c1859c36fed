// Vercel's AI SDK with its providers for OpenAI and Azure.
import fs from "node:fs";
import { createAzure } from "@ai-sdk/azure";
import { createOpenAI } from "@ai-sdk/openai";
import * as ai from "ai";
import { run } from "./report.mjs";

const [provider, major] = process.argv.slice(2);
const generateImage = ai.generateImage ?? ai.experimental_generateImage;

function openaiModel() {
  // snippet: AI SDK
  const openai = createOpenAI({ baseURL: "http://127.0.0.1:8080/v1", apiKey: "sk-test" });
  const model = openai.image("gpt-image-2");
  // end
  return model;
}

function azureModel() {
  // snippet: AI SDK for Azure
  const azure = createAzure({ baseURL: "http://127.0.0.1:8080/openai/v1", apiKey: "test" });
  const model = azure.image("gpt-image-2");
  // end
  return model;
}

const model = { openai: openaiModel, azure: azureModel }[provider]();
const draw = async (prompt, options) =>
  (await generateImage({ model, prompt, ...options })).images.map((image) => image.base64);

const lighthouse = fs.readFileSync("lighthouse.png");
const harbour = fs.readFileSync("harbour.png");
const mask = fs.readFileSync("mask.png");
const withImages = (make) =>
  major === "5" ? "`generateImage` of `ai` 5 takes a text alone; pictures came with 6" : make;

await run({
  generate: () => draw("A lighthouse"),
  edit: withImages(() => draw({ text: "By night", images: [lighthouse] })),
  mask: withImages(() => draw({ text: "A red door", images: [lighthouse], mask })),
  inputs: withImages(() => draw({ text: "Both on one shelf", images: [lighthouse, harbour] })),
  stream: "`generateImage` has no stream: it reads the answer as one JSON text",
  error: async () => {
    try {
      await draw("A mistake", { size: "1000x1000" });
    } catch (error) {
      if (!ai.APICallError.isInstance(error)) throw error;
      const { code, param, message } = error.data.error;
      return { status: error.statusCode, code, param, message };
    }
  },
  retry: () => draw("A rate limit"),
});

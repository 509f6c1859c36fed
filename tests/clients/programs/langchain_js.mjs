// LangChain's tool for images, in JavaScript.
import { DallEAPIWrapper } from "@langchain/openai";
import { run } from "./report.mjs";

const model = process.argv[2];

// snippet: LangChain in JavaScript
const tool = new DallEAPIWrapper({
  baseUrl: "http://127.0.0.1:8080/v1", apiKey: "sk-test", model, // `baseUrl`, not `baseURL`
});
// end

const noEdits = "`DallEAPIWrapper` makes pictures of a text alone";

async function generate(prompt) {
  const answer = await fetch(await tool.invoke(prompt));
  return [Buffer.from(await answer.arrayBuffer()).toString("base64")];
}

await run({
  generate: () => generate("A lighthouse"),
  edit: noEdits,
  mask: noEdits,
  inputs: noEdits,
  stream: "`DallEAPIWrapper` returns the URL of a whole answer",
  error: async () => {
    tool.size = "1000x1000";
    try {
      await tool.invoke("A mistake");
    } catch ({ status, code, param, message }) {
      return { status, code, param, message };
    } finally {
      tool.size = "1024x1024";
    }
  },
  retry: () => generate("A rate limit"),
});

// OpenAI's SDK for JavaScript in a page of Chromium, of another origin than the server's.
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import { run } from "./report.mjs";

const bundle = await build({
  stdin: { contents: 'export * from "openai"; export { default } from "openai";', resolveDir: "." },
  bundle: true, format: "iife", globalName: "openai", write: false, logLevel: "error",
});
const script = bundle.outputFiles[0].text;
const html = '<!doctype html><link rel="icon" href="data:,"><script src="/openai.js"></script>';
const site = http.createServer((request, response) => {
  const [type, body] = request.url === "/openai.js" ? ["text/javascript", script] : ["text/html", html];
  response.writeHead(200, { "content-type": `${type}; charset=utf-8` }).end(body);
});
await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));
const [executablePath] = execFileSync("sh", ["-c", "command -v chromium google-chrome"], {
  encoding: "utf8",
}).split("\n");
const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"],
});
const page = await browser.newPage();
await page.goto(`http://127.0.0.1:${site.address().port}/`);

const lighthouse = fs.readFileSync("lighthouse.png", "base64");
const harbour = fs.readFileSync("harbour.png", "base64");
const mask = fs.readFileSync("mask.png", "base64");

/** What the SDK's `images[method](body)` gives in the page; its `files` are base64, or lists. */
const call = (method, body, files = {}) =>
  page.evaluate(
    async ({ method, body, files }) => {
      const { default: OpenAI, APIError } = openai;
      // snippet: openai-node in a page
      const client = new OpenAI({
        baseURL: "http://127.0.0.1:8080/v1", apiKey: "sk-test", dangerouslyAllowBrowser: true,
      });
      // end
      const file = (data) =>
        Array.isArray(data)
          ? data.map(file)
          : new File([Uint8Array.from(atob(data), (each) => each.charCodeAt(0))], "a.png", {
              type: "image/png",
            });
      for (const [name, data] of Object.entries(files)) body[name] = file(data);
      try {
        const answer = await client.images[method]({ model: "gpt-image-2", ...body });
        if (!body.stream) return answer.data.map((image) => image.b64_json);
        const events = [];
        for await (const event of answer) events.push(event);
        return { events: events.map((event) => event.type), images: [events.at(-1).b64_json] };
      } catch (error) {
        if (!(error instanceof APIError) || !error.status) throw error;
        const { status, code, param, message } = error;
        return { status, code, param, message };
      }
    },
    { method, body, files },
  );

await run({
  generate: () => call("generate", { prompt: "A lighthouse" }),
  edit: () => call("edit", { prompt: "By night" }, { image: lighthouse }),
  mask: () => call("edit", { prompt: "A red door" }, { image: lighthouse, mask }),
  inputs: () => call("edit", { prompt: "Both on one shelf" }, { image: [lighthouse, harbour] }),
  stream: () => call("generate", { prompt: "A ship", stream: true, partial_images: 2 }),
  error: () => call("generate", { prompt: "A mistake", size: "1000x1000" }),
  retry: () => call("generate", { prompt: "A rate limit" }),
});
await browser.close();
site.close();

import { createServer } from "node:http";
import OpenAI from "openai";

const PAGE = `<!doctype html>
<title>Posters</title>
<form><label>Title <input name="title"></label> <button>Draw</button></form>
<p role="status"></p>
<script>
  const form = document.querySelector("form");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const status = document.querySelector("[role=status]");
    const answer = await fetch("/poster", { method: "POST", body: form.title.value });
    if (!answer.ok) return void (status.textContent = await answer.text());
    const image = document.createElement("img");
    image.alt = form.title.value;
    image.src = URL.createObjectURL(await answer.blob());
    status.replaceChildren(image);
  });
</script>`;

/** The poster of a title, drawn by the API that the environment names. */
async function poster(title) {
  const answer = await new OpenAI({ maxRetries: 0 }).images.generate({
    model: "gpt-image-2", prompt: `A poster for ${title}`, size: "1024x1024", output_format: "webp",
  });
  return Buffer.from(answer.data[0].b64_json, "base64");
}

createServer(async (request, response) => {
  if (request.method !== "POST") {
    response.setHeader("content-type", "text/html").end(PAGE);
    return;
  }
  const chunks = await request.toArray();
  try {
    response.setHeader("content-type", "image/webp").end(await poster(Buffer.concat(chunks)));
  } catch (error) {
    const text = error.status === 429 ? "Many posters are being drawn" : "It cannot be drawn";
    response.writeHead(503, { "content-type": "text/plain" }).end(text);
  }
}).listen(Number(process.env.PORT ?? 3000), "127.0.0.1");

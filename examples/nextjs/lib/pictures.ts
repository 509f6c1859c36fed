import OpenAI, { toFile } from "openai";

/** A picture of the prompt, in PNG. */
export async function draw(
  prompt: string,
  background: "opaque" | "transparent" = "opaque",
): Promise<Buffer> {
  const answer = await new OpenAI().images.generate({
    model: "gpt-image-1.5",
    prompt,
    background,
    size: "1024x1024",
  });
  return Buffer.from(answer.data?.[0]?.b64_json ?? "", "base64");
}

/** Two previews of a picture, and the picture itself, as they come. */
export async function* previews(prompt: string): AsyncGenerator<Buffer> {
  const stream = await new OpenAI().images.generate({
    model: "gpt-image-2",
    prompt,
    stream: true,
    partial_images: 2,
  });
  for await (const event of stream) yield Buffer.from(event.b64_json, "base64");
}

/** The picture, with what is transparent in the mask drawn anew. */
export async function repaint(picture: Buffer, mask: Buffer, prompt: string): Promise<Buffer> {
  const answer = await new OpenAI().images.edit({
    model: "gpt-image-2",
    prompt,
    image: await toFile(picture, "picture.png", { type: "image/png" }),
    mask: await toFile(mask, "mask.png", { type: "image/png" }),
  });
  return Buffer.from(answer.data?.[0]?.b64_json ?? "", "base64");
}

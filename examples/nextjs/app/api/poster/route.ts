import OpenAI from "openai";

/** `POST /api/poster` with a title: its poster in WebP, or 422 where the prompt is refused. */
export async function POST(request: Request): Promise<Response> {
  const { title } = await request.json();
  try {
    const answer = await new OpenAI().images.generate({
      model: "gpt-image-2",
      prompt: `A poster for ${title}`,
      output_format: "webp",
    });
    const picture = Buffer.from(answer.data?.[0]?.b64_json ?? "", "base64");
    return new Response(picture, { headers: { "content-type": "image/webp" } });
  } catch (error) {
    if (error instanceof OpenAI.BadRequestError) {
      return Response.json({ error: error.code }, { status: 422 });
    }
    throw error;
  }
}

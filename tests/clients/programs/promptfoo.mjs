// promptfoo's provider for images.
import { loadApiProvider } from "promptfoo";
import { run } from "./report.mjs";

// snippet: promptfoo
const provider = await loadApiProvider("openai:image:gpt-image-2", {
  options: { config: { apiBaseUrl: "http://127.0.0.1:8080/v1", apiKey: "sk-test" } },
});
// end

const noEdits = "the provider `openai:image` refuses `image` and `mask`";

async function generate(prompt) {
  const { error, output } = await provider.callApi(prompt);
  if (error) throw new Error(error);
  return [output.split("base64,")[1]];
}

await run({
  generate: () => generate("A lighthouse"),
  edit: noEdits,
  mask: noEdits,
  inputs: noEdits,
  stream: "the provider `openai:image` refuses `stream`",
  error: async () => {
    const { error } = await provider.callApi("A mistake [[emulator: moderation_blocked]]");
    return { message: error };
  },
  retry: () => generate("A rate limit"),
});
process.exit();

import { randomUUID } from "node:crypto";

/** The server for the tests of one file: a namespace, which other files do not see. */
const url = `${process.env.IMAGES_EMULATOR_URL}/ns/${randomUUID()}`;
process.env.OPENAI_BASE_URL = `${url}/v1`;
process.env.OPENAI_API_KEY = "sk-test";

/** A call in the journal, with some of its keys. */
export interface Call {
  path: string;
  status: number | null;
  prompt: string | null;
  parameters: Record<string, unknown>;
}

type Fault = string | { kind: string; [setting: string]: unknown };
type Steps = { times?: number | null; match?: Record<string, unknown> };
type Settings = { as_of?: string | null; validation?: "strict" | "lenient" | null };

async function admin<T>(method: string, path: string, body?: object): Promise<T> {
  const answer = await fetch(`${url}/_emulator/${path}`, {
    method,
    headers: { "content-type": "application/json" },
    body: body ? JSON.stringify(body) : null,
  });
  if (!answer.ok) throw new Error(await answer.text());
  return (await answer.json()) as T;
}

export const emulator = {
  reset: () => admin("POST", "reset"),
  inject: (fault: Fault, steps: Steps = {}) => admin("POST", "inject", { fault, ...steps }),
  advance: (seconds: number) => admin("POST", "clock", { advance: seconds }),
  configure: (settings: Settings) => admin("PATCH", "settings", settings),
  async calls(filters: Record<string, string> = {}): Promise<Call[]> {
    const path = `requests?${new URLSearchParams(filters)}`;
    return (await admin<{ requests: Call[] }>("GET", path)).requests;
  },
};

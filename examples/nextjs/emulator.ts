import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** Starts the emulator on a free port before all tests, and ends it after them. */
export default async function setup(): Promise<() => void> {
  const server = spawn("images-emulator", ["--port", "0", "--log-format", "json"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of createInterface(server.stdout)) {
    const { event, base_url } = JSON.parse(line);
    if (event === "start") {
      process.env.OPENAI_BASE_URL = base_url;
      process.env.OPENAI_API_KEY = "sk-test";
      server.stdout.resume();
      return () => void server.kill();
    }
  }
  throw new Error("the emulator did not start");
}

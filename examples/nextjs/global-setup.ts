import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** Starts the emulator on a free port before all tests, and ends it after them. Where
 * IMAGES_EMULATOR_URL names a server, the tests use that one. */
export default async function setup(): Promise<() => void> {
  if (process.env.IMAGES_EMULATOR_URL) return () => {};
  const server = spawn("images-emulator", ["--port", "0", "--log-format", "json"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(server, "spawn");
  for await (const line of createInterface(server.stdout)) {
    const { event, url } = JSON.parse(line);
    if (event === "start") {
      process.env.IMAGES_EMULATOR_URL = url;
      server.stdout.resume();
      return () => void server.kill();
    }
  }
  throw new Error("the emulator did not start");
}

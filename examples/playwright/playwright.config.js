import { defineConfig } from "@playwright/test";

const emulator = Number(process.env.EMULATOR_PORT ?? 8080);
const app = Number(process.env.PORT ?? 3000);

export default defineConfig({
  use: {
    baseURL: `http://127.0.0.1:${app}`,
    // A browser of the system, where there is no other: CHROMIUM=/usr/bin/chromium.
    launchOptions: { executablePath: process.env.CHROMIUM },
  },
  // The app has one address for its calls, so the tests share a journal and take turns. In parallel,
  // each worker needs an app of its own, with `/ns/NAME` before the `/v1` of its base URL.
  workers: 1,
  metadata: { emulator: `http://127.0.0.1:${emulator}/_emulator` },
  // Both are started before the tests, and ended after them.
  webServer: [
    {
      command: `images-emulator --port ${emulator}`,
      url: `http://127.0.0.1:${emulator}/_emulator/health`,
    },
    {
      command: "npm start",
      url: `http://127.0.0.1:${app}/`,
      env: {
        PORT: `${app}`,
        OPENAI_BASE_URL: `http://127.0.0.1:${emulator}/v1`,
        OPENAI_API_KEY: "sk-test",
      },
    },
  ],
});

import { expect, test } from "@playwright/test";

const admin = () => test.info().config.metadata.emulator;

test.beforeEach(async ({ page, request }) => {
  await request.post(`${admin()}/reset`);
  await page.goto("/");
  await page.getByLabel("Title").fill("The Lighthouse");
});

test("a poster is shown", async ({ page, request }) => {
  await page.getByRole("button", { name: "Draw" }).click();
  const image = page.getByRole("img", { name: "The Lighthouse" });
  await expect(image).toHaveJSProperty("naturalWidth", 1024);
  const { requests } = await (await request.get(`${admin()}/requests`)).json();
  expect(requests.map((call) => call.prompt)).toEqual(["A poster for The Lighthouse"]);
});

test("a rate limit is told", async ({ page, request }) => {
  await request.post(`${admin()}/inject`, { data: { fault: "rate_limit_exceeded" } });
  await page.getByRole("button", { name: "Draw" }).click();
  await expect(page.getByRole("status")).toHaveText("Many posters are being drawn");
});

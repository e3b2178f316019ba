/** The documents as a browser shows them: they work, and nothing asks any other host. */
import { existsSync } from "node:fs";
import { type RunningServer, serve } from "millrace";
import { type Browser, chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const executablePath = "/usr/bin/chromium";
const token = "of-sixteen-letters";
const args = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
];

describe.skipIf(!existsSync(executablePath))("the documents in a browser", () => {
  let server: RunningServer;
  let browser: Browser;

  beforeAll(async () => {
    const options = { port: 0, host: "127.0.0.1", data: ":memory:", access: { token } };
    server = await serve({ ...options, onFatal: (message) => expect.fail(message) });
    browser = await chromium.launch({ executablePath, args });
  });

  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });

  async function open(path: string) {
    const page = await browser.newPage();
    const asked: string[] = [];
    const complaints: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(String(error)));
    await page.goto(`${server.url}${path}?token=${token}`);
    return { page, asked, complaints };
  }

  test.each(["/api/docs", "/apidocs"])("%s shows the calls, and tries one", async (path) => {
    const { page, asked, complaints } = await open(path);
    const append = page.locator(".opblock-post", { hasText: "Append events" }).first();
    await append.waitFor();
    await append.locator(".opblock-summary-control").first().click();
    await append.getByRole("button", { name: "Try it out" }).click();
    await append.getByRole("button", { name: "Execute" }).click();
    const answer = append.locator(".live-responses-table .response-col_status", { hasText: "200" });
    await answer.waitFor();
    expect(await server.engine.state("public", "/me/hello")).toMatchObject({ path: "/me/hello" });
    expect(asked.length).toBeGreaterThan(4);
    expect(asked.filter((url) => !url.startsWith(`${server.url}/`) && !url.startsWith("data:"))).toEqual([]);
    expect(complaints).toEqual([]);
    await page.close();
  });

  test("the pages of events are linked, and need no script", async () => {
    const { page, asked, complaints } = await open("/api/docs/events");
    await page.getByRole("link", { name: "paused", exact: true }).click();
    await page.getByRole("heading", { name: "paused" }).waitFor();
    await page.getByText("As JSON Schema").click();
    expect(await page.locator("details pre").innerText()).toContain('"reason"');
    expect(asked.filter((url) => !url.startsWith(`${server.url}/`))).toEqual([]);
    expect(complaints.filter((text) => !text.includes("favicon"))).toEqual([]);
    await page.close();
  });
});

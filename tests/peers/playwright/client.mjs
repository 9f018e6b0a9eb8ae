// The benchmark's scenario as a user of Playwright writes it: locators, and every check of actionability.
//
// `open N` on the standard input starts N browsers, `run` does the scenario in all of them at once, `close` ends them;
// each is answered by one line of JSON. What is started, with which flags and on which site, is given as arguments, so
// that it is the same as for the other clients: site, executable, flags.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [site, executablePath, ...flags] = process.argv.slice(2);
const UPLOAD = "Smile please!";

async function open() {
  const folder = await mkdtemp(join(tmpdir(), "peer-"));
  const upload = join(folder, "photo.txt");
  await writeFile(upload, UPLOAD);
  const browser = await chromium.launch({
    executablePath,
    ignoreDefaultArgs: true,
    args: [...flags, `--user-data-dir=${folder}`, "about:blank"],
  });
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  return { browser, page: await context.newPage(), upload, folder };
}

async function close({ browser, folder }) {
  await browser.close();
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
}

async function run({ page, upload }) {
  const steps = [];
  let since = performance.now();
  const end = (name) => {
    const now = performance.now();
    steps.push([name, now - since]);
    since = now;
  };

  await page.goto(`${site}/login`);
  assert.equal(await page.title(), "Sign in");
  end("goto");

  await page.getByLabel("Email").fill("hr@example.com");
  await page.getByLabel("Password").fill("correct horse");
  end("fill twice");

  await page.getByRole("button", { name: "Sign in" }).click();
  end("click sign in");

  await page.getByRole("heading", { name: "Welcome back" }).waitFor();
  end("wait 200 ms");

  await page.getByRole("link", { name: "Employees" }).click();
  await page.locator("#employees").waitFor();
  end("click link");

  const rows = await page.locator("#employees tbody tr").evaluateAll((all) => all.map((row) => [1, 2, 3, 4, 5].map((n) => row.querySelector(`td:nth-child(${n})`)?.innerText.trim() ?? null)));
  assert.equal(rows.length, 100);
  assert.equal(rows.reduce((sum, row) => sum + Number(row[4]), 0), 5295000);
  end("extract");

  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Export CSV" }).click()]);
  const csv = await readFile(await download.path(), "utf8");
  assert.equal(download.suggestedFilename(), "employees.csv");
  assert.equal(csv.trimEnd().split("\n").length, 101);
  end("download");

  const picture = await page.screenshot();
  assert.equal(picture.subarray(1, 4).toString(), "PNG");
  assert.ok(picture.length > 10_000);
  end("screenshot");

  await page.getByRole("link", { name: "Settings" }).click();
  await page.getByLabel("Department").selectOption({ label: "Engineering" });
  assert.equal(await page.locator("#chosen").innerText(), "eng");
  end("click link, select");

  await page.getByLabel("Photo").setInputFiles(upload);
  await page.getByText("photo.txt, 13 characters").waitFor();
  end("upload");

  const frame = page.frameLocator("#consent");
  await frame.getByRole("button", { name: "I agree" }).click();
  assert.equal(await frame.locator("#state").innerText(), "agreed");
  end("click in iframe");

  await page.getByRole("button", { name: "Delete everything" }).click();
  assert.equal(await page.locator("#deletion").innerText(), "dismissed");
  end("dialog");

  await page.goto(`${site}/report`);
  assert.equal(await page.locator("#sum").innerText(), "5295000");
  end("goto");

  const pdf = await page.pdf({ printBackground: true, preferCSSPageSize: true });
  assert.equal(pdf.subarray(0, 4).toString(), "%PDF");
  assert.ok(pdf.length > 5_000);
  end("PDF");
  return steps;
}

const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
let sessions = [];
for await (const line of createInterface({ input: process.stdin })) {
  const [command, count] = line.split(" ");
  if (command === "open") {
    for (let i = 0; i < Number(count); i++) sessions.push(await open());
    say([]);
  } else if (command === "run") {
    const since = performance.now();
    const all = await Promise.all(sessions.map(run));
    say({ wallMs: performance.now() - since, steps: all[0] });
  } else if (command === "close") {
    await Promise.all(sessions.map(close));
    sessions = [];
    say(null);
  } else {
    throw new Error(`${line} is no command`);
  }
}

// Walks through the pages of the example servers with Chromium:
//   node main.mjs PACKAGES CHROMIUM PICTURES EXAMPLE...
// PACKAGES is where the packages are, PICTURES a directory for screenshots or "".

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { attack, walk } from "./walk.mjs";

const [packages, executablePath, pictures, ...examples] = process.argv.slice(2);
const require = createRequire(join(packages, "package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const PHONE = { width: 360, height: 740 };
const DESK = { width: 1200, height: 800 };
// Scripts are off, as a careful person has them; axe is one itself, so it gets walks of its own.
const WALKS = [
  { name: "phone, no scripts", viewport: PHONE, javaScriptEnabled: false },
  { name: "desk, no scripts", viewport: DESK, javaScriptEnabled: false, colorScheme: "dark" },
  { name: "phone, axe", viewport: PHONE, bypassCSP: true, colorScheme: "dark" },
  { name: "desk, axe", viewport: DESK, bypassCSP: true, colorScheme: "light" },
];

async function main() {
  const browser = await chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  });
  const application = await Application.start();
  let passed = 0;
  try {
    for (const example of examples) {
      for (const options of WALKS) {
        await walkThrough(browser, example, application, options);
        passed += 1;
      }
      await withExample(example, async (origin) => {
        const context = await browser.newContext({ viewport: DESK });
        await attack(context, { origin, application });
        await context.close();
      });
      passed += 1;
      console.log(`browser: ${basename(example)}: another site in the way: ok`);
    }
  } finally {
    await browser.close();
    application.stop();
  }
  console.log(`browser: ${passed} passed`);
}

async function walkThrough(browser, example, application, { name, ...options }) {
  const httpCredentials = { username: "admin", password: "admin-secret" };
  await withExample(example, async (origin) => {
    const context = await browser.newContext({ httpCredentials, ...options });
    context.setDefaultTimeout(20_000);
    const complaints = [];
    context.on("request", (request) => {
      const from = new URL(request.url()).origin;
      if (from !== origin && from !== application.origin) complaints.push(`${request.url()} was loaded`);
    });
    context.on("console", (message) => {
      // Of refusals, and of an icon that the pages' policy forbids.
      const expected = /status of (400|401)/.test(message.text()) || message.location().url.endsWith("/favicon.ico");
      if (message.type() === "error" && !expected) complaints.push(`${message.location().url}: ${message.text()}`);
    });
    const seen = [];
    await walk(context, { origin, application }, async (page, title) => {
      seen.push(title);
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= options.viewport.width, `${title} is ${width} wide`);
      if (options.bypassCSP) await accessible(page, title);
      if (pictures) await photograph(page, `${basename(example)}, ${name}, ${title}`);
    });
    await context.close();
    assert.deepEqual(complaints, []);
    console.log(`browser: ${basename(example)}: ${name}: ok, ${seen.length} pages`);
  });
}

async function accessible(page, title) {
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate(() => globalThis.axe.run());
  assert.ok(passes.length > 5, `axe looked at ${title}`);
  const told = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.html).join(", ")}`);
  assert.deepEqual(told, [], title);
}

async function photograph(page, name) {
  const path = join(pictures, `${name.replaceAll(/[^a-z]+/g, "-")}.png`);
  await page.screenshot({ path, fullPage: true });
}

/** Runs an example server until `use` is done. */
async function withExample(example, use) {
  const config = fileURLToPath(new URL("demo.toml", import.meta.url));
  const child = spawn(example, ["--config", config, "--listen", "127.0.0.1:0"], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, RUST_LOG: "error" },
  });
  const ended = once(child, "exit");
  try {
    const [line] = await Promise.race([once(createInterface(child.stdout), "line"), ended]);
    const origin = /^listening on (http:\S+)$/.exec(line)?.[1];
    assert.ok(origin, `${example} does not listen: ${line}`);
    await use(origin);
  } finally {
    child.kill("SIGTERM");
    await ended;
  }
}

/** The client's web site, and somebody else's under another name. */
class Application {
  static async start() {
    const server = createServer((request, response) => {
      const { pathname, searchParams } = new URL(request.url, "http://application");
      const body = pathname === "/frame" ? frame(searchParams) : pathname === "/form" ? form(searchParams) : "";
      response.setHeader("content-type", "text/html; charset=utf-8");
      response.end(`<!DOCTYPE html><html lang="en"><title>Application</title>${body}`);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const own = new Application();
    own.server = server;
    own.host = "127.0.0.1";
    own.origin = `http://127.0.0.1:${server.address().port}`;
    own.url = `${own.origin}/callback`;
    own.evil = `http://localhost:${server.address().port}`;
    return own;
  }

  frame(url) {
    return `${this.evil}/frame?${new URLSearchParams({ url })}`;
  }

  form(action, fields) {
    return `${this.evil}/form?${new URLSearchParams({ ...fields, action })}`;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll('"', "&quot;");
}

function frame(parameters) {
  return `<iframe src="${escaped(parameters.get("url"))}"></iframe>`;
}

function form(parameters) {
  const fields = [...parameters].filter(([name]) => name !== "action");
  const inputs = fields.map(([name, value]) => `<input type="hidden" name="${name}" value="${escaped(value)}">`);
  return `<form method="post" action="${escaped(parameters.get("action"))}">${inputs.join("")}<button>Win</button></form>`;
}

await main();

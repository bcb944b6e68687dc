// What a person does with the example server's pages, in a real browser.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";

const SCOPES = ["orders.read", "orders.write", "profile"];

/**
 * From the login to the last token. `look(page, name)` is called on each page that a person
 * comes to see.
 *
 * @param {import("playwright-core").BrowserContext} context
 * @param {{origin: string, application: {url: string, host: string}}} places
 */
export async function walk(context, { origin, application }, look) {
  const page = await context.newPage();
  const ask = (extra = {}) => new Authorization(origin, application.url, extra);

  await mistakes(page, ask, look);

  // The keyboard is enough: name, password, enter.
  let authorization = ask();
  await page.goto(authorization.url);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  assert.equal(await focused(page), "username", "the first field comes after the brand");
  await page.keyboard.type("alice");
  await page.keyboard.press("Tab");
  await page.keyboard.type("wonderland");
  await page.keyboard.press("Enter");

  // A subset is allowed.
  await page.getByRole("heading", { name: "Order list asks for access" }).waitFor();
  await page.getByText("Shows your orders wherever you are").waitFor();
  await page.getByText(application.host).waitFor();
  for (const name of ["See your orders", "Place orders for you", "See your name"]) {
    assert.ok(await page.getByLabel(name).isChecked(), `${name} is ticked`);
  }
  await look(page, "consent");
  await page.getByLabel("Place orders for you").uncheck();
  let answer = await chosen(page, "Allow", application.url);
  assert.equal(answer.get("state"), authorization.state);
  assert.equal(answer.get("iss"), origin);
  const token = await authorization.redeem(answer.get("code"));
  assert.equal(token.scope, "orders.read profile");
  assert.equal(await api(origin, "GET", "/api/orders", token), 200);
  assert.equal(await api(origin, "POST", "/api/orders", token), 403);

  // Nobody is asked for the password twice; what was allowed is shown; no is no.
  authorization = ask();
  await page.goto(authorization.url);
  assert.equal(await page.getByText("allowed before").count(), 2);
  answer = await chosen(page, "Deny", application.url);
  assert.equal(answer.get("error"), "access_denied");
  assert.equal(answer.get("state"), authorization.state);
  assert.equal(answer.get("code"), null);

  // What was allowed can be ended.
  await page.goto(`${origin}/grants`);
  await page.getByRole("heading", { name: "Order list" }).waitFor();
  await look(page, "grants");
  await page.getByRole("button", { name: /End access of Order list/ }).click();
  await page.getByText("No application has access to your account.").waitFor();
  assert.equal(await api(origin, "GET", "/api/orders", token), 401);
  await look(page, "no grants");

  // So can it by the administrator.
  authorization = ask();
  await page.goto(authorization.url);
  answer = await chosen(page, "Allow", application.url);
  const other = await authorization.redeem(answer.get("code"));
  assert.equal(await api(origin, "GET", "/api/orders", other), 200);
  await page.goto(`${origin}/admin/tokens`);
  await page.getByRole("cell", { name: "alice", exact: true }).waitFor();
  assert.ok(!(await page.content()).includes(other.access_token));
  await look(page, "tokens");
  await page.getByRole("button", { name: /Delete the tokens of webapp for alice/ }).click();
  await page.getByText("There are no tokens.").waitFor();
  assert.equal(await api(origin, "GET", "/api/orders", other), 401);

  await page.goto(`${origin}/grants`);
  await page.getByRole("link", { name: "Sign out" }).click();
  await look(page, "logout");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.goto(`${origin}/grants`);
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
}

/** What goes wrong is said on the page, and leads nowhere. */
async function mistakes(page, ask, look) {
  await page.goto(ask().url);
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await look(page, "login");
  await page.getByLabel("User name").fill("alice");
  await page.getByLabel("Password").fill("underland");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").waitFor();
  assert.equal(await page.getByLabel("User name").inputValue(), "alice");
  assert.equal(await page.getByLabel("Password").inputValue(), "");
  await look(page, "login refused");

  const elsewhere = await page.goto(ask({ redirect_uri: "http://evil.invalid/callback" }).url);
  assert.equal(elsewhere.status(), 400);
  assert.ok(!page.url().includes("evil.invalid/"), page.url());
  await look(page, "error");
}

/** Another site can neither show the pages in a frame nor send their forms. */
export async function attack(context, { origin, application }) {
  const page = await context.newPage();
  const authorization = new Authorization(origin, application.url, {});
  await page.goto(authorization.url);
  await page.getByLabel("User name").fill("alice");
  await page.getByLabel("Password").fill("wonderland");
  await page.keyboard.press("Enter");
  const ticket = await page.locator("input[name=ticket]").inputValue();

  await page.goto(application.frame(authorization.url));
  const frame = page.frames().find((frame) => frame !== page.mainFrame());
  assert.ok(frame, "there is a frame");
  assert.equal(await frame.getByRole("button").count(), 0, "the frame shows no button");

  // The person's own ticket, sent from a page of another site.
  await page.goto(application.form(`${origin}/oauth/authorize`, { ticket, decision: "allow", scope: "profile" }));
  await page.getByRole("button", { name: "Win" }).click();
  await page.waitForLoadState();
  assert.ok(!page.url().includes("code="), page.url());
  await page.goto(`${origin}/grants`);
  await page.getByText("No application has access to your account.").waitFor();
  await page.close();
}

class Authorization {
  #verifier = randomBytes(32).toString("base64url");
  #origin;
  #redirectUri;

  constructor(origin, redirectUri, extra) {
    this.state = randomBytes(8).toString("base64url");
    this.#origin = origin;
    this.#redirectUri = redirectUri;
    const challenge = createHash("sha256").update(this.#verifier).digest("base64url");
    this.url = `${origin}/oauth/authorize?${new URLSearchParams({
      response_type: "code",
      client_id: "webapp",
      redirect_uri: redirectUri,
      scope: SCOPES.join(" "),
      state: this.state,
      code_challenge: challenge,
      code_challenge_method: "S256",
      ...extra,
    })}`;
  }

  async redeem(code) {
    const answer = await fetch(`${this.#origin}/oauth/token`, {
      method: "POST",
      body: new URLSearchParams({
        grant_type: "authorization_code",
        client_id: "webapp",
        code,
        redirect_uri: this.#redirectUri,
        code_verifier: this.#verifier,
      }),
    });
    assert.equal(answer.status, 200);
    return answer.json();
  }
}

async function chosen(page, button, redirectUri) {
  await page.getByRole("button", { name: button }).click();
  await page.waitForURL((url) => url.href.startsWith(redirectUri));
  return new URL(page.url()).searchParams;
}

async function api(origin, method, path, token) {
  const answer = await fetch(origin + path, {
    method,
    headers: { authorization: `Bearer ${token.access_token}` },
  });
  await answer.arrayBuffer();
  return answer.status;
}

function focused(page) {
  return page.evaluate(() => document.activeElement.id);
}

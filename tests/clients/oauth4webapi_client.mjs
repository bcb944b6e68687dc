// The npm library oauth4webapi as a client of an example server:
//   node oauth4webapi_client.mjs PACKAGES ORIGIN

import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [packages, origin] = process.argv.slice(2);
const oauth = await import(pathToFileURL(join(packages, "node_modules/oauth4webapi/build/index.js")));

const CALLBACK = "http://127.0.0.1:7777/callback";
const SECRET = "s3cr3t: 100% /+=&";
const HTTP = { [oauth.allowInsecureRequests]: true };
let checks = 0;

function check(what, condition) {
  assert.ok(condition, what);
  checks += 1;
}

async function refused(what, error, promise) {
  await assert.rejects(promise, (failure) => {
    // A 401 that has a challenge is told of as one.
    const told = failure.error ?? (failure instanceof oauth.WWWAuthenticateChallengeError && "challenge");
    assert.equal(told, error, `${what}: ${failure}`);
    return true;
  });
  checks += 1;
}

async function orders(server, token) {
  const url = new URL("/api/orders", origin);
  try {
    const answer = await oauth.protectedResourceRequest(token.access_token, "GET", url, null, null, HTTP);
    return answer.status;
  } catch (error) {
    if (!(error instanceof oauth.WWWAuthenticateChallengeError)) throw error;
    assert.equal(error.cause[0].scheme, "bearer");
    assert.equal(error.cause[0].parameters.error, "invalid_token");
    return error.status;
  }
}

/** A person who signs in and allows whatever is asked for. */
class Browser {
  #cookies = new Map();

  async allow(url) {
    let page = await this.#get(url);
    if (page.url.includes("/login")) {
      page = await this.#post("/login", [...hidden(page), ["username", "alice"], ["password", "wonderland"]]);
    }
    const scopes = [...page.text.matchAll(/name="scope" value="([^"]+)"/g)].map(([, scope]) => ["scope", scope]);
    const answer = await this.#send(new URL("/oauth/authorize", origin), {
      method: "POST",
      body: new URLSearchParams([...hidden(page), ...scopes, ["decision", "allow"]]),
    });
    return new URL(answer.headers.get("location"));
  }

  async #get(url) {
    const answer = await this.#send(url, {});
    const location = answer.headers.get("location");
    if (location) return this.#get(new URL(location, url));
    return { url: String(url), text: await answer.text() };
  }

  async #post(path, fields) {
    const url = new URL(path, origin);
    const answer = await this.#send(url, { method: "POST", body: new URLSearchParams(fields) });
    return this.#get(new URL(answer.headers.get("location"), url));
  }

  async #send(url, options) {
    const cookie = [...this.#cookies].map((pair) => pair.join("=")).join("; ");
    const answer = await fetch(url, { redirect: "manual", headers: cookie ? { cookie } : {}, ...options });
    for (const set of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(set);
      this.#cookies.set(name, value);
    }
    return answer;
  }
}

function hidden(page) {
  const inputs = page.text.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g);
  return [...inputs].map(([, name, value]) => [name, value.replaceAll("&#x2f;", "/").replaceAll("&amp;", "&")]);
}

const issuer = new URL(origin);
const discovered = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...HTTP });
const server = await oauth.processDiscoveryResponse(issuer, discovered);
check("discovery", server.authorization_response_iss_parameter_supported);

async function clientCredentials(client, authentication) {
  const parameters = { scope: "orders.read" };
  const answer = await oauth.clientCredentialsGrantRequest(server, client, authentication, parameters, HTTP);
  return oauth.processClientCredentialsResponse(server, client, answer);
}

const reports = { client_id: "reports" };
const basic = oauth.ClientSecretBasic(SECRET);
check("client_secret_basic", (await orders(server, await clientCredentials(reports, basic))) === 200);
const batch = { client_id: "batch" };
const post = oauth.ClientSecretPost("batch-secret");
check("client_secret_post", (await orders(server, await clientCredentials(batch, post))) === 200);
await refused("wrong secret", "challenge", clientCredentials(reports, oauth.ClientSecretBasic("wrong")));

async function password(password) {
  const parameters = { username: "alice", password };
  const answer = await oauth.genericTokenEndpointRequest(server, reports, basic, "password", parameters, HTTP);
  return oauth.processGenericTokenEndpointResponse(server, reports, answer);
}

check("password", (await orders(server, await password("wonderland"))) === 200);
await refused("wrong password", "invalid_grant", password("underland"));

await codeFlow({ client_id: "webapp" }, oauth.None());
await codeFlow(reports, basic);
console.log(`oauth4webapi: ${checks} checks`);

async function codeFlow(client, authentication) {
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const url = new URL(server.authorization_endpoint);
  url.search = new URLSearchParams({
    response_type: "code",
    client_id: client.client_id,
    redirect_uri: CALLBACK,
    scope: "orders.read",
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
  });
  // This checks `state` and `iss`.
  const parameters = oauth.validateAuthResponse(server, client, await new Browser().allow(url), state);

  const redeem = async () => {
    const answer = await oauth.authorizationCodeGrantRequest(
      server, client, authentication, parameters, CALLBACK, verifier, HTTP,
    );
    return oauth.processAuthorizationCodeResponse(server, client, answer);
  };
  const refresh = async (token) => {
    const answer = await oauth.refreshTokenGrantRequest(server, client, authentication, token.refresh_token, HTTP);
    return oauth.processRefreshTokenResponse(server, client, answer);
  };
  const introspect = async (token) => {
    const api = { client_id: "orders-api" };
    const secret = oauth.ClientSecretBasic("orders-api-secret");
    const answer = await oauth.introspectionRequest(server, api, secret, token.access_token, HTTP);
    return oauth.processIntrospectionResponse(server, api, answer);
  };

  const first = await redeem();
  check("code", (await orders(server, first)) === 200);
  const second = await refresh(first);
  check("rotation", second.refresh_token !== first.refresh_token && (await orders(server, second)) === 200);
  const told = await introspect(second);
  check("introspection", told.active && told.username === "alice" && told.client_id === client.client_id);

  const ended = await oauth.revocationRequest(server, client, authentication, second.refresh_token, HTTP);
  await oauth.processRevocationResponse(ended);
  check("revocation", (await introspect(second)).active === false);
  check("revoked", (await orders(server, second)) === 401);
  await refused("refresh after revocation", "invalid_grant", refresh(second));
  await refused("spent code", "invalid_grant", redeem());
}

// node-oidc-provider with client credentials: server.mjs ID SECRET
import http from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [modules, id, secret] = process.argv.slice(2);
const { Provider } = await import(
  pathToFileURL(createRequire(path.join(modules, 'package.json')).resolve('oidc-provider')).href
);

// Its own store in memory keeps a thousand entries; this one keeps all.
const records = new Map();
class Adapter {
  constructor(model) {
    this.model = model;
  }
  async upsert(key, payload) {
    records.set(`${this.model}:${key}`, payload);
  }
  async find(key) {
    return records.get(`${this.model}:${key}`);
  }
  async destroy(key) {
    records.delete(`${this.model}:${key}`);
  }
  async findByUserCode() {}
  async findByUid() {}
  async consume() {}
  async revokeByGrantId() {}
}

const provider = new Provider('http://127.0.0.1', {
  adapter: Adapter,
  scopes: ['orders.read'],
  features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
  clients: [{
    client_id: id,
    client_secret: secret,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    scope: 'orders.read',
  }],
});
const server = http.createServer(provider.callback());
server.listen(0, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}`));

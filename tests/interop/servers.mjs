// The servers under test (servers/README.md), and a gateway before all of them for a client that holds one token.

import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { startBearer } from './bearer.mjs';
import { node, python } from './clients.mjs';
import { answering, freePort, listening, start } from './programs.mjs';

const token_secs = 3600;
const issuer = 'https://issuer.example';
const kid = 'interop';

// How each is started, and whether its SDK speaks the newest revision.
export const servers = {
  'ts-1': { sdk: 'TypeScript 1', command: [node, 'servers/ts-1.mjs'], newest: false },
  'ts-2': { sdk: 'TypeScript 2', command: [node, 'servers/ts-2.mjs'], newest: true },
  'py-1': { sdk: 'Python 1', command: [python(1), 'servers/py_1.py'], newest: false },
  'py-2': { sdk: 'Python 2', command: [python(2), 'servers/py_2.py'], newest: true },
  rust: { sdk: 'Rust', command: ['.cache/rust/debug/interop-server'], newest: true },
};

// Starts all of them; returns the URL of each by its name.
export async function startServers() {
  const started = Object.entries(servers).map(async ([name, { command }]) => {
    const port = await freePort();
    await listening(start(name, [...command, port]), port);
    return [name, `http://127.0.0.1:${port}/mcp`];
  });
  return Object.fromEntries(await Promise.all(started));
}

// Starts a gateway with one route for each upstream, and before it what adds the token; its files go to the folder.
// Returns the URL of each route for clients without a token. `route` is what all routes have: rules, and so on.
export async function startGatewayBefore(upstreams, folder, route) {
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  const url = new URL('http://127.0.0.1');
  const tokens = {};
  url.port = await startBearer(port, (path) => tokens[path]);
  const { authorization_servers, tokenFor } = newIssuer(folder);

  const urls = {};
  const routes = Object.entries(upstreams).map(([name, upstream]) => {
    const path = `/${name}/mcp`;
    urls[name] = new URL(path, url).href;
    tokens[path] = tokenFor(urls[name]);
    return { name, path, upstream, required_scopes: ['interop'], ...route };
  });
  // Clients reach the gateway by what adds the token.
  const config = { listen: `127.0.0.1:${port}`, public_url: url.origin, authorization_servers, routes };
  await startGateway(config, folder);
  return urls;
}

// Starts a gateway with this configuration, once it answers.
export async function startGateway(config, folder) {
  // The file is YAML, which JSON is too.
  const file = join(folder, 'gatepost.yaml');
  writeFileSync(file, JSON.stringify(config, null, 2));
  const gateway = start('gateway', [process.env.GATEPOST, 'run', '--config', file]);
  const { public_url, routes } = config;
  await answering(gateway, `${public_url}/.well-known/oauth-protected-resource${routes[0].path}`);
  return gateway;
}

// An issuer whose keys are in a file: what the gateway's file says of it, and its access tokens by resource.
export function newIssuer(folder) {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const keys = [{ ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' }];
  writeFileSync(join(folder, 'jwks.json'), JSON.stringify({ keys }));
  const authorization_servers = [{ issuer, jwks_file: 'jwks.json' }];
  return { authorization_servers, tokenFor: (resource, scope) => tokenFor(resource, privateKey, scope) };
}

// An access token (RFC 9068) for one resource.
function tokenFor(resource, key, scope = 'interop') {
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: issuer, sub: 'alice', client_id: 'interop', aud: resource, scope };
  const head = { alg: 'ES256', typ: 'at+jwt', kid };
  const parts = [head, { ...claims, iat: now, exp: now + token_secs }];
  const signed = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${signature.toString('base64url')}`;
}

// An authorization server of which only metadata and keys exist, and which can fail in many ways. A process of its own:
// `node issuer.mjs ISSUER MODE JWKS`. Told `{mode, jwks}` it changes; told `{count: true}` it says how often it was
// asked.

import { createServer } from 'node:http';

import { answerMessages } from './programs.mjs';

const huge_bytes = 50 << 20;
const slow_millis = 5000;

const [issuer, mode, jwks] = process.argv.slice(2);
const state = { mode, jwks };
const count = { metadata: 0, keys: 0, elsewhere: 0 };
let waiting = [];

const documents = {
  '/.well-known/oauth-authorization-server': () => {
    count.metadata += 1;
    return JSON.stringify({
      issuer,
      jwks_uri: `${issuer}/jwks`,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      response_types_supported: ['code'],
    });
  },
  '/jwks': () => {
    count.keys += 1;
    return state.jwks;
  },
};

const answers = {
  ok: json,
  slow: (response, body) => setTimeout(json, slow_millis, response, body),
  hang: (response) => waiting.push(response),
  html: (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Sign in</h1>'),
  huge: (response, body) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    // Valid JSON, were it ever read to its end.
    response.write(`${body.slice(0, -1)},"pad":"`);
    const piece = Buffer.alloc(1 << 20, 'x');
    let left = huge_bytes;
    const more = () => {
      while (left > 0) {
        left -= piece.length;
        if (!response.write(piece)) return response.once('drain', more);
      }
      response.end('"}');
    };
    more();
  },
  redirect: (response) => response.writeHead(302, { location: `${issuer}/elsewhere` }).end(),
};

function json(response, body) {
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'max-age=60' }).end(body);
}

const server = createServer((request, response) => {
  const path = request.url;
  if (path === '/elsewhere') {
    count.elsewhere += 1;
    return json(response, state.jwks);
  }
  const document = documents[path];
  if (!document) return response.writeHead(404).end();
  answers[state.mode](response, document());
}).listen(new URL(issuer).port, '127.0.0.1');

server.once('listening', () =>
  answerMessages((message) => {
    if (message.count) return count;
    Object.assign(state, message);
    for (const response of waiting) response.destroy();
    waiting = [];
    return state.mode;
  }),
);

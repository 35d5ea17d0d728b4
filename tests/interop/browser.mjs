// The person at the browser. A client opens an authorization URL here, and gets back the URL that the browser was sent
// to in the end: the client's own callback, with the code.
//
// Each login starts without cookies, so that none is skipped.

import { createServer } from 'node:http';

const redirects_max = 10;

// Starts the browser and returns {url, close}: clients GET `url` with the authorization URL as the query's `open`.
// `logIn` is the person: it takes the authorization URL, and returns what the browser was sent to in the end.
export async function startBrowser(logIn) {
  const server = createServer(async (request, response) => {
    try {
      const opened = new URL(request.url, 'http://127.0.0.1').searchParams.get('open');
      response.end(await logIn(new URL(opened)));
    } catch (error) {
      response.writeHead(500).end(String(error));
    }
  }).listen(0, '127.0.0.1');
  await new Promise((listening) => server.once('listening', listening));
  return { url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}

// A careful person at the authorization server of as.mjs: at a client's first login they agree to reading alone,
// whatever was asked for, and only at a later one to everything.
export function careful() {
  const known = new Set();
  return (opened) => {
    const client = opened.searchParams.get('client_id');
    const agreed = known.has(client) ? ['tools:read', 'tools:write'] : ['tools:read'];
    known.add(client);
    return logIn(opened, agreed);
  };
}

async function logIn(opened, agreed) {
  const callback = opened.searchParams.get('redirect_uri');
  const cookies = new Map();
  let url = opened;
  for (let redirects = 0; redirects < redirects_max; redirects++) {
    const page = url.pathname.startsWith('/interaction/')
      ? { method: 'POST', body: JSON.stringify({ accountId: 'alice', agreed }) }
      : {};
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await fetch(url, { ...page, redirect: 'manual', headers: { cookie } });
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      cookies.set(name, value);
    }
    const location = answer.headers.get('location');
    if (!location) throw new Error(`${url} answered ${answer.status}: ${await answer.text()}`);
    if (location.startsWith(callback)) return location;
    url = new URL(location, url);
  }
  throw new Error('too many redirects');
}

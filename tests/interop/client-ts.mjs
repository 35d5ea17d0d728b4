// An ordinary client on the TypeScript SDK: logs in when told to, lists the tools, calls them.
//
// Arguments: sdk | client | client-auto (version 1; version 2; version 2 negotiating the newest revision), or sdk-sse |
// client-sse (both by HTTP+SSE), the URL of the MCP server, and the calls to make as JSON. It is given nothing else to find its way. BROWSER opens authorization
// URLs. Prints what it saw as one line of JSON, judging nothing (see interop.mjs).

import { describe } from './recorder.mjs';

const [which, url, script] = process.argv.slice(2);
const calls = JSON.parse(script);
const first_version = which.startsWith('sdk');
const sse = which.endsWith('-sse');
const { Client, SSEClientTransport, StreamableHTTPClientTransport, UnauthorizedError } = first_version
  ? {
      ...(await import('@modelcontextprotocol/sdk/client/index.js')),
      ...(await import('@modelcontextprotocol/sdk/client/sse.js')),
      ...(await import('@modelcontextprotocol/sdk/client/streamableHttp.js')),
      ...(await import('@modelcontextprotocol/sdk/client/auth.js')),
    }
  : await import('@modelcontextprotocol/client');

const exchanges = [];
const store = {};
const provider = {
  redirectUrl: 'http://127.0.0.1:9/callback',
  clientMetadata: {
    client_name: `interop ${which}`,
    redirect_uris: ['http://127.0.0.1:9/callback'],
    grant_types: ['authorization_code'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  },
  clientInformation: () => store.client,
  saveClientInformation: (client) => { store.client = client; },
  tokens: () => store.tokens,
  saveTokens: (tokens) => { store.tokens = tokens; },
  codeVerifier: () => store.verifier,
  saveCodeVerifier: (verifier) => { store.verifier = verifier; },
  redirectToAuthorization: async (page) => {
    const answer = await fetch(`${process.env.BROWSER}?open=${encodeURIComponent(page)}`);
    if (!answer.ok) throw new Error(await answer.text());
    store.callback = new URL(await answer.text());
  },
};

const options = which === 'client-auto' ? { versionNegotiation: { mode: 'auto' } } : {};
let client, transport;
await loggingIn(async () => {
  client = new Client({ name: 'interop', version: '1' }, options);
  const Transport = sse ? SSEClientTransport : StreamableHTTPClientTransport;
  transport = new Transport(new URL(url), { authProvider: provider, fetch: recordingFetch });
  await client.connect(transport);
});
const tools = (await loggingIn(() => client.listTools())).tools.map((tool) => tool.name);
const results = {};
for (const { tool, args } of calls) results[tool] = await call(tool, args);
await transport.terminateSession?.().catch(() => {});
await client.close();
console.log(JSON.stringify({ tools, results, exchanges }));

// Does what an application does: when the SDK says that the person must log in, waits for that and tries again.
async function loggingIn(attempt) {
  try {
    return await attempt();
  } catch (error) {
    if (!(error instanceof UnauthorizedError) || !store.callback) throw error;
    const { searchParams } = store.callback;
    store.callback = undefined;
    await transport.finishAuth(first_version ? searchParams.get('code') : searchParams);
    return await attempt();
  }
}

async function call(name, args) {
  const progress = [];
  const onprogress = ({ progress: step, total }) => progress.push({ step, total, at: Date.now() });
  const request = { name, arguments: args };
  try {
    const result = await loggingIn(() =>
      first_version ? client.callTool(request, undefined, { onprogress }) : client.callTool(request, { onprogress }),
    );
    return { text: result.content[0].text, progress, at: Date.now() };
  } catch (error) {
    return { error: String(error) };
  }
}

async function recordingFetch(target, init) {
  const answer = await fetch(target, init);
  const sent = typeof init?.body === 'string' && init.body.startsWith('{') ? describe(init.body) : {};
  const refused = answer.status >= 400 && (sse || String(target) === url);
  exchanges.push({
    method: init?.method ?? 'GET',
    url: String(target),
    ...sent,
    session: new Headers(init?.headers).get('mcp-session-id'),
    status: answer.status,
    challenge: answer.headers.get('www-authenticate'),
    reason: answer.headers.get('gatepost-reason'),
    body: refused ? await answer.clone().text() : null,
  });
  return answer;
}

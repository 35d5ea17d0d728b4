// HTTP+SSE, the transport of MCP 2024-11-05: an unmodified server that speaks it behind the gateway, and the clients of
// the SDKs that still do. They log in at a real authorization server, knowing nothing but the URL of the stream.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { careful, startBrowser } from './browser.mjs';
import { isSame, report } from './checks.mjs';
import { node, python, runClient } from './clients.mjs';
import { answering, freePort, listening, start } from './programs.mjs';
import { startRecorder } from './recorder.mjs';

const clients = {
  'TypeScript 1': { command: [node, 'client-ts.mjs', 'sdk-sse'], steps_up: false },
  'TypeScript 2': { command: [node, 'client-ts.mjs', 'client-sse'], steps_up: false },
  'Python 1': { command: [python(1), 'client-py.py', 'sse'], steps_up: true },
  'Python 2': { command: [python(2), 'client-py.py', 'sse'], steps_up: true },
};

// In this order: what it may, what takes a while, what it may after a step-up, what nobody may. A client that is refused
// may give its session up.
const read = { tool: 'echo', args: { message: 'hello' }, text: 'Echo: hello' };
const slow = {
  tool: 'trigger-long-running-operation',
  args: { duration: 1, steps: 4 },
  text: 'Long running operation completed. Duration: 1 seconds, Steps: 4.',
};
const write = { tool: 'get-sum', args: { a: 20, b: 22 }, text: 'The sum of 20 and 22 is 42.' };
const denied = { tool: 'get-env', args: {} };

// Plays all of it.
export async function playSse() {
  const folder = mkdtempSync(join(tmpdir(), 'gatepost-sse-'));
  try {
    const browser = await startBrowser(careful());
    const issuer = await start('issuer', [node, 'as.mjs', 'lenient']).line();
    const port = await freePort();
    const server = ['node_modules/@modelcontextprotocol/server-everything/dist/index.js', 'sse'];
    await listening(start('everything by SSE', [node, ...server], { PORT: port }), port);
    const recorder = await startRecorder(port);
    const { gateway, origin } = await startGateway(folder, issuer, new URL('/sse', recorder.url).href);
    const url = `${origin}/everything/sse`;
    for (const [client, { command, steps_up }] of Object.entries(clients)) {
      const who = `${client} by SSE`;
      const before = recorder.seen.length;
      const calls = [read, slow, write, denied].map(({ tool, args }) => ({ tool, args }));
      const seen = await runClient(who, command, url, calls, browser.url);
      if (seen) judge((what, ...rest) => report(`${who}: ${what}`, ...rest), steps_up, url, seen, recorder.seen.slice(before));
    }
    const leaked = gateway.lines.filter((line) => /eyJ[\w-]+\.|"hello"/.test(line));
    report('audit by SSE: no token and no argument', gateway.lines.length > 0 && leaked.length === 0, leaked);
    const events = (name) => gateway.lines.filter((line) => JSON.parse(line).event === name).length;
    report('audit by SSE: every stream was opened', events('opened') === Object.keys(clients).length, gateway.lines);
    browser.close();
    recorder.close();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function startGateway(folder, issuer, server) {
  const port = await freePort();
  const template = readFileSync(join(import.meta.dirname, 'gatepost-sse.yaml'), 'utf8');
  const file = join(folder, 'gatepost.yaml');
  writeFileSync(file, template.replace(/\$\{(\w+)\}/g, (_, name) => ({ issuer, server, port })[name]));
  const gateway = start('gateway for SSE', [process.env.GATEPOST, 'run', '--config', file]);
  const origin = `http://127.0.0.1:${port}`;
  await answering(gateway, `${origin}/.well-known/oauth-protected-resource/everything/sse`);
  return { gateway, origin };
}

function judge(check, steps_up, url, { tools, results, exchanges }, reached) {
  const calls = (tool) => reached.filter(({ rpc, name }) => rpc === 'tools/call' && name === tool);
  const own = exchanges.filter((exchange) => new URL(exchange.url).origin === new URL(url).origin);

  const opened = own.filter((exchange) => exchange.url === url).map(({ method, status }) => `${method} ${status}`);
  check('it opens the stream, logs in, opens it again', isSame(opened, ['GET 401', 'GET 200']), opened);
  const posted = own.filter(({ method }) => method === 'POST');
  const addresses = [...new Set(posted.map((exchange) => exchange.url))];
  const sealed = addresses.length === 1 && /^\S+\/everything\/message\?session=[\w-]+$/.test(addresses[0]);
  check('it posts to one address, which is sealed', sealed, addresses);
  const targets = [...new Set(reached.filter(({ method }) => method === 'POST').map(({ path }) => path))];
  const there = targets.length === 1 && /^\/message\?sessionId=[\w-]+$/.test(targets[0]);
  check("the server's own address gets what is posted", there && !addresses[0].includes(targets[0]), targets);

  check('the list has what it may and what it could', isSame(tools, [read.tool, write.tool, slow.tool]), tools);
  check('a permitted call succeeds', results[read.tool]?.text === read.text, results[read.tool]);
  const { progress = [], text, at } = results[slow.tool] ?? {};
  const steps = progress.map(({ step, total }) => `${step}/${total}`).join();
  // The TypeScript SDK loses the last one when the result arrives in the same piece.
  const timely = text === slow.text && /^1\/4,2\/4,3\/4(,4\/4)?$/.test(steps) && progress[0].at < at - 500;
  check('progress comes while the server is at work', timely, results[slow.tool]);

  const refusals = (tool) => posted.filter(({ rpc, name, status }) => rpc === 'tools/call' && name === tool && status === 403);
  const [refusal] = refusals(write.tool);
  const challenge = refusal?.reason === 'insufficient_scope' && refusal.challenge?.includes('scope="tools:read tools:write"');
  check('a call beyond the token is 403 with all scopes', challenge, refusal);
  if (steps_up) {
    const succeeds = results[write.tool]?.text === write.text && calls(write.tool).length === 1;
    check('it steps up within the session', succeeds, [results[write.tool], calls(write.tool)]);
  } else {
    const refused = /insufficient_scope/.test(results[write.tool]?.error) && calls(write.tool).length === 0;
    check('the client takes it for an error', refused, results[write.tool]);
  }
  const denial = refusals(denied.tool)[0]?.reason === 'not_permitted' && results[denied.tool]?.error;
  check('a denied call is refused', denial, [results[denied.tool], refusals(denied.tool)]);
  check('it does not reach the server', calls(denied.tool).length === 0, calls(denied.tool));
  const leaked = reached.filter(({ headers }) => 'authorization' in headers || 'cookie' in headers);
  check('no token reaches the server', reached.length > 0 && leaked.length === 0, leaked);
}

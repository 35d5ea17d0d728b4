// Unmodified servers behind the gateway, a real authorization server beside it, and real clients that know only a URL;
// then what a session can hold (session.mjs), a server of the old transport (sse.mjs), the demo, which has all of that
// in one process (demo.mjs), the file that `init` writes (init.mjs), MCP's conformance suite (conformance.mjs, suite.mjs), and
// the status page (status.mjs).
//
// Starts everything on loopback, lets each client make its calls on each route, then judges what the client saw, what
// reached the server and what the gateway recorded. Arguments: the parts to play, by default all. Exit status: 0 every
// check held, 1 one failed. `run` installs.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { careful, startBrowser } from './browser.mjs';
import { counts, isSame, report } from './checks.mjs';
import { clients, node, python, runClient } from './clients.mjs';
import { playConformance } from './conformance.mjs';
import { playDemo, startDemo } from './demo.mjs';
import { playInit } from './init.mjs';
import { answering, freePort, listening, start, stopAll } from './programs.mjs';
import { startRecorder } from './recorder.mjs';
import { playSession } from './session.mjs';
import { playSmuggling } from './smuggling.mjs';
import { playSse } from './sse.mjs';
import { playStatus } from './status.mjs';
import { playSuite } from './suite.mjs';

const overall_secs_max = 1200;

const here = import.meta.dirname;

// What each client calls, in this order: what it may, what it may after a step-up, what takes a while, what nobody may.
const routes = {
  everything: {
    // It has no option to listen on loopback alone.
    server: (port) => ({
      command: [node, 'node_modules/@modelcontextprotocol/server-everything/dist/index.js', 'streamableHttp'],
      env: { PORT: port },
    }),
    issuer: 'lenient',
    challenge_scope: 'scope="tools:read"',
    newest_revision: [],
    read: { tool: 'echo', args: { message: 'hello' }, text: 'Echo: hello' },
    write: { tool: 'get-sum', args: { a: 20, b: 22 }, text: 'The sum of 20 and 22 is 42.' },
    slow: {
      tool: 'trigger-long-running-operation',
      args: { duration: 1, steps: 4 },
      text: 'Long running operation completed. Duration: 1 seconds, Steps: 4.',
    },
    denied: { tool: 'get-env', args: {} },
  },
  notes: {
    server: (port) => ({ command: [python(2), 'server-py.py', port] }),
    issuer: 'strict',
    challenge_scope: null,
    newest_revision: ['TypeScript 2, newest revision', 'Python 2'],
    read: { tool: 'list_notes', args: {}, text: 'buy milk' },
    write: { tool: 'add_note', args: { text: 'call home' }, text: 'added call home' },
    slow: { tool: 'count_words', args: { steps: 4, seconds: 1 }, text: 'counted in 4 steps' },
    denied: { tool: 'delete_notes', args: {} },
  },
};

const folder = mkdtempSync(join(tmpdir(), 'gatepost-interop-'));
const parts = process.argv.slice(2);
let gateway;
let demo;

setTimeout(() => finish(`not done after ${overall_secs_max} s`), overall_secs_max * 1000).unref();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => finish(`stopped by ${signal}`));
process.once('uncaughtException', (error) => finish(error.stack));
if (parts.length === 0 || parts.includes('gateway')) await play();
if (parts.length === 0 || parts.includes('session')) await playSession(folder);
if (parts.length === 0 || parts.includes('sse')) await playSse();
if (parts.length === 0 || parts.includes('demo')) {
  demo = await startDemo();
  await playDemo(demo);
}
if (parts.length === 0 || parts.includes('conformance')) {
  demo ??= await startDemo();
  await playConformance(demo);
}
if (parts.length === 0 || parts.includes('init')) await playInit();
if (parts.length === 0 || parts.includes('suite')) await playSuite(folder);
if (parts.length === 0 || parts.includes('smuggling')) await playSmuggling();
if (parts.length === 0 || parts.includes('status')) await playStatus();
finish();

async function play() {
  const browser = await startBrowser(careful());
  const issuers = {};
  for (const kind of ['lenient', 'strict']) {
    issuers[kind] = await start(`${kind} issuer`, [node, 'as.mjs', kind]).line();
  }
  const recorders = {};
  for (const [name, route] of Object.entries(routes)) {
    const port = await freePort();
    const { command, env } = route.server(port);
    await listening(start(`${name} server`, command, env), port);
    recorders[name] = await startRecorder(port);
  }
  const origin = await startGateway({
    ...issuers,
    everything: recorders.everything.url,
    notes: recorders.notes.url,
  });

  // The routes side by side, the clients of a route one after the other: what reaches its server is then one client's.
  await Promise.all(Object.entries(routes).map(async ([name, route]) => {
    for (const [client, command] of Object.entries(clients)) {
      const who = `${client} on ${name}`;
      const url = `${origin}/${name}/mcp`;
      const before = recorders[name].seen.length;
      const calls = [route.read, route.write, route.slow, route.denied].map(({ tool, args }) => ({ tool, args }));
      const seen = await runClient(who, command, url, calls, browser.url);
      const reached = recorders[name].seen.slice(before);
      if (seen) judge(who, client, route, url, issuers[route.issuer], seen, reached);
    }
  }));
  judgeAudit(gateway.lines);
}

// Fills in the gateway's file, starts it, and returns its origin once it answers.
async function startGateway(values) {
  const port = await freePort();
  const template = readFileSync(join(here, 'gatepost.yaml'), 'utf8');
  const file = join(folder, 'gatepost.yaml');
  writeFileSync(file, template.replace(/\$\{(\w+)\}/g, (_, name) => ({ ...values, port })[name]));
  gateway = start('gateway', [process.env.GATEPOST, 'run', '--config', file]);
  await answering(gateway, `http://127.0.0.1:${port}/.well-known/oauth-protected-resource/notes/mcp`);
  return `http://127.0.0.1:${port}`;
}

function judge(who, client, route, url, issuer, seen, reached) {
  const check = (what, held, got) => report(`${who}: ${what}`, held, got);
  judgeLogin(check, route, url, issuer, seen);
  judgeStepUp(check, route, url, seen, reached);
  judgeDenial(check, route, seen, reached);
  judgeProgress(check, route, seen, reached);
  judgeSession(check, route.newest_revision.includes(client), url, seen, reached);
  const leaked = reached.filter(({ headers }) => 'authorization' in headers || 'cookie' in headers);
  check('no token reaches the server', reached.length > 0 && leaked.length === 0, leaked);
}

function judgeLogin(check, { read, write, slow, challenge_scope }, url, issuer, { tools, results, exchanges }) {
  const steps = exchanges.map((exchange) => stepOf(exchange, url, issuer));
  const discovery = ['resource metadata 200', 'issuer metadata 200'];
  const dance = ['request 401', ...discovery, 'registration 201', 'token 200', 'request 200'];
  check('401, discovery, registration, login, answer', isWithin(dance, steps), steps);
  const times = (step) => steps.filter((each) => each === step).length;
  const once = times('request 401') === 1 && times('registration 201') === 1;
  check('one 401, one registration, two logins', once && times('token 200') === 2, steps);
  const [first] = exchanges;
  const wanted = [resourceMetadata(url), challenge_scope].filter(Boolean);
  const points = first.reason === 'missing_token' && isChallenge(first.challenge, wanted);
  check('the 401 says where to go, and no error', points, first);
  check('the list has what it may and what it could', isSame(tools, [read.tool, write.tool, slow.tool]), tools);
  check('a permitted call succeeds', results[read.tool]?.text === read.text, results[read.tool]);
}

function judgeStepUp(check, { write }, url, { results, exchanges }, reached) {
  const attempts = exchanges.filter(isCallOf(write.tool));
  const [refusal] = attempts;
  const wanted = ['error="insufficient_scope"', 'scope="tools:read tools:write"', resourceMetadata(url)];
  check('a call beyond the token is 403', refusal?.status === 403 && refusal.reason === 'insufficient_scope', refusal);
  check('its challenge names all scopes', isChallenge(refusal?.challenge, wanted), refusal);
  const body = isRefusal(refusal?.body, 'insufficient_scope', ['tools:read', 'tools:write']);
  check('its body is a JSON-RPC error', body, refusal);
  check(
    'the client steps up by itself and the call succeeds',
    attempts.map(({ status }) => status).join() === '403,200' && results[write.tool]?.text === write.text,
    { attempts, result: results[write.tool] },
  );
  const writes = reached.filter(isCallOf(write.tool));
  check('of the two only the permitted one reaches the server', writes.length === 1, writes);
}

function judgeDenial(check, { denied }, { results, exchanges }, reached) {
  const refusal = exchanges.find(isCallOf(denied.tool));
  check('a denied call is 403 without a challenge', refusal?.status === 403 && refusal.challenge === null, refusal);
  check('its body is a JSON-RPC error too', isRefusal(refusal?.body, 'not_permitted', []), refusal);
  check('the client takes it for an error', results[denied.tool]?.error !== undefined, results[denied.tool]);
  check('it does not reach the server', !reached.some(isCallOf(denied.tool)), reached.filter(isCallOf(denied.tool)));
}

function judgeProgress(check, { slow }, { results }, reached) {
  const { progress = [], text, at } = results[slow.tool] ?? {};
  const steps = progress.map(({ step, total }) => `${step}/${total}`).join();
  const complete = text === slow.text && steps === '1/4,2/4,3/4,4/4';
  const early = progress.every((event) => event.at <= at);
  check('progress in order, before the result', complete && early, results[slow.tool]);
  const operation = reached.find(isCallOf(slow.tool));
  check('progress while the server is still at work', progress[0]?.at < operation?.last_at, { progress, operation });
}

function judgeSession(check, newest, url, { exchanges }, reached) {
  const values = (list) => [...new Set(list.filter(Boolean))];
  const revisions = values(reached.map(({ headers }) => headers['mcp-protocol-version']));
  const given = values(exchanges.filter((exchange) => exchange.url === url).map(({ session }) => session));
  const kept = values(reached.map(({ headers }) => headers['mcp-session-id']));
  if (newest) {
    const sessionless = revisions.includes('2026-07-28') && given.length + kept.length === 0;
    check('speaks the newest revision, without sessions', sessionless, { revisions, given, kept });
  } else {
    const sealed = given.length === 1 && kept.length === 1 && given[0] !== kept[0];
    check('one session throughout, before and after the step-up, sealed', sealed, { revisions, given, kept });
  }
}

function judgeAudit(lines) {
  const records = lines.map((line) => { try { return JSON.parse(line); } catch { return undefined; } });
  report('audit: every line is JSON', lines.length > 0 && records.every(Boolean), lines.find((_, i) => !records[i]));
  report('audit: no token and no argument', !lines.some((line) => /eyJ[\w-]+\.|call home/.test(line)));
  const runs = Object.keys(routes).length * Object.keys(clients).length;
  for (const reason of ['missing_token', 'insufficient_scope', 'not_permitted']) {
    const refusals = records.filter((record) => record?.reason === reason);
    report(`audit: one ${reason} for each client and route`, refusals.length === runs, refusals);
    const callers = new Set(refusals.map(({ principal }) => principal?.subject));
    if (reason !== 'missing_token') report(`audit: ${reason} says who called`, isSame(callers, ['alice']), refusals);
  }
}

// An exchange as a step of the dance.
function stepOf({ method, url, status }, endpoint, issuer) {
  const { origin, pathname } = new URL(url);
  let name = `${method} ${url}`;
  if (url === endpoint && method === 'POST') name = 'request';
  else if (origin === issuer && pathname.startsWith('/.well-known/')) name = 'issuer metadata';
  else if (origin === issuer && pathname === '/reg') name = 'registration';
  else if (origin === issuer && pathname === '/token') name = 'token';
  else if (pathname.startsWith('/.well-known/oauth-protected-resource')) name = 'resource metadata';
  return `${name} ${status}`;
}

function resourceMetadata(url) {
  const { origin, pathname } = new URL(url);
  return `resource_metadata="${origin}/.well-known/oauth-protected-resource${pathname}"`;
}

function isCallOf(tool) {
  return ({ rpc, name }) => rpc === 'tools/call' && name === tool;
}

// Whether a WWW-Authenticate value is one Bearer challenge of exactly these parameters, a description apart.
function isChallenge(value, wanted) {
  if (!/^Bearer [a-z_]+="[^"]*"(, ?[a-z_]+="[^"]*")*$/.test(value ?? '')) return false;
  const parameters = value.match(/[a-z_]+="[^"]*"/g).filter((parameter) => !parameter.startsWith('error_description='));
  return isSame(parameters, wanted);
}

function isRefusal(body, reason, scopes) {
  const { jsonrpc, id, error } = JSON.parse(body ?? '{}');
  const named = error?.code === 403 && error.data?.reason === reason && isSame(error.data.scopes ?? [], scopes);
  return jsonrpc === '2.0' && id !== undefined && named;
}

// Whether the steps contain the wanted ones in their order, others between them.
function isWithin(wanted, steps) {
  let from = 0;
  return wanted.every((step) => (from = steps.indexOf(step, from) + 1) > 0);
}

// Stops everything that was started, says how it went, and ends.
function finish(broken) {
  if (broken) report(`everything runs to its end: ${broken}`, false);
  if (counts.failed && gateway) console.log(['the gateway said:', ...gateway.errors.slice(-20)].join('\n    '));
  if (counts.failed && demo) console.log(['the demo said:', ...demo.lines.slice(-40), ...demo.errors].join('\n    '));
  stopAll();
  rmSync(folder, { recursive: true, force: true });
  console.log(`${counts.passed} passed, ${counts.failed} failed`);
  process.exit(counts.failed ? 1 : 0);
}

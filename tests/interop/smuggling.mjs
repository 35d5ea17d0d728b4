// The corpus of tests/smuggling/ against servers on the official SDKs: straight, to see whom it hurts, and through the
// gateway, where nothing forbidden may run and every answer is a clean 4xx. What a server runs it writes down itself.

import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

import { report } from './checks.mjs';
import { freePort, listening, start } from './programs.mjs';
import { newIssuer, servers, startGateway } from './servers.mjs';

const answer_millis_max = 5000;
// Straight to a server some rows wait for ever: a stream that was opened, a body that does not end.
const straight_millis_max = 400;

const corpus = join(import.meta.dirname, '../smuggling');
const files = readdirSync(corpus).filter((file) => file.endsWith('.jsonl')).sort();
const rows = files.flatMap((file) => {
  const lines = readFileSync(join(corpus, file), 'utf8').split('\n').filter(Boolean);
  return lines.map((line) => ({ family: basename(file, '.jsonl'), ...JSON.parse(line) }));
});

// Plays all of it.
export async function playSmuggling() {
  const folder = mkdtempSync(join(tmpdir(), 'gatepost-smuggling-'));
  try {
    judgeOrdinary();
    const running = {};
    for (const [name, { command }] of Object.entries(servers)) running[name] = await startServer(name, command, folder);
    const { port, tokenFor } = await startBefore(running, folder);
    const hurt = await Promise.all(Object.entries(running).map(async ([name, server]) => {
      await throughTheGateway(name, server, port, tokenFor);
      return { server: name, ...(await straight(name, server)) };
    }));
    console.log(`Of ${rows.length} rows, those that make a server run forbidden_tool when there is no gateway, by family:`);
    console.table(Object.fromEntries(hurt.map(({ server, ...counts }) => [server, counts])));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

// The corpus says what an ordinary parser sees: this one must agree, where it reads at all.
function judgeOrdinary() {
  const wrong = rows.filter((row) => !isFramed(row) && runBy(bodyOf(row)) !== row.views.ordinary.includes('forbidden_tool'));
  report('smuggling: JSON.parse sees what the corpus says of it', wrong.length === 0, wrong.map(({ id }) => id));
}

// Whether a server that reads with JSON.parse runs the forbidden tool.
function runBy(body) {
  try {
    const { method, params } = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body));
    return method === 'tools/call' && params?.name === 'forbidden_tool';
  } catch {
    return false;
  }
}

async function startServer(name, command, folder) {
  const port = await freePort();
  const calls = join(folder, `${name}.calls`);
  writeFileSync(calls, '');
  const program = start(`${name} server`, [...command, port], { CALLS_FILE: calls });
  await listening(program, port);
  // A line of its own; a name with a line break at one of its ends is another name.
  const called = (tool) => readFileSync(calls, 'utf8').match(new RegExp(`(?<=^|(?<!\\r)\\n)${tool}\\n(?!\\n)`, 'g'))?.length ?? 0;
  return { port, called };
}

// Starts a gateway with two routes to each server: one permits what is allowed, one all but what is forbidden.
async function startBefore(running, folder) {
  const port = await freePort();
  const public_url = `http://127.0.0.1:${port}`;
  const { authorization_servers, tokenFor } = newIssuer(folder);
  const routes = Object.entries(running).flatMap(([name, server]) => {
    const route = (policy) => ({
      name: `${name}-${policy}`,
      path: `/${name}/${policy}`,
      upstream: `http://127.0.0.1:${server.port}/mcp`,
    });
    return [
      { ...route('closed'), rules: rulesFor('allowed', { allow: true }) },
      { ...route('open'), default: 'allow', rules: rulesFor('forbidden', { deny: true }) },
    ];
  });
  const config = { listen: `127.0.0.1:${port}`, public_url, authorization_servers, timeouts: { body_secs: 2 }, routes };
  await startGateway(config, folder);
  return { port, tokenFor: (path) => tokenFor(public_url + path) };
}

function rulesFor(word, effect) {
  const names = { tools: `${word}_tool`, prompts: `${word}_prompt`, resources: `note://${word}` };
  return Object.entries(names).map(([kind, name]) => ({ [kind]: [name], ...effect }));
}

// Every row under both policies.
async function throughTheGateway(name, server, port, tokenFor) {
  const faults = [];
  const before = server.called('forbidden_tool');
  for (const policy of ['closed', 'open']) {
    const path = `/${name}/${policy}`;
    const token = tokenFor(path);
    const session = await initialize(port, path, token);
    const allowed = server.called('allowed_tool');
    await callTool('allowed_tool', port, path, token, session);
    report(`${name}, ${policy}: a permitted call runs`, server.called('allowed_tool') === allowed + 1);
    for (const row of rows.filter(({ only }) => only === undefined || only === policy)) {
      const reply = await exchange(port, requestOf(row, port, path, token, session), answer_millis_max);
      if (!isAnswered(row, reply)) faults.push({ id: row.id, policy, ...reply, head: undefined });
    }
  }
  report(`${name}: each of ${rows.length} rows has a clean answer`, faults.length === 0, faults);
  const ran = server.called('forbidden_tool') - before;
  report(`${name}: no row makes it run the forbidden tool`, ran === 0, ran);
}

// What a gateway must answer to a row.
function isAnswered({ answer = 'refused' }, { status, whole, head, body }) {
  if (!whole) return false;
  // Behind a gateway that lets it pass the server may know nothing of it.
  if (answer === 'passed') return status < 500 && !/\r\ngatepost-reason:/i.test(head);
  if (status < 400 || status > 499) return false;
  if (answer === 'broken' && body === '') return true;
  try {
    // A batch is answered with an array.
    const errors = [JSON.parse(body)].flat();
    return errors.length > 0 && errors.every(({ jsonrpc, error }) => {
      const reason = `\r\ngatepost-reason: ${error.data.reason}\r\n`;
      return jsonrpc === '2.0' && Number.isInteger(error.code) && head.includes(reason);
    });
  } catch {
    return false;
  }
}

// Every row without a gateway; returns how many of each family made the server run the forbidden tool.
async function straight(name, server) {
  const families = files.map((file) => basename(file, '.jsonl')).filter((family) => family !== 'controls');
  const hurt = Object.fromEntries(['total', ...families].map((family) => [family, 0]));
  const { port } = server;
  const path = '/mcp';
  let session = await initialize(port, path);
  const start = server.called('forbidden_tool');
  await callTool('forbidden_tool', port, path, undefined, session);
  report(`${name}: without a gateway the forbidden tool runs`, server.called('forbidden_tool') === start + 1);
  for (const row of rows) {
    const before = server.called('forbidden_tool');
    await exchange(port, requestOf(row, port, path, undefined, session), straight_millis_max);
    // What runs without an answer has run once the next call has; and a row may have ended the session.
    const allowed = server.called('allowed_tool');
    await callTool('allowed_tool', port, path, undefined, session);
    if (server.called('allowed_tool') === allowed) session = await initialize(port, path);
    if (server.called('forbidden_tool') > before) {
      hurt.total += 1;
      hurt[row.family] += 1;
    }
  }
  report(`${name}: without a gateway rows make it run the forbidden tool`, hurt.total > 0);
  return hurt;
}

// Begins a session as clients of MCP 2025-03-26 do, which has batches; undefined where the server keeps none.
async function initialize(port, path, token) {
  const post = (message, session) => exchange(port, requestOf({ body: JSON.stringify(message) }, port, path, token, session), answer_millis_max);
  const params = { protocolVersion: '2025-03-26', capabilities: {}, clientInfo: { name: 'smuggling', version: '1' } };
  const { head } = await post({ jsonrpc: '2.0', id: 0, method: 'initialize', params });
  const session = /\r\nmcp-session-id: *(\S+)/i.exec(head)?.[1];
  await post({ jsonrpc: '2.0', method: 'notifications/initialized' }, session);
  return session;
}

async function callTool(tool, port, path, token, session) {
  const message = { jsonrpc: '2.0', id: 'call', method: 'tools/call', params: { name: tool, arguments: {} } };
  await exchange(port, requestOf({ body: JSON.stringify(message) }, port, path, token, session), answer_millis_max);
}

// A row as it travels (../smuggling/README.md).
function requestOf(row, port, path, token, session) {
  const { method = 'POST', query = '', headers = [['Content-Type', 'application/json']] } = row;
  const body = bodyOf(row);
  const lines = [`${method} ${path}${query} HTTP/1.1`, `Host: 127.0.0.1:${port}`, 'Accept: application/json, text/event-stream'];
  if (token) lines.push(`Authorization: Bearer ${token}`);
  const has = (name, value) => headers.some((each) => each[0].toLowerCase() === name && (!value || each[1] === value));
  const newest = has('mcp-protocol-version', '2026-07-28');
  if (session && !has('mcp-session-id') && !newest) lines.push(`Mcp-Session-Id: ${session}`);
  lines.push(...headers.map(([name, value]) => `${name}: ${value}`));
  if (!isFramed(row)) lines.push(`Content-Length: ${body.length}`);
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), body]);
}

function bodyOf({ body = '' }) {
  const bytes = (part) => {
    if (typeof part === 'string') return Buffer.from(part);
    return part.base64 === undefined ? Buffer.from(part.text.repeat(part.times)) : Buffer.from(part.base64, 'base64');
  };
  return Buffer.concat([body].flat().map(bytes));
}

// Whether a row brings its own framing.
function isFramed({ headers = [] }) {
  return headers.some(([name]) => ['content-length', 'transfer-encoding'].includes(name.trim().toLowerCase()));
}

// Sends bytes on a connection of their own, and reads the answer to its end: {status, head, body, whole}.
function exchange(port, bytes, millis) {
  return new Promise((resolve) => {
    const pieces = [];
    const socket = connect(port, '127.0.0.1');
    const done = () => {
      clearTimeout(limit);
      socket.destroy();
      resolve(parsed(Buffer.concat(pieces).toString('latin1')));
    };
    const limit = setTimeout(done, millis);
    socket.on('data', (piece) => {
      pieces.push(piece);
      if (parsed(Buffer.concat(pieces).toString('latin1')).whole) done();
    });
    socket.on('error', () => {});
    socket.on('close', done);
    socket.write(bytes);
  });
}

function parsed(text) {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return { status: 0, head: '', body: text, whole: false };
  const head = text.slice(0, end + 2);
  const status = Number(head.split(' ')[1]);
  if (status === 100) return parsed(text.slice(end + 4));
  const body = text.slice(end + 4);
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (length !== undefined) return { status, head, body, whole: body.length >= Number(length) };
  if (/\r\ntransfer-encoding: *chunked/i.test(head)) return { status, head, body, whole: body.endsWith('\r\n0\r\n\r\n') || body === '0\r\n\r\n' };
  return { status, head, body, whole: status === 202 || status === 204 };
}

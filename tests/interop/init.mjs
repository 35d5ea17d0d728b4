// `gatepost init` before an unmodified server: the file that it writes passes `check`, and a gateway with it lets nobody
// call more than it says. What is destructive, and what there is, is asked of the server here, by another reading.

import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { isSame, report } from './checks.mjs';
import { node } from './clients.mjs';
import { answering, freePort, listening, start } from './programs.mjs';
import { startRecorder } from './recorder.mjs';
import { newIssuer } from './servers.mjs';

const run = promisify(execFile);
const kinds = ['read', 'read-open', 'write', 'destroy', 'prompts', 'resources'];
const calls = { tool: ['tools/call', 'name'], prompt: ['prompts/get', 'name'], resource: ['resources/read', 'uri'] };

// What the calls that pass say, so that they are quick and ask nobody else; others lack what they need, and fail.
const given = {
  echo: { message: 'hello' },
  'trigger-long-running-operation': { duration: 0.1, steps: 1 },
  'gzip-file-as-resource': { name: 'x', data: 'data:text/plain,x', outputType: 'resource' },
};

// Plays all of it.
export async function playInit() {
  const folder = mkdtempSync(join(tmpdir(), 'gatepost-init-'));
  try {
    const port = await freePort();
    const server = ['node_modules/@modelcontextprotocol/server-everything/dist/index.js', 'streamableHttp'];
    await listening(start('everything for init', [node, ...server], { PORT: port }), port);
    const recorder = await startRecorder(port);
    const has = await inventory(recorder.url);
    const file = join(folder, 'gatepost.yaml');
    const { stderr } = await gatepost('init', '--upstream', recorder.url, '--output', file);
    report('init: says what it found', stderr.includes(`tools: ${has.tools.length} `), stderr);
    const again = await gatepost('init', '--upstream', recorder.url, '--output', file);
    report('init: overwrites no file', again.code === 2 && again.stderr.includes('exists already'), again);
    const checked = await gatepost('check', '--config', file);
    report('init: check accepts the file', checked.code === 0, checked);
    await play(folder, file, recorder, has);
    recorder.close();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function play(folder, file, recorder, { tools, prompts, resources }) {
  const { authorization_servers: [issuer], tokenFor } = newIssuer(folder);
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const text = readFileSync(file, 'utf8')
    .replace('listen: 127.0.0.1:8080', `listen: 127.0.0.1:${port}`)
    .replace('issuer: https://auth.example.com', `issuer: ${issuer.issuer}\n    jwks_file: ${issuer.jwks_file}`);
  writeFileSync(file, text);
  const url = `${origin}/everything/mcp`;
  const gateway = start('gateway for init', [process.env.GATEPOST, 'run', '--config', file]);
  await answering(gateway, `${origin}/.well-known/oauth-protected-resource/everything/mcp`);

  const all = [
    ...tools.map(({ name }) => ['tool', name]),
    ...prompts.map(({ name }) => ['prompt', name]),
    ...resources.map(({ uri }) => ['resource', uri]),
  ];
  const opened = {};
  for (const kind of ['', ...kinds]) {
    const token = tokenFor(url, kind && `everything:${kind}`);
    const { headers: session } = await hello(url, { authorization: `Bearer ${token}` });
    opened[kind] = [];
    for (const [what, name] of all) {
      const [method, key] = calls[what];
      const { status, reason } = await ask(url, session, method, { [key]: name, arguments: given[name] ?? {} });
      if (status === 200) opened[kind].push(`${what} ${name}`);
      else if (status !== 403 || reason !== 'insufficient_scope') throw new Error(`${name}: ${status} ${reason}`);
    }
  }

  report('init: without a scope nothing passes', opened[''].length === 0, opened['']);
  const counted = kinds.flatMap((kind) => opened[kind]);
  report('init: each thing passes with one scope', isSame(counted, all.map((one) => one.join(' '))), opened);
  // By the specification (ToolAnnotations): not read-only, and destructive unless it says otherwise.
  const destructive = tools.filter(({ annotations: { readOnlyHint, destructiveHint } = {} }) =>
    readOnlyHint !== true && destructiveHint !== false);
  const reading = ['read', 'read-open', 'prompts', 'resources'].flatMap((kind) => opened[kind]);
  const changing = tools.filter(({ annotations }) => annotations?.readOnlyHint !== true).map(({ name }) => `tool ${name}`);
  report('init: with the scopes of the read-only tools nothing passes that changes anything',
    reading.length > 0 && !reading.some((one) => changing.includes(one)), { reading, changing });
  report('init: destructive tools need their own scope',
    destructive.every(({ name }) => opened.destroy.includes(`tool ${name}`)), { destructive, opened: opened.destroy });
  report('init: what tells the environment is not for everybody who reads', opened.destroy.includes('tool get-env'), opened);
  const ran = recorder.seen.filter(({ rpc }) => rpc === 'tools/call').map(({ name }) => name);
  report('init: what passes reaches the server, once', isSame(ran, tools.map(({ name }) => name)), ran);
}

// What the server has, by a reading that is not the gateway's.
async function inventory(url) {
  const { headers } = await hello(url, {});
  const list = async (method) => (await ask(url, headers, method, {})).message.result;
  return { ...(await list('tools/list')), ...(await list('prompts/list')), ...(await list('resources/list')) };
}

// A session; the headers that belong to it.
async function hello(url, headers) {
  const client = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
  const { session } = await ask(url, headers, 'initialize', client);
  const own = { ...headers, 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25' };
  await ask(url, own, 'notifications/initialized');
  return { headers: own };
}

// One message, and what came of it. A notification has no params here.
async function ask(url, headers, method, params) {
  const message = { jsonrpc: '2.0', method, ...(params && { id: 1, params }) };
  const accept = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
  const answer = await fetch(url, { method: 'POST', headers: { ...accept, ...headers }, body: JSON.stringify(message) });
  const text = await answer.text();
  // An event without data only says where the stream can be taken up again.
  const data = text.split('\n').filter((line) => /^data: ./.test(line)).map((line) => JSON.parse(line.slice(6)));
  return {
    status: answer.status,
    reason: answer.headers.get('gatepost-reason'),
    session: answer.headers.get('mcp-session-id'),
    message: data.find(({ id }) => id === 1),
  };
}

async function gatepost(...args) {
  try {
    return { code: 0, ...(await run(process.env.GATEPOST, args)) };
  } catch ({ code, stdout, stderr }) {
    return { code, stdout, stderr };
  }
}

// Counts instructions: see `instructions`. Client and server are this process; callgrind sees the gateway alone.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { Issuer } from './credentials.mjs';
import { commands, programs } from './peers.mjs';
import { bodies } from './workloads.mjs';
import { freePort, start, stopAll } from '../tests/operations/programs.mjs';

const grown_max = 1.05;
const recorded_file = join(import.meta.dirname, 'instructions.json');
const changelog = join(import.meta.dirname, '../CHANGELOG.md');
const start_secs_max = 120;

// N of each kind of request, its body, and its status.
const kinds = {
  'small call': { count: 200, body: 'small', status: 200 },
  'unseen token': { count: 50, body: 'small', status: 200, unseen: true },
  'forbidden call': { count: 200, body: 'forbidden', status: 403 },
  'filtered list': { count: 20, body: 'list', status: 200 },
  'body of 64 KiB': { count: 20, body: '64k', status: 200 },
  'body of 1 MiB': { count: 4, body: '1m', status: 200 },
};

const { values: options } = parseArgs({ options: { record: { type: 'boolean' }, profile: { type: 'string' } } });
const folder = mkdtempSync(join(tmpdir(), 'gatepost-instructions-'));
const issuer = new Issuer(folder, 'auth');
const files = bodies(folder);
const agent = new Agent({ keepAlive: true, maxSockets: 1 });
const end = (status) => {
  stopAll();
  rmSync(folder, { recursive: true, force: true });
  process.exit(status);
};
run().then(end, (error) => {
  console.error(`FAILED ${error.stack}`);
  end(1);
});

async function run() {
  const server = createServer(answer);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const server_port = server.address().port;
  const gateway = await startProxy('gatepost', server_port);
  if (options.profile) return profile(gateway, options.profile);
  const counts = await countAll(gateway, kinds);
  const now = {
    commit: git('rev-parse', 'HEAD'),
    rustc: tool('rustc', '--version'),
    valgrind: tool('valgrind', '--version'),
    counts,
  };
  if (options.record) {
    writeFileSync(recorded_file, `${JSON.stringify(now, undefined, 2)}\n`);
    console.log(counts);
    return 0;
  }
  const floor = existsSync(join(programs, 'floor'))
    ? await countAll(await startProxy('floor', server_port), kinds)
    : {};
  return compare(now, JSON.parse(readFileSync(recorded_file, 'utf8')), floor);
}

// Instructions of one request of each kind.
async function countAll(proxy, kinds) {
  const counts = {};
  for (const [name, kind] of Object.entries(kinds)) {
    await send(proxy, kind, kind.count);
    await read(proxy);
    await send(proxy, kind, kind.count);
    const once = await read(proxy);
    await send(proxy, kind, 2 * kind.count);
    counts[name] = Math.round(((await read(proxy)) - once) / kind.count);
  }
  return counts;
}

function compare(now, recorded, floor) {
  console.log(`instructions a request, and those of ${recorded.commit.slice(0, 9)} (${recorded.rustc}):`);
  if (recorded.rustc !== now.rustc) console.log(`counted with another compiler now: ${now.rustc}`);
  const unreleased = /## Unreleased\n([^]*?)(?=\n## |$)/.exec(readFileSync(changelog, 'utf8'))?.[1] ?? '';
  let failed = 0;
  for (const [name, count] of Object.entries(now.counts)) {
    const before = recorded.counts[name];
    const change = before ? `${((count / before - 1) * 100).toFixed(1)} %` : 'new';
    const grown = before && count > before * grown_max;
    const said =
      grown && unreleased.split('\n- ').some((line) => /\binstructions\b/.test(line) && line.includes(`\`${name}\``));
    if (grown && !said) failed += 1;
    const verdict = grown ? (said ? ', as CHANGELOG says' : ', AND CHANGELOG SAYS NOTHING OF IT') : '';
    const above = floor[name] ? `; the floor has ${floor[name]}` : '';
    console.log(
      `  ${name.padEnd(16)} ${String(count).padStart(10)} ${String(before ?? '').padStart(10)}  ${change}${verdict}${above}`,
    );
  }
  return failed > 0 ? 1 : 0;
}

// Prints where the instructions of a kind of request are.
async function profile(gateway, name) {
  const kind = kinds[name];
  if (!kind) throw new Error(`there is no kind ${name}; there are: ${Object.keys(kinds).join(', ')}`);
  await send(gateway, kind, kind.count);
  await read(gateway);
  await send(gateway, kind, kind.count);
  const total = await read(gateway);
  const last = dumps('gatepost').at(-1);
  console.log(`${name}: ${Math.round(total / kind.count)} instructions a request`);
  const annotated = execFileSync('callgrind_annotate', ['--auto=no', '--threshold=97', '--inclusive=yes', last], {
    maxBuffer: 1 << 28,
  });
  const lines = annotated.toString().split('\n').slice(25, 125);
  console.log(
    `\nwith what it calls\n${lines.map((line) => line.replace(/\S*\/registry\/src\/[^/]*\//, '')).join('\n')}`,
  );
  const { functions, sources } = alone(readFileSync(last, 'utf8'));
  for (const [title, costs] of Object.entries({
    'by itself, what was inlined into it included': functions,
    'by source file': sources,
  })) {
    console.log(`\n${title}`);
    for (const [what, cost] of [...costs].sort(([, a], [, b]) => b - a).slice(0, 60)) {
      console.log(
        `${String(Math.round(cost / kind.count)).padStart(9)} ${((100 * cost) / total).toFixed(1).padStart(5)} %  ${what}`,
      );
    }
  }
  return 0;
}

// The costs of each function and of each source file, without what they call (the format is callgrind's own).
function alone(text) {
  const names = { fn: {}, fl: {} };
  const [functions, sources] = [new Map(), new Map()];
  const kind_of = { fn: 'fn', cfn: 'fn', fl: 'fl', fi: 'fl', fe: 'fl', cfi: 'fl', cfl: 'fl' };
  const at = {};
  let called = false;
  for (const line of text.split('\n')) {
    const named = /^(fn|cfn|fl|fi|fe|cfi|cfl)=\((\d+)\)(?: (.*))?$/.exec(line);
    if (named) {
      const [, key, number, name] = named;
      const known = names[kind_of[key]];
      if (name !== undefined) known[number] = name.replace(/^.*\/registry\/src\/[^/]*\//, '');
      if (!key.startsWith('c')) at[kind_of[key]] = known[number];
    } else if (line.startsWith('calls=')) {
      called = true;
    } else if (/^[+\-*\d]/.test(line)) {
      // After `calls=` stands what was called.
      const cost = called ? 0 : Number(line.split(' ').at(-1));
      called = false;
      functions.set(at.fn, (functions.get(at.fn) ?? 0) + cost);
      sources.set(at.fl, (sources.get(at.fl) ?? 0) + cost);
    }
  }
  return { functions, sources };
}

async function startProxy(name, server_port) {
  const port = await freePort();
  const place = { folder, port, server: `127.0.0.1:${server_port}`, issuer, workload: {} };
  const { command } = commands[name](place);
  const out = `--callgrind-out-file=${join(folder, `${name}.out`)}`;
  const errors = [];
  const valgrind = ['valgrind', '--quiet', '--tool=callgrind', out, '--combine-dumps=no'];
  const program = start(name, [...valgrind, ...command], { stdout: 'ignore', onError: (line) => errors.push(line) });
  const proxy = { name, pid: program.pid, port, made: 0, token: issuer.mint('RS256', 'seen') };
  const began = performance.now();
  for (;;) {
    const { status } = await ask(proxy, files.small, proxy.token).catch((error) => ({ status: error.code }));
    if (status === 200) return proxy;
    if (performance.now() - began > start_secs_max * 1000)
      throw new Error(`${name} answers ${status}: ${errors.join('\n')}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function send(proxy, { body, status: expected, unseen }, count) {
  for (let number = 0; number < count; number += 1) {
    const token = unseen ? issuer.mint('ES256', `unseen-${(proxy.made += 1)}`) : proxy.token;
    const { status } = await ask(proxy, files[body], token);
    if (status !== (proxy.name === 'floor' ? 200 : expected))
      throw new Error(`${body}: ${status} instead of ${expected}`);
  }
}

// Instructions since the last time.
async function read({ name, pid }) {
  execFileSync('vgdb', [`--pid=${pid}`, 'dump'], { stdio: 'ignore' });
  const text = readFileSync(dumps(name).at(-1), 'utf8');
  return Number(/^(?:totals|summary): (\d+)/m.exec(text)[1]);
}

// The files that callgrind has written of this proxy, the last one last.
function dumps(proxy) {
  const number = (name) => Number(name.split('.')[2] ?? 0);
  const names = readdirSync(folder).filter((name) => name.startsWith(`${proxy}.out`));
  return names.sort((a, b) => number(a) - number(b)).map((name) => join(folder, name));
}

function ask({ port }, file, token) {
  const payload = readFileSync(file);
  const headers = {
    ...{ authorization: `Bearer ${token}`, 'content-type': 'application/json', 'content-length': payload.length },
    accept: 'application/json, text/event-stream',
  };
  return new Promise((resolve, reject) => {
    const sent = request({
      host: '127.0.0.1',
      port,
      path: '/mcp',
      method: 'POST',
      agent,
      headers: { ...headers, host: `localhost:${port}` },
    });
    sent.on('error', reject);
    sent.on('response', (response) => {
      response.on('data', () => {});
      response.on('end', () => resolve({ status: response.statusCode }));
    });
    sent.end(payload);
  });
}

// The MCP server, and the issuer's keys.
function answer(request, response) {
  const send = (text) => response.writeHead(200, { 'content-type': 'application/json' }).end(text);
  if (request.url === '/jwks/auth') return send(issuer.jwks);
  let first;
  request.on('data', (data) => {
    first ??= data.toString('latin1', 0, 80);
  });
  request.on('end', () => send(first?.includes('"tools/list"') ? list : called));
}

function git(...args) {
  return execFileSync('git', args, { cwd: import.meta.dirname })
    .toString()
    .trim();
}

function tool(command, ...args) {
  return execFileSync(command, args).toString().trim();
}

const tools = Array.from({ length: 200 }, (_, number) => ({
  name: `${number % 2 === 0 ? 'get' : 'put'}_thing_${number}`,
  description: `Does thing number ${number} to the place that is named, and says what came of it.`,
  inputSchema: {
    type: 'object',
    properties: { place: { type: 'string' }, count: { type: 'integer' } },
    required: ['place'],
  },
}));
const list = JSON.stringify({ jsonrpc: '2.0', id: 1, result: { tools } });
const called = JSON.stringify({ jsonrpc: '2.0', id: 1, result: { content: [{ type: 'text', text: 'done' }] } });

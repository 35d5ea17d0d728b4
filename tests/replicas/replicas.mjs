// Two gateways behind one balancer; see `run`. A request that fails is held against the balancer's log, which has the
// gateway of every connection by the client's port.

import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { ask, call, isAnswerTo, words } from '../operations/client.mjs';
import { freePort, sleep, start, startPart, stopAll, until } from '../operations/programs.mjs';
import { mint, newKey } from '../operations/tokens.mjs';

const rate = 200;
const tick_millis = 10;
const connections = 32;
const streams_count = 20;
const before_kill_millis = 4000;
const after_kill_millis = 4000;
const delay_secs = 2;
const grace_secs = 5;
const overall_secs_max = 100;

const folder = mkdtempSync(join(tmpdir(), 'gatepost-replicas-'));
const rows = [];
let missed = 0;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => finish(`stopped by ${signal}`));
process.once('uncaughtException', (error) => finish(error.stack));
setTimeout(() => finish(`not done after ${overall_secs_max} s`), overall_secs_max * 1000).unref();

const ports = { balancer: await freePort(), server: await freePort(), old: await freePort(), issuer: await freePort() };
const origin = `http://127.0.0.1:${ports.balancer}`;
const issuer_url = `http://127.0.0.1:${ports.issuer}`;
const key = newKey('replicas');
const token = mint(key, issuer_url, { aud: [`${origin}/mcp`, `${origin}/old`] });
const replicas = {};
// The gateway of each connection through the balancer, by the client's port.
const gateway_of = new Map();

// Clients through the balancer, and streams.
class Load {
  agent = new Agent({ keepAlive: true, maxSockets: connections, scheduling: 'fifo' });
  under_way = new Set();
  done = [];
  streams = [];
  on = true;

  async open() {
    this.session = await begin(origin);
    for (let i = 0; i < streams_count; i += 1) this.streams.push(this.stream());
    await until(() => this.streams.every(({ events }) => events > 0), 5000);
    this.running = this.run();
  }

  stream() {
    const stream = { events: 0 };
    stream.done = ask(origin, '/mcp', {
      token,
      millis_max: 3_600_000,
      sending: { send: noting(stream) },
      onData: (piece, stop) => {
        stream.events += 1;
        stream.leave = stop;
      },
    }).then(({ end }) => (stream.end = end));
    return stream;
  }

  async run() {
    const kinds = [
      () => ({ body: call('echo'), passes: true }),
      () => ({ body: call('echo', { act: 'late', millis: 250 }), passes: true }),
      () => ({ body: call('echo', { act: 'stream', events: 2 }), passes: true }),
      () => ({ body: call('echo'), headers: { 'mcp-session-id': this.session }, passes: true }),
      () => ({ body: call('forbidden', { forbidden: true }), expect: '403 not_permitted' }),
      () => ({ body: call('echo', { forbidden: true }), token: undefined, expect: '401 missing_token' }),
    ];
    const began = performance.now();
    for (let due = 0; this.on;) {
      const wanted = ((performance.now() - began) * rate) / 1000;
      for (; due < wanted; due += 1) this.one(kinds[due % kinds.length](), due % 50 === 0);
      await sleep(tick_millis);
    }
  }

  async one({ body, passes, expect, ...more }, own) {
    const request = { id: body.params.arguments.id, passes, began_at: Date.now() };
    this.under_way.add(request);
    const options = { token, body, ...more, agent: own ? false : this.agent, sending: { send: noting(request) } };
    const answer = await ask(origin, '/mcp', options);
    request.said = words(answer);
    request.good = passes ? isAnswerTo(body, answer) : request.said === expect;
    this.under_way.delete(request);
    this.done.push(request);
  }

  // Waits for what is under way; streams that are still open are left.
  async close() {
    this.on = false;
    await this.running;
    await until(() => this.under_way.size === 0, 20_000);
    for (const stream of this.streams) if (!stream.end) stream.leave();
    await Promise.all(this.streams.map(({ done }) => done));
    this.agent.destroy();
    await sleep(200);
    return this;
  }
}

const server = await startPart('server.mjs', '127.0.0.1', ports.server);
await startPart('../replicas/old-server.mjs', ports.old);
await startPart('issuer.mjs', issuer_url, 'ok', JSON.stringify({ keys: [key.jwk] }));
writeFileSync(join(folder, 'shared.key'), randomBytes(32).toString('hex'), { mode: 0o600 });
writeFileSync(join(folder, 'other.key'), randomBytes(32).toString('hex'), { mode: 0o600 });
for (const name of ['a', 'b', 'stranger']) {
  replicas[name] = { name, port: await freePort(), admin: await freePort(), audit: 0 };
  startReplica(replicas[name]);
}
for (const replica of Object.values(replicas)) await serves(replica);
startBalancer();
await serves({ name: 'the balancer', port: ports.balancer });

await sessions();
await streams();
await oldTransport();
await killed();
await replaced();
finish();

// A session that one gateway began goes on at the other; with other keys it does not.
async function sessions() {
  const { a, b, stranger } = replicas;
  const session = await begin(url(a));
  const headers = { 'mcp-session-id': session };
  for (const replica of [a, b]) {
    const body = call('echo');
    const answer = await ask(url(replica), '/mcp', { token, body, headers });
    row(`a session of a at ${replica.name}`, words(answer), isAnswerTo(body, answer));
  }
  const refused = await ask(url(stranger), '/mcp', { token, body: call('echo', { forbidden: true }), headers });
  row('a session of a at one with other keys', words(refused), words(refused) === '404 session_not_found');

  const before = [a.audit, b.audit];
  const answers = [];
  for (let i = 0; i < 20; i += 1) {
    const each = call('echo');
    answers.push(isAnswerTo(each, await ask(origin, '/mcp', { token, body: each, headers })));
  }
  // Audit records come by a pipe.
  await until(() => a.audit + b.audit >= before[0] + before[1] + 20, 2000);
  const by = [a.audit - before[0], b.audit - before[1]];
  row(
    '20 calls of it through the balancer, by a and b',
    by.join(' and '),
    answers.every(Boolean) && by[0] > 0 && by[1] > 0,
  );
}

// A stream at one, calls of the same session at the other.
async function streams() {
  const { a, b } = replicas;
  const headers = { 'mcp-session-id': await begin(url(b)) };
  let events = 0;
  let leave;
  const stream = ask(url(a), '/mcp', {
    token,
    headers,
    onData: (piece, stop) => {
      events += piece.split('data: ').length - 1;
      leave = stop;
    },
  });
  await until(() => events > 0, 3000);
  const body = call('echo', { act: 'stream' });
  const answer = await ask(url(b), '/mcp', { token, headers, body });
  const had = events;
  await until(() => events > had, 3000);
  leave?.();
  const { status } = await stream;
  row(
    'a stream at a, a call of its session at b',
    `${status}, ${words(answer)}`,
    status === 200 && events > had && isAnswerTo(body, answer),
  );
}

// MCP 2024-11-05: what is posted at one is answered on the stream of the other.
async function oldTransport() {
  const { a, b } = replicas;
  let seen = '';
  let leave;
  const stream = ask(url(a), '/old', {
    token,
    onData: (piece, stop) => {
      seen += piece;
      leave = stop;
    },
  });
  await until(() => /data: (\S+)\n/.test(seen), 3000);
  const address = /data: (\S+)\n/.exec(seen)?.[1] ?? '/nowhere';
  const path = address.startsWith('http') ? new URL(address).pathname + new URL(address).search : address;
  const body = call('echo');
  const answer = await ask(url(b), path, { token, body });
  const answered = await until(() => seen.includes(body.params.arguments.id), 3000);
  leave?.();
  await stream;
  row(
    'http_sse: a stream at a, a call posted at b',
    `${words(answer)}, ${answered === undefined ? 'no answer' : 'answered'}`,
    answer.status === 202 && answered !== undefined,
  );
}

// One is killed under load.
async function killed() {
  const load = new Load();
  await load.open();
  await sleep(before_kill_millis);
  const { a } = replicas;
  const killed_at = Date.now();
  a.program.signal('SIGKILL');
  const under_way = [...load.under_way];
  await a.program.exited;
  await sleep(after_kill_millis);
  const { done, streams } = await load.close();
  await until(() => done.every(({ port }) => gateway_of.has(port)), 5000);

  const failed = done.filter(({ good }) => !good);
  const lost = failed.filter(({ port }) => gateway_of.get(port) === 'a');
  row('killed: requests', done.length, done.length > (rate * (before_kill_millis + after_kill_millis)) / 1000 / 2);
  row(
    'killed: by a and b',
    ['a', 'b'].map((name) => done.filter(({ port }) => gateway_of.get(port) === name).length).join(' and '),
    done.some(({ port, good }) => good && gateway_of.get(port) === 'a'),
  );
  const open = under_way.filter(({ port }) => gateway_of.get(port) === 'a');
  // A kept connection may have been taken for a request before the client saw that it is closed.
  const just_after = lost.filter((each) => !open.includes(each));
  row(
    'killed: requests that failed = those of the killed gateway',
    `${failed.length} = ${lost.length}`,
    failed.length === lost.length,
    failed.filter((each) => !lost.includes(each)).slice(0, 3),
  );
  row(
    'killed: of them open at that moment, and of its connections just after',
    `${lost.length - just_after.length} and ${just_after.length}`,
    lost.length > just_after.length && just_after.every(({ began_at }) => began_at - killed_at < 100),
    just_after.slice(0, 3),
  );
  row(
    'killed: that began later than 100 ms after, and failed',
    failed.filter(({ began_at }) => began_at - killed_at > 100).length,
    failed.every(({ began_at }) => began_at - killed_at <= 100),
  );
  const ended = streams.filter(({ end }) => end !== 'left');
  const stayed = streams.filter(({ end }) => end === 'left');
  row(
    'killed: streams that ended, all of a',
    `${ended.length} of ${streams.length}`,
    ended.length > 0 &&
      ended.every(({ port }) => gateway_of.get(port) === 'a') &&
      stayed.every(({ port }) => gateway_of.get(port) === 'b'),
  );
  await received('killed', done);
}

// One is killed no more, and comes back; then the other is told to stop, as in every upgrade.
async function replaced() {
  const { a, b } = replicas;
  const session = await begin(url(b));
  startReplica(a);
  await serves(a);
  const body = call('echo');
  const answer = await ask(url(a), '/mcp', { token, body, headers: { 'mcp-session-id': session } });
  row('replaced: a session of before at the new a', words(answer), isAnswerTo(body, answer));
  // Until the balancer has seen that it is back.
  await sleep(1000);

  const load = new Load();
  await load.open();
  await sleep(1000);
  b.program.signal('SIGTERM');
  const { code } = await b.program.exited;
  await sleep(500);
  const { done, streams } = await load.close();
  await until(() => done.every(({ port }) => gateway_of.has(port)), 5000);
  const failed = done.filter(({ good }) => !good);
  row('replaced: exit status of the one that was told to stop', code, code === 0);
  row('replaced: requests that failed', `${failed.length} of ${done.length}`, failed.length === 0, failed.slice(0, 3));
  const fine = streams.filter(({ end, port }) => end === (gateway_of.get(port) === 'b' ? 'complete' : 'left'));
  row(
    'replaced: streams that ended cleanly, or stayed',
    `${fine.length} of ${streams.length}`,
    fine.length === streams.length && streams.some(({ end }) => end === 'complete'),
    streams.filter((each) => !fine.includes(each)).slice(0, 3),
  );
  await received('replaced', done);
}

// What the server got: each call once at most, all that were answered, and none that was refused.
async function received(phase, done) {
  const { ids, forbidden } = await server.tell({});
  const times = new Map(ids);
  const answered = done.filter(({ good, passes }) => good && passes);
  const lacking = answered.filter(({ id }) => times.get(id) !== 1);
  const twice = ids.filter(([, count]) => count > 1);
  row(
    `${phase}: calls that were answered, and those of them that the server got once`,
    `${answered.length} = ${answered.length - lacking.length}`,
    lacking.length === 0,
  );
  row(
    `${phase}: calls that reached the server twice; that were refused and reached it`,
    `${twice.length}; ${forbidden.length}`,
    twice.length === 0 && forbidden.length === 0,
  );
}

// Sends a request, and notes the port from which it went.
function noting(of) {
  return (target, options) => {
    const request = httpRequest(target, options);
    request.on('socket', (socket) => {
      const note = () => (of.port = socket.localPort);
      if (socket.connecting) socket.once('connect', note);
      else note();
    });
    // What was connected is what is sent to; a request that never had a connection has no port.
    request.on('finish', () => (of.began_at = Date.now()));
    return request;
  };
}

// Begins a session; returns its sealed id.
async function begin(where) {
  const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'replicas', version: '1' } };
  const body = { jsonrpc: '2.0', id: 1, method: 'initialize', params };
  const { headers } = await ask(where, '/mcp', { token, body });
  return headers['mcp-session-id'];
}

function startReplica(replica) {
  const { name, port, admin } = replica;
  const rules = [
    { tools: ['echo'], scopes: ['read'] },
    { tools: ['forbidden'], deny: true },
  ];
  const file = {
    listen: `127.0.0.1:${port}`,
    admin: { listen: `127.0.0.1:${admin}` },
    // The balancer's address is that of both; by its own each is asked in this test alone.
    public_url: origin,
    hosts: [`127.0.0.1:${port}`],
    authorization_servers: [{ issuer: issuer_url }],
    sessions: { keys: [{ file: name === 'stranger' ? 'other.key' : 'shared.key' }] },
    drain: { delay_secs, grace_secs },
    routes: [
      { name: 'mcp', path: '/mcp', upstream: `http://127.0.0.1:${ports.server}/mcp`, rules },
      {
        name: 'old',
        path: '/old',
        upstream: `http://127.0.0.1:${ports.old}/sse`,
        transport: 'http_sse',
        rules,
      },
    ],
  };
  const path = join(folder, `${name}.yaml`);
  writeFileSync(path, JSON.stringify(file));
  const log = [];
  replica.log = log;
  replica.program = start(name, [process.env.GATEPOST, 'run', '--config', path], {
    onLine: () => (replica.audit += 1),
    onError: (line) => log.push(line),
  });
}

function startBalancer() {
  const { a, b } = replicas;
  const lines = `
global
  log stdout format raw local0 info
defaults
  mode tcp
  log global
  # One line for each connection, when it has ended.
  log-format "connection %cp %s %ts"
  timeout connect 1s
  timeout client 1h
  timeout server 1h
  # A connection that is refused is made to the other one.
  retries 3
  option redispatch 1
frontend clients
  bind 127.0.0.1:${ports.balancer}
  default_backend gateways
backend gateways
  balance roundrobin
  option httpchk GET /readyz
  default-server check inter 200ms fall 2 rise 2
  server a 127.0.0.1:${a.port} port ${a.admin}
  server b 127.0.0.1:${b.port} port ${b.admin}
`;
  const path = join(folder, 'haproxy.cfg');
  writeFileSync(path, lines);
  const env = { LD_LIBRARY_PATH: process.env.HAPROXY_LIBRARIES };
  const checked = spawnSync(process.env.HAPROXY, ['-c', '-q', '-f', path], { env, encoding: 'utf8' });
  if (checked.status !== 0) throw new Error(checked.stderr);
  start('haproxy', [process.env.HAPROXY, '-db', '-f', path], {
    env,
    onLine: (line) => {
      const [, port, name] = /^connection (\d+) (\S+)/.exec(line) ?? [];
      if (!port) return;
      // A port may be used again, after a while; by which gateway would then be unknown.
      if (gateway_of.has(Number(port)) && gateway_of.get(Number(port)) !== name) gateway_of.set(Number(port), 'either');
      else gateway_of.set(Number(port), name);
    },
  });
}

async function serves({ name, port, log = [] }) {
  const answers = async () => {
    const body = call('echo');
    return isAnswerTo(body, await ask(`http://127.0.0.1:${port}`, '/mcp', { token, body, millis_max: 1000 }));
  };
  if ((await until(answers, 15_000)) === undefined)
    throw new Error(`${name} does not serve\n${log.slice(-20).join('\n')}`);
}

function url({ port }) {
  return `http://127.0.0.1:${port}`;
}

function row(what, found, held, details) {
  rows.push({ what, found, verdict: held ? 'ok' : 'MISSED' });
  if (!held) missed += 1;
  if (!held) console.log(`MISSED ${what}: ${found}${details === undefined ? '' : `\n    ${JSON.stringify(details)}`}`);
}

function finish(why) {
  console.log('\n| what | found | |\n|---|---|---|');
  for (const { what, found, verdict } of rows) console.log(`| ${what} | ${found} | ${verdict} |`);
  if (why) console.log(`FAILED ${why}`);
  console.log(`\n${rows.length} counts, ${missed} missed`);
  stopAll();
  rmSync(folder, { recursive: true, force: true });
  process.exit(missed > 0 || why ? 1 : 0);
}

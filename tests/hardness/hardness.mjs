// Plays the tools one after the other, each with the well-behaved client beside it, and says what held (README.md).

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import { freePort, stopAll } from '../interop/programs.mjs';
import { newIssuer, startGateway } from '../interop/servers.mjs';
import { lowSpots, testssl, sslscan } from './scanners.mjs';

// What may stay: the allocator keeps some of what it had, and connections to the server are kept for four seconds.
const rss_kept_mib_max = 96;
// And what the same attack adds, played again: what grows with every attack is a leak.
const rss_again_mib_max = 24;
const descriptors_kept_max = 8;
const settling_secs_max = 45;
const sample_millis = 100;
const attack_millis_min = 2000;

const [folder, length] = process.argv.slice(2);
const isShort = length === 'short';
const rows = [];
const after_attack = new Map();
const faults = [];

try {
  await play();
} catch (error) {
  faults.push(error.stack);
} finally {
  stopAll();
}
printTable();
for (const fault of faults) console.log(`FAILED ${fault}`);
process.exit(faults.length === 0 ? 0 : 1);

async function play() {
  const upstream = new Worker(join(import.meta.dirname, 'upstream.mjs'));
  const [upstream_port] = await once(upstream, 'message');
  const issuer = newIssuer(folder);
  mkdirSync(join(folder, 'stranger'));
  const stranger = newIssuer(join(folder, 'stranger'));
  const ca_file = join(folder, 'tls.crt');

  const tls = { certificate: 'tls.crt', private_key: 'tls.key' };
  const route = {
    name: 'hardness',
    path: '/mcp',
    upstream: `http://127.0.0.1:${upstream_port}/mcp`,
    rules: [{ tools: ['good', 'load', 'large'], scopes: ['interop'] }],
  };
  const common = { authorization_servers: issuer.authorization_servers, routes: [route] };
  const [port, plain_port] = [await freePort(), await freePort()];
  const public_url = `https://localhost:${port}`;
  const gateway = await startGateway({ listen: `127.0.0.1:${port}`, public_url, tls, ...common }, folder);
  const url = `${public_url}/mcp`;
  const plain_url = `http://localhost:${plain_port}`;
  await startGateway({ listen: `127.0.0.1:${plain_port}`, public_url: plain_url, ...common }, folder);

  const [token, bad_token] = [issuer.tokenFor(url), stranger.tokenFor(url)];
  const client = new Worker(join(import.meta.dirname, 'client.mjs'), { workerData: { url, token, ca_file } });
  const scene = { gateway, upstream, client, url, plain_url, token, bad_token, at: `localhost:${port}` };

  for (const attack of attacks(scene)) await playOne(scene, attack);
}

// What is played: `run` returns a few words on what came of it and what was wrong; `reaches` is what of it the server must see, `may_reach`
// what it may see besides: slowhttptest probes by GET.
function attacks({ url, plain_url, token, bad_token, at }) {
  const secs = isShort ? 6 : 20;
  const load_secs = isShort ? 3 : 8;
  const body = (name) => {
    const file = join(folder, `${name}.json`);
    writeFileSync(file, JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: {} } }));
    return file;
  };
  const connections = isShort ? 300 : 1000;
  const slow = (...options) => ['slowhttptest', '-c', connections, '-r', connections / 4, '-l', secs, '-p', 3, '-v', 1, ...options, '-u', url];
  // slowhttptest has no option for headers, and writes this value as it is.
  const authorized = ['-j', `none=\r\nAuthorization: Bearer ${token}`];
  const head = (bearer) => ['-H', 'content-type: application/json', '-H', 'accept: application/json, text/event-stream', '-H', `authorization: Bearer ${bearer}`];
  const load = (bearer, tool, ...options) => ['h2load', '-D', load_secs, ...options, ...head(bearer), '-d', body(tool), url];
  const call = (to, ...options) => ['nghttp', '-v', '-y', ...options, ...head(token), '-d', body('load'), to];
  const heaviest = { name: 'h2load h2, 50 connections of 20 streams, good token', run: () => loading(load(token, 'load', '-c', 50, '-m', 20), '2xx'), reaches: ['load'] };
  const scans = isShort ? [] : [{ name: 'testssl.sh', run: () => testssl(at, folder, tool), reaches: [] }];

  return [
    { name: 'nothing', run: () => sleep(load_secs * 1000).then(() => ({ came: 'the client alone' })), reaches: [] },
    { name: 'slowhttptest -H: slow heads', run: () => slowly(slow('-H', '-i', 5)), reaches: [] },
    { name: 'slowhttptest -B: slow bodies, no token', run: () => slowly(slow('-B', '-i', 5)), reaches: [] },
    { name: 'slowhttptest -B: slow bodies, good token', run: () => slowly(slow('-B', '-i', 5, '-f', 'application/json', ...authorized)), reaches: [], may_reach: ['stream'] },
    { name: 'slowhttptest -X: slow reading of long streams, good token', run: () => slowly(slow('-X', '-w', 64, '-y', 128, '-n', 2, '-z', 32, ...authorized)), reaches: ['stream'] },
    { name: 'slowhttptest -R: ranges', run: () => slowly(slow('-R', ...authorized)), reaches: [], may_reach: ['stream'] },
    heaviest,
    { name: 'h2load h2, 50 connections of 20 streams, bad token', run: () => loading(load(bad_token, 'load', '-c', 50, '-m', 20), '4xx'), reaches: [] },
    { name: 'h2load h2, 50 connections of 20 streams, forbidden tool', run: () => loading(load(token, 'forbidden', '-c', 50, '-m', 20), '4xx'), reaches: [] },
    { name: 'h2load h2, answers of 1 MiB', run: () => loading(load(token, 'large', '-c', 10, '-m', 4), '2xx'), reaches: ['large'] },
    { name: `h2load h1, ${connections} connections, good token`, run: () => loading(load(token, 'load', '--h1', '-c', connections), '2xx'), reaches: ['load'] },
    { name: `h2load h1, ${connections} connections, bad token`, run: () => loading(load(bad_token, 'load', '--h1', '-c', connections), '4xx'), reaches: [] },
    { ...heaviest, name: 'the first h2load again', again: heaviest.name },
    { name: 'nghttp: an exchange', run: () => exchange(call(url), ':status: 200'), reaches: ['load'] },
    { name: 'nghttp --continuation', run: () => exchange(call(url, '--continuation'), ':status: 431'), reaches: [] },
    { name: 'nghttp -b 255: padding', run: () => exchange(call(url, '-b', 255), ':status: 200'), reaches: ['load'] },
    { name: 'nghttp -u: upgrade to h2c, on plain http', run: () => refusedUpgrade(call(`${plain_url}/mcp`, '-u')), reaches: [] },
    { name: 'sslscan', run: () => sslscan(at, folder, tool), reaches: [] },
    { name: 'openssl s_client: early data, renegotiation, compression', run: () => lowSpots(at, tool), reaches: [] },
    ...scans,
  ];
}

async function playOne({ gateway, upstream, client }, { name, run, reaches, may_reach = [], again }) {
  const wrong = (what) => faults.push(`${name}: ${what}`);
  const pid = gateway.child.pid;
  const before = { ...state(pid), seen: await asked(upstream, 'count') };
  const most = { rss: before.rss, descriptors: before.descriptors };
  const sampling = setInterval(() => {
    // The audit records: nobody reads them here.
    gateway.lines.length = 0;
    const { rss, descriptors } = state(pid);
    most.rss = Math.max(most.rss, rss);
    most.descriptors = Math.max(most.descriptors, descriptors);
  }, sample_millis);

  client.postMessage('begin');
  const [{ came, found = [] }] = await Promise.all([run(), sleep(attack_millis_min)]);
  const { calls, faults: failed } = await asked(client, 'end');
  const after = await settled(pid, before);
  const seen = await asked(upstream, 'end');
  clearInterval(sampling);

  found.forEach(wrong);
  if (gateway.child.exitCode !== null || gateway.child.signalCode !== null) throw new Error(`${name}: the gateway died`);
  if (calls.length === 0 || failed.length > 0) wrong(`${failed.length} calls of the good client failed: ${[...new Set(failed)].slice(0, 5)}`);
  const reached = Object.keys(seen).filter((what) => what !== 'good' && seen[what] > (before.seen[what] ?? 0));
  // An attack that should pass and does not has attacked nothing.
  const [missing, more] = [minus(reaches, reached), minus(reached, [...reaches, ...may_reach])];
  if (missing.length > 0) wrong(`did not reach the server: ${missing}`);
  if (more.length > 0) wrong(`reached the server: ${more}`);
  rows.first_rss ??= before.rss;
  const earlier = after_attack.get(again);
  if (after.rss > earlier + rss_again_mib_max) wrong(`${after.rss} MiB of memory stay, ${earlier} the first time`);
  after_attack.set(name, after.rss);
  if (after.rss > rows.first_rss + rss_kept_mib_max) wrong(`${after.rss} MiB of memory stay, of ${rows.first_rss} at first`);
  if (after.descriptors > before.descriptors + descriptors_kept_max) wrong(`${after.descriptors} descriptors stay, of ${before.descriptors}`);

  calls.sort((left, right) => left - right);
  const at = (share) => Math.round(calls[Math.min(calls.length - 1, Math.floor(calls.length * share))] ?? NaN);
  rows.push([
    name, came, `${calls.length} of ${calls.length + failed.length}`, `${at(0.5)} / ${at(0.99)} / ${at(1)}`,
    `${before.rss} / ${most.rss} / ${after.rss}`, `${before.descriptors} / ${most.descriptors} / ${after.descriptors}`,
  ]);
  console.error(`${rows.at(-1).join(' | ')}`);
}

// Resident memory in MiB, and open descriptors; zeros when there is no such process any more.
function state(pid) {
  try {
    const [, kib] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return { rss: Math.round(kib / 1024), descriptors: readdirSync(`/proc/${pid}/fd`).length };
  } catch {
    return { rss: 0, descriptors: 0 };
  }
}

// The state once the connections of an attack are gone, or time is up.
async function settled(pid, before) {
  const until = Date.now() + settling_secs_max * 1000;
  while (state(pid).descriptors > before.descriptors + descriptors_kept_max && Date.now() < until) {
    await sleep(250);
  }
  return state(pid);
}

function minus(all, others) {
  return all.filter((each) => !others.includes(each));
}

async function asked(worker, question) {
  worker.postMessage(question);
  const [answer] = await once(worker, 'message');
  return answer;
}

// Runs a tool to its end, or to the end of its time; returns what it printed.
async function tool([command, ...args], secs_max = 60, input = '') {
  const child = spawn(command, args.map(String), { env: { ...process.env, TERM: 'dumb' }, cwd: folder });
  let text = '';
  child.stdout.on('data', (piece) => { text += piece; });
  child.stderr.on('data', (piece) => { text += piece; });
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const limit = setTimeout(() => child.kill('SIGKILL'), secs_max * 1000);
  await once(child, 'close');
  clearTimeout(limit);
  return text;
}

async function slowly(command) {
  const text = (await tool(command)).replace(/\x1b\[[0-9;]*m/g, '');
  const available = /service available:\s+(\w+)/.exec(text.slice(text.lastIndexOf('service available')))?.[1];
  const counted = (word) => Number(new RegExp(`${word}:\\s+(\\d+)`).exec(text.slice(text.lastIndexOf('initializing')))?.[1] ?? NaN);
  const came = `available: ${available}; closed ${counted('closed')}, held ${counted('connected')}`;
  return { came, found: available === 'YES' ? [] : [`its probe says: available: ${available}\n${text.slice(-600)}`] };
}

// Every answer is of one kind, and there are some.
async function loading(command, expected) {
  const text = await tool(command);
  const [, rate] = /finished in .*?, ([\d.]+) req\/s/.exec(text) ?? [];
  const statuses = Object.fromEntries([...text.matchAll(/(\d+) (\dxx)/g)].map(([, times, kind]) => [kind, Number(times)]));
  const others = Object.entries(statuses).filter(([kind, times]) => kind !== expected && times > 0);
  const found = statuses[expected] > 0 && others.length === 0 ? [] : [`expected ${expected} alone\n${text.slice(-900)}`];
  return { came: `${statuses[expected]} times ${expected}, ${Math.round(rate)} a second`, found };
}

async function exchange(command, expected) {
  const text = await tool(command);
  const status = /:status: (\d+)/.exec(text)?.[0];
  return { came: `${status}`, found: new RegExp(expected).test(text) ? [] : [`no ${expected}\n${text.slice(-900)}`] };
}

async function refusedUpgrade(command) {
  const text = await tool(command);
  const isUpgraded = /HTTP Upgrade success|101 Switching/.test(text);
  return { came: isUpgraded ? 'upgraded' : 'refused', found: isUpgraded ? [`upgraded\n${text.slice(-900)}`] : [] };
}

function printTable() {
  console.log('| attack | what came of it | calls of the good client that succeeded | p50 / p99 / longest, ms | memory before / most / after, MiB | descriptors before / most / after |');
  console.log('|---|---|---|---|---|---|');
  for (const row of rows) console.log(`| ${row.join(' | ')} |`);
  console.log(`${rows.length} played, ${faults.length} faults`);
}

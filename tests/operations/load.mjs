// The gateway under constant load while its file and its certificate change, and then while it stops. Every request is
// counted three times: by who sent it, by the audit log, and by the server if it was to reach one. Exit status: 0 all
// counts agree and nothing failed that the files did not mean to fail, 1 otherwise.
//
// `--seconds N`: how long the load lasts before SIGTERM, at least as long as the changes take (default 30). `--rate N`:
// requests a second (default 500).

import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';

import { ask, call, isAnswerTo, words } from './client.mjs';
import { fingerprintOf, Mounted, newCertificate } from './mounted.mjs';
import { catches, freePort, residentMib, sleep, start, startPart, stopAll, until } from './programs.mjs';
import { forged, mint, newKey } from './tokens.mjs';
import { knows, metrics } from './world.mjs';

const streams = 100;
const principals = 4;
const reloads = 50;
const certificates = 2;
const delay_secs = 5;
const grace_secs = 20;
// The load ends so long before the delay does: what is sent in the very moment in which the listener closes is counted
// apart.
const margin_millis = 700;
const effective_millis_max = 1000;
// A changed file is looked for every so often.
const poll_millis_max = 5000;
const handshake_millis_max = 60_000;
const stopped_millis_max = (delay_secs + grace_secs + 1) * 1000;
const rate_share_min = 0.95;
const sighup = 1;

const seconds = option('--seconds', 30);
const rate = option('--rate', 500);
const overall_secs_max = seconds + 240;

const folder = mkdtempSync(join(tmpdir(), 'gatepost-operations-'));
const rows = [];
let missed = 0;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => finish(`stopped by ${signal}`));
process.once('uncaughtException', (error) => finish(error.stack));
setTimeout(() => finish(`not done after ${overall_secs_max} s`), overall_secs_max * 1000).unref();

const ports = {
  gateway: await freePort(),
  admin: await freePort(),
  issuer: await freePort(),
  near: await freePort(),
  far: await freePort(),
};
const origin = `https://127.0.0.1:${ports.gateway}`;
const issuer_url = `http://127.0.0.1:${ports.issuer}`;
const key = newKey('load');
const certificate_files = Array.from({ length: certificates + 1 }, (_, i) => newCertificate(folder, i));
const ca = certificate_files.map((files) => files['tls.crt']);
const tls = new Mounted(join(folder, 'tls'), certificate_files[0]);
const conf = new Mounted(join(folder, 'conf'), { 'gatepost.yaml': fileText(true, false) });

const audit = { answers: {}, opened: 0, closed: 0, ends: {}, lines: 0, broken: [] };
const log = [];
// What this process asks by itself: it counts like the loader's.
const own = { sent: 0, answers: {}, passed: [] };
const late = { sent: 0, answered: 0, refused: 0, cut: 0 };
let gateway;
let loader;
let under_way;

await play();
finish();

async function play() {
  const issuer = await startPart('issuer.mjs', issuer_url, 'ok', JSON.stringify({ keys: [key.jwk] }));
  const servers = await Promise.all(['near', 'far'].map((name) => startPart('server.mjs', '127.0.0.1', ports[name])));
  gateway = start('gateway', [process.env.GATEPOST, 'run', '--config', join(conf.path, 'gatepost.yaml')], {
    onLine: record,
    onError: (line) => log.push(line),
  });
  const up = await until(
    () =>
      handshake().then(
        () => true,
        () => false,
      ),
    15_000,
  );
  if (up === undefined) throw new Error(`the gateway does not answer\n${log.join('\n')}`);
  const tokens = makeTokens();
  if ((await until(async () => (await askOwn('/near', tokens.alice)).status === 200, 15_000)) === undefined) {
    throw new Error(`the gateway does not serve\n${log.join('\n')}`);
  }
  loader = await startPart('loader.mjs');
  await loader.tell({ begin: { origin, ca, tokens, rate, streams, paths: ['/near', '/far'] } });
  const began = performance.now();
  const memory = residentMib(gateway.pid);

  if (catches(gateway.pid, sighup)) await changeAll(tokens, began);
  else skip('reloads and certificates', 'this binary does not reload');
  await sleep(seconds * 1000 - (performance.now() - began));

  row('memory', `${memory.toFixed(0)} MiB at first, ${residentMib(gateway.pid).toFixed(0)} MiB at the end`, true);
  const counted = knows('admin') ? await countedSoFar() : undefined;
  const drains = knows('drain');
  let stopping;
  if (drains) stopping = await drain(tokens);
  else skip('SIGTERM under load', 'this binary has no `drain`');
  const load = await loader.tell({ stop: true });
  const lasted = load.millis / 1000;
  row(
    'load',
    `${load.sent} in ${lasted.toFixed(1)} s: ${(load.sent / lasted).toFixed(0)}/s, ${load.held_back} held back`,
    load.sent + load.unsent >= rate_share_min * rate * lasted,
  );

  if (drains) await afterwards(stopping, tokens);
  else gateway.signal('SIGTERM');
  const ended = await loader.tell({ streams: true });
  const { code, at: exited } = await gateway.exited;
  await gateway.drained;
  row('exit', `status ${code}`, code === 0);
  if (drains) row('SIGTERM to exit', spell(exited - stopping), exited - stopping <= stopped_millis_max);
  late.sent += load.cut_late;
  late.cut += load.cut_late;
  const slow = `${load.unsent} not sent, ${load.refused_late} told shutting_down, ${load.cut_late} cut`;
  if (drains) row('of the load, too late for the delay', slow, true);
  judgeStreams(ended);
  judgeLoad(load);
  judgeTotals(load, counted, await Promise.all(servers.map((server) => server.tell({}))));
  const stray = log.filter((line) => /panic|ERROR/.test(line) && !/reload|not loaded|file/.test(line));
  row('errors in the log', stray[0] ?? 'none', stray.length === 0);
  const { keys } = await issuer.tell({ count: true });
  row('fetches of keys', keys, keys <= 2 + seconds / 20);
}

// Fifty changes of the file, every other one invalid, and two of the certificate, while the load goes on.
async function changeAll(tokens, began) {
  const effective = [];
  const told = [];
  const shown = [];
  let allowed = true;
  let faults = 0;
  let certificate = 0;
  // A stream on the route that every other valid file lacks, and how soon after each of those it ended.
  let extra;
  const ended = [];
  // Spread over the time there is; each takes as long as it takes.
  const pace = Math.max(200, (seconds * 1000 - 3000) / (reloads + certificates));
  for (let i = 0; i < reloads; i += 1) {
    const turn = performance.now();
    const change = [rewrite, swap, rewriteAndSignal][i % 3];
    if (i % 2 === 0) {
      allowed = !allowed;
      await loader.tell({ flip: 'either' });
      const changed = performance.now();
      change(fileText(allowed, i % 4 === 0));
      const seen = await until(
        async () => (await askOwn('/near', tokens.alice, 'flip')).status === (allowed ? 200 : 403),
        20_000,
      );
      if (seen === undefined) throw new Error(`change ${i} never came into effect\n${log.slice(-10).join('\n')}`);
      effective.push({ change: change.name, millis: performance.now() - changed });
      await loader.tell({ flip: allowed ? 'allow' : 'deny' });
      if (i % 4 === 0) extra = await openExtra(tokens);
      else ended.push(await extra.end());
    } else {
      const lines = log.length;
      const changed = performance.now();
      change(invalidText(Math.floor(i / 2)));
      const seen = await until(() => log.slice(lines).some((line) => /WARN|ERROR/.test(line)), 20_000);
      if (seen === undefined) throw new Error(`nothing is said of invalid file ${i}\n${log.slice(-10).join('\n')}`);
      told.push({ change: change.name, millis: performance.now() - changed });
      const { status } = await askOwn('/near', tokens.alice, 'flip');
      if (status !== (allowed ? 200 : 403)) faults += 1;
    }
    if (certificate < certificates && i + 1 >= ((certificate + 1) * reloads) / (certificates + 1)) {
      certificate += 1;
      // What is valid stands there, so that the certificate is all that is new.
      rewrite(fileText(allowed, false));
      shown.push(await changeCertificate(certificate));
    }
    await sleep(Math.min(pace - (performance.now() - turn), seconds * 1000));
  }
  rewrite(fileText(allowed, false));
  ended.push(await extra.end());
  const list = (times, name) => times.filter(({ change }) => !name || change === name).map(({ millis }) => millis);
  row(
    'valid files',
    [
      `${effective.length} in effect; by SIGHUP after ${range(list(effective, 'rewriteAndSignal'))}`,
      `seen by itself after ${range(list(effective, 'rewrite'))} (rename), ${range(list(effective, 'swap'))} (..data)`,
    ].join('; '),
    Math.max(...list(effective, 'rewriteAndSignal')) <= effective_millis_max &&
      Math.max(...list(effective)) <= poll_millis_max,
  );
  row(
    'invalid files',
    `${told.length} refused and said so after ${range(list(told))}; ${faults} changed what is served`,
    faults === 0,
  );
  const clean = ended.filter(({ said }) => said === '200').length;
  const slowest = Math.max(...ended.map(({ millis }) => millis));
  row(
    'streams of a route that is gone',
    `${ended.length} opened, ${clean} ended cleanly, at most ${spell(slowest)} after`,
    clean === ended.length && slowest <= poll_millis_max,
  );
  row(
    'certificates',
    `${shown.length} changed; new connections see it after ${range(shown)}`,
    Math.max(...shown) <= handshake_millis_max,
  );
  if (knows('admin')) {
    const counted = await metrics({ ports });
    const [ok, failed] = ['ok', 'failed'].map((outcome) => counted.sum('gatepost_reloads_total', { outcome }));
    row(
      'reloads as metrics count them',
      `${ok} ok, ${failed} failed`,
      ok >= effective.length + shown.length && failed >= told.length,
    );
  }
}

function rewrite(text) {
  conf.rewrite('gatepost.yaml', text);
}

function swap(text) {
  conf.swap({ 'gatepost.yaml': text });
}

function rewriteAndSignal(text) {
  rewrite(text);
  gateway.signal('SIGHUP');
}

// A new certificate: once all at once, once file by file, so that for a moment the key is another's.
async function changeCertificate(number) {
  const files = certificate_files[number];
  const changed = performance.now();
  if (number % 2 === 1) tls.swap(files);
  else
    for (const file of ['tls.key', 'tls.crt']) {
      tls.rewrite(file, files[file]);
      await sleep(20);
    }
  const wanted = fingerprintOf(files['tls.crt']);
  const seen = await until(async () => (await handshake()) === wanted, handshake_millis_max, 50);
  if (seen === undefined) throw new Error(`certificate ${number} is never shown\n${log.slice(-10).join('\n')}`);
  return performance.now() - changed;
}

// Opens a stream on that route; `end` waits until it is over.
async function openExtra(tokens) {
  let events = 0;
  own.sent += 1;
  const stream = ask(origin, '/extra', {
    token: tokens.streams[0],
    onData: () => {
      events += 1;
    },
    millis_max: 3_600_000,
    sending: { send: httpsRequest, ca },
  });
  if ((await until(() => events > 0, 5000)) === undefined) throw new Error('a stream on a new route does not open');
  return {
    end: async () => {
      const began = performance.now();
      const answer = await Promise.race([stream, sleep(10_000)]);
      if (!answer) throw new Error(`a stream outlives its route\n${log.slice(-12).join('\n')}`);
      count(own.answers, words(answer));
      return { said: words(answer), millis: performance.now() - began };
    },
  };
}

// SIGTERM while the load goes on, to the moment when the delay is nearly over.
async function drain(tokens) {
  // What is under way then, and ends after the listener has closed, is answered.
  under_way = Array.from({ length: 5 }, async () => {
    const body = call('echo', { act: 'late', millis: (delay_secs + 2) * 1000 });
    const answer = await ask(origin, '/near', { token: tokens.alice, body, sending: { send: httpsRequest, ca } });
    return { body, answer };
  });
  await sleep(200);
  const signalled = performance.now();
  await loader.tell({ closes: Date.now() + delay_secs * 1000 });
  gateway.signal('SIGTERM');
  if (knows('admin')) {
    const seen = await until(
      async () => (await ask(`http://127.0.0.1:${ports.admin}`, '/readyz')).status === 503,
      2000,
      5,
    );
    row('readiness fails after SIGTERM', spell(seen), seen !== undefined && seen <= 200);
  }
  let closes = 0;
  let asked = 0;
  while (performance.now() - signalled < delay_secs * 1000 - margin_millis) {
    const { headers } = await askOwn('/far', tokens.alice, 'echo', { connection: 'keep-alive' });
    asked += 1;
    if (/close/i.test(headers?.connection)) closes += 1;
    await sleep(100);
  }
  row('answers that say Connection: close', `${closes} of ${asked}`, closes === asked);
  return signalled;
}

// What is sent on, until nobody listens any more: answered or not, but never wrongly.
async function afterwards(signalled, tokens) {
  let wrong = 0;
  const one = (body, answer) => {
    late.sent += 1;
    if (isAnswerTo(body, answer) || answer.status === 503) {
      late.answered += 1;
      count(own.answers, words(answer));
      if (answer.status === 200) own.passed.push(body.params.arguments.id);
    } else if (answer.status === undefined || answer.end !== 'complete') {
      late.cut += 1;
      late.last = words(answer);
    } else {
      wrong += 1;
    }
  };
  for (let refused = 0; refused < 20 && performance.now() - signalled < stopped_millis_max;) {
    const body = call('echo');
    const answer = await ask(origin, '/far', { token: tokens.alice, body, sending: { send: httpsRequest, ca } });
    if (answer.end === 'none' && answer.error === 'ECONNREFUSED') {
      // Never sent.
      refused += 1;
      late.refused += 1;
      continue;
    }
    one(body, answer);
  }
  row(
    'sent once the delay was nearly over',
    `${late.sent} sent: ${late.answered} answered, ${late.cut} cut${late.last ? ` (${late.last})` : ''}; then refused`,
    wrong === 0 && late.refused > 0,
  );
  const finished = await Promise.all(under_way);
  finished.forEach(({ body, answer }) => one(body, answer));
  const good = finished.filter(({ body, answer }) => isAnswerTo(body, answer));
  row(
    'under way when the listener closed',
    `${good.length} of ${finished.length} answered`,
    good.length === finished.length,
    words(finished[0].answer),
  );
}

function judgeStreams(ended) {
  const bad = ended.filter(({ said, disorder }) => said !== '200' || disorder > 0);
  const events = ended.reduce((sum, each) => sum + each.events, 0);
  row(
    'streams',
    `${ended.length} open throughout, ${events} events in order, ${ended.length - bad.length} ended cleanly`,
    bad.length === 0 && ended.length === streams,
    bad.slice(0, 3),
  );
}

function judgeLoad(load) {
  for (const [kind, { sent, answered, faults }] of Object.entries(load.kinds).sort()) {
    row(
      `sent: ${kind}`,
      `${sent} sent, ${answered} answered, ${faults} not as meant`,
      sent === answered && faults === 0,
    );
  }
  row(
    'requests that failed and were not meant to',
    load.faults_count,
    load.faults_count === 0,
    load.faults.slice(0, 5),
  );
  row(
    'over HTTP/2',
    `${load.http2.connections} connections, ${load.http2.refused} requests sent again after GOAWAY`,
    true,
  );
}

// What clients saw and what the gateway counted, at a moment when nothing is under way but streams.
async function countedSoFar() {
  const answers = { ...own.answers };
  for (const [said, times] of Object.entries(await loader.tell({ still: true }))) answers[said] = (answers[said] ?? 0) + times;
  answers['200'] = (answers['200'] ?? 0) + streams;
  // Those that just ended are counted by now.
  await sleep(100);
  const now = await metrics({ ports });
  await loader.tell({ go: true });
  return { answers, metrics: now };
}

// Sent = answered = audited, allowed = received, and the metrics say so too.
function judgeTotals(load, counted, seen) {
  const answers = {};
  for (const [said, times] of [...Object.entries(load.answers), ...Object.entries(own.answers)])
    answers[said] = (answers[said] ?? 0) + times;
  // The streams that stayed open.
  answers['200'] = (answers['200'] ?? 0) + streams;
  // What was cut late is among the load's, too.
  const sent = load.sent + own.sent + late.sent - load.cut_late + streams;
  const answered = sum(answers);
  row(
    'sent = answered',
    `${sent} = ${answered}${late.cut ? ` + ${late.cut} cut late` : ''}`,
    sent === answered + late.cut,
  );
  const audited = sum(audit.answers);
  row(
    'answered = audited',
    `${answered} = ${audited}`,
    audited >= answered && audited <= answered + late.cut,
    audit.answers['0'] && audit.ends,
  );
  for (const said of new Set([...Object.keys(answers), ...Object.keys(audit.answers)])) {
    const [ours, theirs] = [answers[said] ?? 0, audit.answers[said] ?? 0];
    row(`answered = audited: ${said}`, `${ours} = ${theirs}`, theirs >= ours && theirs <= ours + late.cut);
  }
  row('audit: streams opened = closed', `${audit.opened} = ${audit.closed}`, audit.opened === audit.closed);
  row('audit: every line is JSON', `${audit.lines} lines`, audit.broken.length === 0, audit.broken[0]);
  if (counted) {
    const requests = counted.metrics.sum('gatepost_requests_total');
    row('before SIGTERM: answered = metrics', `${sum(counted.answers)} = ${requests}`, sum(counted.answers) === requests);
    const reasons = {};
    for (const [said, times] of Object.entries(counted.answers)) {
      const reason = said.split(' ')[1] ?? 'none';
      reasons[reason] = (reasons[reason] ?? 0) + times;
    }
    for (const [reason, times] of Object.entries(reasons)) {
      const theirs = counted.metrics.sum('gatepost_requests_total', { reason });
      row(`answered = metrics: ${reason}`, `${times} = ${theirs}`, times === theirs);
    }
  } else {
    skip('answered = metrics', 'this binary has no `admin`');
  }
  const allowed = new Set([...load.passed, ...own.passed]);
  const received = new Map(seen.flatMap(({ ids }) => ids));
  const lacking = [...allowed].filter((id) => !received.has(id));
  const extra = [...received.keys()].filter((id) => !allowed.has(id));
  const twice = [...received.values()].filter((times) => times > 1).length;
  row(
    'allowed = received',
    `${allowed.size} = ${received.size}, ${twice} twice`,
    lacking.length === 0 && extra.length <= late.cut && twice === 0,
    { lacking: lacking.slice(0, 3), extra: extra.slice(0, 3) },
  );
  const reached = seen.flatMap((each) => each.forbidden);
  row('forbidden calls that reached a server', reached.length, reached.length === 0, reached.slice(0, 3));
  row(
    'requests that brought credentials to a server',
    seen.reduce((all, each) => all + each.with_credentials, 0),
    seen.every((each) => each.with_credentials === 0),
  );
}

// One line of the audit log.
function record(line) {
  audit.lines += 1;
  let entry;
  try {
    entry = JSON.parse(line);
  } catch {
    audit.broken.push(line);
    return;
  }
  if (entry.event === 'closed') {
    audit.closed += 1;
    count(audit.ends, entry.end);
    return;
  }
  if (entry.event === 'opened') audit.opened += 1;
  count(audit.answers, [entry.status, entry.reason].filter(Boolean).join(' ') || '0');
}

// A call by this process, over a connection of its own.
async function askOwn(path, token, tool = 'echo', headers = {}) {
  const body = call(tool);
  own.sent += 1;
  const answer = await ask(origin, path, { token, body, headers, sending: { send: httpsRequest, ca } });
  if (answer.status !== undefined && answer.end === 'complete') count(own.answers, words(answer));
  else log.push(`own call: ${words(answer)}`);
  if (answer.status === 200) own.passed.push(body.params.arguments.id);
  return answer;
}

function makeTokens() {
  const token = (claims) => mint(key, issuer_url, { exp: Math.floor(Date.now() / 1000) + 4 * 3600, ...claims });
  const alice = token({});
  return {
    alice,
    bob: token({ sub: 'bob' }),
    wide: token({ scope: 'read write' }),
    forged: forged(alice),
    expired: token({ exp: Math.floor(Date.now() / 1000) - 3600 }),
    streams: Array.from({ length: principals }, (_, i) => token({ sub: `stream-${i}` })),
  };
}

function fileText(allows_flip, has_extra) {
  const route = (name, port, more) => ({
    name,
    path: `/${name}`,
    upstream: `http://127.0.0.1:${port}/mcp`,
    audiences: ['operations'],
    rules: [
      { tools: ['echo'], scopes: ['read'] },
      { tools: ['write'], scopes: ['write'] },
      allows_flip ? { tools: ['flip'], scopes: ['read'] } : { tools: ['flip'], deny: true },
      { tools: ['forbidden'], deny: true },
    ],
    ...more,
  });
  return JSON.stringify(
    {
      listen: `127.0.0.1:${ports.gateway}`,
      public_url: origin,
      tls: { certificate: join(folder, 'tls/tls.crt'), private_key: join(folder, 'tls/tls.key') },
      authorization_servers: [{ issuer: issuer_url }],
      routes: [route('near', ports.near), route('far', ports.far), ...(has_extra ? [route('extra', ports.far)] : [])],
      ...(knows('admin') && { admin: { listen: `127.0.0.1:${ports.admin}` } }),
      ...(knows('drain') && { drain: { delay_secs, grace_secs } }),
    },
    null,
    2,
  );
}

// Files that must not come into effect: each would allow everything, were it read in a lenient way.
function invalidText(number) {
  const open = JSON.parse(fileText(true, false));
  for (const route of open.routes) route.default = 'allow';
  const text = (change) => {
    change(open);
    return JSON.stringify(open);
  };
  return [
    () => '',
    () =>
      text((file) => {
        file.unheard_of = true;
      }),
    () =>
      text((file) => {
        file.routes[0].authorization_servers = ['https://unknown.example'];
      }),
    () => fileText(true, false).slice(0, -20),
    () =>
      text((file) => {
        file.tls.certificate = join(folder, 'tls/none.crt');
      }),
    () =>
      text((file) => {
        file.routes[1].path = '/near';
      }),
  ][number % 6]();
}

// Makes a connection; resolves to the fingerprint of the certificate that it is shown.
function handshake() {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: ports.gateway, host: '127.0.0.1', ca }, () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

function option(name, otherwise) {
  const place = process.argv.indexOf(name);
  return place > 0 ? Number(process.argv[place + 1]) : otherwise;
}

function row(what, found, held, details) {
  rows.push({ what, found, verdict: held ? 'ok' : 'MISSED' });
  if (!held) missed += 1;
  if (!held) console.log(`MISSED ${what}: ${found}${details === undefined ? '' : `\n    ${JSON.stringify(details)}`}`);
}

function skip(what, why) {
  rows.push({ what, found: why, verdict: 'skipped' });
  console.log(`SKIPPED ${what}: ${why}`);
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

function count(counts, word) {
  counts[word] = (counts[word] ?? 0) + 1;
}

function sum(counts) {
  return Object.values(counts).reduce((all, each) => all + each, 0);
}

function spell(millis) {
  if (millis === undefined) return 'never';
  return millis < 1000 ? `${millis.toFixed(0)} ms` : `${(millis / 1000).toFixed(1)} s`;
}

function range(times) {
  return times.length === 0 ? 'none' : `${spell(Math.min(...times))} to ${spell(Math.max(...times))}`;
}

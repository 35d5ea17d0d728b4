// Clients of every kind at a constant rate, and streams, over TLS. A process of its own. Told `{begin}` it starts; told
// `{flip}` it learns what the file says of the tool `flip`; told `{closes}` when the listener will close (milliseconds
// since 1970); told `{still}` it waits for what is under way, says what it saw so far, and sends nothing until it is told
// `{go}`; told `{stop}` it sends no more, waits for what is under way, and says what it saw; told `{streams}` it
// says how the streams ended.

import { Agent, request as httpsRequest } from 'node:https';

import { ask, call, Http2, isAnswerTo, newId, words } from './client.mjs';
import { answerMessages, sleep } from './programs.mjs';

const tick_millis = 10;
const under_way_max = 1000;
const answer_millis_max = 20_000;
const connections = 64;
const http2_connections = 4;
// One in so many requests goes over HTTP/2; one in so many others over a connection of its own.
const http2_share = 6;
const fresh_share = 100;

// What is sent, how often among the others, and what the answer must be. Where `passes`, it reaches a server. `flip` is
// allowed or denied as the file says.
const kinds = {
  'allowed call': { weight: 40, passes: true, make: () => ({ body: call('echo') }) },
  'call with a wide token': {
    weight: 4,
    passes: true,
    make: ({ tokens }) => ({ body: call('write'), token: tokens.wide }),
  },
  'call answered by a stream': {
    weight: 5,
    passes: true,
    make: () => ({ body: call('echo', { act: 'stream', events: 2 }) }),
  },
  'call in a session': {
    weight: 8,
    passes: true,
    make: ({ session }) => ({ body: call('echo'), headers: session('alice') }),
  },
  list: { weight: 8, passes: true, isGood: isList, make: () => ({ body: withId('tools/list') }) },
  initialize: { weight: 1, passes: true, isGood: isBegun, make: () => ({ body: initialize('other') }) },
  flip: { weight: 5, flips: true, make: () => ({ body: call('flip') }) },
  'call beyond the scope': {
    weight: 8,
    expect: '403 insufficient_scope',
    make: () => ({ body: call('write', forbidden) }),
  },
  'denied tool': { weight: 8, expect: '403 not_permitted', make: () => ({ body: call('forbidden', forbidden) }) },
  'unheard-of tool': { weight: 2, expect: '403 not_permitted', make: () => ({ body: call('unheard-of', forbidden) }) },
  'no token': {
    weight: 3,
    expect: '401 missing_token',
    make: () => ({ body: call('echo', forbidden), token: undefined }),
  },
  'forged token': {
    weight: 3,
    expect: '401 invalid_token',
    make: ({ tokens }) => ({ body: call('echo', forbidden), token: tokens.forged }),
  },
  'expired token': {
    weight: 2,
    expect: '401 invalid_token',
    make: ({ tokens }) => ({ body: call('echo', forbidden), token: tokens.expired }),
  },
  'twice the name': { weight: 2, expect: '400 malformed_message', make: () => ({ body: twice() }) },
  'no JSON': { weight: 1, expect: '400 malformed_message', make: () => ({ body: '{"jsonrpc":"2.0",' }) },
  'another media type': {
    weight: 1,
    expect: '415 media_type',
    make: () => ({ body: call('echo', forbidden), headers: { 'content-type': 'text/plain' } }),
  },
  "a stranger's session": {
    weight: 2,
    expect: '404 session_not_found',
    make: ({ session }) => ({ body: call('echo', forbidden), headers: session('bob') }),
  },
  'page of another site': {
    weight: 1,
    expect: '403 origin_not_allowed',
    make: () => ({ body: call('echo', forbidden), headers: { origin: 'https://elsewhere.example' } }),
  },
  'unknown path': {
    weight: 1,
    expect: '404 no_route',
    make: () => ({ path: '/nowhere', body: call('echo', forbidden) }),
  },
  metadata: {
    weight: 2,
    expect: '200',
    make: () => ({ path: '/.well-known/oauth-protected-resource/near', token: undefined, body: undefined }),
  },
};
const forbidden = { forbidden: true };
const wheel = Object.entries(kinds).flatMap(([name, { weight }]) => Array(weight).fill(name));

let terms;
let agent;
let flip = 'allow';
// When the delay after SIGTERM is over: what was sent before must be answered.
let closes = Infinity;
let on = true;
let still = false;
let number = 0;
const multiplexed = [];
const sessions = {};
const under_way = new Set();
const streams = [];
// By kind; by status and reason; ids of what was answered by a server; what was not as it had to be.
const tally = {
  kinds: {},
  answers: {},
  passed: [],
  faults: [],
  faults_count: 0,
  sent: 0,
  answered: 0,
  held_back: 0,
  unsent: 0,
  refused_late: 0,
  cut_late: 0,
  millis: 0,
};

answerMessages(async (message) => {
  if (message.begin) return begin(message.begin);
  if (message.flip) {
    flip = message.flip;
    return flip;
  }
  if (message.closes) {
    closes = message.closes;
    return closes;
  }
  if (message.still) {
    still = true;
    await Promise.all(under_way);
    return { ...tally.answers };
  }
  if (message.go) {
    still = false;
    return true;
  }
  if (message.stop) return stop();
  if (message.streams) return Promise.all(streams.map(({ done }) => done));
  return { sent: tally.sent, faults_count: tally.faults_count, events: streams.map(({ events }) => events) };
});

async function begin(given) {
  terms = given;
  // The one used last first: so the others lie idle, and none may be lost when the gateway closes them.
  agent = new Agent({ keepAlive: true, maxSockets: connections, scheduling: 'lifo', ca: terms.ca });
  for (let i = 0; i < http2_connections; i += 1) multiplexed.push(new Http2(terms.origin, { ca: terms.ca }));
  for (const path of terms.paths) {
    sessions[path] = {};
    for (const name of ['alice', 'bob']) {
      const answer = await one('initialize', { path, token: terms.tokens[name], body: initialize(name) });
      sessions[path][name] = { 'mcp-session-id': answer.headers['mcp-session-id'] };
    }
  }
  for (let i = 0; i < terms.streams; i += 1) openStream(i);
  while (streams.some(({ events }) => events === 0)) {
    const closed = streams.find(({ answer }) => answer);
    if (closed) throw new Error(`a stream did not open: ${words(closed.answer)}`);
    await sleep(20);
  }
  run();
  return streams.length;
}

// Sends `rate` requests a second until told to stop, whatever becomes of them; but no more than that many at a time.
async function run() {
  const began = performance.now();
  let due = 0;
  let idle = 0;
  let turn = 0;
  while (on) {
    const working = performance.now() - began - idle;
    if (still) {
      await sleep(tick_millis);
      idle = performance.now() - began - working;
      continue;
    }
    const wanted = (working * terms.rate) / 1000;
    for (; due < wanted && on; due += 1) {
      if (under_way.size >= under_way_max) {
        tally.held_back += 1;
        continue;
      }
      const name = wheel[Math.floor(Math.random() * wheel.length)];
      const path = terms.paths[turn++ % terms.paths.length];
      const context = { tokens: terms.tokens, session: (who) => sessions[path][who] };
      const request = { path, token: terms.tokens.alice, ...kinds[name].make(context) };
      const done = one(name, request).finally(() => under_way.delete(done));
      under_way.add(done);
    }
    await sleep(tick_millis);
    tally.millis = performance.now() - began - idle;
  }
}

async function stop() {
  on = false;
  await Promise.all(under_way);
  return {
    ...tally,
    under_way: under_way.size,
    http2: {
      connections: multiplexed.reduce((sum, each) => sum + each.connections, 0),
      refused: multiplexed.reduce((sum, each) => sum + each.refused, 0),
    },
  };
}

// Sends one request and judges its answer.
async function one(name, { path, ...request }) {
  const { expect, flips, passes, isGood = isAnswerTo } = kinds[name];
  const at = number++;
  tally.sent += 1;
  const flip_before = flip;
  const answer = await send(at, path, request);
  const late = answer.sent_at === undefined || answer.sent_at >= closes;
  if (late && answer.sent_at === undefined && Date.now() >= closes) {
    // It waited for a connection until there was none to be had.
    tally.sent -= 1;
    tally.unsent += 1;
    return answer;
  }
  if (late && answer.end !== 'complete' && Date.now() >= closes) {
    tally.cut_late += 1;
    return answer;
  }
  const said = words(answer);
  const count = (tally.kinds[name] ??= { sent: 0, answered: 0, faults: 0 });
  count.sent += 1;
  if (answer.status !== undefined && answer.end === 'complete') {
    count.answered += 1;
    tally.answered += 1;
    tally.answers[said] = (tally.answers[said] ?? 0) + 1;
  }
  const passed = said === '200' && (passes || flips);
  // What was sent while the file changed may be decided by either.
  const sure = flip_before === flip && flip !== 'either';
  const denied = said === '403 not_permitted';
  const stopped = late && said === '503 shutting_down';
  if (stopped) tally.refused_late += 1;
  const good =
    stopped ||
    (flips
      ? (denied && !(sure && flip === 'allow')) || (isGood(request.body, answer) && !(sure && flip === 'deny'))
      : passes
        ? isGood(request.body, answer)
        : said === expect);
  if (passed) tally.passed.push(idOf(request.body));
  if (!good) {
    tally.faults_count += 1;
    count.faults += 1;
    if (tally.faults.length < 50)
      tally.faults.push({
        name,
        at: new Date().toISOString(),
        said,
        ms: Math.round(answer.ms),
        path,
        flip: [flip_before, flip],
        text: answer.text.slice(0, 200),
      });
  }
  return answer;
}

function send(at, path, request) {
  const options = { ...request, millis_max: answer_millis_max };
  if (at % http2_share === 0) return multiplexed[(at / http2_share) % http2_connections].ask(path, options);
  const own = at % fresh_share === 1;
  return ask(terms.origin, path, {
    ...options,
    agent: own ? false : agent,
    sending: { send: httpsRequest, ca: terms.ca },
  });
}

// A stream that must go on until the gateway stops: every event once, in order, and a clean end.
function openStream(number) {
  const token = terms.tokens.streams[number % terms.tokens.streams.length];
  const path = terms.paths[number % terms.paths.length];
  const stream = { events: 0, disorder: 0, answer: undefined };
  let rest = '';
  const onData = (piece) => {
    const lines = (rest + piece).split('\n');
    rest = lines.pop();
    for (const line of lines.filter((each) => each.startsWith('data: '))) {
      const { params } = JSON.parse(line.slice(6));
      if (params.data !== stream.events) stream.disorder += 1;
      stream.events += 1;
    }
  };
  const options = { token, onData, millis_max: 3_600_000 };
  const opened =
    number % 10 === 0
      ? new Http2(terms.origin, { ca: terms.ca }).ask(path, options)
      : ask(terms.origin, path, { ...options, sending: { send: httpsRequest, ca: terms.ca } });
  stream.done = opened.then((answer) => {
    stream.answer = { ...answer, text: rest.slice(0, 100), headers: undefined };
    return { said: words(answer), events: stream.events, disorder: stream.disorder, at: Date.now() };
  });
  streams.push(stream);
}

// As tools that are denied are called: with a second name that some servers take.
function twice() {
  const text = JSON.stringify(call('echo', forbidden));
  return text.replace('"name":"echo"', '"name":"echo","name":"forbidden"');
}

function withId(method) {
  return { jsonrpc: '2.0', id: 1, method, params: { _meta: { id: newId() } } };
}

function initialize(name) {
  const params = {
    protocolVersion: '2025-06-18',
    capabilities: {},
    clientInfo: { name, version: '1' },
    _meta: { id: newId() },
  };
  return { jsonrpc: '2.0', id: 1, method: 'initialize', params };
}

function idOf({ params }) {
  return params.arguments?.id ?? params._meta.id;
}

function isList(body, { status, end, text }) {
  if (status !== 200 || end !== 'complete') return false;
  const names = JSON.parse(text).result.tools.map(({ name }) => name);
  return names.includes('echo') && names.includes('write') && !names.includes('forbidden');
}

function isBegun(body, { status, end, headers, text }) {
  return (
    status === 200 && end === 'complete' && headers['mcp-session-id']?.length > 40 && text.includes('"serverInfo"')
  );
}

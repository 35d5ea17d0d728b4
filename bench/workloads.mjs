// What is measured. Every workload is a request that each peer is sent alike, in one of the ways of `load`.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const everybody = ['floor', 'gatepost', 'nginx', 'haproxy', 'envoy', 'envoy-no-cache'];
const once_seen = { algorithm: 'RS256', body: 'small', status: 200, way: 'closed', connections: 32, peers: everybody };
const never_seen = { ...once_seen, once: true, peers: everybody.filter((peer) => peer !== 'envoy-no-cache') };
const one_core = 'all on one core';
const two_cores = 'the proxy on a core of its own';

// `title` is the row of the table, `status` what those answer that check.
export const workloads = {
  small: { ...once_seen, title: 'small call, RS256' },
  'small-es256': { ...once_seen, algorithm: 'ES256', title: 'small call, ES256' },
  'small-tls': { ...once_seen, tls: true, title: 'small call over TLS' },
  'small-h2c': { ...once_seen, http2: true, connections: 4, streams: 8, title: 'small call, h2 without TLS' },
  'small-h2': { ...once_seen, http2: true, tls: true, connections: 4, streams: 8, title: 'small call, h2 over TLS' },
  'unseen-rs256': { ...never_seen, title: 'small call, RS256, each token new' },
  'unseen-es256': { ...never_seen, algorithm: 'ES256', title: 'small call, ES256, each token new' },
  'body-64k': { ...once_seen, body: '64k', title: 'body of 64 KiB' },
  'body-1m': { ...once_seen, body: '1m', connections: 8, title: 'body of 1 MiB' },
  'body-1m-tls': { ...once_seen, body: '1m', connections: 8, tls: true, title: 'body of 1 MiB over TLS' },
  list: { ...once_seen, body: 'list', connections: 8, title: '`tools/list` of 200, 100 of them shown' },
  denied: { ...once_seen, body: 'forbidden', status: 403, title: 'forbidden call (403)' },
  'connect-full': {
    ...once_seen,
    way: 'connect',
    tls: true,
    connections: 8,
    title: 'new TLS connection, full handshake',
  },
  'connect-resumed': {
    ...once_seen,
    way: 'connect',
    tls: true,
    resume: true,
    connections: 8,
    title: 'new TLS connection, resumed',
  },
  rate: { ...once_seen, way: 'rate', rate: 2000, apart: true, title: '2,000 calls a second' },
  'rate-tls': { ...once_seen, way: 'rate', rate: 2000, apart: true, tls: true, title: '2,000 calls a second over TLS' },
  'streams-1000': streams(1000, false),
  'streams-5000': streams(5000, false),
  'streams-1000-tls': streams(1000, true),
  'streams-5000-tls': streams(5000, true),
};

function streams(connections, tls) {
  const title = `${connections.toLocaleString('en')} streams${tls ? ' over TLS' : ''}`;
  const peers = everybody.filter((peer) => peer !== 'envoy-no-cache');
  return { ...once_seen, way: 'streams', connections, tls, title, peers, apart: true, anew: true, body: undefined };
}

export const quick = [
  'small',
  'small-h2',
  'unseen-es256',
  'body-64k',
  'denied',
  'connect-resumed',
  'rate',
  'streams-1000',
];

// In how many rounds a workload is measured, for how long each time. Many short rounds rather than few long ones: what else the
// machine does then falls on all peers alike.
export function effort({ way }, quickly, rounds = quickly ? 2 : 15) {
  const [part, millis] = { closed: [1, 700], connect: [1, 700], rate: [1 / 3, 5000], streams: [1 / 5, 10_000] }[way];
  const least = { closed: 500, connect: 500, rate: 2000, streams: 3000 }[way];
  return { rounds: Math.ceil(rounds * part), millis: quickly ? least : millis };
}

// How many tokens that were never seen a peer is sent in one round.
export const unseen_warm = 300;
export const unseen_count = 2000;

// Which cores: `core` for all, or for the proxy alone.
export function cores(workload, core) {
  const other = core === 0 ? 1 : 0;
  return { proxy: core, rest: workload.apart ? other : core };
}
export const placed = (workload) => (workload.apart ? two_cores : one_core);

// The bodies, as files of `folder`.
export function bodies(folder) {
  const text = sample();
  const call = (name, args) => ({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } });
  const filled = (bytes) => {
    const empty = JSON.stringify(call('put_document', { place: 'notes/today.md', text: '' }).params).length + 60;
    return call('get_thing', { place: 'notes/today.md', text: cut(text, bytes - empty) });
  };
  const made = {
    small: call('get_thing', {
      place: 'notes/today.md',
      since: '2026-11-22T09:00:00Z',
      words: ['alpha', 'beta'],
      count: 25,
    }),
    '64k': filled(64 << 10),
    '1m': filled(1 << 20),
    list: { jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} },
    forbidden: call('put_thing', { place: 'notes/today.md' }),
  };
  return Object.fromEntries(
    Object.entries(made).map(([name, message]) => {
      const file = join(folder, `${name}.json`);
      writeFileSync(file, JSON.stringify(message));
      return [name, file];
    }),
  );
}

// What tools are sent: lines of prose and code, with escapes, quotes and a letter outside ASCII now and then. As JSON it takes
// `bytes`, all but a few.
function cut(text, bytes) {
  const whole = text.repeat(Math.ceil(bytes / text.length));
  let length = bytes;
  while (Buffer.byteLength(JSON.stringify(whole.slice(0, length))) > bytes) length -= Math.ceil(length / 200);
  return whole.slice(0, length);
}

function sample() {
  const lines = [];
  for (let number = 1; number <= 40; number += 1) {
    lines.push(
      `## Section ${number}`,
      '',
      'The committee met at nine and went through what was left over from last week;',
    );
    lines.push('nobody objected to the third proposal, which “costs nothing” and can be undone.', '');
    lines.push(`\tconst total_${number} = items.filter((item) => item.kind === "open").length; // naïve`, '');
  }
  return lines.join('\n');
}

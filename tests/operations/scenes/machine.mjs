// What may happen to the process and the machine below it: descriptors, clocks, signals, names.

import { createSocket } from 'node:dgram';
import { Agent } from 'node:http';
import { connect } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { ask } from '../client.mjs';
import { cpuSecs, runToEnd, sleep, startPart, until } from '../programs.mjs';
import { newKey } from '../tokens.mjs';
import { knows } from '../world.mjs';
import { fakedClock } from './issuer.mjs';

const drain = { drain: { delay_secs: 1, grace_secs: 3 } };
const back_millis_max = 5000;
const restart_millis_max = 1000;

export const machineScenes = {
  'descriptors-exhausted': {
    fault: 'clients use up all file descriptors (64 here)',
    target: 'R10: < 50 % of a core, open connections served, <= 5 s after, no exit',
    run: async (t) => {
      const world = await t.world({ before: ['bash', '-c', 'ulimit -n 64; exec "$@"', 'bash'] });
      const client = world.steady('/far');
      // It has its connections, here and to the server, before there are no more.
      await sleep(500);
      const sockets = Array.from({ length: 200 }, () =>
        connect(world.ports.gateway, '127.0.0.1').on('error', () => {}),
      );
      await sleep(1000);
      const [before, began] = [cpuSecs(world.gateway.pid), performance.now()];
      const stranger = await ask(world.origin, '/far', { millis_max: 2500 });
      await sleep(5000 - (performance.now() - began));
      const share = (cpuSecs(world.gateway.pid) - before) / ((performance.now() - began) / 1000);
      t.measured.push(`${(share * 100).toFixed(0)} % of a core`);
      t.check('no spinning', share < 0.5, share);
      t.check('a new client waits', stranger.end === 'left', stranger.end);
      t.got.push('open connections 200, new ones wait');
      t.check(
        'it is said in the log',
        world.log.some((line) => /cannot be accepted/.test(line)),
      );
      await t.served('an open connection', client);
      sockets.forEach((socket) => socket.destroy());
      t.recoveredWithin(
        await until(async () => (await world.call('/near', { millis_max: 1000 })).good, 15_000),
        back_millis_max,
      );
    },
  },
  'clock-jumps': {
    fault: 'the time of day jumps by +1 h, back, by -1 h, back',
    target:
      'R13: exp and nbf by the time of day; timers and streams go on; <= 1 fetch of keys for each jump; a log line',
    needs: () => (process.env.FAKETIME_LIBRARY ? undefined : 'libfaketime is missing'),
    run: async (t) => {
      const { setTime, options } = fakedClock(false);
      const world = await t.world(options);
      world.intrude();
      const now = Math.floor(Date.now() / 1000);
      // Valid throughout, for half an hour from now, and from half an hour ago only.
      const lasting = world.mint({ iat: now - 7200, exp: now + 7200 });
      const short = world.mint({ iat: now - 7200, exp: now + 1800 });
      const fresh = world.mint({ iat: now, nbf: now });
      const client = world.steady('/far', { token: lasting });
      let events = 0;
      const stream = ask(world.origin, '/far', {
        token: lasting,
        millis_max: 60_000,
        onData: () => {
          events += 1;
        },
      });
      await sleep(1000);
      const { keys: fetched } = await world.issuer.tell({ count: true });
      const expectAll = async (what, expected) => {
        for (const [name, token] of Object.entries({ lasting, short, fresh })) {
          const { words } = await world.call('/near', { token });
          t.check(`${what}: ${name} ${expected[name] ?? '200'}`, words === (expected[name] ?? '200'), words);
        }
      };
      await expectAll('at first', {});
      let jumps = 0;
      for (const [time, expected] of [
        ['+1h', { short: '401 invalid_token' }],
        ['+0', {}],
        ['-1h', { fresh: '401 invalid_token' }],
        ['+0', {}],
      ]) {
        await setTime(world, time);
        jumps += 1;
        await sleep(200);
        await expectAll(time, expected);
        const seen = events;
        await sleep(2500);
        t.check(`${time}: the stream goes on`, events > seen, events - seen);
        // A timer that went by the time of day would wait for an hour, or not at all.
        const late = await world.call('/near', { token: lasting, args: { act: 'never' } });
        t.check(`${time}: 504 after 3 s`, late.words === '504 upstream_timeout' && Math.abs(late.ms - 3000) < 500, [
          late.words,
          late.ms,
        ]);
      }
      t.got.push('200; 401 for what expired, or is not yet valid, by the new time');
      const { keys } = await world.issuer.tell({ count: true });
      t.measured.push(`${keys - fetched} fetches of keys in ${jumps} jumps`);
      t.check('no stampede', keys - fetched <= jumps, keys - fetched);
      const said = world.log.filter((line) => /clock/i.test(line)).length;
      t.measured.push(`${said} log lines of the clock`);
      t.check('a log line for each jump', said >= jumps, said);
      await t.served('a good client', client);
      t.recovered.push('at once');
      world.gateway.signal('SIGTERM');
      const { end } = await stream;
      t.check('the stream ends cleanly at SIGTERM', end === 'complete', end);
      const { code } = await world.gateway.exited;
      t.check('exit 0', code === 0, code);
      await world.startGateway();
    },
  },
  'gateway-stopped': {
    fault: 'the gateway gets SIGSTOP for 5 s, then SIGCONT',
    target: 'what was asked meanwhile is answered, streams go on, <= 1 s after',
    run: async (t) => {
      // Longer than it is stopped: what is over in time is answered in time.
      const world = await t.world({ config: () => ({ timeouts: { connect_secs: 1, answer_secs: 10 } }) });
      world.intrude();
      let events = 0;
      ask(world.origin, '/far', {
        token: world.token,
        millis_max: 60_000,
        onData: () => {
          events += 1;
        },
      });
      const agent = new Agent({ keepAlive: true, maxSockets: 8 });
      await Promise.all(Array.from({ length: 8 }, () => world.call('/far', { agent })));
      const under_way = Array.from({ length: 4 }, () => world.call('/near', { args: { act: 'late', millis: 1500 } }));
      await sleep(300);
      world.gateway.signal('SIGSTOP');
      const meanwhile = Array.from({ length: 16 }, (_, i) => world.call('/far', i % 2 ? { agent } : {}));
      await sleep(5000);
      const seen = events;
      const continued = performance.now();
      world.gateway.signal('SIGCONT');
      const answers = await Promise.all([...under_way, ...meanwhile]);
      t.recoveredWithin(performance.now() - continued, 1000);
      const bad = answers.filter(({ good }) => !good);
      t.check('all are answered', bad.length === 0, bad.map(({ words }) => words).join());
      t.got.push(`${answers.length - bad.length} of ${answers.length} answered, late`);
      t.check('the stream goes on', await until(() => events > seen, 3000));
      t.measured.push('calls under way, on open and on new connections');
      await t.served('a good client', world.steady('/far'));
      agent.destroy();
    },
  },
  'killed-under-load': {
    fault: 'kill -9 under load, then a start',
    target: 'R20: serving again < 1 s; sessions survive where sessions.keys is set; no state is needed',
    run: async (t) => {
      const world = await t.world({
        config: ({ folder }) => {
          writeFileSync(join(folder, 'session.key'), 'ab'.repeat(32));
          return { sessions: { keys: [{ file: 'session.key' }] } };
        },
      });
      world.intrude();
      const body = {
        jsonrpc: '2.0',
        id: 1,
        method: 'initialize',
        params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'a', version: '1' } },
      };
      const { headers } = await ask(world.origin, '/far', { token: world.token, body });
      const session = { 'mcp-session-id': headers['mcp-session-id'] };
      const clients = Array.from({ length: 8 }, () => world.steady('/far', { millis: 10 }));
      await sleep(1500);
      const gone = world.gateway.exited;
      world.gateway.signal('SIGKILL');
      await gone;
      await world.startGateway();
      t.measured.push(`up ${world.up_ms.toFixed(0)} ms`);
      // Since the start of the new process.
      await until(async () => (await world.call('/far')).good, 10_000);
      t.recoveredWithin(performance.now() - world.gateway_began, restart_millis_max);
      const resumed = await world.call('/far', { headers: session });
      t.check('the session goes on', resumed.good, resumed.words);
      await sleep(500);
      let refused = 0;
      let served = 0;
      for (const client of clients) {
        const { bad, served: all } = await client.stop();
        served += all - bad.length;
        refused += bad.length;
        const odd = bad.filter(
          ({ status, end, words }) => status !== undefined && end === 'complete' && words !== '503 keys_unavailable',
        );
        t.check('no odd answer', odd.length === 0, odd[0]?.words);
      }
      t.got.push(`${served} calls answered; ${refused} refused or cut while there was no gateway`);
      const { ids } = await world.far.tell({});
      t.check(
        'no call was sent twice',
        ids.every(([, times]) => times === 1),
      );
    },
  },
  'told-to-stop': {
    fault: 'SIGTERM with a stream, a call that ends in time and one that never does (delay 1 s, grace 3 s)',
    target:
      'R9: 200 until the delay is over; the stream ends cleanly, the call is answered; exit 0 <= delay + grace + 1 s',
    needs: () => (knows('drain') ? undefined : 'this binary has no `drain`'),
    run: async (t) => {
      const world = await t.world({ config: () => ({ ...drain, timeouts: { connect_secs: 1, answer_secs: 60 } }) });
      let events = 0;
      const stream = ask(world.origin, '/far', {
        token: world.token,
        millis_max: 60_000,
        onData: () => {
          events += 1;
        },
      });
      await until(() => events > 0, 5000);
      const in_time = world.call('/near', { args: { act: 'late', millis: 2500 } });
      const endless = world.call('/near', { args: { act: 'never' } });
      await sleep(300);
      const began = performance.now();
      world.gateway.signal('SIGTERM');
      const during = [];
      while (performance.now() - began < 700) during.push(await world.call('/far'));
      t.check(
        'calls are answered while it delays',
        during.length > 0 && during.every(({ good }) => good),
        during.find(({ good }) => !good)?.words,
      );
      t.check(
        'and told to close',
        during.every(({ headers }) => /close/.test(headers.connection)),
      );
      t.got.push(`${during.length} calls 200, Connection: close`);
      const { words: ended, ms } = await Promise.race([
        stream.then(({ end, status }) => ({ words: `${status} ${end}`, ms: performance.now() - began })),
        sleep(10_000).then(() => ({})),
      ]);
      t.check('the stream ends cleanly', ended === '200 complete', ended);
      t.within('stream ended', ms, 4500);
      const { good, words } = await in_time;
      t.check('what ends in time is answered', good, words);
      const { code, at } = await world.gateway.exited;
      t.within('exit', at - began, 5000);
      t.check('exit 0', code === 0, code);
      const cut = await endless;
      t.check('what never ends is not answered as if it had', !cut.good, cut.words);
      t.got.push(`in time ${words}, never ${cut.words}`);
      t.recovered.push('not to');
      await world.startGateway();
    },
  },
  'told-to-stop-twice': {
    fault: 'SIGTERM, and again while a call and a stream are open',
    target: 'exit < 1 s after the second',
    needs: () => (knows('drain') ? undefined : 'this binary has no `drain`'),
    run: async (t) => {
      const world = await t.world({
        config: () => ({ drain: { delay_secs: 5, grace_secs: 20 }, timeouts: { connect_secs: 1, answer_secs: 60 } }),
      });
      const stream = ask(world.origin, '/far', { token: world.token, millis_max: 60_000 });
      const endless = world.call('/near', { args: { act: 'never' } });
      await sleep(500);
      world.gateway.signal('SIGTERM');
      await sleep(1000);
      t.check('it still runs', world.gateway.child.exitCode === null);
      const began = performance.now();
      world.gateway.signal('SIGTERM');
      const { code, at } = await world.gateway.exited;
      t.within('exit', at - began, 1000);
      t.measured.push(`status ${code}`);
      t.got.push(`stream ${(await stream).end}, call ${(await endless).words}`);
      t.recovered.push('not to');
      await world.startGateway();
    },
  },
  'name-gone': {
    fault:
      'the upstream name does not resolve, then does; its name server falls silent; the name moves to another address',
    target: 'R18: 502 or 504 within connect_secs (1 s); open connections go on; <= 30 s after, at the new address',
    needs: () => (process.getuid() === 0 && canUnshare() ? undefined : 'needs root and mount namespaces'),
    run: async (t) => {
      const names = await startNames();
      const world = await t.world({
        wait: false,
        config: () => ({}),
        near_url: ({ ports }) => `http://mcp.operations.test:${ports.near}/mcp`,
        before: ownNames(names.address),
      });
      try {
        await world.isServing();
        world.intrude();
        const client = world.steady('/far');
        const unresolved = await world.call('/near');
        t.check('502 without an address', unresolved.words === '502 upstream_unreachable', unresolved.words);
        t.within('no such name', unresolved.ms, 1200);
        names.set('127.0.0.1');
        t.recoveredWithin(await until(async () => (await world.call('/near')).good, 35_000), 30_000, 'resolves');
        names.set('silent');
        const same = world.steady('/near');
        await sleep(1500);
        await t.served('an open connection', same);
        // More calls at a time than there are open connections need a new one.
        const silent = await Promise.all(
          Array.from({ length: 5 }, () => world.call('/near', { args: { act: 'late', millis: 500 } })),
        );
        const words = new Set(silent.map((answer) => answer.words));
        t.check(
          '504 with a silent name server',
          words.has('504 upstream_timeout') && [...words].every((word) => /^(200|504 upstream_timeout)$/.test(word)),
          [...words],
        );
        t.within('silent', Math.max(...silent.map(({ ms }) => ms)), 2000);
        t.got.push(`no such name ${unresolved.words}; silent name server 504 upstream_timeout`);
        world.near.signal('SIGKILL');
        const moved = await startPart('server.mjs', '127.0.0.2', world.ports.near);
        names.set('127.0.0.2');
        t.recoveredWithin(await until(async () => (await world.call('/near')).good, 35_000), 30_000, 'moved');
        world.near = moved;
        await t.served('the other server', client);
      } finally {
        names.close();
      }
    },
  },
  'issuer-name-gone': {
    fault: "the issuer's name no longer resolves, then does again",
    target: 'R18: known keys go on, an unknown key 503 <= 3 s; <= 10 s after (R1)',
    needs: () => (process.getuid() === 0 && canUnshare() ? undefined : 'needs root and mount namespaces'),
    run: async (t) => {
      const names = await startNames();
      // The one name to which an issuer may be plain http: here it is the name server's to know.
      const world = await t.world({ wait: false, issuer_host: 'localhost', before: ownNames(names.address, '') });
      try {
        world.intrude();
        t.check('503 without an address', (await world.call('/far')).words === '503 keys_unavailable');
        names.set('127.0.0.1');
        t.recoveredWithin(await until(async () => (await world.call('/far')).good, 20_000), 10_000, 'at first');
        names.set('none');
        const client = world.steady('/far');
        const renewed = newKey('renewed');
        world.keys.push(renewed);
        await world.setIssuer('ok');
        const token = world.mint({}, renewed);
        const unknown = await world.call('/far', { token });
        t.check(
          '503 or 401 with an unknown key',
          /^(503 keys_unavailable|401 invalid_token)$/.test(unknown.words),
          unknown.words,
        );
        t.within('unknown key', unknown.ms, 3400);
        t.got.push(`known key 200; unknown key ${unknown.words}`);
        await sleep(11_000);
        await t.served('known key', client);
        names.set('127.0.0.1');
        t.recoveredWithin(await until(async () => (await world.call('/far', { token })).good, 20_000), 10_000, 'again');
      } finally {
        names.close();
      }
    },
  },
};

function canUnshare() {
  try {
    runToEnd('unshare', '-m', 'true');
    return true;
  } catch {
    return false;
  }
}

// Starts what follows where this name server is the only one. Nobody else sees the change.
function ownNames(address, hosts = '127.0.0.1 localhost\\n') {
  const script = [
    'printf "nameserver %s\\noptions timeout:5 attempts:2\\n" "$0" >"${folder}/resolv.conf"',
    `printf "${hosts}" >"\${folder}/hosts"`,
    'mount --bind "${folder}/resolv.conf" /etc/resolv.conf',
    'mount --bind "${folder}/hosts" /etc/hosts',
    'exec "$@"',
  ].join(' && ');
  return ['unshare', '-m', 'bash', '-c', script, address];
}

// A name server for one name: `set` gives it an address, `silent` or `none`.
async function startNames() {
  const address = `127.0.0.${50 + Math.floor(Math.random() * 150)}`;
  const socket = createSocket('udp4');
  let now = 'none';
  socket.on('message', (query, from) => {
    if (now === 'silent') return;
    // The question ends after its name (labels up to an empty one), type and class.
    let end = 12;
    while (query[end] !== 0) end += query[end] + 1;
    end += 5;
    const type = query.readUInt16BE(end - 4);
    const has = type === 1 && now !== 'none';
    const head = Buffer.from(query.subarray(0, 12));
    head.writeUInt16BE(now === 'none' ? 0x8183 : 0x8180, 2);
    head.writeUInt16BE(has ? 1 : 0, 6);
    head.writeUInt16BE(0, 8);
    head.writeUInt16BE(0, 10);
    const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...(has ? now.split('.').map(Number) : [])]);
    socket.send(Buffer.concat([head, query.subarray(12, end), ...(has ? [record] : [])]), from.port, from.address);
  });
  await new Promise((bound, failed) => socket.once('error', failed).bind(53, address, bound));
  return {
    address,
    set: (value) => {
      now = value;
    },
    close: () => socket.close(),
  };
}

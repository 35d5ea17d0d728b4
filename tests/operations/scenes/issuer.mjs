// What may happen to the authorization server, of which the gateway needs the keys alone.

import { renameSync, writeFileSync } from 'node:fs';

import { spell } from '../play.mjs';
import { residentMib, sleep, until } from '../programs.mjs';
import { newKey } from '../tokens.mjs';
import { knows } from '../world.mjs';

const up_millis_max = 1000;
const refused_millis_max = 50;
// How long a request may wait for a key, and some for the machine.
const wait_millis_max = 3000 + 400;
const back_millis_max = 10_000;
// How much longer a call may take while the issuer fails.
const known_millis_max = 5;
const fault_mib_max = 16;
const cooldown_millis = 10_000;

export const issuerScenes = {
  // The longest first.
  'issuer-down-long': {
    fault: 'issuer down for longer than stale_secs_max (60 s here)',
    target: 'R2: no failure until then, then 503; serving <= 10 s after it returns',
    run: async (t) => {
      const stale_secs_max = 60;
      const world = await t.world({
        config: ({ issuer_url }) => ({ authorization_servers: [{ issuer: issuer_url, keys: { stale_secs_max } }] }),
      });
      world.intrude();
      world.issuer.signal('SIGKILL');
      const began = performance.now();
      const client = world.steady('/far', { millis: 50 });
      const served_millis = await until(() => client.answers.some(({ good }) => !good), (stale_secs_max + 10) * 1000);
      const { bad, served, worst } = await client.stop();
      t.measured.push(`${served - bad.length} calls served for ${spell(served_millis)}, worst ${spell(worst)}`);
      // Its keys were fetched a moment before it was killed.
      const kept =
        served_millis > (stale_secs_max - 3) * 1000 - (began - world.gateway_began) &&
        served_millis < (stale_secs_max + 2) * 1000;
      t.check('keys are kept for stale_secs_max', kept, served_millis);
      t.check('then 503 keys_unavailable', bad[0]?.words === '503 keys_unavailable', bad[0]?.words);
      t.got.push(`200, then ${bad[0]?.words}`);
      await world.startIssuer('ok');
      t.recoveredWithin(await until(async () => (await world.call('/far')).good, 20_000), back_millis_max);
    },
  },
  'issuer-down': {
    fault: 'issuer down at start',
    target: 'R1: up < 1 s, not ready, 503 < 50 ms; serving <= 10 s after it returns',
    run: async (t) => {
      const world = await t.world({ issuer: 'down', wait: false });
      world.intrude();
      t.within('up', world.up_ms, up_millis_max);
      await refusedWithoutKeys(t, world, refused_millis_max);
      if (knows('admin')) t.check('not ready', (await world.isReady()) === false);
      // By now the pause between two attempts is at its longest.
      await sleep(12_000);
      await world.startIssuer('ok');
      t.recoveredWithin(await until(async () => (await world.call('/far')).good, 20_000), back_millis_max);
      if (knows('admin')) t.check('ready again', await world.isReady());
    },
  },
  'issuer-slow': { fault: 'issuer answers after 5 s', ...failing('slow') },
  'issuer-hangs': { fault: 'issuer never answers', ...failing('hang') },
  'issuer-html': { fault: 'issuer answers HTML', ...failing('html') },
  'issuer-50mb': { fault: 'issuer answers 50 MB', ...failing('huge') },
  'issuer-redirect': { fault: 'issuer redirects', ...failing('redirect') },
  'issuer-down-hours': {
    fault: 'issuer down for 23 h, then for 25 h (the monotonic clock is moved)',
    target: 'R2: no failure within stale_secs_max (24 h), then 503; serving <= 10 s after it returns',
    needs: () => (process.env.FAKETIME_LIBRARY ? undefined : 'libfaketime is missing'),
    run: async (t) => {
      const { setTime, options } = fakedClock(true);
      const world = await t.world(options);
      world.intrude();
      await sleep(1000);
      world.issuer.signal('SIGKILL');
      await setTime(world, '+23h');
      await sleep(500);
      const token = world.mint({ exp: Math.floor(Date.now() / 1000) + 48 * 3600 });
      const client = world.steady('/far', { token });
      await sleep(4000);
      await t.served('after 23 h', client);
      await setTime(world, '+25h');
      const refused = await until(
        async () => (await world.call('/far', { token })).words === '503 keys_unavailable',
        5000,
      );
      t.got.push('200, then 503 keys_unavailable');
      t.check('after 25 h 503', refused !== undefined);
      await world.startIssuer('ok');
      t.recoveredWithin(await until(async () => (await world.call('/far', { token })).good, 20_000), back_millis_max);
    },
  },
  'key-rotation': {
    fault: 'the issuer changes its key, with overlap, then takes the old one away',
    target: 'R4: 0 failed; new key accepted <= 10 s on demand; old key refused <= 1 refresh (60 s)',
    run: async (t) => {
      const world = await t.world();
      world.intrude();
      const [old] = world.keys;
      const old_client = world.steady('/far', { token: world.mint({}, old) });
      await sleep(500);
      const renewed = newKey('second');
      world.keys = [old, renewed];
      await world.setIssuer('ok');
      const token = world.mint({}, renewed);
      const accepted = await until(async () => (await world.call('/far', { token })).good, 15_000);
      t.within('new key accepted', accepted, back_millis_max);
      const new_client = world.steady('/far', { token });
      await sleep(1000);
      await t.served('old key, in the overlap', old_client);
      world.key = renewed;
      world.keys = [renewed];
      await world.setIssuer('ok');
      const gone = await until(
        async () => (await world.call('/far', { token: world.mint({}, old) })).words === '401 invalid_token',
        70_000,
        250,
      );
      t.within('old key refused', gone, 60_000);
      await t.served('new key', new_client);
      t.got.push('200 throughout; with the old key 401 invalid_token once it is gone');
      t.recovered.push('nothing to recover');
    },
  },
};

// An issuer that answers, but wrongly: at start, and then with keys that are known.
function failing(mode) {
  return {
    target:
      'R1, R3: no keys: 503 <= 3 s; known key: + 5 ms at most; unknown key <= 3 s; <= 16 MiB; serving <= 10 s after',
    run: async (t) => {
      const world = await t.world({ issuer: mode, wait: false });
      world.intrude();
      t.within('up', world.up_ms, up_millis_max);
      const before = residentMib(world.gateway.pid);
      // The first requests may wait for the answer that is under way.
      const first = await world.call('/far');
      t.check('503 keys_unavailable at start', first.words === '503 keys_unavailable', first.words);
      t.within('first', first.ms, wait_millis_max);
      if (knows('admin')) t.check('not ready', (await world.isReady()) === false);
      await sleep(3000);
      await world.setIssuer('ok');
      t.recoveredWithin(await until(async () => (await world.call('/far')).good, 20_000), back_millis_max, 'start');

      const usual = world.steady('/far');
      await sleep(2000);
      const { median: usually } = await usual.stop();
      await world.setIssuer(mode);
      const client = world.steady('/far');
      await sleep(1000);
      const renewed = newKey('renewed');
      world.keys.push(renewed);
      const token = world.mint({}, renewed);
      // Most are refused at once: only the first after each cool-down waits.
      const unknown = [];
      const asked = performance.now();
      while (performance.now() - asked < cooldown_millis + 500) {
        unknown.push(await world.call('/far', { token }));
        await sleep(200);
      }
      const words = ['503 keys_unavailable', '401 invalid_token'];
      const odd = unknown.filter((answer) => !words.includes(answer.words));
      t.check('503 or 401 with an unknown key', odd.length === 0, odd[0]?.words);
      t.within('unknown key, longest', Math.max(...unknown.map(({ ms }) => ms)), wait_millis_max);
      t.got.push(`at start ${first.words}; known key 200; unknown key ${unknown[0].words}`);
      const { bad, median, worst, served } = await client.stop();
      t.check('a known key is served', served > 0 && bad.length === 0, bad[0]?.words);
      t.measured.push(
        `known key: ${served} calls, median ${spell(median)} (before ${spell(usually)}), worst ${spell(worst)}`,
      );
      // Waiting for the issuer would take seconds.
      t.within('longer by', Math.max(0, median - usually), known_millis_max);
      t.within('worst', worst, 1000);
      const grown = residentMib(world.gateway.pid) - before;
      t.measured.push(`memory +${grown.toFixed(0)} MiB`);
      t.check(`no more than ${fault_mib_max} MiB`, grown < fault_mib_max, grown);
      const { elsewhere } = await world.issuer.tell({ count: true });
      t.check('the redirect is not followed', elsewhere === 0, elsewhere);
      await world.setIssuer('ok');
      t.recoveredWithin(
        await until(async () => (await world.call('/far', { token })).good, 20_000),
        back_millis_max,
        'new key',
      );
    },
  };
}

// Without any key, what everybody gets, and how fast.
async function refusedWithoutKeys(t, world, millis_max) {
  const answers = [];
  for (let i = 0; i < 21; i += 1) {
    answers.push(await world.call('/far'));
    await sleep(50);
  }
  const bad = answers.filter(({ words }) => words !== '503 keys_unavailable');
  t.check('503 keys_unavailable', bad.length === 0, bad[0]?.words);
  t.check(
    'Retry-After',
    answers.every(({ headers }) => headers?.['retry-after'] > 0),
  );
  t.got.push('503 keys_unavailable, Retry-After');
  const times = answers.map(({ ms }) => ms).sort((a, b) => a - b);
  t.within('median', times[10], millis_max);
  t.measured.push(`worst ${times[20].toFixed(0)} ms`);
}

// A gateway whose clock `setTime` moves; its monotonic clock too, if wanted.
export function fakedClock(monotonic) {
  const write = (path, time) => {
    writeFileSync(`${path}.new`, `${time}\n`);
    renameSync(`${path}.new`, path);
  };
  return {
    setTime: async (world, time) => write(`${world.folder}/clock`, time),
    options: {
      // The file must be there before the gateway is.
      config: (world) => {
        write(`${world.folder}/clock`, '+0');
        return {};
      },
      env: {
        LD_PRELOAD: process.env.FAKETIME_LIBRARY,
        FAKETIME_TIMESTAMP_FILE: '${folder}/clock',
        FAKETIME_NO_CACHE: '1',
        DONT_FAKE_MONOTONIC: monotonic ? '0' : '1',
        FAKETIME_DONT_FAKE_MONOTONIC: monotonic ? '0' : '1',
      },
    },
  };
}

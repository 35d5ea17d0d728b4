// What may happen to where the gateway writes: a full disk, and readers of its pipes who stop reading.

import { existsSync, readFileSync, rmSync, writeSync, openSync, closeSync } from 'node:fs';
import { join } from 'node:path';

import { sleep, until } from '../programs.mjs';
import { knows, metrics } from '../world.mjs';

// Records that may wait, and those that a pipe and its reader hold besides.
const queue_records_max = 64;
const room_millis = 5000;
const back_millis_max = 2000;
const overloaded = '503 overloaded';
const lacking = () => (knows('audit') ? undefined : 'this binary has no `audit`');

export const logScenes = {
  'audit-disk-full-block': {
    fault: "the audit log's disk is full, on_stall: block",
    target: 'no call without a record: 503 within 5 s, none reaches a server; <= 2 s after; no record lost or torn',
    needs: () => lacking() ?? (process.getuid() === 0 ? undefined : 'needs root and mount namespaces'),
    run: async (t) => {
      const world = await t.world(onSmallDisk('block'));
      const disk = new Disk(world);
      await blocks(
        t,
        world,
        () => disk.fill(),
        () => disk.empty(),
      );
      // The last answer may be here before its record is in the file.
      await sleep(500);
      const records = disk.records();
      t.check(
        'every line is JSON',
        records.every(isJson),
        records.find((line) => !isJson(line)),
      );
      await agree(t, world, records.length);
    },
  },
  'audit-disk-full-drop': {
    fault: "the audit log's disk is full, on_stall: drop",
    target: 'calls go on; lost records are counted; written again <= 2 s after',
    needs: () => lacking() ?? (process.getuid() === 0 ? undefined : 'needs root and mount namespaces'),
    run: async (t) => {
      const world = await t.world(onSmallDisk('drop'));
      const disk = new Disk(world);
      await drops(
        t,
        world,
        () => disk.fill(),
        () => disk.empty(),
        () => disk.records().length,
      );
      t.check('every line is JSON', disk.records().every(isJson));
    },
  },
  'audit-pipe-blocked-block': {
    fault: 'nobody reads the pipe of audit records, on_stall: block',
    target:
      'no call without a record: 503 within 5 s, none reaches a server; <= 2 s after; no record lost; SIGTERM ends it',
    needs: lacking,
    run: async (t) => {
      const drain = knows('drain') ? { drain: { delay_secs: 1, grace_secs: 3 } } : {};
      const world = await t.world({ config: () => ({ audit: { on_stall: 'block', queue_records_max }, ...drain }) });
      await blocks(
        t,
        world,
        () => world.gateway.hold('stdout'),
        () => world.gateway.release('stdout'),
      );
      await sleep(500);
      t.check(
        'every line is JSON',
        world.audit.every(isJson),
        world.audit.find((line) => !isJson(line)),
      );
      await agree(t, world, world.audit.length);
      world.gateway.hold('stdout');
      await stalled(world);
      const began = performance.now();
      world.gateway.signal('SIGTERM');
      const { code } = await world.gateway.exited;
      t.within('SIGTERM while it stalls', performance.now() - began, 10_000);
      t.check('exit 0', code === 0, code);
      await world.startGateway();
    },
  },
  'audit-pipe-blocked-drop': {
    fault: 'nobody reads the pipe of audit records, on_stall: drop',
    target: 'calls go on; lost records are counted; written again <= 2 s after',
    needs: lacking,
    run: async (t) => {
      const world = await t.world({ config: () => ({ audit: { on_stall: 'drop', queue_records_max } }) });
      await drops(
        t,
        world,
        () => world.gateway.hold('stdout'),
        () => world.gateway.release('stdout'),
        () => world.audit_count,
      );
    },
  },
  'log-pipe-blocked': {
    fault: 'nobody reads the pipe of log lines (--log-level trace)',
    target: 'R17: calls go on, lines are dropped; written again <= 2 s after',
    run: async (t) => {
      const world = await t.world({ args: ['--log-level', 'trace'] });
      world.intrude();
      world.gateway.hold('stderr');
      const client = world.steady('/far', { millis: 10, millis_max: 3000 });
      // Some megabytes of lines: more than any pipe takes.
      await sleep(8000);
      await t.served('a good client', client);
      t.got.push('200');
      const lines = world.log.length;
      world.gateway.release('stderr');
      await sleep(500);
      t.recoveredWithin(
        await until(async () => {
          await world.call('/far');
          return world.log.length > lines;
        }, 5000),
        back_millis_max,
      );
    },
  },
};

// A stall: calls are refused, and what is refused so reaches no server.
async function blocks(t, world, stall, go) {
  const client = world.steady('/near', { millis: 50 });
  await sleep(500);
  await t.served('before', client);
  await stall();
  const answers = await stalled(world);
  const refused = answers.filter(({ words }) => words === overloaded);
  const odd = answers.filter(({ good, words }) => !good && words !== overloaded);
  t.check('503 overloaded once it stalls', refused.length > 0, odd[0]?.words);
  t.check('nothing else', odd.length === 0, odd[0]?.words);
  t.within('503', Math.max(...refused.map(({ ms }) => ms)), room_millis + 500);
  t.got.push(`200 for ${answers.length - refused.length - odd.length} calls, then ${overloaded}`);
  const { ids } = await world.far.tell({});
  const passed = new Set(ids.map(([id]) => id));
  const unrecorded = refused.filter(({ id }) => passed.has(id)).length;
  t.check('what is refused so reaches no server', unrecorded === 0, unrecorded);
  await go();
  t.recoveredWithin(await until(async () => (await world.call('/far')).good, 10_000), back_millis_max);
  world.overloaded = refused.length;
}

// Calls until some are refused.
async function stalled(world) {
  const answers = [];
  // A record is some hundred bytes: no pipe holds so many.
  for (let round = 0; round < 60 && !answers.some(({ good }) => !good); round += 1) {
    answers.push(...(await Promise.all(Array.from({ length: 20 }, () => world.call('/far')))));
  }
  return answers;
}

// A stall that nobody but the log notices.
async function drops(t, world, stall, go, written) {
  world.intrude();
  await stall();
  const client = world.steady('/far', { millis: 5 });
  await sleep(8000);
  await t.served('a good client', client);
  t.got.push('200');
  if (knows('admin')) {
    const lost = (await metrics(world)).sum('gatepost_audit_records_total', { outcome: 'lost' });
    t.measured.push(`${lost} records lost, as it counts`);
    t.check('lost records are counted', lost > 0, lost);
  }
  await go();
  await sleep(100);
  const before = written();
  t.recoveredWithin(
    await until(async () => {
      await world.call('/far');
      return written() > before;
    }, 10_000),
    back_millis_max,
  );
}

// As many records as requests were counted, but for those that were refused for want of one.
async function agree(t, world, records) {
  if (!knows('admin')) return;
  await sleep(300);
  const counted = (await metrics(world)).sum('gatepost_requests_total');
  t.check(
    'a record for each request, but for those refused',
    counted === records + world.overloaded || counted === records,
    { counted, records, refused: world.overloaded },
  );
  t.measured.push(`${records} records, ${world.overloaded} refused without`);
}

function isJson(line) {
  try {
    return typeof JSON.parse(line) === 'object';
  } catch {
    return false;
  }
}

// A gateway that writes to a disk of its own, of half a megabyte.
function onSmallDisk(on_stall) {
  return {
    config: ({ folder }) => ({
      audit: { sink: 'file', file: join(folder, 'disk/audit.jsonl'), on_stall, queue_records_max },
    }),
    before: [
      'unshare',
      '-m',
      'bash',
      '-c',
      'mkdir "${folder}/disk" && mount -t tmpfs -o size=512k tmpfs "${folder}/disk" && exec "$@"',
      'bash',
    ],
  };
}

// That disk, which is seen through the process alone.
class Disk {
  constructor(world) {
    this.folder = join(`/proc/${world.gateway.pid}/root`, world.folder, 'disk');
  }

  fill() {
    const file = openSync(join(this.folder, 'filler'), 'w');
    try {
      for (;;) writeSync(file, Buffer.alloc(4096));
    } catch {
      // It is full.
    } finally {
      closeSync(file);
    }
  }

  empty() {
    rmSync(join(this.folder, 'filler'));
  }

  records() {
    const file = join(this.folder, 'audit.jsonl');
    return existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [];
  }
}

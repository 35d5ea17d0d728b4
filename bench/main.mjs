// Runs the benchmark: see `run`. Each workload has its peers started at the same time, and they are measured in turn, round by
// round; whatever else happens on the machine then happens to all of them.

import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';

import { growth } from './growth.mjs';
import { peers, versions } from './peers.mjs';
import { results, summary } from './table.mjs';
import { stopPeer, World } from './world.mjs';
import { cores, effort, quick, workloads } from './workloads.mjs';
import { stopAll } from '../tests/operations/programs.mjs';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    growth: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    only: { type: 'string' },
    peers: { type: 'string' },
    rounds: { type: 'string' },
    core: { type: 'string', default: '1' },
  },
});
const core = Number(options.core);
const rounds = options.rounds === undefined ? undefined : Number(options.rounds);

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.once(signal, () => finish(new Error(`stopped by ${signal}`)));
const world = await World.begin();
run().then(() => finish(), finish);

async function run() {
  if (options.growth) return growth(world, core, options);
  const names = chosen(options.only, options.quick ? quick : Object.keys(workloads), workloads, 'workload');
  const only_peers = options.peers && chosen(options.peers, [], peers, 'peer');
  const once = names.filter((name) => workloads[name].once);
  const algorithms = new Set(once.map((name) => workloads[name].algorithm));
  world.mintUnseen(
    algorithms,
    Math.max(0, ...once.map((name) => effort(workloads[name], options.quick, rounds).rounds)),
  );
  const measured = {};
  const began = performance.now();
  const load = loadavg()[0].toFixed(1);
  for (const name of names) {
    const workload = workloads[name];
    const all = options.quick ? workload.peers : [...workload.peers, 'floor-again'];
    measured[name] = await measureAll(workload, only_peers ? all.filter((peer) => only_peers.includes(peer)) : all);
    console.log(summary(name, measured[name]));
  }
  const minutes = (performance.now() - began) / 60_000;
  results(measured, { versions: versions(), minutes, core, load, write: options.write });
}

// {peer: [what `load` reported, each round]}
async function measureAll(workload, names) {
  const { rounds: count, millis } = effort(workload, options.quick, rounds);
  const server = await world.startServer(cores(workload, core).rest);
  const measured = Object.fromEntries(names.map((name) => [name, []]));
  const started = {};
  const begin = async (name) => {
    started[name] = await world.startPeer(name, workload, core, server);
  };
  if (!workload.anew) for (const name of names) await begin(name);
  for (let round = 0; round < count; round += 1) {
    // Whoever is first in one round is last in the next.
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      if (workload.anew) await begin(name);
      if (round === 0) await world.verify(started[name], workload, core);
      const report = await world.measure(started[name], workload, core, { millis, round });
      if (report.wrong > 0)
        throw new Error(`${name}, ${workload.title}: ${report.wrong} wrong, first ${report.wrong_first}`);
      measured[name].push(report);
      if (workload.anew) await stopPeer(started[name]);
    }
  }
  if (!workload.anew) await Promise.all(Object.values(started).map(stopPeer));
  server.program.signal('SIGKILL');
  await server.program.exited;
  return measured;
}

function chosen(list, otherwise, known, kind) {
  const names = list?.split(',') ?? otherwise;
  const unknown = names.filter((name) => !(name in known));
  if (unknown.length > 0) throw new Error(`there is no ${kind} ${unknown}; there are: ${Object.keys(known).join(' ')}`);
  return names;
}

function finish(error) {
  stopAll();
  world.end();
  if (error) console.error(`FAILED ${error.stack}`);
  process.exit(error ? 1 : 0);
}

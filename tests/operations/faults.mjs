// Breaks what is around the gateway, one scene for each fault, a few at a time: what the client gets, that nothing
// forbidden reaches a server meanwhile, that others are served, and how soon it recovers by itself. The targets are those
// of the fault model, R1 to R20. A scene in which only times were too long is played once more, alone, and the table says
// so. Arguments: names of scenes, by default all. Exit status: 0 every target was met, 1 one was missed.

import { availableParallelism } from 'node:os';

import { Play } from './play.mjs';
import { stopAll } from './programs.mjs';
import { issuerScenes } from './scenes/issuer.mjs';
import { logScenes } from './scenes/logs.mjs';
import { machineScenes } from './scenes/machine.mjs';
import { serverScenes } from './scenes/server.mjs';

const at_once = Math.max(2, availableParallelism());
const scene_secs_max = 150;
const overall_secs_max = 595;

const scenes = { ...issuerScenes, ...serverScenes, ...machineScenes, ...logScenes };
const names = process.argv.slice(2).length > 0 ? process.argv.slice(2) : Object.keys(scenes);
const unknown = names.filter((name) => !(name in scenes));
if (unknown.length > 0) {
  console.error(`there is no scene ${unknown}; there are: ${Object.keys(scenes).join(' ')}`);
  process.exit(1);
}

const rows = {};
const began = performance.now();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => finish(`stopped by ${signal}`));
process.once('uncaughtException', (error) => finish(error.stack));
setTimeout(() => finish(`not done after ${overall_secs_max} s`), overall_secs_max * 1000).unref();

const waiting = [...names];
// Scenes that were late, and nothing worse: other work on the machine makes them so.
const late = [];
await Promise.all(
  Array.from({ length: at_once }, async () => {
    for (let name = waiting.shift(); name; name = waiting.shift()) await play(name);
  }),
);
for (const name of late) await play(name, true);
finish();

async function play(name, alone = false) {
  const { fault, target, needs, run } = scenes[name];
  const scene = new Play(name);
  const lacking = needs?.();
  if (lacking) {
    rows[name] = { fault, target, skipped: lacking };
    console.log(`SKIPPED ${name}: ${lacking}`);
    return;
  }
  const scene_began = performance.now();
  try {
    const over = new Promise((_, reject) => {
      setTimeout(() => reject(new Error(`not done after ${scene_secs_max} s`)), scene_secs_max * 1000).unref();
    });
    await Promise.race([run(scene), over]);
    for (const world of scene.worlds) for (const word of await world.end()) scene.check(word, false);
  } catch (error) {
    scene.check(error.stack, false);
  } finally {
    for (const world of scene.worlds) world.kill();
  }
  const again = scene.missed.length === 0 && scene.late.length > 0 && !alone;
  if (again) late.push(name);
  scene.missed.push(...scene.late);
  if (alone) scene.recovered.push('(played twice: late at first)');
  rows[name] = { fault, target, ...scene };
  const secs = ((performance.now() - scene_began) / 1000).toFixed(0);
  console.log(`${again ? 'LATE' : scene.missed.length === 0 ? 'ok' : 'MISSED'} ${name} (${secs} s)`);
  for (const missed of scene.missed) console.log(`    ${missed}`);
}

function finish(why) {
  const list = names.filter((name) => rows[name]).map((name) => [name, rows[name]]);
  console.log(
    '\n| scene: fault | what the client got | target | measured | recovered after | |\n|---|---|---|---|---|---|',
  );
  for (const [name, { fault, target, skipped, got = [], measured = [], recovered = [], missed = [] }] of list) {
    const cells = [`${name}: ${fault}`, got.join('; '), target, measured.join('; '), recovered.join('; ')];
    console.log(`| ${cells.join(' | ')} | ${skipped ? 'skipped' : missed.length === 0 ? 'met' : 'MISSED'} |`);
  }
  const missed = list.filter(([, row]) => row.missed?.length > 0).length;
  const skipped = list.filter(([, row]) => row.skipped).length;
  if (why) console.log(`FAILED ${why}`);
  const secs = ((performance.now() - began) / 1000).toFixed(0);
  console.log(`\n${list.length - missed - skipped} met, ${missed} missed, ${skipped} skipped, in ${secs} s`);
  stopAll();
  process.exit(missed > 0 || why ? 1 : 0);
}

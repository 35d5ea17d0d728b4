// One scene while it plays: what must hold in it, and what is said of it in the end.

import { World } from './world.mjs';

export class Play {
  constructor(name) {
    Object.assign(this, { name, missed: [], late: [], got: [], measured: [], recovered: [], worlds: [] });
  }

  async world(options) {
    const world = await World.start(options);
    this.worlds.push(world);
    return world;
  }

  // One thing that must hold; `got` says what was there instead.
  check(what, held, got) {
    if (!held)
      this.missed.push(
        got === undefined ? what : `${what} (got ${typeof got === 'string' ? got : JSON.stringify(got)})`,
      );
  }

  // A time that must be no longer than `millis_max`; undefined: it never came.
  within(what, millis, millis_max, list = this.measured) {
    list.push(`${what} ${spell(millis)}`);
    if (millis === undefined) this.check(`${what} within ${spell(millis_max)}`, false, spell(millis));
    else if (millis > millis_max) this.late.push(`${what} within ${spell(millis_max)} (took ${spell(millis)})`);
  }

  recoveredWithin(millis, millis_max, what = '') {
    this.within(what, millis, millis_max, this.recovered);
  }

  // A client was served all the time.
  async served(what, client, bad_max = 0) {
    const { served, bad, median, worst } = await client.stop();
    this.measured.push(`${what}: ${served} calls, median ${spell(median)}, worst ${spell(worst)}`);
    this.check(
      `${what} is served`,
      served > 0 && bad.length <= bad_max,
      bad
        .slice(0, 3)
        .map(({ words }) => words)
        .join(),
    );
  }
}

// A time in words.
export function spell(millis) {
  if (millis === undefined) return 'never';
  return millis < 100
    ? `${millis.toFixed(1)} ms`
    : millis < 1000
      ? `${millis.toFixed(0)} ms`
      : `${(millis / 1000).toFixed(1)} s`;
}

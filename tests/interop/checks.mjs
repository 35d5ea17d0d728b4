// Counts what held, and says what did not. It stops nothing and starts nothing.

export const counts = { passed: 0, failed: 0 };

// One check: what it says, whether that held, and what was there instead.
export function report(what, held, got) {
  if (held) counts.passed += 1;
  else counts.failed += 1;
  console.log(`${held ? 'ok' : 'FAILED'} ${what}`);
  if (!held && got !== undefined) console.log(`    got ${JSON.stringify(got)}`);
}

// Whether two lists have the same members.
export function isSame(left, right) {
  return JSON.stringify([...left].sort()) === JSON.stringify([...right].sort());
}

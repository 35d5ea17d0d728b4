// The server scenarios of MCP's conformance suite, against real SDK servers (servers/README.md), directly and through the
// gateway: what passes directly passes through it, check by check. Two scenarios are about what the gateway itself does;
// they pass through it before any server.

import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { isSame, report } from './checks.mjs';
import { node } from './clients.mjs';
import { start } from './programs.mjs';
import { servers, startGatewayBefore, startServers } from './servers.mjs';

const at_once_max = 2;
const scenario_millis_max = 10_000;

const suite = [node, 'node_modules/@modelcontextprotocol/conformance/dist/index.js'];
// How many scenarios the pinned version has. One that has more must not pass because nobody noticed.
const revisions = { '2025-11-25': 33, '2026-07-28': 40 };
const ours = ['dns-rebinding-protection', 'http-header-validation'];

// What the fixtures need, and no more: that lists are filtered is part of what must not show.
const route = {
  rules: [
    { tools: ['forbidden_tool'], deny: true },
    { tools: ['*'], scopes: ['interop'] },
    { prompts: ['*'], scopes: ['interop'] },
    { resources: ['test://**'], scopes: ['interop'] },
  ],
};

// Plays all of it; returns the gateway.
export async function playSuite() {
  const folder = mkdtempSync(join(tmpdir(), 'gatepost-suite-'));
  try {
    const names = await scenariosOf();
    const direct = await startServers();
    const { gateway, urls: through } = await startGatewayBefore(direct, folder, route);
    // A server has one visitor at a time: a change that one brings about is told to all.
    const rows = await inTurns(Object.keys(servers), async (name) => {
      const rows = [];
      for (const revision of Object.keys(revisions)) {
        const ran = {};
        for (const [way, urls] of Object.entries({ direct, through })) {
          ran[way] = await runSuite(urls[name], revision, join(folder, name, revision, way));
        }
        rows.push({ name, revision, ...ran });
      }
      return rows;
    });
    const table = rows.flat().map((row) => judge(row, names[row.revision]));
    print(table);
    return gateway;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

// The names of the scenarios, by revision.
async function scenariosOf() {
  const names = {};
  for (const [revision, count] of Object.entries(revisions)) {
    const listed = start('suite', [...suite, 'list', '--server', '--spec-version', revision]);
    await listed.exited;
    names[revision] = listed.lines.map((line) => /^ +- (\S+)/.exec(line)?.[1]).filter(Boolean);
    const what = `suite: it has the scenarios that are known, at ${revision}`;
    report(what, names[revision].length === count, names[revision]);
  }
  return names;
}

// Runs each scenario of a revision; returns the checks by their names, and the scenarios that ran.
async function runSuite(url, revision, folder) {
  mkdirSync(folder, { recursive: true });
  const which = ['--suite', 'all', '--spec-version', revision, '--timeout', scenario_millis_max];
  // It exits with a failure when any check fails: what failed is read below.
  await start('suite', [...suite, 'server', '--url', url, ...which, '--output-dir', folder]).exited;
  const checks = new Map();
  const scenarios = [];
  for (const run of readdirSync(folder)) {
    const scenario = /^server-(.*)-\d{4}-\d\d-\d\dT[\d-]+Z$/.exec(run)[1];
    scenarios.push(scenario);
    for (const { id, name, status, errorMessage } of JSON.parse(readFileSync(join(folder, run, 'checks.json'), 'utf8'))) {
      // What only tells of an exchange is no check.
      if (status === 'INFO') continue;
      let key = `${scenario}: ${id} ${name}`;
      for (let again = 2; checks.has(key); again += 1) key = `${scenario}: ${id} ${name} ${again}`;
      checks.set(key, { scenario, status, errorMessage });
    }
  }
  return { checks, scenarios };
}

// Compares both ways; returns a row of the table.
function judge({ name, revision, direct, through }, names) {
  const { sdk, newest } = servers[name];
  const what = (words) => `suite: ${sdk} at ${revision}: ${words}`;
  for (const [way, { scenarios }] of Object.entries({ direct, through })) {
    report(what(`every scenario has run (${way})`), isSame(scenarios, names), scenarios);
  }
  const isPassed = (check) => check?.status === 'SUCCESS';
  const passes = ({ checks }) => [...checks.values()].filter(isPassed).length;

  const lost = [...direct.checks].filter(([key, check]) => isPassed(check) && !isPassed(through.checks.get(key)));
  report(what(`all ${passes(direct)} checks that pass directly pass through the gateway`), lost.length === 0);
  for (const [key] of lost) report(what(key), false, through.checks.get(key) ?? 'not run');

  // Before a server that does not speak the revision, nothing that must be accepted can be.
  const speaks = revision !== '2026-07-28' || newest;
  for (const [key, check] of speaks ? through.checks : []) {
    if (ours.includes(check.scenario)) report(what(`through the gateway: ${key}`), isPassed(check), check);
  }

  const statuses = new Set([...direct.checks.keys(), ...through.checks.keys()]);
  const differences = [...statuses].flatMap((key) => {
    const [before, after] = [direct, through].map(({ checks }) => checks.get(key)?.status ?? 'not run');
    return before === after ? [] : [`${key}: ${before} -> ${after}`];
  });
  const [all, both] = [direct, through].map((way) => `${passes(way)} of ${way.checks.size}`);
  return { sdk, revision, direct: all, through: both, differences };
}

function print(table) {
  console.log('\nThe suite\'s checks that pass, and those whose result the gateway changes:\n');
  const line = (cells) => cells.map((cell, at) => cell.padEnd([14, 12, 12, 12][at])).join('');
  console.log(line(['server', 'revision', 'directly', 'through']));
  for (const { sdk, revision, direct, through, differences } of table) {
    console.log(line([sdk, revision, direct, through]));
    for (const difference of differences) console.log(`    ${difference}`);
  }
  console.log('');
}

// Does the work for each, a few at a time; returns the results in order.
async function inTurns(items, work) {
  const results = [];
  const waiting = [...items.entries()];
  const turns = Array.from({ length: at_once_max }, async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) results[next[0]] = await work(next[1]);
  });
  await Promise.all(turns);
  return results;
}

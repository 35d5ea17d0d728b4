// The authorization-server scenarios of MCP's conformance suite, against the authorization server of `gatepost demo`:
// every scenario that the suite has for them. A check that warns or is left out counts as one that failed.

import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { isSame, report } from './checks.mjs';
import { loggingInAs } from './consent.mjs';
import { printedUrl } from './demo.mjs';
import { freePort, start } from './programs.mjs';

const poll_millis = 20;

const suite = [process.execPath, 'node_modules/@modelcontextprotocol/conformance/dist/index.js'];
// What the pinned version has. One that has more must not pass because nobody noticed.
const scenarios = ['authorization-code-grant', 'authorization-server-metadata-endpoint'];

// Plays all of it.
export async function playConformance(demo) {
  const listed = start('suite', [...suite, 'list', '--authorization']);
  await listed.exited;
  const names = listed.lines.map((line) => /^ +- (\S+)/.exec(line)?.[1]).filter(Boolean);
  report('conformance: the suite has the scenarios that are known', isSame(names, scenarios), names);

  const resource = await printedUrl(demo);
  const { origin, pathname } = new URL(resource);
  const metadata = await json(await fetch(`${origin}/.well-known/oauth-protected-resource${pathname}`));
  const folder = mkdtempSync(join(tmpdir(), 'gatepost-conformance-'));
  try {
    await runSuite(metadata.authorization_servers[0], resource, folder);
    judge(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

// Registers a client for the suite, and is the person at the browser that it asks for.
async function runSuite(issuer, resource, folder) {
  const port = await freePort();
  const server = await json(await fetch(`${issuer}/.well-known/oauth-authorization-server`));
  const client = await json(await fetch(server.registration_endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    // The suite sends no secret to a server that does without, whatever kind of client it is told.
    body: JSON.stringify({
      redirect_uris: [`http://127.0.0.1:${port}/callback`],
      token_endpoint_auth_method: 'none',
    }),
  }));
  const target = ['--url', issuer, '--resource', resource, '--client-id', client.client_id];
  const run = start('suite', [...suite, 'authorization', ...target, '--port', port, '--output-dir', folder]);
  const opened = await lineOf(run, (line) => line.startsWith(`${server.authorization_endpoint}?`));
  report('conformance: the suite asks for a login', opened !== undefined, run.lines);
  if (opened) {
    const callback = await loggingInAs('writer')(new URL(opened));
    // It names the login before it listens for where the login leads back to.
    await lineOf(run, (line) => line.startsWith('Callback server started'));
    // The suite may end before it has answered the browser; what it was told, it says.
    await fetch(callback).catch(() => undefined);
  }
  await run.exited;
  report('conformance: the suite ends with success', run.child.exitCode === 0, [...run.lines, ...run.errors]);
}

// Each check of each scenario.
function judge(folder) {
  const ran = readdirSync(folder, { recursive: true }).filter((path) => path.endsWith('checks.json'));
  for (const scenario of scenarios) {
    const file = ran.find((path) => path.includes(scenario));
    const checks = file ? JSON.parse(readFileSync(join(folder, file), 'utf8')) : [];
    report(`conformance: ${scenario} has run`, checks.length > 0, ran);
    for (const { id, status, errorMessage } of checks) {
      report(`conformance: ${scenario}: ${id}`, status === 'SUCCESS', { status, errorMessage });
    }
  }
}

// The first line of a program's output that is meant; undefined when it ends without one.
async function lineOf(program, isMeant) {
  let ended = false;
  program.exited.then(() => { ended = true; });
  for (;;) {
    const line = program.lines.find(isMeant);
    if (line !== undefined || ended) return line;
    await new Promise((next) => setTimeout(next, poll_millis));
  }
}

async function json(answer) {
  if (!answer.ok) throw new Error(`${answer.url} answered ${answer.status}: ${await answer.text()}`);
  return answer.json();
}

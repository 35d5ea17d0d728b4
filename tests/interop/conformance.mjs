// The authorization-server scenarios of MCP's conformance suite, against the authorization server of `gatepost demo`.
//
// Starts the demo on free ports, registers a client, lets the suite run every scenario that it has for authorization
// servers, and is the person at the browser that the suite asks for. Exit status: 0 every check of every scenario held,
// 1 one failed, warned or was left out. `run` installs.

import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { freePort, start, stopAll } from './programs.mjs';

const overall_secs_max = 60;
const poll_millis = 20;

const suite = [process.execPath, 'node_modules/@modelcontextprotocol/conformance/dist/index.js'];
// What the pinned version has. One that has more must not pass because nobody noticed.
const scenarios = ['authorization-code-grant', 'authorization-server-metadata-endpoint'];
const folder = mkdtempSync(join(tmpdir(), 'gatepost-conformance-'));
let passed = 0;
let failed = 0;

setTimeout(() => finish(`not done after ${overall_secs_max} s`), overall_secs_max * 1000).unref();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => finish(`stopped by ${signal}`));
process.once('uncaughtException', (error) => finish(error.stack));
await play();
finish();

async function play() {
  const listed = start('suite', [...suite, 'list', '--authorization']);
  await listed.exited;
  const names = listed.lines.map((line) => /^ +- (\S+)/.exec(line)?.[1]).filter(Boolean);
  report('the suite has the scenarios that are known', String(names.sort()) === String(scenarios), names);

  const { resource, issuer } = await startDemo();
  await runSuite(issuer, resource);
}

// Starts the demo; what its clients find from the URL that it prints.
async function startDemo() {
  const free = '127.0.0.1:0';
  const demo = start('demo', [process.env.GATEPOST, 'demo', '--listen', free, '--issuer-listen', free]);
  const printed = await lineOf(demo, (line) => /^ +MCP server /.test(line));
  const resource = /\S+$/.exec(printed)?.[0];
  const { origin, pathname } = new URL(resource);
  const metadata = await json(await fetch(`${origin}/.well-known/oauth-protected-resource${pathname}`));
  return { resource, issuer: metadata.authorization_servers[0] };
}

async function runSuite(issuer, resource) {
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
  report('the suite asks for a login', opened !== undefined, run.lines);
  if (opened) await consent(opened);
  await run.exited;
  report('the suite ends with success', run.child.exitCode === 0, [...run.lines, ...run.errors]);
  judge();
}

// Logs in as the writer and allows everything that is offered, as the page's own form would send it.
async function consent(url) {
  let answer = await fetch(url, { redirect: 'manual' });
  if (answer.ok) {
    const page = await answer.text();
    const inputs = (name) => [...page.matchAll(new RegExp(`name="${name}" value="([^"]*)"`, 'g'))];
    const form = new URLSearchParams({ person: 'writer', decision: 'allow' });
    for (const [, value] of inputs('request')) form.append('request', value);
    for (const [, value] of inputs('scope')) form.append('scope', value);
    const headers = { origin: new URL(url).origin };
    answer = await fetch(new URL('/authorize', url), { method: 'POST', body: form, headers, redirect: 'manual' });
  }
  const location = answer.headers.get('location');
  if (!location) throw new Error(`${answer.url} answered ${answer.status}: ${await answer.text()}`);
  // The suite may end before it has answered the browser; what it was told, it says.
  await fetch(location).catch(() => undefined);
}

// Each check of each scenario. A warning and a check that was left out are no successes.
function judge() {
  const ran = readdirSync(folder, { recursive: true }).filter((path) => path.endsWith('checks.json'));
  for (const scenario of scenarios) {
    const file = ran.find((path) => path.includes(scenario));
    const checks = file ? JSON.parse(readFileSync(join(folder, file), 'utf8')) : [];
    report(`${scenario} has run`, checks.length > 0, ran);
    for (const { id, status, errorMessage } of checks) {
      report(`${scenario}: ${id}`, status === 'SUCCESS', { status, errorMessage });
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

function report(what, held, got) {
  if (held) passed += 1;
  else failed += 1;
  console.log(`${held ? 'ok' : 'FAILED'} ${what}`);
  if (!held && got !== undefined) console.log(`    got ${JSON.stringify(got)}`);
}

// Stops everything that was started, says how it went, and ends.
function finish(broken) {
  if (broken) report(`everything runs to its end: ${broken}`, false);
  stopAll();
  rmSync(folder, { recursive: true, force: true });
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed ? 1 : 0);
}

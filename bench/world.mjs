// One run's files, keys and server, and how a peer is measured by `load`.

import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { certificate, Issuer } from './credentials.mjs';
import { accepts, peers, programs, startPeer, stopPeer } from './peers.mjs';
import { bodies, cores, unseen_count, unseen_warm } from './workloads.mjs';
import { freePort, start } from '../tests/operations/programs.mjs';

const seen_count = 100;
const warm_requests = 300;

export class World {
  static async begin() {
    const world = new World();
    world.folder = mkdtempSync(join(tmpdir(), 'gatepost-bench-'));
    world.issuer = new Issuer(world.folder, 'auth');
    world.certificate = certificate(world.folder);
    world.bodies = bodies(world.folder);
    world.seen = {};
    world.forged = {};
    for (const algorithm of ['RS256', 'ES256']) {
      world.seen[algorithm] = world.issuer.tokens(`seen-${algorithm}`, algorithm, seen_count);
      world.forged[algorithm] = world.issuer.forged(`forged-${algorithm}`, algorithm);
    }
    return world;
  }

  // The MCP server, on `core`, for one workload.
  async startServer(core) {
    const port = await freePort();
    const program = start('server', [
      ...['taskset', '--cpu-list', core, join(programs, 'server')],
      ...[`127.0.0.1:${port}`, join(this.folder, 'jwks')],
    ]);
    await accepts(port);
    return { program, address: `127.0.0.1:${port}` };
  }

  async startPeer(name, workload, core, server, more = {}) {
    const { folder, issuer, certificate } = this;
    const place = { folder, port: await freePort(), server: server.address, issuer, certificate, workload, ...more };
    mkdirSync(folder, { recursive: true });
    const peer = await startPeer(name, cores(workload, core).proxy, place);
    // The gateway listens before it has the issuer's keys.
    await this.untilAnswers(peer, workload, core);
    return peer;
  }

  async untilAnswers(peer, workload, core) {
    for (let tries = 1; ; tries += 1) {
      const { wrong, wrong_first } = await this.ask(peer, workload, core, expected(peer, workload));
      if (wrong === 0) return;
      if (tries === 50) throw new Error(`${peer.name}: ${wrong_first}: ${peer.errors.slice(-5).join('\n')}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  // One request of another kind than the workload's.
  ask(peer, workload, core, change) {
    const simple = { way: 'closed', connections: 1, streams: 1, body: workload.body ?? 'small', once: false };
    return this.load(peer, { ...workload, ...simple, ...change }, core, {
      millis: 5000,
      warm_requests: 0,
      requests: 1,
    });
  }

  // That a peer which checks refuses what it must: else it would be measured for doing less.
  async verify(peer, workload, core) {
    if (!peers[peer.name].checks) return;
    const refused = { status: 401, body: workload.body && 'small' };
    const forged = { ...refused, tokens: this.forged[workload.algorithm] };
    const refusals = { 'a forged token': forged, 'no token': { ...refused, tokens: null } };
    if (workload.way !== 'streams') refusals['a forbidden tool'] = { body: 'forbidden', status: 403 };
    for (const [what, change] of Object.entries(refusals)) {
      const { wrong, wrong_first } = await this.ask(peer, workload, core, change);
      if (wrong > 0) throw new Error(`${peer.name} does not refuse ${what}: ${wrong_first}`);
    }
  }

  // Measures one peer once. `round` chooses the tokens that were never seen.
  measure(peer, workload, core, { millis, round }) {
    const unseen = workload.once && {
      tokens: this.unseen[workload.algorithm],
      tokens_from: round * (unseen_warm + unseen_count),
      tokens_count: unseen_warm + unseen_count,
      warm_requests: unseen_warm,
      requests: unseen_count,
    };
    return this.load(peer, { ...workload, ...expected(peer, workload) }, core, { millis, warm_requests, ...unseen });
  }

  async load(peer, workload, core, more) {
    const { way, http2, tls, resume, once, status, connections, streams, rate, algorithm } = workload;
    const specification = {
      ...{ way, http2, resume, once, status, connections, streams, rate },
      address: `127.0.0.1:${peer.port}`,
      authority: `localhost:${peer.port}`,
      paths: workload.paths ?? ['/mcp'],
      ca: tls ? this.certificate.crt : undefined,
      body: workload.body && this.bodies[workload.body],
      tokens: workload.tokens === undefined ? this.seen[algorithm] : (workload.tokens ?? undefined),
      pids: peer.pids,
      ...more,
    };
    const core_used = cores(workload, core).rest;
    return run(['taskset', '--cpu-list', core_used, join(programs, 'load')], specification);
  }

  // Tokens that no peer has seen, enough for `rounds`.
  mintUnseen(algorithms, rounds) {
    this.unseen = {};
    for (const algorithm of algorithms) {
      const count = rounds * (unseen_warm + unseen_count);
      this.unseen[algorithm] = this.issuer.tokens(`unseen-${algorithm}`, algorithm, count);
    }
  }

  end() {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export { stopPeer };

// Who does not check answers what others refuse.
function expected(peer, { status }) {
  return { status: peers[peer.name].checks ? status : 200 };
}

// What a program makes of `input`, both JSON.
function run([command, ...args], input) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args.map(String), { stdio: 'pipe' });
    child.stdin.end(JSON.stringify(input));
    const text = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'])
      child[stream].setEncoding('utf8').on('data', (data) => (text[stream] += data));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code !== 0)
        return reject(new Error(`${args.at(-1)}: ${text.stderr || code}: ${JSON.stringify(input).slice(0, 500)}`));
      resolve(JSON.parse(text.stdout));
    });
  });
}

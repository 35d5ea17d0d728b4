// One gateway with an issuer, two MCP servers, and the clients that a scene has at work all the time: a good one on the
// route that no fault concerns, and an intruder whose requests must never reach a server.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';

import { ask, call, isAnswerTo, words } from './client.mjs';
import { freePort, sleep, start, startPart, until } from './programs.mjs';
import { forged, mint, newKey } from './tokens.mjs';

const rules = [
  { tools: ['echo', 'flip'], scopes: ['read'] },
  { tools: ['write'], scopes: ['write'] },
  { tools: ['forbidden'], deny: true },
];
const refusals = [401, 403, 503];

export class World {
  // What has no value here is as `World.start` says.
  static async start(options = {}) {
    const world = new World();
    world.folder = mkdtempSync(join(tmpdir(), 'gatepost-operations-'));
    world.key = newKey('first');
    world.keys = [world.key];
    Object.assign(world, { audit: [], log: [], watchers: [], broken: [], audit_count: 0 });
    world.ports = {
      gateway: await freePort(),
      admin: await freePort(),
      issuer: await freePort(),
      near: await freePort(),
      far: await freePort(),
    };
    world.origin = `http://127.0.0.1:${world.ports.gateway}`;
    world.issuer_url = `http://${options.issuer_host ?? '127.0.0.1'}:${world.ports.issuer}`;
    world.token = world.mint();
    world.options = options;
    // The route `near`, whose server is the one that fails, in both forms: lists filtered, and bytes as they are.
    world.near = options.near ?? (await startPart('server.mjs', '127.0.0.1', world.ports.near));
    world.far = await startPart('server.mjs', '127.0.0.1', world.ports.far);
    if (options.issuer !== 'down') await world.startIssuer(options.issuer ?? 'ok');
    world.writeFile();
    await world.startGateway();
    if (options.wait !== false) await world.isServing();
    return world;
  }

  mint(claims, key = this.key) {
    return mint(key, this.issuer_url, claims);
  }

  jwks() {
    return JSON.stringify({ keys: this.keys.map(({ jwk }) => jwk) });
  }

  async startIssuer(mode) {
    this.issuer = await startPart('issuer.mjs', this.issuer_url, mode, this.jwks());
  }

  // Changes how the issuer answers; its keys are what `keys` holds now.
  setIssuer(mode) {
    return this.issuer.tell({ mode, jwks: this.jwks() });
  }

  file() {
    const { config = () => ({}), near_url } = this.options;
    const near = near_url?.(this) ?? `http://127.0.0.1:${this.ports.near}/mcp`;
    const route = (name, upstream, more) => ({
      name,
      path: `/${name}`,
      upstream,
      audiences: ['operations'],
      rules,
      ...more,
    });
    return {
      listen: `127.0.0.1:${this.ports.gateway}`,
      public_url: this.origin,
      authorization_servers: [{ issuer: this.issuer_url }],
      timeouts: { connect_secs: 1, answer_secs: 3 },
      routes: [
        route('near', near),
        route('plain', near, { visibility: 'all' }),
        route('far', `http://127.0.0.1:${this.ports.far}/mcp`),
      ],
      ...(knows('admin') && { admin: { listen: `127.0.0.1:${this.ports.admin}` } }),
      ...config(this),
    };
  }

  // The file is YAML, which JSON is too.
  writeFile() {
    this.path = join(this.folder, 'gatepost.yaml');
    writeFileSync(this.path, JSON.stringify(this.file(), null, 2));
  }

  // `before`: what the gateway is started by (it must exec); `env`, `stdout`, `stderr` as `start` says.
  async startGateway() {
    const { before = [], args = [], env, stdout, stderr } = this.options;
    const command = [...before, process.env.GATEPOST, 'run', '--config', this.path, ...args];
    this.gateway_began = performance.now();
    this.gateway = start(
      'gateway',
      command.map((word) => word.replaceAll('${folder}', this.folder)),
      {
        env: Object.fromEntries(
          Object.entries(env ?? {}).map(([name, value]) => [name, value.replaceAll('${folder}', this.folder)]),
        ),
        stdout: stdout?.(this),
        stderr: stderr?.(this),
        onLine: (line) => {
          this.audit_count += 1;
          if (!this.options.count_only) this.audit.push(line);
        },
        onError: (line) => {
          if (this.log.length < 5000) this.log.push(line);
        },
      },
    );
    this.up_ms = await until(() => this.isUp(), 15_000, 5);
    if (this.up_ms === undefined) throw new Error(`the gateway does not answer\n${this.log.slice(-20).join('\n')}`);
  }

  async isUp() {
    const { status } = await ask(this.origin, '/.well-known/oauth-protected-resource/far', { millis_max: 1000 });
    return status === 200;
  }

  async isServing(millis_max = 15_000) {
    const served = await until(async () => (await this.call('/far')).good, millis_max);
    if (served === undefined) throw new Error(`the gateway does not serve\n${this.log.slice(-20).join('\n')}`);
    return served;
  }

  // Whether `/readyz` says yes; undefined where there is no admin listener.
  async isReady() {
    if (!knows('admin')) return undefined;
    const { status } = await ask(`http://127.0.0.1:${this.ports.admin}`, '/readyz', { millis_max: 1000 });
    return status === 200;
  }

  // Calls a tool. `good`: it was answered by its server, to the end.
  async call(path, { tool = 'echo', args, token = this.token, ...options } = {}) {
    const body = call(tool, args);
    const answer = await ask(this.origin, path, { token, body, ...options });
    return { ...answer, good: isAnswerTo(body, answer), id: body.params.arguments.id, words: words(answer) };
  }

  // Has a good client call a route again and again; `stop()` says how it was served.
  steady(path, { millis = 25, token, agent = new Agent({ keepAlive: true, maxSockets: 1 }), ...options } = {}) {
    const answers = [];
    let on = true;
    const done = (async () => {
      while (on) {
        const began = performance.now();
        answers.push({ began, ...(await this.call(path, { agent, token: token ?? this.token, ...options })) });
        await sleep(Math.max(0, millis - (performance.now() - began)));
      }
      agent.destroy?.();
    })();
    const client = {
      answers,
      stop: async () => {
        on = false;
        await done;
        const times = answers.map(({ ms }) => ms).sort((a, b) => a - b);
        const bad = answers.filter(({ good }) => !good);
        return {
          served: answers.length,
          bad,
          median: times[times.length >> 1],
          p99: times[Math.floor(times.length * 0.99)],
          worst: times.at(-1),
        };
      },
    };
    this.watchers.push(client);
    return client;
  }

  // Sends what must not pass, again and again, until the world ends.
  intrude() {
    const kinds = [
      { tool: 'echo', token: forged(this.token) },
      { tool: 'echo', token: undefined },
      { tool: 'echo', token: this.mint({ exp: Math.floor(Date.now() / 1000) - 3700 }) },
      { tool: 'echo', token: this.mint({}, newKey('unheard-of')) },
      { tool: 'forbidden', token: this.token },
      { tool: 'write', token: this.token },
    ];
    let on = true;
    this.intrusions = 0;
    const loops = ['/near', '/far'].map(async (path, at) => {
      for (let i = at; on; i += 1) {
        const { tool, token } = kinds[i % kinds.length];
        const body = call(tool, { forbidden: true });
        const answer = await ask(this.origin, path, { token, body, millis_max: 4000 });
        this.intrusions += 1;
        if (answer.status !== undefined && !refusals.includes(answer.status))
          this.broken.push(`${tool} got ${words(answer)}`);
        await sleep(50);
      }
    });
    this.watchers.push({
      stop: () => {
        on = false;
        return Promise.all(loops);
      },
    });
  }

  // What the servers saw, those that still run.
  async seen() {
    const parts = [this.near, this.far].filter(
      (part) => part && part.child.exitCode === null && part.child.signalCode === null,
    );
    return Promise.all(parts.map((part) => part.tell({})));
  }

  // Ends everything; returns what must never be: a list of words, empty if all was well.
  async end() {
    await Promise.all(this.watchers.map(({ stop }) => stop()));
    for (const { forbidden, with_credentials } of await this.seen()) {
      if (forbidden.length > 0) this.broken.push(`forbidden calls reached a server: ${forbidden.slice(0, 3)}`);
      if (with_credentials > 0) this.broken.push(`${with_credentials} requests brought credentials to a server`);
    }
    if (this.gateway.child.exitCode !== null) this.broken.push('the gateway had ended');
    if (this.log.some((line) => /panic/.test(line))) this.broken.push(this.log.find((line) => /panic/.test(line)));
    this.kill();
    return new Set(this.broken);
  }

  kill() {
    for (const part of [this.gateway, this.issuer, this.near, this.far]) {
      part?.signal('SIGCONT');
      part?.signal('SIGKILL');
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

// What `/metrics` says: `sum(name, labels)` adds up all series of a name that have these labels.
export async function metrics({ ports }) {
  const { text } = await ask(`http://127.0.0.1:${ports.admin}`, '/metrics');
  const series = text
    .split('\n')
    .map((line) => /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line))
    .filter(Boolean);
  const has = (labels = '', [label, value]) => labels.includes(`${label}="${value}"`);
  return {
    text,
    sum: (name, wanted = {}) =>
      series
        .filter(([, of, labels]) => of === name && Object.entries(wanted).every((pair) => has(labels, pair)))
        .reduce((sum, [, , , value]) => sum + Number(value), 0),
  };
}

const examples = {
  admin: { admin: { listen: '127.0.0.1:9090' } },
  drain: { drain: { delay_secs: 1, grace_secs: 5 } },
  audit: { audit: { sink: 'stdout', on_stall: 'block', queue_records_max: 64 } },
};
const known = {};

// Whether the binary takes this part of the file.
export function knows(part) {
  known[part] ??= (() => {
    const folder = mkdtempSync(join(tmpdir(), 'gatepost-operations-'));
    const path = join(folder, 'gatepost.yaml');
    const routes = [{ name: 'a', path: '/a', upstream: 'http://127.0.0.1:1/', rules: [] }];
    writeFileSync(
      path,
      JSON.stringify({ authorization_servers: [{ issuer: 'https://issuer.example' }], routes, ...examples[part] }),
    );
    const { status, stderr } = spawnSync(process.env.GATEPOST, ['check', '--config', path], { encoding: 'utf8' });
    rmSync(folder, { recursive: true, force: true });
    return { yes: status === 0, why: stderr };
  })();
  return known[part].yes;
}

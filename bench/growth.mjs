// What a request costs as the file, the cache or the number of streams grows: the gateway against itself. For each plot one
// process a size, all of them measured in turn, round by round.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { audience, Issuer } from './credentials.mjs';
import { plot } from './plot.mjs';
import { digits, markdown, median } from './table.mjs';
import { stopPeer } from './world.mjs';
import { cores, workloads } from './workloads.mjs';

const rounds_usual = 5;
const patterns_max = 4096;
const routes_a_file = 2000;
const routes_used_max = 8;
const cached_bytes_max = 2 ** 31;

// What is plotted of each dimension: the y axis, the figure, and what is added to the file's name.
const cpu = { y: 'CPU µs a request', figure: ({ cpu_micros }) => cpu_micros, suffix: '' };
const memory = { y: 'MiB of memory at most', figure: ({ peak_kib }) => peak_kib / 1024, suffix: '-memory' };
const held = {
  y: 'KiB a stream',
  figure: ({ with_kib, before_kib }, size) => (with_kib - before_kib) / size,
  suffix: '',
};
const late = { y: 'ms that an event is late, p99', figure: ({ p99_micros }) => p99_micros / 1000, suffix: '-late' };
const rules = 'rules of one route (10,000: of three, 3,334 each; a route has 4,096 at most)';

// Each: `sizes`, what they count, and for one size what differs from the small call: `routing` (of `place`), and what is sent.
const dimensions = {
  routes: { plots: [cpu, memory], unit_of_size: 'routes', sizes: [1, 10, 100, 1000, 10_000], vary: manyRoutes },
  rules: {
    plots: [cpu],
    unit_of_size: rules,
    sizes: [1, 10, 100, 1000, 4000, 10_000],
    vary: (world, size) => manyRules(world, size, ''),
  },
  patterns: {
    plots: [cpu],
    unit_of_size: rules.replace('rules', 'rules with a wildcard'),
    sizes: [1, 10, 100, 1000, 4000],
    vary: (world, size) => manyRules(world, size, '_*'),
  },
  issuers: { plots: [cpu], unit_of_size: 'issuers', sizes: [1, 10, 100], vary: manyIssuers },
  tokens: {
    plots: [cpu, memory],
    unit_of_size: 'cached tokens, used in turn',
    sizes: [1, 100, 10_000, 100_000, 1_000_000],
    vary: manyTokens,
  },
  streams: {
    plots: [held, late],
    unit_of_size: 'streams',
    sizes: [100, 1000, 2500, 5000, 9000],
    vary: (_, size) => ({ ...workloads['streams-5000'], connections: size }),
    floor: true,
    rounds: 1,
  },
};

export async function growth(world, core, { quick, only, rounds, write }) {
  const unknown = only?.split(',').filter((name) => !(name in dimensions)) ?? [];
  if (unknown.length > 0)
    throw new Error(`nothing grows by ${unknown}; there are: ${Object.keys(dimensions).join(' ')}`);
  for (const name of only?.split(',') ?? Object.keys(dimensions)) {
    const dimension = dimensions[name];
    const sizes = quick ? dimension.sizes.filter((size) => size <= 1000) : dimension.sizes;
    const count = quick ? 1 : (dimension.rounds ?? Number(rounds ?? rounds_usual));
    const series = { Gatepost: await measureSizes(world, core, dimension, 'gatepost', sizes, count) };
    if (dimension.floor) series.floor = await measureSizes(world, core, dimension, 'floor', sizes, count);
    const section = report(name, dimension, sizes, series);
    console.log(`\n${section.text}`);
    if (write) keep(name, section);
  }
}

// A table of all that is plotted, and the plots, by name.
function report(name, { plots, unit_of_size }, sizes, series) {
  const rows = Object.entries(series).flatMap(([title, measured]) =>
    sizes.map((size, at) => [
      title,
      size.toLocaleString('en'),
      ...plots.map(({ figure }) => {
        const figures = measured[at].map((report) => figure(report, size));
        return `${digits(median(figures))} (${digits(Math.min(...figures))} to ${digits(Math.max(...figures))})`;
      }),
    ]),
  );
  const lines = ({ figure }) =>
    Object.fromEntries(
      Object.entries(series).map(([title, measured]) => [
        title,
        sizes.map((size, at) => [size, median(measured[at].map((report) => figure(report, size)))]),
      ]),
    );
  const drawn = Object.fromEntries(
    plots.map((each) => [
      `${name}${each.suffix}.svg`,
      plot({ title: `${each.y}, by ${name}`, x: unit_of_size, lines: lines(each) }),
    ]),
  );
  const text = markdown(['', unit_of_size, ...plots.map(({ y }) => `${y} (least to most)`)], rows);
  return { text, drawn };
}

// One section of plots/README.md anew, those of the others as they were.
function keep(name, { text, drawn }) {
  const folder = join(import.meta.dirname, 'plots');
  mkdirSync(folder, { recursive: true });
  for (const [file, svg] of Object.entries(drawn)) writeFileSync(join(folder, file), svg);
  const readme = join(folder, 'README.md');
  const before = existsSync(readme) ? readFileSync(readme, 'utf8') : '';
  const others = Object.fromEntries(
    before
      .split('\n## ')
      .slice(1)
      .map((section) => [section.split('\n', 1)[0], section.trimEnd()]),
  );
  others[name] = [name, '', ...Object.keys(drawn).map((file) => `![](${file})`), '', text.trimEnd()].join('\n');
  const sections = Object.keys(dimensions).filter((each) => each in others);
  const head = '# Growth\n\nMade by `bench/run --growth --write`: medians of all rounds, and the least and the most.';
  writeFileSync(readme, `${[head, ...sections.map((each) => `## ${others[each]}`)].join('\n\n')}\n`);
}

// For each size what `load` reported in each round.
async function measureSizes(world, core, { vary }, name, sizes, rounds) {
  const measured = sizes.map(() => []);
  const usual = cores(workloads.small, core);
  const variants = [];
  for (const size of sizes) variants.push({ ...workloads.small, ...(await vary(world, size)) });
  const server = await world.startServer(cores(variants[0], core).rest ?? usual.rest);
  const started = [];
  const begin = async (at) => {
    const { routing } = variants[at];
    const more = routing && { routing: (place) => routing(place) };
    started[at] = await world.startPeer(name, variants[at], core, server, more);
  };
  for (let round = 0; round < rounds; round += 1) {
    for (const at of sizes.keys()) {
      const { anew, warm = 500 } = variants[at];
      if (anew || round === 0) await begin(at);
      const millis = anew ? 8000 : 1500;
      const report = await world.load(started[at], variants[at], core, {
        millis,
        warm_requests: round === 0 ? warm : 500,
      });
      if (report.wrong > 0) throw new Error(`${report.wrong} wrong, first ${report.wrong_first}`);
      measured[at].push(report);
      if (anew) await stopPeer(started[at]);
    }
  }
  await Promise.all(
    started.filter(({ program }) => program.child.exitCode === null && program.child.signalCode === null).map(stopPeer),
  );
  server.program.signal('SIGKILL');
  return measured;
}

// The file but for its routes.
function head({ port, server, certificate: _, issuer }, { issuers = [issuer], limits = '' } = {}) {
  const known = issuers.map(({ url, name }) => `  - {issuer: "${url}", jwks_uri: "http://${server}/jwks/${name}"}`);
  return `listen: 127.0.0.1:${port}
public_url: http://localhost:${port}
threads: 1
drain: {delay_secs: 0, grace_secs: 1}
limits: {streams_per_principal_max: 10000${limits}}
authorization_servers:
${known.join('\n')}
`;
}

function route({ server }, name, path, rules) {
  return `  - {name: ${name}, path: ${path}, upstream: "http://${server}/mcp", audiences: ["${audience}"], required_scopes: [mcp], rules: [${rules}]}\n`;
}

const reading = '{tools: ["get_*"], scopes: ["things:read"]}';

// Routes in files of their own; those that are used lie evenly among the others.
function manyRoutes(world, size) {
  const path = (number) => `/team-${number}/mcp`;
  const used = Math.min(size, routes_used_max);
  const paths = Array.from({ length: used }, (_, at) => path(Math.floor(((at + 0.5) * size) / used)));
  const routing = (place) => {
    const folder = join(place.folder, `routes-${place.port}`);
    mkdirSync(folder);
    for (let from = 0; from < size; from += routes_a_file) {
      const numbers = Array.from({ length: Math.min(routes_a_file, size - from) }, (_, at) => from + at);
      const routes = numbers.map((number) => route(place, `team-${number}`, path(number), reading));
      writeFileSync(join(folder, `from-${from}.yaml`), `routes:\n${routes.join('')}`);
    }
    return `${head(place)}include: ${folder}\n`;
  };
  return { routing, paths };
}

// The rule that decides is the last.
function manyRules(world, size, wildcard) {
  const routes = Math.ceil(size / patterns_max);
  const each = Math.ceil(size / routes);
  const path = (number) => (number === routes - 1 ? '/mcp' : `/mcp/${number}`);
  const rules = Array.from(
    { length: each },
    (_, at) => `{tools: ["tool_${at}${wildcard}"], scopes: ["things:read"]}`,
  ).join(', ');
  const routing = (place) => {
    const folder = join(place.folder, `rules-${place.port}`);
    mkdirSync(folder);
    for (let number = 0; number < routes; number += 1) {
      writeFileSync(
        join(folder, `${number}.yaml`),
        `routes:\n${route(place, `things-${number}`, path(number), rules)}`,
      );
    }
    return `${head(place)}include: ${folder}\n`;
  };
  const called = `tool_${each - 1}${wildcard.replace('*', 'now')}`;
  const name = `rules-${size}${wildcard.length}`;
  const call = {
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: { name: called, arguments: { place: 'notes/today.md' } },
  };
  world.bodies[name] = join(world.folder, `${name}.json`);
  writeFileSync(world.bodies[name], JSON.stringify(call));
  return { routing, body: name };
}

// Each with keys of its own, and a token of each.
function manyIssuers(world, size) {
  const issuers = Array.from({ length: size }, (_, at) => new Issuer(world.folder, `auth-${size}-${at}`, ['ES256']));
  const tokens = join(world.folder, `of-${size}-issuers`);
  writeFileSync(tokens, issuers.map((issuer, at) => issuer.mint('ES256', at)).join('\n'));
  const routing = (place) => `${head(place, { issuers })}routes:\n${route(place, 'things', '/mcp', reading)}`;
  return { routing, tokens };
}

// Each is sent once before it counts.
function manyTokens(world, size) {
  const tokens = world.issuer.tokens(`cached-${size}`, 'ES256', size);
  const limits = `, token_cache_bytes_max: ${cached_bytes_max}`;
  const routing = (place) => `${head(place, { limits })}routes:\n${route(place, 'things', '/mcp', reading)}`;
  return { routing, tokens, warm: Math.max(size, 500) };
}

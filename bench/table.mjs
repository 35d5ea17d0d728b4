// From what was measured to tables: medians over rounds, ratios to the floor of the same round, and how far they lie apart.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';

import { peers } from './peers.mjs';
import { placed, workloads } from './workloads.mjs';

const cpu = ({ cpu_micros }) => cpu_micros;

// The figure that a workload is about.
const figures = {
  closed: { of: cpu, unit: 'CPU µs a request' },
  connect: { of: cpu, unit: 'CPU µs a connection' },
  rate: { of: ({ p99_micros }) => p99_micros, unit: 'p99, µs' },
  streams: {
    of: ({ with_kib, before_kib }, workload) => (with_kib - before_kib) / workload.connections,
    unit: 'KiB a stream',
  },
};

export function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

// {median, least, most} of `of` over the rounds, and of its ratio to the floor's.
export function compare(measured, name, of) {
  const spread = (numbers) => ({ median: median(numbers), least: Math.min(...numbers), most: Math.max(...numbers) });
  const own = measured[name].map(of);
  const floor = measured.floor?.map(of);
  return { ...spread(own), ratio: floor && spread(own.map((figure, round) => figure / floor[round])) };
}

// One workload in lines, as it is done.
export function summary(key, measured) {
  const workload = workloads[key];
  const lines = [`\n${workload.title} (${key}; ${placed(workload)})`];
  for (const name of Object.keys(measured)) {
    const figure = (of) => compare(measured, name, of);
    const main = figure(main_figure(workload));
    const cells = [`${digits(main.median)} ${figures[workload.way].unit}`];
    if (main.ratio)
      cells.push(
        `${main.ratio.median.toFixed(2)} × floor (${main.ratio.least.toFixed(2)} to ${main.ratio.most.toFixed(2)})`,
      );
    if (workload.way === 'streams' || workload.way === 'rate') {
      cells.push(`CPU ${digits(figure((r) => r.cpu_micros).median)} µs`);
    }
    if (workload.way === 'streams') {
      const late = figure((r) => r.p99_micros);
      cells.push(`late p99 ${digits(late.median)} µs${late.ratio ? ` (${late.ratio.median.toFixed(2)} ×)` : ''}`);
    }
    if (workload.way !== 'streams') cells.push(`p50 ${digits(figure((r) => r.p50_micros).median)} µs`);
    if (workload.way === 'closed') cells.push(`${digits(figure((r) => r.count / r.secs).median)}/s`);
    if (workload.way === 'connect')
      cells.push(`${digits(figure((r) => (100 * r.resumed) / r.count).median)} % resumed`);
    cells.push(`peak ${digits(figure((r) => r.peak_kib / 1024).median)} MiB`);
    lines.push(`  ${peers[name].title.padEnd(20)} ${cells.join('; ')}`);
  }
  return lines.join('\n');
}

function main_figure(workload) {
  return (report) => figures[workload.way].of(report, workload);
}

// Prints the table of all workloads; writes it where that is wanted.
export function results(measured, { versions, minutes, core, load, write }) {
  const names = Object.keys(peers).filter((name) => Object.values(measured).some((workload) => name in workload));
  const sections = [];
  for (const way of Object.keys(figures)) {
    const keys = Object.keys(measured).filter((key) => workloads[key].way === way);
    if (keys.length > 0) sections.push(section(way, keys, measured, names));
  }
  const text = sections.join('\n');
  console.log(`\n${text}`);
  if (!write) return;
  writeFileSync(
    join(import.meta.dirname, 'RESULTS.md'),
    `# Results\n\n${machine(versions, minutes, core, load)}\n${text}`,
  );
  const readme = readFileSync(readme_file, 'utf8');
  const written = readme.replace(
    /(<!-- bench\/run --write -->\n)[^]*?(<!-- end -->)/,
    (_, from, to) => from + short(measured) + to,
  );
  writeFileSync(readme_file, written);
}

// The rows that README shows.
function short(measured) {
  const names = ['floor', 'gatepost', 'nginx', 'haproxy', 'envoy'];
  const rows = short_rows
    .filter((key) => key in measured)
    .map((key) => {
      const { title, way } = workloads[key];
      const cells = names.map((name) => {
        const { median, ratio } = compare(measured[key], name, main_figure(workloads[key]));
        return name === 'floor' ? digits(median) : `${digits(median)} (${ratio.median.toFixed(2)})`;
      });
      return [way === 'streams' ? `KiB of memory for each of ${title}` : title, ...cells];
    });
  return markdown(['CPU µs a request', ...names.map((name) => peers[name].title)], rows);
}

const readme_file = join(import.meta.dirname, '../README.md');
const short_rows = [
  'small',
  'small-tls',
  'small-h2',
  'small-es256',
  'body-64k',
  'body-1m',
  'list',
  'denied',
  'streams-5000',
  'streams-5000-tls',
];

// What each way of measuring is shown by: a table of the figure itself, and further ones.
const shown = {
  closed: [
    ['CPU microseconds a request', [['', cpu]]],
    ['Requests a second, proxy, client and server sharing one core', [['', ({ count, secs }) => count / secs]]],
    ['Peak memory, MiB', [['', ({ peak_kib }) => peak_kib / 1024]]],
  ],
  connect: [['CPU microseconds a new TLS connection with one call', [['', cpu]]]],
  rate: [
    [
      'At a fixed rate',
      [
        [': p50, µs', ({ p50_micros }) => p50_micros],
        [': p99, µs', ({ p99_micros }) => p99_micros],
        [': CPU µs a request', cpu],
      ],
    ],
  ],
  streams: [
    [
      'Idle event streams, one event a second on each',
      [
        [': KiB each', figures.streams.of],
        [': an event is late by, median, µs', ({ p50_micros }) => p50_micros],
        [': p99, µs', ({ p99_micros }) => p99_micros],
        [': CPU µs an event', cpu],
      ],
    ],
  ],
};

function section(way, keys, measured, names) {
  const table = (cell, rows) => {
    const each = (key, [suffix, of]) => [
      `${workloads[key].title}${suffix}`,
      ...names.map((name) =>
        name in measured[key]
          ? cell(
              compare(measured[key], name, (r) => of(r, workloads[key])),
              name,
            )
          : '',
      ),
    ];
    const head = ['', ...names.map((name) => peers[name].title)];
    return markdown(
      head,
      keys.flatMap((key) => rows.map((row) => each(key, row))),
    );
  };
  const figure = ({ median, ratio }, name) =>
    name === 'floor' || !ratio ? digits(median) : `${digits(median)} (${ratio.median.toFixed(2)})`;
  const spread = ({ ratio }, name) =>
    name === 'floor' || !ratio ? '' : `${ratio.least.toFixed(2)} to ${ratio.most.toFixed(2)}`;
  const text = shown[way].map(([heading, rows]) => `## ${heading} (ratio to the floor)\n\n${table(figure, rows)}`);
  const [[heading, rows]] = shown[way];
  const rounds = Math.max(...keys.map((key) => Math.max(...Object.values(measured[key]).map(({ length }) => length))));
  text.push(`### ${heading}: ratios to the floor, least to most of ${rounds} rounds\n\n${table(spread, rows)}`);
  return text.join('\n');
}

export function markdown(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line), ''].join('\n');
}

export function digits(number) {
  if (number >= 100) return Math.round(number).toLocaleString('en');
  return number >= 10 ? number.toFixed(1) : number.toFixed(2);
}

function machine({ gatepost, nginx, haproxy, envoy }, minutes, core, load) {
  const kernel = execFileSync('uname', ['-sr']).toString().trim();
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: import.meta.dirname })
    .toString()
    .trim();
  return [
    `Made by \`bench/run --write\` in ${Math.round(minutes)} minutes, of the gateway at commit ${commit}.`,
    '',
    `${cpus()[0].model}, ${cpus().length} virtual cores, ${Math.round(totalmem() / 2 ** 30)} GiB; ${kernel}; core ${core}; load average before ${load}.`,
    `${gatepost}; ${nginx}; ${haproxy}; Envoy ${envoy}. README.md says what each does here, and how it is measured.`,
    '',
  ].join('\n');
}

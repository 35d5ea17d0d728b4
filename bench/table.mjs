// From what was measured to tables: medians over rounds, ratios to the floor of the same round, and how far they lie apart.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';

import { peers } from './peers.mjs';
import { placed, workloads } from './workloads.mjs';

// The figure that a workload is about.
const figures = {
  closed: { of: ({ cpu_micros }) => cpu_micros, unit: 'CPU µs a request' },
  connect: { of: ({ cpu_micros }) => cpu_micros, unit: 'CPU µs a connection' },
  rate: { of: ({ p99_micros }) => p99_micros, unit: 'p99, µs' },
  streams: { of: ({ with_kib, before_kib }, workload) => (with_kib - before_kib) / workload.connections, unit: 'KiB a stream' },
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
    if (main.ratio) cells.push(`${main.ratio.median.toFixed(2)} × floor (${main.ratio.least.toFixed(2)} to ${main.ratio.most.toFixed(2)})`);
    if (workload.way === 'streams' || workload.way === 'rate') {
      cells.push(`CPU ${digits(figure((r) => r.cpu_micros).median)} µs`);
    }
    if (workload.way === 'streams') {
      const late = figure((r) => r.p99_micros);
      cells.push(`late p99 ${digits(late.median)} µs${late.ratio ? ` (${late.ratio.median.toFixed(2)} ×)` : ''}`);
    }
    if (workload.way !== 'streams') cells.push(`p50 ${digits(figure((r) => r.p50_micros).median)} µs`);
    if (workload.way === 'closed') cells.push(`${digits(figure((r) => r.count / r.secs).median)}/s`);
    if (workload.way === 'connect') cells.push(`${digits(figure((r) => (100 * r.resumed) / r.count).median)} % resumed`);
    cells.push(`peak ${digits(figure((r) => r.peak_kib / 1024).median)} MiB`);
    lines.push(`  ${peers[name].title.padEnd(20)} ${cells.join('; ')}`);
  }
  return lines.join('\n');
}

function main_figure(workload) {
  return (report) => figures[workload.way].of(report, workload);
}

// Prints the table of all workloads; writes it where that is wanted.
export function results(measured, { versions, minutes, core, rounds, write }) {
  const names = Object.keys(peers).filter((name) => Object.values(measured).some((workload) => name in workload));
  const sections = [];
  for (const way of Object.keys(figures)) {
    const keys = Object.keys(measured).filter((key) => workloads[key].way === way);
    if (keys.length > 0) sections.push(section(way, keys, measured, names));
  }
  const text = sections.join('\n');
  console.log(`\n${text}`);
  if (!write) return;
  const head = readFileSync(join(import.meta.dirname, 'README.md'), 'utf8').split('\n')[0].replace(/^# /, '');
  writeFileSync(join(import.meta.dirname, 'RESULTS.md'), `# ${head}: results\n\n${machine(versions, minutes, core)}\n${text}\n`);
}

function section(way, keys, measured, names) {
  const rows = [];
  const row = (title, key, of, show = digits) => {
    const cells = names.map((name) => {
      if (!(name in measured[key])) return '';
      const { median, ratio } = compare(measured[key], name, of);
      return name === 'floor' || !ratio ? show(median) : `${show(median)} (${ratio.median.toFixed(2)})`;
    });
    rows.push([title, ...cells]);
  };
  for (const key of keys) {
    const workload = workloads[key];
    const { title } = workload;
    if (way === 'rate') {
      row(`${title}: p50, µs`, key, (r) => r.p50_micros);
      row(`${title}: p99, µs`, key, (r) => r.p99_micros);
      row(`${title}: CPU µs a request`, key, (r) => r.cpu_micros);
    } else if (way === 'streams') {
      row(`${title}: KiB each`, key, main_figure(workload));
      row(`${title}: event late by, median, µs`, key, (r) => r.p50_micros);
      row(`${title}: p99, µs`, key, (r) => r.p99_micros);
      row(`${title}: CPU µs an event`, key, (r) => r.cpu_micros);
    } else {
      row(title, key, main_figure(workload));
    }
  }
  const text = [`## ${headings[way]}\n`, markdown(['', ...names.map((name) => peers[name].title)], rows)];
  if (way === 'closed') {
    rows.length = 0;
    for (const key of keys) row(workloads[key].title, key, (r) => r.count / r.secs);
    text.push(`### Requests a second, proxy, client and server sharing one core\n`, markdown(['', ...names.map((name) => peers[name].title)], rows));
    rows.length = 0;
    for (const key of keys) row(workloads[key].title, key, (r) => r.peak_kib / 1024);
    text.push('### Peak memory, MiB\n', markdown(['', ...names.map((name) => peers[name].title)], rows));
    rows.length = 0;
  }
  rows.length = 0;
  for (const key of keys) {
    const cells = names.map((name) => {
      if (!(name in measured[key]) || name === 'floor') return '';
      const { ratio } = compare(measured[key], name, main_figure(workloads[key]));
      return ratio ? `${ratio.least.toFixed(2)} to ${ratio.most.toFixed(2)}` : '';
    });
    rows.push([`${workloads[key].title} (${measured[key][Object.keys(measured[key])[0]].length} rounds)`, ...cells]);
  }
  text.push('### Ratios to the floor, least to most over the rounds\n', markdown(['', ...names.map((name) => peers[name].title)], rows));
  return text.join('\n');
}

const headings = {
  closed: 'CPU microseconds a request (ratio to the floor)',
  connect: 'CPU microseconds a new TLS connection with one call (ratio to the floor)',
  rate: 'At a fixed rate (ratio to the floor)',
  streams: 'Idle event streams, one event a second on each (ratio to the floor)',
};

export function markdown(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line), ''].join('\n');
}

export function digits(number) {
  if (number >= 100) return Math.round(number).toLocaleString('en');
  return number >= 10 ? number.toFixed(1) : number.toFixed(2);
}

function machine({ gatepost, nginx, haproxy, envoy }, minutes, core) {
  const kernel = execFileSync('uname', ['-sr']).toString().trim();
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: import.meta.dirname }).toString().trim();
  return [
    `Made by \`bench/run --write\` in ${Math.round(minutes)} minutes, of commit ${commit}.`,
    '',
    `${cpus()[0].model}, ${cpus().length} virtual cores, ${Math.round(totalmem() / 2 ** 30)} GiB; ${kernel}; core ${core}.`,
    `${gatepost}; ${nginx}; ${haproxy}; Envoy ${envoy}. README.md says what each does here, and how it is measured.`,
    '',
  ].join('\n');
}

// Starts programs, sends them signals, and stops them: only those that it started, each by its process.

import { fork, spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

const running = new Set();
const clock_ticks_per_sec = 100;
const page_bytes = 4096;

// Starts a program. `onLine` and `onError` get the lines of its output; `stdout` and `stderr` may be a descriptor
// instead. `hold(name)` stops reading one of its pipes, so that it fills, and `release(name)` goes on.
export function start(name, [command, ...args], { env = {}, onLine, onError, stdout = 'pipe', stderr = 'pipe' } = {}) {
  const child = spawn(command, args.map(String), {
    env: { ...process.env, ...env },
    stdio: ['ignore', stdout, stderr],
  });
  const program = { name, child, pid: child.pid };
  const ended = [];
  for (const [stream, eachLine] of [
    ['stdout', onLine],
    ['stderr', onError],
  ]) {
    if (child[stream]) ended.push(splitLines(child[stream], eachLine ?? (() => {})));
  }
  running.add(child);
  program.hold = (stream) => child[stream].pause();
  program.release = (stream) => child[stream].resume();
  program.exited = new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      running.delete(child);
      resolve({ code, signal, at: performance.now() });
    });
    child.once('error', (error) => {
      running.delete(child);
      resolve({ error, at: performance.now() });
    });
  });
  // All of its output was read.
  program.drained = Promise.all([program.exited, ...ended]);
  program.signal = (signal) => child.kill(signal);
  return program;
}

// Starts a program of this folder in Node, with which one can speak: `tell(message)` resolves to its answer.
export async function startPart(file, ...args) {
  const child = fork(join(import.meta.dirname, file), args.map(String), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  running.add(child);
  const waiting = new Map();
  let next = 0;
  const part = { child, pid: child.pid };
  part.exited = new Promise((resolve) =>
    child.once('exit', (code, signal) => {
      running.delete(child);
      for (const { reject } of waiting.values()) reject(new Error(`${file} ended (${code ?? signal})`));
      resolve({ code, signal });
    }),
  );
  part.tell = (message) =>
    new Promise((resolve, reject) => {
      const number = next++;
      waiting.set(number, { resolve, reject });
      child.send({ number, message }, (error) => {
        if (error) reject(error);
      });
    });
  part.signal = (signal) => child.kill(signal);
  await new Promise((resolve, reject) => {
    child.on('message', ({ number, answer, ready }) => {
      if (ready) return resolve();
      waiting.get(number)?.resolve(answer);
      waiting.delete(number);
    });
    child.once('exit', () => reject(new Error(`${file} ended before it was ready`)));
  });
  return part;
}

// The other side of `tell`: what a part does with a message, and that it is ready.
export function answerMessages(answer) {
  process.on('message', async ({ number, message }) => process.send({ number, answer: await answer(message) }));
  // Without its parent it has nothing left to do.
  process.on('disconnect', () => process.exit(0));
  process.send({ ready: true });
}

// Stops what still runs.
export function stopAll() {
  for (const child of running) {
    child.kill('SIGCONT');
    child.kill('SIGKILL');
  }
}

const given = new Set();

// A port of loopback that was free a moment ago, and that this process gave to nobody else. Below the range from which
// the system takes ports for outgoing connections: one of those may take it before its server does.
export async function freePort() {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    if (given.has(port)) continue;
    given.add(port);
    const probe = createServer();
    const free = await new Promise((resolve) => {
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
    if (free) return port;
  }
}

// Seconds of processor time that a process has used.
export function cpuSecs(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / clock_ticks_per_sec;
}

// Memory that a process has in use, in MiB.
export function residentMib(pid) {
  return (Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * page_bytes) / (1 << 20);
}

// Whether a process catches a signal (by its number).
export function catches(pid, signal) {
  const mask = /SigCgt:\s*(\w+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1];
  return ((BigInt(`0x${mask}`) >> BigInt(signal - 1)) & 1n) === 1n;
}

// Runs a program to its end; throws with what it said if it failed.
export function runToEnd(command, ...args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (error || status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error ?? stderr}`);
  return stdout;
}

export const sleep = (millis) => new Promise((resolve) => setTimeout(resolve, millis));

// Tries until `attempt` gives something true; returns how many milliseconds that took, or undefined after `millis_max`.
export async function until(attempt, millis_max, pause_millis = 20) {
  const began = performance.now();
  for (;;) {
    if (await attempt()) return performance.now() - began;
    if (performance.now() - began > millis_max) return undefined;
    await sleep(pause_millis);
  }
}

function splitLines(stream, eachLine) {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop();
    lines.forEach(eachLine);
  });
  return new Promise((resolve) =>
    stream.once('close', () => {
      if (rest) eachLine(rest);
      resolve();
    }),
  );
}

// Starts programs, waits until they are ready, and stops them: only those that it started, each by its process.

import { spawn } from 'node:child_process';
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';

const ready_secs_max = 30;
const poll_millis = 20;

const running = new Set();

// Starts a program in this folder. `lines` and `errors` collect its output, `line()` waits for the next line of it,
// `exited` is settled when it has ended.
export function start(name, [command, ...args], env = {}) {
  const child = spawn(command, args.map(String), {
    cwd: import.meta.dirname,
    env: { ...process.env, NO_PROXY: '127.0.0.1', no_proxy: '127.0.0.1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const program = { name, child, lines: [], errors: [] };
  const output = createInterface({ input: child.stdout }).on('line', (line) => program.lines.push(line));
  createInterface({ input: child.stderr }).on('line', (line) => program.errors.push(line));
  running.add(child);
  program.exited = new Promise((resolve) => child.once('close', resolve).once('error', resolve));
  program.exited.then(() => running.delete(child));
  program.line = () => ready(program, new Promise((resolve) => output.once('line', resolve)));
  return program;
}

// Stops what still runs.
export function stopAll() {
  for (const child of running) child.kill('SIGKILL');
}

// Waits until something accepts connections on the program's port.
export async function listening(program, port) {
  await polling(program, () => new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => { socket.destroy(); resolve(true); });
    socket.once('error', () => resolve(false));
  }));
}

// Waits until the program answers with success at a URL.
export async function answering(program, url) {
  await polling(program, () => fetch(url).then(({ ok }) => ok, () => false));
}

// A port of loopback that was free a moment ago.
export async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await new Promise((listens) => probe.once('listening', listens));
  const { port } = probe.address();
  await new Promise((closed) => probe.close(closed));
  return port;
}

async function polling(program, attempt) {
  let over = false;
  const success = (async () => {
    while (!over && !(await attempt())) await new Promise((next) => setTimeout(next, poll_millis));
  })();
  await ready(program, success).finally(() => { over = true; });
}

// Waits for the promise, unless the program ends before or takes too long.
function ready(program, promise) {
  const failure = (why) => new Error(`the ${program.name} ${why}\n${program.errors.slice(-20).join('\n')}`);
  return new Promise((resolve, reject) => {
    promise.then(resolve, reject);
    program.exited.then(() => reject(failure('ended before it was ready')));
    setTimeout(() => reject(failure(`was not ready within ${ready_secs_max} s`)), ready_secs_max * 1000).unref();
  });
}

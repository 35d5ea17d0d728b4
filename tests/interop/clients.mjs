// The real clients, each a program of its own that is given the URL of an MCP server and what to call there.

import { join } from 'node:path';

import { report } from './checks.mjs';
import { start } from './programs.mjs';

const client_secs_max = 60;

export const node = process.execPath;
export const python = (major) => join(import.meta.dirname, `.cache/python-${major}/bin/python`);

export const clients = {
  'TypeScript 1': [node, 'client-ts.mjs', 'sdk'],
  'TypeScript 2': [node, 'client-ts.mjs', 'client'],
  'TypeScript 2, newest revision': [node, 'client-ts.mjs', 'client-auto'],
  'Python 1': [python(1), 'client-py.py'],
  'Python 2': [python(2), 'client-py.py'],
};

// Lets a client make its calls; returns what it says it saw: of the clients above, {tools, results, exchanges}.
export async function runClient(who, command, url, calls = [], browser = '') {
  const client = start(who, [...command, url, JSON.stringify(calls)], { BROWSER: browser });
  const limit = setTimeout(() => client.child.kill('SIGKILL'), client_secs_max * 1000);
  await client.exited;
  clearTimeout(limit);
  try {
    return JSON.parse(client.lines.at(-1));
  } catch {
    report(`${who}: the client runs to its end`, false, client.errors.slice(-20));
    return undefined;
  }
}

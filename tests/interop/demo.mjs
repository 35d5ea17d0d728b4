// `gatepost demo`, and whoever comes to it: real clients that know only the URL that it prints, and people at its
// consent page. What they see as reader and as admin must differ.

import { isSame, report } from './checks.mjs';
import { clients, runClient } from './clients.mjs';
import { startBrowser } from './browser.mjs';
import { loggingInAs } from './consent.mjs';
import { playInspector } from './inspector.mjs';
import { freePort, start } from './programs.mjs';

const reading = ['list_notes', 'get_note', 'search_notes', 'export_notes'];

// Who logs in, and the tools that are theirs.
export const people = {
  reader: reading,
  admin: [...reading, 'create_note', 'edit_note', 'delete_note', 'purge_notes'],
};

const read = { tool: 'list_notes', args: {} };
const write = { tool: 'create_note', args: { title: 'Call home', text: 'Before eight.' } };

// Starts the demo on ports of its own; returns the program.
export async function startDemo() {
  const [listen, issuer] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
  return start('demo', [process.env.GATEPOST, 'demo', '--listen', listen, '--issuer-listen', issuer]);
}

// Plays all of it.
export async function playDemo(demo) {
  const url = await printedUrl(demo);
  for (const person of Object.keys(people)) {
    const browser = await startBrowser(loggingInAs(person));
    for (const [client, program] of Object.entries(clients)) {
      const who = `demo: ${client} as ${person}`;
      const seen = await runClient(who, program, url, [read, write], browser.url);
      if (seen) judge(who, person, url, seen);
    }
    browser.close();
  }
  await playInspector(url, people);
}

// What a person copies: the URL after "MCP server".
export async function printedUrl(demo) {
  for (;;) {
    const printed = demo.lines.map((line) => /^ +MCP server +(http:\S+)$/.exec(line)?.[1]).find(Boolean);
    if (printed) return printed;
    await demo.line();
  }
}

function judge(who, person, url, { tools, results, exchanges }) {
  const check = (what, held, got) => report(`${who}: ${what}`, held, got);
  check('sees the tools of this person, and no others', isSame(tools, people[person]), tools);
  const listed = results[read.tool];
  check('a call that everybody may make succeeds', /^1: /.test(listed?.text), listed);
  const writes = exchanges.filter(({ rpc, name }) => rpc === 'tools/call' && name === write.tool);
  const statuses = writes.map(({ status }) => status);
  if (person === 'admin') {
    const written = results[write.tool];
    const once = statuses.join() === '200' && /^Note \d+ is written\.$/.test(written?.text);
    check('a note is written, without another login', once, { statuses, written });
  } else {
    const isChallenged = ({ status, challenge }) => status === 403 && challenge?.includes('error="insufficient_scope"');
    const challenged = writes.every(isChallenged);
    check('a note is not written: insufficient_scope', writes.length > 0 && challenged, writes);
    check('the client takes it for an error', results[write.tool]?.error !== undefined, results[write.tool]);
  }
}

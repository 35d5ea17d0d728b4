// Sessions that go both ways and outlast a cut, through the gateway, before server-everything: the server asks the
// client back (sampling, elicitation), calls report progress, are cut off and resumed, are cancelled.

import { join } from 'node:path';

import { isSame, report } from './checks.mjs';
import { node, python, runClient } from './clients.mjs';
import { freePort, listening, start } from './programs.mjs';
import { startRecorder } from './recorder.mjs';
import { startGatewayBefore } from './servers.mjs';

const slow = 'trigger-long-running-operation';
const clients = {
  'TypeScript 1': { command: [node, 'session-ts.mjs', 'sdk'], tells_cancelled: true },
  'TypeScript 2': { command: [node, 'session-ts.mjs', 'client'], tells_cancelled: true },
  // It gives a call up without a word.
  'Python 1': { command: [python(1), 'session-py.py'], tells_cancelled: false },
  'Python 2': { command: [python(2), 'session-py.py'], tells_cancelled: true },
};

const route = { rules: [{ tools: ['get-env'], deny: true }, { tools: ['*'], scopes: ['interop'] }] };

// Plays all of it; the folder takes what the gateway needs.
export async function playSession(folder) {
  const port = await freePort();
  const everything = 'node_modules/@modelcontextprotocol/server-everything/dist/index.js';
  await listening(start('everything server', [node, everything, 'streamableHttp'], { PORT: port }), port);
  let reached = [];
  // The second slow call of each client, after its first event of progress: the piece before that opens the stream.
  const isCut = (entry) => {
    const calls = reached.filter(({ name }) => name === slow);
    return entry === calls[1] && entry.pieces === 2;
  };
  const recorder = await startRecorder(port, isCut);
  const urls = await startGatewayBefore({ everything: recorder.url }, join(folder, 'session'), route);
  for (const [name, { command, tells_cancelled }] of Object.entries(clients)) {
    recorder.seen.length = 0;
    reached = recorder.seen;
    const seen = await runClient(`session: ${name}`, command, urls.everything);
    if (seen) judge(`session: ${name}`, seen, reached, tells_cancelled);
  }
}

function judge(who, { asked, sampled, elicited, reported, resumed, cancelled, after }, reached, tells_cancelled) {
  const check = (what, held, got) => report(`${who}: ${what}`, held, got);
  const steps = ['1/4', '2/4', '3/4', '4/4'];
  const isWhole = ({ text, progress }) => /completed/.test(text) && isSame(progress, steps);

  check('the server asks it back, once each', isSame(asked, ['sampling/createMessage', 'elicitation/create']), asked);
  check('what it samples arrives', /the model says hello/.test(sampled.text), sampled);
  check('what it elicits arrives', /Ada Lovelace/.test(elicited.text), elicited);
  check('progress arrives, all of it', isWhole(reported), reported);

  const cut = reached.filter(({ name }) => name === slow)[1];
  const taken_up = reached.filter(({ method, headers }) => method === 'GET' && 'last-event-id' in headers);
  const beside = taken_up.every(({ headers }) => headers['mcp-session-id'] === cut.headers['mcp-session-id']);
  check('a call that is cut off is taken up, in its session', taken_up.length > 0 && beside, taken_up);
  check('and loses nothing', isWhole(resumed), resumed);

  check('a cancelled call ends at once', cancelled.error !== undefined && cancelled.progress.length < 20, cancelled);
  const told = reached.filter(({ rpc }) => rpc === 'notifications/cancelled');
  if (tells_cancelled) check('and the server is told', told.length === 1 && told[0].status === 202, told);
  check('the session goes on', /still here/.test(after.text), after);
  const ended = reached.filter(({ method }) => method === 'DELETE');
  check('and ends', ended.length === 1 && ended[0].status === 200, ended);
}

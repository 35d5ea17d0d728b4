// What may happen to an MCP server while it is asked, and between.

import { Agent } from 'node:http';
import { connect } from 'node:net';

import { sleep, startPart, until } from '../programs.mjs';

const prompt_millis_max = 100;
const answer_millis = 3000;
const connect_millis = 1000;
const slack_millis = 500;
const attempts = 11;
const refused = /^502 upstream_protocol$/;
// The head may not have left before the answer broke.
const aborted = /^(200 cut|ECONNRESET|socket hang up)$/;

export const serverScenes = {
  'server-dies-before-head': {
    fault: 'server closes before the head of its answer',
    target: 'R5: 502 < 100 ms, the call is sent once',
    run: (t) => failingAnswer(t, { act: 'die_before_head', near: refused, plain: refused }),
  },
  'server-dies-mid-json': {
    fault: 'server resets in the middle of a JSON answer',
    target: 'R6: abort < 100 ms, never a clean end (502 where answers are read whole)',
    run: (t) => failingAnswer(t, { act: 'cut_json', begins: 50, near: refused, plain: aborted }),
  },
  'server-dies-mid-stream': {
    fault: 'server resets in the middle of an event stream',
    target: 'R6: abort < 100 ms, never a clean end',
    run: (t) => failingAnswer(t, { act: 'cut_stream', begins: 50, near: aborted, plain: aborted }),
  },
  'server-half-closes': {
    fault: 'server sends FIN before the head, in JSON, in a stream, and after a whole answer',
    target: 'R5, R6: 502 or abort < 100 ms; after a whole answer 502 for what meets the FIN, nothing sent twice',
    run: async (t) => {
      await failingAnswer(t, { act: 'half_close_before_head', near: refused, plain: refused });
      await failingAnswer(t, { act: 'half_close_json', near: refused, plain: aborted });
      await failingAnswer(t, { act: 'half_close_stream', near: aborted, plain: aborted });
      await goodAnswer(t, { act: 'close_after', may_meet_the_end: true });
    },
  },
  'server-sends-garbage': {
    fault: 'server sends no HTTP, broken chunks, broken JSON, HTML, a second answer that nobody asked for',
    target: '502 or abort < 100 ms; nobody gets an answer to another call',
    run: async (t) => {
      await failingAnswer(t, { act: 'garbage', near: refused, plain: refused });
      await failingAnswer(t, { act: 'garbage_chunks', near: refused, plain: aborted });
      // Where nothing is filtered the bytes are the server's.
      await failingAnswer(t, { act: 'garbage_json', near: refused, plain: /^200$/ });
      await failingAnswer(t, { act: 'html', near: refused, plain: /^200$/ });
      await goodAnswer(t, { act: 'garbage_after' });
    },
  },
  'server-answers-by-bytes': {
    fault: 'server answers byte by byte',
    target: 'the whole answer; others do not wait',
    run: (t) => goodAnswer(t, { act: 'bytes' }),
  },
  'server-never-answers': {
    fault: 'server never answers, or never ends a JSON answer',
    target: 'R7: 504 at answer_secs (3 s here); others are served',
    run: async (t) => {
      const world = await t.world();
      world.intrude();
      const client = world.steady('/far');
      const same = world.steady('/near');
      for (const act of ['never', 'never_ends']) {
        const answers = await Promise.all(
          Array.from({ length: attempts }, () => world.call('/near', { args: { act } })),
        );
        const bad = answers.filter(({ words }) => words !== '504 upstream_timeout');
        t.check(`${act}: 504`, bad.length === 0, bad[0]?.words);
        t.got.push(`${act}: ${answers[0].words}`);
        const times = answers.map(({ ms }) => ms).sort((a, b) => a - b);
        t.check(`${act}: not before`, times[0] >= answer_millis - 50, times[0]);
        t.within(act, times[attempts >> 1], answer_millis + slack_millis);
      }
      await t.served('the other server', client);
      await t.served('the same server', same);
      const sent = await seenOf(world, 'echo');
      t.check('each call was sent once', sent.repeated === 0, sent.repeated);
      t.recovered.push('at once');
    },
  },
  'server-down-then-back': {
    fault: 'server killed with calls under way, down, back on the same port',
    target: 'R5, R7: 502 < 100 ms; the first call after its return succeeds',
    run: async (t) => {
      const world = await t.world();
      world.intrude();
      const client = world.steady('/far');
      const under_way = Array.from({ length: 5 }, () => world.call('/near', { args: { act: 'never' } }));
      await sleep(300);
      const killed = performance.now();
      world.near.signal('SIGKILL');
      const cut = await Promise.all(under_way);
      t.within('under way', performance.now() - killed, prompt_millis_max * 2);
      t.check(
        '502 under way',
        cut.every(({ words }) => words === '502 upstream_protocol'),
        cut.map(({ words }) => words).join(),
      );
      const down = await several(() => world.call('/near'));
      t.check(
        '502 while down',
        down.every(({ words }) => words === '502 upstream_unreachable'),
        down[0].words,
      );
      t.got.push(`${cut[0].words}; while down ${down[0].words}`);
      t.within('while down, median', median(down), prompt_millis_max);
      world.near = await startPart('server.mjs', '127.0.0.1', world.ports.near);
      const first = await world.call('/near');
      t.check('the first call after its return succeeds', first.good, first.words);
      t.recoveredWithin(first.ms, prompt_millis_max * 2, 'first call');
      await t.served('the other server', client);
    },
  },
  'server-stopped': {
    fault: 'server gets SIGSTOP, then SIGCONT; then its queue of connections is full, too',
    target: 'R7: 504 at answer_secs (3 s here), at connect_secs (1 s) once it takes no connection; others are served',
    run: async (t) => {
      const world = await t.world();
      world.intrude();
      const client = world.steady('/far');
      await world.call('/near');
      world.near.signal('SIGSTOP');
      const answers = await Promise.all(Array.from({ length: 5 }, () => world.call('/near')));
      t.check(
        '504',
        answers.every(({ words }) => words === '504 upstream_timeout'),
        answers[0].words,
      );
      t.got.push(answers[0].words);
      t.within('stopped', median(answers), answer_millis + slack_millis);
      const fillers = await fillQueue(world.ports.near);
      const full = await Promise.all(Array.from({ length: 5 }, () => world.call('/near')));
      t.check(
        '504 with a full queue',
        full.every(({ words }) => words === '504 upstream_timeout'),
        full[0].words,
      );
      t.within('queue full', median(full), connect_millis + slack_millis);
      world.near.signal('SIGCONT');
      fillers.forEach((socket) => socket.destroy());
      t.recoveredWithin(
        await until(async () => (await world.call('/near')).good, 10_000),
        connect_millis + slack_millis,
      );
      await t.served('the other server', client);
    },
  },
};

// Calls that the server answers wrongly, on the route that filters lists and on the one that does not.
async function failingAnswer(t, { act, begins = 0, ...expected }) {
  const world = await t.world();
  world.intrude();
  const client = world.steady('/far');
  for (const [route, words] of [
    ['near', expected.near],
    ['plain', expected.plain],
  ]) {
    const answers = await several(() => world.call(`/${route}`, { args: { act } }));
    const bad = answers.filter((answer) => !words.test(answer.words));
    t.check(`${act} on ${route}: ${words}`, bad.length === 0, bad[0]?.words);
    t.got.push(`${act}: ${answers[0].words}`);
    t.within(`${act} on ${route}, median`, median(answers) - begins, prompt_millis_max);
    const recovery = await world.call(`/${route}`);
    t.check(`the next call on ${route} succeeds`, recovery.good, recovery.words);
  }
  const { repeated, total } = await seenOf(world, 'echo');
  t.check('each call was sent once', repeated === 0 && total >= 2 * attempts, { repeated, total });
  t.recovered.push('the next call');
  await t.served('the other server', client);
  await closed(t, world);
}

// Calls that are answered oddly, but whole: each caller gets its own answer, also on connections that were used so.
// Where the server ends connections without a word, a call may be on its way then: it must not be sent again.
async function goodAnswer(t, { act, may_meet_the_end = false }) {
  const world = await t.world();
  world.intrude();
  const client = world.steady('/far');
  let lost = 0;
  for (const route of ['/near', '/plain']) {
    const answers = await several(() => world.call(route, { args: { act } }));
    const bad = answers.filter(({ good, words }) => !good && !(may_meet_the_end && refused.test(words)));
    lost += answers.filter(({ good }) => !good).length;
    t.check(`${act} on ${route}: the whole answer`, bad.length === 0, bad[0] && [bad[0].words, bad[0].text]);
  }
  t.check(`${act}: most are answered`, lost <= attempts / 2, lost);
  t.got.push(`${act}: 200, whole${lost > 0 ? `, ${lost} of ${2 * attempts} 502` : ''}`);
  await sleep(100);
  const same = world.steady('/near', { agent: new Agent({ keepAlive: true, maxSockets: 1 }) });
  await sleep(500);
  const { repeated } = await seenOf(world, 'echo');
  t.check('each call was sent once', repeated === 0, repeated);
  t.recovered.push('the next call');
  await t.served('the same server', same);
  await t.served('the other server', client);
}

async function several(one) {
  const answers = [];
  for (let i = 0; i < attempts; i += 1) answers.push(await one());
  return answers;
}

function median(answers) {
  return answers.map(({ ms }) => ms).sort((a, b) => a - b)[answers.length >> 1];
}

async function seenOf(world, tool) {
  const { ids, by_tool } = await world.near.tell({});
  return { repeated: ids.filter(([, times]) => times > 1).length, total: by_tool[tool] };
}

// What the gateway holds open towards the server is gone a while after the last call.
async function closed(t, world) {
  const { open_streams } = await world.near.tell({});
  t.check('no stream is left open', open_streams === 0, open_streams);
}

// Opens connections to a port until the system takes no more for it.
async function fillQueue(port) {
  const sockets = [];
  for (;;) {
    const connected = await Promise.all(
      Array.from(
        { length: 100 },
        () =>
          new Promise((resolve) => {
            const socket = connect(port, '127.0.0.1');
            sockets.push(socket);
            socket.on('error', () => {});
            socket.once('connect', () => resolve(true));
            setTimeout(() => resolve(false), 300);
          }),
      ),
    );
    if (connected.every((is) => !is)) return sockets;
    if (sockets.length > 5000) throw new Error('the queue does not fill');
  }
}

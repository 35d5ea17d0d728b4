// The well-behaved client, in a thread of its own: a call every 50 ms, by turns on a connection that it keeps and on a new
// one. It does not wait for one before it makes the next, so that what it waits for is all counted.

import { readFileSync } from 'node:fs';
import { Agent, request as send } from 'node:https';
import { parentPort, workerData } from 'node:worker_threads';

const every_millis = 50;
const call_millis_max = 20_000;

const { url, token, ca_file } = workerData;
const ca = readFileSync(ca_file);
const kept = new Agent({ ca, keepAlive: true, maxSockets: 1 });
const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'good', arguments: {} } });

let calls = [];
let faults = [];
let turn = 0;
let timer;
const open = new Set();

parentPort.on('message', async (message) => {
  if (message === 'begin') {
    [calls, faults] = [[], []];
    timer = setInterval(() => {
      const call = callOnce(turn++ % 2 ? kept : new Agent({ ca, keepAlive: false })).finally(() => open.delete(call));
      open.add(call);
    }, every_millis);
  } else {
    clearInterval(timer);
    await Promise.all(open);
    parentPort.postMessage({ calls, faults });
  }
});

function callOnce(agent) {
  const began = performance.now();
  return new Promise((done) => {
    let settled = false;
    const settle = (fault) => {
      if (settled) return;
      settled = true;
      clearTimeout(limit);
      if (fault) faults.push(fault);
      else calls.push(performance.now() - began);
      done();
    };
    const headers = {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'content-length': body.length,
    };
    const call = send(url, { method: 'POST', agent, headers }, (answer) => {
      const pieces = [];
      answer.on('data', (piece) => pieces.push(piece));
      answer.on('error', (error) => settle(error.code));
      answer.on('end', () => {
        const text = Buffer.concat(pieces).toString();
        const fine = answer.statusCode === 200 && text.includes('"done"');
        settle(fine ? undefined : `${answer.statusCode} ${answer.headers['gatepost-reason'] ?? text.slice(0, 80)}`);
      });
    });
    call.on('error', (error) => settle(`${error.code}${call.reusedSocket ? ' on the kept connection' : ''}`));
    const limit = setTimeout(() => { settle('no answer in 20 s'); call.destroy(); }, call_millis_max);
    call.end(body);
  });
}

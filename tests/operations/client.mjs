// One HTTP exchange, and what came of it, to the last byte: how a client of the gateway sees a fault.

import { randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';

// Sends a request; resolves, never rejects. `end`: `complete`; `cut`, the answer began and broke off; `none`, no answer (then
// `error` says why); `left`, this side gave up after `millis_max`. `ms` is the time until then, `head_ms` that of the head.
export function ask(origin, path, { method, token, body, headers = {}, agent = false, millis_max = 15_000, onData, send = httpRequest, options = {} } = {}) {
  const payload = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
  const began = performance.now();
  const seen = { status: undefined, reason: undefined, text: '' };
  return new Promise((resolve) => {
    let timer;
    let over = false;
    const finish = (end, error) => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      resolve({ ...seen, end, error: error?.code ?? error?.message, ms: performance.now() - began });
    };
    const request = send(`${origin}${path}`, {
      method: method ?? (payload === undefined ? 'GET' : 'POST'),
      agent,
      headers: {
        ...(token && { authorization: `Bearer ${token}` }),
        ...(payload !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
        accept: payload === undefined ? 'text/event-stream' : 'application/json, text/event-stream',
        ...headers,
      },
      ...options,
    });
    timer = setTimeout(() => { finish('left'); request.destroy(); }, millis_max);
    request.on('error', (error) => finish(seen.status === undefined ? 'none' : 'cut', error));
    request.on('response', (response) => {
      seen.status = response.statusCode;
      seen.reason = response.headers['gatepost-reason'];
      seen.headers = response.headers;
      seen.head_ms = performance.now() - began;
      response.setEncoding('utf8');
      response.on('data', (piece) => {
        seen.text += piece;
        onData?.(piece, () => { finish('left'); request.destroy(); });
      });
      response.on('error', (error) => finish('cut', error));
      response.on('end', () => finish(response.complete ? 'complete' : 'cut'));
      response.on('close', () => finish('cut'));
    });
    request.end(payload);
  });
}

// A call of a tool. `id` comes back in the answer, and the server writes it down.
export function call(tool, args = {}) {
  return { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: tool, arguments: { id: newId(), ...args } } };
}

export const newId = () => randomBytes(8).toString('hex');

// Whether an exchange ended with the whole answer to this very call.
export function isAnswerTo(body, { status, end, text }) {
  return status === 200 && end === 'complete' && text.includes(`"text":"${body.params.arguments.id}"`);
}

// In a few words, what a client got.
export function words({ status, reason, end, error }) {
  if (status === undefined) return end === 'left' ? 'nothing yet' : error ?? end;
  return [status, reason, end === 'complete' ? undefined : end].filter((word) => word !== undefined).join(' ');
}

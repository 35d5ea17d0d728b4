// One HTTP exchange, and what came of it, to the last byte: how a client of the gateway sees a fault.

import { randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';

// Sends a request; resolves, never rejects. `end`: `complete`; `cut`, the answer began and broke off; `none`, no answer
// (then `error` says why); `left`, this side gave up after `millis_max`. `ms` is the time until then, `head_ms` that of
// the head. `sending`: what sends instead of plain HTTP/1.1, and its options.
export function ask(
  origin,
  path,
  { method, token, body, headers = {}, agent = false, millis_max = 15_000, onData, sending = {} } = {},
) {
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
    const { send = httpRequest, ...more } = sending;
    const request = send(`${origin}${path}`, {
      method: method ?? (payload === undefined ? 'GET' : 'POST'),
      agent,
      headers: {
        ...(token && { authorization: `Bearer ${token}` }),
        ...(payload !== undefined && {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(payload),
        }),
        accept: payload === undefined ? 'text/event-stream' : 'application/json, text/event-stream',
        ...headers,
      },
      ...more,
    });
    timer = setTimeout(() => {
      finish('left');
      request.destroy();
    }, millis_max);
    request.on('error', (error) => finish(seen.status === undefined ? 'none' : 'cut', error));
    request.on('finish', () => {
      seen.sent_at = Date.now();
    });
    request.on('response', (response) => {
      seen.status = response.statusCode;
      seen.reason = response.headers['gatepost-reason'];
      seen.headers = response.headers;
      seen.head_ms = performance.now() - began;
      response.setEncoding('utf8');
      response.on('data', (piece) => {
        seen.text += piece;
        onData?.(piece, () => {
          finish('left');
          request.destroy();
        });
      });
      response.on('error', (error) => finish('cut', error));
      response.on('end', () => finish(response.complete ? 'complete' : 'cut'));
      response.on('close', () => finish('cut'));
    });
    request.end(payload);
  });
}

// The same over one HTTP/2 connection, which is made anew once the gateway says that it takes no more (GOAWAY).
export class Http2 {
  constructor(origin, options) {
    Object.assign(this, { origin, options, connections: 0, refused: 0 });
  }

  async ask(path, options = {}) {
    for (;;) {
      const answer = await this.#once(path, options);
      // It was not looked at (RFC 9113 §8.7): sent again, as every client does.
      if (!(answer.end === 'none' && /REFUSED_STREAM|GOAWAY_SESSION|INVALID_SESSION/.test(answer.error))) return answer;
      this.refused += 1;
    }
  }

  close() {
    this.session?.close();
  }

  #open() {
    if (this.session && !this.session.closed && !this.session.destroyed) return this.session;
    this.connections += 1;
    const session = connectHttp2(this.origin, this.options);
    session.on('error', () => {});
    session.on('goaway', () => session.close());
    this.session = session;
    return session;
  }

  #once(path, { token, body, headers = {}, millis_max = 15_000, onData }) {
    const payload = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
    const began = performance.now();
    const seen = { text: '' };
    return new Promise((resolve) => {
      let failure;
      let ended = false;
      let stream;
      const finish = (end) => {
        clearTimeout(timer);
        resolve({
          ...seen,
          end,
          error: failure && `${failure.code ?? ''} ${failure.message}`,
          ms: performance.now() - began,
        });
      };
      const timer = setTimeout(() => {
        finish('left');
        stream?.close();
      }, millis_max);
      try {
        stream = this.#open().request({
          ':method': payload === undefined ? 'GET' : 'POST',
          ':path': path,
          ...(token && { authorization: `Bearer ${token}` }),
          ...(payload !== undefined && { 'content-type': 'application/json' }),
          accept: payload === undefined ? 'text/event-stream' : 'application/json, text/event-stream',
          ...headers,
        });
      } catch (error) {
        failure = error;
        return finish('none');
      }
      stream.setEncoding('utf8');
      stream.on('response', (head) =>
        Object.assign(seen, { status: head[':status'], reason: head['gatepost-reason'], headers: head }),
      );
      stream.on('finish', () => {
        seen.sent_at = Date.now();
      });
      stream.on('data', (piece) => {
        seen.text += piece;
        onData?.(piece);
      });
      stream.on('end', () => {
        ended = true;
      });
      stream.on('error', (error) => {
        failure = error;
      });
      stream.on('close', () => {
        const clean = ended && stream.rstCode === 0 && failure === undefined;
        finish(seen.status === undefined ? 'none' : clean ? 'complete' : 'cut');
      });
      stream.end(payload);
    });
  }
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
  if (status === undefined) return end === 'left' ? 'nothing yet' : (error ?? end);
  return [status, reason, end === 'complete' ? undefined : end].filter((word) => word !== undefined).join(' ');
}

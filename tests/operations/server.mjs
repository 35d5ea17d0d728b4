// An MCP server which writes down each request that reaches it, and answers as the call's argument `act` says. A
// process of its own: `node server.mjs HOST PORT`. Told anything it says what it has seen; told `{quiet: true}` it
// counts alone.

import { createServer } from 'node:http';

import { answerMessages } from './programs.mjs';

const [host, port] = process.argv.slice(2);
// Of each request that reached it: ids that clients gave, by how often; and what must never be there.
const seen = { ids: new Map(), by_tool: {}, streams: 0, open_streams: 0, forbidden: [], with_credentials: 0 };
let hung = [];

// Ways to answer a call: (message, response, request).
const acts = {
  plain: (message, response) => json(response, result(message)),
  stream: (message, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    let left = message.params.arguments.events ?? 3;
    const next = () => {
      if (response.destroyed) return;
      if (left === 0) return response.end(event(result(message)));
      response.write(event({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: left } }));
      left -= 1;
      setTimeout(next, 20);
    };
    next();
  },
  late: (message, response) => setTimeout(() => json(response, result(message)), message.params.arguments.millis),
  die_before_head: (message, response, request) => request.socket.destroy(),
  half_close_before_head: (message, response, request) => request.socket.end(),
  cut_json: (message, response, request) => {
    request.socket.write(head(`content-length: ${text(message).length}`) + text(message).slice(0, 30));
    setTimeout(() => request.socket.resetAndDestroy(), 50);
  },
  half_close_json: (message, response, request) => {
    request.socket.end(head(`content-length: ${text(message).length}`) + text(message).slice(0, 30));
  },
  cut_stream: (message, response, request) => {
    request.socket.write(
      stream_head +
        chunk(event({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 1 } })),
    );
    setTimeout(() => request.socket.resetAndDestroy(), 50);
  },
  half_close_stream: (message, response, request) => {
    request.socket.end(
      stream_head +
        chunk(event({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 1 } })),
    );
  },
  garbage: (message, response, request) => request.socket.write('\x16\x03\x01 nonsense\r\n\r\n\0\0\0'),
  garbage_chunks: (message, response, request) =>
    request.socket.write(`${head('transfer-encoding: chunked')}ZZ\r\nnonsense\r\n`),
  garbage_json: (message, response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"jsonrpc":"2.0",'),
  html: (message, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>It works!</h1>'),
  // What comes after the answer is an answer to nothing: the next caller must not get it.
  garbage_after: (message, response, request) => {
    const body = text(message);
    const second = JSON.stringify({ jsonrpc: '2.0', id: 1, result: { content: [{ type: 'text', text: 'smuggled' }] } });
    request.socket.write(
      `${head(`content-length: ${body.length}`)}${body}${head(`content-length: ${second.length}`)}${second}`,
    );
  },
  bytes: (message, response, request) => {
    const body = text(message);
    // The last answer of its connection: this server would hold back what came behind one that it knows nothing of.
    const all = `${head(`content-length: ${body.length}\r\nconnection: close`)}${body}`;
    let at = 0;
    const timer = setInterval(() => {
      if (at < all.length && !request.socket.destroyed) return request.socket.write(all[at++]);
      clearInterval(timer);
      return request.socket.end();
    }, 4);
  },
  // A good answer, and then the end of a connection that was not said to end.
  close_after: (message, response, request) => {
    const body = text(message);
    request.socket.end(`${head(`content-length: ${body.length}`)}${body}`);
  },
  never: (message, response) => hung.push(response),
  never_ends: (message, response, request) => {
    request.socket.write(head(`content-length: ${text(message).length}`) + text(message).slice(0, 30));
  },
};

const stream_head = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n';
const head = (length) => `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n${length}\r\n\r\n`;
const chunk = (text) => `${text.length.toString(16)}\r\n${text}\r\n`;
const event = (message) => `data: ${JSON.stringify(message)}\n\n`;
const text = (message) => JSON.stringify(result(message));

function result({ id, params }) {
  return { jsonrpc: '2.0', id, result: { content: [{ type: 'text', text: String(params.arguments?.id) }] } };
}

function json(response, body, headers = {}) {
  response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

const tools = ['echo', 'write', 'flip', 'forbidden'].map((name) => ({ name, inputSchema: { type: 'object' } }));

function answer(message, request, response) {
  const { id, method, params } = message;
  if (method === 'initialize') {
    const session = `session-${params.clientInfo?.name}`;
    const about = {
      protocolVersion: params.protocolVersion,
      capabilities: {},
      serverInfo: { name: 'operations', version: '1' },
    };
    return json(response, { jsonrpc: '2.0', id, result: about }, { 'mcp-session-id': session });
  }
  if (method === 'tools/list') return json(response, { jsonrpc: '2.0', id, result: { tools } });
  if (method !== 'tools/call') return json(response, { jsonrpc: '2.0', id, error: { code: -32601, message: method } });
  return (acts[params.arguments?.act] ?? acts.plain)(message, response, request);
}

function note(headers, message) {
  const { id, forbidden } = message?.params?.arguments ?? message?.params?._meta ?? {};
  const tool = message?.params?.name ?? message?.method;
  if (id !== undefined) seen.ids.set(id, (seen.ids.get(id) ?? 0) + 1);
  seen.by_tool[tool] = (seen.by_tool[tool] ?? 0) + 1;
  if (forbidden || tool === 'forbidden') seen.forbidden.push(id ?? tool);
  if (headers.authorization || headers.cookie) seen.with_credentials += 1;
}

const server = createServer((request, response) => {
  response.on('error', () => {});
  if (request.method === 'GET') {
    seen.streams += 1;
    seen.open_streams += 1;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    let number = 0;
    const tick = () =>
      response.write(
        event({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: number++ } }),
      );
    tick();
    const timer = setInterval(tick, 1000);
    response.once('close', () => {
      clearInterval(timer);
      seen.open_streams -= 1;
    });
    return;
  }
  const body = [];
  request.on('data', (piece) => body.push(piece));
  request.on('end', () => {
    if (request.method !== 'POST') return response.writeHead(204).end();
    const message = JSON.parse(Buffer.concat(body).toString());
    note(request.headers, message);
    answer(message, request, response);
  });
});
server.keepAliveTimeout = 5000;
server.on('clientError', (error, socket) => socket.destroy());
server.listen(Number(port), host);
server.once('listening', () =>
  answerMessages(({ quiet }) => ({
    ...seen,
    ids: quiet ? seen.ids.size : [...seen.ids],
  })),
);
process.on('uncaughtException', (error) => {
  console.error(error);
  process.exit(1);
});

// A pass-through between the gateway and a server that writes down what reached the server, and changes nothing; but it
// can cut an answer off.

import { createServer, request as send } from 'node:http';

// Starts one before the server on `port`. `seen` grows by {method, path, rpc, name, headers, status, last_at, pieces}
// for each request: last_at is when the last piece of the answer passed, pieces how many have. Where `isCut(entry)`,
// the answer is broken off before its next piece.
export async function startRecorder(port, isCut = () => false) {
  const seen = [];
  const server = createServer((request, response) => {
    const entry = { method: request.method, path: request.url, headers: request.headers, pieces: 0 };
    seen.push(entry);
    const body = [];
    request.on('data', (chunk) => body.push(chunk));
    request.on('end', () => Object.assign(entry, describe(Buffer.concat(body).toString())));

    const { method, url: path, headers } = request;
    // A connection for each request: one that is kept may be closed by the server just when it is used again.
    const onward = send({ host: '127.0.0.1', port, method, path, headers, agent: false }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      response.flushHeaders();
      entry.status = answer.statusCode;
      answer.on('data', () => {
        entry.last_at = Date.now();
        if (isCut(entry)) response.destroy();
        entry.pieces += 1;
      });
      answer.on('error', () => response.destroy());
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  }).listen(0, '127.0.0.1');
  await new Promise((listening) => server.once('listening', listening));
  const close = () => { server.close(); server.closeAllConnections(); };
  return { url: `http://127.0.0.1:${server.address().port}/mcp`, seen, close };
}

// What a JSON-RPC body asks for: its method, and the name of the tool.
export function describe(body) {
  if (!body) return {};
  const { method, params } = JSON.parse(body);
  return { rpc: method, name: params?.name };
}

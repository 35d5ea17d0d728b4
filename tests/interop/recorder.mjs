// A pass-through between the gateway and a server that writes down what reached the server, and changes nothing.

import { createServer, request as send } from 'node:http';

// Starts one before the server on `port`. `seen` grows by {method, path, rpc, name, headers, last_at} for each request:
// last_at is when the last piece of the answer passed.
export async function startRecorder(port) {
  const seen = [];
  const server = createServer((request, response) => {
    const entry = { method: request.method, path: request.url, headers: request.headers };
    seen.push(entry);
    const body = [];
    request.on('data', (chunk) => body.push(chunk));
    request.on('end', () => Object.assign(entry, describe(Buffer.concat(body).toString())));

    const { method, url: path, headers } = request;
    const onward = send({ host: '127.0.0.1', port, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      response.flushHeaders();
      answer.on('data', () => { entry.last_at = Date.now(); });
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

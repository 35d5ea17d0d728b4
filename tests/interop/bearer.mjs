// A pass-through on the way to the gateway for clients that cannot send a token: it adds one, and changes nothing else.

import { createServer, request as send } from 'node:http';

// Starts one before the gateway on `port`; `token` says which token belongs on a path. Returns its own port.
export async function startBearer(port, token) {
  const server = createServer((request, response) => {
    const { method, url: path, rawHeaders } = request;
    const headers = [...rawHeaders, 'Authorization', `Bearer ${token(path)}`];
    const onward = send({ host: '127.0.0.1', port, method, path, headers, agent: false });
    onward.on('response', (answer) => {
      response.writeHead(answer.statusCode, answer.rawHeaders);
      response.flushHeaders();
      answer.on('error', () => response.destroy());
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  }).listen(0, '127.0.0.1');
  await new Promise((listening) => server.once('listening', listening));
  return server.address().port;
}

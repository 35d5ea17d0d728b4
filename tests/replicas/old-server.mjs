// An MCP server of 2024-11-05: a stream, and an address to post to, whose answers come on the stream. `node old-server.mjs
// PORT`.

import { createServer } from 'node:http';

const streams = new Map();

createServer((request, response) => {
  const url = new URL(request.url, 'http://127.0.0.1');
  if (request.method === 'GET') {
    const session = String(streams.size + 1);
    streams.set(session, response);
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`event: endpoint\ndata: /message?session=${session}\n\n`);
    return;
  }
  let text = '';
  request.on('data', (piece) => (text += piece));
  request.on('end', () => {
    const { id, params } = JSON.parse(text);
    const result = { content: [{ type: 'text', text: String(params?.arguments?.id) }] };
    response.writeHead(202).end();
    const stream = streams.get(url.searchParams.get('session'));
    stream.write(`event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', id, result })}\n\n`);
  });
})
  .listen(Number(process.argv[2]), '127.0.0.1')
  .on('listening', () => process.send({ ready: true }));
process.on('disconnect', () => process.exit(0));

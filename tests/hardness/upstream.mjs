// The MCP server behind the gateway, in a thread of its own: answers at once, and counts what arrives by what it asks for.
// What it must never see it counts as such: a credential, or a request that is none of MCP's.

import { createServer } from 'node:http';
import { parentPort } from 'node:worker_threads';

const quiet_millis = 500;

const seen = {};
const count = (what) => { seen[what] = (seen[what] ?? 0) + 1; };

const server = createServer({ keepAlive: true, keepAliveTimeout: 10_000 }, (request, response) => {
  if (request.headers.authorization !== undefined) count('a credential');
  if (request.method === 'GET') return long(response);
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('end', () => {
    const { id, name } = asked(Buffer.concat(pieces).toString());
    count(name);
    const result = { content: [{ type: 'text', text: name === 'large' ? 'x'.repeat(1 << 20) : 'done' }] };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
  });
});
server.listen(0, '127.0.0.1', 65535, () => parentPort.postMessage(server.address().port));
// What was sent has arrived once nothing more does.
parentPort.on('message', async () => {
  for (let before; before !== JSON.stringify(seen);) {
    before = JSON.stringify(seen);
    await new Promise((next) => setTimeout(next, quiet_millis));
  }
  parentPort.postMessage({ ...seen });
});

// The id, and the tool, or what else it was.
function asked(body) {
  try {
    const { id, method, params } = JSON.parse(body);
    return { id, name: method === 'tools/call' ? params.name : method };
  } catch {
    return { name: 'no JSON' };
  }
}

// A stream of four megabytes of events, as fast as they are taken.
function long(response) {
  count('stream');
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const event = `data: {"jsonrpc":"2.0","method":"notifications/message","params":{"data":"${'x'.repeat(8000)}"}}\n\n`;
  let left = 512;
  const write = () => {
    while (left > 0 && !response.destroyed) {
      left -= 1;
      if (!response.write(event)) return;
    }
    response.end();
  };
  response.on('drain', write);
  write();
}

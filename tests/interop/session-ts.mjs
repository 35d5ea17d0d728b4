// A client on the TypeScript SDK in a session that goes both ways: the server asks it back, its call reports progress,
// is cut off and taken up again, is cancelled.
//
// Arguments: sdk | client (version 1 or 2), and the URL of the MCP server. Prints what it saw as one line of JSON,
// judging nothing (see session.mjs).

const [which, url] = process.argv.slice(2);
const first_version = which === 'sdk';
const types = first_version ? await import('@modelcontextprotocol/sdk/types.js') : undefined;
const { Client, StreamableHTTPClientTransport } = first_version
  ? {
      ...(await import('@modelcontextprotocol/sdk/client/index.js')),
      ...(await import('@modelcontextprotocol/sdk/client/streamableHttp.js')),
    }
  : await import('@modelcontextprotocol/client');

const client = new Client({ name: 'interop', version: '1' }, { capabilities: { sampling: {}, elicitation: {} } });
const asked = [];
const answering = (method, schema, answer) =>
  client.setRequestHandler(first_version ? types[schema] : method, () => {
    asked.push(method);
    return answer;
  });
const content = { type: 'text', text: 'the model says hello' };
answering('sampling/createMessage', 'CreateMessageRequestSchema', { role: 'assistant', content, model: 'none' });
answering('elicitation/create', 'ElicitRequestSchema', { action: 'accept', content: { name: 'Ada Lovelace' } });

const transport = new StreamableHTTPClientTransport(new URL(url));
await client.connect(transport);
const slow = 'trigger-long-running-operation';
const sampled = await call('trigger-sampling-request', { prompt: 'hello' });
const elicited = await call('trigger-elicitation-request', {});
const reported = await call(slow, { duration: 0.4, steps: 4 });
const resumed = await call(slow, { duration: 0.4, steps: 4 });
const abort = new AbortController();
const cancelled = await call(slow, { duration: 4, steps: 20 }, abort);
const after = await call('echo', { message: 'still here' });
await transport.terminateSession();
await client.close();
console.log(JSON.stringify({ asked, sampled, elicited, reported, resumed, cancelled, after }));

// Calls a tool; `abort` is used as soon as it reports progress.
async function call(name, args, abort) {
  const progress = [];
  const onprogress = ({ progress: step, total }) => {
    progress.push(`${step}/${total}`);
    abort?.abort('enough');
  };
  const request = { name, arguments: args };
  const options = { onprogress, signal: abort?.signal };
  try {
    const calling = first_version ? client.callTool(request, undefined, options) : client.callTool(request, options);
    return { text: textOf(await calling), progress };
  } catch (error) {
    return { error: String(error), progress };
  }
}

function textOf({ content }) {
  return content.map(({ text }) => text).join('\n');
}

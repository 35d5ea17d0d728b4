// What both servers in JavaScript need: the fixtures, and what is done with them.

import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const rest_millis = 50;

export const fixtures = JSON.parse(readFileSync(join(import.meta.dirname, 'fixtures.json'), 'utf8'));

// Writes down that a tool runs.
export function record(tool) {
  if (process.env.CALLS_FILE) appendFileSync(process.env.CALLS_FILE, `${tool}\n`);
}

// The pause that some fixtures make between two steps.
export function resting() {
  return new Promise((next) => setTimeout(next, rest_millis));
}

// The result of prompts/get; undefined when there is no such prompt.
export function promptOf({ name, arguments: given }) {
  const messages = fixtures.messages[name];
  return messages && { messages: filled(messages, given ?? {}).map((content) => ({ role: 'user', content })) };
}

// The result of resources/read; undefined when there is no such resource.
export function contentsOf(uri) {
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
  const contents = fixtures.contents[id === undefined ? uri : 'test://template/${id}/data'];
  return contents && { contents: [{ uri, ...filled(contents, { id }) }] };
}

// Keeps every event of a session, so that a stream can be taken up again.
export class EventStore {
  #events = [];

  async storeEvent(stream, message) {
    return String(this.#events.push({ stream, message }));
  }

  async getStreamIdForEventId(id) {
    return this.#events[id - 1]?.stream;
  }

  async replayEventsAfter(id, { send }) {
    const { stream } = this.#events[id - 1];
    for (let at = Number(id); at < this.#events.length; at += 1) {
      const event = this.#events[at];
      const isPriming = Object.keys(event.message).length === 0;
      if (event.stream === stream && !isPriming) await send(String(at + 1), event.message);
    }
    return stream;
  }
}

// The value with each ${name} in its strings replaced.
function filled(value, given) {
  const replaced = (_, string) => (typeof string === 'string' ? string.replace(/\$\{(\w+)\}/g, (_, name) => given[name]) : string);
  return JSON.parse(JSON.stringify(value, replaced));
}

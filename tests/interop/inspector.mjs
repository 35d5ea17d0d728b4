// MCP Inspector's page in Chromium, in both versions that people have.
//
// Version 1 in direct mode: the page itself speaks to the gateway and to the authorization server, so all that browsers
// check (origins, preflights, the consent page's policy) is checked here. Version 2 has no such mode: its own server
// speaks for the page. Screenshots go to .cache/screenshots/, for a person to look at.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { chromium } from 'playwright-core';

import { isSame, report } from './checks.mjs';
import { node } from './clients.mjs';
import { start } from './programs.mjs';

const step_millis_max = 20_000;
const desktop = { width: 1280, height: 900 };
const phone = { width: 390, height: 844 };
const shots = join(import.meta.dirname, '.cache/screenshots');

// The demo lets in the page of Inspector's own port, and no other.
const origin = 'http://127.0.0.1:6274';
const settings = { HOST: '127.0.0.1', CLIENT_PORT: new URL(origin).port, MCP_AUTO_OPEN_ENABLED: 'false' };

const inspectors = {
  'MCP Inspector 1': {
    command: () => [node, 'node_modules/@modelcontextprotocol/inspector-client/bin/client.js'],
    env: () => settings,
    connect: async (page, url) => {
      await choose(page, '#transport-type-select', 'Streamable HTTP');
      await page.fill('#sse-url-input', url);
      await choose(page, '#connection-type-select', 'Direct');
      await page.getByRole('button', { name: 'Connect', exact: true }).click();
    },
    listTools: async (page) => {
      await page.getByRole('tab', { name: 'Tools' }).click();
      await page.getByRole('button', { name: 'List Tools' }).click();
      return page.locator('div.cursor-pointer span.truncate');
    },
    callTool: async (page, tool) => {
      await page.locator('div.cursor-pointer').filter({ hasText: tool }).click();
      await page.getByRole('button', { name: 'Run Tool' }).click();
      await page.getByText('Tool Result:').waitFor();
      return (await page.getByText('Tool Result:').innerText()).includes('Success');
    },
  },
  'MCP Inspector 2': {
    command: (url) => {
      const launcher = 'node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js';
      return [node, launcher, '--web', '--transport', 'http', '--server-url', url];
    },
    // It keeps logins on disk.
    env: (folder) => ({
      ...settings,
      HOME: folder,
      MCP_STORAGE_DIR: folder,
      MCP_INSPECTOR_SECRET_STORE: 'memory',
      MCP_SANDBOX_PORT: '0',
      MCP_APP_ORIGIN_PORT: '0',
    }),
    connect: (page) => page.getByRole('switch').first().click({ force: true }),
    listTools: async (page) => {
      await page.getByText('Tools', { exact: true }).first().click();
      return page.locator('button.list-item p');
    },
  },
};

// Connects to the demo at `url` with each version, once as each of `people`: names with the tools that they may see.
export async function playInspector(url, people) {
  mkdirSync(shots, { recursive: true });
  for (const [name, inspector] of Object.entries(inspectors)) {
    for (const [person, tools] of Object.entries(people)) await visit(name, inspector, url, person, tools);
  }
}

// One visit: Inspector as it comes, in a browser that has never been anywhere. Nothing of either is left.
async function visit(name, inspector, url, person, tools) {
  const who = `demo: ${name} as ${person}`;
  const folder = mkdtempSync(join(tmpdir(), 'gatepost-inspector-'));
  const served = start(name, inspector.command(url), inspector.env(folder));
  const picture = (what) => join(shots, `${name} ${what} ${person}.png`.toLowerCase().replaceAll(' ', '-'));
  let browser;
  try {
    browser = await startChromium(join(folder, 'profile'));
    const [page] = browser.pages();
    await page.goto(await pageOf(served));
    await inspector.connect(page, url);
    await consent(page, who, person, picture);
    await page.waitForURL(`${origin}/**`);
    const listed = await inspector.listTools(page);
    await listed.first().waitFor();
    const names = await listed.allInnerTexts();
    await page.screenshot({ path: picture('tools') });
    report(`${who}: sees the tools of this person, and no others`, isSame(names, tools), names);
    if (inspector.callTool) report(`${who}: a call succeeds`, await inspector.callTool(page, 'list_notes'));
  } catch (error) {
    await browser?.pages()[0]?.screenshot({ path: picture('failed') }).catch(() => {});
    report(`${who}: goes to its end`, false, [String(error), ...served.errors.slice(-5)]);
  } finally {
    await browser?.close();
    served.child.kill('SIGKILL');
    await served.exited;
    rmSync(folder, { recursive: true, force: true });
  }
}

// The address that Inspector prints, once it listens there.
async function pageOf(served) {
  for (;;) {
    const printed = served.lines.map((line) => /http:\/\/127\.0\.0\.1:6274\S*/.exec(line)?.[0]).find(Boolean);
    if (printed) return printed;
    await served.line();
  }
}

// Chromium that reaches loopback and nothing else, as somebody who has never been anywhere.
export async function startChromium(profile) {
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: '/usr/bin/chromium',
    headless: true,
    viewport: desktop,
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
    ],
  });
  browser.setDefaultTimeout(step_millis_max);
  return browser;
}

async function choose(page, select, option) {
  await page.click(select);
  await page.getByRole('option', { name: option, exact: true }).click();
}

async function consent(page, who, person, picture) {
  await page.waitForSelector('form[action="/authorize"]');
  for (const [screen, size] of Object.entries({ desktop, phone })) {
    await page.setViewportSize(size);
    await page.screenshot({ path: picture(`consent-${screen}`), fullPage: true });
    const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    report(`${who}: the consent page is no wider than a ${screen}`, beyond <= 0, beyond);
  }
  await page.setViewportSize(desktop);
  await page.check(`input[name=person][value=${person}]`);
  await page.click('button[name=decision][value=allow]');
}

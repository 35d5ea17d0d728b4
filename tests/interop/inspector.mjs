// MCP Inspector's page in Chromium, in direct mode: the page itself speaks to the gateway and to the authorization
// server, so what browsers check (CORS, preflights, the consent page's own policy) is checked here.
//
// Screenshots go to .cache/screenshots/, for a person to look at.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { chromium } from 'playwright-core';

import { isSame, report } from './checks.mjs';
import { node } from './clients.mjs';
import { start } from './programs.mjs';

// The demo lets in the page of these origins alone: Inspector's own port, and no other.
const page_url = 'http://127.0.0.1:6274/';
const step_millis_max = 20_000;
const desktop = { width: 1280, height: 900 };
const phone = { width: 390, height: 844 };
const shots = join(import.meta.dirname, '.cache/screenshots');

// Connects to the demo at `url` once as each of `people`, who are names with the tools that they may see.
export async function playInspector(url, people) {
  mkdirSync(shots, { recursive: true });
  const served = start('page of MCP Inspector', [node, 'node_modules/@modelcontextprotocol/inspector-client/bin/client.js'], {
    HOST: '127.0.0.1',
    CLIENT_PORT: new URL(page_url).port,
    MCP_AUTO_OPEN_ENABLED: 'false',
  });
  await served.line();
  for (const [person, tools] of Object.entries(people)) {
    await inChromium(async (page) => {
      const who = `demo: MCP Inspector as ${person}`;
      try {
        await connect(page, url);
        await consent(page, who, person);
        await listTools(page, who, person, tools);
      } catch (error) {
        await page.screenshot({ path: join(shots, `failed-${person}.png`) }).catch(() => {});
        report(`${who}: goes to its end`, false, String(error));
      }
    });
  }
}

// Runs a visit in a browser that has never been anywhere, and leaves nothing of it.
async function inChromium(visit) {
  const profile = mkdtempSync(join(tmpdir(), 'gatepost-chromium-'));
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: '/usr/bin/chromium',
    headless: true,
    viewport: desktop,
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync',
    ],
  });
  try {
    browser.setDefaultTimeout(step_millis_max);
    await visit(browser.pages()[0] ?? (await browser.newPage()));
  } finally {
    await browser.close();
    rmSync(profile, { recursive: true, force: true });
  }
}

async function connect(page, url) {
  await page.goto(page_url);
  await choose(page, '#transport-type-select', 'Streamable HTTP');
  await page.fill('#sse-url-input', url);
  await choose(page, '#connection-type-select', 'Direct');
  await page.getByRole('button', { name: 'Connect', exact: true }).click();
}

async function choose(page, select, option) {
  await page.click(select);
  await page.getByRole('option', { name: option, exact: true }).click();
}

async function consent(page, who, person) {
  await page.waitForSelector('form[action="/authorize"]');
  const overflow = async () => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  await page.screenshot({ path: join(shots, `consent-${person}.png`), fullPage: true });
  report(`${who}: the consent page fits a screen`, (await overflow()) <= 0, await overflow());
  await page.setViewportSize(phone);
  await page.screenshot({ path: join(shots, `consent-${person}-phone.png`), fullPage: true });
  report(`${who}: the consent page fits a phone`, (await overflow()) <= 0, await overflow());
  await page.setViewportSize(desktop);
  await page.check(`input[name=person][value=${person}]`);
  await page.click('button[name=decision][value=allow]');
}

async function listTools(page, who, person, tools) {
  await page.waitForURL(`${page_url}**`);
  await page.getByRole('tab', { name: 'Tools' }).click();
  await page.getByRole('button', { name: 'List Tools' }).click();
  const panel = page.getByRole('tabpanel', { name: 'Tools' });
  await panel.getByText('list_notes', { exact: true }).first().waitFor();
  const listed = await panel.locator('div.cursor-pointer span.truncate').allInnerTexts();
  report(`${who}: sees the tools of this person, and no others`, isSame(listed, tools), listed);
  await page.screenshot({ path: join(shots, `tools-${person}.png`) });
}

// The status page in Chromium: what is refused shows within a second, with its reason and rule; names that try to be markup
// stay text; the page's own policy holds; it can be used by keyboard, on a phone, in the dark. Screenshots go to
// .cache/screenshots/, for a person to look at.

import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { report } from './checks.mjs';
import { startChromium } from './inspector.mjs';
import { answering, freePort, start } from './programs.mjs';

const desktop = { width: 1280, height: 900 };
const phone = { width: 390, height: 844 };
const shots = join(import.meta.dirname, '.cache/screenshots');
const issuer = 'http://127.0.0.1:9/realms/acme';
const markup = '<img src=x onerror=document.title="owned">';
const check = (what, held, got) => report(`status page: ${what}`, held, got);

// Plays all of it.
export async function playStatus() {
  mkdirSync(shots, { recursive: true });
  const folder = mkdtempSync(join(tmpdir(), 'gatepost-status-'));
  const server = await startServer();
  let browser;
  try {
    const gateway = await startGateway(folder, server.address().port);
    browser = await startChromium(join(folder, 'profile'));
    const [page] = browser.pages();
    await look(page, gateway);
  } catch (error) {
    await browser?.pages()[0]?.screenshot({ path: join(shots, 'status-failed.png') }).catch(() => {});
    check('goes to its end', false, String(error.stack));
  } finally {
    await browser?.close();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function look(page, gateway) {
  const { admin, call } = gateway;
  const requests = [];
  const said = [];
  page.on('request', (request) => requests.push(request.url()));
  page.on('console', (message) => said.push(message.text()));
  page.on('pageerror', (error) => said.push(String(error)));
  await page.addInitScript(() => {
    window.violations = [];
    document.addEventListener('securitypolicyviolation', (event) => window.violations.push(event.violatedDirective));
  });
  await page.setViewportSize(desktop);
  for (const name of ['get_note', 'list_notes', 'search_notes']) await call(name, 'notes:read');
  await page.goto(admin);
  await page.locator('#state', { hasText: 'ready' }).waitFor();
  const rows = page.locator('#decided tr');
  await rows.filter({ hasText: 'get_note' }).waitFor();
  check('what was decided before stands there', (await rows.count()) === 3, await rows.allInnerTexts());

  const begun = Date.now();
  const status = await call('delete_note', 'notes:read');
  const refused = rows.filter({ hasText: 'delete_note' });
  await refused.waitFor();
  const took = Date.now() - begun;
  const text = (await refused.innerText()).replace(/\s+/g, ' ');
  check('a refused call shows within a second', status === 403 && took < 1000, { status, took });
  check('with its reason, its rule and its line', /refused .*insufficient_scope.* rules\[2\] line \d+$/.test(text), text);
  await refused.getByRole('link').click();
  const rule = await page.locator(':target').innerText();
  check('its rule leads to where it stands in the policy', /rules\[2\].*delete_note/s.test(rule), rule);

  await call(markup, 'notes:read');
  await rows.filter({ hasText: markup }).waitFor();
  const images = await page.evaluate(() => document.images.length);
  check('a name that is markup stays text', images === 0 && (await page.title()) === 'Gatepost', images);

  for (const [name, scope] of [['purge_notes', 'notes:read notes:write'], ['create_note', 'notes:write'], ['break', 'notes:read']]) {
    await call(name, scope);
  }
  await call('get_note', 'notes:read', 'tickets');
  for (const name of ['close_ticket', 'reopen_ticket']) await call(name, 'notes:read', 'tickets');
  await rows.filter({ hasText: 'would deny' }).waitFor();
  await keyboard(page, rows, call);
  await pictures(page);
  const elsewhere = requests.filter((url) => !url.startsWith(admin));
  check('nothing is loaded from elsewhere', elsewhere.length === 0, elsewhere);
  const violations = await page.evaluate(() => window.violations);
  check('its policy is not violated, and nothing fails in it', violations.length === 0 && said.length === 0, { violations, said });

  gateway.stop();
  await page.locator('#state', { hasText: 'no answer' }).waitFor();
  check('a gateway that is gone is said to be', await page.locator('#trouble').isVisible());
}

async function keyboard(page, rows, call) {
  await page.evaluate(() => { location.hash = ''; scrollTo(0, 0); document.activeElement.blur(); });
  const order = [];
  for (let step = 0; step < 40; step++) {
    await page.keyboard.press('Tab');
    const [name, outlined] = await page.evaluate(() => {
      const { activeElement: at } = document;
      // Nothing has it before the first step, and after the last.
      if (at === document.body) return ['', true];
      const outline = getComputedStyle(at).outlineStyle !== 'none';
      return [at.id || at.getAttribute('aria-labelledby') || at.getAttribute('aria-label') || at.textContent, outline];
    });
    order.push(name);
    if (!outlined) check(`focus shows on ${name}`, false);
    if (name === 'pause') break;
  }
  check('links, the filter and the pause are reached by Tab', order.includes('refused') && order.at(-1) === 'pause', order);
  await page.keyboard.press('Space');
  await call('echo_while_paused', 'notes:read');
  await new Promise((later) => setTimeout(later, 1200));
  const meanwhile = await rows.filter({ hasText: 'echo_while_paused' }).count();
  await page.keyboard.press('Space');
  await rows.filter({ hasText: 'echo_while_paused' }).waitFor();
  check('pausing holds the page still, and going on shows what was missed', meanwhile === 0, meanwhile);
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Space');
  const shown = await rows.filter({ visible: true }).allInnerTexts();
  check('the filter leaves what was not allowed', shown.length > 0 && shown.every((row) => !/\tallowed/.test(row)), shown);
  await page.keyboard.press('Space');
}

async function pictures(page) {
  await page.evaluate(() => { document.activeElement.blur(); scrollTo(0, 0); });
  for (const [screen, size] of Object.entries({ desktop, phone })) {
    for (const colorScheme of ['light', 'dark']) {
      await page.setViewportSize(size);
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: join(shots, `status-${screen}-${colorScheme}.png`), fullPage: true });
    }
    const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    check(`no wider than a ${screen}`, beyond <= 0, beyond);
  }
  await page.setViewportSize(desktop);
}

// An MCP server that answers every call, but for one that it breaks off.
async function startServer() {
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const piece of request) body += piece;
    const { id, params } = JSON.parse(body);
    if (params.name === 'break') return response.destroy();
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify({ jsonrpc: '2.0', id, result: { content: [] } }));
  });
  await new Promise((listens) => server.listen(0, '127.0.0.1', listens));
  return server;
}

// The gateway with two routes and an issuer whose key is ours; `call` calls a tool and returns the status.
async function startGateway(folder, upstream) {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'k', alg: 'ES256', use: 'sig' };
  writeFileSync(join(folder, 'jwks.json'), JSON.stringify({ keys: [jwk] }));
  const [port, adminPort] = [await freePort(), await freePort()];
  const origin = `http://127.0.0.1:${port}`;
  const admin = `http://127.0.0.1:${adminPort}/`;
  const file = join(folder, 'gatepost.yaml');
  writeFileSync(file, `listen: 127.0.0.1:${port}
admin: {listen: 127.0.0.1:${adminPort}}
authorization_servers:
  - issuer: ${issuer}
    jwks_file: jwks.json
routes:
  - name: notes
    path: /notes/mcp
    upstream: http://127.0.0.1:${upstream}/mcp
    required_scopes: [notes:read]
    rules:
      - tools: [purge_notes]
        deny: true
      - tools: [get_*, list_*, search_*, echo_*, break]
        scopes: [notes:read]
      - tools: [create_note, edit_note, delete_note]
        scopes: [notes:write]
      - prompts: ["*"]
        any_scope: [notes:read, notes:write]
      - resources: ["note://**"]
        scopes: [notes:read]
  - name: tickets
    path: /tickets/mcp
    upstream: http://127.0.0.1:${upstream}/mcp
    mode: report
    rules:
      - tools: [get_*]
        allow: true
      - tools: [close_ticket]
        scopes: ["tickets:{tool}"]
        mode: enforce
`);
  const program = start('gateway', [process.env.GATEPOST, 'run', '--config', file]);
  await answering(program, new URL('/readyz', admin));
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const token = (scope, route) => {
    const exp = Math.floor(Date.now() / 1000) + 600;
    const claims = { iss: issuer, sub: 'ada@example.com', client_id: 'inspector', aud: `${origin}/${route}/mcp`, scope, exp, iat: exp - 600, jti: 'x' };
    const signed = `${part({ alg: 'ES256', typ: 'at+jwt', kid: 'k' })}.${part(claims)}`;
    const signature = sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' });
    return `${signed}.${signature.toString('base64url')}`;
  };
  const call = async (name, scope, route = 'notes') => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: {} } });
    const headers = {
      'Content-Type': 'application/json',
      Accept: 'application/json, text/event-stream',
      Authorization: `Bearer ${token(scope, route)}`,
    };
    const answer = await fetch(`${origin}/${route}/mcp`, { method: 'POST', headers, body });
    await answer.text();
    return answer.status;
  };
  return { admin, call, stop: () => program.child.kill('SIGKILL') };
}

// What scanners of TLS say, judged. The certificate is the test's own: what they say of its issuer is no finding.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

// Findings of testssl.sh that are about the test's certificate, or about a server of web pages: a certificate that is its own
// issuer, for two days, without revocation; and a redirect or headers for browsers.
const of_the_test = /^(cert_|cert(\b|$)|OCSP|CRL|HSTS|HPKP|security_headers|DNS_CAArecord|banner_|HTTP_|cookie|overall_grade|final_score|engine_problem|scanTime|trust|CAA|chain)/;

const testssl_secs_max = 400;

// Protocols and suites by sslscan.
export async function sslscan(at, folder, tool) {
  const file = join(folder, 'sslscan.xml');
  await tool(['sslscan', '--no-colour', `--xml=${file}`, at], 120);
  const xml = readFileSync(file, 'utf8');
  const found = [];
  const enabled = [...xml.matchAll(/<protocol type="(\w+)" version="([\d.]+)" enabled="1"/g)].map(([, type, version]) => `${type} ${version}`);
  for (const protocol of enabled) if (!/^tls 1\.[23]$/i.test(protocol)) found.push(`offers ${protocol}`);
  const suites = [...xml.matchAll(/<cipher status="\w+" sslversion="([^"]+)" bits="(\d+)" cipher="([^"]+)"/g)];
  for (const [, version, bits, suite] of suites) {
    if (bits < 128 || !/GCM|CHACHA20/.test(suite) || !/^(TLS_|ECDHE)/.test(suite)) found.push(`offers ${suite} in ${version}`);
  }
  if (suites.length === 0) found.push(`it saw no suite\n${xml.slice(0, 500)}`);
  if (/<renegotiation supported="1" secure="0"/.test(xml)) found.push('insecure renegotiation');
  if (/<compression supported="1"/.test(xml)) found.push('TLS compression');
  if (/vulnerable="1"/.test(xml)) found.push('Heartbleed');
  return { came: `${enabled.join(', ')}; ${suites.length} suites, all AEAD with ECDHE`, found };
}

// testssl.sh: protocols, suites, forward secrecy, certificate, and the attacks by name that could apply where there is no CBC and
// no RSA key exchange.
export async function testssl(at, folder, tool) {
  const file = join(folder, 'testssl.json');
  const parts = ['-p', '-s', '-f', '-S', '-R', '-C', '-H', '-I', '-BB', '-O', '-W', '-F', '-J', '-4', '--quiet', '--warnings', 'off', '--color', '0', '--ip', '127.0.0.1'];
  const text = await tool(['testssl', ...parts, '--jsonfile', file, at], testssl_secs_max);
  const results = JSON.parse(readFileSync(file, 'utf8'));
  const said = Object.fromEntries(results.map(({ id, finding }) => [id, finding]));
  const bad = results.filter(({ id, severity }) => /LOW|MEDIUM|HIGH|CRITICAL|FATAL/.test(severity) && !of_the_test.test(id));
  const found = bad.map(({ id, severity, finding }) => `${severity} ${id}: ${finding}`);
  for (const old of ['SSLv2', 'SSLv3', 'TLS1', 'TLS1_1']) {
    if (!/^not offered/.test(said[old] ?? '')) found.push(`${old}: ${said[old]}`);
  }
  if (!/^offered/.test(said.TLS1_3 ?? '')) found.push(`it did not come to its end\n${text.slice(-600)}`);
  return { came: `${results.length} results, ${bad.length} of them low or worse`, found };
}

// What the scanners do not look at, or only in passing.
export async function lowSpots(at, tool) {
  const found = [];
  const client = (input, ...options) => tool(['openssl', 's_client', '-connect', at, '-servername', 'localhost', ...options], 20, input);
  // A request, so that the ticket has come by the time the connection ends.
  const get = `GET / HTTP/1.1\r\nHost: ${at}\r\nConnection: close\r\n\r\n`;
  const newest = await client(get, '-tls1_3', '-ign_eof');
  const early = [...newest.matchAll(/Max Early Data: (\d+)/g)].map(([, bytes]) => Number(bytes));
  if (!/New, TLSv1.3/.test(newest)) found.push(`no TLS 1.3\n${newest.slice(-600)}`);
  if (early.some((bytes) => bytes > 0)) found.push(`takes ${early} bytes of early data`);
  if (!/Compression: NONE/.test(newest)) found.push('TLS compression');
  const older = await client('R\n', '-tls1_2');
  if (!/New, TLSv1.2/.test(older)) found.push(`no TLS 1.2\n${older.slice(-600)}`);
  if (/RENEGOTIATING\s+(depth|verify)/.test(older)) found.push('renegotiates');
  for (const old of ['-tls1', '-tls1_1']) {
    const text = await client(get, old, '-cipher', 'ALL:@SECLEVEL=0');
    if (/New, TLSv1(\.1)?,/.test(text)) found.push(`offers ${old}`);
  }
  return { came: `early data: ${early.length > 0 ? Math.max(...early) : 'no ticket'}; no renegotiation, no compression`, found };
}

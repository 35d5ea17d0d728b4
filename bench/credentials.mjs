// Keys, a certificate and access tokens of a run, in files of one folder: what the peers read, and what `load` sends.

import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, sign } from 'node:crypto';
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

export const audience = 'https://mcp.example.com/mcp';

// A caller who may use what only reads.
const usual = { sub: 'auth0|5f7c8ec7c33c6c004bbafe82', client_id: 'desktop-assistant', scope: 'mcp things:read' };

const kinds = {
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
};

// An authorization server, in keys: `jwks` is a file in `folder/jwks`, `pem` one for each algorithm.
export class Issuer {
  constructor(folder, name, algorithms = Object.keys(kinds)) {
    mkdirSync(join(folder, 'jwks'), { recursive: true });
    Object.assign(this, { folder, name, url: `https://${name}.example.com/realms/acme`, keys: {}, pem: {} });
    const jwks = [];
    for (const algorithm of algorithms) {
      const { privateKey, publicKey } = kinds[algorithm]();
      const kid = `${name}-${algorithm}`;
      this.keys[algorithm] = { kid, privateKey };
      this.pem[algorithm] = join(folder, `${kid}.pem`);
      writeFileSync(this.pem[algorithm], publicKey.export({ format: 'pem', type: 'spki' }));
      jwks.push({ ...publicKey.export({ format: 'jwk' }), kid, alg: algorithm, use: 'sig' });
    }
    this.jwks = JSON.stringify({ keys: jwks });
    writeFileSync(join(folder, 'jwks', name), this.jwks);
  }

  mint(algorithm, number, claims = {}) {
    const { kid, privateKey } = this.keys[algorithm];
    const now = Math.floor(Date.now() / 1000);
    const all = {
      iss: this.url,
      aud: audience,
      iat: now - 5,
      exp: now + 86_400,
      jti: `${number}`,
      ...usual,
      ...claims,
    };
    const signed = [{ alg: algorithm, typ: 'at+jwt', kid }, all]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    const signature = sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' });
    return `${signed}.${signature.toString('base64url')}`;
  }

  // A file of `count` tokens, no two alike.
  tokens(name, algorithm, count, claims) {
    const file = join(this.folder, name);
    const out = openSync(file, 'w');
    for (let number = 0; number < count; number += 1) writeSync(out, `${this.mint(algorithm, number, claims)}\n`);
    closeSync(out);
    return file;
  }

  // A token whose signature is another token's.
  forged(name, algorithm) {
    const [good, other] = [this.mint(algorithm, 'forged'), this.mint(algorithm, 'other')];
    const file = join(this.folder, name);
    writeFileSync(file, [...good.split('.').slice(0, 2), other.split('.')[2]].join('.'));
    return file;
  }
}

// A certificate for localhost: `crt`, `key`, and both in one file as HAProxy wants them.
export function certificate(folder) {
  const [crt, key, both] = ['tls.crt', 'tls.key', 'tls.pem'].map((name) => join(folder, name));
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  const made = [
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '7',
    '-keyout',
    key,
    '-out',
    crt,
  ];
  execFileSync('openssl', ['req', '-x509', ...made, ...subject, '-addext', 'basicConstraints=critical,CA:FALSE'], {
    stdio: 'ignore',
  });
  execFileSync('sh', ['-c', 'cat "$0" "$1" >"$2"', crt, key, both]);
  return { crt, key, both };
}

// Signing keys and the access tokens (RFC 9068) that they sign.

import { generateKeyPairSync, sign } from 'node:crypto';

// A signing key: `jwk` is its public half.
export function newKey(kid) {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { kid, privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' } };
}

// An access token by `key`; `claims` go over the usual ones.
export function mint(key, issuer, claims = {}) {
  const now = Math.floor(Date.now() / 1000);
  const usual = {
    iss: issuer,
    sub: 'alice',
    client_id: 'operations',
    aud: 'operations',
    scope: 'read',
    iat: now,
    exp: now + 7200,
  };
  const head = { alg: 'ES256', typ: 'at+jwt', kid: key.kid };
  const signed = [head, { ...usual, ...claims }]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  const signature = sign('sha256', Buffer.from(signed), { key: key.privateKey, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${signature.toString('base64url')}`;
}

// The same token with a signature that is not right.
export function forged(token) {
  const at = token.length - 20;
  return token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1);
}

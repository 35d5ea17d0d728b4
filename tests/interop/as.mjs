// A real authorization server: oidc-provider with registration, PKCE, resource indicators and JWT access tokens.
//
// Arguments: `strict` (as it comes: a client may never ask for a scope that it did not register with) or `lenient`
// (the scope of a registration is ignored). Prints its issuer on the first line of stdout once it listens. Who logs in,
// and to what they consent, is posted to the interaction's page by the browser (browser.mjs).

import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';

import Provider from 'oidc-provider';

const lenient = process.argv[2] === 'lenient';
const scopes = ['tools:read', 'tools:write'];

const server = createServer((request, response) => answer(request, response)).listen(0, '127.0.0.1');
await new Promise((listening) => server.once('listening', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const provider = new Provider(issuer, {
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'interop', alg: 'RS256', use: 'sig' }] },
  cookies: { keys: ['loopback only'] },
  scopes: ['openid', 'offline_access', ...scopes],
  pkce: { required: () => true },
  findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  interactions: { url: (_, { uid }) => `/interaction/${uid}` },
  features: {
    devInteractions: { enabled: false },
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, resource) => ({
        audience: resource,
        scope: scopes.join(' '),
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
});
const callback = provider.callback();
console.log(issuer);

async function answer(request, response) {
  try {
    const { pathname } = new URL(request.url, issuer);
    if (request.method === 'POST' && pathname.startsWith('/interaction/')) return await interact(request, response);
    if (request.method === 'POST' && pathname === '/reg' && lenient) {
      const { scope, ...registration } = await json(request);
      request.body = registration;
    }
    callback(request, response);
  } catch (error) {
    console.error(error);
    response.writeHead(500).end();
  }
}

// One post logs the person in and states which scopes they agree to; what else the client asked for is refused to it.
async function interact(request, response) {
  const { accountId, agreed } = await json(request);
  const { params } = await provider.interactionDetails(request, response);
  const asked = params.scope.split(' ');
  const given = asked.filter((scope) => agreed.includes(scope)).join(' ');
  const refused = asked.filter((scope) => !agreed.includes(scope)).join(' ');

  const grant = new provider.Grant({ accountId, clientId: params.client_id });
  grant.addOIDCScope(given);
  grant.rejectOIDCScope(refused);
  grant.addResourceScope(params.resource, given);
  grant.rejectResourceScope(params.resource, refused);
  await provider.interactionFinished(request, response, {
    login: { accountId },
    consent: { grantId: await grant.save() },
  });
}

// An authorization server for a test: oidc-provider, an OpenID-certified server, with what the draft asks of one.
//
// Clients authenticate with mutual TLS (RFC 8705) and get tokens of one resource (RFC 8707): JWTs, or opaque ones to
// introspect. `tls_session_bound_access_tokens` in a client's metadata puts `tls_exp` into its tokens. Token exchange
// (RFC 8693): a session-bound subject token leads to a session-bound token.
//
// node server.mjs PORT JWKS_PORT PKI_DIRECTORY: HTTPS with client certificates, and the same in plain HTTP for the keys.

import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify } from 'jose';
import Provider, { errors } from 'oidc-provider';

const [port, jwksPort, pki] = process.argv.slice(2);
const ISSUER = `https://127.0.0.1:${port}`;
const LABEL = 'EXPORTER-oauth-tls-session-bound';
const BOUND = 'tls_session_bound_access_tokens';
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const FORMATS = { 'https://a.demo': 'jwt', 'https://b.demo': 'jwt', 'https://opaque.demo': 'opaque' };

const { privateKey } = await generateKeyPair('ES256', { extractable: true });
const key = { ...(await exportJWK(privateKey)), use: 'sig', alg: 'ES256', kid: 'signing' };
const { d, ...publicKey } = key;
const keys = createLocalJWKSet({ keys: [publicKey] });

const client = (id, certificate, bound, ...grants) => ({
  client_id: id,
  grant_types: grants,
  response_types: [],
  redirect_uris: [],
  token_endpoint_auth_method: 'tls_client_auth',
  tls_client_auth_subject_dn: `CN=${certificate}`,
  tls_client_certificate_bound_access_tokens: true,
  id_token_signed_response_alg: 'ES256',
  [BOUND]: bound,
});

function resourceServer(ctx, resource) {
  if (!Object.hasOwn(FORMATS, resource)) throw new errors.InvalidTarget();
  const accessTokenFormat = FORMATS[resource];
  return { scope: 'orders', audience: resource, accessTokenFormat, accessTokenTTL: 600, jwt: { sign: { alg: 'ES256' } } };
}

const provider = new Provider(ISSUER, {
  jwks: { keys: [key] },
  clients: [
    client('a-client', 'client', true, 'client_credentials'),
    client('an-old-client', 'client-rsa', false, 'client_credentials'),
    client('service-a', 'client-p384', true, 'client_credentials', EXCHANGE),
    client('introspector', 'client-rsa', true, 'client_credentials'),
  ],
  clientAuthMethods: ['tls_client_auth'],
  enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
  responseTypes: ['none'],
  extraClientMetadata: { properties: [BOUND] },
  formats: { customizers: { jwt: customize } },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    mTLS: {
      enabled: true,
      certificateBoundAccessTokens: true,
      tlsClientAuth: true,
      getCertificate: (ctx) => ctx.socket.getPeerX509Certificate?.()?.toString(),
      certificateAuthorized: (ctx) => ctx.socket.authorized,
      certificateSubjectMatches: (ctx, property, expected) => ctx.socket.getPeerX509Certificate().subject === expected,
    },
    resourceIndicators: { enabled: true, getResourceServerInfo: resourceServer, defaultResource: () => undefined },
  },
});

/** Marks the tokens of session-bound clients, and names the subject and the actor of an exchanged token. */
function customize(ctx, token, { payload }) {
  if (token.client.metadata()[BOUND] || ctx.oidc.subject?.cnf?.tls_exp) payload.cnf.tls_exp = LABEL;
  if (ctx.oidc.subject) Object.assign(payload, { sub: ctx.oidc.subject.sub, act: { sub: token.client.clientId } });
}

/** The same for introspection. */
provider.use(async (ctx, next) => {
  await next();
  if (ctx.oidc?.route !== 'introspection' || !ctx.body.cnf) return;
  const owner = await provider.Client.find(ctx.body.client_id);
  if (owner.metadata()[BOUND]) ctx.body.cnf.tls_exp = LABEL;
});

provider.registerGrantType(EXCHANGE, async (ctx) => {
  const { subject_token: subjectToken, subject_token_type: type, resource } = ctx.oidc.params;
  if (type !== ACCESS_TOKEN) throw new errors.InvalidRequest('subject_token_type is not supported');
  const verified = await jwtVerify(subjectToken, keys, { issuer: ISSUER, audience: 'https://a.demo', typ: 'at+jwt' })
    .catch(() => { throw new errors.InvalidGrant('subject_token'); });
  ctx.oidc.subject = verified.payload;
  const token = new provider.ClientCredentials({ client: ctx.oidc.client, scope: 'orders' });
  token.resourceServer = new provider.ResourceServer(resource, resourceServer(ctx, resource));
  token.setThumbprint('x5t', ctx.socket.getPeerX509Certificate().toString());
  const value = await token.save();
  ctx.body = { access_token: value, issued_token_type: ACCESS_TOKEN, token_type: token.tokenType, expires_in: token.expiration };
}, ['subject_token', 'subject_token_type', 'resource']);

const read = (name) => readFileSync(`${pki}/${name}`);
const tls = { cert: read('server.pem'), key: read('server.key'), ca: read('ca.pem'), requestCert: true, rejectUnauthorized: true };
https.createServer(tls, provider.callback()).listen(port, '127.0.0.1');
http.createServer(provider.callback()).listen(jwksPort, '127.0.0.1');

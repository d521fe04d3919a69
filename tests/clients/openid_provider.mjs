// A real OpenID provider on loopback. Arguments: port, redirect URI, file with the people and their groups, file with
// its keys, which are the tests' own so that they can forge with them. A pipeline gets tokens by client credentials.
// The file is read at every sign-in, so groups change as they do at a company: behind everybody's back.
import { readFileSync } from 'node:fs';
import Provider from 'oidc-provider';

const [port, redirectUri, people, keys] = process.argv.slice(2);
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: 'countersign',
      client_secret: 'a-secret-of-the-tests',
      redirect_uris: [redirectUri],
      token_endpoint_auth_method: 'client_secret_post',
    },
    {
      client_id: 'pipeline',
      client_secret: 'a-secret-of-the-tests',
      redirect_uris: [],
      response_types: [],
      grant_types: ['client_credentials'],
      token_endpoint_auth_method: 'client_secret_post',
    },
  ],
  jwks: { keys: JSON.parse(readFileSync(keys)) },
  features: {
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (context, audience) => ({
        scope: '',
        audience,
        accessTokenFormat: 'jwt',
        accessTokenTTL: 300,
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
  extraTokenClaims: () => ({ repository: 'acme/shop', ref: 'refs/heads/release-7' }),
  claims: { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email'], groups: ['groups'] },
  scopes: ['openid', 'profile', 'email', 'groups'],
  pkce: { required: () => true },
  cookies: { keys: ['of the tests'] },
  findAccount: (context, id) => ({
    accountId: id,
    claims: () => ({ sub: id, preferred_username: id, ...JSON.parse(readFileSync(people))[id] }),
  }),
});
const server = provider.listen(Number(port), '127.0.0.1', () => console.log('listening'));
process.on('SIGTERM', () => server.close(() => process.exit(0)) && server.closeAllConnections());

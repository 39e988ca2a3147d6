import { createHmac } from 'node:crypto';
import { login, register, signUp } from '../../../test/support/accounts';
import { expectProblem, expectStatus } from '../../../test/support/client';
import { Coffer, startCoffer } from '../../../test/support/coffer';
import { HOUR } from '../../kernel';
import { Store } from '../../store';
import { usersCollection } from '../../users';
import { sessionsCollection } from './session.collection';

const SECRET = 'the signing secret of these tests, long enough';

let coffer: Coffer;
beforeAll(async () => {
  coffer = await startCoffer({ env: { JWT_SECRET: SECRET } });
});
afterAll(() => coffer.close());

type Part = Record<string, unknown>;

const encoded = (part: Part): string => Buffer.from(JSON.stringify(part)).toString('base64url');
const decoded = (token: string, at: number): Part =>
  JSON.parse(Buffer.from(token.split('.')[at]!, 'base64url').toString()) as Part;

function signed(header: Part, claims: Part, secret = SECRET, hash = 'sha256'): string {
  const input = `${encoded(header)}.${encoded(claims)}`;
  return `${input}.${createHmac(hash, secret).update(input).digest('base64url')}`;
}

let shared: string | undefined;

/** A session that no test ends. */
async function freshToken(): Promise<string> {
  shared ??= await newToken();
  return shared;
}

async function newToken(): Promise<string> {
  return (await login(coffer.client, await register(coffer.client))).access_token;
}

/** A token like `token` with changes, signed with the secret. */
const like = (token: string, claims: Part, header: Part = {}): string =>
  signed({ ...decoded(token, 0), ...header }, { ...decoded(token, 1), ...claims });

describe('An access token', () => {
  it('says whose session it is, in which generation, and when it was proved', async () => {
    const token = await freshToken();
    const { iat, ...claims } = decoded(token, 1) as { iat: number };
    expect(decoded(token, 0)).toEqual({ alg: 'HS256', typ: 'at+jwt' });
    expect(claims).toEqual({
      iss: 'coffer',
      aud: 'coffer:api',
      sub: expect.any(String),
      sid: expect.any(String),
      gen: 1,
      auth_time: iat,
      amr: ['pwd'],
      exp: iat + 3600,
    });
  });

  it('is accepted in the form of these tests: what is refused below is refused for its change', async () => {
    const token = await freshToken();
    expectStatus(await coffer.client.as(like(token, {})).get('/me'), 200);
  });

  it.each<[string, (token: string) => string]>([
    [
      'with a changed claim and the former signature',
      (token) => {
        const [header, , signature] = token.split('.');
        return `${header!}.${encoded({ ...decoded(token, 1), sub: 'somebody else' })}.${signature!}`;
      },
    ],
    ['signed with another secret', (token) => signed(decoded(token, 0), decoded(token, 1), 'another secret')],
    ['signed with an empty secret', (token) => signed(decoded(token, 0), decoded(token, 1), '')],
    [
      'with alg none and no signature',
      (token) => `${encoded({ alg: 'none', typ: 'at+jwt' })}.${token.split('.')[1]!}.`,
    ],
    ['with alg None', (token) => `${encoded({ alg: 'None', typ: 'at+jwt' })}.${token.split('.')[1]!}.`],
    [
      'with alg none and the former signature',
      (token) => {
        const [, claims, signature] = token.split('.');
        return `${encoded({ alg: 'none', typ: 'at+jwt' })}.${claims!}.${signature!}`;
      },
    ],
    ['signed with HS512', (token) => signed({ alg: 'HS512', typ: 'at+jwt' }, decoded(token, 1), SECRET, 'sha512')],
    ['that says RS256', (token) => like(token, {}, { alg: 'RS256' })],
    [
      'with a key of its own in jwk',
      (token) =>
        signed(
          { ...decoded(token, 0), jwk: { kty: 'oct', k: Buffer.from('mine').toString('base64url') } },
          decoded(token, 1),
          'mine',
        ),
    ],
    [
      'with a kid that names a file',
      (token) => signed({ ...decoded(token, 0), kid: '/dev/null' }, decoded(token, 1), ''),
    ],
    ['of another kind', (token) => like(token, {}, { typ: 'JWT' })],
    ['without a kind', (token) => like(token, {}, { typ: undefined })],
    ['of another issuer', (token) => like(token, { iss: 'someone' })],
    ['for another audience', (token) => like(token, { aud: 'coffer:mfa' })],
    ['without an audience', (token) => like(token, { aud: undefined })],
    ['without an expiry', (token) => like(token, { exp: undefined })],
    ['with an expiry that is no number', (token) => like(token, { exp: '9999999999' })],
    ['with an object as session', (token) => like(token, { sid: { $ne: null } })],
    ['with an array as user', (token) => like(token, { sub: ['x'] })],
    ['with a generation that is no number', (token) => like(token, { gen: null })],
    ['from more than a minute in the future', (token) => like(token, { iat: Number(decoded(token, 1)['iat']) + 90 })],
    ['that is no token', () => 'abc'],
    [
      'that is a refresh token',
      () => '019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f.1.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
    ],
  ])('%s is refused like no token at all', async (_what, forge) => {
    const token = await freshToken();
    expectProblem(await coffer.client.as(forge(token)).get('/me'), 401, 'unauthenticated');
  });

  it('from up to a minute in the future is accepted: replicas have clocks of their own', async () => {
    const token = await freshToken();
    expectStatus(await coffer.client.as(like(token, { iat: Number(decoded(token, 1)['iat']) + 30 })).get('/me'), 200);
  });

  it('is refused with token_expired from the second on that it names', async () => {
    const token = await freshToken();
    coffer.clock.offset += HOUR;
    const answer = await coffer.client.as(token).get('/me');
    coffer.clock.offset -= HOUR;
    expectProblem(answer, 401, 'token_expired');
    expect(answer.headers['www-authenticate']).toContain('invalid_token');
  });

  it.each([
    ['a session that never was', { sid: '019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f' }],
    ['an account that never was', { sub: '019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f' }],
    ['a generation to come', { gen: 2 }],
    ['a generation before the first', { gen: 0 }],
  ])('of %s is refused with invalid_session, however well it is signed', async (_what, claims) => {
    expectProblem(await coffer.client.as(like(await freshToken(), claims)).get('/me'), 401, 'invalid_session');
  });

  it('of the session of one and the account of another is refused', async () => {
    const [mine, other] = [await freshToken(), await newToken()];
    const mixed = like(mine, { sub: decoded(other, 1)['sub'] });
    expectProblem(await coffer.client.as(mixed).get('/me'), 401, 'invalid_session');
  });

  it('is refused at once when its account is disabled, and its role is that of the account', async () => {
    const { person, client } = await signUp(coffer.client);
    const users = coffer.get(Store).collection(usersCollection);
    const row = (await users.find('username', person.username))!;
    const promoted = (await users.replace({ ...row, role: 'administrator' }))!;
    expect((await client.get('/me')).json.role).toBe('administrator');
    await users.replace({ ...promoted, state: 'disabled' });
    expectProblem(await client.get('/me'), 403, 'account_disabled');
  });

  it('is refused when its session has ended by itself, long before it has', async () => {
    const token = await newToken();
    const sessions = coffer.get(Store).collection(sessionsCollection);
    const session = (await sessions.find('_id', String(decoded(token, 1)['sid'])))!;
    await sessions.replace({ ...session, expires_at: Date.now() + coffer.clock.offset - 1 });
    expectProblem(await coffer.client.as(token).get('/me'), 401, 'invalid_session');
  });
});

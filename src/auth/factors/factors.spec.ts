import { signUp } from '../../../test/support/accounts';
import { expectProblem, expectStatus } from '../../../test/support/client';
import { Coffer, startCoffer } from '../../../test/support/coffer';
import { codeOf, firstStep, recoveryCodes, withEmailFactor, withTotp } from '../../../test/support/second-factors';
import { MINUTE } from '../../kernel';
import { Store } from '../../store';
import { usersCollection } from '../../users';
import { recoveryCodesCollection } from './recovery-code.collection';

let coffer: Coffer;
beforeAll(async () => {
  coffer = await startCoffer();
});
afterAll(() => coffer.close());

const user = async (username: string) =>
  (await coffer.get(Store).collection(usersCollection).find('username', username))!;

describe('GET /2fa', () => {
  it('shows that nothing is on at first', async () => {
    const { client } = await signUp(coffer.client);
    expect((await client.get('/2fa')).json).toEqual({
      two_factor_enabled: false,
      methods: [],
      totp: { enabled: false, pending: false },
      email: { enabled: false, required: false },
      recovery_codes_left: 0,
    });
  });

  it('shows what is on', async () => {
    const { client } = await withTotp(coffer);
    await recoveryCodes(client);
    expect((await client.get('/2fa')).json).toEqual({
      two_factor_enabled: true,
      methods: ['totp', 'recovery_code'],
      totp: { enabled: true, pending: false },
      email: { enabled: false, required: false },
      recovery_codes_left: 10,
    });
  });
});

describe('POST /2fa/totp', () => {
  it('gives the secret, the URI that apps read, and its QR code', async () => {
    const { person, client } = await signUp(coffer.client);
    const made = expectStatus(await client.post('/2fa/totp'), 200);
    expect(made).toEqual({
      secret: expect.stringMatching(/^[A-Z2-7]{32}$/),
      otpauth_uri: expect.stringContaining(`secret=${(made as { secret: string }).secret}`),
      qr_svg: expect.stringMatching(/^<svg[\s\S]+<\/svg>\s*$/),
    });
    // An app overwrites an entry with the same label; the host separates two installations.
    expect((made as { otpauth_uri: string }).otpauth_uri).toContain(`Coffer:${person.username}%40127.0.0.1?`);
  });

  it('keeps the secret sealed: it is nowhere in the account row', async () => {
    const { person, secret } = await withTotp(coffer);
    const row = await user(person.username);
    expect(row.totp_secret).toMatch(/^[0-9a-f]+$/);
    expect(JSON.stringify(row)).not.toContain(secret);
  });

  it('changes nothing before its first code', async () => {
    const { person, client } = await signUp(coffer.client);
    await client.post('/2fa/totp');
    expect((await client.get('/2fa')).json).toMatchObject({ two_factor_enabled: false, totp: { pending: true } });
    const login = await coffer.client.post('/login', { username: person.username, password: person.password });
    expect(login.json.access_token).toEqual(expect.any(String));
  });

  it('keeps a former secret in force until the new one is confirmed', async () => {
    const { person, client, secret } = await withTotp(coffer);
    const renewed = expectStatus(await client.post('/2fa/totp'), 200) as { secret: string };
    const first = await firstStep(coffer.client, person);
    const verify = { username: person.username, mfa_token: first.mfa_token };
    const early = await coffer.client.post('/verify-otp', { ...verify, otp: codeOf(coffer, renewed.secret) });
    expectProblem(early, 401, 'otp_failed');
    expectStatus(await coffer.client.post('/verify-otp', { ...verify, otp: codeOf(coffer, secret) }), 200);
    coffer.clock.offset += 30_000;
    expectStatus(await client.post('/2fa/totp/confirm', { otp: codeOf(coffer, renewed.secret) }), 204);
    coffer.clock.offset += 30_000;
    const later = { username: person.username, mfa_token: (await firstStep(coffer.client, person)).mfa_token };
    const former = await coffer.client.post('/verify-otp', { ...later, otp: codeOf(coffer, secret) });
    expectProblem(former, 401, 'otp_failed');
    expectStatus(await coffer.client.post('/verify-otp', { ...later, otp: codeOf(coffer, renewed.secret) }), 200);
  });

  it('is forgotten after 15 minutes without a code', async () => {
    const { person, client } = await signUp(coffer.client);
    const { secret } = expectStatus(await client.post('/2fa/totp'), 200) as { secret: string };
    coffer.clock.offset += 15 * MINUTE;
    expectProblem(await client.post('/2fa/totp/confirm', { otp: codeOf(coffer, secret) }), 404, 'not_found');
    const { access_token } = (await client.post('/step-up', { password: person.password })).json;
    expectProblem(await client.as(access_token as string).get('/2fa/totp/qr'), 404, 'not_found');
  });

  it('is not replayed under an Idempotency-Key: the secret is shown once', async () => {
    const { client } = await signUp(coffer.client);
    const headers = { 'idempotency-key': '"totp-once-1"' };
    const made = expectStatus(await client.post('/2fa/totp', undefined, { headers }), 200) as { secret: string };
    const again = await client.post('/2fa/totp', undefined, { headers });
    expect(again.text).not.toContain(made.secret);
  });
});

describe('GET /2fa/totp/qr', () => {
  it('is a PNG while a secret waits for its first code, and not found before and after', async () => {
    const { client } = await signUp(coffer.client);
    expectProblem(await client.get('/2fa/totp/qr'), 404, 'not_found');
    const { secret } = expectStatus(await client.post('/2fa/totp'), 200) as { secret: string };
    const png = await client.get('/2fa/totp/qr');
    expect({ status: png.status, type: png.headers['content-type'] }).toEqual({ status: 200, type: 'image/png' });
    expect(png.bytes.subarray(1, 4).toString()).toBe('PNG');
    expect(png.headers['cache-control']).toBe('no-store');
    await client.post('/2fa/totp/confirm', { otp: codeOf(coffer, secret) });
    expectProblem(await client.get('/2fa/totp/qr'), 404, 'not_found');
  });
});

describe('POST /2fa/totp/confirm', () => {
  it('takes the right code alone', async () => {
    const { client } = await signUp(coffer.client);
    const { secret } = expectStatus(await client.post('/2fa/totp'), 200) as { secret: string };
    for (const otp of ['000000', '12345', 'abcdef', '', codeOf(coffer, secret, -4)]) {
      expectProblem(await client.post('/2fa/totp/confirm', { otp }), 401, 'otp_failed');
    }
    expectStatus(await client.post('/2fa/totp/confirm', { otp: codeOf(coffer, secret) }), 204);
    expectProblem(await client.post('/2fa/totp/confirm', { otp: codeOf(coffer, secret) }), 404, 'not_found');
  });

  it('has the budget of the account', async () => {
    const { client } = await signUp(coffer.client);
    await client.post('/2fa/totp');
    for (let tries = 0; tries < 10; tries += 1) await client.post('/2fa/totp/confirm', { otp: '000000' });
    expectProblem(await client.post('/2fa/totp/confirm', { otp: '000000' }), 429, 'too_many_attempts');
  });

  it('uses its step up: it does not log in as well', async () => {
    const { person, client } = await signUp(coffer.client);
    const { secret } = expectStatus(await client.post('/2fa/totp'), 200) as { secret: string };
    const otp = codeOf(coffer, secret);
    await client.post('/2fa/totp/confirm', { otp });
    const { username, mfa_token } = await firstStep(coffer.client, person);
    expectProblem(await coffer.client.post('/verify-otp', { username, mfa_token, otp }), 401, 'otp_failed');
  });

  it('is told to the owner of the account', async () => {
    const { person, client } = await withEmailFactor(coffer);
    const { secret } = expectStatus(await client.post('/2fa/totp'), 200) as { secret: string };
    expectStatus(await client.post('/2fa/totp/confirm', { otp: codeOf(coffer, secret) }), 204);
    const notice = (await coffer.mails()).filter(({ to }) => to === person.email).at(-1);
    expect(notice?.text).toContain('an authenticator app was added');
  });
});

describe('Removing a factor', () => {
  it('ends two-factor login with the last one', async () => {
    const { person, client } = await withTotp(coffer);
    expectStatus(await client.delete('/2fa/totp'), 204);
    expect((await client.get('/2fa')).json).toMatchObject({ two_factor_enabled: false, methods: [] });
    expect((await user(person.username)).totp_secret).toBeUndefined();
    const login = await coffer.client.post('/login', { username: person.username, password: person.password });
    expect(login.json.access_token).toEqual(expect.any(String));
    expectProblem(await client.delete('/2fa/totp'), 404, 'not_found');
  });

  it('turns e-mail off, and tells its owner', async () => {
    const { person, client } = await withEmailFactor(coffer);
    expectStatus(await client.delete('/2fa/email'), 204);
    expect((await client.get('/me')).json).toMatchObject({ two_factor_enabled: false, email_verified: true });
    expectProblem(await client.delete('/2fa/email'), 404, 'not_found');
    const notice = (await coffer.mails()).filter(({ to }) => to === person.email).at(-1);
    expect(notice?.text).toContain('e-mail was turned off');
  });

  it('leaves the other one on', async () => {
    const { client } = await withEmailFactor(coffer);
    const { secret } = expectStatus(await client.post('/2fa/totp'), 200) as { secret: string };
    await client.post('/2fa/totp/confirm', { otp: codeOf(coffer, secret) });
    expect((await client.get('/2fa')).json.methods).toEqual(['totp', 'email']);
    expectStatus(await client.delete('/2fa/email'), 204);
    expect((await client.get('/2fa')).json).toMatchObject({ two_factor_enabled: true, methods: ['totp'] });
  });
});

describe('What asks for a fresh login', () => {
  it.each([
    ['POST', '/2fa/totp'],
    ['GET', '/2fa/totp/qr'],
    ['DELETE', '/2fa/totp'],
    ['DELETE', '/2fa/email'],
    ['POST', '/2fa/recovery-codes'],
  ])('%s %s', async (method, path) => {
    const { client } = await signUp(coffer.client);
    coffer.clock.offset += 6 * MINUTE;
    expectProblem(await client.send(method, path), 401, 'step_up_required');
    expectProblem(await client.as(undefined).send(method, path), 401, 'unauthenticated');
  });
});

describe('POST /2fa/recovery-codes', () => {
  it('gives ten codes of 120 bits, none of them in the store', async () => {
    const { person, client } = await withTotp(coffer);
    const codes = await recoveryCodes(client);
    expect(codes.length).toBe(10);
    expect(new Set(codes).size).toBe(10);
    for (const code of codes) expect(code.replaceAll('-', '')).toMatch(/^[0-9A-HJKMNP-TV-Z]{24}$/);
    const rows = await coffer
      .get(Store)
      .collection(recoveryCodesCollection)
      .list('user', [(await user(person.username))._id], { limit: 100 });
    const stored = JSON.stringify(rows.items);
    expect(codes.filter((code) => stored.includes(code) || stored.includes(code.replaceAll('-', '')))).toEqual([]);
  });

  it('keeps ten rows after being asked five times at once, all of one batch that holds', async () => {
    const { person, client } = await withTotp(coffer);
    const answers = await Promise.all(Array.from({ length: 5 }, () => client.post('/2fa/recovery-codes')));
    expect(answers.some(({ status }) => status === 200)).toBe(true);
    const row = await user(person.username);
    const rows = coffer.get(Store).collection(recoveryCodesCollection);
    expect(await rows.count('user', [row._id, row.recovery_batch!])).toBe(10);
    expect((await client.get('/2fa')).json.recovery_codes_left).toBe(10);
  });
});

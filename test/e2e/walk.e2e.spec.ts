import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { login, newPerson, register, type Tokens } from '../support/accounts';
import { type Answer, type Client, expectProblem, expectStatus } from '../support/client';
import { waitFor } from '../support/processes';
import { describeOnProfiles, type ProfileContext } from '../support/profiles';
import { totpCode } from '../support/totp';

const CARD = '4929123456781234';
const OTHER_CARD = '5105105105105100';
const TEXT = 'a sentence that nobody else may read';
const FILE_NAME = 'quarterly figures, secret.txt';
const ID = /^[0-9a-f-]{36}$/;
const TOKENS = {
  access_token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
  token_type: 'bearer',
  // From the session's last change, so that a repeated refresh gets the same token: a second may
  // have gone by since.
  expires_in: expect.closeTo(3600, -1),
  refresh_token: expect.stringMatching(/^\S{32,}$/),
};

/** The specification's walk: each step stands on the one before it, as a client's own steps do. */
describeOnProfiles("The specification's walk", (context) => walk(context), {
  admin: false,
  kv: true,
  // Passwords cost here what they cost in production.
  env: { COFFER_PASSWORD_COST: 'standard' },
});

function walk(context: ProfileContext): void {
  const admin = newPerson('first');
  const alice = newPerson('alice');
  const state: { adminClient?: Client; tokens?: Tokens; card?: string; note?: string; totpSecret?: string } = {};
  const nobody = (): Client => context.client.as(undefined);
  const asAlice = (): Client => context.client.as(state.tokens!.access_token);
  const json = (answer: Answer): unknown => expectStatus(answer, 200) as unknown;

  it('starts from a sealed door: without a token every route of the walk answers 401', async () => {
    for (const [method, path] of [
      ['POST', '/sensitive-data'],
      ['GET', '/sensitive-data'],
      ['GET', '/sensitive-data/0192'],
      ['PUT', '/sensitive-data/0192'],
      ['DELETE', '/sensitive-data/0192'],
      ['POST', '/rotate-master-key'],
    ] as const) {
      expectProblem(await nobody().send(method, path), 401, 'unauthenticated');
    }
  });

  it('registers a user with exactly the message that the specification gives', async () => {
    expect(json(await nobody().post('/register', admin))).toEqual({ message: 'User registered successfully' });
    expect(json(await nobody().post('/register', alice))).toEqual({ message: 'User registered successfully' });
  });

  it.each([
    ['shorter than 8 characters', 'Ab1!xyz'],
    ['without an uppercase letter', 'lower-case-7-only'],
    ['without a digit', 'No-Digits-Here!'],
    ['without a special character', 'NoSpecial7Here'],
    ['on the list of common ones', 'P@ssw0rd'],
  ])('refuses a password %s', async (_rule, password) => {
    expectProblem(await nobody().post('/register', { ...newPerson(), password }), 400, 'weak_password');
  });

  it('refuses a taken user name, in whatever case', async () => {
    const taken = { ...newPerson(), username: alice.username.toUpperCase() };
    expectProblem(await nobody().post('/register', taken), 409, 'user_exists');
  });

  it.each(['username', 'email', 'password'])(
    'refuses a registration without %s, with a pointer to it',
    async (field) => {
      const answer = await nobody().post('/register', { ...newPerson(), [field]: undefined });
      expectProblem(answer, 400, 'validation_failed');
      expect(answer.json.errors).toEqual(expect.arrayContaining([expect.objectContaining({ pointer: `/${field}` })]));
    },
  );

  it('logs in with exactly the fields of a login', async () => {
    const { username, password } = alice;
    const answer = json(await nobody().post('/login', { username, password }));
    expect(answer).toEqual(TOKENS);
    state.tokens = answer as Tokens;
    state.adminClient = context.client.as((await login(context.client, admin)).access_token);
  });

  it('answers a wrong password and an unknown name alike', async () => {
    const wrong = await nobody().post('/login', { username: alice.username, password: 'Wrong-Horse-7-Battery' });
    const unknown = await nobody().post('/login', { username: 'nobody-at-all', password: alice.password });
    expectProblem(wrong, 401, 'login_failed');
    expectProblem(unknown, 401, 'login_failed');
    expect({ ...wrong.json, instance: '' }).toEqual({ ...unknown.json, instance: '' });
  });

  it('stores values and gives back id, data_type and value, and nothing else', async () => {
    const card = json(await asAlice().post('/sensitive-data', { data_type: 'card_number', value: CARD }));
    expect(card).toEqual({ id: expect.stringMatching(ID), data_type: 'card_number', value: CARD });
    const note = json(await asAlice().post('/sensitive-data', { data_type: 'note', value: TEXT }));
    state.card = (card as { id: string }).id;
    state.note = (note as { id: string }).id;
  });

  it.each(['492912345678123', '49291234567812345', '4929-1234-5678-1234', 'four'])(
    'refuses %s as a card number',
    async (value) => {
      const answer = await asAlice().post('/sensitive-data', { data_type: 'card_number', value });
      expectProblem(answer, 400, 'invalid_value');
      expect(answer.text).not.toContain(value);
    },
  );

  it('lists values as a plain array, oldest first, whole, by type and masked', async () => {
    const card = { id: state.card, data_type: 'card_number', value: CARD };
    const note = { id: state.note, data_type: 'note', value: TEXT };
    expect(json(await asAlice().get('/sensitive-data'))).toEqual([card, note]);
    expect(json(await asAlice().get('/sensitive-data?data_type=note'))).toEqual([note]);
    expect(json(await asAlice().get('/sensitive-data?view=masked'))).toEqual([
      { ...card, value: '************1234' },
      { ...note, value: '****' },
    ]);
  });

  it('pages with a limit and a link to the next page', async () => {
    const first = await asAlice().get('/sensitive-data?limit=1');
    expect((json(first) as unknown[]).length).toBe(1);
    const next = /<([^>]+)>; rel="next"/.exec(first.headers['link'] ?? '')?.[1];
    const { pathname, search } = new URL(next!, 'http://any.invalid');
    expect(json(await asAlice().get(pathname + search))).toEqual([expect.objectContaining({ id: state.note })]);
  });

  it('reads, changes and reads again', async () => {
    const card = { id: state.card, data_type: 'card_number', value: CARD };
    expect(json(await asAlice().get(`/sensitive-data/${state.card!}`))).toEqual(card);
    const change = { data_type: 'card_number', value: OTHER_CARD };
    expect(json(await asAlice().put(`/sensitive-data/${state.card!}`, change))).toEqual({ ...card, value: OTHER_CARD });
    expect(json(await asAlice().get(`/sensitive-data/${state.card!}`))).toEqual({ ...card, value: OTHER_CARD });
  });

  it('shows a value of somebody else to nobody, the administrator included', async () => {
    const path = `/sensitive-data/${state.card!}`;
    expectProblem(await state.adminClient!.get(path), 404, 'not_found');
    expectProblem(await state.adminClient!.put(path, { data_type: 'note', value: 'x' }), 404, 'not_found');
    expectProblem(await state.adminClient!.delete(path), 404, 'not_found');
    expect(json(await state.adminClient!.get('/sensitive-data'))).toEqual([]);
  });

  it('deletes with the message that the specification gives, and once', async () => {
    const spare = expectStatus(await asAlice().post('/sensitive-data', { data_type: 'note', value: 'spare' }), 200) as {
      id: string;
    };
    const path = `/sensitive-data/${spare.id}`;
    expect(json(await asAlice().delete(path))).toEqual({ message: 'Data deleted successfully' });
    expectProblem(await asAlice().delete(path), 404, 'not_found');
    expectProblem(await asAlice().get(path), 404, 'not_found');
  });

  it('stores a file and gives it back byte for byte', async () => {
    const content = Buffer.alloc(200_000, TEXT);
    const stored = expectStatus(await asAlice().upload(FILE_NAME, content), 201) as { id: string; size: number };
    expect(stored).toMatchObject({ name: FILE_NAME, size: content.length, encrypted_size: expect.any(Number) });
    const back = await asAlice().get(`/files/${stored.id}/content`);
    expect(back.status).toBe(200);
    expect(back.bytes.equals(content)).toBe(true);
  });

  it('rotates the master key for an administrator only', async () => {
    expectProblem(await asAlice().post('/rotate-master-key'), 403, 'permission_denied');
    const answer = json(await state.adminClient!.post('/rotate-master-key'));
    expect(answer).toEqual({
      message: 'Master key rotated successfully',
      rotation: {
        id: expect.any(String),
        state: expect.stringMatching(/^(running|done)$/),
        target_version: expect.any(Number),
        total: expect.any(Number),
        done: expect.any(Number),
        failed: 0,
      },
    });
    const { id } = (answer as { rotation: { id: string } }).rotation;
    await waitFor('the rotation to be done', async () => {
      const rotation = json(await state.adminClient!.get(`/rotations/${id}`)) as { state: string };
      return rotation.state === 'done';
    });
  });

  it('serves what was sealed under the former master key', async () => {
    const values = json(await asAlice().get('/sensitive-data')) as { value: string }[];
    expect(values.map((item) => item.value)).toEqual([OTHER_CARD, TEXT]);
    const file = await asAlice().get(`/files/by-name/${encodeURIComponent(FILE_NAME)}/content`);
    expect(file.bytes.length).toBe(200_000);
  });

  it('turns on the second factor by a mailed code, and replaces the tokens of the session', async () => {
    const former = state.tokens!;
    const { username, email } = alice;
    expect(json(await asAlice().post('/send-otp', { username }))).toEqual({ message: 'OTP sent to your email' });
    const otp = await context.codeFor(email, 1);
    const answer = json(await asAlice().post('/verify-otp', { username, otp }));
    expect(answer).toEqual(TOKENS);
    state.tokens = answer as Tokens;
    expect((await context.client.as(former.access_token).get('/me')).status).toBe(401);
    expect((await nobody().post('/token/refresh', { refresh_token: former.refresh_token })).status).toBe(401);
    expect((await asAlice().get('/me')).status).toBe(200);
  });

  it('asks for the second factor from then on: a password alone gives no token', async () => {
    const { username, password, email } = alice;
    const first = json(await nobody().post('/login', { username, password })) as { mfa_token: string };
    expect(first).toEqual({
      message: '2FA required',
      username,
      mfa_token: expect.stringMatching(/^\S{32,}$/),
      methods: ['email'],
      otp_sent: true,
    });
    expectProblem(await context.client.as(first.mfa_token).get('/sensitive-data'), 401, 'unauthenticated');
    const again = await nobody().post('/send-otp', { username, mfa_token: first.mfa_token });
    expect({ status: again.status, wait: Number(again.headers['retry-after']) > 0 }).toEqual({
      status: 429,
      wait: true,
    });

    const otp = await context.codeFor(email, 2);
    const wrong = String((Number(otp) + 1) % 1_000_000).padStart(6, '0');
    const mfa = { username, mfa_token: first.mfa_token };
    expectProblem(await nobody().post('/verify-otp', { ...mfa, otp: wrong }), 401, 'otp_failed');
    expect((await nobody().post('/verify-otp', { username, otp })).status).toBe(401);
    const answer = json(await nobody().post('/verify-otp', { ...mfa, otp }));
    expect(answer).toEqual(TOKENS);
    expectProblem(await nobody().post('/verify-otp', { ...mfa, otp }), 401, 'otp_failed');
    state.tokens = answer as Tokens;
  });

  it('takes an authenticator app as well, whose code is good once', async () => {
    const { username, password } = alice;
    const made = json(await asAlice().post('/2fa/totp')) as { secret: string; otpauth_uri: string; qr_svg: string };
    expect(made.otpauth_uri).toContain(`secret=${made.secret}`);
    expect(made.qr_svg).toContain('<svg');
    state.totpSecret = made.secret;
    expectStatus(await asAlice().post('/2fa/totp/confirm', { otp: totpCode(made.secret, Date.now(), -1) }), 204);

    const first = json(await nobody().post('/login', { username, password })) as {
      mfa_token: string;
      methods: string[];
    };
    expect([...first.methods].sort()).toEqual(['email', 'totp']);
    const otp = totpCode(made.secret);
    const answer = json(await nobody().post('/verify-otp', { username, otp, mfa_token: first.mfa_token }));
    expect(answer).toEqual(TOKENS);
    const second = json(await nobody().post('/login', { username, password })) as { mfa_token: string };
    const replay = { username, otp, mfa_token: second.mfa_token };
    expectProblem(await nobody().post('/verify-otp', replay), 401, 'otp_failed');
    state.tokens = answer as Tokens;
  });

  it('rotates the master key once more with the second factor on, and everything still opens', async () => {
    json(await state.adminClient!.post('/rotate-master-key'));
    const values = json(await asAlice().get('/sensitive-data')) as { value: string }[];
    expect(values.map((item) => item.value)).toEqual([OTHER_CARD, TEXT]);
    const tokens = json(await nobody().post('/token/refresh', { refresh_token: state.tokens!.refresh_token }));
    expect(tokens).toEqual(TOKENS);
    state.tokens = tokens as Tokens;
  });

  it('locks a name after five failures in a row, whether it exists or not', async () => {
    const victim = await register(context.client);
    for (const username of [victim.username, `never-seen-${Date.now()}`]) {
      for (let failure = 1; failure <= 5; failure += 1) {
        expectProblem(await nobody().post('/login', { username, password: 'Wrong-Horse-7!' }), 401, 'login_failed');
      }
      const locked = await nobody().post('/login', { username, password: victim.password });
      expectProblem(locked, 429, 'too_many_attempts');
      expect(Number(locked.headers['retry-after'])).toBeGreaterThan(14 * 60);
    }
  });

  it('ends the session at logout', async () => {
    expect((await asAlice().post('/logout')).status).toBe(204);
    expect((await asAlice().get('/me')).status).toBe(401);
    expect((await nobody().post('/token/refresh', { refresh_token: state.tokens!.refresh_token })).status).toBe(401);
  });

  it('leaves nothing of it in clear: not in the store, on disk, in a mail or in a log', async () => {
    const secrets = [CARD, OTHER_CARD, TEXT, FILE_NAME, state.totpSecret!, alice.password, state.tokens!.refresh_token];
    const folders = [context.dataDir, context.parts?.secantus.dataDir].filter((folder) => folder !== undefined);
    const mails = (await context.mails()).map((mail) => mail.text).join('\n');
    expect(secrets.filter((secret) => mails.includes(secret) || context.logs().includes(secret))).toEqual([]);
    const leaks = folders.flatMap(filesUnder).filter((file) => {
      const bytes = readFileSync(file);
      return secrets.some((secret) => bytes.includes(secret));
    });
    expect(leaks).toEqual([]);
  });
}

function filesUnder(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return [];
    return stat.isDirectory() ? filesUnder(path) : stat.isFile() ? [path] : [];
  });
}

import { login, newPerson, type Person, register, signUp } from '../../../test/support/accounts';
import { expectProblem, expectStatus } from '../../../test/support/client';
import { Coffer, startCoffer } from '../../../test/support/coffer';
import { DomainError, newId } from '../../kernel';
import { UserKeyService, userKeysCollection } from '../../keys/user-keys';
import { Store } from '../../store';
import { UNTRIED, UserDoc, usersCollection } from '../../users';
import { Passwords } from '../passwords';

let coffer: Coffer;
beforeAll(async () => {
  coffer = await startCoffer();
});
afterAll(() => coffer.close());

const users = () => coffer.get(Store).collection(usersCollection);
const row = async (person: Person): Promise<UserDoc | undefined> => users().find('username', person.username);

describe('POST /register', () => {
  it('makes the first account the administrator, and no other', async () => {
    const people = await Promise.all(Array.from({ length: 4 }, () => signUp(coffer.client)));
    const roles = await Promise.all(people.map(async ({ client }) => (await client.get('/me')).json.role as string));
    expect([...roles].sort()).toEqual(['administrator', 'user', 'user', 'user']);
  });

  it('keeps exactly what docs/api.md names of a user, the password as an argon2id hash with a salt of its own', async () => {
    const person = await register(coffer.client);
    expect(await row(person)).toMatchObject({
      username: person.username,
      email: person.email,
      hashed_password: expect.stringMatching(/^\$argon2id\$/),
      salt: expect.stringMatching(/^[0-9a-f]{32}$/),
      failed_attempts: 0,
      two_factor_enabled: false,
      state: 'active',
    });
  });

  it('leaves no key without an account where the write of the key was given up and landed all the same', async () => {
    const [keys, person] = [coffer.get(UserKeyService), newPerson('late')];
    const create = keys.create.bind(keys);
    let owner = '';
    jest.spyOn(keys, 'create').mockImplementationOnce(async (id, name) => {
      owner = id;
      await create(id, name);
      throw new DomainError('kms_unavailable');
    });
    expectProblem(await coffer.client.post('/register', person), 503, 'kms_unavailable');
    const key = await coffer.get(Store).collection(userKeysCollection).find('_id', owner);
    expect(key).toMatchObject({ state: 'erased', versions: [] });
    expect(await row(person)).toBeUndefined();
  });

  it('gives one account to fifty registrations of one name at once, whatever the case', async () => {
    const person = newPerson('race');
    const names = Array.from({ length: 50 }, (_, at) => (at % 2 ? person.username : person.username.toUpperCase()));
    const answers = await Promise.all(
      names.map((username) => coffer.client.post('/register', { ...person, username })),
    );
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => status === 200).length).toBe(1);
    for (const answer of answers.filter(({ status }) => status !== 200)) expectProblem(answer, 409, 'user_exists');
    expect(await users().count('username', [person.username])).toBe(1);
  });

  it.each([
    ['a dotless i', 'al\u0131ce-two'],
    ['full-width letters', '\uFF41lice-two'],
    ['a Kelvin sign', '\u212Aelvin-two'],
    ['a trailing space', 'alice-two '],
    ['an e-mail address', 'alice@example.org'],
    ['two characters', 'zq'],
  ])('refuses a user name with %s, and says which field', async (_what, username) => {
    const answer = await coffer.client.post('/register', { ...newPerson(), username });
    expectProblem(answer, 400, 'validation_failed');
    expect(answer.json.errors).toEqual([expect.objectContaining({ pointer: '/username' })]);
    expect(answer.text).not.toContain(username.trim());
  });

  it.each(['x@example.org\r\nBcc: y@example.org', 'x@example.org,y@example.org', 'nobody', 'x@localhost'])(
    'refuses the address %j',
    async (email) => {
      const answer = await coffer.client.post('/register', { ...newPerson(), email });
      expectProblem(answer, 400, 'validation_failed');
      expect(answer.json.errors).toEqual([expect.objectContaining({ pointer: '/email' })]);
    },
  );

  it.each([
    ['an object for the name', { username: { $ne: null } }],
    ['an array for the address', { email: ['x@example.org'] }],
    ['a number for the password', { password: 12345678 }],
    ['null', { username: null }],
    ['a field of its own', { role: 'administrator' }],
    ['the verified address', { verified_email: 'x@example.org' }],
  ])('refuses %s', async (_what, change) => {
    const person = newPerson();
    expectProblem(await coffer.client.post('/register', { ...person, ...change }), 400, 'validation_failed');
    expect(await row(person)).toBeUndefined();
  });

  it('takes a password of 64 characters and one of 1,024 bytes as they are sent, and not a byte more', async () => {
    for (const password of [`Aa1!${'x'.repeat(60)}`, `Aa1!${'x'.repeat(1020)}`]) {
      const person = await register(coffer.client, { ...newPerson(), password });
      await login(coffer.client, person);
      const cut = await coffer.client.post('/login', { username: person.username, password: password.slice(0, -1) });
      expectProblem(cut, 401, 'login_failed');
    }
    const long = { ...newPerson(), password: `Aa1!${'x'.repeat(1021)}` };
    expectProblem(await coffer.client.post('/register', long), 400, 'weak_password');
  });

  it('neither trims nor folds a password', async () => {
    const person = await register(coffer.client, { ...newPerson(), password: '  Pass Word 1\u0000! ' });
    await login(coffer.client, person);
    for (const password of ['Pass Word 1\u0000!', '  pass word 1\u0000! ', '  Pass Word 1']) {
      expectProblem(await coffer.client.post('/login', { username: person.username, password }), 401, 'login_failed');
    }
  });

  it('lets two accounts have one address that neither has verified', async () => {
    const first = await register(coffer.client);
    await register(coffer.client, { ...newPerson(), email: first.email });
  });
});

describe('A registration whose process died after the name was taken', () => {
  async function stopped(ageMs: number, withKey: boolean): Promise<Person> {
    const person = newPerson('stopped');
    const id = newId();
    const hashed = await coffer.get(Passwords).hash(person.password, id);
    await users().insert({
      _id: id,
      username: person.username,
      email: person.email,
      ...hashed,
      role: 'user',
      state: 'pending',
      created_at: Date.now() + coffer.clock.offset - ageMs,
      ...UNTRIED,
    });
    if (withKey) await coffer.get(UserKeyService).create(id, id);
    return person;
  }

  it.each([
    ['before its key was made', false],
    ['after its key was made', true],
  ])('is finished by its owner who registers again, %s', async (_when, withKey) => {
    const person = await stopped(60_000, withKey);
    await register(coffer.client, person);
    await login(coffer.client, person);
    expectProblem(await coffer.client.post('/register', person), 409, 'user_exists');
  });

  it.each([
    ['before its key was made', false],
    ['after its key was made', true],
  ])('is finished by its owner who logs in, with a key, %s', async (_when, withKey) => {
    const person = await stopped(60_000, withKey);
    const { access_token } = await login(coffer.client, person);
    const stored = await coffer.client.as(access_token).post('/sensitive-data', { data_type: 'note', value: 'sealed' });
    expectStatus(stored, 200);
    expect(await row(person)).toMatchObject({ state: 'active' });
  });

  it('is no way into the account for anybody else', async () => {
    const person = await stopped(60_000, false);
    const stranger = { ...person, password: 'Another-Horse-7' };
    expectProblem(await coffer.client.post('/register', stranger), 409, 'user_exists');
    expectProblem(await coffer.client.post('/register', { ...person, email: 'x@example.org' }), 409, 'user_exists');
    const { username, password } = stranger;
    expectProblem(await coffer.client.post('/login', { username, password }), 401, 'login_failed');
    expect(await row(person)).toMatchObject({ state: 'pending' });
  });

  it('counts as running while it is younger than ten seconds', async () => {
    const person = await stopped(1_000, false);
    expectProblem(await coffer.client.post('/register', person), 409, 'user_exists');
  });
});

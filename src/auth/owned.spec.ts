import { signUp } from '../../test/support/accounts';
import { expectProblem, expectStatus } from '../../test/support/client';
import { Coffer, startCoffer } from '../../test/support/coffer';
import { codeOf, firstStep, recoveryCodes, withEmailFactor, withTotp } from '../../test/support/second-factors';
import { addUserKeyVersion } from '../../test/support/user-key-version';
import { envelopeVersion } from '../crypto';
import { ciphertext } from '../kernel';
import { MasterKey } from '../keys/master-key';
import { Store } from '../store';
import { UserDoc, usersCollection } from '../users';
import { challengesCollection } from './factors/challenge.collection';
import { recoveryCodesCollection } from './factors/recovery-code.collection';
import { FactorsUserData } from './factors-user-data';
import { SessionsUserData } from './sessions-user-data';
import { sessionsCollection } from './sessions/session.collection';

let coffer: Coffer;
beforeAll(async () => {
  coffer = await startCoffer();
});
afterAll(() => coffer.close());

const store = (): Store => coffer.get(Store);
const user = async (username: string): Promise<UserDoc> =>
  (await store().collection(usersCollection).find('username', username))!;
const versionOf = (sealed: string | undefined): number => envelopeVersion(ciphertext(Buffer.from(sealed ?? '', 'hex')));
const rotateUserKey = (userId: string): Promise<void> =>
  addUserKeyVersion({ store: store(), masterKey: coffer.get(MasterKey) }, userId);

describe('When the key of a user gets a new version', () => {
  it('the TOTP secret is sealed again, once, and its codes go on', async () => {
    const { person, client, secret } = await withTotp(coffer);
    await client.post('/2fa/totp');
    const { _id } = await user(person.username);
    await rotateUserKey(_id);
    const factors = coffer.get(FactorsUserData);
    expect(await factors.reencrypt(_id)).toBe(2);
    expect(await factors.reencrypt(_id)).toBe(0);
    const after = await user(person.username);
    expect([versionOf(after.totp_secret), versionOf(after.totp_pending)]).toEqual([2, 2]);
    const { mfa_token } = await firstStep(coffer.client, person);
    const verify = { username: person.username, mfa_token, otp: codeOf(coffer, secret) };
    expectStatus(await coffer.client.post('/verify-otp', verify), 200);
  });

  it('the clients of its sessions are sealed again, once, and are shown as before', async () => {
    const { person, client } = await signUp(coffer.client);
    const before = (await client.get('/sessions')).json;
    const { _id } = await user(person.username);
    await rotateUserKey(_id);
    const sessions = coffer.get(SessionsUserData);
    expect(await sessions.reencrypt(_id)).toBe(1);
    expect(await sessions.reencrypt(_id)).toBe(0);
    const { items } = await store().collection(sessionsCollection).list('user', [_id], { limit: 5 });
    expect(items.map((session) => versionOf(session.client))).toEqual([2]);
    expect((await client.get('/sessions')).json).toEqual(before);
  });

  it('a value that does not open is left as it is and holds up nothing', async () => {
    const { person, client } = await withTotp(coffer);
    const row = await user(person.username);
    const broken = `${row.totp_secret!.slice(0, -2)}${row.totp_secret!.endsWith('00') ? '01' : '00'}`;
    await store()
      .collection(usersCollection)
      .replace({ ...row, totp_secret: broken });
    await client.post('/2fa/totp');
    await rotateUserKey(row._id);
    expect(await coffer.get(FactorsUserData).reencrypt(row._id)).toBe(1);
    expect((await user(person.username)).totp_secret).toBe(broken);
  });
});

describe('When an account is erased', () => {
  it('all its sessions end, and no other', async () => {
    const [{ person, client }, { client: other }] = [await signUp(coffer.client), await signUp(coffer.client)];
    const { _id } = await user(person.username);
    expect(await coffer.get(SessionsUserData).eraseUser(_id)).toBe(1);
    expectProblem(await client.get('/me'), 401, 'invalid_session');
    expectStatus(await other.get('/me'), 200);
    expect(await coffer.get(SessionsUserData).eraseUser(_id)).toBe(0);
  });

  it('its secrets, recovery codes and open challenges are gone, and no other', async () => {
    const [{ person, client }, other] = [await withTotp(coffer), await withEmailFactor(coffer)];
    await recoveryCodes(client);
    await firstStep(coffer.client, person);
    await firstStep(coffer.client, other.person);
    const { _id } = await user(person.username);
    expect(await coffer.get(FactorsUserData).eraseUser(_id)).toBe(11);
    const after = await user(person.username);
    expect([after.totp_secret, after.totp_pending, after.two_factor_enabled]).toEqual([undefined, undefined, false]);
    expect(await store().collection(recoveryCodesCollection).count('user', [_id])).toBe(0);
    expect(await store().collection(challengesCollection).count('user', [_id])).toBe(0);
    const otherId = (await user(other.person.username))._id;
    expect(await store().collection(challengesCollection).count('user', [otherId])).toBeGreaterThan(0);
    expect(await coffer.get(FactorsUserData).eraseUser(_id)).toBe(0);
  });
});

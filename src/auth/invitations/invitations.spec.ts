import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { login, newPerson, type Person, signUp } from '../../../test/support/accounts';
import { type Answer, type Client, expectProblem, expectStatus } from '../../../test/support/client';
import { type Coffer, startCoffer } from '../../../test/support/coffer';
import { SECOND } from '../../kernel';
import { Store } from '../../store';
import { usersCollection } from '../../users';
import { invitationsCollection } from './invitation.collection';

const CODE = /^[0-9a-f-]{36}_[A-Za-z0-9_-]{32}$/m;

let coffer: Coffer;
let administrator: Client;
beforeAll(async () => {
  coffer = await startCoffer({ env: { REGISTRATION: 'invite' } });
  ({ client: administrator } = await signUp(coffer.client));
});
afterAll(() => coffer.close());

const register = (person: Person, invitation?: string): Promise<Answer> =>
  coffer.client.post('/register', { ...person, ...(invitation === undefined ? {} : { invitation }) });
const rows = () => coffer.get(Store).collection(invitationsCollection);

async function invited(email: string, expires_in = 3_600): Promise<{ id: string; code: string }> {
  const answer = await administrator.post('/invitations', { email, expires_in });
  const { id } = expectStatus(answer, 201) as { id: string };
  const mail = (await coffer.mails()).find(({ to, text }) => to === email && text.includes(id));
  return { id, code: CODE.exec(mail?.text ?? '')![0] };
}

describe('With REGISTRATION=invite', () => {
  it('the first account registers, and nobody else without an invitation', async () => {
    expectProblem(await register(newPerson()), 403, 'permission_denied');
  });

  it('an invitation is mailed, makes one account, and has verified its address', async () => {
    const person = newPerson('invited');
    const { code } = await invited(person.email);
    expectStatus(await register(person, code), 200);
    const { access_token } = await login(coffer.client, person);
    expect((await coffer.client.as(access_token).get('/me')).json).toMatchObject({
      email_verified: true,
      role: 'user',
    });
    expectProblem(await register({ ...newPerson(), email: person.email }, code), 403, 'permission_denied');
  });

  it('an invitation is for its address alone', async () => {
    const { code } = await invited(newPerson('mine').email);
    expectProblem(await register(newPerson('other'), code), 403, 'permission_denied');
  });

  it.each([
    ['made up', 'not-an-invitation'],
    ['of the right form', `019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f_${'A'.repeat(32)}`],
  ])('an invitation that is %s is none', async (_what, code) => {
    expectProblem(await register(newPerson(), code), 403, 'permission_denied');
  });

  it('one secret does not open another invitation', async () => {
    const person = newPerson();
    const [one, other] = [await invited(person.email), await invited(newPerson().email)];
    expectProblem(await register(person, `${one.id}_${other.code.slice(37)}`), 403, 'permission_denied');
  });

  it('a taken name uses nothing up: the invitation still makes an account', async () => {
    const person = newPerson('taken');
    const { code } = await invited(person.email);
    const first = await invited(newPerson('holder').email);
    const holder = newPerson('holder');
    const row = await rows().find('_id', first.id);
    expectStatus(await register({ ...holder, email: row!.email }, first.code), 200);
    expectProblem(await register({ ...person, username: holder.username }, code), 409, 'user_exists');
    expectStatus(await register(person, code), 200);
  });

  it('of fifty registrations with one invitation at the same time one succeeds', async () => {
    const { email } = newPerson('crowd');
    const { code } = await invited(email);
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, at) => register({ ...newPerson(`crowd${at}`), email }, code)),
    );
    expect(answers.filter(({ status }) => status === 200).length).toBe(1);
    expect(answers.every(({ status }) => [200, 403, 503].includes(status))).toBe(true);
    expect(await coffer.get(Store).collection(usersCollection).count('verified_email', [email])).toBe(1);
  });

  it('an ended invitation, and one whose time is over, make no account', async () => {
    const [ended, late] = [newPerson('ended'), newPerson('late')];
    const { id, code } = await invited(ended.email);
    const { code: lateCode } = await invited(late.email, 60);
    expectStatus(await administrator.delete(`/invitations/${id}`), 204);
    expectProblem(await administrator.delete(`/invitations/${id}`), 404, 'not_found');
    expectProblem(await register(ended, code), 403, 'permission_denied');
    coffer.clock.offset += 61 * SECOND;
    expectProblem(await register(late, lateCode), 403, 'permission_denied');
  });
});

describe('POST /invitations', () => {
  it('answers id, address and end with a Location, and never the code', async () => {
    const { email } = newPerson('answer');
    const answer = await administrator.post('/invitations', { email });
    const body = expectStatus(answer, 201) as { id: string; email: string; expires_at: string };
    expect(body).toEqual({ id: expect.any(String), email, expires_at: expect.any(String) });
    expect(answer.headers['location']).toBe(`/invitations/${body.id}`);
    const listed = (await administrator.get('/invitations')).json as { items: object[] };
    expect(listed.items).toContainEqual(body);
    const mail = (await coffer.mails()).find(({ to }) => to === email);
    const secret = CODE.exec(mail?.text ?? '')![0].slice(37);
    const row = await rows().find('_id', body.id);
    expect(JSON.stringify([row, listed, answer.text])).not.toContain(secret);
    expect(mail?.text).not.toMatch(/https?:\S*[?#]/);
  });

  it('is for administrators with a fresh proof', async () => {
    const person = newPerson('plain');
    const { code } = await invited(person.email);
    await register(person, code);
    const user = coffer.client.as((await login(coffer.client, person)).access_token);
    for (const answer of [
      await user.post('/invitations', { email: newPerson().email }),
      await user.get('/invitations'),
      await user.delete('/invitations/some'),
    ])
      expectProblem(answer, 403, 'permission_denied');
  });

  it('is 409 for an address that has an account, and 400 for what is no address', async () => {
    const person = newPerson('there');
    await register(person, (await invited(person.email)).code);
    expectProblem(await administrator.post('/invitations', { email: person.email }), 409, 'conflict');
    expectProblem(await administrator.post('/invitations', { email: 'nothing' }), 400, 'validation_failed');
  });

  it('leaves nothing behind where the mail does not go out', async () => {
    const { email } = newPerson('unsent');
    const outbox = join(coffer.dataDir, 'outbox');
    await rename(outbox, `${outbox}-away`);
    await writeFile(outbox, 'no folder');
    const answer = await administrator.post('/invitations', { email });
    await rm(outbox);
    await rename(`${outbox}-away`, outbox);
    expectProblem(answer, 503, 'mail_unavailable');
    expect(await rows().find('address', email)).toBeUndefined();
  });
});

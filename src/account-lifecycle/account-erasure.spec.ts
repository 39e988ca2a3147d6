import { login, signUp } from '../../test/support/accounts';
import { expectProblem, expectStatus } from '../../test/support/client';
import { Coffer, startCoffer } from '../../test/support/coffer';
import { waitFor } from '../../test/support/processes';
import { MINUTE } from '../kernel';
import { Store } from '../store';
import { Users, usersCollection } from '../users';
import { AccountErasure } from './account-erasure';
import { ErasureRequest } from './erasure-request';
import { Erasures } from './erasures';

let coffer: Coffer;
beforeEach(async () => {
  coffer = await startCoffer();
});
afterEach(() => coffer.close());

async function someone() {
  const { person, client } = await signUp(coffer.client);
  const { id } = expectStatus(await client.get('/me'), 200) as { id: string };
  return { person, client, id };
}

/** The state that a process leaves if it dies after it has marked the account. */
async function abandonedClaim(id: string): Promise<void> {
  const users = coffer.get(Users);
  await coffer.get(Erasures).claim((await users.byId(id))!, 'owner');
  await users.change(id, (user) => ({ ...user, state: 'erasing' }));
}

describe('An erase that was never decided', () => {
  it('lets nobody in while it may still be', async () => {
    await someone();
    const { id, person } = await someone();
    await abandonedClaim(id);
    await coffer.get(AccountErasure).resume();
    const { username, password } = person;
    expectProblem(await coffer.client.post('/login', { username, password }), 401, 'login_failed');
  });

  it('gives the account back once its process is gone for a minute, with all that it had', async () => {
    await someone();
    const { id, person, client } = await someone();
    expectStatus(await client.post('/sensitive-data', { data_type: 'note', value: 'kept' }), 200);
    await abandonedClaim(id);
    coffer.clock.offset += 2 * MINUTE;
    await coffer.get(AccountErasure).resume();
    const again = coffer.client.as((await login(coffer.client, person)).access_token);
    expect(expectStatus(await again.get('/sensitive-data'), 200)).toEqual([expect.objectContaining({ value: 'kept' })]);
    expect(await coffer.get(Erasures).find(id)).toBeUndefined();
  });

  it('is not given back by who slept until it was given back by another one and erased anew', async () => {
    await someone();
    const { id } = await someone();
    const [users, erasures] = [coffer.get(Users), coffer.get(Erasures)];
    await abandonedClaim(id);
    coffer.clock.offset += 2 * MINUTE;
    const move = erasures.move.bind(erasures);
    jest.spyOn(erasures, 'move').mockImplementationOnce(async (...args) => {
      const withdrawn = await move(...args);
      await coffer.get(AccountErasure).resume();
      coffer.clock.offset += 1000;
      await abandonedClaim(id);
      return withdrawn;
    });
    await coffer.get(AccountErasure).resume();
    expect((await users.byId(id))?.state).toBe('erasing');
  });

  it('is given back by who marked it only after its claim was withdrawn', async () => {
    await someone();
    const { id, person } = await someone();
    const [users, erasures] = [coffer.get(Users), coffer.get(Erasures)];
    const change = users.change.bind(users);
    jest.spyOn(users, 'change').mockImplementationOnce(async (...args) => {
      coffer.clock.offset += 2 * MINUTE;
      await coffer.get(AccountErasure).resume();
      expect(await erasures.find(id)).toBeUndefined();
      return change(...args);
    });
    await expect(coffer.get(ErasureRequest).reach(id, 'owner')).rejects.toMatchObject({ code: 'conflict' });
    expect((await users.byId(id))!.state).toBe('active');
    expect((await login(coffer.client, person)).token_type).toBe('bearer');
  });

  it('is given back too where its withdrawal died half-way', async () => {
    await someone();
    const { id, person } = await someone();
    await abandonedClaim(id);
    const erasures = coffer.get(Erasures);
    await erasures.move((await erasures.find(id))!, 'withdrawn');
    await coffer.get(AccountErasure).resume();
    expect((await login(coffer.client, person)).token_type).toBe('bearer');
  });
});

describe('Administrators', () => {
  const makeAdministrator = (id: string) =>
    coffer.get(Users).change(id, (user) => ({ ...user, role: 'administrator' }));

  it('may go while another one stays', async () => {
    const first = await someone();
    const second = await someone();
    await makeAdministrator(second.id);
    expectStatus(await first.client.delete('/me'), 200);
    expectProblem(await second.client.delete('/me'), 409, 'conflict');
  });

  it('are counted by rows that pass MAC verification: a planted one does not let the last one go', async () => {
    const first = await someone();
    const rows = coffer.get(Store).collection({ ...usersCollection, authenticated: false });
    const { rev: _, ...row } = (await rows.find('_id', first.id))!;
    await rows.insert({ ...row, _id: 'planted', username: 'planted', email: 'planted@example.org' });
    expectProblem(await first.client.delete('/me'), 409, 'conflict');
    expect(await coffer.get(Users).administrators()).toBe(1);
  });

  it('who erase themselves and each other at the same time leave at least one', async () => {
    const first = await someone();
    const second = await someone();
    await makeAdministrator(second.id);
    await Promise.all([
      first.client.delete('/me'),
      second.client.delete('/me'),
      first.client.delete(`/users/${second.id}`),
      second.client.delete(`/users/${first.id}`),
    ]);
    await waitFor('an administrator', async () => (await coffer.get(Users).administrators()) > 0);
  });
});

describe('An erase', () => {
  it('wants a proof of identity that is fresh', async () => {
    await someone();
    const { client, person } = await someone();
    coffer.clock.offset += 6 * MINUTE;
    expectProblem(await client.delete('/me'), 401, 'step_up_required');
    expect((await login(coffer.client, person)).token_type).toBe('bearer');
  });
});

import { newPerson, signUp } from '../../../test/support/accounts';
import { type Answer, expectProblem, expectStatus } from '../../../test/support/client';
import { type Coffer, startCoffer } from '../../../test/support/coffer';
import { Store } from '../../store';
import { usersCollection } from '../../users';

const statuses = (answers: readonly Answer[]): number[] => answers.map(({ status }) => status).sort((a, b) => a - b);

async function withCoffer(env: Record<string, string>, test: (coffer: Coffer) => Promise<void>): Promise<void> {
  const coffer = await startCoffer({ env });
  try {
    await test(coffer);
  } finally {
    await coffer.close();
  }
}

describe('With REGISTRATION=closed', () => {
  it('of ten first registrations at once one makes an account, and nobody registers afterwards', async () => {
    await withCoffer({ REGISTRATION: 'closed' }, async (coffer) => {
      const register = (): Promise<Answer> => coffer.client.post('/register', newPerson());
      const answers = await Promise.all(Array.from({ length: 10 }, register));
      expect(statuses(answers)).toEqual([200, ...Array<number>(9).fill(403)]);
      expectProblem(await register(), 403, 'permission_denied');
      const users = coffer.get(Store).collection(usersCollection);
      const { items } = await users.list('role', [], { limit: 100 });
      expect(items.map(({ role, state }) => [role, state])).toEqual([['administrator', 'active']]);
    });
  });

  it('the first account is confirmed by mail where that is asked for, and a second one is not', async () => {
    await withCoffer({ REGISTRATION: 'closed', EMAIL_VERIFICATION: 'required' }, async (coffer) => {
      const people = [newPerson('first'), newPerson('second')];
      for (const person of people) expectStatus(await coffer.client.post('/register', person), 200);
      const confirmed = [];
      for (const { email } of people) {
        const otp = (await coffer.codes(email)).at(-1);
        confirmed.push(await coffer.client.post('/verify-registration', { email, otp }));
      }
      expect(confirmed.map(({ status }) => status)).toEqual([200, 403]);
    });
  });

  it('there are no invitations, and no first account where BOOTSTRAP_ADMIN is none', async () => {
    await withCoffer({ REGISTRATION: 'closed' }, async (coffer) => {
      const { client } = await signUp(coffer.client);
      const invitation = await client.post('/invitations', { email: newPerson().email });
      expectProblem(invitation, 403, 'permission_denied');
    });
    await withCoffer({ REGISTRATION: 'closed', BOOTSTRAP_ADMIN: 'none' }, async (coffer) => {
      expectProblem(await coffer.client.post('/register', newPerson()), 403, 'permission_denied');
    });
  });
});

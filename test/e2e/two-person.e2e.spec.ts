import { join } from 'node:path';
import { approvalsCollection } from '../../src/approvals/approval.collection';
import { SystemClock } from '../../src/kernel';
import { AuthenticatedStore } from '../../src/store';
import { EmbeddedStore } from '../../src/store/embedded';
import { login, type Person, signUp } from '../support/accounts';
import { type Answer, Client, expectProblem, expectStatus } from '../support/client';
import { waitFor } from '../support/processes';
import { describeOnProfiles } from '../support/profiles';
import { FixedSecrets } from '../support/sealed-store';
import { type Service, startService } from '../support/service';
import { runTool } from '../support/tools';

interface Approval {
  readonly id: string;
  readonly state: string;
}

interface Actor {
  readonly client: Client;
  readonly person: Person;
  readonly id: string;
}

const approvalIn = (answer: Answer): Approval => (expectStatus(answer, 202) as { approval: Approval }).approval;

async function someone(client: Client): Promise<Actor> {
  const made = await signUp(client);
  return { ...made, id: (await made.client.get('/me')).json.id as string };
}

async function administrator(client: Client, service: Service): Promise<Actor> {
  const made = await someone(client);
  expect(await runTool(service, 'admin', 'grant', made.person.username)).toMatchObject({ code: 0 });
  return made;
}

const masterVersions = async (admin: Client): Promise<number[]> =>
  ((await admin.get('/keys')).json.master_key.versions as { version: number }[]).map(({ version }) => version);

/** How many answers had each status. */
const outcomes = (answers: readonly Answer[]): Record<number, number> => {
  const counts: Record<number, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
};

describeOnProfiles(
  'An act that takes two administrators',
  (context) => {
    let second: Client;
    beforeAll(async () => {
      second = (await administrator(context.client, context.services[0]!)).client;
    }, 60_000);

    it('retires a version when the second one approves it', async () => {
      expectStatus(await context.admin.post('/rotate-master-key'), 200);
      const approval = approvalIn(await context.admin.post('/keys/versions/1/retire'));
      expectProblem(await context.admin.post(`/approvals/${approval.id}`), 403, 'permission_denied');
      expect(await masterVersions(context.admin)).toEqual([1, 2]);
      const answer = expectStatus(await second.post(`/approvals/${approval.id}`), 200) as { current: number };
      expect(answer.current).toBe(2);
      expect(await masterVersions(context.admin)).toEqual([2]);
    });

    it('erases an account when the second one approves it', async () => {
      const { id, client } = await someone(context.client);
      const approval = approvalIn(await context.admin.delete(`/users/${id}`));
      expectStatus(await client.get('/me'), 200);
      const { receipt } = expectStatus(await second.post(`/approvals/${approval.id}`), 200) as { receipt: object };
      expect(receipt).toMatchObject({ account_id: id, requested_by: 'administrator' });
      expectProblem(await client.get('/me'), 401, 'invalid_session');
    });

    it('is done once, however many approve it at the same time', async () => {
      const { id } = await someone(context.client);
      const { id: approval } = approvalIn(await context.admin.delete(`/users/${id}`));
      const answers = await Promise.all(Array.from({ length: 20 }, () => second.post(`/approvals/${approval}`)));
      expect(outcomes(answers)).toEqual({ 200: 1, 409: 19 });
      for (const refused of answers.filter(({ status }) => status === 409)) expectProblem(refused, 409, 'conflict');
      expect((await second.get(`/approvals/${approval}`)).json).toMatchObject({ state: 'done' });
    });

    it('is either approved or withdrawn where both come at the same time', async () => {
      for (let round = 0; round < 5; round += 1) {
        const { id, client } = await someone(context.client);
        const path = `/approvals/${approvalIn(await context.admin.delete(`/users/${id}`)).id}`;
        const [approved, withdrawn] = await Promise.all([second.post(path), context.admin.delete(path)]);
        const isDone = approved.status === 200;
        expect([approved.status, withdrawn.status]).toEqual(isDone ? [200, 409] : [409, 204]);
        expect((await client.get('/me')).status).toBe(isDone ? 401 : 200);
      }
    }, 60_000);

    it('asked for many times at once by one administrator is one approval', async () => {
      const { id } = await someone(context.client);
      const asked = await Promise.all(Array.from({ length: 20 }, () => context.admin.delete(`/users/${id}`)));
      expect(new Set(asked.map((answer) => approvalIn(answer).id)).size).toBe(1);
    });
  },
  { env: { TWO_PERSON: 'true' } },
);

describe('An approved act whose process is killed', () => {
  let service: Service;
  let client: Client;
  let first: Actor;
  let second: Actor;

  beforeAll(async () => {
    service = await startService({ env: { TWO_PERSON: 'true', COFFER_SCHEDULE_SPEED: '20' } });
    client = new Client(service.url);
    first = await someone(client);
    second = await administrator(client, service);
  }, 120_000);
  afterAll(() => service.dispose());

  async function killedAt(failpoint: string, ask: (first: Client, victim: Actor) => Promise<Answer>) {
    const victim = await someone(client);
    // A fresh proof of who asks.
    const asking = client.as((await login(client, first.person)).access_token);
    const { id } = approvalIn(await ask(asking, victim));
    await service.arm(failpoint);
    const again = client.as((await login(client, second.person)).access_token);
    await expect(again.post(`/approvals/${id}`)).rejects.toThrow();
    await service.ended();
    await service.restart();
    await waitFor('the approved act', async () => (await again.get(`/approvals/${id}`)).json.state === 'done', 60_000);
    expectProblem(await again.post(`/approvals/${id}`), 409, 'conflict');
    return { again, victim };
  }

  it.each(['approval.approved', 'retire.ended', 'approval.acted'])(
    'at %s retires the version all the same',
    async (failpoint) => {
      expectStatus(await first.client.post('/rotate-master-key'), 200);
      const current = Math.max(...(await masterVersions(first.client)));
      const { again } = await killedAt(failpoint, (asking) => asking.post(`/keys/versions/${current - 1}/retire`));
      expect(await masterVersions(again)).toEqual([current]);
    },
    120_000,
  );

  it.each(['approval.approved', 'erase.decided'])(
    'at %s erases the account all the same',
    async (failpoint) => {
      const { victim } = await killedAt(failpoint, (asking, { id }) => asking.delete(`/users/${id}`));
      expectProblem(await victim.client.get('/me'), 401, 'invalid_session');
    },
    120_000,
  );
});

describe('An approval that somebody wrote into the database', () => {
  it('is not there: nobody sees it, and nothing is done', async () => {
    const service = await startService({ env: { TWO_PERSON: 'true' } });
    const store = new AuthenticatedStore(
      new EmbeddedStore(join(service.dataDir, 'store'), new SystemClock()),
      new FixedSecrets(),
      { onForgedRow: () => undefined },
    );
    try {
      const client = new Client(service.url);
      const first = await someone(client);
      const [second, victim] = [await administrator(client, service), await someone(client)];
      const [now, day] = [Date.now(), 86_400_000];
      const row = {
        action: 'account.erase',
        resource: `user/${victim.id}`,
        requested_by: first.id,
        requested_at: now - 60_000,
        expires_at: now + day,
        gone_at: now + day,
      };
      await store
        .collection(approvalsCollection)
        .insert({ ...row, _id: 'forged-pending', state: 'pending', open: 'x' });
      const decided = { state: 'approved', decided_by: second.id, decided_at: now - 30_000 } as const;
      await store.collection(approvalsCollection).insert({ ...row, ...decided, _id: 'forged-approved' });
      for (const id of ['forged-pending', 'forged-approved']) {
        expectProblem(await second.client.post(`/approvals/${id}`), 404, 'not_found');
        expectProblem(await second.client.get(`/approvals/${id}`), 404, 'not_found');
      }
      expect((await second.client.get('/approvals')).json.items).toEqual([]);
      // What goes on with approved acts comes by at each start.
      await service.restart();
      await waitFor('the forged row to be met', () =>
        Promise.resolve(service.logs().includes('fails MAC verification')),
      );
      expectStatus(await victim.client.get('/me'), 200);
    } finally {
      await store.close();
      await service.dispose();
    }
  }, 60_000);
});

describe('Without TWO_PERSON', () => {
  it('one administrator does both alone, and nothing waits for anybody', async () => {
    const service = await startService();
    try {
      const client = new Client(service.url);
      const [first, victim] = [await someone(client), await someone(client)];
      expectStatus(await first.client.post('/rotate-master-key'), 200);
      const retired = await first.client.post('/keys/versions/1/retire');
      expect(retired.headers['location']).toBeUndefined();
      expect(retired.text).toBe(JSON.stringify((await first.client.get('/keys')).json.master_key));
      const erased = await first.client.delete(`/users/${victim.id}`);
      expect(erased.status).toBe(200);
      expect(Object.keys(erased.json as object)).toEqual(['receipt', 'signature']);
      expect((await first.client.get('/approvals')).json).toEqual({ items: [], next_cursor: null });
    } finally {
      await service.dispose();
    }
  }, 60_000);
});

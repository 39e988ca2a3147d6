import { signUp } from '../../test/support/accounts';
import { type Answer, type Client, expectProblem, expectStatus } from '../../test/support/client';
import { type Coffer, startCoffer } from '../../test/support/coffer';
import { auditBatchesCollection } from '../audit/audit.collection';
import { DAY, DomainError, HOUR, MINUTE, newId } from '../kernel';
import { MasterKey } from '../keys/master-key';
import { Store } from '../store';
import { Users } from '../users';
import { approvalsCollection } from './approval.collection';
import { ApprovalDecisions } from './approval-decisions';
import { Approvals } from './approvals';
import type { ApprovalDto } from './approvals.dto';
import { ApprovableActions } from './approvable-actions';

interface Actor {
  readonly client: Client;
  readonly id: string;
}

let coffer: Coffer;
let first: Actor;
let second: Actor;
beforeEach(async () => {
  coffer = await startCoffer({ env: { TWO_PERSON: 'true' } });
  first = await someone();
  second = await administrator();
  expectStatus(await first.client.post('/rotate-master-key'), 200);
});
afterEach(() => coffer.close());

async function someone(): Promise<Actor> {
  const { client } = await signUp(coffer.client);
  return { client, id: (await client.get('/me')).json.id as string };
}

async function administrator(): Promise<Actor> {
  const actor = await someone();
  await coffer.get(Users).change(actor.id, (user) => ({ ...user, role: 'administrator' }));
  return actor;
}

const retire = (by: Actor, version = 1): Promise<Answer> => by.client.post(`/keys/versions/${version}/retire`);
const erase = (by: Actor, id: string): Promise<Answer> => by.client.delete(`/users/${id}`);
const approvalIn = (answer: Answer): ApprovalDto => (expectStatus(answer, 202) as { approval: ApprovalDto }).approval;
const approve = (by: Actor, { id }: ApprovalDto): Promise<Answer> => by.client.post(`/approvals/${id}`);
const stateOf = async ({ id }: ApprovalDto): Promise<unknown> =>
  (await first.client.get(`/approvals/${id}`)).json.state;
const versions = async (): Promise<number[]> =>
  (await coffer.get(MasterKey).state()).versions.map(({ version }) => version);
const lives = async ({ id }: Actor): Promise<boolean> => (await coffer.get(Users).byId(id)) !== undefined;

describe('With TWO_PERSON, retiring a version', () => {
  it('waits for another administrator, who does it and gets its answer', async () => {
    const asked = await retire(first);
    const approval = approvalIn(asked);
    expect(approval).toEqual({
      id: expect.any(String) as string,
      action: 'master-key.retire',
      resource: 'master-key/1',
      requested_by: first.id,
      requested_at: expect.any(String) as string,
      expires_at: expect.any(String) as string,
      state: 'pending',
    });
    expect(Date.parse(approval.expires_at) - Date.parse(approval.requested_at)).toBe(DAY);
    expect(asked.headers['location']).toBe(`/approvals/${approval.id}`);
    expect(await versions()).toEqual([1, 2]);
    const answer = expectStatus(await approve(second, approval), 200);
    expect(answer).toMatchObject({ home: 'local', current: 2, versions: [{ version: 2, in_use: true }] });
    expect(await versions()).toEqual([2]);
    expect(await stateOf(approval)).toBe('done');
  });

  it('is refused at once where the version is in use or unknown, and nothing waits', async () => {
    const refused = await retire(first, 2);
    expectProblem(refused, 409, 'version_in_use');
    expect(refused.json.count).toBeGreaterThan(0);
    expectProblem(await retire(first, 9), 404, 'not_found');
    expectProblem(await first.client.post('/keys/versions/x/retire'), 404, 'not_found');
    expect((await first.client.get('/approvals')).json).toEqual({ items: [], next_cursor: null });
  });

  it('asked for again by the same administrator is the same approval, and by another one a second', async () => {
    const one = approvalIn(await retire(first));
    expect(approvalIn(await retire(first))).toEqual(one);
    const two = approvalIn(await retire(second));
    expect(two.id).not.toBe(one.id);
    expectStatus(await approve(first, two), 200);
    // The first request is done: the version no longer exists.
    expectProblem(await approve(second, one), 404, 'not_found');
    expect(await versions()).toEqual([2]);
  });

  it('is looked at again when it is approved', async () => {
    const approval = approvalIn(await retire(first));
    // The version wrapped a key between the check at the approval and the action.
    Object.assign(coffer.get(ApprovableActions).of('master-key.retire'), {
      run: () => Promise.reject(new DomainError('version_in_use', { extensions: { count: 3 } })),
    });
    expectProblem(await approve(second, approval), 409, 'version_in_use');
    expect(await stateOf(approval)).toBe('refused');
    expectProblem(await approve(second, approval), 409, 'conflict');
    expect(await versions()).toEqual([1, 2]);
  });
});

describe('With TWO_PERSON, an erase by an administrator', () => {
  it('waits for another administrator, who does it and gets the receipt', async () => {
    const victim = await someone();
    const approval = approvalIn(await erase(first, victim.id));
    expect(approval).toMatchObject({ action: 'account.erase', resource: `user/${victim.id}` });
    expectStatus(await victim.client.get('/me'), 200);
    const { receipt } = expectStatus(await approve(second, approval), 200) as { receipt: object };
    expect(receipt).toMatchObject({ account_id: victim.id, requested_by: 'administrator' });
    expect(await lives(victim)).toBe(false);
  });

  it('that is over gives its receipt once more to one alone', async () => {
    const victim = await someone();
    expectStatus(await approve(second, approvalIn(await erase(first, victim.id))), 200);
    const { receipt } = expectStatus(await erase(first, victim.id), 200) as { receipt: object };
    expect(receipt).toMatchObject({ account_id: victim.id });
  });

  it('leaves everybody the right to go alone', async () => {
    const person = await someone();
    expectStatus(await person.client.delete('/me'), 200);
    const third = await administrator();
    expectStatus(await third.client.delete(`/users/${third.id}`), 200);
    expectStatus(await second.client.delete('/me'), 200);
    expect(await lives(second)).toBe(false);
  });

  it('of nobody is not found, and nothing waits', async () => {
    expectProblem(await erase(first, 'nobody'), 404, 'not_found');
    expect((await first.client.get('/approvals')).json.items).toEqual([]);
  });

  it('of the last administrator but one does not leave the installation without any', async () => {
    const approval = approvalIn(await erase(first, second.id));
    expectStatus(await first.client.delete('/me'), 200);
    expectProblem(await approve(second, approval), 409, 'conflict');
    expect(await lives(second)).toBe(true);
  });
});

describe('An approval', () => {
  it('is not given by who asked', async () => {
    const approval = approvalIn(await retire(first));
    expectProblem(await approve(first, approval), 403, 'permission_denied');
    expect(await stateOf(approval)).toBe('pending');
    expect(await versions()).toEqual([1, 2]);
  });

  it('is seen and given by administrators alone, with a fresh proof of who gives it', async () => {
    const approval = approvalIn(await retire(first));
    const user = await someone();
    for (const refused of [
      await approve(user, approval),
      await user.client.get('/approvals'),
      await user.client.get(`/approvals/${approval.id}`),
      await user.client.delete(`/approvals/${approval.id}`),
    ])
      expectProblem(refused, 403, 'permission_denied');
    expectProblem(await coffer.client.post(`/approvals/${approval.id}`), 401, 'unauthenticated');
    coffer.clock.offset += 6 * MINUTE;
    expectProblem(await approve(second, approval), 401, 'step_up_required');
    expect(await versions()).toEqual([1, 2]);
  });

  it('expires after a day: then it does nothing, and the same may be asked for anew', async () => {
    const approval = approvalIn(await retire(first));
    // Tokens issued before the wait would have expired too.
    const row = await coffer.get(Approvals).get(approval.id);
    await coffer
      .get(Store)
      .collection(approvalsCollection)
      .replace({ ...row, expires_at: Date.now() });
    expectProblem(await approve(second, approval), 409, 'conflict');
    expectProblem(await first.client.delete(`/approvals/${approval.id}`), 409, 'conflict');
    expect(await stateOf(approval)).toBe('expired');
    expect(await versions()).toEqual([1, 2]);
    const anew = approvalIn(await retire(first));
    expect(anew.id).not.toBe(approval.id);
    expectStatus(await approve(second, anew), 200);
  });

  it.each([
    ['demoted', { role: 'user' }],
    ['disabled', { state: 'disabled' }],
    ['in the middle of an erase', { state: 'erasing' }],
  ] as const)('rests where who asked is %s', async (_, change) => {
    const approval = approvalIn(await retire(first));
    await coffer.get(Users).change(first.id, (user) => ({ ...user, ...change }));
    expectProblem(await approve(second, approval), 409, 'conflict');
    expect(await versions()).toEqual([1, 2]);
    await coffer.get(Users).change(first.id, (user) => ({ ...user, role: 'administrator', state: 'active' }));
    expectStatus(await approve(second, approval), 200);
  });

  it('rests where who asked is gone', async () => {
    const approval = approvalIn(await retire(first));
    expectStatus(await first.client.delete('/me'), 200);
    const third = await administrator();
    expectProblem(await approve(third, approval), 409, 'conflict');
    expect(await versions()).toEqual([1, 2]);
  });

  it.each(['withdrawn', 'rejected'] as const)('that is %s does nothing', async (state) => {
    const approval = approvalIn(await retire(first));
    const by = state === 'withdrawn' ? first : second;
    expect((await by.client.delete(`/approvals/${approval.id}`)).status).toBe(204);
    expect(await stateOf(approval)).toBe(state);
    expectProblem(await approve(second, approval), 409, 'conflict');
    expectProblem(await by.client.delete(`/approvals/${approval.id}`), 409, 'conflict');
    expect(await versions()).toEqual([1, 2]);
  });

  it('of an unknown id is not found', async () => {
    for (const refused of [
      await second.client.post('/approvals/nothing'),
      await second.client.get('/approvals/nothing'),
      await second.client.delete('/approvals/nothing'),
    ])
      expectProblem(refused, 404, 'not_found');
  });

  it('is listed newest first, a page at a time', async () => {
    const victim = await someone();
    const one = approvalIn(await retire(first));
    const two = approvalIn(await erase(second, victim.id));
    const page = expectStatus(await first.client.get('/approvals?limit=1'), 200) as { next_cursor: string };
    expect(page).toEqual({ items: [two], next_cursor: expect.any(String) as string });
    const rest = await first.client.get('/approvals', { query: { limit: 1, cursor: page.next_cursor } });
    expect(rest.json).toEqual({ items: [one], next_cursor: null });
    expectProblem(await second.client.get(`/approvals?cursor=${page.next_cursor}`), 400, 'invalid_cursor');
  });

  it('leaves both persons in the audit log, with every refusal', async () => {
    const approval = approvalIn(await retire(first));
    expectProblem(await approve(first, approval), 403, 'permission_denied');
    expectStatus(await approve(second, approval), 200);
    const batches = await coffer.get(Store).collection(auditBatchesCollection).list('_id', [], { limit: 1000 });
    const entries = batches.items.flatMap((row) => JSON.parse(row.entries) as Record<string, unknown>[]);
    const about = { act: 'master-key.retire', on: 'master-key/1', requested_by: first.id };
    const resource = `approval/${approval.id}`;
    expect(entries).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ action: 'approval.request', actor: first.id, resource: 'master-key/1' }),
        expect.objectContaining({ action: 'approval.approve', actor: first.id, resource, details: about }),
        expect.objectContaining({ action: 'approval.approve', actor: second.id, resource, details: about }),
        expect.objectContaining({
          action: 'master-key.retire',
          actor: second.id,
          details: { approval: approval.id, requested_by: first.id },
        }),
      ]),
    );
  });
});

describe('An approved act that an outage stopped', () => {
  it('is gone on with by itself, and by an administrator who approves it again', async () => {
    const approval = approvalIn(await retire(first));
    const masterKey = coffer.get(MasterKey);
    const real = masterKey.retire.bind(masterKey);
    masterKey.retire = () => Promise.reject(new DomainError('kms_unavailable', { retryAfterSeconds: 5 }));
    expectProblem(await approve(second, approval), 503, 'kms_unavailable');
    expect(await stateOf(approval)).toBe('approved');
    expectProblem(await approve(second, approval), 409, 'conflict');
    expectProblem(await first.client.delete(`/approvals/${approval.id}`), 409, 'conflict');
    coffer.clock.offset += 11_000;
    expectProblem(await approve(first, approval), 403, 'permission_denied');
    expectProblem(await approve(second, approval), 503, 'kms_unavailable');
    masterKey.retire = real;
    coffer.clock.offset += 20_000;
    await coffer.get(ApprovalDecisions).resume();
    expect(await versions()).toEqual([2]);
    expect(await stateOf(approval)).toBe('done');
  });

  it('is tried again after pauses that grow to ten minutes, and not once it has lapsed', async () => {
    const approval = approvalIn(await retire(first));
    const tries: number[] = [];
    coffer.get(MasterKey).retire = () => {
      tries.push(coffer.clock.offset);
      return Promise.reject(new DomainError('kms_unavailable', { retryAfterSeconds: 5 }));
    };
    expectProblem(await approve(second, approval), 503, 'kms_unavailable');
    const begin = coffer.clock.offset;
    while (coffer.clock.offset < begin + DAY + HOUR) {
      coffer.clock.offset += coffer.clock.offset < begin + HOUR ? 10_000 : 10 * MINUTE;
      await coffer.get(ApprovalDecisions).resume();
    }
    const pauses = tries.slice(1).map((at, n) => (at - tries[n]!) / 10_000);
    expect(pauses.slice(0, 8)).toEqual([1, 2, 4, 8, 16, 32, 60, 60]);
    expect(tries.length).toBeGreaterThan(70);
    expect(tries.at(-1)! - begin).toBeLessThanOrEqual(DAY);
    // The requester's token has expired by then.
    expect((await coffer.get(Approvals).get(approval.id)).state).toBe('expired');
  });

  it('holds up no other, however many there are', async () => {
    const rows = coffer.get(Store).collection(approvalsCollection);
    const row = await coffer.get(Approvals).get(approvalIn(await retire(first)).id);
    const approved = { ...row, state: 'approved' as const, decided_by: second.id, decided_at: Date.now() - MINUTE };
    const { open: _place, rev: _rev, ...stuck } = approved;
    for (let n = 0; n < 120; n += 1) await rows.insert({ ...stuck, _id: newId(), attempts: 9, tried_at: Date.now() });
    const last = await rows.insert({ ...stuck, _id: newId() });
    await coffer.get(ApprovalDecisions).resume();
    expect((await rows.find('_id', last._id))!.state).toBe('done');
    expect(await versions()).toEqual([2]);
  });

  it('is given up a day after its approval', async () => {
    const approval = approvalIn(await retire(first));
    coffer.get(MasterKey).retire = () => Promise.reject(new DomainError('kms_unavailable', { retryAfterSeconds: 5 }));
    expectProblem(await approve(second, approval), 503, 'kms_unavailable');
    const row = await coffer.get(Approvals).get(approval.id);
    await coffer
      .get(Store)
      .collection(approvalsCollection)
      .replace({ ...row, decided_at: Date.now() - DAY - MINUTE });
    await coffer.get(ApprovalDecisions).resume();
    expect(await stateOf(approval)).toBe('expired');
  });
});

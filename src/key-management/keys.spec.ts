import { join } from 'node:path';
import { newPerson, signUp } from '../../test/support/accounts';
import { type Answer, type Client, expectProblem, expectStatus } from '../../test/support/client';
import { type Coffer, startCoffer } from '../../test/support/coffer';
import { loseIndex } from '../../test/support/lost-index';
import { waitFor } from '../../test/support/processes';
import { codeOf, firstStep, withTotp } from '../../test/support/second-factors';
import { idempotencyKeyCollection } from '../http/idempotency-keys.collection';
import { Config } from '../config';
import { JobRunner, Scheduler } from '../jobs';
import { AuditSink, Clock, DAY, DomainError, MINUTE } from '../kernel';
import { MasterKey } from '../keys/master-key';
import { masterKeyCollection } from '../keys/master-key/master-key-row';
import { jobsCollection } from '../jobs/jobs.collection';
import { auditBatchesCollection } from '../audit/audit.collection';
import { type AuditEntry } from '../audit/entry';
import { KeyOverview, ROTATION_JOB, RotationService, RotationSchedule, USER_KEY_ROTATION_JOB } from '../keys/rotation';
import { UserKeyRotator, userKeysCollection, UserKeyService } from '../keys/user-keys';
import { fileCollection } from '../files/model/file.collection';
import { sensitiveDataCollection } from '../sensitive-data/sensitive-data.collection';
import { Store } from '../store';
import { EmbeddedCollection } from '../store/embedded/embedded-collection';

let coffer: Coffer;
let admin: Client;
beforeAll(async () => {
  coffer = await startCoffer({ env: { KEY_ROTATION_DAYS: '30' } });
  admin = (await signUp(coffer.client, newPerson('admin'))).client;
});
afterEach(() => void (coffer.clock.offset = 0));
afterAll(() => coffer.close());

const idOf = async (client: Client): Promise<string> => (await client.get('/me')).json.id as string;
const userKeyRow = async (client: Client) =>
  (await coffer
    .get(Store)
    .collection(userKeysCollection)
    .find('_id', await idOf(client)))!;
const newRecord = async (client: Client, value: string): Promise<string> =>
  (await client.post('/sensitive-data', { data_type: 'note', value })).json.id as string;
const valueOf = async (client: Client, id: string): Promise<unknown> =>
  (await client.get(`/sensitive-data/${id}`)).json;

/**
 * As if the key had been rotated often: the next version has this number. The first one stays
 * beside it.
 */
async function renumbered(client: Client, version: number): Promise<void> {
  const row = await userKeyRow(client);
  await coffer
    .get(Store)
    .collection(userKeysCollection)
    .replace({ ...row, current: version - 1 });
  expect(await coffer.get(UserKeyRotator).advance(row._id, version - 1)).toBe(version);
}

describe('POST /keys/rotate', () => {
  it('gives the caller a new key version, and the former one is gone when all is moved', async () => {
    const { client } = await signUp(coffer.client);
    const id = await newRecord(client, 'a value');
    const before = await valueOf(client, id);
    const answer = expectStatus(await client.post('/keys/rotate'), 200);
    expect(answer).toMatchObject({ rotation: { state: 'done', target_version: 2, failed: 0 } });
    expect((await client.get('/keys')).json.user_key).toMatchObject({ current: 2, versions: [{ version: 2 }] });
    expect((await userKeyRow(client)).versions.map(({ version }) => version)).toEqual([2]);
    expect(await valueOf(client, id)).toEqual(before);
  });

  it('leaves files readable and their names where they were', async () => {
    const { client } = await signUp(coffer.client);
    const { id } = (await client.upload('report.txt', 'the content')).json as { id: string };
    const listed = (await client.get('/files')).json;
    expectStatus(await client.post('/keys/rotate'), 200);
    expect((await client.get('/files')).json).toEqual(listed);
    expect((await client.get(`/files/${id}/content`)).text).toBe('the content');
    expectProblem(await client.upload('report.txt', 'another'), 409, 'file_exists');
    expect((await userKeyRow(client)).versions).toHaveLength(1);
  });

  it('leaves the second factor and the sessions as they are', async () => {
    const { person, client, secret } = await withTotp(coffer);
    const sessions = (await client.get('/sessions')).json;
    expectStatus(await client.post('/keys/rotate'), 200);
    expect((await client.get('/sessions')).json).toEqual(sessions);
    const { mfa_token } = await firstStep(coffer.client, person);
    const verify = { username: person.username, mfa_token, otp: codeOf(coffer, secret) };
    expectStatus(await coffer.client.post('/verify-otp', verify), 200);
  });

  it('leaves an answer that is kept for a replay readable', async () => {
    const { client } = await signUp(coffer.client);
    const headers = { 'idempotency-key': 'once' };
    const send = () => client.post('/sensitive-data', { data_type: 'note', value: 'v' }, { headers });
    const first = (await send()).json;
    expectStatus(await client.post('/keys/rotate'), 200);
    expect((await send()).json).toEqual(first);
    expect(
      await coffer
        .get(Store)
        .collection(idempotencyKeyCollection)
        .count('user', [await idOf(client)]),
    ).toBe(1);
  });

  it('can follow another one', async () => {
    const { client } = await signUp(coffer.client);
    const id = await newRecord(client, 'a value');
    for (const target_version of [2, 3, 4]) {
      expect((await client.post('/keys/rotate')).json.rotation).toMatchObject({ state: 'done', target_version });
      coffer.clock.offset += 10 * MINUTE;
    }
    expect((await userKeyRow(client)).versions.map(({ version }) => version)).toEqual([4]);
    expect((await client.get(`/sensitive-data/${id}`)).status).toBe(200);
  });

  it('waits for ten minutes after another one by the owner, and not after one by an administrator', async () => {
    const { client } = await signUp(coffer.client);
    const rotate = (): Promise<Answer> => client.post('/keys/rotate');
    expectStatus(await rotate(), 200);
    const refused = await rotate();
    expectProblem(refused, 429, 'rate_limited');
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(500);
    expectStatus(await admin.post(`/users/${await idOf(client)}/rotate-key`), 200);
    coffer.clock.offset += 9 * MINUTE;
    expectProblem(await rotate(), 429, 'rate_limited');
    coffer.clock.offset += MINUTE;
    expectStatus(await rotate(), 200);
    expect((await userKeyRow(client)).current).toBe(4);
  });

  it('is refused after the last version that an envelope can name, and changes nothing', async () => {
    const { client } = await signUp(coffer.client);
    await renumbered(client, 65_534);
    coffer.clock.offset += 10 * MINUTE;
    const id = await newRecord(client, 'a value');
    expectStatus(await client.post('/keys/rotate'), 200);
    coffer.clock.offset += 10 * MINUTE;
    const before = await userKeyRow(client);
    expect(before.current).toBe(65_535);
    expectProblem(await client.post('/keys/rotate'), 409, 'conflict');
    expectProblem(await admin.post(`/users/${await idOf(client)}/rotate-key`), 409, 'conflict');
    await expect(coffer.get(UserKeyRotator).advance(await idOf(client), 65_535)).rejects.toMatchObject({
      code: 'conflict',
    });
    expect(await userKeyRow(client)).toEqual(before);
    expect((await client.get(`/sensitive-data/${id}`)).status).toBe(200);
  });

  it('keeps a version that a damaged value is still under, and says so', async () => {
    const { client } = await signUp(coffer.client);
    const id = await newRecord(client, 'a value');
    const rows = coffer.get(Store).collection(sensitiveDataCollection);
    const row = (await rows.find('_id', id))!;
    const encrypted_value = `${row.encrypted_value.slice(0, -2)}${row.encrypted_value.endsWith('00') ? '01' : '00'}`;
    await rows.replace({ ...row, encrypted_value });
    expect((await client.post('/keys/rotate')).json.rotation).toMatchObject({ state: 'done', failed: 1 });
    expect((await userKeyRow(client)).versions.map(({ version }) => version)).toEqual([1, 2]);
  });

  it.each([
    ['an envelope names, whatever its column says', { key_version: 2 }],
    ['a row may need that fails MAC verification', { data_type: 'other' }],
  ])('keeps a version that %s', async (_, change) => {
    const { client } = await signUp(coffer.client);
    const id = await newRecord(client, 'a value');
    const isForged = 'data_type' in change;
    const rows = coffer.get(Store).collection({ ...sensitiveDataCollection, authenticated: !isForged });
    const row = (await rows.find('_id', id))!;
    await rows.replace({ ...row, ...change });
    expect((await client.post('/keys/rotate')).json.rotation).toMatchObject({ state: 'done', failed: 1 });
    expect((await userKeyRow(client)).versions.map(({ version }) => version)).toEqual([1, 2]);
    if (!isForged) expect((await client.get(`/sensitive-data/${id}`)).json.value).toBe('a value');
  });

  it('keeps a version that rows are under which an index has lost', async () => {
    const { client } = await signUp(coffer.client);
    const id = await newRecord(client, 'a value');
    const { id: fileId } = (await client.upload('lost.txt', 'the content')).json as { id: string };
    const folder = join(coffer.dataDir, 'store');
    await loseIndex(folder, sensitiveDataCollection, 'owner_version');
    for (const index of ['wrap_version', 'seal_version']) await loseIndex(folder, fileCollection, index);
    expect((await client.post('/keys/rotate')).json.rotation).toMatchObject({ state: 'done', failed: 2 });
    expect((await userKeyRow(client)).versions.map(({ version }) => version)).toEqual([1, 2]);
    expect((await client.get(`/sensitive-data/${id}`)).json.value).toBe('a value');
    expect((await client.get(`/files/${fileId}/content`)).text).toBe('the content');
  });

  it('looks at the values of an owner once for all former versions', async () => {
    const { client } = await signUp(coffer.client);
    await newRecord(client, 'a value');
    const owner = await idOf(client);
    for (const version of [1, 2, 3]) await coffer.get(UserKeyRotator).advance(owner, version);
    const scans = jest.spyOn(EmbeddedCollection.prototype, 'scan');
    expectStatus(await admin.post(`/users/${owner}/rotate-key`), 200);
    const passes = scans.mock.calls
      .map(([, prefix, { after }], at) => ({ name: scans.mock.contexts[at]!.name, owner: prefix[0], after }))
      .filter(({ after, ...pass }) => pass.owner === owner && after === undefined);
    scans.mockRestore();
    const names = passes.map(({ name }) => name as string);
    expect(names).toContain('sensitive_data');
    expect(names).toEqual([...new Set(names)]);
    expect((await userKeyRow(client)).versions.map(({ version }) => version)).toEqual([5]);
  });

  it('moves a pending row of a writer that is not back yet', async () => {
    const { client } = await signUp(coffer.client);
    const id = await newRecord(client, 'a value');
    const rows = coffer.get(Store).collection(sensitiveDataCollection);
    await rows.replace({ ...(await rows.find('_id', id))!, state: 'pending', pending_since: Date.now() });
    expectStatus(await client.post('/keys/rotate'), 200);
    expect(await rows.find('_id', id)).toMatchObject({ state: 'pending', key_version: 2 });
  });

  it('is refused while another rotation of the same key is under way, and not for another user', async () => {
    const [{ client }, { client: other }] = [await signUp(coffer.client), await signUp(coffer.client)];
    const masterKey = coffer.get(MasterKey);
    const wrap = masterKey.wrap.bind(masterKey);
    let refused: Answer | undefined;
    masterKey.wrap = async (...args) => {
      masterKey.wrap = wrap;
      refused = await client.post('/keys/rotate');
      expectStatus(await other.post('/keys/rotate'), 200);
      return wrap(...args);
    };
    const { rotation } = expectStatus(await client.post('/keys/rotate'), 200) as { rotation: { id: string } };
    expectProblem(refused!, 409, 'rotation_running');
    expect(refused!.json.rotation_id).toBe(rotation.id);
  });

  it('is not said to have happened while no new version can be made, and goes on by itself', async () => {
    const { client } = await signUp(coffer.client);
    const wrap = jest.spyOn(coffer.get(MasterKey), 'wrap').mockRejectedValue(new DomainError('kms_unavailable'));
    const refused = await client.post('/keys/rotate');
    wrap.mockRestore();
    expectProblem(refused, 503, 'kms_unavailable');
    const id = refused.json.rotation_id as string;
    await waitFor('its end', async () => (await coffer.get(JobRunner).find(id))?.state === 'done');
    expect((await userKeyRow(client)).current).toBe(2);
  });

  it('needs a token', async () => {
    expectProblem(await coffer.client.post('/keys/rotate'), 401, 'unauthenticated');
  });
});

describe('POST /users/{id}/rotate-key', () => {
  it('rotates the key of a user for an administrator', async () => {
    const { client } = await signUp(coffer.client);
    const id = await newRecord(client, 'a value');
    const before = await valueOf(client, id);
    const { rotation } = expectStatus(await admin.post(`/users/${await idOf(client)}/rotate-key`), 200) as {
      rotation: { id: string };
    };
    expect(await valueOf(client, id)).toEqual(before);
    expect((await admin.get(`/rotations/${rotation.id}`)).json).toEqual(rotation);
  });

  it('is for administrators alone', async () => {
    const { client } = await signUp(coffer.client);
    expectProblem(await client.post(`/users/${await idOf(client)}/rotate-key`), 403, 'permission_denied');
  });

  it('knows nobody of an id that has no key, and nobody who was erased', async () => {
    expectProblem(await admin.post('/users/nobody/rotate-key'), 404, 'not_found');
    const { client } = await signUp(coffer.client);
    const id = await idOf(client);
    await coffer.get(UserKeyService).destroy(id);
    expectProblem(await admin.post(`/users/${id}/rotate-key`), 404, 'not_found');
  });
});

describe('GET /keys', () => {
  it('says where the master key is, which versions are in use, and the own key, and shows no key', async () => {
    const { client } = await signUp(coffer.client);
    const { json, text } = await client.get('/keys');
    expect(json).toEqual({
      master_key: {
        home: 'local',
        current: 1,
        versions: [{ version: 1, created_at: expect.any(String) as string, in_use: true }],
      },
      user_key: { current: 1, versions: [{ version: 1, created_at: expect.any(String) as string }] },
    });
    expect(text).not.toMatch(/wrapped|local:v/);
  });

  it('calls a version that nothing is wrapped by not in use', async () => {
    expectStatus(await admin.post('/rotate-master-key'), 200);
    const { versions } = (await admin.get('/keys')).json.master_key as { versions: unknown[] };
    expect(versions).toEqual([
      expect.objectContaining({ version: 1, in_use: false }),
      expect.objectContaining({ version: 2, in_use: true }),
    ]);
  });
});

describe('Pausing a rotation', () => {
  it('keeps its place until it goes on', async () => {
    const { client } = await signUp(coffer.client);
    const jobs = coffer.get(JobRunner);
    const rows = await jobs.list(USER_KEY_ROTATION_JOB, { limit: 1 });
    const ended = rows.items[0]!.id;
    expectProblem(await admin.post(`/rotations/${ended}/pause`), 409, 'conflict');
    expectProblem(await admin.post(`/rotations/${ended}/resume`), 409, 'conflict');
    expectProblem(await client.post(`/rotations/${ended}/pause`), 403, 'permission_denied');
    expectProblem(await admin.post('/rotations/nothing/pause'), 404, 'not_found');
    expectProblem(await admin.post('/rotations/nothing/resume'), 404, 'not_found');
  });

  it('stops it, and resuming lets it come to its end', async () => {
    const masterKey = coffer.get(MasterKey);
    const rewrap = masterKey.rewrap.bind(masterKey);
    let go = (): void => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    masterKey.rewrap = async (...args) => {
      await gate;
      return rewrap(...args);
    };
    const answered = admin.post('/rotate-master-key');
    const running = await waitFor('the rotation', async () => {
      const { items } = (await admin.get('/rotations')).json as { items: { id: string; state: string }[] };
      return items.find(({ state }) => state === 'running');
    });
    const path = `/rotations/${running.id}`;
    expect(expectStatus(await admin.post(`${path}/pause`), 200)).toMatchObject({ state: 'paused' });
    go();
    masterKey.rewrap = rewrap;
    await answered;
    expect((await admin.get(path)).json).toMatchObject({ state: 'paused' });
    expectProblem(await admin.post('/rotate-master-key'), 409, 'rotation_running');
    expectStatus(await admin.post(`${path}/resume`), 200);
    await waitFor('its end', async () => ((await admin.get(path)).json.state === 'done' ? true : undefined));
  });
});

describe('KEY_ROTATION_DAYS', () => {
  it('rotates the master key when its version is that old, and not before', async () => {
    const schedule = coffer.get(RotationSchedule);
    const current = async (): Promise<number> => (await admin.get('/keys')).json.master_key.current as number;
    const before = await current();
    await schedule.rotateIfDue();
    expect(await current()).toBe(before);
    const now = coffer.clock.offset;
    coffer.clock.offset = now + 31 * 86_400_000;
    coffer.clock.slept += 31 * 86_400_000;
    await schedule.rotateIfDue();
    coffer.clock.offset = now;
    expect(await current()).toBe(before + 1);
    const { items } = await coffer.get(Store).collection(auditBatchesCollection).list('_id', [], { limit: 1000 });
    const entries = items.flatMap((batch) => JSON.parse(batch.entries) as AuditEntry[]);
    const intent = { phase: 'intent', action: 'master-key.rotate', actor: 'system:rotation-schedule' };
    expect(entries).toContainEqual(expect.objectContaining(intent));
  });

  const begun = (): RotationSchedule =>
    new RotationSchedule(
      { masterKeyRotationDays: 30 } as Config,
      coffer.get(Scheduler),
      coffer.get(KeyOverview),
      coffer.get(RotationService),
      coffer.get(Clock),
      coffer.get(AuditSink),
    );
  const current = async (): Promise<number> =>
    (await coffer.get(Store).collection(masterKeyCollection).find('_id', 'master'))!.current;

  it('rotates once where this clock is far ahead of that of the key, also in a process that has just started', async () => {
    const before = await current();
    coffer.clock.offset = 70 * DAY;
    const schedule = begun();
    for (let turn = 0; turn < 3; turn += 1) await schedule.rotateIfDue();
    expect(await current()).toBe(before + 1);
    await begun().rotateIfDue();
    expect(await current()).toBe(before + 1);
    coffer.clock.offset += 31 * DAY;
    await begun().rotateIfDue();
    expect(await current()).toBe(before + 2);
  });

  it('rotates once where the rows of former rotations are gone, for as long as it has seen the version', async () => {
    const jobs = coffer.get(Store).collection(jobsCollection);
    const schedule = begun();
    const withoutRows = async (): Promise<void> => {
      const { items } = await jobs.list('kind', [ROTATION_JOB], { limit: 100 });
      for (const { _id } of items) await jobs.remove(_id);
      await schedule.rotateIfDue();
    };
    const before = await current();
    coffer.clock.offset = 140 * DAY;
    for (let turn = 0; turn < 3; turn += 1) await withoutRows();
    expect(await current()).toBe(before + 1);
    coffer.clock.slept += 31 * DAY;
    await withoutRows();
    expect(await current()).toBe(before + 2);
  });
});

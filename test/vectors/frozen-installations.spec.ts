import { verifyReceipt } from '../../src/account-lifecycle';
import { verifyChain } from '../../src/audit';
import { Store } from '../../src/store';
import { login } from '../support/accounts';
import { type Client, expectProblem, expectStatus } from '../support/client';
import { type Coffer, startCoffer } from '../support/coffer';
import {
  copyOf,
  type FrozenFile,
  type FrozenInstallation,
  frozenInstallation,
  frozenNames,
  type FrozenPerson,
  patternOf,
  sha256Of,
} from '../support/frozen-installation';
import { waitFor } from '../support/processes';
import { codeOf } from '../support/second-factors';
import { patchUpload } from '../support/tus';

// Made once by a release and never again (installations/README.md): what one of them holds must
// open, whatever the code becomes.
describe.each(frozenNames())('the frozen installation %s', (name) => {
  const frozen = frozenInstallation(name);
  const copy = copyOf(name);
  let coffer: Coffer;
  let people: Record<'admin' | 'alice' | 'bob', Client>;

  const start = async (at: number): Promise<void> => {
    coffer = await startCoffer({ env: { ...frozen.env, COFFER_PASSWORD_COST: 'standard' }, dataDir: copy.dataDir, at });
    const [admin, bob] = [await signedIn(frozen.people.admin), await signedIn(frozen.people.bob)];
    people = { admin, bob, alice: await withTotp(frozen.people.alice) };
  };
  const signedIn = async (person: FrozenPerson): Promise<Client> =>
    coffer.client.as((await login(coffer.client, person)).access_token);
  const withTotp = async (person: FrozenPerson): Promise<Client> => {
    const { mfa_token } = (await login(coffer.client, person)) as unknown as { mfa_token: string };
    const otp = codeOf(coffer, person.totp_secret!);
    const answer = await coffer.client.post('/verify-otp', { username: person.username, mfa_token, otp });
    return coffer.client.as((expectStatus(answer, 200) as { access_token: string }).access_token);
  };

  // Later: a step of TOTP is good once, and the rotations of a user key have an interval.
  beforeAll(() => start(frozen.frozen_at + 3_600_000), 60_000);
  afterAll(async () => {
    await coffer.close();
    copy.remove();
  });

  it('knows its accounts, roles and recovery codes', async () => {
    for (const who of ['admin', 'alice', 'bob'] as const) {
      const { id, username, role } = frozen.people[who];
      expect((await people[who].get('/me')).json).toMatchObject({ id, username, role });
    }
    const { username, recovery_codes } = frozen.people.alice;
    const { mfa_token } = (await login(coffer.client, frozen.people.alice)) as unknown as { mfa_token: string };
    const otp = recovery_codes![0];
    expectStatus(await coffer.client.post('/verify-otp', { username, mfa_token, otp }), 200);
  });

  it('opens every record and file, all versions, by id and by name', async () => {
    await readAll(frozen, people);
    const { view, exported } = frozen.files['several']!;
    expect((await people.alice.get(`/files/${view.id}/key`)).json).toMatchObject(exported!);
  });

  it('gives what was shared to whom it was shared with', async () => {
    const { files } = frozen;
    for (const file of [files['small']!, files['several']!]) await readCurrent(people.bob, file);
    expectProblem(await people.bob.get(`/files/${files['sealed']!.view.id}`), 404, 'file_not_found');
    const grants = expectStatus(await people.alice.get(`/files/${files['ending']!.view.id}/grants`), 200);
    expect(grants.items).toMatchObject([{ id: frozen.grants[2]!.id, state: 'pending' }]);
    await openLink(coffer.client, frozen);
    const { token, password } = frozen.upload_link;
    const { ticket } = expectStatus(await coffer.client.post('/upload-links/open', { token, password }), 200);
    const sent = expectStatus(await coffer.client.as(ticket as string).upload('dropped.txt', 'dropped'), 201);
    expect(sent).toEqual({ size: 7, sha256: sha256Of(Buffer.from('dropped')) });
    expect((await people.alice.get('/files/by-name/dropped.txt/content')).text).toBe('dropped');
  });

  it('repeats the answer that it kept', async () => {
    const { key, json, answer } = frozen.idempotent;
    const repeated = await people.alice.post('/sensitive-data', json, { headers: { 'idempotency-key': key } });
    expect(expectStatus(repeated, 200)).toEqual(answer);
  });

  it('goes on with the unfinished upload', async () => {
    const { path, sent, name: file, sha256 } = frozen.upload;
    const rest = patternOf(frozen.upload).subarray(sent);
    expect((await patchUpload(people.alice, path, sent, rest)).status).toBe(204);
    expect(sha256Of((await people.alice.get(`/files/by-name/${file}/content`)).bytes)).toBe(sha256);
  });

  it('restores what is in the trash', async () => {
    const { view, versions } = frozen.files['trashed']!;
    expectStatus(await people.alice.post(`/files/${view.id}/restore`, {}), 200);
    const content = await people.alice.get(`/files/by-name/${view.name}/content`);
    expect(sha256Of(content.bytes)).toBe(versions.at(-1)!.sha256);
  });

  it('ends the paused rotation, rotates users and master key again, and retires what came before', async () => {
    const { id, target_version, total } = frozen.paused;
    const rotation = async (): Promise<unknown> => expectStatus(await people.admin.get(`/rotations/${id}`), 200);
    expect(await rotation()).toMatchObject({ state: 'paused' });
    expectProblem(await people.admin.post(`/keys/versions/${target_version - 1}/retire`), 409, 'version_in_use');
    expectStatus(await people.admin.post(`/rotations/${id}/resume`), 200);
    await waitFor('its end', async () => ((await rotation()) as { state: string }).state === 'done');
    expect(await rotation()).toMatchObject({ target_version, total, done: total, failed: 0 });
    await readAll(frozen, people);
    expectStatus(await people.alice.post('/keys/rotate'), 200);
    await waitFor('the end of the rotation of a user key', async () => {
      const { user_key: key } = expectStatus(await people.alice.get('/keys'), 200) as UserKeyAnswer;
      return key.current === 3 && key.versions.length === 1;
    });
    const again = expectStatus(await people.admin.post('/rotate-master-key'), 200);
    expect(again.rotation).toMatchObject({ state: 'done', target_version: target_version + 1, total, failed: 0 });
    expectStatus(await people.admin.post(`/keys/versions/${target_version}/retire`), 200);
    await readAll(frozen, people);
  }, 60_000);

  it('has a whole audit log, and receipts that hold', async () => {
    const report = await verifyChain(coffer.get(Store));
    expect([report.faults, report.entries > 2 * frozen.others]).toEqual([[], true]);
    const { id, username, password, answer } = frozen.erased;
    expect(verifyReceipt(JSON.stringify(answer), frozen.public_key)).toMatchObject({ account_id: id });
    const issued = expectStatus(await people.admin.delete(`/users/${id}`), 200) as object;
    expect(verifyReceipt(JSON.stringify(issued), frozen.public_key)).toMatchObject({ account_id: id, tier: 'backups' });
    expectProblem(await coffer.client.post('/login', { username, password }), 401, 'login_failed');
  });

  it('opens all of it once more after a restart', async () => {
    const now = Date.now() + coffer.clock.offset;
    await coffer.close();
    await start(now + 60_000);
    await readAll(frozen, people);
    await openLink(coffer.client, frozen);
    await readCurrent(people.bob, frozen.files['several']!);
    expect((await verifyChain(coffer.get(Store))).faults).toEqual([]);
  }, 60_000);
});

interface UserKeyAnswer {
  readonly user_key: { readonly current: number; readonly versions: readonly unknown[] };
}

async function readAll({ records, files }: FrozenInstallation, people: Record<string, Client>): Promise<void> {
  for (const { owner, id, data_type, value } of records) {
    expect((await people[owner]!.get(`/sensitive-data/${id}`)).json).toEqual({ id, data_type, value });
  }
  for (const file of Object.values(files).filter(({ trashed }) => trashed !== true)) {
    await readCurrent(people['alice']!, file);
    await readOwn(people['alice']!, file);
  }
}

async function readCurrent(client: Client, { view, versions }: FrozenFile): Promise<void> {
  expect(expectStatus(await client.get(`/files/${view.id}`), 200)).toMatchObject(view);
  const { size, sha256 } = versions.at(-1)!;
  const content = await client.get(`/files/${view.id}/content`);
  expect([content.status, content.bytes.length, sha256Of(content.bytes)]).toEqual([200, size, sha256]);
}

/** What its owner alone may read: by name, a range, every version, the stored message. */
async function readOwn(client: Client, { view, versions }: FrozenFile): Promise<void> {
  const byName = `/files/by-name/${encodeURIComponent(view.name)}`;
  expect((await client.get(byName)).json).toMatchObject({ id: view.id });
  for (const [at, content] of versions.entries()) {
    const answer = await client.get(`/files/${view.id}/content`, { query: { version: at + 1 } });
    expect([answer.status, sha256Of(answer.bytes)]).toEqual([200, content.sha256]);
  }
  const { size } = view;
  if (size === 0) return;
  const headers = { range: `bytes=${size - 10}-${size - 1}` };
  const part = await client.get(`${byName}/content`, { headers });
  expect([part.status, part.bytes]).toEqual([206, patternOf(versions.at(-1)!).subarray(size - 10)]);
}

async function openLink(client: Client, { link, files }: FrozenInstallation): Promise<void> {
  const { token, password } = link;
  const opened = expectStatus(await client.post('/links/open', { token, password }), 200) as Record<string, string>;
  const { bytes } = await client.as(opened['ticket']).get(`/links/content/${opened['ticket_id']}`);
  expect(sha256Of(bytes)).toBe(files[link.file]!.versions.at(-1)!.sha256);
}

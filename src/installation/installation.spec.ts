import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type OpenStore, temporaryAuthenticatedStore } from '../../test/support/sealed-store';
import { newId, StartupError, SystemClock } from '../kernel';
import {
  claimFirstAdministrator,
  createInstallation,
  installationCollection,
  InstallationDoc,
  InstallationPlacements,
  noteInstalled,
  openInstallation,
  raiseSchema,
  readInstallation,
} from '.';
import { complete } from '../../test/support/installation';
import { FIRST_SCHEMA, notedStore, SCHEMA, SERVES_BESIDE } from '../store';

const PINS: InstallationPlacements = { store: 'embedded', masterKey: 'local', userKeys: 'store', blobs: 'filesystem' };
const clock = new SystemClock();

describe('the installation document', () => {
  let open: OpenStore;
  let dataDir: string;
  let hasUsers: boolean;
  let hasSystemKeys: boolean;

  beforeEach(async () => {
    open = await temporaryAuthenticatedStore();
    dataDir = await mkdtemp(join(tmpdir(), 'coffer-data-'));
    hasUsers = false;
    hasSystemKeys = false;
  });
  afterEach(async () => {
    await open.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  const begin = (pins = PINS, folder = dataDir): Promise<InstallationDoc> =>
    openInstallation(open.store, {
      pins,
      clock,
      dataDir: folder,
      remains: {
        hasSystemKeys: () => Promise.resolve(hasSystemKeys),
        hasUsers: () => Promise.resolve(hasUsers),
      },
    });

  /** A complete first start: document, keys, MAC, users. */
  async function install(): Promise<InstallationDoc> {
    await begin();
    hasSystemKeys = true;
    const installation = await complete(open.store, PINS);
    hasUsers = true;
    return installation;
  }

  /** The row as an attacker with access to the database would write it. */
  async function rewrite(change: Partial<InstallationDoc>): Promise<void> {
    const rows = open.engine.collection({ ...installationCollection, authenticated: false });
    const row = (await rows.find('_id', 'installation'))!;
    await rows.replace({ ...row, ...change });
  }

  const expectRefused = async (start: Promise<unknown>, ...words: string[]): Promise<void> => {
    const refusal = await start.catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(StartupError);
    for (const word of words) expect((refusal as Error).message).toContain(word);
    expect((refusal as Error).message).not.toContain('\n');
  };

  it('is written at the first start and found by each later one', async () => {
    const first = await install();
    expect(first).toMatchObject({
      store: expect.stringMatching(/^embedded of /),
      master_key: 'local',
      blobs: 'filesystem',
      state: 'ready',
    });
    expect((await begin()).installation_id).toBe(first.installation_id);
    expect(await complete(open.store, PINS)).toEqual(first);
  });

  it('lets a first start go on that died before or after it made the system keys', async () => {
    const first = await begin();
    expect((await begin()).installation_id).toBe(first.installation_id);
    hasSystemKeys = true;
    expect((await begin()).installation_id).toBe(first.installation_id);
    expect((await complete(open.store, PINS)).installation_id).toBe(first.installation_id);
  });

  it('is one document for all replicas that start for the first time at once', async () => {
    const documents = await Promise.all(Array.from({ length: 5 }, () => begin()));
    expect(new Set(documents.map((each) => each.installation_id)).size).toBe(1);
    hasSystemKeys = true;
    const sealed = await Promise.all(Array.from({ length: 5 }, () => complete(open.store, PINS)));
    expect(new Set(sealed.map(({ rev }) => rev))).toEqual(new Set([2]));
  });

  it.each([
    ['another store', { ...PINS, store: 'mongo' }, 'embedded', 'mongo'],
    ['another master key home', { ...PINS, masterKey: 'transit' }, 'MASTER_KEY local', 'transit'],
    ['another place of user keys', { ...PINS, userKeys: 'vault' }, 'USER_KEY_STORE store', 'vault'],
    ['another blob store', { ...PINS, blobs: 's3' }, 'BLOB_STORE filesystem', 's3'],
  ])('refuses a start with %s and says how to move', async (_what, pins, from, to) => {
    await install();
    await expectRefused(begin(pins), from, to, 'Moving an installation');
    await expectRefused(complete(open.store, pins), from, to);
  });

  it('refuses a start where the document is missing while keys or users are there, and makes nothing', async () => {
    hasSystemKeys = true;
    await expectRefused(begin(), 'document is missing', 'backup');
    hasUsers = true;
    await expectRefused(begin(), 'document is missing');
    expect(await readInstallation(open.store)).toBeUndefined();
    await expect(readFile(join(dataDir, 'installation.json'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('refuses a start where the system keys are missing while the document or users are there', async () => {
    await install();
    hasSystemKeys = false;
    await expectRefused(begin(), 'system keys are missing');
    hasUsers = false;
    await expectRefused(begin(), 'system keys are missing');
  });

  it('refuses a document that was put back to its first state under users', async () => {
    await install();
    await rewrite({ state: 'opening' });
    await expectRefused(begin(), 'first start never ended');
  });

  it('refuses a document that was put back to its first state while the users were moved aside', async () => {
    const ready = await install();
    await noteInstalled(dataDir, ready);
    await rewrite({ state: 'opening' });
    hasUsers = false;
    await expectRefused(begin(), 'put back to a first start');
    await rm(join(dataDir, 'installation.ready.json'));
    await begin();
    await expectRefused(complete(open.store, PINS, { wasReady: true }), 'put back to a first start');
    expect(await readInstallation(open.store)).toMatchObject({ state: 'opening' });
  });

  it('seals nothing that somebody planted before the first start has ended', async () => {
    const { installation_id: installationId } = await begin();
    const planted = { installation_id: 'planted', blobs_to: 's3', blobs_former: 's3', user_keys_to: 'vault' };
    await rewrite({ ...planted, master_key_moving: ['kv'], first_administrator: 'eve', created_at: 1, schema: 900 });
    const sealed = await complete(open.store, PINS, { installationId });
    const { created_at, ...others } = sealed;
    expect(others).toEqual({
      ...{ _id: 'installation', rev: expect.any(Number), installation_id: installationId, state: 'ready' },
      ...{ store: notedStore('embedded'), master_key: 'local', user_keys: 'store', blobs: 'filesystem' },
      ...{ schema: SCHEMA, lowest_schema: SERVES_BESIDE },
    });
    expect(created_at).toBeGreaterThan(1);
  });

  it('refuses a document that was changed past the seals', async () => {
    await install();
    await rewrite({ created_at: 1 });
    await expectRefused(complete(open.store, PINS), 'was changed');
  });

  describe('and its schema', () => {
    /** As left by a release without a schema. */
    async function installedBefore(): Promise<InstallationDoc> {
      const { schema: _none, lowest_schema: _neither, ...first } = await install();
      const rows = open.store.collection(installationCollection);
      return (await rows.replace({ ...first, store: 'embedded' }))!;
    }

    it('is that of this release from the first start on', async () => {
      expect(await install()).toMatchObject({ schema: SCHEMA, lowest_schema: SERVES_BESIDE });
    });

    it('rises at the first start of this release on an older installation, once', async () => {
      const before = await installedBefore();
      const raised = await complete(open.store, PINS);
      expect(raised).toMatchObject({ schema: SCHEMA, lowest_schema: SERVES_BESIDE, rev: before.rev + 1 });
      expect(await complete(open.store, PINS)).toEqual(raised);
      expect((await begin()).installation_id).toBe(before.installation_id);
    });

    it('refuses this release where a newer one has to serve, whatever the seals and the keys say', async () => {
      await install();
      await rewrite({ lowest_schema: SCHEMA + 1, created_at: 1 });
      hasSystemKeys = false;
      const says = [`upgraded to schema ${SCHEMA + 1}`, 'newer release', 'upgrading.md'];
      await expectRefused(begin(), ...says);
      await expectRefused(complete(open.store, PINS), ...says);
      await expect(begin()).rejects.not.toThrow(/backup/);
    });

    it('lets this release serve beside a newer one that says so, and leaves its number', async () => {
      const first = await install();
      const rows = open.store.collection(installationCollection);
      await rows.replace({ ...first, schema: SCHEMA + 1 });
      expect(await complete(open.store, PINS)).toMatchObject({ schema: SCHEMA + 1 });
    });

    it('rises to what an operator says when an upgrade is finished, once, and never goes down', async () => {
      const first = await install();
      const rows = open.store.collection(installationCollection);
      await rows.replace({ ...first, lowest_schema: FIRST_SCHEMA });
      const finished = await raiseSchema(open.store, SCHEMA);
      expect(finished).toMatchObject({ schema: SCHEMA, lowest_schema: SCHEMA });
      expect(await raiseSchema(open.store, SCHEMA)).toEqual(finished);
      expect(await raiseSchema(open.store, FIRST_SCHEMA)).toEqual(finished);
    });

    it('stands beside the name of the store for releases that know no schema, which name it when they refuse', async () => {
      const { store } = await install();
      expect(store).toBe('embedded of a newer Coffer (schema 2 or later, docs/upgrading.md)');
    });
  });

  it('does not complete without a document', async () => {
    await expectRefused(complete(open.store, PINS), 'document is missing');
  });

  describe('and the data folder', () => {
    it('refuses a folder of an installation on another store, which would begin anew otherwise', async () => {
      await install();
      const empty = await temporaryAuthenticatedStore();
      const start = openInstallation(empty.store, {
        pins: { ...PINS, store: 'mongo' },
        clock,
        dataDir,
        remains: { hasSystemKeys: () => Promise.resolve(false), hasUsers: () => Promise.resolve(false) },
      });
      await expectRefused(start, dataDir, 'an installation on embedded');
      expect(await readInstallation(empty.store)).toBeUndefined();
      await empty.close();
    });

    it('refuses a folder of another installation on the same kind of store', async () => {
      await install();
      const marker = { installation_id: newId(), store: 'embedded' };
      await writeFile(join(dataDir, 'installation.json'), JSON.stringify(marker));
      await expectRefused(begin(), 'another installation');
    });

    it('refuses a folder whose note cannot be read', async () => {
      await install();
      await writeFile(join(dataDir, 'installation.json'), '{"installation_id":');
      await expectRefused(begin(), 'installation.json');
    });

    it('marks a fresh folder of a replica that joins', async () => {
      const { installation_id } = await install();
      const other = join(dataDir, 'other');
      await begin(PINS, other);
      expect(JSON.parse(await readFile(join(other, 'installation.json'), 'utf8'))).toEqual({
        installation_id,
        store: 'embedded',
      });
    });
  });

  describe('and its first administrator', () => {
    it('is one of many first users at the same time, who keeps the place', async () => {
      await install();
      const users = Array.from({ length: 8 }, () => newId());
      const claims = await Promise.all(users.map((user) => claimFirstAdministrator(open.store, user, dataDir)));
      expect(claims.filter(Boolean)).toHaveLength(1);
      const winner = users[claims.indexOf(true)]!;
      expect(await claimFirstAdministrator(open.store, winner, dataDir)).toBe(true);
      expect(await claimFirstAdministrator(open.store, newId(), dataDir)).toBe(false);
    });

    it('cannot be dethroned by who writes to the database', async () => {
      await install();
      await claimFirstAdministrator(open.store, newId(), dataDir);
      const rows = open.engine.collection({ ...installationCollection, authenticated: false });
      const { first_administrator: _freed, ...row } = (await rows.find('_id', 'installation'))!;
      await rows.replace(row);
      await expect(
        claimFirstAdministrator(open.store, newId(), join(dataDir, 'of-another-replica')),
      ).rejects.toMatchObject({
        code: 'integrity_failed',
      });
    });

    it('cannot be planted before the first start has ended', async () => {
      await begin();
      await rewrite({ first_administrator: 'eve' });
      hasSystemKeys = true;
      await complete(open.store, PINS);
      expect(await claimFirstAdministrator(open.store, 'ada', dataDir)).toBe(true);
    });

    it('is not freed by a document from before the claim that somebody put back', async () => {
      await install();
      const rows = open.engine.collection({ ...installationCollection, authenticated: false });
      const before = (await rows.find('_id', 'installation'))!;
      expect(await claimFirstAdministrator(open.store, 'ada', dataDir)).toBe(true);
      await rows.remove('installation');
      // The revision counts up to its former value.
      await rows.insert({ ...before });
      await rows.replace({ ...before, rev: before.rev - 1 });
      expect(await complete(open.store, PINS)).not.toHaveProperty('first_administrator');
      expect(await claimFirstAdministrator(open.store, 'eve', dataDir)).toBe(false);
      expect(await claimFirstAdministrator(open.store, 'ada', dataDir)).toBe(true);
    });

    it('is nobody while there is no document', async () => {
      await expect(claimFirstAdministrator(open.store, 'ada', dataDir)).rejects.toMatchObject({
        code: 'integrity_failed',
      });
      expect(await readInstallation(open.store)).toBeUndefined();
    });
  });

  it('finds the document of another process that wrote it first', async () => {
    const [one, two] = await Promise.all([
      createInstallation(open.store, PINS, clock),
      createInstallation(open.store, PINS, clock),
    ]);
    expect(two).toEqual(one);
  });
});

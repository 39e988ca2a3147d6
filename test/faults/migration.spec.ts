import { drawn } from '../support/drawn';
import { MovingInstallation } from '../support/moving-installation';
import { type Bao, describeWithPart, describeWithParts, startOpenBao, startSecantus } from '../support/parts';
import { vaultAndMongo } from '../support/profiles';
import { waitFor } from '../support/processes';

/** Between any two writes of a move. */
const FAILPOINTS = [
  'rotation.intent-written',
  'rotation.key-rotated',
  'rotation.target-pinned',
  'migration.home-named',
  'migration.home-admitted',
  'rotation.row-advanced',
  'system-keys.rewrapped',
  'rotation.system-keys',
  'rotation.user-keys-rewrapped',
  'rotation.user-keys-written',
  'rotation.mid-batch',
  'migration.settled',
  'rotation.before-done',
];

jest.setTimeout(120_000);

const OF_A_MOVE = FAILPOINTS.filter((point) => point.startsWith('migration.'));
/**
 * A move passes the points of a rotation too. faults/rotation-kill.spec.ts dies at each of those on
 * the embedded store.
 */
const SHORT = [
  ...OF_A_MOVE,
  ...drawn(
    'migration on the embedded store',
    FAILPOINTS.filter((point) => !OF_A_MOVE.includes(point)),
    3,
  ),
];

interface Parts {
  readonly env: Readonly<Record<string, string>>;
  close(): Promise<unknown>;
}

function killSuite(first: string, second: string, points: readonly string[], open: () => Promise<Parts>): void {
  let parts: Parts;
  let installation: MovingInstallation;
  let home = first;
  const other = (): string => (home === first ? second : first);

  beforeAll(async () => {
    parts = await open();
    installation = await MovingInstallation.start({ ...parts.env, MASTER_KEY: first });
  });
  afterAll(async () => {
    await installation.close();
    await parts.close();
  });

  async function expectSettledIn(expected: string): Promise<void> {
    expect(installation.faults).toEqual([]);
    const { home: now, inUse } = await installation.masterKey();
    expect([now, inUse.length]).toEqual([expected, 1]);
    await installation.readAll();
  }

  it.each(points)('serves and ends, after it was killed at %s and run again', async (point) => {
    const to = other();
    const before = await installation.masterKey();
    const killed = await installation.migrate(home, to, { COFFER_FAILPOINT: point });
    expect(killed).toMatchObject({ code: null });
    await installation.addUser();
    // Where the move has ended meanwhile, by the service, this only says so. From its admission on
    // a start may name the new home.
    const isAdmitted = FAILPOINTS.indexOf(point) >= FAILPOINTS.indexOf('migration.home-admitted');
    const ended = await installation.migrate(isAdmitted ? to : home, to);
    expect(ended).toMatchObject({ code: 0, out: expect.stringContaining(`The master key is in ${to}`) });
    home = to;
    await expectSettledIn(to);
    const { inUse } = await installation.masterKey();
    expect(inUse[0]).toBeGreaterThan(Math.max(...before.inUse));
  });

  it('has kept serving all the while', () => {
    expect(installation.reads).toBeGreaterThan(100);
    expect(installation.refused).toBeLessThan(installation.reads / 10);
  });

  it('does nothing where the key is there already', async () => {
    const before = await installation.masterKey();
    const again = await installation.migrate(home, home);
    expect(again).toMatchObject({
      code: 0,
      out: `The master key is in ${home} already; a start needs MASTER_KEY=${home}.\n`,
    });
    expect(await installation.masterKey()).toEqual(before);
  });

  it('ends the versions of every home that it passed through', async () => {
    await installation.quiesce();
    const { inUse, versions } = await installation.masterKey();
    const [current] = inUse;
    const admin = await installation.admin();
    const refused = await admin.post(`/keys/versions/${current}/retire`);
    expect([refused.status, refused.json.code]).toEqual([409, 'version_in_use']);
    const last = versions.filter((version) => version !== current).at(-1);
    expect((await admin.post(`/keys/versions/${last}/retire`)).status).toBe(200);
    expect((await installation.masterKey()).versions).toEqual([current]);
    await installation.readAll();
  });

  it('refuses a start with the former home, and starts with the new one alone', async () => {
    const former = other();
    await installation.service.restart({ MASTER_KEY: former }).then(
      () => expect('a start').toBe('refused'),
      (error: unknown) =>
        expect(String(error)).toContain(`was set up with MASTER_KEY ${home}, this start asks for ${former}`),
    );
    await installation.service.restart({ MASTER_KEY: home });
    await installation.readAll();
    await installation.addUser();
    expect(installation.faults).toEqual([]);
  });

  it('rotates within the new home afterwards', async () => {
    const { inUse } = await installation.masterKey();
    const rotated = await (await installation.admin()).post('/rotate-master-key');
    expect([rotated.status, rotated.json.rotation.target_version]).toEqual([200, inUse[0]! + 1]);
    await expectSettledIn(home);
  });
}

const vaultEnv = (bao: Bao): Record<string, string> => ({
  VAULT_ADDR: bao.address,
  VAULT_ROLE_ID: bao.roleId,
  VAULT_SECRET_ID: bao.secretId,
});

describeWithPart('openbao', 'a move of the master key from the local keyring to a KV document (embedded store)', () => {
  killSuite('local', 'kv', SHORT, async () => {
    const bao = await startOpenBao();
    return {
      env: { ...vaultEnv(bao), COFFER_ROOT_KEY: 'a root key of thirty-two characters' },
      close: () => bao.stop(),
    };
  });
});

describeWithParts(
  ['openbao', 'secantus'],
  'a move of the master key from a KV document to Transit (MongoDB, user keys in Vault)',
  () => {
    killSuite('kv', 'transit', drawn('migration on MongoDB', FAILPOINTS, 1), async () => {
      const [bao, secantus] = await Promise.all([startOpenBao(), startSecantus()]);
      return {
        env: { ...vaultAndMongo(bao, secantus), USER_KEY_STORE: 'vault' },
        close: () => Promise.all([bao.stop(), secantus.stop()]),
      };
    });
  },
);

describeWithPart('openbao', 'a replica that is configured for the former home alone', () => {
  let bao: Bao;
  let installation: MovingInstallation;
  beforeAll(async () => {
    bao = await startOpenBao();
    const env = { MASTER_KEY: 'local', COFFER_ROOT_KEY: 'a root key of thirty-two characters' };
    installation = await MovingInstallation.start(env);
    await installation.quiesce();
  });
  afterAll(async () => {
    await installation.close();
    await bao.stop();
  });

  it('lets no move begin with its environment', async () => {
    const refused = await installation.migrate('local', 'kv');
    expect(refused).toMatchObject({ code: 1, err: expect.stringContaining('kv is not configured: set VAULT_ADDR') });
    const away = { VAULT_ADDR: 'http://127.0.0.1:9', VAULT_TOKEN: 'hvs.nobody' };
    expect(await installation.migrate('local', 'kv', away)).toMatchObject({ code: 1 });
    expect((await installation.migrate('local', 'nowhere', vaultEnv(bao))).code).toBe(2);
    expect(await installation.masterKey()).toMatchObject({ home: 'local', versions: [1] });
  });

  it('answers 503 after a move and says what it lacks, and serves once it has that', async () => {
    expect(await installation.migrate('local', 'kv', vaultEnv(bao))).toMatchObject({ code: 0 });
    await expect(installation.readAll()).rejects.toThrow(/^503 .*kms_unavailable/);
    await waitFor('the service to say what it lacks', () =>
      installation.service.logs().includes('keys need the home kv: MASTER_KEY kv is not configured'),
    );
    await installation.service.restart({ ...vaultEnv(bao), MASTER_KEY: 'kv' });
    await installation.readAll();
  });
});

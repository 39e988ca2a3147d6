import { type Bao, describeWithPart, describeWithParts, isLong, startOpenBao, startSecantus } from '../support/parts';
import { vaultAndMongo } from '../support/profiles';
import { MovingInstallation } from '../support/moving-installation';

/** Between any two writes of a move, with the way that passes it. */
const FAILPOINTS = [
  ['user-key-move.begun', 'vault'],
  ['user-key-move.announced', 'store'],
  ['user-key-move.claimed', 'vault'],
  ['user-key.vault-tombstone', 'store'],
  ['user-key-move.copied:3', 'vault'],
  ['user-key-move.emptied:2', 'store'],
  ['user-key-move.switched', 'vault'],
  ['user-key-move.settled', 'store'],
] as const;

jest.setTimeout(120_000);

type Place = 'store' | 'vault';
const other = (place: Place): Place => (place === 'vault' ? 'store' : 'vault');

const vaultEnv = (bao: Bao): Record<string, string> => ({
  VAULT_ADDR: bao.address,
  VAULT_ROLE_ID: bao.roleId,
  VAULT_SECRET_ID: bao.secretId,
});

/** What each document of a user key says; the reserved names are no users. */
async function documents(bao: Bao): Promise<Record<string, unknown>[]> {
  const { data } = await bao.request('LIST', 'kv/metadata/user_keys');
  const names = (data['keys'] as string[]).filter((name) => !name.startsWith('_'));
  const read = (name: string) =>
    bao.request<{ data: { data: Record<string, unknown> } }>('GET', `kv/data/user_keys/${name}`);
  return (await Promise.all(names.map(read))).map(({ data: { data: document } }) => document);
}

interface Parts {
  readonly bao: Bao;
  readonly env: Readonly<Record<string, string>>;
  close(): Promise<unknown>;
}

/** Its last tests take Vault's variables away: only where nothing else is there. */
function moveSuite(open: () => Promise<Parts>, isVaultForUserKeysAlone: boolean): void {
  let bao: Bao;
  let parts: Parts;
  let installation: MovingInstallation;
  let users = 4;

  beforeAll(async () => {
    parts = await open();
    bao = parts.bao;
    installation = await MovingInstallation.start({ ...parts.env, USER_KEY_STORE: 'store' });
  });
  afterAll(async () => {
    await installation.close();
    await parts.close();
  });

  async function expectAllIn(place: Place): Promise<void> {
    expect(installation.faults).toEqual([]);
    const found = await documents(bao);
    const alive = found.filter(({ state }) => state !== 'free');
    expect(alive.filter(({ ciphertext, key }) => ciphertext === undefined && key === undefined)).toEqual([]);
    expect(alive).toHaveLength(place === 'vault' ? users : 0);
    await installation.readAll();
  }

  // Without those from before anything is in Vault.
  it.each(isLong() ? FAILPOINTS : FAILPOINTS.slice(2))(
    'serves and ends, after it was killed at %s and run again',
    async (point, to) => {
      const killed = await installation.moveUserKeys(other(to), to, { COFFER_FAILPOINT: point });
      expect(killed).toMatchObject({ code: null });
      await installation.addUser();
      users += 1;
      // From the beginning of the move on a start may name either place; where the service has
      // ended it meanwhile this only says so.
      const ended = await installation.moveUserKeys(to, to);
      const out = expect.stringContaining(`The wrapped user keys are in ${to}`) as string;
      expect(ended).toMatchObject({ code: 0, out });
      await expectAllIn(to);
    },
  );

  it('is turned round by the other place, with what it has moved', async () => {
    const killed = await installation.moveUserKeys('store', 'vault', { COFFER_FAILPOINT: 'user-key-move.switched:3' });
    expect(killed).toMatchObject({ code: null });
    expect(await installation.moveUserKeys('vault', 'store')).toMatchObject({ code: 0 });
    await expectAllIn('store');
  });

  it('has kept serving all the while', () => {
    expect(installation.reads).toBeGreaterThan(100);
    expect(installation.refused).toBeLessThan(installation.reads / 10);
  });

  it('does nothing where the keys are there already', async () => {
    const out = 'The wrapped user keys are in store already; a start needs USER_KEY_STORE=store.\n';
    expect(await installation.moveUserKeys('store', 'store')).toMatchObject({ code: 0, out });
    expect((await installation.moveUserKeys('store', 'local')).code).toBe(2);
  });

  if (!isVaultForUserKeysAlone) return;

  it('refuses a start with the former place, and needs no Vault where nothing is in it', async () => {
    await installation.quiesce();
    await installation.service.restart({ USER_KEY_STORE: 'vault' }).then(
      () => expect('a start').toBe('refused'),
      (error: unknown) =>
        expect(String(error)).toContain('was set up with USER_KEY_STORE store, this start asks for vault'),
    );
    await installation.service.restart({
      USER_KEY_STORE: 'store',
      VAULT_ADDR: '',
      VAULT_ROLE_ID: '',
      VAULT_SECRET_ID: '',
    });
    await installation.readAll();
    await installation.addUser();
    users += 1;
    expect(installation.faults).toEqual([]);
  });

  it('begins with no environment that lacks Vault', async () => {
    const refused = await installation.moveUserKeys('store', 'vault');
    expect(refused).toMatchObject({ code: 1, err: expect.stringContaining('set VAULT_ADDR') as string });
    await expectAllIn('store');
  });

  it('leaves a replica without Vault to answer 503 and to write nothing, until it has what it lacks', async () => {
    const moved = await installation.moveUserKeys('store', 'vault', vaultEnv(bao));
    expect(moved).toMatchObject({ code: 0, out: expect.stringContaining(`${users} were moved`) as string });
    await expect(installation.readAll()).rejects.toThrow(/^503 .*kms_unavailable/);
    await expect(installation.addUser()).rejects.toThrow(/503/);
    expect(installation.service.logs()).toContain('User keys of this installation lie in Vault: set VAULT_ADDR');
    await installation.service.restart({ ...vaultEnv(bao), USER_KEY_STORE: 'vault' });
    await expectAllIn('vault');
  });
}

describeWithPart('openbao', 'a move of wrapped user keys (embedded store, local keyring)', () => {
  moveSuite(async () => {
    const bao = await startOpenBao();
    const local = { MASTER_KEY: 'local', COFFER_ROOT_KEY: 'a root key of thirty-two characters' };
    return { bao, env: { ...local, ...vaultEnv(bao) }, close: () => bao.stop() };
  }, true);
});

if (isLong()) {
  describeWithParts(['openbao', 'secantus'], 'a move of wrapped user keys (MongoDB, Transit)', () => {
    moveSuite(async () => {
      const [bao, secantus] = await Promise.all([startOpenBao(), startSecantus()]);
      return {
        bao,
        env: vaultAndMongo(bao, secantus),
        close: () => Promise.all([bao.stop(), secantus.stop()]),
      };
    }, false);
  });
}

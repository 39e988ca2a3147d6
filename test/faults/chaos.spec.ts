import { HOUR } from '../../src/kernel';
import type { Store } from '../../src/store';
import { EmbeddedStore } from '../../src/store/embedded';
import { MongoStore } from '../../src/store/mongo';
import { RegistrationSweep } from '../../src/bootstrap/scheduled-tasks';
import { login, newPerson, signUp } from '../support/accounts';
import { Chaos, oneWriteIn } from '../support/chaos';
import { type Coffer, startCoffer } from '../support/coffer';
import { faultyCollection } from '../support/faulty-store';
import { faultyVault } from '../support/faulty-vault';
import {
  type Bao,
  describeWithPart,
  describeWithParts,
  isLong,
  type Secantus,
  startOpenBao,
  startSecantus,
} from '../support/parts';
import { vaultAndMongo } from '../support/profiles';
import { Seeded } from '../support/seeded';
import { useRealDeadlines } from '../support/settings';
import { type WriteChoice, WriteFaults } from '../support/write-faults';

useRealDeadlines();

const ROUNDS = isLong() ? Number(process.env['COFFER_ROUNDS'] ?? 20) : 1;
const ACTS = isLong() ? 250 : 90;
const FIRST_SEED = new Seeded().seed;

/** Every collection of the stores of this process that are opened from here on. */
function faultyEngines(faults: WriteFaults): void {
  for (const { prototype } of [EmbeddedStore, MongoStore]) {
    // eslint-disable-next-line @typescript-eslint/unbound-method -- it is called with the store that it was called on
    const real = prototype.collection;
    jest.spyOn(prototype, 'collection').mockImplementation(function (this: Store, definition) {
      return faultyCollection(real.call(this as never, definition), faults);
    });
  }
}

interface Parts {
  readonly env: Record<string, string>;
  /** Keys can move to this Vault and back. */
  readonly bao?: Bao;
  readonly secantus?: Secantus;
}

function chaosSuite(open: () => Promise<Parts>): void {
  let parts: Parts;
  let coffer: Coffer;
  const faults = new WriteFaults();

  beforeEach(async () => {
    parts = await open();
    faultyEngines(faults);
    faultyVault(faults);
    coffer = await startCoffer({ env: parts.env });
  });
  afterEach(async () => {
    faults.choose = () => undefined;
    await coffer.close();
    await parts.bao?.stop();
    await parts.secantus?.stop();
    jest.restoreAllMocks();
  });

  it.each(Array.from({ length: ROUNDS }, (_, round) => FIRST_SEED + round))(
    'loses nothing that was acknowledged and leaves nothing stuck (COFFER_SEED=%i)',
    async (seed) => {
      const random = new Seeded(seed);
      const chaos = new Chaos(coffer, random, parts.bao !== undefined);
      await chaos.begin();
      faults.choose = oneWriteIn(50, random);
      await chaos.run(ACTS);
      faults.choose = () => undefined;
      await faults.settled();
      await chaos.check();
      expect(chaos.faults).toEqual([]);
    },
    240_000,
  );
}

/**
 * Registers while writes fail as `choose` says, and gives what its name is worth before and after
 * the sweep.
 */
async function nameAfter(coffer: Coffer, faults: WriteFaults, choose: WriteChoice): Promise<number[]> {
  const person = newPerson('stalled');
  const other = { ...newPerson(), username: person.username, password: 'Another-Horse-8-Battery' };
  faults.choose = choose;
  const statuses = [(await coffer.client.post('/register', person)).status];
  faults.choose = () => undefined;
  await faults.settled();
  statuses.push((await coffer.client.post('/register', other)).status);
  coffer.clock.offset += 2 * HOUR;
  await coffer.get(RegistrationSweep).sweep();
  statuses.push((await coffer.client.post('/register', other)).status);
  if (statuses.at(-1) === 200) await signUp(coffer.client, newPerson()).then(() => login(coffer.client, other));
  return statuses;
}

describe('Writes that fail, or do not say whether they failed (embedded store, local keyring)', () => {
  chaosSuite(() => Promise.resolve({ env: {} }));
});

describe('Writes of a registration that fail', () => {
  it('do not keep the user name of a registration that never ended', async () => {
    const faults = new WriteFaults();
    faultyEngines(faults);
    const coffer = await startCoffer();
    try {
      await signUp(coffer.client);
      const stalls: WriteChoice = ({ target, method }) =>
        target === 'user_keys' || (target === 'users' && method === 'remove') ? 'refuse' : undefined;
      expect(await nameAfter(coffer, faults, stalls)).toEqual([503, 409, 200]);
    } finally {
      await coffer.close();
      jest.restoreAllMocks();
    }
  });
});

describeWithPart('openbao', 'Writes that fail, or do not say whether they failed (embedded store, OpenBao)', () => {
  chaosSuite(async () => {
    const bao = await startOpenBao();
    const vault = { VAULT_ADDR: bao.address, VAULT_ROLE_ID: bao.roleId, VAULT_SECRET_ID: bao.secretId };
    return { env: { ...vault, MASTER_KEY: 'kv', USER_KEY_STORE: 'vault', COFFER_ROOT_KEY: 'r'.repeat(40) }, bao };
  });
});

if (isLong())
  describeWithParts(['openbao', 'secantus'], 'Writes that fail, or do not say so (MongoDB, OpenBao)', () => {
    chaosSuite(async () => {
      const [bao, secantus] = await Promise.all([startOpenBao(), startSecantus()]);
      const env = { ...vaultAndMongo(bao, secantus), MASTER_KEY: 'kv', USER_KEY_STORE: 'vault' };
      return { env: { ...env, COFFER_ROOT_KEY: 'r'.repeat(40) }, bao, secantus };
    });
  });

describeWithPart('openbao', 'Writes of a registration that fail, with user keys in Vault', () => {
  it('do not leave a key without an account that keeps the user name', async () => {
    const bao = await startOpenBao();
    const faults = new WriteFaults();
    faultyEngines(faults);
    const vault = { VAULT_ADDR: bao.address, VAULT_ROLE_ID: bao.roleId, VAULT_SECRET_ID: bao.secretId };
    const coffer = await startCoffer({ env: { ...vault, MASTER_KEY: 'kv', USER_KEY_STORE: 'vault' } });
    try {
      await signUp(coffer.client);
      // The key becomes active and the account goes, and nobody hears of either.
      const stalls: WriteChoice = ({ target, method, content }) => {
        if (target === 'user_keys' && (content as { state?: string }).state === 'active') return 'done';
        return target === 'users' && method === 'remove' ? 'later' : undefined;
      };
      expect(await nameAfter(coffer, faults, stalls)).toEqual([503, 409, 200]);
    } finally {
      await coffer.close();
      await bao.stop();
      jest.restoreAllMocks();
    }
  });
});

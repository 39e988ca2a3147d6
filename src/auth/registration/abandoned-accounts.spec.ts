import { type KeyFixtures, openKeyFixtures, temporaryFolder } from '../../../test/support/keys';
import type { Config } from '../../config';
import { AuditSink, Clock, HOUR, MINUTE, newId } from '../../kernel';
import { claimFirstAdministrator, INSTALLATION, installationCollection } from '../../installation';
import { UNTRIED, type UserDoc, Users } from '../../users';
import { AbandonedAccounts } from './abandoned-accounts';
import { AccountCreation } from './account-creation';

class MovableClock extends Clock {
  ms = 1_700_000_000_000;

  now(): number {
    return this.ms;
  }
}

const audit = { begin: () => Promise.resolve({ close: () => undefined }) } as unknown as AuditSink;

describe('a pending account that resumes while abandoned ones are removed', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let fixtures: KeyFixtures;
  let clock: MovableClock;
  let users: Users;
  let creation: AccountCreation;
  let abandoned: AbandonedAccounts;

  beforeEach(async () => {
    folder = await temporaryFolder();
    clock = new MovableClock();
    fixtures = await openKeyFixtures(folder.path, { clock });
    users = new Users(fixtures.store);
    const config = { dataDir: folder.path, accounts: { bootstrapAdmin: 'first-user' } } as unknown as Config;
    creation = new AccountCreation(users, fixtures.userKeys, fixtures.store, clock, config);
    abandoned = new AbandonedAccounts(users, fixtures.userKeys, fixtures.store, clock, audit);
    await fixtures.store.collection(installationCollection).insert({
      _id: INSTALLATION,
      installation_id: newId(),
      store: 'embedded',
      master_key: 'local',
      blobs: 'filesystem',
      state: 'ready',
      created_at: clock.ms,
    });
  });
  afterEach(async () => {
    await fixtures.close();
    await folder.remove();
  });

  const claimant = async (): Promise<string | undefined> =>
    (await fixtures.store.collection(installationCollection).find('_id', INSTALLATION))?.first_administrator;

  const draft = (): Omit<UserDoc, 'rev'> => ({
    _id: newId(),
    username: 'ada',
    email: 'ada@example.org',
    hashed_password: 'x',
    salt: 'x',
    role: 'user',
    state: 'pending',
    created_at: clock.ms,
    ...UNTRIED,
  });

  it('is left when it claimed the first administrator during the sweep', async () => {
    const user = await users.insert(draft());
    clock.ms += 2 * HOUR;
    const isUsed = async (): Promise<boolean> => {
      await claimFirstAdministrator(fixtures.store, user._id, folder.path);
      return false;
    };
    expect(await abandoned.sweep(isUsed)).toBe(0);
    expect(await creation.finish(user)).toMatchObject({ state: 'active', role: 'administrator' });
  });

  const removedAfterTheClaim = async (user: UserDoc): Promise<void> => {
    const change = users.change.bind(users);
    jest.spyOn(users, 'change').mockImplementationOnce(async (id, edit) => {
      expect(await claimant()).toBe(user._id);
      await users.remove(user);
      return change(id, edit);
    });
    await expect(creation.finish(user)).rejects.toMatchObject({ code: 'store_unavailable' });
  };

  it('gives its claim back where it was removed right after it, and the next one is administrator', async () => {
    const user = await users.insert(draft());
    clock.ms += 2 * HOUR;
    await removedAfterTheClaim(user);
    expect(await claimant()).toBeUndefined();
    const next = await users.insert({ ...draft(), username: 'bob' });
    expect(await creation.finish(next)).toMatchObject({ role: 'administrator' });
    expect(await claimant()).toBe(next._id);
  });

  it('gives back no claim that stood before, which an older row of the account would free', async () => {
    const user = await users.insert(draft());
    await claimFirstAdministrator(fixtures.store, user._id, folder.path);
    await removedAfterTheClaim(user);
    expect(await claimant()).toBe(user._id);
  });

  it('keeps the claim of a registration by mail as long as its confirmation may come again', async () => {
    const user = await users.insert({ ...draft(), verified_email: 'ada@example.org' });
    clock.ms += 5 * MINUTE;
    await removedAfterTheClaim(user);
    expect(await claimant()).toBe(user._id);
  });
});

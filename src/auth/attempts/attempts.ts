import { Injectable, Optional } from '@nestjs/common';
import { Clock, SystemSecrets } from '../../kernel';
import { Metrics } from '../../observability';
import { Collection, Store, updateOrInsert } from '../../store';
import {
  attempt,
  budget,
  BudgetCounts,
  Checked,
  CounterStore,
  lockout,
  LOCKOUT_MS,
  lockoutCounts,
  LockoutCounts,
  NO_FAILURES,
  KeyedMutex,
  parseUsername,
  requireAdmission,
  SECOND_FACTOR_LIMITS,
  UserDoc,
  Users,
  withLockoutCounts,
} from '../../users';
import { tokenMac } from '../token-mac';
import { CODES, countingLockouts, PASSWORDS } from './counted-lockouts';
import { DummyAccountDoc, decoysCollection } from './dummy-account.collection';

const SECOND_FACTOR = budget(SECOND_FACTOR_LIMITS);
const NO_ATTEMPTS = { failed_attempts: 0, attempts_in_flight: [] };

/**
 * Runs checks of passwords and second factors as counted attempts. The two counts on the account's
 * row are separate: without the password, nobody can exhaust the second factor's budget or benefit
 * from it.
 */
@Injectable()
export class Attempts {
  readonly #decoys: Collection<DummyAccountDoc>;
  readonly #queue = new KeyedMutex();

  constructor(
    store: Store,
    private readonly users: Users,
    private readonly secrets: SystemSecrets,
    private readonly clock: Clock,
    @Optional() private readonly metrics?: Metrics,
  ) {
    this.#decoys = store.collection(decoysCollection);
  }

  /**
   * Runs one password attempt of /login, counted by the text that was sent: for a user name on the
   * account's row, else on a separate row of that text.
   * A count shared by address and user name would reveal that both belong to one account.
   * @throws as `attempt`
   */
  password<T>(user: UserDoc | undefined, name: string, check: () => Promise<Checked<T>>): Promise<T> {
    return attempt(lockout, this.#passwords(user, name), this.clock, check);
  }

  /**
   * Rejects what `password` would reject, before the caller waits for a hashing slot.
   * @throws DomainError `too_many_attempts`
   */
  requireUnlocked(user: UserDoc | undefined, name: string): Promise<void> {
    return requireAdmission(lockout, this.#passwords(user, name), this.clock);
  }

  /**
   * Runs one attempt with any second factor of an account.
   * @throws as `attempt`
   */
  secondFactor<T>(userId: string, check: () => Promise<Checked<T>>): Promise<T> {
    return attempt(SECOND_FACTOR, this.#secondFactors(userId), this.clock, check);
  }

  /** Clears the wrong passwords of the text that was sent, after a complete login. */
  async forgetFailures(user: UserDoc, name: string): Promise<void> {
    await this.#passwords(user, name).change((counts) =>
      counts.failures === 0 ? undefined : lockout.cleared(counts, '', this.clock.now()),
    );
  }

  /**
   * Clears everything that blocks a login of the account: wrong passwords by its name and its
   * address, and wrong codes.
   */
  async unlock(user: UserDoc): Promise<void> {
    const names = [user.username, ...(user.verified_email === undefined ? [] : [user.verified_email])];
    for (const name of names) await this.#passwords(user, name).change(() => NO_FAILURES);
    await this.#secondFactors(user._id).change(() => ({ failures: [], reservations: [] }));
  }

  #passwords(user: UserDoc | undefined, name: string): CounterStore<LockoutCounts> {
    const isNamed = user !== undefined && parseUsername(name) === user.username;
    const ledger = isNamed ? this.#account(user._id) : this.#decoy(name);
    return countingLockouts(ledger, PASSWORDS, 'password', this.metrics);
  }

  #secondFactors(userId: string): CounterStore<BudgetCounts> {
    const ledger: CounterStore<BudgetCounts> = {
      change: async (edit) => {
        await this.users.change(userId, (user) => {
          const counts = edit({ failures: user.factor_failures, reservations: user.factor_attempts });
          return counts && { ...user, factor_failures: counts.failures, factor_attempts: counts.reservations };
        });
      },
    };
    return countingLockouts(ledger, CODES, 'second_factor', this.metrics);
  }

  #account(userId: string): CounterStore<LockoutCounts> {
    return {
      change: async (edit) => {
        await this.users.change(userId, (user) => {
          const counts = edit(lockoutCounts(user));
          return counts && withLockoutCounts(user, counts);
        });
      },
    };
  }

  #decoy(name: string): CounterStore<LockoutCounts> {
    // As bytes, because the text may not be well-formed.
    const id = tokenMac(this.secrets, 'login-decoy', Buffer.from(name.toLowerCase(), 'utf8').toString('hex'));
    return { change: (edit) => this.#queue.run(id, () => this.#changeDecoy(id, edit)) };
  }

  #changeDecoy(id: string, edit: (counts: LockoutCounts) => LockoutCounts | undefined): Promise<void> {
    const expires_at = this.clock.now() + 2 * LOCKOUT_MS;
    return updateOrInsert(this.#decoys, id, (row) => {
      const counts = edit(row === undefined ? NO_FAILURES : lockoutCounts(row));
      const isNothing = counts === undefined || (row === undefined && counts === NO_FAILURES);
      return isNothing ? undefined : withLockoutCounts({ ...NO_ATTEMPTS, ...row, expires_at }, counts);
    });
  }
}

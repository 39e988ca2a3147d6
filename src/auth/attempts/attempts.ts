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
 * Runs checks of passwords and of second factors as counted attempts. Their counts lie on the account's row, apart from each other: who
 * knows no password can neither use up the second factor's budget nor profit from it.
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
   * One password attempt of /login, counted by what was typed: by user name on the account's row; by address, and by a name that no account has,
   * on a row of that text alone. A count that an address shared with a user name would tell that both are one account. @throws as `attempt`
   */
  password<T>(user: UserDoc | undefined, name: string, check: () => Promise<Checked<T>>): Promise<T> {
    return attempt(lockout, this.#passwords(user, name), this.clock, check);
  }

  /** Refuses what `password` would refuse, before anybody waits for a turn. @throws DomainError `too_many_attempts` */
  requireUnlocked(user: UserDoc | undefined, name: string): Promise<void> {
    return requireAdmission(lockout, this.#passwords(user, name), this.clock);
  }

  /** One attempt with any second factor of an account. @throws as `attempt` */
  secondFactor<T>(userId: string, check: () => Promise<Checked<T>>): Promise<T> {
    return attempt(SECOND_FACTOR, this.#secondFactors(userId), this.clock, check);
  }

  /** Forgets wrong passwords with what was typed, once a login is complete. */
  async forgetFailures(user: UserDoc, name: string): Promise<void> {
    await this.#passwords(user, name).change((counts) =>
      counts.failures === 0 ? undefined : lockout.cleared(counts, '', this.clock.now()),
    );
  }

  /** Forgets all that keeps the account from logging in: wrong passwords by its name and its address, and wrong codes. */
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
    // As bytes: what was typed may be no well-formed text at all.
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

import { Injectable } from '@nestjs/common';
import { Clock, SystemSecrets } from '../../kernel';
import { Collection, DuplicateKey, Store, update } from '../../store';
import {
  attempt,
  budget,
  BudgetCounts,
  Checked,
  Ledger,
  lockout,
  LOCKOUT_MS,
  lockoutCounts,
  LockoutCounts,
  OneAtATime,
  requireAdmission,
  SECOND_FACTOR_LIMITS,
  UserDoc,
  Users,
  withLockoutCounts,
} from '../../users';
import { tokenMac } from '../token-mac';
import { DecoyDoc, decoysCollection } from './decoy.collection';

const SECOND_FACTOR = budget(SECOND_FACTOR_LIMITS);

/**
 * Runs checks of passwords and of second factors as counted attempts. Their counts lie on the account's row, apart from each other: who
 * knows no password can neither use up the second factor's budget nor profit from it.
 */
@Injectable()
export class Attempts {
  readonly #decoys: Collection<DecoyDoc>;
  readonly #queue = new OneAtATime();

  constructor(
    store: Store,
    private readonly users: Users,
    private readonly secrets: SystemSecrets,
    private readonly clock: Clock,
  ) {
    this.#decoys = store.collection(decoysCollection);
  }

  /** One password attempt on an account; on a name that has none, on a decoy row that answers alike. @throws as `attempt` */
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

  /** Forgets wrong passwords, once a login is complete. */
  async forgetFailures(user: UserDoc): Promise<void> {
    if (user.failed_attempts === 0) return;
    await this.#account(user._id).change((counts) => lockout.cleared(counts, '', this.clock.now()));
  }

  #passwords(user: UserDoc | undefined, name: string): Ledger<LockoutCounts> {
    return user === undefined ? this.#decoy(name) : this.#account(user._id);
  }

  #secondFactors(userId: string): Ledger<BudgetCounts> {
    return {
      change: async (edit) => {
        await this.users.change(userId, (user) => {
          const counts = edit({ failures: user.factor_failures, reservations: user.factor_attempts });
          return counts && { ...user, factor_failures: counts.failures, factor_attempts: counts.reservations };
        });
      },
    };
  }

  #account(userId: string): Ledger<LockoutCounts> {
    return {
      change: async (edit) => {
        await this.users.change(userId, (user) => {
          const counts = edit(lockoutCounts(user));
          return counts && withLockoutCounts(user, counts);
        });
      },
    };
  }

  #decoy(name: string): Ledger<LockoutCounts> {
    // As bytes: what was typed may be no well-formed text at all.
    const id = tokenMac(this.secrets, 'login-decoy', Buffer.from(name.toLowerCase(), 'utf8').toString('hex'));
    return { change: (edit) => this.#queue.run(id, () => this.#changeDecoy(id, edit)) };
  }

  async #changeDecoy(id: string, edit: (counts: LockoutCounts) => LockoutCounts | undefined): Promise<void> {
    const expires_at = this.clock.now() + 2 * LOCKOUT_MS;
    const changed = await update(this.#decoys, id, (row) => {
      const counts = edit(lockoutCounts(row));
      return counts && { ...withLockoutCounts(row, counts), expires_at };
    });
    if (changed !== undefined) return;
    const counts = edit({ failures: 0, lastFailure: undefined, reservations: [] });
    if (counts === undefined) return;
    const fresh = { _id: id, failed_attempts: 0, attempts_in_flight: [], expires_at };
    try {
      await this.#decoys.insert(withLockoutCounts(fresh, counts));
    } catch (error) {
      if (!(error instanceof DuplicateKey)) throw error;
      await this.#changeDecoy(id, edit);
    }
  }
}

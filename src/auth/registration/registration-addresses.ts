import { Injectable } from '@nestjs/common';
import { Clock, HOUR, MINUTE, SystemSecrets } from '../../kernel';
import { Collection, DuplicateKey, Store, update } from '../../store';
import { attempt, budget, BudgetCounts, BudgetLimits, Checked, Ledger, OneAtATime } from '../../users';
import { allowance } from '../factors/mail-allowance';
import { tokenMac } from '../token-mac';
import { RegistrationAddressDoc, registrationAddressesCollection } from './pending-registration.collection';

const TRIES: BudgetLimits = { limit: 5, windowMs: 10 * MINUTE };
const MAILS: BudgetLimits = { limit: 10, windowMs: HOUR };
const METER = budget(TRIES);

type Counts = Pick<RegistrationAddressDoc, 'failures' | 'attempts' | 'mails'>;

const NOTHING: Counts = { failures: [], attempts: [], mails: [] };

/** Limits by e-mail address: registering again brings neither new tries at a code nor more mails to somebody's box. */
@Injectable()
export class RegistrationAddresses {
  readonly #rows: Collection<RegistrationAddressDoc>;
  readonly #queue = new OneAtATime();

  constructor(
    store: Store,
    private readonly secrets: SystemSecrets,
    private readonly clock: Clock,
  ) {
    this.#rows = store.collection(registrationAddressesCollection);
  }

  /** @throws as `attempt` */
  try<T>(address: string, check: () => Promise<Checked<T>>): Promise<T> {
    const ledger: Ledger<BudgetCounts> = {
      change: (edit) =>
        this.#change(address, (row) => {
          const counts = edit({ failures: row.failures, reservations: row.attempts });
          return counts && { ...row, failures: counts.failures, attempts: counts.reservations };
        }),
    };
    return attempt(METER, ledger, this.clock, check);
  }

  /** May one more mail go to this address? Then it is counted. */
  async mayMail(address: string): Promise<boolean> {
    let allowed = false;
    await this.#change(address, (row) => {
      const { waitMs, times } = allowance(row.mails, MAILS, this.clock.now());
      allowed = waitMs === 0;
      return allowed ? { ...row, mails: times } : undefined;
    });
    return allowed;
  }

  #change(address: string, edit: (counts: Counts) => Counts | undefined): Promise<void> {
    const id = tokenMac(this.secrets, 'registration-address', address);
    return this.#queue.run(id, () => this.#changeRow(id, edit));
  }

  async #changeRow(id: string, edit: (counts: Counts) => Counts | undefined): Promise<void> {
    const expires_at = this.clock.now() + 2 * HOUR;
    const changed = await update(this.#rows, id, (row) => {
      const counts = edit(row);
      return counts && { ...row, ...counts, expires_at };
    });
    if (changed !== undefined) return;
    const counts = edit(NOTHING);
    if (counts === undefined) return;
    try {
      await this.#rows.insert({ _id: id, ...counts, expires_at });
    } catch (error) {
      if (!(error instanceof DuplicateKey)) throw error;
      await this.#changeRow(id, edit);
    }
  }
}

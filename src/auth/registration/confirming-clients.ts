import { Injectable } from '@nestjs/common';
import { Clock, currentRequester, HOUR, MINUTE, SystemSecrets } from '../../kernel';
import { Collection, Store, updateOrInsert } from '../../store';
import { attempt, budget, BudgetCounts, BudgetLimits, Checked, KeyedMutex } from '../../users';
import { tokenMac } from '../token-mac';
import { ConfirmingClientDoc, confirmingClientsCollection } from './pending-registration.collection';

/**
 * Enough for many people behind one address, and too few to guess the codes of many registrations.
 */
const TRIES: BudgetLimits = { limit: 30, windowMs: 10 * MINUTE };
const METER = budget(TRIES);

type Counts = Pick<ConfirmingClientDoc, 'failures' | 'attempts'>;

/** Counts wrong codes of registrations by the client's network, across all registrations. */
@Injectable()
export class ConfirmingClients {
  readonly #rows: Collection<ConfirmingClientDoc>;
  readonly #queue = new KeyedMutex();

  constructor(
    store: Store,
    private readonly secrets: SystemSecrets,
    private readonly clock: Clock,
  ) {
    this.#rows = store.collection(confirmingClientsCollection);
  }

  /**
   * Does not count an exempt backend.
   * @throws as `attempt`
   */
  async try<T>(check: () => Promise<Checked<T>>): Promise<T> {
    const network = currentRequester()?.address;
    if (network === undefined) return (await check()).value;
    const id = tokenMac(this.secrets, 'confirming-client', network);
    const change = (edit: (counts: BudgetCounts) => BudgetCounts | undefined): Promise<void> =>
      this.#queue.run(id, () => this.#change(id, edit));
    return attempt(METER, { change }, this.clock, check);
  }

  #change(id: string, edit: (counts: BudgetCounts) => BudgetCounts | undefined): Promise<void> {
    const expires_at = this.clock.now() + HOUR;
    return updateOrInsert(this.#rows, id, (row) => {
      const counts = edited(row ?? { failures: [], attempts: [] }, edit);
      return counts && { mails: [], ...row, ...counts, expires_at };
    });
  }
}

function edited(row: Counts, edit: (counts: BudgetCounts) => BudgetCounts | undefined): Counts | undefined {
  const counts = edit({ failures: row.failures, reservations: row.attempts });
  return counts && { failures: counts.failures, attempts: counts.reservations };
}

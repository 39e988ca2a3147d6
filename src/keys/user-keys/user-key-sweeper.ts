import { Injectable } from '@nestjs/common';
import { Clock, HOUR } from '../../kernel';
import { type Collection, scanRows, Store } from '../../store';
import { giveUp } from './given-up-keys';
import { WrapStore } from './wrap-store';
import { type UserKeyDoc, userKeysCollection } from './user-keys.collection';

/** Ends pending user keys whose writer died: nothing is sealed under them. To be run now and then by one replica. */
@Injectable()
export class UserKeySweeper {
  readonly #rows: Collection<UserKeyDoc>;

  constructor(
    store: Store,
    private readonly clock: Clock,
    private readonly home: WrapStore,
  ) {
    this.#rows = store.collection(userKeysCollection);
  }

  /**
   * How many were ended. `graceMs` only spares living writers the trouble of starting again: each end holds the revision, as their
   * activation does, so one of the two happens and never both.
   */
  async sweep(graceMs = HOUR): Promise<number> {
    const before = this.clock.now() - graceMs;
    let removed = 0;
    for await (const row of scanRows(this.#rows, 'state', ['pending'])) {
      if (row.created_at > before) break;
      if (await giveUp(this.#rows, this.home, row)) removed += 1;
    }
    return removed;
  }
}

import { Injectable } from '@nestjs/common';
import { UserOwned, isDomainError } from '../kernel';
import { OwnerKeys, Sealer } from '../keys/user';
import { Collection, Store } from '../store';
import { openValue, sealValue } from './record-cipher';
import { SensitiveDataDoc, sensitiveDataCollection } from './sensitive-data.collection';

const BATCH = 100;

/** What happens to a user's records when the user's key changes or the account goes. */
@Injectable()
export class OwnedRecords implements UserOwned {
  readonly name = 'sensitive-data';
  readonly #rows: Collection<SensitiveDataDoc>;

  constructor(
    store: Store,
    private readonly sealer: Sealer,
  ) {
    this.#rows = store.collection(sensitiveDataCollection);
  }

  /** Records hold no keys of their own: their values are sealed under the user key itself. */
  rewrap(): Promise<number> {
    return Promise.resolve(0);
  }

  /** Rescans until a pass finds nothing more to do, pending rows included. A value that does not open is left as it is. */
  async reseal(userId: string): Promise<number> {
    let total = 0;
    for (;;) {
      const resealed = await this.#resealOnce(userId);
      if (resealed === 0) return total;
      total += resealed;
    }
  }

  countUnder(userId: string, version: number): Promise<number> {
    return this.#rows.count('owner_version', [userId, version]);
  }

  async erase(userId: string): Promise<number> {
    let erased = 0;
    for (;;) {
      const forged: string[] = [];
      const page = await this.#rows.list('owner', [userId], { limit: BATCH, onForged: (id) => forged.push(id) });
      const ids = [...page.items.map((row) => row._id), ...forged];
      for (const id of ids) erased += (await this.#rows.remove(id)) ? 1 : 0;
      if (ids.length === 0 && page.next === undefined) return erased;
    }
  }

  async #resealOnce(userId: string): Promise<number> {
    let resealed = 0;
    let after: string | undefined;
    do {
      const page = await this.#rows.list('owner_version', [userId], {
        limit: BATCH,
        onForged: () => undefined,
        ...(after === undefined ? {} : { after }),
      });
      // The rows were read before the key row: one that changes meanwhile is not held by its compare-and-set, and a later pass finds it.
      resealed += await this.sealer.with(userId, (keys) => this.#rows.replaceMany(renewed(keys, page.items)));
      after = page.next;
    } while (after !== undefined);
    return resealed;
  }
}

function renewed(keys: OwnerKeys, rows: readonly SensitiveDataDoc[]): SensitiveDataDoc[] {
  return rows
    .filter((row) => row.key_version < keys.version)
    .flatMap((row) => {
      const value = openable(keys, row);
      return value === undefined ? [] : [{ ...row, ...sealValue(keys, row._id, value) }];
    });
}

function openable(keys: OwnerKeys, row: SensitiveDataDoc): string | undefined {
  try {
    return openValue(keys, row);
  } catch (error) {
    if (isDomainError(error, 'decryption_failed')) return undefined;
    throw error;
  }
}

import { Injectable } from '@nestjs/common';
import { versionIn } from '../crypto';
import { isDomainError, UserDataHandler } from '../kernel';
import { Collection, Store } from '../store/collection';
import { scanRows, scanPages } from '../store/scan-rows';
import { ResponseSealer } from './response-sealer';
import { IdempotencyKeyDoc, idempotencyKeyCollection } from './idempotency-keys.collection';

/** Re-encrypts, counts and erases the responses that are kept for replays. */
@Injectable()
export class ResponsesUserData implements UserDataHandler {
  readonly name = 'kept-answers';
  readonly collections = [idempotencyKeyCollection.name];
  readonly #rows: Collection<IdempotencyKeyDoc>;

  constructor(
    store: Store,
    private readonly sealer: ResponseSealer,
  ) {
    this.#rows = store.collection(idempotencyKeyCollection);
  }

  /**
   * Reads rows before the key row, and replaces them only unchanged. A claim without a response is
   * rewritten as it is: a process that is about to store a response under the previous key version
   * then fails its compare-and-set and encrypts again.
   */
  async reencrypt(userId: string): Promise<number> {
    let resealed = 0;
    for await (const row of this.#rowsOf(userId)) {
      if (row.answer === undefined) await this.#rows.replace(row);
      else resealed += await this.#resealRow(row, row.answer);
    }
    return resealed;
  }

  /** Skips rows that fail MAC verification: they are never replayed and retain no key version. */
  async countByKeyVersion(userId: string, versions: readonly number[]): Promise<readonly number[]> {
    const counts = versions.map(() => 0);
    for await (const { answer } of scanPages(this.#rows, 'user', [userId])) {
      const at = versions.indexOf(versionIn(answer, 'base64'));
      if (at >= 0) counts[at] = (counts[at] ?? 0) + 1;
    }
    return counts;
  }

  async eraseUser(userId: string): Promise<number> {
    let erased = 0;
    for await (const row of this.#rowsOf(userId)) erased += (await this.#rows.remove(row._id)) ? 1 : 0;
    return erased;
  }

  async #resealRow(row: IdempotencyKeyDoc, sealed: string): Promise<number> {
    try {
      const answer = await this.sealer.renew(row.user_id, row._id, sealed);
      return answer !== undefined && (await this.#rows.replace({ ...row, answer })) !== undefined ? 1 : 0;
    } catch (error) {
      if (isDomainError(error, 'decryption_failed')) return 0;
      throw error;
    }
  }

  #rowsOf(userId: string): AsyncGenerator<IdempotencyKeyDoc> {
    return scanRows(this.#rows, 'user', [userId]);
  }
}

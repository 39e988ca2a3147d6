import { Injectable } from '@nestjs/common';
import { Clock, DomainError } from '../kernel';
import { FormerWraps } from '../keys/user-keys';
import { Collection, DuplicateKey, Store, update } from '../store';
import { UserDoc } from '../users';
import { ErasureDoc, erasuresCollection, ErasureState } from './erasure.collection';

const BATCH = 100;

/** Storage of erasures: request, progress and final result. */
@Injectable()
export class Erasures {
  readonly #rows: Collection<ErasureDoc>;

  constructor(
    store: Store,
    private readonly clock: Clock,
  ) {
    this.#rows = store.collection(erasuresCollection);
  }

  find(accountId: string): Promise<ErasureDoc | undefined> {
    return this.#rows.find('_id', accountId);
  }

  /**
   * Stores the request durably before anything else changes.
   * @throws DomainError `conflict` if there is an erasure of this account already
   */
  async claim(user: UserDoc, requestedBy: ErasureDoc['requested_by']): Promise<ErasureDoc> {
    try {
      return await this.#rows.insert({
        _id: user._id,
        state: 'claimed',
        former_state: user.state,
        requested_by: requestedBy,
        requested_at: this.clock.now(),
        resumed: false,
        counts: {},
      });
    } catch (error) {
      throw error instanceof DuplicateKey ? underWay() : error;
    }
  }

  /**
   * An erase of an owner without a login, decided at once. Of several calls one makes the row, and
   * all go on with it.
   */
  async decide(ownerId: string, requestedBy: ErasureDoc['requested_by']): Promise<ErasureDoc> {
    const facts = { requested_by: requestedBy, requested_at: this.clock.now(), resumed: false, counts: {} };
    try {
      return await this.#rows.insert({ _id: ownerId, state: 'erasing', former_state: 'active', ...facts });
    } catch (error) {
      if (!(error instanceof DuplicateKey)) throw error;
    }
    return this.#change(ownerId, (row) => (row.state === 'erasing' ? { ...row, resumed: true } : undefined));
  }

  /**
   * Compare-and-set on the revision that was read: a claim is either decided or withdrawn, never
   * both.
   */
  async move(erasure: ErasureDoc, state: ErasureState): Promise<ErasureDoc | undefined> {
    return this.#rows.replace({ ...erasure, state });
  }

  async remove(erasure: ErasureDoc): Promise<void> {
    await this.#rows.remove(erasure._id, erasure.rev);
  }

  async count(accountId: string, module: string, rows: number): Promise<void> {
    if (rows === 0) return;
    await this.#change(accountId, (row) => ({
      ...row,
      counts: { ...row.counts, [module]: (row.counts[module] ?? 0) + rows },
    }));
  }

  /** The first note stays, because it was written by the process that destroyed the key. */
  async noteWraps(accountId: string, wraps: FormerWraps): Promise<void> {
    await this.#change(accountId, (row) => (row.wraps === undefined ? { ...row, wraps } : undefined));
  }

  async noteResumed(accountId: string): Promise<void> {
    await this.#change(accountId, (row) => (row.resumed ? undefined : { ...row, resumed: true }));
  }

  finish(accountId: string): Promise<ErasureDoc> {
    return this.#change(accountId, (row) =>
      row.state === 'erased' ? undefined : { ...row, state: 'erased', finished_at: this.clock.now() },
    );
  }

  /** One batch, oldest first. */
  async inState(state: ErasureState): Promise<readonly ErasureDoc[]> {
    return (await this.#rows.list('state', [state], { limit: BATCH, onTampered: () => undefined })).items;
  }

  async #change(accountId: string, change: (row: ErasureDoc) => ErasureDoc | undefined): Promise<ErasureDoc> {
    const row = await update(this.#rows, accountId, change);
    if (row === undefined)
      throw new DomainError('integrity_failed', { detail: 'The record of this erasure is missing.' });
    return row;
  }
}

export const underWay = (): DomainError =>
  new DomainError('conflict', { detail: 'An erasure of this account has just begun.', retryAfterSeconds: 5 });

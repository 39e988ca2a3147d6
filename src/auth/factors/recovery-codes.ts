import { Injectable } from '@nestjs/common';
import { newRecoveryCode, recoveryCodeHash } from '../../crypto';
import { DomainError, newId, SystemSecrets } from '../../kernel';
import { Collection, Store } from '../../store';
import { UserDoc, Users } from '../../users';
import { RecoveryCodeDoc, recoveryCodesCollection } from './recovery-code.collection';

export const RECOVERY_CODES = 10;

/** Printed codes for users who have lost their other factors. */
@Injectable()
export class RecoveryCodes {
  readonly #rows: Collection<RecoveryCodeDoc>;

  constructor(
    store: Store,
    private readonly users: Users,
    private readonly secrets: SystemSecrets,
  ) {
    this.#rows = store.collection(recoveryCodesCollection);
  }

  /**
   * Creates ten new codes, shown once, and invalidates the former ones. The account's row switches
   * between batches, so after a crash either all former codes or all new ones are valid.
   */
  async replace(userId: string): Promise<string[]> {
    const batch = newId();
    const codes = Array.from({ length: RECOVERY_CODES }, () => newRecoveryCode());
    for (const code of codes) await this.#rows.insert({ _id: this.#hash(userId, code), user_id: userId, batch });
    await this.#switchTo(userId, batch);
    await this.#removeAll(userId, (row) => row.batch < batch);
    return codes;
  }

  /**
   * Batch ids increase with time and the switch never goes back: of two concurrent replacements,
   * the later one wins completely.
   */
  async #switchTo(userId: string, batch: string): Promise<void> {
    const user = await this.users.change(userId, (row) =>
      (row.recovery_batch ?? '') < batch ? { ...row, recovery_batch: batch } : undefined,
    );
    if (user?.recovery_batch === batch) return;
    await this.#removeAll(userId, (row) => row.batch === batch);
    throw new DomainError('conflict', { detail: 'Recovery codes were replaced by another request.' });
  }

  async left(user: UserDoc): Promise<number> {
    return user.recovery_batch === undefined ? 0 : this.#rows.count('user', [user._id, user.recovery_batch]);
  }

  /** Consumes a code. Returns true to exactly one caller. */
  async spend(user: UserDoc, typed: string): Promise<boolean> {
    const id = recoveryCodeHash(this.secrets.oneTimeCodes, user._id, typed);
    const row = id === undefined ? undefined : await this.#rows.find('_id', id);
    if (row?.user_id !== user._id || row.batch !== user.recovery_batch) return false;
    return this.#rows.remove(row._id, row.rev);
  }

  /** Removes all codes of a user and returns their number. */
  erase(userId: string): Promise<number> {
    return this.#removeAll(userId, () => true);
  }

  async #removeAll(userId: string, which: (row: RecoveryCodeDoc) => boolean): Promise<number> {
    let removed = 0;
    let after: string | undefined;
    do {
      const page = await this.#rows.list('user', [userId], { limit: 100, ...(after === undefined ? {} : { after }) });
      for (const row of page.items.filter(which)) removed += (await this.#rows.remove(row._id)) ? 1 : 0;
      after = page.next;
    } while (after !== undefined);
    return removed;
  }

  #hash(userId: string, code: string): string {
    const hash = recoveryCodeHash(this.secrets.oneTimeCodes, userId, code);
    if (hash === undefined) throw new TypeError('a new recovery code is one');
    return hash;
  }
}

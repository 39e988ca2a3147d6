import { Injectable, Logger } from '@nestjs/common';
import { failpoint } from '../../kernel';
import { type Collection, Store, retryOnConflict } from '../../store';
import { WrapStore } from './wrap-store';
import { type UserKeyDoc, userKeysCollection } from './user-keys.collection';

const PAGE = 200;

/**
 * Wraps in Vault that no row names: of versions that were dropped, or put back by a process that slept meanwhile. The row says that they are
 * to go before they do, so whoever comes next goes on. Where wraps lie in the rows there are none.
 * A wrap above the row's current version is never one: a store that was restored from a backup is behind Vault.
 */
@Injectable()
export class OrphanedWraps {
  readonly #logger = new Logger('OrphanedWraps');
  readonly #rows: Collection<UserKeyDoc>;

  constructor(
    store: Store,
    private readonly home: WrapStore,
  ) {
    this.#rows = store.collection(userKeysCollection);
  }

  /**
   * How many went of this owner. A wrap is put into Vault before a row names it, so the row is stored again between the look and the
   * removal: a writer that read it before does not hold its compare-and-set, and comes again with another wrap.
   * @throws DomainError `kms_unavailable`.
   */
  async remove(ownerId: string): Promise<number> {
    const { marked, strays } = await retryOnConflict(async () => {
      const row = await this.#rows.find('_id', ownerId);
      if (row?.state !== 'active' || row.name === undefined) return { marked: undefined, strays: [] };
      const found = await this.home.orphans(row);
      const held = await this.#rows.replace({ ...row, strays: true });
      return held === undefined ? undefined : { marked: held, strays: found };
    });
    if (marked === undefined) return 0;
    failpoint('user-key.strays-marked');
    await this.home.delete(marked, strays);
    failpoint('user-key.strays-removed');
    const { strays: _, ...row } = marked;
    // Where this does not hold, the next sweep looks again.
    await this.#rows.replace(row);
    return strays.length;
  }

  /**
   * Looks at every owner whose key was ever rotated: of the others a stray can only be a wrap of a key that nothing was sealed under. To be
   * run now and then by one replica. One owner whose document cannot be read holds up nobody else; returns how many wraps went.
   */
  async sweep(): Promise<number> {
    let removed = 0;
    for (let after: string | undefined; ;) {
      const options = {
        limit: PAGE,
        reverse: true,
        onTampered: () => undefined,
        ...(after !== undefined && { after }),
      };
      const page = await this.#rows.list('rotated', ['active'], options);
      const rotated = page.items.filter(({ current }) => current > 1);
      for (const row of rotated) removed += await this.#sweepOne(row);
      if (page.next === undefined || rotated.length < page.items.length) return removed;
      after = page.next;
    }
  }

  async #sweepOne(row: UserKeyDoc): Promise<number> {
    try {
      if (row.name === undefined) return 0;
      const isDue = row.strays === true || (await this.home.orphans(row)).length > 0;
      return isDue ? await this.remove(row._id) : 0;
    } catch (error) {
      this.#logger.warn({ code: (error as { code?: unknown }).code, msg: 'stray wraps of an owner stay for now' });
      return 0;
    }
  }
}

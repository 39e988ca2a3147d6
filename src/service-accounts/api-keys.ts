import { Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { equalBytes, newApiKey, parseApiKey, sha256 } from '../crypto';
import { Clock, DomainError, MINUTE } from '../kernel';
import { Networks } from '../http';
import { Collection, removeEvery, Store } from '../store';
import { KeyedMutex } from '../users';
import { ApiKeyDoc, apiKeysCollection } from './api-key.collection';

/**
 * How many keys an account may have: one in use, one for the change, and room for several backends.
 */
export const MAX_KEYS = 10;

export interface NewApiKey {
  readonly row: ApiKeyDoc;
  /** The whole key: shown once, and kept nowhere. */
  readonly text: string;
}

export type ApiKeyRequest = Pick<ApiKeyDoc, 'owner_id' | 'kind' | 'scopes' | 'allowed_addresses'> & {
  readonly name: string | undefined;
  readonly lifeMs: number | undefined;
};

/**
 * The keys of all accounts. A key that is removed, or past its time, is gone from the next request
 * on.
 */
@Injectable()
export class ApiKeys {
  readonly #rows: Collection<ApiKeyDoc>;
  readonly #queue = new KeyedMutex();
  /** The minute of the last use that this process has stored, by key. */
  readonly #noted = new LRUCache<string, number>({ max: 10_000 });

  constructor(
    store: Store,
    private readonly clock: Clock,
  ) {
    this.#rows = store.collection(apiKeysCollection);
  }

  /**
   * Makes a key. Counted behind the insert, so that processes at work on one account never leave it
   * more than ten, though a race for the last one may be refused to both.
   * @throws DomainError `conflict`
   */
  create({ name, lifeMs, ...fixed }: ApiKeyRequest): Promise<NewApiKey> {
    return this.#queue.run(fixed.owner_id, async () => {
      const { id, secret, text } = newApiKey();
      const now = this.clock.now();
      const row = await this.#rows.insert({
        _id: id,
        ...fixed,
        ...(name !== undefined && { name }),
        secret_hash: hashOf(secret),
        created_at: now,
        ...(lifeMs !== undefined && { expires_at: now + lifeMs }),
      });
      if ((await this.of(fixed.owner_id)).length <= MAX_KEYS) return { row, text };
      await this.#rows.remove(id);
      throw new DomainError('conflict', { detail: `An account has ${MAX_KEYS} keys at most. Delete one first.` });
    });
  }

  /** Those of an account that hold, oldest first. */
  async of(ownerId: string): Promise<readonly ApiKeyDoc[]> {
    // Rows past their time stay until a sweep; of live ones there are ten, and a few that lose a
    // race.
    const { items } = await this.#rows.list('owner', [ownerId], { limit: 1_000 });
    return items.filter((row) => this.#holds(row));
  }

  /** False where the account has no such key. */
  async remove(ownerId: string, id: string): Promise<boolean> {
    const row = await this.#rows.find('_id', id);
    return row?.owner_id === ownerId && (await this.#rows.remove(id)) && this.#holds(row);
  }

  /** Removes all keys of an account, tampered rows too. Returns how many. */
  removeAll(ownerId: string): Promise<number> {
    return removeEvery(this.#rows, 'owner', [ownerId]);
  }

  /** The key of this text, sent from this address. @throws DomainError `unauthenticated` */
  async verify(text: string, address: string): Promise<ApiKeyDoc> {
    const presented = parseApiKey(text);
    if (presented === undefined) throw invalidKey('The API key is malformed.');
    const row = await this.#rows.find('_id', presented.id);
    if (row === undefined || !equalBytes(sha256(presented.secret), Buffer.from(row.secret_hash, 'hex'))) {
      throw invalidKey('The API key does not exist, or was revoked.');
    }
    return this.#used(row, address);
  }

  /** For bodies that come for hours. @throws DomainError `unauthenticated` */
  async requireHeld(id: string): Promise<void> {
    const row = await this.#rows.find('_id', id);
    if (row === undefined || !this.#holds(row)) throw invalidKey('The API key was revoked, or has expired.');
  }

  #used(row: ApiKeyDoc, address: string): ApiKeyDoc {
    if (!this.#holds(row)) throw invalidKey('The API key has expired.');
    if (row.allowed_addresses.length > 0 && !new Networks(row.allowed_addresses).contains(address)) {
      throw invalidKey('The API key does not hold for this address.');
    }
    this.#noteUse(row);
    return row;
  }

  /**
   * One write a minute: of several replicas one holds its compare-and-set. Nobody waits for it, and
   * no key that is removed comes back.
   */
  #noteUse(row: ApiKeyDoc): void {
    const minute = Math.floor(this.clock.now() / MINUTE) * MINUTE;
    const noted = Math.max(row.last_used_at ?? 0, this.#noted.get(row._id) ?? 0);
    if (noted >= minute) return;
    this.#noted.set(row._id, minute);
    void this.#rows.replace({ ...row, last_used_at: minute }).catch(() => undefined);
  }

  #holds({ expires_at = Infinity }: ApiKeyDoc): boolean {
    return expires_at > this.clock.now();
  }
}

const hashOf = (secret: string): string => sha256(secret).toString('hex');

const invalidKey = (detail: string): DomainError => new DomainError('unauthenticated', { detail });

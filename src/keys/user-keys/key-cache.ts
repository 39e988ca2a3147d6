import { LRUCache } from 'lru-cache';
import { OpenedUserKey } from './user-key-handle';

export interface KeyCacheOptions {
  /** Owners at most; the least recently used one goes. */
  readonly capacity: number;
  /** How long a key is kept after it was unwrapped, used or not. 0 keeps none. */
  readonly maxAgeMs: number;
  /**
   * Milliseconds of a clock that never goes back; `performance.now` unless a test moves the time.
   */
  readonly now?: () => number;
}

interface Flight {
  readonly key: Promise<OpenedUserKey>;
  /** Who waits for it. Each of them holds the key from the moment it is there. */
  waiting: number;
  /** The owner's key changed while it was unwrapped: it serves those who wait and is not kept. */
  dropped: boolean;
}

/**
 * Unwrapped user keys, bounded by number and age. An entry is never trusted by itself: the caller
 * names the epoch that the owner's row has now, so an erase or a rotation on one replica holds on
 * all of them at once.
 */
export class KeyCache {
  readonly #entries: LRUCache<string, OpenedUserKey> | undefined;
  readonly #flights = new Map<string, Map<number, Flight>>();

  constructor({ capacity, maxAgeMs, now }: KeyCacheOptions) {
    if (maxAgeMs === 0) return;
    this.#entries = new LRUCache({
      // By size and not by `max`, which would allocate room for all of them at the start.
      maxSize: capacity,
      sizeCalculation: () => 1,
      ttl: maxAgeMs,
      ttlResolution: 0,
      ttlAutopurge: true, // key bytes are zeroed when their time is over, not when somebody asks next
      dispose: (key) => key.retire(),
      ...(now === undefined ? {} : { perf: { now } }),
    });
  }

  /**
   * Runs `use` with the owner's key of this epoch: from the cache, else by `load`, once for all who
   * ask at the same time.
   */
  async use<T>(
    ownerId: string,
    epoch: number,
    load: () => Promise<OpenedUserKey>,
    use: (key: OpenedUserKey) => T | Promise<T>,
  ): Promise<T> {
    const key = this.#held(ownerId, epoch) ?? (await this.#loaded(ownerId, epoch, load));
    try {
      return await use(key);
    } finally {
      key.release();
    }
  }

  /** Forgets an owner: zeroed as soon as nobody works with it. */
  drop(ownerId: string): void {
    this.#entries?.delete(ownerId);
    for (const flight of this.#flights.get(ownerId)?.values() ?? []) flight.dropped = true;
  }

  clear(): void {
    this.#entries?.clear();
    for (const ownerId of this.#flights.keys()) this.drop(ownerId);
  }

  get size(): number {
    return this.#entries?.size ?? 0;
  }

  #held(ownerId: string, epoch: number): OpenedUserKey | undefined {
    const key = this.#entries?.get(ownerId);
    if (key === undefined) return undefined;
    if (key.epoch !== epoch) {
      this.#entries?.delete(ownerId);
      return undefined;
    }
    key.retain();
    return key;
  }

  #loaded(ownerId: string, epoch: number, load: () => Promise<OpenedUserKey>): Promise<OpenedUserKey> {
    const flight = this.#flights.get(ownerId)?.get(epoch) ?? this.#depart(ownerId, epoch, load);
    flight.waiting += 1;
    return flight.key;
  }

  #depart(ownerId: string, epoch: number, load: () => Promise<OpenedUserKey>): Flight {
    const flight: Flight = { key: this.#fly(ownerId, epoch, load), waiting: 0, dropped: false };
    const ofOwner = this.#flights.get(ownerId) ?? new Map<number, Flight>();
    this.#flights.set(ownerId, ofOwner.set(epoch, flight));
    return flight;
  }

  async #fly(ownerId: string, epoch: number, load: () => Promise<OpenedUserKey>): Promise<OpenedUserKey> {
    let key: OpenedUserKey;
    try {
      key = await Promise.resolve().then(load); // not before the flight is listed
    } catch (error) {
      this.#land(ownerId, epoch);
      throw error;
    }
    // No await in between: whoever comes later finds the key in the cache, or starts a flight of
    // its own.
    this.#arrive(key, this.#land(ownerId, epoch));
    return key;
  }

  #land(ownerId: string, epoch: number): Flight | undefined {
    const ofOwner = this.#flights.get(ownerId);
    const flight = ofOwner?.get(epoch);
    ofOwner?.delete(epoch);
    if (ofOwner?.size === 0) this.#flights.delete(ownerId);
    return flight;
  }

  #arrive(key: OpenedUserKey, flight: Flight | undefined): void {
    key.retain(flight?.waiting ?? 0);
    const held = this.#entries?.peek(key.ownerId);
    const isStale = flight?.dropped === true || (held !== undefined && held.epoch > key.epoch);
    if (this.#entries === undefined || isStale) key.retire();
    else this.#entries.set(key.ownerId, key);
  }
}
